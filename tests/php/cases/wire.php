<?php
// What the client makes of connections that end, answers that are late, broken or missing. HTTP; see resp_wire.php.

declare(strict_types=1);

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
    $meant = ['channels' => ['room1'], 'exclude' => ['s1'], 'data' => "caf\u{e9} \"1\"/2\0"];
    same($meant, json_decode($body, true), 'body');
});

test('wire: one connection is kept for all calls', function (): void {
    $fake = new FakeServer([
        ['request', answer('{"delivered":1}'), 'request', answer('{"n":2}'), 'request', answer('{"n":3}')],
    ]);
    $hf = $fake->client();
    same(['delivered' => 1], $hf->sendAllMsg('a'));
    same(['n' => 2], $hf->info());
    same(['n' => 3], $hf->page('channels'));
    same(3, count($fake->played()), 'requests');
});

// A kept connection takes a request and ends without an answer; then there is a new one.
function ending_after_a_request(array ...$then): FakeServer
{
    return new FakeServer(array_merge([['request', answer('{}'), 'request']], $then));
}

foreach ([
    'a question' => fn (Holdfast $hf): array => $hf->session('s1'),
    'a join' => fn (Holdfast $hf): array => $hf->addChannel('room', 's1'),
    'a leave' => fn (Holdfast $hf): array => $hf->delChannelByUser('room', 42),
    'a bind' => fn (Holdfast $hf): array => $hf->bind('s1', 42),
    'an unbind' => fn (Holdfast $hf): array => $hf->unbind('s1'),
    'a change of data' => fn (Holdfast $hf): array => $hf->mergeData('s1', ['a' => '1']),
    'a send with a key' => fn (Holdfast $hf): array => $hf->once('order-1')->sendUser(42, 'x'),
] as $what => $call) {
    test("wire: $what on a kept connection that ends is made once more", function () use ($call): void {
        $fake = ending_after_a_request(['request', answer('{"n":2}')]);
        $hf = $fake->client();
        $hf->info();
        same(['n' => 2], $call($hf));
        [, $first, $second] = $fake->played();
        same($first, $second, 'the repeated request');
    });
}

foreach ([
    'a send' => fn (Holdfast $hf): array => $hf->sendMsg('s1', 'x'),
    'a publish' => fn (Holdfast $hf): array => $hf->publish('room', 'x'),
    'a kick' => fn (Holdfast $hf): array => $hf->kickByUser(42),
    'an unbind from a user' => fn (Holdfast $hf): array => $hf->unbind('s1', 42),
    'a batch with a send' => fn (Holdfast $hf): array => $hf->batch([
        ['op' => 'bind', 'session' => 's1', 'user' => 42],
        ['op' => 'send-user', 'users' => 42, 'data' => 'x'],
    ]),
] as $what => $call) {
    test("wire: $what that was sent is not made twice", function () use ($call): void {
        $fake = ending_after_a_request(['request', answer('{"n":2}')]);
        $hf = $fake->client();
        $hf->info();
        $e = throws('closed', 0, fn () => $call($hf));
        yes(strpos($e->getMessage(), $fake->address) !== false, "the message names the address: {$e->getMessage()}");
        same(['n' => 2], $hf->info(), 'the next call, which was not asked for before');
        [, , $last] = $fake->played();
        same('GET /v1/stats', substr($last, 0, 13), 'the third request');
    });
}

test('wire: a batch whose commands have keys is made once more', function (): void {
    $fake = ending_after_a_request(['request', answer('{"results":[{"status":200,"repeated":true}]}')]);
    $hf = $fake->client();
    $hf->info();
    $command = ['op' => 'send-user', 'users' => [42], 'data' => ['n' => 1], 'id' => 'k1'];
    same([['status' => 200, 'repeated' => true]], $hf->batch([$command]));
    [, $first, $second] = $fake->played();
    same($first, $second, 'the repeated request');
    $meant = ['commands' => [['op' => 'send-user', 'users' => ['42'], 'id' => 'k1', 'data' => '{"n":1}']]];
    same($meant, json_decode(explode("\r\n\r\n", $second)[1], true), 'the body');
});

test('wire: with $repeat a send has a key of its own, and is made once more with the same', function (): void {
    $fake = ending_after_a_request(['request', answer('{"n":2}', "Holdfast-Repeated: true\r\n"), 'request', answer('{}')]);
    $hf = new Holdfast($fake->address, '', limit(), limit(), false, true);
    $hf->info();
    same(['n' => 2, 'repeated' => true], $hf->sendAllMsg('x'));
    $hf->sendAllMsg('x');
    [, $first, $second, $third] = $fake->played();
    same($first, $second, 'the repeated request');
    $key = fn (string $request): string => json_decode(explode("\r\n\r\n", $request)[1], true)['id'];
    same(32, strlen($key($second)), 'bytes of the key');
    yes($key($second) !== $key($third), 'the next call has another key');
});

test('wire: a server that has no room for the key of $repeat gets the call without', function (): void {
    $full = answer('{"error":{"code":"keys_full","message":"no room"}}', '', '503 Service Unavailable');
    $fake = new FakeServer([['request', $full, 'request', answer('{"delivered":1}'), 'request', $full]]);
    $hf = new Holdfast($fake->address, '', limit(), limit(), false, true);
    same(['delivered' => 1], $hf->sendAllMsg('x'));
    throws('keys_full', 503, fn () => $hf->once('mine')->sendAllMsg('x'));
    [, $second] = $fake->played();
    same(['data' => 'x'], json_decode(explode("\r\n\r\n", $second)[1], true), 'the second body');
});

test('wire: a call is not made a third time', function (): void {
    $fake = ending_after_a_request(['request']);
    $hf = $fake->client();
    $hf->info();
    $e = throws('closed', 0, fn () => $hf->once('k')->sendAllMsg('again'));
    yes(strpos($e->getMessage(), 'POST /v1/send-all') !== false, 'the message names the call');
    same(3, count($fake->played()), 'requests');
});

test('wire: that the server is gone when a sent call is to be repeated does not mean that nothing was done', function (): void {
    $fake = ending_after_a_request();
    $hf = $fake->client();
    $hf->info();
    // The fake one goes with its last connection, and leaves the socket's file: nobody accepts there.
    $e = throws('closed', 0, fn () => $hf->once('k')->sendAllMsg('x'));
    same(2, count($fake->played()), 'requests');
    yes($e->errorCode === 'closed', $e->getMessage());
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

test('wire: a question whose answer has begun is asked again', function (): void {
    $fake = new FakeServer([['request', 'send HTTP/1.1 2'], ['request', answer('{"n":2}')]]);
    same(['n' => 2], $fake->client()->info());
    same(2, count($fake->played()), 'requests');
});

test('wire: a send whose answer has begun is not repeated', function (): void {
    $fake = new FakeServer([['request', answer('{}'), 'request', 'send HTTP/1.1 2'], ['request', answer('{"n":3}')]]);
    $hf = $fake->client();
    $hf->info();
    throws('closed', 0, fn () => $hf->sendAllMsg('once'));
    same(['n' => 3], $hf->info(), 'the next call');
    same(3, count($fake->played()), 'requests');
});

test('wire: a connection that ended between two calls costs nothing', function (): void {
    $dir = (new TempDir())->path;
    $fake = new FakeServer([['request', answer('{}'), 'close', "run : > $dir/closed"], ['request', answer('{"n":2}')]]);
    $hf = $fake->client();
    $hf->info();
    until('the connection has ended', fn (): bool => file_exists("$dir/closed"));
    same(['n' => 2], $hf->sendAllMsg('x'), 'a send, because nothing of it was sent in vain');
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
    throws('closed', 0, fn () => $fake->client(true)->sendAllMsg('x'));
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
    foreach (['unix:' => 'GET /v1/stats', 'http+unix:' => 'GET /v1/stats', 'resp+unix:' => 'HF.STATS'] as $form => $call) {
        $e = throws('connect', 0, fn () => (new Holdfast("$form{$dir->path}/none"))->stats());
        same("$call at $form{$dir->path}/none: cannot connect: No such file or directory", $e->getMessage());
    }
    $listener = stream_socket_server('tcp://127.0.0.1:0');
    $address = stream_socket_get_name($listener, false);
    fclose($listener);
    foreach ([$address, "http://$address/", "HTTP://$address", "resp://$address"] as $form) {
        $e = throws('connect', 0, fn () => (new Holdfast($form))->stats());
        yes(strpos($e->getMessage(), 'refused') !== false, "the message says why: {$e->getMessage()}");
    }
});

test('wire: wrong arguments are refused before anything is sent', function (): void {
    $long = '/' . str_repeat('x', 107);
    $wrong = ['', 'localhost', '8081', '::1:8081', 'https://127.0.0.1:8081', 'http://127.0.0.1:8081/v1', 'resp:/path',
        "127.0.0.1:80\n", 'unix:relative', "unix:$long", "resp+unix:$long", 'tcp+unix:/path', "unix:/a\0b"];
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
    throws('bad_argument', 0, fn () => $hf->setData('s1', ['a' => ['b']]));
    throws('bad_argument', 0, fn () => $hf->setData('s1', ["\xff" => 'b']));
    throws('bad_argument', 0, fn () => $hf->page('workers'));
    throws('bad_argument', 0, fn () => $hf->once(''));
    throws('bad_argument', 0, fn () => $hf->once(str_repeat('k', 256)));
    throws('bad_argument', 0, fn () => $hf->once("\xff"));
    throws('bad_argument', 0, fn () => $hf->batch([]));
    throws('bad_argument', 0, fn () => $hf->batch([['sessions' => ['s1']]]));
    throws('bad_argument', 0, fn () => $hf->batch(array_fill(0, 1001, ['op' => 'send-all', 'data' => 'x'])));
    throws('bad_argument', 0, fn () => $hf->once('k')->batch([['op' => 'send-all', 'data' => 'x']]));
});

test('wire: a generator asks for the next page when the one before is used up', function (): void {
    $fake = new FakeServer([[
        'request', answer('{"channels":[{"name":"a"},{"name":"b"}],"more":true,"cursor":"x/+1"}'),
        'request', answer('{"channels":[],"more":true,"cursor":"x2"}'),
        'request', answer('{"channels":[{"name":"c"}],"more":false}'),
    ]]);
    $names = [];
    foreach ($fake->client()->channels('pre fix', 2) as $i => $channel) {
        $names[$i] = $channel['name'];
        same($i < 2 ? 1 : 3, count($fake->requests()), "requests at channel $i");
    }
    same(['a', 'b', 'c'], $names);
    $path = fn (string $request): string => explode(' ', $request)[1];
    same(['/v1/channels?limit=2&prefix=pre%20fix', '/v1/channels?limit=2&cursor=x%2F%2B1&prefix=pre%20fix',
        '/v1/channels?limit=2&cursor=x2&prefix=pre%20fix'], array_map($path, $fake->played()), 'paths');
});

test('wire: a generator says where a page has gaps', function (): void {
    $fake = new FakeServer([['request', answer('{"sessions":[{"session":"s1"}],"partial":true}')]]);
    $e = throws('partial', 0, fn () => iterator_to_array($fake->client()->members('room')));
    same([['session' => 's1']], $e->answer()['sessions'], 'what there is');
    $fake->played();
});
