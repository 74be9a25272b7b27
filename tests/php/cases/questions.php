<?php
// Questions, against a real server, over each kind of address in both protocols: the same answers by all of them.

declare(strict_types=1);

$gateway = new Gateway();

foreach (array_merge(Gateway::HTTP, Gateway::RESP) as $kind) {
    $hf = $gateway->client($kind);

    test("questions by $kind: a session tells who it is and what belongs to it", function () use ($gateway, $hf): void {
        $client = $gateway->connect('/ws?channel=b&channel=a');
        $hf->bind($client->session, 42);
        $hf->setData($client->session, ['lang' => 'de']);
        $hf->sendMsg($client->session, 'x');
        $client->text();
        $told = $hf->session($client->session);
        same([$client->session, '42', 'open', '127.0.0.1'],
            [$told['session'], $told['user'], $told['state'], $told['peer']]);
        same([['a', 'b'], ['lang' => 'de'], 1], [$told['channels'], $told['data'], $told['messages_out']]);
        yes(is_int($told['port']) && is_int($told['worker']) && is_string($told['listener']), 'types: ' . shown($told));
        $e = throws_one_of(['unknown_session'], fn () => $hf->session(str_repeat('0', 31) . '1'));
        yes(strpos($e->getMessage(), 'no session ') !== false, $e->getMessage());
        $client->close();
    });

    test("questions by $kind: a user has sessions, page by page, or is offline", function () use ($gateway, $hf): void {
        $name = "j\u{fc}r/gen +%";
        $ids = [];
        $clients = array_map(fn () => $gateway->connect(), range(1, 5));
        foreach ($clients as $client) {
            $hf->bind($client->session, $name);
            $ids[] = $client->session;
        }
        same([true, 5], [$hf->isOnline($name), $hf->user($name, 0)['members']], 'online, and with so many sessions');
        $page = $hf->user($name, 2);
        same([2, true], [count($page['sessions']), isset($page['cursor'])], 'a page, and that there is another');
        same([$name, $name], array_column($page['sessions'], 'user'), 'users');
        $found = array_column(iterator_to_array($hf->sessionsOf($name, 2)), 'session');
        same(sorted($ids), sorted($found), 'all of them');
        same(['user' => 'nobody', 'online' => false, 'members' => 0, 'sessions' => []], sorted_as(
            ['user', 'online', 'members', 'sessions'], $hf->user('nobody')), 'nobody');
        same([false, []], [$hf->isOnline('nobody'), iterator_to_array($hf->sessionsOf('nobody'))], 'nobody');
        array_map(fn (WebSocket $client) => $client->close(), $clients);
    });

    test("questions by $kind: a channel has members, page by page", function () use ($gateway, $hf): void {
        $gateway->holds(0);
        $clients = array_map(fn () => $gateway->connect('/ws?channel=room%2F1'), range(1, 5));
        $hf->bind($clients[0]->session, 42);
        $all = $hf->channel('room/1');
        same(['room/1', 5, 0, false], [$all['channel'], $all['members'], $all['subscribers'], isset($all['cursor'])]);
        $users = array_column(iterator_to_array($hf->members('room/1', 2)), 'user', 'session');
        same(5, count($users), 'members found');
        same('42', $users[$clients[0]->session], 'user of the first');
        same([[], 0], [iterator_to_array($hf->members('empty')), $hf->channel('empty', 0)['members']], 'an empty one');
        array_map(fn (WebSocket $client) => $client->close(), $clients);
    });

    test("questions by $kind: lists go on over pages", function () use ($gateway, $hf): void {
        $gateway->holds(0);
        $ids = [];
        $clients = [];
        for ($i = 0; $i < 7; $i++) {
            $clients[$i] = $gateway->connect("/ws?channel=room$i&channel=all");
            $ids[] = $clients[$i]->session;
            $hf->bind($clients[$i]->session, "u$i");
        }
        same(sorted($ids), sorted(array_column(iterator_to_array($hf->sessions('', 2)), 'session')), 'sessions');
        same(['u3'], array_column(iterator_to_array($hf->sessions('u3')), 'user'), 'sessions of users by a prefix');
        same(['u0', 'u1', 'u2', 'u3', 'u4', 'u5', 'u6'], array_column(iterator_to_array($hf->users('', 3)), 'name'), 'users');
        $channels = array_column(iterator_to_array($hf->channels('', 3)), 'members', 'name');
        same(['all' => 7, 'room0' => 1, 'room1' => 1, 'room2' => 1, 'room3' => 1, 'room4' => 1, 'room5' => 1,
            'room6' => 1], $channels, 'channels');
        same(['room0', 'room1'], array_column($hf->page('channels', 'room', 2)['channels'], 'name'), 'one page');
        same([], iterator_to_array($hf->channels('none')), 'channels by a prefix that none has');
        $hf->publish('room0', 'x');
        $clients[0]->text();
        $room = $hf->page('channels', 'room0')['channels'][0];
        same(['members' => 1, 'name' => 'room0', 'published' => 1, 'subscribers' => 0], sorted($room), 'a row');
        throws_one_of(['bad_request', 'refused'], fn () => $hf->page('channels', '', 10, 'AAAA'));
        array_map(fn (WebSocket $client) => $client->close(), $clients);
    });

    test("questions by $kind: stats has counters, gauges and histograms", function () use ($gateway, $hf): void {
        $gateway->holds(0);
        $client = $gateway->connect();
        $gateway->holds(1);
        $before = $hf->stats();
        $hf->publish('none', 'x');
        $after = $hf->stats();
        same(1, $after['sessions.online'], 'sessions.online');
        yes($after['api.requests'] > $before['api.requests'], 'api.requests has grown');
        yes(isset($after['backend.request_us.p99']), 'a histogram: ' . implode(' ', array_keys($after)));
        $client->close();
    });
}

test('questions: both protocols name the same stats', function () use ($gateway): void {
    $names = fn (string $kind): array => sorted(array_keys($gateway->client($kind)->stats()));
    same($names('unix'), $names('resp unix'));
});

unset($hf);
$gateway->stop();
