<?php
// The redis extension of PHP (Debian: php8.2-redis), as it is, against a resp listener: what it publishes reaches
// clients, what clients and others publish reaches it.

declare(strict_types=1);

if (!extension_loaded('redis')) {
    throw new RuntimeException('the extension redis is not installed (Debian: php8.2-redis)');
}

$gateway = new Gateway();

// [host, port, token] as the extension wants them.
function redis_place(Gateway $gateway, string $kind): array
{
    $address = preg_replace('~^resp(://|\+unix:)~', '', $gateway->api($kind));
    $token = $kind === 'resp token' ? Gateway::TOKEN : '';
    return $address[0] === '/' ? [$address, '-1', $token] : array_merge(explode(':', $address), [$token]);
}

function redis_client(Gateway $gateway, string $kind): Redis
{
    [$host, $port, $token] = redis_place($gateway, $kind);
    $redis = new Redis();
    $redis->connect($host, (int) $port, limit());
    $token === '' || $redis->auth($token);
    return $redis;
}

foreach (Gateway::RESP as $kind) {
    test("redis by $kind: publish reaches the members of a channel", function () use ($gateway, $kind): void {
        $redis = redis_client($gateway, $kind);
        same(true, $redis->ping(), 'ping');
        [$one, $two] = [$gateway->connect('/ws?channel=red'), $gateway->connect('/ws?channel=red')];
        same([2, 0], [$redis->publish('red', "caf\u{e9}"), $redis->publish('nobody', 'x')], 'receivers');
        same(["caf\u{e9}", "caf\u{e9}"], [$one->text(), $two->text()], 'messages');
        $redis->publish('red', "\xff\0");
        same("\xff\0", $one->binary(), 'what is no UTF-8 is binary');
        $redis->close();
    });

    test("redis by $kind: a pipeline, and commands of Holdfast's", function () use ($gateway, $kind): void {
        $redis = redis_client($gateway, $kind);
        $client = $gateway->connect();
        $answers = $redis->multi(Redis::PIPELINE)
            ->rawCommand('HF.BIND', $client->session, '42')
            ->rawCommand('HF.JOIN', 'blue', $client->session)
            ->publish('blue', 'one')
            ->rawCommand('HF.SENDUSER', '42', 'two')
            ->exec();
        same([1, 1, 1, 1], $answers, 'answers');
        same(['one', 'two'], [$client->text(), $client->text()], 'messages');
        same(false, $redis->rawCommand('HF.SEND', 'nonsense', 'x'), 'a refused command');
        yes(strpos((string) $redis->getLastError(), 'nonsense') !== false, "the error: {$redis->getLastError()}");
        same(['blue'], $redis->pubsub('channels', 'b*'), 'pubsub channels');
        $redis->close();
    });

    test("redis by $kind: a transaction", function () use ($gateway, $kind): void {
        $redis = redis_client($gateway, $kind);
        $client = $gateway->connect('/ws?channel=green');
        same([1, 1], $redis->multi()->publish('green', 'one')->publish('green', 'two')->exec(), 'answers');
        same(['one', 'two'], [$client->text(), $client->text()], 'messages');
        $redis->multi()->publish('green', 'never');
        same(true, $redis->discard(), 'discard');
        same(1, $redis->publish('green', 'three'), 'behind it');
        same('three', $client->text(), 'what was discarded is not sent');
        $redis->close();
    });

    test("redis by $kind: a subscriber gets what anybody publishes", function () use ($gateway, $kind): void {
        $output = (new TempDir())->path . '/messages';
        $program = dirname(__DIR__) . '/redis_subscriber.php';
        $command = array_merge([PHP_BINARY, $program], redis_place($gateway, $kind), ['a', 'b']);
        $subscriber = new Process($command, $output);
        $redis = redis_client($gateway, $kind);
        until('two subscriptions', fn (): bool => $redis->pubsub('numsub', ['a', 'b']) === ['a' => 1, 'b' => 1]);
        $client = $gateway->connect('/ws?channel=a');
        same(2, $redis->publish('a', 'by redis'), 'receivers: a session and a subscriber');
        same('by redis', $client->text());
        same(1, $gateway->client('unix')->channel('a')['subscribers'], 'subscribers, as HTTP tells them');
        $gateway->client('unix')->publish('b', "\xff\r\n\0");
        $client->send('by a client');
        same('by a client', $client->text());
        until('three messages', fn (): bool => count(file($output)) === 3);
        $redis->publish('a', 'end');
        same(0, $subscriber->wait(), 'exit status of the subscriber');
        $got = array_map('json_decode', file($output, FILE_IGNORE_NEW_LINES));
        same([['a', 'by redis'], ['a', 'by a client'], ['a', 'end']], of_channel('a', $got), 'messages of a, in order');
        same([['b', "\xff\r\n\0"]], of_channel('b', $got), 'message of b');
        $redis->close();
    });
}

function of_channel(string $channel, array $got): array
{
    $own = array_filter($got, fn (array $message): bool => $message[0] === $channel);
    return array_values(array_map(fn (array $message): array => [$message[0], base64_decode($message[1])], $own));
}

test('redis: a wrong token is refused', function () use ($gateway): void {
    [$host, $port] = redis_place($gateway, 'resp token');
    $redis = new Redis();
    $redis->connect($host, (int) $port, limit());
    try {
        $redis->auth('a-token-for-nobody');
        throw new Failed('no exception');
    } catch (RedisException $e) {
        yes(strpos($e->getMessage(), 'WRONGPASS') === 0, $e->getMessage());
    }
});

$gateway->stop();
