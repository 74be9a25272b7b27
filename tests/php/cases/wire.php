<?php
// What the client makes of connections that end, answers that are late, broken or missing.

declare(strict_types=1);

final class FakeServer
{
    public string $address;
    private TempDir $dir;
    private Process $process;

    public function __construct(array $plan)
    {
        $this->dir = new TempDir();
        $this->address = "unix:{$this->dir->path}/fake.sock";
        file_put_contents("{$this->dir->path}/plan", json_encode($plan));
        $program = dirname(__DIR__) . '/fake_server.php';
        $command = [PHP_BINARY, '-n', $program, substr($this->address, 5), "{$this->dir->path}/plan"];
        $this->process = new Process($command, "{$this->dir->path}/requests");
        until('the fake server listens', fn (): bool => file_exists(substr($this->address, 5)));
    }

    public function client(bool $persistent = false): Holdfast
    {
        return new Holdfast($this->address, '', limit(), limit(), $persistent);
    }

    // Every request that has come so far.
    public function requests(): array
    {
        return array_map('json_decode', file("{$this->dir->path}/requests", FILE_IGNORE_NEW_LINES));
    }

    // The same, when the plan has been played to its end.
    public function played(): array
    {
        same(0, $this->process->wait(), 'exit status of the fake server');
        return $this->requests();
    }
}

function answer(string $json, string $headers = '', string $status = '200 OK'): string
{
    $length = strlen($json);
    return "send HTTP/1.1 $status\r\nContent-Type: application/json\r\nContent-Length: $length\r\n$headers\r\n$json";
}

test('wire: a request says what holdfast-api(7) wants', function (): void {
    $fake = new FakeServer([['request', answer('{"delivered":1}')]]);
    $hf = new Holdfast($fake->address, "secret\n");
    $hf->publish('room1', "caf\u{e9} \"1\"/2\0", ['s1']);
    [$head, $body] = explode("\r\n\r\n", $fake->played()[0]);
    $lines = explode("\r\n", $head);
    same('POST /v1/publish HTTP/1.1', $lines[0], 'request line');
    foreach (['Host: localhost', 'Authorization: Bearer secret', 'Content-Length: ' . strlen($body)] as $line) {
        yes(in_array($line, $lines, true), "there is a line \"$line\"");
    }
    $meant = ['channels' => ['room1'], 'data' => "caf\u{e9} \"1\"/2\0", 'exclude' => ['s1']];
    same($meant, json_decode($body, true), 'body');
});

test('wire: one connection is kept for all calls', function (): void {
    $fake = new FakeServer([
        ['request', answer('{"delivered":1}'), 'request', answer('{"n":2}'), 'request', answer('{"n":3}')],
    ]);
    $hf = $fake->client();
    same(['delivered' => 1], $hf->sendAllMsg('a'));
    same(['n' => 2], $hf->info());
    same(['n' => 3], $hf->channels());
    same(3, count($fake->played()), 'requests');
});

test('wire: a kept connection that ends without an answer is replaced, and the call made once more', function (): void {
    $fake = new FakeServer([['request', answer('{}'), 'request'], ['request', answer('{"delivered":7}')]]);
    $hf = $fake->client();
    $hf->info();
    same(['delivered' => 7], $hf->sendAllMsg('again'));
    [, $first, $second] = $fake->played();
    same($first, $second, 'the repeated request');
});

test('wire: a call is not made a third time', function (): void {
    $fake = new FakeServer([['request', answer('{}'), 'request'], ['request']]);
    $hf = $fake->client();
    $hf->info();
    $e = throws('closed', 0, fn () => $hf->sendAllMsg('again'));
    yes(strpos($e->getMessage(), 'POST /v1/send-all') !== false, 'the message names the call');
    yes(strpos($e->getMessage(), $fake->address) !== false, 'the message names the address');
    same(3, count($fake->played()), 'requests');
});

test('wire: a call on a new connection is not repeated', function (): void {
    $fake = new FakeServer([['request'], ['request', answer('{"n":2}')]]);
    $hf = $fake->client();
    throws('closed', 0, fn () => $hf->sendAllMsg('once'));
    same(['n' => 2], $hf->info(), 'the next call, which was not asked for before');
    $requests = $fake->played();
    same(2, count($requests), 'requests');
    same('GET', substr($requests[1], 0, 3), 'method of the second one');
});

test('wire: a call whose answer has begun is not repeated', function (): void {
    $fake = new FakeServer([['request', answer('{}'), 'request', 'send HTTP/1.1 2'], ['request', answer('{"n":3}')]]);
    $hf = $fake->client();
    $hf->info();
    throws('closed', 0, fn () => $hf->sendAllMsg('once'));
    same(['n' => 3], $hf->info(), 'the next call');
    same(3, count($fake->played()), 'requests');
});

test('wire: a connection that ended between two calls costs nothing', function (): void {
    $fake = new FakeServer([['request', answer('{}')], ['request', answer('{"n":2}')]]);
    $hf = $fake->client();
    $hf->info();
    same(['n' => 2], $hf->info());
    same(2, count($fake->played()), 'requests');
});

test('wire: after "Connection: close" the next call has a connection of its own', function (): void {
    $fake = new FakeServer([
        ['request', answer('{}', "Connection: close\r\n"), 'await'],
        ['request', answer('{"n":2}')],
    ]);
    $hf = $fake->client();
    $hf->info();
    same(['n' => 2], $hf->info());
    $fake->played();
});

test('wire: an answer that comes too late is not the next call\'s', function (): void {
    $fake = new FakeServer([['request', 'await'], ['request', answer('{"n":2}')]]);
    $hf = new Holdfast($fake->address, '', 0.05);
    $e = throws('timeout', 0, fn () => $hf->sendAllMsg('slow'));
    yes(strpos($e->getMessage(), '0.05 s') !== false, 'the message names the limit');
    same(['n' => 2], $hf->info());
    same(2, count($fake->played()), 'requests');
});

test('wire: bytes that nobody asked for end a connection', function (): void {
    $stray = substr(answer('{"n":"stray"}'), strlen('send '));
    $fake = new FakeServer([['request', answer('{}') . $stray, 'await'], ['request', answer('{"n":2}')]]);
    $hf = $fake->client();
    $hf->info();
    same(['n' => 2], $hf->info());
    $fake->played();
});

test('wire: bytes that come between two calls are not the second one\'s answer', function (): void {
    $dir = (new TempDir())->path;
    $stray = answer('{"n":"stray"}');
    $fake = new FakeServer([
        ['request', answer('{}'), "wait $dir/answered", $stray, "run : > $dir/sent", 'await'],
        ['request', answer('{"n":2}')],
    ]);
    $hf = $fake->client();
    $hf->info();
    touch("$dir/answered");
    until('the stray bytes are there', fn (): bool => file_exists("$dir/sent"));
    same(['n' => 2], $hf->info());
    $fake->played();
});

test('wire: an answer may come byte by byte', function (): void {
    $bytes = substr(answer('{"text":"in pieces"}'), strlen('send '));
    $pieces = array_map(fn (string $byte): string => "send $byte", str_split($bytes));
    $fake = new FakeServer([array_merge(['request'], $pieces)]);
    same(['text' => 'in pieces'], $fake->client()->info());
    $fake->played();
});

test('wire: an answer may be large', function (): void {
    $text = str_repeat('0123456789', 300000);
    $fake = new FakeServer([['request', answer(json_encode(['text' => $text])), 'request', answer('{"n":2}')]]);
    $hf = $fake->client();
    yes($hf->info() === ['text' => $text], 'all of it came');
    same(['n' => 2], $hf->info(), 'the next answer');
    $fake->played();
});

test('wire: a large request arrives whole', function (): void {
    $text = str_repeat("\u{e9}123456789", 300000);
    $fake = new FakeServer([['request', answer('{"delivered":1}')]]);
    $fake->client()->sendAllMsg($text);
    yes(json_decode(explode("\r\n\r\n", $fake->played()[0], 2)[1], true) === ['data' => $text], 'all of it came');
});

test('wire: a refusal that comes while the request is being sent is heard', function (): void {
    // Without "Connection: close": that the rest of the request is missing is reason enough.
    $refusal = answer('{"error":{"code":"too_large","message":"too much"}}', '', '413 Content Too Large');
    $fake = new FakeServer([['head', $refusal, 'await'], ['request', answer('{"n":2}')]]);
    $hf = $fake->client();
    throws('too_large', 413, fn () => $hf->sendAllMsg(str_repeat('x', 8 << 20)));
    same(['n' => 2], $hf->info(), 'the next call');
    $fake->played();
});

test('wire: an error has code, status, message and what else was answered', function (): void {
    $body = '{"delivered":0,"workers_failed":1,"error":{"code":"overloaded","message":"worker 1 is full"}}';
    $fake = new FakeServer([['request', answer($body, '', '503 Service Unavailable'), 'request', answer('{"n":2}')]]);
    $hf = $fake->client();
    $e = throws('overloaded', 503, fn () => $hf->sendAllMsg('x'));
    same("POST /v1/send-all at {$fake->address}: 503 overloaded: worker 1 is full", $e->getMessage());
    same(503, $e->getCode(), 'getCode()');
    same(1, $e->answer()['workers_failed'], 'workers_failed');
    same(['n' => 2], $hf->info(), 'the next call, on the same connection');
    $fake->played();
});

foreach ([
    'no HTTP' => ['send SSH-2.0-OpenSSH_9.2' . "\r\n\r\n", 0],
    'HTTP/1.0' => ["send HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0],
    'no length' => ["send HTTP/1.1 200 OK\r\n\r\n{}", 0],
    'no end of the headers' => ['send HTTP/1.1 200 OK' . "\r\nX: " . str_repeat('x', 70000), 0],
    'a page of a proxy' => [answer('<h1>Bad Gateway</h1>', '', '502 Bad Gateway'), 502],
    'no JSON' => [answer('delivered'), 200],
    'a JSON string' => [answer('"delivered"'), 200],
    'a redirection' => [answer('{}', "Location: /v2\r\n", '302 Found'), 302],
] as $what => [$bytes, $status]) {
    test("wire: $what is a bad answer", function () use ($bytes, $status): void {
        $fake = new FakeServer([['request', $bytes, 'await']]);
        $hf = $fake->client();
        throws('bad_answer', $status, fn () => $hf->info());
        unset($hf);
        $fake->played();
    });
}

test('wire: a child process opens a connection of its own', function (): void {
    $fake = new FakeServer([
        ['request', answer('{}'), 'leave'],
        ['request', answer('{"n":"child"}')],
        ['request', answer('{"n":"parent"}')],
    ]);
    $hf = $fake->client();
    $hf->info();
    $child = pcntl_fork();
    if ($child === 0) {
        try {
            $hf->info();
        } finally {
            posix_kill(getmypid(), SIGKILL);  // no shutdown functions: what they would end is the parent's
        }
    }
    until('the end of the child', fn (): bool => pcntl_waitpid($child, $status, WNOHANG) === $child);
    same(2, count($fake->requests()), 'requests before the parent goes on');
    $copy = clone $hf;
    same(['n' => 'parent'], $copy->info(), 'a clone, which has a connection of its own as well');
    $fake->played();
});

test('wire: a persistent connection serves the next object', function (): void {
    $fake = new FakeServer([['request', answer('{}'), 'request', answer('{"n":2}')]]);
    $fake->client(true)->info();
    same(['n' => 2], $fake->client(true)->info());
    same(2, count($fake->played()), 'requests');
});

test('wire: a persistent connection that has ended is replaced', function (): void {
    $fake = new FakeServer([['request', answer('{}'), 'request'], ['request', answer('{"n":2}')]]);
    $fake->client(true)->info();
    same(['n' => 2], $fake->client(true)->info());
    same(3, count($fake->played()), 'requests');
});

test('wire: a new persistent connection is no reason to repeat a call', function (): void {
    $fake = new FakeServer([['request']]);
    throws('closed', 0, fn () => $fake->client(true)->info());
    same(1, count($fake->played()), 'requests');
});

test('wire: a script that ends within a call leaves no answer to the next script', function (): void {
    $fake = new FakeServer([
        ['request', answer('{}'), 'request', 'leave'],
        ['request', answer('{"n":"own"}')],
    ]);
    $dir = new TempDir();
    $client = var_export(dirname(__DIR__, 3) . '/clients/php/Holdfast.php', true);
    $open = "<?php require $client; \$hf = new Holdfast('{$fake->address}', '', 30.0, 1.0, true);\n";
    file_put_contents("{$dir->path}/die.php", $open . 'pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, function () { exit("dead"); });
        $hf->info();
        $hf->sendAllMsg("no answer");');
    file_put_contents("{$dir->path}/next.php", $open . 'echo json_encode($hf->info());');
    // One process that runs script after script, as a php-fpm child does.
    $web = new Process([PHP_BINARY, '-S', '127.0.0.1:0', '-t', $dir->path], "{$dir->path}/log");
    $address = until('a web server', function () use ($dir): ?string {
        $log = file_get_contents("{$dir->path}/log");
        return preg_match('~\(http://(127\.0\.0\.1:[1-9]\d*)\) started~', $log, $found) ? $found[1] : null;
    });
    $page = function (string $path, ?callable $meanwhile = null) use ($address): string {
        $socket = dial($address);
        fwrite($socket, "GET $path HTTP/1.0\r\n\r\n");
        $meanwhile === null || $meanwhile();
        return explode("\r\n\r\n", (string) stream_get_contents($socket), 2)[1] ?? 'no answer';
    };
    same('dead', $page('/die.php', function () use ($fake, $web): void {
        until('the second request', fn (): bool => count($fake->requests()) === 2);
        posix_kill($web->pid(), SIGUSR1);
    }), 'first page');
    same('{"n":"own"}', $page('/next.php'), 'second page');
    $web->end();
    $fake->played();
});

test('wire: an object that is in a call takes no other', function (): void {
    $fake = new FakeServer([['request', 'run kill -USR1 ' . getmypid(), 'await']]);
    $hf = new Holdfast($fake->address, '', 0.2);
    $inner = null;
    pcntl_signal(SIGUSR1, function () use ($hf, &$inner): void {
        $inner = throws('busy', 0, fn () => $hf->info());
    });
    throws('timeout', 0, fn () => $hf->info());
    pcntl_signal(SIGUSR1, SIG_DFL);
    yes($inner instanceof HoldfastException, 'the signal came within the call');
    $fake->played();
});

test('wire: nobody there', function (): void {
    $dir = new TempDir();
    $e = throws('connect', 0, fn () => (new Holdfast("unix:{$dir->path}/none"))->info());
    same("GET /v1/stats at unix:{$dir->path}/none: cannot connect: No such file or directory", $e->getMessage());
    $listener = stream_socket_server('tcp://127.0.0.1:0');
    $address = stream_socket_get_name($listener, false);
    fclose($listener);
    $e = throws('connect', 0, fn () => (new Holdfast($address))->info());
    yes(strpos($e->getMessage(), 'refused') !== false, "the message says why: {$e->getMessage()}");
});

test('wire: wrong arguments are refused before anything is sent', function (): void {
    $long = '/' . str_repeat('x', 107);
    $wrong = ['', 'localhost', '8081', '::1:8081', 'http://127.0.0.1:8081', "127.0.0.1:80\n", 'unix:relative', "unix:$long"];
    foreach ($wrong as $address) {
        throws('bad_argument', 0, fn () => new Holdfast($address));
    }
    throws('bad_argument', 0, fn () => new Holdfast('127.0.0.1:8081', "a\r\nX: y"));
    throws('bad_argument', 0, fn () => new Holdfast('127.0.0.1:8081', '', 0.0));
    throws('bad_argument', 0, fn () => new Holdfast('127.0.0.1:8081', '', 1.0, NAN));
    $hf = new Holdfast('127.0.0.1:1');
    $e = throws('bad_argument', 0, fn () => $hf->sendMsg(['s1', null], 'x'));
    same('a session is NULL, not a string', $e->getMessage());
    throws('bad_argument', 0, fn () => $hf->sendUser([['42']], 'x'));
    throws('bad_argument', 0, fn () => $hf->bind('s1', ['42']));
    throws('bad_argument', 0, fn () => $hf->publish("\xff", 'x'));
    throws('bad_argument', 0, fn () => $hf->publish('room', ["\xff"]));
    throws('bad_argument', 0, fn () => $hf->publish('room', NAN));
});
