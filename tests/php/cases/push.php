<?php
// Every method against a real server, over each kind of address, with clients of two workers. Nobody sleeps: that a
// client does NOT get a message is shown by the next one it gets.

declare(strict_types=1);

$gateway = new Gateway();

foreach (['tcp', 'unix', 'token'] as $kind) {
    $hf = $gateway->client($kind);

    test("push by $kind: sendMsg reaches sessions, and names the unknown", function () use ($gateway, $hf): void {
        [$ann, $bob, $eve] = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        same(['delivered' => 1, 'unknown' => []], $hf->sendMsg($ann->session, 'one'));
        $nobody = str_repeat('0', 31) . '1';
        same(['delivered' => 2, 'unknown' => [$nobody]], $hf->sendMsg([$ann->session, $nobody, $bob->session], 'two'));
        same(['delivered' => 0, 'unknown' => [$nobody]], $hf->sendMsg($nobody, 'none'));
        same(['one', 'two', 'two'], [$ann->text(), $ann->text(), $bob->text()], 'messages');
        $hf->sendMsg($eve->session, 'first');
        same('first', $eve->text(), 'what the other one gets first');
    });

    test("push by $kind: sendAllMsg reaches every session but the excluded", function () use ($gateway, $hf): void {
        $gateway->holds(0);
        $clients = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        same(['delivered' => 3], $hf->sendAllMsg('all'));
        same(['delivered' => 2], $hf->sendAllMsg('but one', [$clients[1]->session]));
        same(['delivered' => 3], $hf->sendAllMsg('end'));
        same([['all', 'but one', 'end'], ['all', 'end'], ['all', 'but one', 'end']], [
            [$clients[0]->text(), $clients[0]->text(), $clients[0]->text()],
            [$clients[1]->text(), $clients[1]->text()],
            [$clients[2]->text(), $clients[2]->text(), $clients[2]->text()],
        ], 'messages');
    });

    test("push by $kind: publish reaches the members of channels", function () use ($gateway, $hf): void {
        [$red, $blue, $both] = [
            $gateway->connect('/ws?channel=red'),
            $gateway->connect('/ws?channel=blue'),
            $gateway->connect('/ws?channel=red&channel=blue'),
        ];
        same(['delivered' => 2], $hf->publish('red', 'r'));
        same(['delivered' => 4], $hf->publish(['red', 'blue'], 'rb'));
        same(['delivered' => 1], $hf->publish('blue', 'b', [$both->session]));
        same(['delivered' => 0], $hf->publish('green', 'g'));
        same(['r', 'rb'], [$red->text(), $red->text()], 'red');
        same(['rb', 'b'], [$blue->text(), $blue->text()], 'blue');
        same(['r', 'rb', 'rb'], [$both->text(), $both->text(), $both->text()], 'both');
        $both->send('to my channels');
        same('to my channels', $red->text(), 'what a client says');
    });

    test("push by $kind: addChannel and delChannel change memberships", function () use ($gateway, $hf): void {
        [$ann, $bob] = [$gateway->connect(), $gateway->connect()];
        $nobody = str_repeat('0', 31) . '1';
        $joined = $hf->addChannel('club', [$ann->session, $bob->session, $nobody]);
        same(['delivered' => 2, 'unknown' => [$nobody]], $joined);
        same(['delivered' => 1, 'unknown' => []], $hf->addChannel(['club', 'board'], $ann->session));
        same(2, $hf->publish('club', 'welcome')['delivered'], 'members of club');
        same(1, $hf->publish('board', 'chair')['delivered'], 'members of board');
        same(['delivered' => 1, 'unknown' => []], $hf->delChannel('club', $ann->session));
        same(1, $hf->publish('club', 'rest')['delivered'], 'members of club that are left');
        same(['welcome', 'chair'], [$ann->text(), $ann->text()], 'ann');
        same(['welcome', 'rest'], [$bob->text(), $bob->text()], 'bob');
    });

    test("push by $kind: bind makes sendUser reach sessions, unbind ends it", function () use ($gateway, $hf): void {
        [$home, $phone, $other] = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        same(1, $hf->bind($home->session, 42)['delivered'], 'bound');
        $hf->bind($phone->session, '42');
        $hf->bind($other->session, "j\u{fc}rgen");
        same(['delivered' => 2], $hf->sendUser(42, 'to 42'));
        same(['delivered' => 3], $hf->sendUser([42, "j\u{fc}rgen"], 'to both'));
        same(['delivered' => 1], $hf->sendUser('42', 'to the phone', [$home->session]));
        throws('other_user', 409, fn () => $hf->unbind($phone->session, 43));
        same(1, $hf->unbind($phone->session, 42)['delivered'], 'unbound');
        same(1, $hf->unbind($other->session)['delivered'], 'unbound');
        same(['delivered' => 1], $hf->sendUser(42, 'to home'));
        same(['delivered' => 0], $hf->sendUser("j\u{fc}rgen", 'to nobody'));
        same(['to 42', 'to both', 'to home'], [$home->text(), $home->text(), $home->text()], 'home');
        same(['to 42', 'to both', 'to the phone'], [$phone->text(), $phone->text(), $phone->text()], 'phone');
        same('to both', $other->text(), 'other');
    });

    test("push by $kind: kickUser closes with code and reason", function () use ($gateway, $hf): void {
        [$ann, $bob, $eve] = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        $nobody = str_repeat('0', 31) . '1';
        same(['delivered' => 1, 'unknown' => []], $hf->kickUser($ann->session));
        same(['delivered' => 2, 'unknown' => [$nobody]],
            $hf->kickUser([$bob->session, $nobody, $eve->session], 4001, "spam \u{2013} bye"));
        same([4000, ''], $ann->closed(), 'close of ann');
        same([4001, "spam \u{2013} bye"], $bob->closed(), 'close of bob');
        same([4001, "spam \u{2013} bye"], $eve->closed(), 'close of eve');
    });

    test("push by $kind: payloads arrive as they were given", function () use ($gateway, $hf): void {
        $client = $gateway->connect();
        $texts = ['', "\0", "caf\u{e9} \u{1f600}", '"quoted" \\ /', "line\r\n", str_repeat("\u{e9}", 30000)];
        foreach ($texts as $text) {
            $hf->sendMsg($client->session, $text);
            yes($client->text() === $text, 'the same text: ' . shown($text));
        }
        foreach (["\xff\x00\xfe", "caf\xe9", "\xed\xa0\x80", random_bytes(50000) . "\xff"] as $bytes) {
            $hf->sendMsg($client->session, $bytes);
            yes($client->binary() === $bytes, 'the same bytes: ' . bin2hex(substr($bytes, 0, 8)));
        }
        $hf->sendMsg($client->session, Holdfast::binary('plain'));
        same('plain', $client->binary(), 'forced to binary');
        $hf->sendAllMsg("\xff", [str_repeat('0', 32)]);
        same("\xff", $client->binary(), 'bytes to all');
        $hf->sendMsg($client->session, ['text' => "caf\u{e9}/", 'n' => 1.0, 'list' => [], 'big' => PHP_INT_MAX]);
        same("{\"text\":\"caf\u{e9}/\",\"n\":1.0,\"list\":[],\"big\":9223372036854775807}", $client->text(), 'JSON');
        $hf->sendMsg($client->session, 42);
        same('42', $client->text(), 'a number');
    });

    test("push by $kind: info counts sessions and lists workers", function () use ($gateway, $hf): void {
        $gateway->holds(0);
        $clients = [$gateway->connect(), $gateway->connect()];
        $gateway->holds(2);
        $info = $hf->info();
        same($gateway->instance, $info['instance'], 'instance');
        same(2, $info['gauges']['sessions.online'], 'sessions.online');
        same(['serving', 'serving'], array_column($info['workers'], 'state'), 'states');
        same(2, array_sum(array_column($info['workers'], 'sessions')), 'sessions of the workers');
        array_map(fn (WebSocket $client) => $client->close(), $clients);
    });

    test("push by $kind: channels lists those with members", function () use ($gateway, $hf): void {
        $gateway->holds(0);
        $one = $gateway->connect('/ws?channel=a%26b&channel=room1');
        $two = $gateway->connect('/ws?channel=room1&channel=room2');
        $found = function (string $prefix, int $limit = 1000) use ($hf): array {
            $answer = $hf->channels($prefix, $limit);
            return array_column($answer['channels'], 'members', 'name') + ['more' => $answer['more'] ?? false];
        };
        same(['a&b' => 1, 'room1' => 2, 'room2' => 1, 'more' => false], $found(''));
        same(['room1' => 2, 'room2' => 1, 'more' => false], $found('room'));
        same(['a&b' => 1, 'more' => false], $found('a&'));
        same(['room1' => 2, 'more' => true], $found('room', 1));
        same(['more' => false], $found('none'));
        $one->close();
        $two->close();
    });

    test("push by $kind: a refusal has its code, and the next call goes on", function () use ($gateway, $hf): void {
        $nobody = str_repeat('0', 31) . '1';
        throws('unknown_session', 404, fn () => $hf->bind($nobody, 42));
        throws('unknown_session', 404, fn () => $hf->unbind($nobody));
        $e = throws('bad_request', 400, fn () => $hf->sendMsg('not-an-id', 'x'));
        yes(strpos($e->getMessage(), 'sessions') !== false, "the message names the key: {$e->getMessage()}");
        throws('bad_request', 400, fn () => $hf->sendMsg([], 'x'));
        throws('bad_request', 400, fn () => $hf->publish('', 'x'));
        throws('bad_request', 400, fn () => $hf->kickUser($nobody, 1006));
        throws('bad_request', 400, fn () => $hf->channels('', 0));
        throws('too_large', 413, fn () => $hf->sendAllMsg(str_repeat('x', 70000)));
        throws('too_large', 413, fn () => $hf->sendAllMsg(str_repeat('x', 4 << 20)));
        same(['delivered' => 0], $hf->publish('nobody-is-here', 'x'));
    });
}

test('push by token: none or a wrong one is refused', function () use ($gateway): void {
    $address = $gateway->api('token');
    $none = throws('unauthorized', 401, fn () => (new Holdfast($address))->sendAllMsg('x'));
    yes(strpos($none->getMessage(), "POST /v1/send-all at $address: 401 unauthorized: ") === 0, $none->getMessage());
    $wrong = throws('unauthorized', 401, fn () => (new Holdfast($address, 'a-token-for-nobody'))->info());
    yes(strpos($wrong->getMessage(), 'a-token-for-nobody') === false, 'the message does not tell the token');
    same(['delivered' => 0], (new Holdfast($address, ' ' . Gateway::TOKEN . "\n"))->publish('none', 'x'));
});

unset($hf);  // a server that stops waits a little for pushers to hang up
$gateway->stop();
