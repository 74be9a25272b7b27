<?php
// SPDX-License-Identifier: Apache-2.0
//
// Holdfast.php - push to the clients of a Holdfast gateway from PHP 7.4 or newer. One file, no dependencies.
//
//     $hf = new Holdfast('http://127.0.0.1:8081');
//     $hf->publish('room1', 'hello');
//
// It talks to the address of an [[api]] section, in HTTP and JSON or in RESP (the protocol of Redis), as the address
// says; holdfast-api(7) has what each call does and answers. Every call returns the answer as an array, the same one in
// both protocols, or throws a HoldfastException.
//
// One connection is kept for the object's life. Where it turns out to have ended (the server closes one after 75 s of
// silence, and with a restart), the client connects again, once, and repeats the call if that does no harm:
//
//   - nothing of it had been sent, or
//   - it is a question, or join, leave, bind, unbind or data, which do the same twice as once, or
//   - it has a key, see once(): then the server answers the repeat and does nothing.
//
// A send, publish or kick that had been sent and not answered throws "closed": nobody knows whether it was carried out.
// With $repeat every call of that kind, batches aside, gets a key of its own and is repeated as well (HTTP only). A key
// takes a place in a table of the server's for five minutes (limits.idempotency_keys): this is for those who push now
// and then. Who pushes hundreds of messages a second fills the table: the calls go on without a key then, but others
// who need one are refused.

declare(strict_types=1);

class Holdfast
{
    /** @var HoldfastHttp|HoldfastResp */
    private $transport;
    private string $key = '';

    /**
     * Does not connect yet.
     *
     * @param string $address        "http://127.0.0.1:8081", "http+unix:/path", "resp://127.0.0.1:6380" or
     *                               "resp+unix:/path"; without the protocol ("[::1]:8081", "unix:/path") HTTP is meant
     * @param string $token          one of the API's token_file; white space around it is cut off
     * @param float  $timeout        seconds for a call as a whole, connecting included
     * @param float  $connectTimeout seconds for connecting
     * @param bool   $persistent     keep the connection when the script ends, for the next one that the same php-fpm
     *                               child runs; not for programs that fork
     * @param bool   $repeat         HTTP: a key of its own for each call that could do harm when repeated
     */
    public function __construct(
        string $address = 'http://127.0.0.1:8081',
        string $token = '',
        float $timeout = 5.0,
        float $connectTimeout = 1.0,
        bool $persistent = false,
        bool $repeat = false
    ) {
        $token = trim($token);
        if (preg_match('/[^\x21-\x7e]/', $token)) {
            throw HoldfastException::argument('the token has characters that are not visible ASCII');
        }
        [$protocol, $url, $host] = self::endpoint($address);
        if ($protocol === 'resp' && $repeat) {
            throw HoldfastException::needsHttp('repeating with keys');
        }
        $socket = new HoldfastSocket($address, $url, $timeout, $connectTimeout, $persistent);
        $this->transport = $protocol === 'resp'
            ? new HoldfastResp($socket, $token, $persistent)
            : new HoldfastHttp($socket, $host, $token, $repeat);
    }

    public function __clone()
    {
        $this->transport = clone $this->transport;
    }

    /**
     * The same client (and connection), whose calls have this idempotency key: a repeat within five minutes, by
     * whomever, is answered with the first answer and "repeated", and does nothing. One key is for one call:
     * $hf->once("order-$id")->sendUser($user, 'paid'). HTTP only.
     *
     * @param string $key 1 to 255 bytes of UTF-8
     */
    public function once(string $key): self
    {
        if ($key === '' || strlen($key) > 255 || !HoldfastPayload::isText($key)) {
            throw HoldfastException::argument('a key has 1 to 255 bytes of UTF-8');
        }
        $this->transport->needKeys();
        $once = clone $this;
        $once->transport = $this->transport;
        $once->key = $key;
        return $once;
    }

    // ---- Calls that send.
    //
    // A message ($msg) is a string, and goes out as it is: text if it is UTF-8, a binary message otherwise.
    // Holdfast::binary() makes any string a binary message. Anything else (an array, say) goes out as its JSON text.

    /**
     * To sessions. Answer: "delivered", and "unknown" with the ids that do not exist.
     *
     * @param string|string[] $sid
     * @param mixed           $msg
     */
    public function sendMsg($sid, $msg): array
    {
        return $this->call('send', ['sessions' => $sid, 'data' => $msg]);
    }

    /**
     * To every session but the excluded ones. Answer: "delivered".
     *
     * @param mixed    $msg
     * @param string[] $exclude sessions
     */
    public function sendAllMsg($msg, array $exclude = []): array
    {
        return $this->call('send-all', ['data' => $msg, 'exclude' => $exclude]);
    }

    /**
     * To the members of channels. Answer: "delivered".
     *
     * @param string|string[] $channel
     * @param mixed           $msg
     * @param string[]        $exclude sessions
     */
    public function publish($channel, $msg, array $exclude = []): array
    {
        return $this->call('publish', ['channels' => $channel, 'data' => $msg, 'exclude' => $exclude]);
    }

    /**
     * The same, to channels whose messages are kept: the answer has "positions", the position of this one by channel.
     * Channels whose messages are not kept are missing there.
     *
     * @param string|string[] $channel
     * @param mixed           $msg
     * @param int             $version if it is not greater than one before it in the channel, nobody gets the message, and
     *                                 the answer names the channel in "superseded"; 0: none
     * @param string[]        $exclude sessions
     */
    public function publishKept($channel, $msg, int $version = 0, array $exclude = []): array
    {
        $keys = ['channels' => $channel, 'data' => $msg, 'exclude' => $exclude, 'history' => true];
        return $this->call('publish', $keys + ($version === 0 ? [] : ['version' => $version]));
    }

    /**
     * The same, of a message that nobody needs later ("is typing"): it is kept of no channel, and has no position.
     *
     * @param string|string[] $channel
     * @param mixed           $msg
     * @param string[]        $exclude sessions
     */
    public function publishUnkept($channel, $msg, array $exclude = []): array
    {
        $keys = ['channels' => $channel, 'data' => $msg, 'exclude' => $exclude, 'history' => false];
        return $this->call('publish', $keys);
    }

    /**
     * To all sessions of users. Answer: "delivered".
     *
     * @param string|int|array $user
     * @param mixed            $msg
     * @param string[]         $exclude sessions
     */
    public function sendUser($user, $msg, array $exclude = []): array
    {
        return $this->call('send-user', ['users' => $user, 'data' => $msg, 'exclude' => $exclude]);
    }

    // ---- Calls that change.

    /**
     * Makes sessions members of channels. Answer: "delivered" (how many sessions that concerned), "unknown".
     *
     * @param string|string[] $channel
     * @param string|string[] $sid
     */
    public function addChannel($channel, $sid): array
    {
        return $this->call('join', ['sessions' => $sid, 'channels' => $channel]);
    }

    /**
     * Ends memberships. Answer as for addChannel().
     *
     * @param string|string[] $channel
     * @param string|string[] $sid
     */
    public function delChannel($channel, $sid): array
    {
        return $this->call('leave', ['sessions' => $sid, 'channels' => $channel]);
    }

    /**
     * Makes the sessions that users have now members of channels. Answer: "delivered".
     *
     * @param string|string[]  $channel
     * @param string|int|array $user
     * @param string[]         $exclude sessions
     */
    public function addChannelByUser($channel, $user, array $exclude = []): array
    {
        return $this->call('join', ['users' => $user, 'channels' => $channel, 'exclude' => $exclude]);
    }

    /**
     * Ends memberships of all sessions of users. Answer: "delivered".
     *
     * @param string|string[]  $channel
     * @param string|int|array $user
     * @param string[]         $exclude sessions
     */
    public function delChannelByUser($channel, $user, array $exclude = []): array
    {
        return $this->call('leave', ['users' => $user, 'channels' => $channel, 'exclude' => $exclude]);
    }

    /**
     * Binds a session to a user. Throws unknown_session.
     *
     * @param string|int $user
     */
    public function bind(string $sid, $user): array
    {
        return $this->call('bind', ['session' => $sid, 'user' => $user]);
    }

    /**
     * Ends that. With a user: only where the session is bound to that one; throws other_user otherwise. Throws
     * unknown_session.
     *
     * @param string|int|null $user
     */
    public function unbind(string $sid, $user = null): array
    {
        return $this->call('unbind', ['session' => $sid] + ($user === null ? [] : ['user' => $user]));
    }

    /**
     * Replaces a session's data: strings under keys, 4,096 bytes in all, that come with each of its events. Throws
     * unknown_session, too_large.
     *
     * @param array<string|int, string|int|null> $data
     */
    public function setData(string $sid, array $data): array
    {
        return $this->call('data', ['session' => $sid, 'set' => $data]);
    }

    /**
     * Changes some keys of it: null and "" take one away, others stay as they are. Throws unknown_session, too_large.
     *
     * @param array<string|int, string|int|null> $changes
     */
    public function mergeData(string $sid, array $changes): array
    {
        return $this->call('data', ['session' => $sid, 'merge' => $changes]);
    }

    /**
     * Closes the connections of sessions. Answer: "delivered", "unknown".
     *
     * @param string|string[] $sid
     * @param int             $code   of the WebSocket close frame: 1000, or 3000 to 4999
     * @param string          $reason at most 123 bytes of UTF-8
     */
    public function kickUser($sid, int $code = 4000, string $reason = ''): array
    {
        return $this->call('kick', ['sessions' => $sid, 'code' => $code, 'reason' => $reason]);
    }

    /**
     * Closes all connections of users. Answer: "delivered".
     *
     * @param string|int|array $user
     * @param string[]         $exclude sessions
     */
    public function kickByUser($user, int $code = 4000, string $reason = '', array $exclude = []): array
    {
        $to = ['users' => $user, 'exclude' => $exclude];
        return $this->call('kick', $to + ['code' => $code, 'reason' => $reason]);
    }

    /**
     * Closes the connections of all members of channels. Answer: "delivered".
     *
     * @param string|string[] $channel
     * @param string[]        $exclude sessions
     */
    public function kickByChannel($channel, int $code = 4000, string $reason = '', array $exclude = []): array
    {
        $to = ['channels' => $channel, 'exclude' => $exclude];
        return $this->call('kick', $to + ['code' => $code, 'reason' => $reason]);
    }

    /**
     * Up to 1,000 commands in one piece, carried out strictly one after the other. Each is an array with "op" ("send",
     * "send-user" and so on) and the keys of holdfast-api(7); "data" is a message as above, "id" an idempotency key.
     * Returns a list of answers in their order, each with its "status"; the error of one does not stop the others.
     */
    public function batch(array $commands): array
    {
        if ($this->key !== '') {
            throw HoldfastException::argument('a batch has no key of its own; give its commands an "id"');
        }
        $checked = [];
        foreach ($commands as $command) {
            if (!is_array($command) || !is_string($command['op'] ?? null)) {
                throw HoldfastException::argument('a command of a batch is an array with "op"');
            }
            $checked[] = self::checked($command);
        }
        if ($checked === [] || count($checked) > 1000) {
            throw HoldfastException::argument('a batch has 1 to 1,000 commands');
        }
        return $this->transport->batch($checked);
    }

    // ---- Questions.

    /** One session, with its "user", "channels" and "data". Throws unknown_session. */
    public function session(string $sid): array
    {
        return $this->transport->ask('sessions', $sid, []);
    }

    /**
     * "online", "members" (how many sessions the user has) and a page of its "sessions"; "cursor" if there is another.
     *
     * @param string|int $user
     */
    public function user($user, int $limit = 100, string $cursor = ''): array
    {
        return $this->transport->ask('users', self::name('user', $user), self::paging($limit, $cursor));
    }

    /** "members", "subscribers" and a page of the channel's "sessions"; "cursor" if there is another. */
    public function channel(string $channel, int $limit = 100, string $cursor = ''): array
    {
        return $this->transport->ask('channels', $channel, self::paging($limit, $cursor));
    }

    /**
     * The kept "messages" of a channel, oldest first: "position", "time_ms" (since 1970) and "data", its bytes; "more" if
     * others follow them: go on from the last position. "complete" says whether every message after $since is kept, and
     * "history" how many are. Throws no_history (by RESP: refused) if none of the channel are kept.
     *
     * @param string $since   a position: only messages after it, or with $reverse before it
     * @param int    $limit   0 to 1,000
     * @param bool   $reverse newest first; then there is no "complete"
     */
    public function history(string $channel, string $since = '', int $limit = 100, bool $reverse = false): array
    {
        return $this->transport->history($channel, $since, $limit, $reverse);
    }

    /** Throws the kept messages of a channel away; the next one has the position after the last. Answer: "history". */
    public function deleteHistory(string $channel): array
    {
        return $this->transport->deleteHistory($channel);
    }

    /** @param string|int $user */
    public function isOnline($user): bool
    {
        return $this->user($user, 0)['online'];
    }

    /**
     * One page of "sessions", "users" or "channels": a list under that name; "cursor" if there is another page.
     *
     * @param string $prefix only names that begin so (sessions: bound to a user whose name does)
     */
    public function page(string $list, string $prefix = '', int $limit = 100, string $cursor = ''): array
    {
        if (!in_array($list, ['sessions', 'users', 'channels'], true)) {
            throw HoldfastException::argument("\"$list\" is not \"sessions\", \"users\" or \"channels\"");
        }
        $prefixed = $prefix === '' ? [] : ['prefix' => $prefix];
        return $this->transport->ask($list, null, self::paging($limit, $cursor) + $prefixed);
    }

    /**
     * All sessions, read page by page while you go through them. As the others below it throws "partial" at a page that
     * lacks what some worker knows, because that did not answer in time.
     */
    public function sessions(string $prefix = '', int $perPage = 1000): Generator
    {
        return $this->pages('sessions', fn (string $at): array => $this->page('sessions', $prefix, $perPage, $at));
    }

    /** All users that have a session, by name: "name", "members", "published". */
    public function users(string $prefix = '', int $perPage = 1000): Generator
    {
        return $this->pages('users', fn (string $at): array => $this->page('users', $prefix, $perPage, $at));
    }

    /** All channels that have somebody, by name: "name", "members", "subscribers", "published". */
    public function channels(string $prefix = '', int $perPage = 1000): Generator
    {
        return $this->pages('channels', fn (string $at): array => $this->page('channels', $prefix, $perPage, $at));
    }

    /**
     * All sessions of a user: "session", "user".
     *
     * @param string|int $user
     */
    public function sessionsOf($user, int $perPage = 1000): Generator
    {
        return $this->pages('sessions', fn (string $at): array => $this->user($user, $perPage, $at));
    }

    /** All sessions in a channel: "session", "user". */
    public function members(string $channel, int $perPage = 1000): Generator
    {
        return $this->pages('sessions', fn (string $at): array => $this->channel($channel, $perPage, $at));
    }

    /** The instance, its workers, counters, gauges and histograms. HTTP only. */
    public function info(): array
    {
        return $this->transport->info();
    }

    /** Counters and gauges by name, and of each histogram NAME.count, NAME.p50 and NAME.p99. */
    public function stats(): array
    {
        return $this->transport->stats();
    }

    // ---- Beside the calls.

    /** A message that is binary even if its bytes happen to be UTF-8: $hf->sendMsg($sid, Holdfast::binary($bytes)). */
    public static function binary(string $bytes): HoldfastBinary
    {
        return new HoldfastBinary($bytes);
    }

    /** In a gateway script: what has happened to which client. Throws no_event where Holdfast is not the caller. */
    public static function event(): HoldfastEvent
    {
        return new HoldfastEvent($_SERVER, (string) file_get_contents('php://input'));
    }

    private function call(string $op, array $keys): array
    {
        $command = self::checked(['op' => $op] + $keys);
        return $this->transport->call($this->key === '' ? $command : $command + ['id' => $this->key]);
    }

    private function pages(string $list, callable $page): Generator
    {
        $cursor = '';
        do {
            $answer = $page($cursor);
            if (($answer['partial'] ?? false) || ($answer['workers_failed'] ?? 0) > 0) {
                $message = "$list: a worker did not answer in time, the list has gaps";
                throw new HoldfastException('partial', $message, 0, $answer);
            }
            foreach ($answer[$list] as $row) {
                yield $row;
            }
            $cursor = $answer['cursor'] ?? '';
        } while ($cursor !== '');
    }

    private static function paging(int $limit, string $cursor): array
    {
        return ['limit' => $limit] + ($cursor === '' ? [] : ['cursor' => $cursor]);
    }

    /** A command with lists where lists belong, and strings for names. */
    private static function checked(array $command): array
    {
        $lists = ['sessions' => 'session', 'users' => 'user', 'channels' => 'channel', 'exclude' => 'excluded session'];
        foreach (array_intersect_key($lists, $command) as $key => $what) {
            $names = is_array($command[$key]) ? array_values($command[$key]) : [$command[$key]];
            $command[$key] = array_map(fn ($name): string => self::name($what, $name), $names);
        }
        foreach (array_intersect_key(['session' => 1, 'user' => 1], $command) as $key => $_) {
            $command[$key] = self::name($key, $command[$key]);
        }
        foreach (array_intersect_key(['set' => 1, 'merge' => 1], $command) as $key => $_) {
            $command[$key] = array_map([self::class, 'value'], (array) $command[$key]);
        }
        if (($command['exclude'] ?? null) === []) {
            unset($command['exclude']);
        }
        return $command;
    }

    private static function name(string $what, $name): string
    {
        if (!is_string($name) && !is_int($name)) {
            throw HoldfastException::argument("a $what is " . gettype($name) . ', not a string');
        }
        return (string) $name;
    }

    private static function value($value): string
    {
        if (!is_string($value) && !is_int($value) && $value !== null) {
            throw HoldfastException::argument('a value of the data is ' . gettype($value) . ', not a string');
        }
        return (string) $value;
    }

    /** [protocol, what stream_socket_client() takes, for the header Host] */
    private static function endpoint(string $address): array
    {
        $longest = 107;  // sockaddr_un; PHP would cut off the rest
        if (preg_match('~^(?:(http|resp)\+)?unix:(/[^\0]*)\z~', $address, $part) && strlen($part[2]) <= $longest) {
            return [$part[1] ?: 'http', "unix://$part[2]", 'localhost'];
        }
        $host = '\[[0-9a-f:.]+\]|[a-z0-9.-]+';
        if (preg_match("~^(?:(http|resp)://)?((?:$host):[0-9]{1,5})/?\z~i", $address, $part)) {
            return [strtolower($part[1]) ?: 'http', "tcp://$part[2]", $part[2]];
        }
        $forms = 'http://host:port, http+unix:/path, resp://host:port or resp+unix:/path';
        throw HoldfastException::argument("\"$address\" is not $forms (a path has at most $longest bytes)");
    }
}

/** A message to be sent as binary; see Holdfast::binary(). */
final class HoldfastBinary
{
    public string $bytes;

    public function __construct(string $bytes)
    {
        $this->bytes = $bytes;
    }
}

/** What the gateway has called the script for; see Holdfast::event(). */
final class HoldfastEvent
{
    public string $event;  // "connect", "message" or "close"
    public string $session;  // session id, 32 hexadecimal digits
    public string $user;  // what the session is bound to, or ""
    public string $body;  // the client's message
    public string $opcode;  // message: "text" or "binary"
    public string $reason;  // close: why, in words
    public int $code;  // close: the close code
    public array $data = [];  // the session's data: what Holdfast-Data headers and setData() have set

    /** @param array $server $_SERVER of the request */
    public function __construct(array $server, string $body)
    {
        $this->event = $server['HOLDFAST_EVENT'] ?? '';
        $this->session = $server['SESSIONID'] ?? '';
        if (!in_array($this->event, ['connect', 'message', 'close'], true) || $this->session === '') {
            throw new HoldfastException('no_event', 'not called by Holdfast: no HOLDFAST_EVENT and SESSIONID');
        }
        $this->user = $server['HOLDFAST_USER'] ?? '';
        $this->body = $body;
        $this->opcode = $server['HOLDFAST_OPCODE'] ?? '';
        $this->reason = $server['HOLDFAST_REASON'] ?? '';
        $this->code = (int) ($server['HOLDFAST_CODE'] ?? 0);
        // Not parse_str(): it would rewrite keys ("a.b", "a[b]") and stop at max_input_vars.
        foreach (array_filter(explode('&', $server['HOLDFAST_DATA'] ?? ''), 'strlen') as $pair) {
            [$key, $value] = explode('=', $pair, 2) + [1 => ''];
            $this->data[rawurldecode($key)] = rawurldecode($value);
        }
    }
}

/**
 * A call that was not carried out, or of which that is not known.
 *
 * errorCode is one of holdfast-api(7) ("unauthorized", "unknown_session", "too_large" ...) or of these:
 *
 *   connect       no connection: nothing was done
 *   timeout       no answer in time: the call may have been carried out
 *   closed        the connection ended before or in the answer: the call may have been carried out
 *   bad_answer    what came back is no answer of Holdfast's
 *   bad_argument  a wrong argument: nothing was sent
 *   needs_http    RESP cannot express it: nothing was sent
 *   refused       RESP: an error that has no code there; the message says what is wrong
 *   partial       a generator's next page lacks what some worker knows; answer() is that page
 *   busy          the object is in a call already (a signal handler, a coroutine): nothing was sent
 *   no_event      Holdfast::event() outside of a gateway script
 */
final class HoldfastException extends RuntimeException
{
    public string $errorCode;
    private array $answer;

    public function __construct(string $errorCode, string $message, int $status = 0, array $answer = [])
    {
        parent::__construct($message, $status);
        $this->errorCode = $errorCode;
        $this->answer = $answer;
    }

    public static function argument(string $message): self
    {
        return new self('bad_argument', $message);
    }

    public static function needsHttp(string $what): self
    {
        return new self('needs_http', "RESP has no $what: use an http address for it");
    }

    public function errorCode(): string
    {
        return $this->errorCode;
    }

    /** The HTTP status, or 0 where there was none. getCode() is the same. */
    public function status(): int
    {
        return $this->getCode();
    }

    /** The whole answer, where there was one: what was done in spite of the error. */
    public function answer(): array
    {
        return $this->answer;
    }
}

/**
 * What a command is, whatever protocol carries it.
 *
 * @internal
 */
final class HoldfastPayload
{
    public static function isText(string $bytes): bool
    {
        return preg_match('//u', $bytes) === 1;
    }

    /**
     * The bytes of a message.
     *
     * @param mixed $msg
     */
    public static function bytes($msg): string
    {
        if ($msg instanceof HoldfastBinary) {
            return $msg->bytes;
        }
        if (is_string($msg)) {
            return $msg;
        }
        $json = json_encode($msg, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION);
        if ($json === false) {
            throw HoldfastException::argument('the message cannot be written as JSON: ' . json_last_error_msg());
        }
        return $json;
    }

    /** Does it the same to carry the command out twice, and is the answer then the same? */
    public static function harmless(array $command): bool
    {
        return isset($command['id'])
            || in_array($command['op'], ['join', 'leave', 'bind', 'data'], true)
            || ($command['op'] === 'unbind' && !isset($command['user']));
    }
}

/**
 * The API in HTTP and JSON.
 *
 * @internal
 */
final class HoldfastHttp
{
    private HoldfastSocket $socket;
    private string $headers;
    private bool $repeat;

    public function __construct(HoldfastSocket $socket, string $host, string $token, bool $repeat)
    {
        $this->socket = $socket;
        $this->headers = "Host: $host\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
            . ($token === '' ? '' : "Authorization: Bearer $token\r\n");
        $this->repeat = $repeat;
    }

    public function __clone()
    {
        $this->socket = clone $this->socket;
    }

    public function needKeys(): void
    {
    }

    public function call(array $command): array
    {
        if (!$this->repeat || HoldfastPayload::harmless($command)) {
            return $this->post($command);
        }
        try {
            return $this->post($command + ['id' => bin2hex(random_bytes(16))]);
        } catch (HoldfastException $e) {
            if (!in_array($e->errorCode, ['keys_full', 'keys_off'], true)) {
                throw $e;
            }
        }
        return $this->post($command);  // nothing was done
    }

    public function batch(array $commands): array
    {
        $bodies = [];
        $harmless = true;
        foreach ($commands as $command) {
            $bodies[] = ['op' => $command['op']] + self::body($command);
            $harmless = $harmless && HoldfastPayload::harmless($command);
        }
        return $this->exchange('POST', '/v1/batch', self::json('batch', ['commands' => $bodies]), $harmless)['results'];
    }

    public function ask(string $list, ?string $name, array $query): array
    {
        $path = "/v1/$list" . ($name === null ? '' : '/' . rawurlencode($name))
            . ($query === [] ? '' : '?' . http_build_query($query, '', '&', PHP_QUERY_RFC3986));
        return $this->exchange('GET', $path, null, true);
    }

    public function history(string $channel, string $since, int $limit, bool $reverse): array
    {
        $query = ['limit' => $limit] + ($since === '' ? [] : ['since' => $since]) + ($reverse ? ['reverse' => 'true'] : []);
        $path = self::historyPath($channel) . '?' . http_build_query($query, '', '&', PHP_QUERY_RFC3986);
        $answer = $this->exchange('GET', $path, null, true);
        foreach ($answer['messages'] as &$message) {
            if (isset($message['data_base64'])) {
                $message['data'] = base64_decode($message['data_base64']);
                unset($message['data_base64']);
            }
        }
        return $answer;
    }

    public function deleteHistory(string $channel): array
    {
        return $this->exchange('DELETE', self::historyPath($channel), null, false);
    }

    private static function historyPath(string $channel): string
    {
        return '/v1/channels/' . rawurlencode($channel) . '/history';
    }

    public function info(): array
    {
        return $this->exchange('GET', '/v1/stats', null, true);
    }

    public function stats(): array
    {
        $info = $this->info();
        $stats = $info['counters'] + $info['gauges'];
        foreach ($info['histograms'] as $name => $values) {
            foreach (['count', 'p50', 'p99'] as $value) {
                $stats["$name.$value"] = $values[$value];
            }
        }
        return $stats;
    }

    private function post(array $command): array
    {
        $op = $command['op'];
        $json = self::json($op, self::body($command));
        return $this->exchange('POST', "/v1/$op", $json, HoldfastPayload::harmless($command));
    }

    /** The command's keys as HTTP has them. */
    private static function body(array $command): array
    {
        unset($command['op']);
        foreach (array_intersect_key(['set' => 1, 'merge' => 1], $command) as $key => $_) {
            $command[$key] = (object) $command[$key];
        }
        if (array_key_exists('data', $command)) {
            $bytes = HoldfastPayload::bytes($command['data']);
            $text = !$command['data'] instanceof HoldfastBinary && HoldfastPayload::isText($bytes);
            unset($command['data']);
            $command += $text ? ['data' => $bytes] : ['data_base64' => base64_encode($bytes), 'binary' => true];
        }
        return $command;
    }

    private static function json(string $call, array $body): string
    {
        $json = json_encode($body, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
        if ($json === false) {
            throw HoldfastException::argument("$call: a name, a key or the reason is not UTF-8");
        }
        return $json;
    }

    private function exchange(string $method, string $path, ?string $body, bool $harmless): array
    {
        $request = "$method $path HTTP/1.1\r\n{$this->headers}"
            . ($body === null ? "\r\n" : 'Content-Length: ' . strlen($body) . "\r\n\r\n$body");
        $call = "$method $path at {$this->socket->address}";
        $answer = new HoldfastHttpAnswer($call);
        $this->socket->exchange($call, $request, $harmless, $answer);
        return $answer->judged();
    }
}

/**
 * Takes the bytes of an answer as they come.
 *
 * @internal
 */
interface HoldfastAnswer
{
    /** A new connection, or the first: nothing has come yet. $greeted: a greeting was sent before the request. */
    public function begin(bool $greeted): void;

    /** Returns whether the answer is complete. Throws bad_answer. */
    public function feed(string $bytes): bool;

    /** Is the connection fit for another request? */
    public function reusable(): bool;
}

/**
 * The answer to one HTTP request.
 *
 * @internal
 */
final class HoldfastHttpAnswer implements HoldfastAnswer
{
    private const MAX_HEAD = 65536;

    private string $call;
    private string $input = '';
    private int $headBytes = 0;  // 0: not complete yet
    private int $bodyBytes = 0;
    private int $status = 0;
    private bool $keep = false;
    private bool $repeated = false;

    public function __construct(string $call)
    {
        $this->call = $call;
    }

    public function begin(bool $greeted): void
    {
        $this->input = '';
        $this->headBytes = 0;
    }

    public function feed(string $bytes): bool
    {
        $this->input .= $bytes;
        if ($this->headBytes === 0) {
            $this->readHead();
        }
        return $this->headBytes > 0 && strlen($this->input) >= $this->headBytes + $this->bodyBytes;
    }

    public function reusable(): bool
    {
        return $this->keep && strlen($this->input) === $this->headBytes + $this->bodyBytes;
    }

    /** What it says, or throws. */
    public function judged(): array
    {
        $text = substr($this->input, $this->headBytes, $this->bodyBytes);
        $answer = json_decode($text, true);
        if ($this->status === 200 && is_array($answer)) {
            return $answer + ($this->repeated ? ['repeated' => true] : []);
        }
        $error = is_array($answer) ? ($answer['error'] ?? null) : null;
        if ($this->status === 200 || !is_string($error['code'] ?? null)) {
            $start = substr((string) preg_replace('/[^\x20-\x7e]+/', ' ', $text), 0, 100);
            throw $this->bad("{$this->status} with an answer that is not Holdfast's: $start");
        }
        $why = is_string($error['message'] ?? null) ? $error['message'] : 'no message';
        $message = "{$this->call}: {$this->status} {$error['code']}: $why";
        throw new HoldfastException($error['code'], $message, $this->status, $answer);
    }

    private function readHead(): void
    {
        $end = strpos($this->input, "\r\n\r\n");
        if ($end === false) {
            if (strlen($this->input) > self::MAX_HEAD) {
                throw $this->bad('no end of the headers after ' . strlen($this->input) . ' bytes');
            }
            return;
        }
        $head = substr($this->input, 0, $end + 2);
        if (
            !preg_match('~^HTTP/1\.1 ([2-5][0-9]{2})[ \r]~', $head, $status)
            || !preg_match('~\r\nContent-Length:[ \t]*([0-9]{1,15})[ \t]*\r\n~i', $head, $length)
        ) {
            throw $this->bad('this is no HTTP/1.1 answer with a Content-Length');
        }
        $this->status = (int) $status[1];
        $this->bodyBytes = (int) $length[1];
        $this->headBytes = $end + 4;
        $this->keep = !preg_match('~\r\nConnection:[^\r]*\bclose\b~i', $head);
        $this->repeated = preg_match('~\r\nHoldfast-Repeated:[ \t]*true[ \t]*\r\n~i', $head) === 1;
    }

    private function bad(string $message): HoldfastException
    {
        return new HoldfastException('bad_answer', "{$this->call}: $message", $this->status);
    }
}

/**
 * The API in RESP2, the protocol of Redis. A call that names several sessions, users or channels is several commands
 * in one piece: where one of them is refused, the others are carried out, and the exception's answer() says what was.
 *
 * @internal
 */
final class HoldfastResp
{
    private const ERRORS = ['NOAUTH' => 'unauthorized', 'WRONGPASS' => 'unauthorized', 'NOPERM' => 'forbidden',
        'TRYAGAIN' => 'overloaded'];
    private const KEYS = ['op', 'sessions', 'users', 'channels', 'session', 'user', 'data', 'set', 'merge', 'code',
        'reason', 'version', 'history'];
    private const HTTP_KEYS = ['id', 'exclude', 'binary', 'data_base64'];

    private HoldfastSocket $socket;
    private string $greeting = '';
    private int $greetings = 0;  // answers to it

    public function __construct(HoldfastSocket $socket, string $token, bool $persistent)
    {
        $this->socket = $socket;
        if ($persistent) {  // a kept connection has the token of whoever used it before
            $this->greeting = self::written(['RESET']);
            $this->greetings = 1;
        }
        if ($token !== '') {
            $this->greeting .= self::written(['AUTH', $token]);
            $this->greetings++;
        }
    }

    public function __clone()
    {
        $this->socket = clone $this->socket;
    }

    public function needKeys(): void
    {
        throw HoldfastException::needsHttp('idempotency keys');
    }

    public function call(array $command): array
    {
        $requests = $this->requests($command);
        $replies = $this->exchange($requests, HoldfastPayload::harmless($command));
        [$answer, $error] = $this->outcome($command, $replies);
        if ($error !== null) {
            throw $this->failure($requests[0][0], $error, $answer);
        }
        return $answer;
    }

    public function batch(array $commands): array
    {
        $requests = [];
        $harmless = true;
        foreach ($commands as $command) {
            $requests[] = $this->requests($command);
            $harmless = $harmless && HoldfastPayload::harmless($command);
        }
        $replies = $this->exchange(array_merge(...$requests), $harmless);
        $results = [];
        foreach ($commands as $i => $command) {
            [$answer, $error] = $this->outcome($command, array_splice($replies, 0, count($requests[$i])));
            $ending = $error === null ? [] : ['error' => $error];
            $results[] = ['status' => $error === null ? 200 : 0] + $answer + $ending;
        }
        return $results;
    }

    public function ask(string $list, ?string $name, array $query): array
    {
        $command = 'HF.' . strtoupper($name === null ? $list : substr($list, 0, -1));
        $request = $name === null ? [$command] : [$command, $name];
        foreach (['cursor' => 'CURSOR', 'limit' => 'COUNT', 'prefix' => 'PREFIX'] as $key => $option) {
            if (isset($query[$key])) {
                array_push($request, $option, (string) $query[$key]);
            }
        }
        $reply = $this->asked($request);
        if ($name === null) {
            return $this->listPage($list, $reply);
        }
        return $list === 'sessions' ? $this->oneSession($name, $reply) : $this->memberPage($list, $reply);
    }

    public function history(string $channel, string $since, int $limit, bool $reverse): array
    {
        $range = ['LIMIT', (string) $limit];
        if ($since !== '') {
            array_push($range, 'SINCE', $since);
        }
        if ($reverse) {
            $range[] = 'REV';
        }
        $map = $this->map($this->asked(array_merge(['HF.HISTORY', $channel], $range)));
        $now = (int) (microtime(true) * 1000);
        $messages = [];
        foreach ($this->records(['position', 'time_ms', 'data'], $map['messages'] ?? []) as $message) {
            $message['time_ms'] = $now - $message['time_ms'];  // it came as an age
            $messages[] = $message;
        }
        $stream = self::stream($map);
        $answer = ['channel' => $channel, 'history' => $stream];
        if (!$reverse) {
            $answer['complete'] = self::isComplete($stream, $since);
        }
        $last = $messages === [] ? null : self::offset(end($messages)['position']);
        $end = $reverse ? $stream['first'] : self::offset((string) $stream['position']);
        return $answer + ['messages' => $messages, 'more' => $last !== null && ($reverse ? $last > $end : $last < $end)];
    }

    public function deleteHistory(string $channel): array
    {
        $reply = $this->exchange([['HF.DELHISTORY', $channel]], false)[0];
        if ($reply instanceof HoldfastRespError) {
            throw $this->failure('HF.DELHISTORY', self::error($reply));
        }
        return ['channel' => $channel, 'history' => self::stream($this->map($reply))];
    }

    /** "history" as HTTP has it. */
    private static function stream(array $map): array
    {
        $stream = ['position' => $map['position'] ?? null];
        foreach (['first' => 'first', 'messages' => 'kept', 'bytes' => 'bytes', 'early' => 'early'] as $key => $name) {
            $stream[$key] = (int) ($map[$name] ?? 0);
        }
        return $stream;
    }

    private static function offset(string $position): int
    {
        return (int) substr((string) strrchr($position, ':'), 1);
    }

    private static function isComplete(array $stream, string $since): bool
    {
        $last = self::offset((string) $stream['position']);
        if ($since === '') {
            return $stream['first'] === 1 || $last === 0;
        }
        $from = self::offset($since);
        if (strtok($since, ':') !== strtok((string) $stream['position'], ':') || $from > $last) {
            return false;
        }
        return $from === $last || ($stream['first'] !== 0 && $stream['first'] <= $from + 1);
    }

    public function info(): array
    {
        throw HoldfastException::needsHttp('info(), but stats()');
    }

    public function stats(): array
    {
        return $this->map($this->asked(['HF.STATS']));
    }

    // ---- Commands

    /** The RESP commands that do what the command says: lists of their words. */
    private function requests(array $command): array
    {
        foreach (array_diff_key($command, array_flip(self::KEYS)) as $key => $_) {
            if (!in_array($key, self::HTTP_KEYS, true)) {
                throw HoldfastException::argument("{$command['op']}: there is no key \"$key\"");
            }
            throw HoldfastException::needsHttp($key === 'id' ? 'idempotency keys' : "\"$key\"");
        }
        if ($command['op'] !== 'publish' && (isset($command['history']) || isset($command['version']))) {
            throw HoldfastException::argument("{$command['op']}: \"version\" and \"history\" are for publish");
        }
        $requests = $this->translated($command);
        if ($requests === []) {
            throw HoldfastException::argument("{$command['op']}: nobody is named");
        }
        return $requests;
    }

    private function translated(array $command): array
    {
        switch ($command['op']) {
            case 'send':
                return self::each('HF.SEND', self::part($command, 'sessions'), [self::message($command)]);
            case 'send-user':
                return self::each('HF.SENDUSER', self::part($command, 'users'), [self::message($command)]);
            case 'send-all':
                return [['HF.SENDALL', self::message($command)]];
            case 'publish':
                $name = self::asksForPositions($command) ? 'HF.PUBLISH' : 'PUBLISH';
                $rest = array_merge([self::message($command)], self::keeping($command));
                return self::each($name, self::part($command, 'channels'), $rest);
            case 'join':
                return self::memberships('HF.JOIN', $command);
            case 'leave':
                return self::memberships('HF.LEAVE', $command);
            case 'bind':
                return [['HF.BIND', self::part($command, 'session'), self::part($command, 'user')]];
            case 'unbind':
                $from = isset($command['user']) ? [$command['user']] : [];
                return [array_merge(['HF.UNBIND', self::part($command, 'session')], $from)];
            case 'data':
                return [self::dataRequest($command)];
            case 'kick':
                $names = ['sessions' => 'HF.KICK', 'users' => 'HF.KICKUSER', 'channels' => 'HF.KICKCHANNEL'];
                $whom = self::oneOf($command, array_keys($names));
                $farewell = [(string) ($command['code'] ?? 4000), (string) ($command['reason'] ?? '')];
                return self::each($names[$whom], $command[$whom], $farewell);
        }
        throw HoldfastException::argument("\"{$command['op']}\" is no op");
    }

    private static function asksForPositions(array $command): bool
    {
        return $command['op'] === 'publish' && (isset($command['history']) || isset($command['version']));
    }

    /** What HF.PUBLISH has after the message. */
    private static function keeping(array $command): array
    {
        return array_merge(
            isset($command['version']) ? ['VERSION', (string) $command['version']] : [],
            ($command['history'] ?? true) ? [] : ['NOHISTORY']
        );
    }

    private static function each(string $name, array $whom, array $rest): array
    {
        return array_map(fn (string $one): array => array_merge([$name, $one], $rest), $whom);
    }

    /** Of sessions one by one, so that the answers tell which are unknown. */
    private static function memberships(string $name, array $command): array
    {
        $channels = self::part($command, 'channels');
        $whom = self::oneOf($command, ['sessions', 'users']);
        if ($whom === 'users') {
            return $command['users'] === [] ? [] : self::each("{$name}USER", $channels, $command['users']);
        }
        $requests = [];
        foreach ($command['sessions'] as $session) {
            $requests[] = self::each($name, $channels, [$session]);
        }
        return array_merge([], ...$requests);
    }

    private static function oneOf(array $command, array $keys): string
    {
        $given = array_keys(array_intersect_key(array_flip($keys), $command));
        if (count($given) !== 1) {
            $list = implode(', ', $keys);
            throw HoldfastException::argument("{$command['op']}: exactly one of $list is needed");
        }
        return $given[0];
    }

    private static function dataRequest(array $command): array
    {
        $merge = isset($command['merge']);
        $request = ['HF.DATA', self::part($command, 'session'), $merge ? 'MERGE' : 'SET'];
        foreach (self::part($command, $merge ? 'merge' : 'set') as $key => $value) {
            array_push($request, (string) $key, $value);
        }
        return $request;
    }

    /** @return mixed */
    private static function part(array $command, string $key)
    {
        if (!isset($command[$key])) {
            throw HoldfastException::argument("{$command['op']}: there is no \"$key\"");
        }
        return $command[$key];
    }

    private static function message(array $command): string
    {
        if (!array_key_exists('data', $command)) {
            throw HoldfastException::argument("{$command['op']}: there is no \"data\"");
        }
        $bytes = HoldfastPayload::bytes($command['data']);
        if ($command['data'] instanceof HoldfastBinary && HoldfastPayload::isText($bytes)) {
            throw HoldfastException::needsHttp('binary message whose bytes are UTF-8');
        }
        return $bytes;
    }

    /** What HTTP would have answered, and the first error (its code and message) or null: [answer, error]. */
    private function outcome(array $command, array $replies): array
    {
        if (self::asksForPositions($command)) {
            return $this->placed($command['channels'], $replies);
        }
        $error = null;
        $counts = [];
        foreach ($replies as $reply) {
            if ($reply instanceof HoldfastRespError) {
                $error = $error ?? self::error($reply);
            } elseif (!is_int($reply)) {
                throw $this->unexpected($reply);
            }
            $counts[] = is_int($reply) ? $reply : null;
        }
        if (isset($command['sessions'])) {
            return [self::bySession($command['sessions'], $counts), $error];
        }
        if (isset($command['session']) && $counts === [0]) {
            return [['delivered' => 0], self::unknown($command['session'])];
        }
        // The same sessions join each of the channels.
        $same = in_array($command['op'], ['join', 'leave'], true);
        return [['delivered' => (int) ($same ? max($counts) : array_sum($counts))], $error];
    }

    /** The same of HF.PUBLISH, once for each channel. */
    private function placed(array $channels, array $replies): array
    {
        $error = null;
        $answer = ['delivered' => 0];
        foreach ($replies as $i => $reply) {
            if ($reply instanceof HoldfastRespError) {
                $error = $error ?? self::error($reply);
                continue;
            }
            $map = $this->map($reply);
            $answer['delivered'] += (int) ($map['delivered'] ?? 0);
            if (isset($map['position'])) {
                $answer['positions'][$channels[$i]] = $map['position'];
            }
            if (($map['superseded'] ?? 0) === 1) {
                $answer['superseded'][] = $channels[$i];
            }
        }
        return [$answer, $error];
    }

    /** So many counts for each session; null for an error. */
    private static function bySession(array $sessions, array $counts): array
    {
        $answer = ['delivered' => 0, 'unknown' => []];
        foreach (array_chunk($counts, intdiv(count($counts), count($sessions))) as $i => $own) {
            if (array_sum($own) > 0) {
                $answer['delivered']++;
            } elseif (!in_array(null, $own, true)) {
                $answer['unknown'][] = $sessions[$i];
            }
        }
        return $answer;
    }

    // ---- Questions

    /** @return mixed */
    private function asked(array $request)
    {
        $reply = $this->exchange([$request], true)[0];
        if ($reply instanceof HoldfastRespError) {
            throw $this->failure($request[0], self::error($reply));
        }
        return $reply;
    }

    private function oneSession(string $sid, $reply): array
    {
        if ($reply === null) {
            throw $this->failure('HF.SESSION', self::unknown($sid));
        }
        $session = $this->map($reply);
        if (isset($session['data'])) {
            $session['data'] = $this->map($session['data']);
        }
        if (($session['listener'] ?? '') === '') {
            unset($session['listener']);
        }
        return self::marked($session);
    }

    private function memberPage(string $list, $reply): array
    {
        $page = $this->map($reply);
        $sessions = $page['sessions'] ?? null;
        if (!is_array($sessions)) {
            throw $this->unexpected($reply);
        }
        if ($list === 'users') {
            $page['online'] = ($page['online'] ?? 0) === 1;
            $user = $page['user'] ?? '';
            $page['sessions'] = array_map(fn ($id): array => ['session' => $id, 'user' => $user], $sessions);
        } else {
            $page['sessions'] = $this->records(['session', 'user'], array_chunk($sessions, 2));
        }
        return self::marked($page);
    }

    private function listPage(string $list, $reply): array
    {
        if (!is_array($reply) || count($reply) !== 2 || !is_array($reply[1])) {
            throw $this->unexpected($reply);
        }
        if ($list === 'sessions') {
            $rows = $this->records(['session', 'user'], array_chunk($reply[1], 2));
        } else {
            $columns = ['users' => ['name', 'members', 'published'],
                'channels' => ['name', 'members', 'subscribers', 'published']];
            $rows = $this->records($columns[$list], $reply[1]);
        }
        return self::marked([$list => $rows, 'cursor' => $reply[0]]);
    }

    /** "cursor" and "partial" as HTTP has them: only where they say something. */
    private static function marked(array $page): array
    {
        if (($page['cursor'] ?? '0') === '0') {
            unset($page['cursor']);
        }
        if (isset($page['partial'])) {
            $page['partial'] = true;
        }
        return $page;
    }

    private function records(array $columns, array $rows): array
    {
        $records = [];
        foreach ($rows as $row) {
            if (!is_array($row) || count($row) !== count($columns)) {
                throw $this->unexpected($row);
            }
            $records[] = array_combine($columns, $row);
        }
        return $records;
    }

    private function map($reply): array
    {
        if (!is_array($reply) || count($reply) % 2 !== 0) {
            throw $this->unexpected($reply);
        }
        $map = [];
        foreach (array_chunk($reply, 2) as [$key, $value]) {
            if (!is_string($key)) {
                throw $this->unexpected($key);
            }
            $map[$key] = $value;
        }
        return $map;
    }

    // ---- The wire

    /** Carries out commands; returns their replies. */
    private function exchange(array $requests, bool $harmless): array
    {
        $call = "{$requests[0][0]} at {$this->socket->address}";
        $answer = new HoldfastRespAnswer($call, count($requests), $this->greetings);
        $bytes = implode('', array_map([self::class, 'written'], $requests));
        $this->socket->exchange($call, $bytes, $harmless, $answer, $this->greeting);
        return $answer->replies();
    }

    private static function written(array $words): string
    {
        $bytes = '*' . count($words) . "\r\n";
        foreach ($words as $word) {
            $bytes .= '$' . strlen($word) . "\r\n$word\r\n";
        }
        return $bytes;
    }

    private static function error(HoldfastRespError $reply): array
    {
        $word = strtok($reply->message, ' ');
        return ['code' => self::ERRORS[$word] ?? 'refused', 'message' => $reply->message];
    }

    private static function unknown(string $sid): array
    {
        return ['code' => 'unknown_session', 'message' => "no session $sid is connected"];
    }

    private function failure(string $name, array $error, array $answer = []): HoldfastException
    {
        $message = "$name at {$this->socket->address}: {$error['message']}";
        return new HoldfastException($error['code'], $message, 0, $answer);
    }

    private function unexpected($reply): HoldfastException
    {
        $start = substr((string) json_encode($reply, JSON_PARTIAL_OUTPUT_ON_ERROR), 0, 100);
        return new HoldfastException('bad_answer', "{$this->socket->address}: a reply that is not Holdfast's: $start");
    }
}

/** @internal */
final class HoldfastRespError
{
    public string $message;

    public function __construct(string $message)
    {
        $this->message = $message;
    }
}

/**
 * The replies to RESP commands that were sent in one piece. Arrays in progress are on a stack, so that a reply of any
 * size is looked at once, however many pieces it comes in.
 *
 * @internal
 */
final class HoldfastRespAnswer implements HoldfastAnswer
{
    private const MAX_LINE = 65536;
    private const MAX_DEPTH = 8;

    private string $call;
    private int $wanted;
    private int $greetings;
    private bool $greeted = false;
    private string $input = '';
    private int $at = 0;  // what stands before it is in $replies or $open
    private array $replies = [];
    private array $open = [];  // arrays that are not complete: [elements, how many it will have]

    public function __construct(string $call, int $wanted, int $greetings)
    {
        $this->call = $call;
        $this->wanted = $wanted;
        $this->greetings = $greetings;
    }

    public function begin(bool $greeted): void
    {
        $this->greeted = $greeted;
        $this->input = '';
        $this->at = 0;
        $this->replies = [];
        $this->open = [];
    }

    public function feed(string $bytes): bool
    {
        $this->input .= $bytes;
        $wanted = $this->wanted + ($this->greeted ? $this->greetings : 0);
        while (count($this->replies) < $wanted && $this->readElement()) {
        }
        if ($this->at > 65536) {
            $this->input = substr($this->input, $this->at);
            $this->at = 0;
        }
        return count($this->replies) === $wanted;
    }

    public function reusable(): bool
    {
        return $this->at === strlen($this->input) && $this->refusal() === null;
    }

    /** Without those to the greeting. Throws where the token was refused. */
    public function replies(): array
    {
        $refusal = $this->refusal();
        if ($refusal !== null) {
            throw new HoldfastException('unauthorized', "{$this->call}: $refusal");
        }
        return array_slice($this->replies, $this->greeted ? $this->greetings : 0);
    }

    /** Not the ERR of a server that has no tokens: there everybody may do everything. */
    private function refusal(): ?string
    {
        $error = $this->greeted ? $this->replies[$this->greetings - 1] ?? null : null;
        $refused = $error instanceof HoldfastRespError && strncmp($error->message, 'ERR ', 4) !== 0;
        return $refused ? $error->message : null;
    }

    /** One simple value, or the head of an array. Returns false where it is not there as a whole. */
    private function readElement(): bool
    {
        $end = strpos($this->input, "\r\n", $this->at);
        if ($end === false || $end - $this->at > self::MAX_LINE) {
            if (strlen($this->input) - $this->at > self::MAX_LINE || !$this->beginsWell()) {
                throw $this->bad();
            }
            return false;
        }
        $line = substr($this->input, $this->at + 1, $end - $this->at - 1);
        switch ($this->input[$this->at]) {
            case '+':
                return $this->took($line, $end + 2);
            case '-':
                return $this->took(new HoldfastRespError($line), $end + 2);
            case ':':
                return $this->took($this->number($line, 19), $end + 2);
            case '$':
                return $this->readBulk($this->number($line, 10), $end + 2);
            case '*':
                return $this->openArray($this->number($line, 8), $end + 2);
        }
        throw $this->bad();
    }

    private function readBulk(int $bytes, int $from): bool
    {
        if ($bytes < 0) {
            return $this->took(null, $from);
        }
        if (strlen($this->input) < $from + $bytes + 2) {
            return false;
        }
        if (substr($this->input, $from + $bytes, 2) !== "\r\n") {
            throw $this->bad();
        }
        return $this->took(substr($this->input, $from, $bytes), $from + $bytes + 2);
    }

    private function openArray(int $elements, int $from): bool
    {
        if ($elements <= 0) {
            return $this->took($elements < 0 ? null : [], $from);
        }
        if (count($this->open) === self::MAX_DEPTH) {
            throw $this->bad();
        }
        $this->open[] = [[], $elements];
        $this->at = $from;
        return true;
    }

    /** A value is complete, and perhaps the arrays it is the last element of. */
    private function took($value, int $at): bool
    {
        $this->at = $at;
        while ($this->open !== []) {
            $top = count($this->open) - 1;
            $this->open[$top][0][] = $value;
            if (count($this->open[$top][0]) < $this->open[$top][1]) {
                return true;
            }
            $value = array_pop($this->open)[0];
        }
        $this->replies[] = $value;
        return true;
    }

    private function number(string $digits, int $most): int
    {
        if (!preg_match("/^(?:-1|-?[0-9]{1,$most})\z/", $digits)) {
            throw $this->bad();
        }
        return (int) $digits;
    }

    private function beginsWell(): bool
    {
        return $this->at === strlen($this->input) || strpos('+-:$*', $this->input[$this->at]) !== false;
    }

    private function bad(): HoldfastException
    {
        $start = substr((string) preg_replace('/[^\x20-\x7e]+/', ' ', substr($this->input, $this->at, 100)), 0, 100);
        return new HoldfastException('bad_answer', "{$this->call}: this is not RESP: $start");
    }
}

/**
 * The connection: one request at a time.
 *
 * It is kept only if its last answer was read to its end and the server did not say that it closes. Everything else, an
 * exception or the end of the script included, closes it: a later call must never read the answer of an earlier one.
 *
 * @internal
 */
final class HoldfastSocket
{
    private const CHUNK = 65536;

    /** @var array<int, int> which object has greeted on which persistent connection in this script */
    private static array $greetedBy = [];

    public string $address;
    private string $url;
    private float $timeout;
    private float $connectTimeout;
    private bool $persistent;

    /** @var resource|null */
    private $socket = null;
    private int $pid = 0;  // the process that has opened it: after a fork the child must not use it
    private bool $busy = false;  // a call is under way
    private bool $greeted = false;  // on this connection
    private string $call = '';  // the call, for messages
    private float $deadline = 0.0;
    private int $sent = 0;  // bytes of the request, on the connection of now
    private bool $answering = false;  // a byte of the answer has come on it

    public function __construct(string $address, string $url, float $timeout, float $connectTimeout, bool $persistent)
    {
        if (!($timeout > 0) || !($connectTimeout > 0)) {
            throw HoldfastException::argument('a timeout must be more than 0 seconds');
        }
        $this->address = $address;
        $this->url = $url;
        $this->timeout = $timeout;
        $this->connectTimeout = $connectTimeout;
        $this->persistent = $persistent;
    }

    public function __clone()
    {
        $this->socket = null;
        $this->busy = false;
    }

    /**
     * Sends a request and has its answer read.
     *
     * @param bool   $harmless whether it may be repeated although it was sent
     * @param string $greeting to be sent first on a connection that this object has not used yet
     */
    public function exchange(
        string $call,
        string $request,
        bool $harmless,
        HoldfastAnswer $answer,
        string $greeting = ''
    ): void {
        if ($this->busy) {
            throw new HoldfastException('busy', "$call: another call of this object is under way");
        }
        $this->busy = true;
        $this->call = $call;
        $this->deadline = self::now() + $this->timeout;
        $reusable = false;
        try {
            if (!$this->attempt($request, $answer, $greeting)) {
                $this->repeat($request, $harmless, $answer, $greeting);
            }
            $reusable = $answer->reusable();
        } finally {
            if (!$reusable) {
                $this->close();
            }
            $this->busy = false;
        }
    }

    /** On a new connection, after one that has ended. */
    private function repeat(string $request, bool $harmless, HoldfastAnswer $answer, string $greeting): void
    {
        $sent = $this->sent;
        $ended = $this->ended();
        $this->close();
        if ($sent > 0 && !$harmless) {
            throw $ended;
        }
        try {
            $again = $this->attempt($request, $answer, $greeting);
        } catch (HoldfastException $e) {
            // "connect" would mean that nothing was done.
            throw $sent > 0 && $e->errorCode === 'connect' ? new HoldfastException('closed', $e->getMessage()) : $e;
        }
        if (!$again) {
            throw $this->ended();
        }
    }

    /** Returns false where the connection has ended before the answer has. */
    private function attempt(string $request, HoldfastAnswer $answer, string $greeting): bool
    {
        $this->sent = 0;
        $this->answering = false;
        $this->reuse() || $this->connect();
        $greets = $greeting !== '' && !$this->hasGreeted();
        $answer->begin($greets);
        $complete = $this->transfer($greets ? $greeting . $request : $request, $answer);
        if ($complete && $greets && $this->socket !== null) {
            $this->greeted = true;
            if ($this->persistent) {
                self::$greetedBy[(int) $this->socket] = spl_object_id($this);
            }
        }
        return $complete;
    }

    /** Reads while it writes: a server that refuses a large request answers before its end. */
    private function transfer(string $request, HoldfastAnswer $answer): bool
    {
        $size = strlen($request);
        $writing = true;
        for (;;) {
            [$readable, $writable] = $this->wait($writing);
            if ($writable) {
                $written = @fwrite($this->socket, substr($request, $this->sent, self::CHUNK));
                $this->sent += (int) $written;
                $writing = $written !== false && $this->sent < $size;
            }
            if (!$readable) {
                continue;
            }
            $bytes = (string) @fread($this->socket, self::CHUNK);
            if ($bytes === '' && stream_get_meta_data($this->socket)['eof']) {
                return false;
            }
            $this->answering = $this->answering || $bytes !== '';
            if ($answer->feed($bytes)) {
                if ($this->sent < $size) {
                    $this->close();  // what is missing of the request must not precede the next one
                }
                return true;
            }
        }
    }

    private function ended(): HoldfastException
    {
        return $this->failure('closed', $this->answering
            ? 'the connection ended in the middle of the answer'
            : 'the server closed the connection without an answer');
    }

    private function hasGreeted(): bool
    {
        $last = self::$greetedBy[(int) $this->socket] ?? 0;
        return $this->greeted && (!$this->persistent || $last === spl_object_id($this));
    }

    /** Is there a kept connection that is fit for another request? */
    private function reuse(): bool
    {
        if (!is_resource($this->socket)) {
            return false;
        }
        if ($this->pid === getmypid() && !$this->hasInput()) {
            return true;
        }
        $this->close();
        return false;
    }

    /** Between two calls, input is the end of the connection (or bytes that nobody asked for, which is no better). */
    private function hasInput(): bool
    {
        $read = [$this->socket];
        $none = null;
        return @stream_select($read, $none, $none, 0) !== 0;
    }

    private function connect(): void
    {
        // Where it is persistent, PHP may have one of an earlier script at hand.
        if ($this->open() && $this->hasInput()) {
            $this->close();
            $this->open();
        }
    }

    /** Returns whether it is one that was kept. */
    private function open(): bool
    {
        $within = min($this->connectTimeout, max(0.001, $this->deadline - self::now()));
        $flags = STREAM_CLIENT_CONNECT | ($this->persistent ? STREAM_CLIENT_PERSISTENT : 0);
        $context = stream_context_create(['socket' => ['tcp_nodelay' => true]]);
        $socket = @stream_socket_client($this->url, $errno, $why, $within, $flags, $context);
        if ($socket === false) {
            throw $this->failure('connect', 'cannot connect: ' . ($why !== '' ? $why : "error $errno"));
        }
        $this->socket = $socket;
        $this->pid = (int) getmypid();
        $this->greeted = false;
        $kept = !stream_get_meta_data($socket)['blocked'];  // a new one blocks; nothing but this line changes that
        stream_set_blocking($socket, false);
        stream_set_read_buffer($socket, 0);  // whole chunks, and stream_select() sees all there is
        if ($this->persistent) {
            $this->closeWithScript();
        }
        return $kept;
    }

    /** A script that dies within a call (memory, time) must not leave half an answer to the next one. */
    private function closeWithScript(): void
    {
        $socket = $this->socket;
        register_shutdown_function(function () use ($socket): void {
            if ($this->busy && is_resource($socket)) {
                fclose($socket);
            }
        });
    }

    private function close(): void
    {
        if (is_resource($this->socket)) {
            unset(self::$greetedBy[(int) $this->socket]);
            fclose($this->socket);  // a persistent one as well
        }
        $this->socket = null;
    }

    /** Until the socket is ready: [readable, writable]. */
    private function wait(bool $writing): array
    {
        $left = $this->deadline - self::now();
        if ($left <= 0) {
            throw $this->failure('timeout', "no answer within {$this->timeout} s");
        }
        $read = [$this->socket];
        $write = $writing ? [$this->socket] : null;
        $except = null;
        error_clear_last();
        $ready = @stream_select($read, $write, $except, (int) $left, (int) (($left - (int) $left) * 1e6));
        if ($ready === false) {
            $error = error_get_last()['message'] ?? '';
            if ($error !== '' && strpos($error, '[4]') === false) {  // EINTR: a signal came
                throw $this->failure('closed', $error);
            }
            return [false, false];
        }
        return [$read !== [], $write !== null && $write !== []];
    }

    private function failure(string $code, string $message): HoldfastException
    {
        return new HoldfastException($code, "{$this->call}: $message");
    }

    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
