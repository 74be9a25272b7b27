<?php
// SPDX-License-Identifier: Apache-2.0
//
// Holdfast.php - push to the clients of a Holdfast gateway from PHP 7.4 or newer. One file, no dependencies.
//
//     $hf = new Holdfast('127.0.0.1:8081');
//     $hf->publish('room1', 'hello');
//
// It talks HTTP and JSON to an address of an [[api]] section; holdfast-api(7) says what each call does and answers.
// Every call returns the answer as an array, or throws a HoldfastException.
//
// One connection is kept for the object's life. Where the server has closed it meanwhile (it does so after 75 s of
// silence, and with a restart), the call is made once more on a new one, provided no byte of an answer had come. That is
// the only repetition: a call that fails in any other way is never sent twice.

declare(strict_types=1);

class Holdfast
{
    private HoldfastConnection $connection;

    /**
     * Does not connect yet.
     *
     * @param string $address        "127.0.0.1:8081", "[::1]:8081" or "unix:/path"
     * @param string $token          one of the API's token_file; white space around it is cut off
     * @param float  $timeout        seconds for a call as a whole, connecting included
     * @param float  $connectTimeout seconds for connecting
     * @param bool   $persistent     keep the connection when the script ends, for the next one that the same php-fpm
     *                               child runs; not for programs that fork
     */
    public function __construct(
        string $address = '127.0.0.1:8081',
        string $token = '',
        float $timeout = 5.0,
        float $connectTimeout = 1.0,
        bool $persistent = false
    ) {
        $this->connection = new HoldfastConnection($address, trim($token), $timeout, $connectTimeout, $persistent);
    }

    public function __clone()
    {
        $this->connection = clone $this->connection;
    }

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
        return $this->post('send', ['sessions' => self::names('session', $sid)] + self::payload($msg));
    }

    /**
     * To every session but the excluded ones. Answer: "delivered".
     *
     * @param mixed    $msg
     * @param string[] $exclude sessions
     */
    public function sendAllMsg($msg, array $exclude = []): array
    {
        return $this->post('send-all', self::payload($msg) + self::excluded($exclude));
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
        $to = ['channels' => self::names('channel', $channel)];
        return $this->post('publish', $to + self::payload($msg) + self::excluded($exclude));
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
        $to = ['users' => self::names('user', $user)];
        return $this->post('send-user', $to + self::payload($msg) + self::excluded($exclude));
    }

    /**
     * Makes sessions members of channels. Answer: "delivered" (how many sessions that concerned), "unknown".
     *
     * @param string|string[] $channel
     * @param string|string[] $sid
     */
    public function addChannel($channel, $sid): array
    {
        return $this->post('join', self::membership($channel, $sid));
    }

    /**
     * Ends memberships. Answer as for addChannel().
     *
     * @param string|string[] $channel
     * @param string|string[] $sid
     */
    public function delChannel($channel, $sid): array
    {
        return $this->post('leave', self::membership($channel, $sid));
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
        return $this->post('kick', ['sessions' => self::names('session', $sid), 'code' => $code, 'reason' => $reason]);
    }

    /**
     * Binds a session to a user. Throws unknown_session.
     *
     * @param string|int $user
     */
    public function bind(string $sid, $user): array
    {
        return $this->post('bind', ['session' => $sid, 'user' => self::names('user', [$user])[0]]);
    }

    /**
     * Ends that. With a user: only where the session is bound to that one; throws other_user otherwise. Throws
     * unknown_session.
     *
     * @param string|int|null $user
     */
    public function unbind(string $sid, $user = null): array
    {
        $from = $user === null ? [] : ['user' => self::names('user', [$user])[0]];
        return $this->post('unbind', ['session' => $sid] + $from);
    }

    /** The instance, its workers, counters, gauges and histograms. */
    public function info(): array
    {
        return $this->connection->call('GET', '/v1/stats', null);
    }

    /** Channels that have members. Answer: "channels", a list of "name" and "members"; "more" if the limit cut it off. */
    public function channels(string $prefix = '', int $limit = 1000): array
    {
        $query = http_build_query(['prefix' => $prefix, 'limit' => $limit], '', '&', PHP_QUERY_RFC3986);
        return $this->connection->call('GET', "/v1/channels?$query", null);
    }

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

    private function post(string $call, array $body): array
    {
        $json = json_encode($body, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
        if ($json === false) {
            throw HoldfastException::argument("$call: a name or the reason is not UTF-8");
        }
        return $this->connection->call('POST', "/v1/$call", $json);
    }

    private static function membership($channel, $sid): array
    {
        return ['sessions' => self::names('session', $sid), 'channels' => self::names('channel', $channel)];
    }

    private static function excluded(array $sessions): array
    {
        return $sessions === [] ? [] : ['exclude' => self::names('excluded session', $sessions)];
    }

    private static function names(string $what, $value): array
    {
        $names = [];
        foreach (is_array($value) ? $value : [$value] as $name) {
            if (!is_string($name) && !is_int($name)) {
                throw HoldfastException::argument("a $what is " . gettype($name) . ', not a string');
            }
            $names[] = (string) $name;
        }
        return $names;
    }

    private static function payload($msg): array
    {
        if ($msg instanceof HoldfastBinary) {
            return ['data_base64' => base64_encode($msg->bytes), 'binary' => true];
        }
        if (is_string($msg)) {
            $text = preg_match('//u', $msg) === 1;
            return $text ? ['data' => $msg] : ['data_base64' => base64_encode($msg), 'binary' => true];
        }
        $json = json_encode($msg, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION);
        if ($json === false) {
            throw HoldfastException::argument('the message cannot be written as JSON: ' . json_last_error_msg());
        }
        return ['data' => $json];
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
    public array $data = [];  // what Holdfast-Data headers have set

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
 * errorCode() is one of holdfast-api(7) ("unauthorized", "unknown_session", "too_large" ...) or of these:
 *
 *   connect       no connection: nothing was done
 *   timeout       no answer in time: the call may have been carried out
 *   closed        the connection ended before or in the answer: the call may have been carried out
 *   bad_answer    what came back is no answer of Holdfast's
 *   bad_argument  a wrong argument: nothing was sent
 *   busy          the object is in a call already (a signal handler, a coroutine): nothing was sent
 *   no_event      Holdfast::event() outside of a gateway script
 */
final class HoldfastException extends RuntimeException
{
    private string $errorCode;
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

    public function errorCode(): string
    {
        return $this->errorCode;
    }

    /** The HTTP status, or 0 where there was no answer. getCode() is the same. */
    public function status(): int
    {
        return $this->getCode();
    }

    /** The whole answer, where there was one: an "overloaded" one says how far the call came. */
    public function answer(): array
    {
        return $this->answer;
    }
}

/**
 * The socket, and HTTP on it: one request at a time.
 *
 * A connection is kept only if its last answer was read to its end and the server did not say "close". Everything else,
 * an exception or the end of the script included, closes it: a later call must never read the answer of an earlier one.
 *
 * @internal
 */
final class HoldfastConnection
{
    private const CHUNK = 65536;
    private const MAX_HEAD = 65536;
    private const MAX_PATH = 107;  // sockaddr_un; PHP would cut off the rest

    private string $address;
    private string $url;
    private string $headers;
    private float $timeout;
    private float $connectTimeout;
    private bool $persistent;

    /** @var resource|null */
    private $socket = null;
    private int $pid = 0;  // the process that has opened it: after a fork the child must not use it
    private bool $busy = false;  // a call is under way
    private string $call = '';  // the call, for messages
    private float $deadline = 0.0;

    public function __construct(string $address, string $token, float $timeout, float $connectTimeout, bool $persistent)
    {
        if (preg_match('/[^\x21-\x7e]/', $token)) {
            throw HoldfastException::argument('the token has characters that are not visible ASCII');
        }
        if (!($timeout > 0) || !($connectTimeout > 0)) {
            throw HoldfastException::argument('a timeout must be more than 0 seconds');
        }
        $this->address = $address;
        $this->url = self::url($address);
        $host = strncmp($address, 'unix:', 5) === 0 ? 'localhost' : $address;
        $this->headers = "Host: $host\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
            . ($token === '' ? '' : "Authorization: Bearer $token\r\n");
        $this->timeout = $timeout;
        $this->connectTimeout = $connectTimeout;
        $this->persistent = $persistent;
    }

    public function __clone()
    {
        $this->socket = null;
        $this->busy = false;
    }

    /** Carries out one call. Returns the answer's JSON, or throws. */
    public function call(string $method, string $path, ?string $body): array
    {
        $call = "$method $path at {$this->address}";
        if ($this->busy) {
            throw new HoldfastException('busy', "$call: another call of this object is under way");
        }
        $request = "$method $path HTTP/1.1\r\n{$this->headers}";
        $request .= $body === null ? "\r\n" : 'Content-Length: ' . strlen($body) . "\r\n\r\n$body";
        $this->call = $call;
        $this->deadline = self::now() + $this->timeout;
        [$status, $text] = $this->exchange($request);
        return $this->judge($status, $text);
    }

    private function judge(int $status, string $text): array
    {
        $answer = json_decode($text, true);
        if ($status === 200 && is_array($answer)) {
            return $answer;
        }
        $error = is_array($answer) ? ($answer['error'] ?? null) : null;
        if ($status === 200 || !is_string($error['code'] ?? null)) {
            $start = substr((string) preg_replace('/[^\x20-\x7e]+/', ' ', $text), 0, 100);
            $message = "{$this->call}: $status with an answer that is not Holdfast's: $start";
            throw new HoldfastException('bad_answer', $message, $status);
        }
        $why = is_string($error['message'] ?? null) ? $error['message'] : 'no message';
        $message = "{$this->call}: $status {$error['code']}: $why";
        throw new HoldfastException($error['code'], $message, $status, $answer);
    }

    /** Sends a request and reads its answer: [status, body]. */
    private function exchange(string $request): array
    {
        $this->busy = true;
        $reusable = false;
        try {
            $kept = $this->reuse() || $this->connect();
            $answer = $this->attempt($request);
            if ($answer === null && $kept) {
                $this->close();
                $this->connect();
                $answer = $this->attempt($request);
            }
            if ($answer === null) {
                throw $this->failure('closed', 'the server closed the connection without an answer');
            }
            [$status, $text, $reusable] = $answer;
            return [$status, $text];
        } finally {
            if (!$reusable) {
                $this->close();
            }
            $this->busy = false;
        }
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

    /** Returns true where PHP had a connection of an earlier script at hand (persistent). */
    private function connect(): bool
    {
        $kept = $this->open();
        if ($kept && $this->hasInput()) {
            $this->close();
            $kept = $this->open();
        }
        return $kept;
    }

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
        $kept = !stream_get_meta_data($socket)['blocked'];  // a new one blocks; nothing but this line changes that
        stream_set_blocking($socket, false);
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
            fclose($this->socket);  // a persistent one as well
        }
        $this->socket = null;
    }

    /** [status, body, reusable], or null where the connection ended before any byte of the answer. */
    private function attempt(string $request): ?array
    {
        $sent = 0;
        $size = strlen($request);
        $writing = true;
        $input = '';
        $head = null;
        for (;;) {
            // Reads while it writes: a server that refuses a large request answers before its end.
            [$readable, $writable] = $this->wait($writing);
            if ($writable) {
                $written = @fwrite($this->socket, substr($request, $sent, self::CHUNK));
                $sent += (int) $written;
                $writing = $written !== false && $sent < $size;
            }
            if (!$readable) {
                continue;
            }
            $bytes = (string) @fread($this->socket, self::CHUNK);
            if ($bytes === '' && stream_get_meta_data($this->socket)['eof']) {
                if ($input === '') {
                    return null;
                }
                throw $this->failure('closed', 'the connection ended in the middle of the answer');
            }
            $input .= $bytes;
            $head = $head ?? $this->head($input);
            if ($head !== null && strlen($input) >= $head['bytes'] + $head['length']) {
                $exact = strlen($input) === $head['bytes'] + $head['length'];
                $body = substr($input, $head['bytes'], $head['length']);
                return [$head['status'], $body, $head['keep'] && $exact && $sent === $size];
            }
        }
    }

    /** The answer's head, or null if it is not complete. */
    private function head(string $input): ?array
    {
        $end = strpos($input, "\r\n\r\n");
        if ($end === false) {
            if (strlen($input) > self::MAX_HEAD) {
                throw $this->failure('bad_answer', 'no end of the headers after ' . strlen($input) . ' bytes');
            }
            return null;
        }
        $head = substr($input, 0, $end + 2);
        if (
            !preg_match('~^HTTP/1\.1 ([2-5][0-9]{2})[ \r]~', $head, $status)
            || !preg_match('~\r\nContent-Length:[ \t]*([0-9]{1,15})[ \t]*\r\n~i', $head, $length)
        ) {
            throw $this->failure('bad_answer', 'this is no HTTP/1.1 answer with a Content-Length');
        }
        $keep = !preg_match('~\r\nConnection:[^\r]*\bclose\b~i', $head);
        return ['status' => (int) $status[1], 'length' => (int) $length[1], 'keep' => $keep, 'bytes' => $end + 4];
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

    private static function url(string $address): string
    {
        if (strncmp($address, 'unix:/', 6) === 0 && strlen($address) - 5 <= self::MAX_PATH) {
            return 'unix://' . substr($address, 5);
        }
        if (preg_match('~^(\[[0-9a-f:.]+\]|[a-z0-9.-]+):[0-9]{1,5}\z~i', $address)) {
            return "tcp://$address";
        }
        $forms = 'host:port, [v6]:port or unix:/path (of at most ' . self::MAX_PATH . ' bytes)';
        throw HoldfastException::argument("\"$address\" is not $forms");
    }

    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
