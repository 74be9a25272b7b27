<?php
// websocket.php - a WebSocket client by RFC 6455, as small as a test can do with: whole frames, no extensions.

declare(strict_types=1);

final class WebSocket
{
    private const TEXT = 1;
    private const BINARY = 2;
    private const CLOSE = 8;
    private const PING = 9;
    private const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

    public string $session;
    /** @var resource */
    private $socket;

    // $meanwhile: to be done between the request and its answer.
    public function __construct(string $address, string $target, ?callable $meanwhile = null)
    {
        $this->socket = dial($address);
        $key = base64_encode(random_bytes(16));
        fwrite($this->socket, "GET $target HTTP/1.1\r\nHost: $address\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: $key\r\n\r\n");
        $meanwhile === null || $meanwhile();
        $status = $this->line();
        same('HTTP/1.1 101', substr($status, 0, 12), 'status line');
        $headers = [];
        while (($line = $this->line()) !== '') {
            [$name, $value] = explode(':', $line, 2);
            $headers[strtolower($name)] = trim($value);
        }
        same(base64_encode(sha1($key . self::GUID, true)), $headers['sec-websocket-accept'] ?? '', 'accept value');
        $this->session = $headers['holdfast-session'] ?? '';
    }

    public function send(string $payload, bool $binary = false): void
    {
        $this->write($binary ? self::BINARY : self::TEXT, $payload);
    }

    // The next message, which must be text.
    public function text(): string
    {
        [$opcode, $payload] = $this->next();
        same(self::TEXT, $opcode, 'opcode');
        return $payload;
    }

    public function binary(): string
    {
        [$opcode, $payload] = $this->next();
        same(self::BINARY, $opcode, 'opcode');
        return $payload;
    }

    // The close frame that comes next: [code, reason].
    public function closed(): array
    {
        [$opcode, $payload] = $this->next();
        same(self::CLOSE, $opcode, 'opcode');
        return [unpack('n', $payload)[1], substr($payload, 2)];
    }

    public function close(int $code = 1000): void
    {
        $this->write(self::CLOSE, pack('n', $code));
        same([$code, ''], $this->closed(), 'answer to close');
        fclose($this->socket);
    }

    private function next(): array
    {
        for (;;) {
            $head = unpack('C2', $this->bytes(2));
            same(0x80, $head[1] & 0xf0, 'FIN and reserved bits');
            same(0, $head[2] & 0x80, 'mask bit');
            $size = $head[2] & 0x7f;
            if ($size === 126) {
                $size = unpack('n', $this->bytes(2))[1];
            } elseif ($size === 127) {
                $size = unpack('J', $this->bytes(8))[1];
            }
            $payload = $this->bytes($size);
            if (($head[1] & 15) !== self::PING) {
                return [$head[1] & 15, $payload];
            }
        }
    }

    private function write(int $opcode, string $payload): void
    {
        $size = strlen($payload);
        $extended = $size < 65536 ? "\xfe" . pack('n', $size) : "\xff" . pack('J', $size);
        $length = $size < 126 ? chr(0x80 | $size) : $extended;
        $mask = random_bytes(4);
        $masked = $size === 0 ? '' : $payload ^ str_repeat($mask, intdiv($size, 4) + 1);
        fwrite($this->socket, chr(0x80 | $opcode) . $length . $mask . $masked);
    }

    private function line(): string
    {
        $line = fgets($this->socket, 8192);
        if ($line === false) {
            throw new Failed('no line from the server');
        }
        return rtrim($line, "\r\n");
    }

    private function bytes(int $count): string
    {
        $bytes = $count === 0 ? '' : (string) stream_get_contents($this->socket, $count);
        if (strlen($bytes) !== $count) {
            throw new Failed('waited in vain: ' . $count . ' bytes from the server, got ' . strlen($bytes));
        }
        return $bytes;
    }
}
