<?php
// fake.php - a server that plays a plan (fake_server.php), and the words plans are written in.

declare(strict_types=1);

final class FakeServer
{
    public string $address;
    private TempDir $dir;
    private Process $process;

    // $protocol: what the client shall speak, "http" or "resp".
    public function __construct(array $plan, string $protocol = 'http')
    {
        $this->dir = new TempDir();
        $socket = "{$this->dir->path}/fake.sock";
        $this->address = "$protocol+unix:$socket";
        file_put_contents("{$this->dir->path}/plan", json_encode($plan, JSON_THROW_ON_ERROR));
        $program = __DIR__ . '/fake_server.php';
        $command = [PHP_BINARY, '-n', $program, $socket, "{$this->dir->path}/plan"];
        $this->process = new Process($command, "{$this->dir->path}/requests");
        until('the fake server listens', fn (): bool => file_exists($socket));
    }

    public function client(bool $persistent = false, string $token = ''): Holdfast
    {
        return new Holdfast($this->address, $token, limit(), limit(), $persistent);
    }

    // Every request that has come so far. Of RESP: the words of each command.
    public function requests(): array
    {
        $lines = file("{$this->dir->path}/requests", FILE_IGNORE_NEW_LINES);
        return array_map(fn (string $line) => json_decode($line, true), $lines);
    }

    // The same, when the plan has been played to its end.
    public function played(): array
    {
        same(0, $this->process->wait(), 'exit status of the fake server');
        return $this->requests();
    }
}

// A step: an HTTP answer.
function answer(string $json, string $headers = '', string $status = '200 OK'): string
{
    $length = strlen($json);
    return "send HTTP/1.1 $status\r\nContent-Type: application/json\r\nContent-Length: $length\r\n$headers\r\n$json";
}

// A step: RESP replies. Integers, strings, null, lists; whatever is an Exception goes out as an error.
function replies(...$values): string
{
    return 'send ' . implode('', array_map('resp', $values));
}

function resp($value): string
{
    if (is_array($value)) {
        return '*' . count($value) . "\r\n" . implode('', array_map('resp', $value));
    }
    if ($value === null || is_string($value)) {
        return $value === null ? "$-1\r\n" : '$' . strlen($value) . "\r\n$value\r\n";
    }
    return is_int($value) ? ":$value\r\n" : "-{$value->getMessage()}\r\n";
}
