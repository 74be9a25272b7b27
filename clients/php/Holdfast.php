<?php
/**
 * Holdfast.php - push to clients of a Holdfast gateway from any PHP program. One file, no dependencies, PHP 7.4 to 8.x.
 *
 *     $hf = new Holdfast('127.0.0.1:8081');            // or 'unix:/run/holdfast/push.sock'
 *     $hf->sendMsg($sessionId, 'to one session');
 *     $hf->sendAllMsg('to everybody who is connected');
 *     $hf->publish('news', 'to the members of a channel');
 *
 * It speaks the HTTP API of holdfast-api(7) over one kept connection. Every method throws a HoldfastException that says what
 * failed. A message that is not UTF-8 is sent as a binary one.
 */

class HoldfastException extends RuntimeException
{
    /** The API's error code ("unauthorized", "too_large", ...), or "connection" where there was no answer. */
    public string $error;
    /** HTTP status of the answer, 0 without one. */
    public int $status;

    public function __construct(string $message, string $error = 'connection', int $status = 0)
    {
        parent::__construct($message, $status);
        $this->error = $error;
        $this->status = $status;
    }
}

/** What happened to a client, for the script that php-fpm runs. */
class HoldfastEvent
{
    public string $event;     // "connect", "message" or "close"
    public string $session;
    public string $user;      // "" while none is bound
    public string $body;      // the client's message
    public string $reason;    // close: why
    public int $code;         // close: WebSocket close code
    public bool $binary;      // message: came as a binary frame
    /** @var array<string,string> session data, see the header Holdfast-Data */
    public array $data = [];
}

class Holdfast
{
    private string $address;
    private ?string $token;
    private float $timeout;
    /** @var resource|null */
    private $stream = null;
    private string $buffer = '';

    /**
     * @param string      $address "host:port" or "unix:/path"
     * @param string|null $token   bearer token, where the API asks for one
     * @param float       $timeout seconds for connecting, and for each answer
     */
    public function __construct(string $address = '127.0.0.1:8081', ?string $token = null, float $timeout = 5.0)
    {
        if ($token !== null && preg_match('/[^\x21-\x7e]/', $token)) {
            throw new HoldfastException('a token has no blanks or control characters', 'bad_token');
        }
        $this->address = $address;
        $this->token = $token;
        $this->timeout = $timeout;
    }

    public function __destruct()
    {
        $this->disconnect();
    }

    /**
     * Sends to one session or several.
     * @param string|string[] $sessions
     * @return array{delivered:int, unknown:string[]} unknown: ids that no session has (any more)
     */
    public function sendMsg($sessions, string $message): array
    {
        return $this->post('/v1/send', ['sessions' => (array) $sessions] + self::payload($message));
    }

    /** Sends to every session. @param string[] $exclude session ids. @return int sessions reached */
    public function sendAllMsg(string $message, array $exclude = []): int
    {
        return $this->post('/v1/send-all', self::payload($message) + self::excluding($exclude))['delivered'];
    }

    /** Sends to all sessions of users. @param string|string[] $users @param string[] $exclude session ids */
    public function sendUser($users, string $message, array $exclude = []): int
    {
        $body = ['users' => array_map('strval', (array) $users)] + self::payload($message) + self::excluding($exclude);
        return $this->post('/v1/send-user', $body)['delivered'];
    }

    /** Sends to the members of channels. @param string|string[] $channels @param string[] $exclude session ids */
    public function publish($channels, string $message, array $exclude = []): int
    {
        $body = ['channels' => (array) $channels] + self::payload($message) + self::excluding($exclude);
        return $this->post('/v1/publish', $body)['delivered'];
    }

    /** Sessions join channels. @param string|string[] $channels @param string|string[] $sessions */
    public function addChannel($channels, $sessions): array
    {
        return $this->post('/v1/join', ['sessions' => (array) $sessions, 'channels' => (array) $channels]);
    }

    /** Sessions leave channels. @param string|string[] $channels @param string|string[] $sessions */
    public function delChannel($channels, $sessions): array
    {
        return $this->post('/v1/leave', ['sessions' => (array) $sessions, 'channels' => (array) $channels]);
    }

    /** Closes sessions. @param string|string[] $sessions @param int $code 1000, or 3000 to 4999 */
    public function kickUser($sessions, int $code = 4000, string $reason = ''): array
    {
        return $this->post('/v1/kick', ['sessions' => (array) $sessions, 'code' => $code, 'reason' => $reason]);
    }

    /** From now on the session is one of this user's. @param string|int $user */
    public function bind(string $session, $user): array
    {
        return $this->post('/v1/bind', ['session' => $session, 'user' => (string) $user]);
    }

    public function unbind(string $session): array
    {
        return $this->post('/v1/unbind', ['session' => $session]);
    }

    /** Counters, gauges and workers of the gateway. */
    public function info(): array
    {
        return $this->request('GET', '/v1/stats', '');
    }

    /** Channels and how many members each has. @return array<string,int> */
    public function channels(string $prefix = ''): array
    {
        $answer = $this->request('GET', '/v1/channels?limit=10000&prefix=' . rawurlencode($prefix), '');
        return array_column($answer['channels'], 'members', 'name');
    }

    /** The event this script was called for. */
    public static function event(): HoldfastEvent
    {
        $event = new HoldfastEvent();
        $event->event = (string) ($_SERVER['HOLDFAST_EVENT'] ?? 'message');
        $event->session = (string) ($_SERVER['SESSIONID'] ?? '');
        $event->user = (string) ($_SERVER['HOLDFAST_USER'] ?? '');
        $event->body = (string) file_get_contents('php://input');
        $event->reason = (string) ($_SERVER['HOLDFAST_REASON'] ?? '');
        $event->code = (int) ($_SERVER['HOLDFAST_CODE'] ?? 0);
        $event->binary = ($_SERVER['HOLDFAST_OPCODE'] ?? 'text') === 'binary';
        parse_str((string) ($_SERVER['HOLDFAST_DATA'] ?? ''), $event->data);
        return $event;
    }

    public function disconnect(): void
    {
        if ($this->stream !== null) {
            fclose($this->stream);
        }
        $this->stream = null;
        $this->buffer = '';
    }

    private static function payload(string $message): array
    {
        return preg_match('//u', $message) === 1
            ? ['data' => $message]
            : ['data_base64' => base64_encode($message), 'binary' => true];
    }

    private static function excluding(array $sessions): array
    {
        return $sessions === [] ? [] : ['exclude' => array_values($sessions)];
    }

    private function post(string $path, array $body): array
    {
        $json = json_encode($body, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
        if ($json === false) {
            throw new HoldfastException("$path: " . json_last_error_msg(), 'bad_argument');
        }
        return $this->request('POST', $path, $json);
    }

    private function request(string $method, string $path, string $body): array
    {
        $head = "$method $path HTTP/1.1\r\nHost: holdfast\r\n"
            . ($this->token === null ? '' : "Authorization: Bearer $this->token\r\n")
            . ($method === 'POST' ? "Content-Type: application/json\r\nContent-Length: " . strlen($body) . "\r\n" : '')
            . "\r\n";
        $kept = $this->stream !== null;
        $answer = $this->exchange($head . $body, $path);
        if ($answer === null && $kept) {
            // The gateway closed the kept connection (idle, reloaded, restarted) and has answered nothing.
            $answer = $this->exchange($head . $body, $path);
        }
        if ($answer === null) {
            throw new HoldfastException("$path: $this->address closed the connection without an answer");
        }
        [$status, $text] = $answer;
        $result = json_decode($text, true);
        if ($status >= 400 || !is_array($result)) {
            $error = $result['error']['code'] ?? 'bad_answer';
            $why = $result['error']['message'] ?? 'an answer that is not JSON';
            throw new HoldfastException("$path: $why (HTTP $status)", $error, $status);
        }
        return $result;
    }

    /** One request and its answer as [status, body]; null: the connection ended before a byte of the answer. */
    private function exchange(string $request, string $path): ?array
    {
        $this->connect($path);
        for ($left = $request; $left !== ''; $left = substr($left, $sent)) {
            $sent = @fwrite($this->stream, $left);
            if ($sent === false || $sent === 0) {
                $this->disconnect();
                return null;
            }
        }
        $this->buffer = '';
        while (($end = strpos($this->buffer, "\r\n\r\n")) === false) {
            if (!$this->readMore($path)) {
                if ($this->buffer === '') {
                    return null;
                }
                throw new HoldfastException("$path: $this->address broke off its answer");
            }
        }
        $head = substr($this->buffer, 0, $end);
        $status = preg_match('~^HTTP/1\.[01] (\d{3})~', $head, $m) ? (int) $m[1] : 0;
        $bytes = preg_match('~^content-length: *(\d+)\r?$~mi', $head, $m) ? (int) $m[1] : 0;
        while (strlen($this->buffer) < $end + 4 + $bytes) {
            if (!$this->readMore($path)) {
                throw new HoldfastException("$path: $this->address broke off its answer");
            }
        }
        $body = substr($this->buffer, $end + 4, $bytes);
        if (preg_match('~^connection: *close\r?$~mi', $head)) {
            $this->disconnect();
        }
        return [$status, $body];
    }

    private function connect(string $path): void
    {
        if ($this->stream !== null) {
            return;
        }
        $to = strncmp($this->address, 'unix:', 5) === 0 ? 'unix://' . substr($this->address, 5) : "tcp://$this->address";
        $stream = @stream_socket_client($to, $errno, $why, $this->timeout);
        if ($stream === false) {
            throw new HoldfastException("$path: connect to $this->address: $why");
        }
        stream_set_timeout($stream, (int) $this->timeout, (int) (fmod($this->timeout, 1) * 1e6));
        $this->stream = $stream;
    }

    /** False at the end of the connection. */
    private function readMore(string $path): bool
    {
        $bytes = @fread($this->stream, 65536);
        if ($bytes !== false && $bytes !== '') {
            $this->buffer .= $bytes;
            return true;
        }
        $timedOut = stream_get_meta_data($this->stream)['timed_out'];
        $this->disconnectKeeping();
        if ($timedOut) {
            throw new HoldfastException("$path: no answer from $this->address in $this->timeout seconds", 'timeout');
        }
        return false;
    }

    private function disconnectKeeping(): void
    {
        $read = $this->buffer;
        $this->disconnect();
        $this->buffer = $read;
    }
}
