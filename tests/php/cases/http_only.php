<?php
// What HTTP can say and RESP cannot, against a real server.

declare(strict_types=1);

$gateway = new Gateway();
$hf = $gateway->client('unix');

test('http only: excluded sessions do not get it', function () use ($gateway, $hf): void {
    $gateway->holds(0);
    $clients = array_map(fn () => $gateway->connect('/ws?channel=c'), range(1, 3));
    [$ann, $bob, $eve] = $clients;
    array_map(fn (WebSocket $client) => $hf->bind($client->session, 42), $clients);
    $but = [$bob->session];
    same(['delivered' => 2], $hf->sendAllMsg('all', $but));
    same(['delivered' => 2], $hf->publish('c', 'channel', $but));
    same(['delivered' => 2], $hf->sendUser(42, 'user', $but));
    same(['delivered' => 2], $hf->addChannelByUser('new', 42, $but));
    same(['delivered' => 1], $hf->delChannelByUser('new', 42, [$ann->session, $bob->session]));
    same(['delivered' => 1], $hf->publish('new', 'joined'));
    same(['delivered' => 2], $hf->kickByUser(42, 4000, 'go', $but));
    same(['all', 'channel', 'user', 'joined'], array_map(fn () => $ann->text(), range(1, 4)), 'ann');
    same([4000, 'go'], $ann->closed(), 'close of ann');
    same([4000, 'go'], array_slice([$eve->text(), $eve->text(), $eve->text(), $eve->closed()], -1)[0], 'close of eve');
    same(['delivered' => 0], $hf->kickByChannel('c', 4000, '', $but));
    $hf->sendAllMsg('end');
    same('end', $bob->text(), 'what bob gets first');
    $bob->close();
});

test('http only: a text goes out as binary where that is wanted', function () use ($gateway, $hf): void {
    $client = $gateway->connect();
    $hf->sendMsg($client->session, Holdfast::binary('plain'));
    same('plain', $client->binary());
    $client->close();
});

test('http only: a call with a key is carried out once, by whatever client it is repeated', function () use ($gateway, $hf): void {
    $client = $gateway->connect();
    $key = "order-\u{e9}1";
    $first = $hf->once($key)->sendMsg($client->session, 'paid');
    same(['delivered' => 1, 'unknown' => []], $first);
    foreach (['unix', 'tcp', 'token'] as $kind) {
        $repeat = $gateway->client($kind)->once($key)->sendMsg($client->session, 'paid');
        same($first + ['repeated' => true], $repeat, "the repeat by $kind");
    }
    throws('key_reused', 422, fn () => $hf->once($key)->sendMsg($client->session, 'something else'));
    same(['delivered' => 1, 'unknown' => []], $hf->sendMsg($client->session, 'end'), 'without the key');
    same(['paid', 'end'], [$client->text(), $client->text()], 'messages');
    $client->close();
});

test('http only: commands of a batch have keys of their own', function () use ($gateway, $hf): void {
    $client = $gateway->connect();
    $commands = [
        ['op' => 'send', 'sessions' => $client->session, 'data' => 'a', 'id' => 'batch-a'],
        ['op' => 'send', 'sessions' => $client->session, 'data' => 'b', 'id' => 'batch-b'],
    ];
    $results = $hf->batch([$commands[0]]);
    same([['status' => 200, 'delivered' => 1, 'unknown' => []]], $results);
    same([true, false], array_map(fn (array $result): bool => $result['repeated'] ?? false, $hf->batch($commands)));
    same(['a', 'b'], [$client->text(), $client->text()], 'messages');
    $client->close();
});

test('http only: with $repeat every send has a key', function () use ($gateway): void {
    $hf = $gateway->client('unix', true);
    $client = $gateway->connect();
    same([1, 1], [$hf->sendMsg($client->session, 'x')['delivered'], $hf->sendMsg($client->session, 'x')['delivered']]);
    same(['x', 'x'], [$client->text(), $client->text()], 'two calls are two messages');
    $client->close();
});

test('http only: info counts sessions and lists workers', function () use ($gateway, $hf): void {
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

test('http only: statuses are those of holdfast-api(7)', function () use ($gateway, $hf): void {
    $nobody = str_repeat('0', 31) . '1';
    throws('unknown_session', 404, fn () => $hf->bind($nobody, 42));
    throws('unknown_session', 404, fn () => $hf->session($nobody));
    throws('bad_request', 400, fn () => $hf->page('channels', '', 0));
    throws('too_large', 413, fn () => $hf->sendAllMsg(str_repeat('x', 70000)));
    $address = $gateway->api('token');
    $none = throws('unauthorized', 401, fn () => (new Holdfast($address))->sendAllMsg('x'));
    yes(strpos($none->getMessage(), "POST /v1/send-all at $address: 401 unauthorized: ") === 0, $none->getMessage());
    throws('forbidden', 403, fn () => (new Holdfast($address, Gateway::PUSH_TOKEN))->info());
});

unset($hf);
$gateway->stop();
