<?php
// Every call that sends or changes, against a real server, over each kind of address in both protocols, with clients of
// two workers. Nobody sleeps: that a client does NOT get a message is shown by the next one it gets.

declare(strict_types=1);

$gateway = new Gateway();
$nobody = str_repeat('0', 31) . '1';

foreach (array_merge(Gateway::HTTP, Gateway::RESP) as $kind) {
    $hf = $gateway->client($kind);

    test("push by $kind: sendMsg reaches sessions, and names the unknown", function () use ($gateway, $hf, $nobody): void {
        [$ann, $bob, $eve] = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        same(['delivered' => 1, 'unknown' => []], $hf->sendMsg($ann->session, 'one'));
        same(['delivered' => 2, 'unknown' => [$nobody]], $hf->sendMsg([$ann->session, $nobody, $bob->session], 'two'));
        same(['delivered' => 0, 'unknown' => [$nobody]], $hf->sendMsg($nobody, 'none'));
        same(['one', 'two', 'two'], [$ann->text(), $ann->text(), $bob->text()], 'messages');
        $hf->sendMsg($eve->session, 'first');
        same('first', $eve->text(), 'what the other one gets first');
    });

    test("push by $kind: sendAllMsg reaches every session", function () use ($gateway, $hf): void {
        $gateway->holds(0);
        $clients = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        same(['delivered' => 3], $hf->sendAllMsg('all'));
        same(['all', 'all', 'all'], array_map(fn (WebSocket $client): string => $client->text(), $clients), 'messages');
    });

    test("push by $kind: publish reaches the members of channels", function () use ($gateway, $hf): void {
        [$red, $blue, $both] = [
            $gateway->connect('/ws?channel=red'),
            $gateway->connect('/ws?channel=blue'),
            $gateway->connect('/ws?channel=red&channel=blue'),
        ];
        same(['delivered' => 2], $hf->publish('red', 'r'));
        same(['delivered' => 4], $hf->publish(['red', 'blue'], 'rb'));
        same(['delivered' => 0], $hf->publish('green', 'g'));
        same(['r', 'rb'], [$red->text(), $red->text()], 'red');
        same(['rb'], [$blue->text()], 'blue');
        same(['r', 'rb', 'rb'], [$both->text(), $both->text(), $both->text()], 'both');
        $both->send('to my channels');
        same('to my channels', $red->text(), 'what a client says');
    });

    test("push by $kind: addChannel and delChannel change memberships", function () use ($gateway, $hf, $nobody): void {
        [$ann, $bob] = [$gateway->connect(), $gateway->connect()];
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

    test("push by $kind: whole users join and leave channels", function () use ($gateway, $hf): void {
        [$home, $phone, $other] = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        foreach ([[$home, 7], [$phone, 7], [$other, 'ann']] as [$client, $user]) {
            $hf->bind($client->session, $user);
        }
        same(['delivered' => 2], $hf->addChannelByUser(['news', 'sport'], 7));
        same(['delivered' => 3], $hf->addChannelByUser('news', [7, 'ann']));
        same(['delivered' => 0], $hf->addChannelByUser('news', 'nobody'));
        same([3, 2], [$hf->publish('news', 'n')['delivered'], $hf->publish('sport', 's')['delivered']], 'members');
        same(['delivered' => 2], $hf->delChannelByUser('news', 7));
        same(1, $hf->publish('news', 'n2')['delivered'], 'members that are left');
        same(['n', 's'], [$phone->text(), $phone->text()], 'phone');
        same(['n', 'n2'], [$other->text(), $other->text()], 'other');
    });

    test("push by $kind: bind makes sendUser reach sessions, unbind ends it", function () use ($gateway, $hf, $nobody): void {
        [$home, $phone, $other] = [$gateway->connect(), $gateway->connect(), $gateway->connect()];
        same(1, $hf->bind($home->session, 42)['delivered'], 'bound');
        $hf->bind($phone->session, '42');
        $hf->bind($other->session, "j\u{fc}rgen");
        same(['delivered' => 2], $hf->sendUser(42, 'to 42'));
        same(['delivered' => 3], $hf->sendUser([42, "j\u{fc}rgen"], 'to both'));
        $e = throws_one_of(['other_user', 'refused'], fn () => $hf->unbind($phone->session, 43));
        yes(strpos($e->getMessage(), 'not bound to that user') !== false, $e->getMessage());
        same(1, $hf->unbind($phone->session, 42)['delivered'], 'unbound');
        same(['delivered' => 1], $hf->sendUser('42', 'to home'));
        same(1, $hf->unbind($home->session)['delivered'], 'unbound without saying from whom');
        same(['delivered' => 0], $hf->sendUser(42, 'nobody'));
        $hf->sendMsg([$home->session, $phone->session], 'end');
        $got = fn (WebSocket $client, int $n): array => array_map(fn () => $client->text(), range(1, $n));
        same(['to 42', 'to both', 'to home', 'end'], $got($home, 4), 'home');
        same(['to 42', 'to both', 'end'], $got($phone, 3), 'phone');
        same('to both', $other->text(), 'other');
        throws_one_of(['unknown_session'], fn () => $hf->bind($nobody, 42));
        throws_one_of(['unknown_session'], fn () => $hf->unbind($nobody));
    });

    test("push by $kind: a session's data is replaced and changed", function () use ($gateway, $hf, $nobody): void {
        $client = $gateway->connect();
        $data = fn (): array => $hf->session($client->session)['data'];
        same(1, $hf->setData($client->session, ['lang' => 'de', 'n' => 1, '7' => "\u{fc}", 'gone' => ''])['delivered']);
        same(['7' => "\u{fc}", 'lang' => 'de', 'n' => '1'], sorted($data()), 'set');
        $hf->mergeData($client->session, ['lang' => 'fr', 'n' => null, 'new' => 'x']);
        same(['7' => "\u{fc}", 'lang' => 'fr', 'new' => 'x'], sorted($data()), 'merged');
        $e = throws_one_of(['too_large', 'refused'], fn () => $hf->mergeData($client->session, ['b' => str_repeat('x', 4090)]));
        yes(strpos($e->getMessage(), '4096') !== false, "the message says how much: {$e->getMessage()}");
        same(['7' => "\u{fc}", 'lang' => 'fr', 'new' => 'x'], sorted($data()), 'as before');
        $hf->setData($client->session, []);
        same([], $data(), 'none');
        throws_one_of(['unknown_session'], fn () => $hf->setData($nobody, ['a' => 'b']));
    });

    test("push by $kind: kicks close with code and reason", function () use ($gateway, $hf, $nobody): void {
        $clients = array_map(fn () => $gateway->connect('/ws?channel=k'), range(1, 6));
        [$ann, $bob, $eve, $home, $phone, $last] = $clients;
        same(['delivered' => 1, 'unknown' => []], $hf->kickUser($ann->session));
        same(['delivered' => 2, 'unknown' => [$nobody]],
            $hf->kickUser([$bob->session, $nobody, $eve->session], 4001, "spam \u{2013} bye"));
        $hf->bind($home->session, 42);
        $hf->bind($phone->session, 42);
        same(['delivered' => 2], $hf->kickByUser(42, 4002));
        same(['delivered' => 1], $hf->kickByChannel('k', 1000, 'closing'));
        same([4000, ''], $ann->closed(), 'close of ann');
        same([4001, "spam \u{2013} bye"], $bob->closed(), 'close of bob');
        same([4001, "spam \u{2013} bye"], $eve->closed(), 'close of eve');
        same([4002, ''], $home->closed(), 'close of home');
        same([4002, ''], $phone->closed(), 'close of phone');
        same([1000, 'closing'], $last->closed(), 'close of the last one in the channel');
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
        $hf->sendMsg($client->session, Holdfast::binary("\xff"));
        same("\xff", $client->binary(), 'said to be binary');
        $hf->sendAllMsg("\xfe");
        same("\xfe", $client->binary(), 'bytes to all');
        $hf->sendMsg($client->session, ['text' => "caf\u{e9}/", 'n' => 1.0, 'list' => [], 'big' => PHP_INT_MAX]);
        same("{\"text\":\"caf\u{e9}/\",\"n\":1.0,\"list\":[],\"big\":9223372036854775807}", $client->text(), 'JSON');
        $hf->sendMsg($client->session, 42);
        same('42', $client->text(), 'a number');
    });

    test("push by $kind: a batch is carried out in its order, and the error of one stops no other", function () use ($gateway, $hf, $nobody): void {
        [$ann, $bob] = [$gateway->connect(), $gateway->connect()];
        $results = $hf->batch([
            ['op' => 'join', 'sessions' => [$ann->session, $bob->session], 'channels' => 'b'],
            ['op' => 'publish', 'channels' => 'b', 'data' => ['n' => 1]],
            ['op' => 'bind', 'session' => $nobody, 'user' => 42],
            ['op' => 'leave', 'sessions' => $ann->session, 'channels' => 'b'],
            ['op' => 'publish', 'channels' => 'b', 'data' => "\xff"],
        ]);
        same([2, 2, 0, 1, 1], array_map(fn (array $result): int => $result['delivered'] ?? 0, $results), 'delivered');
        same([true, true, false, true, true],
            array_map(fn (array $result): bool => $result['status'] === 200, $results), 'status 200');
        same('unknown_session', $results[2]['error']['code'], 'error');
        same(['{"n":1}', '{"n":1}', "\xff"], [$ann->text(), $bob->text(), $bob->binary()], 'messages');
    });

    test("push by $kind: a refusal is an exception, and the next call goes on", function () use ($gateway, $hf, $nobody): void {
        $e = throws_one_of(['bad_request', 'refused'], fn () => $hf->sendMsg('not-an-id', 'x'));
        yes(strpos($e->getMessage(), 'session') !== false, "the message names the key: {$e->getMessage()}");
        throws_one_of(['bad_request', 'bad_argument'], fn () => $hf->sendMsg([], 'x'));
        throws_one_of(['bad_request', 'refused'], fn () => $hf->publish('', 'x'));
        throws_one_of(['bad_request', 'refused'], fn () => $hf->kickUser($nobody, 1006));
        throws_one_of(['too_large', 'refused'], fn () => $hf->sendAllMsg(str_repeat('x', 70000)));
        throws_one_of(['too_large', 'refused'], fn () => $hf->sendAllMsg(str_repeat('x', 4 << 20)));
        same(['delivered' => 0], $hf->publish('nobody-is-here', 'x'));
    });
}

foreach (['token', 'resp token'] as $kind) {
    test("push by $kind: none or a wrong one is refused", function () use ($gateway, $kind): void {
        $address = $gateway->api($kind);
        throws_one_of(['unauthorized'], fn () => (new Holdfast($address))->sendAllMsg('x'));
        $wrong = throws_one_of(['unauthorized'], fn () => (new Holdfast($address, 'a-token-for-nobody'))->stats());
        yes(strpos($wrong->getMessage(), 'a-token-for-nobody') === false, 'the message does not tell the token');
        same(['delivered' => 0], (new Holdfast($address, ' ' . Gateway::TOKEN . "\n"))->publish('none', 'x'));
    });

    test("push by $kind: one that may push may not ask", function () use ($gateway, $kind): void {
        $hf = new Holdfast($gateway->api($kind), Gateway::PUSH_TOKEN);
        throws_one_of(['forbidden'], fn () => $hf->stats());
        same(['delivered' => 0], $hf->publish('none', 'x'));
    });

    test("push by $kind: a persistent connection is nobody's beyond the call", function () use ($gateway, $kind): void {
        $with = fn (string $token) => new Holdfast($gateway->api($kind), $token, limit(), 1.0, true);
        [$all, $push, $none] = [$with(Gateway::TOKEN), $with(Gateway::PUSH_TOKEN), $with('')];
        yes(count($all->stats()) > 0, 'the first may ask');
        throws_one_of(['forbidden'], fn () => $push->stats());
        throws_one_of(['unauthorized'], fn () => $none->stats());
        yes(count($all->stats()) > 0, 'the first may still ask');
    });
}

unset($hf);  // a server that stops waits a little for pushers to hang up
$gateway->stop();
