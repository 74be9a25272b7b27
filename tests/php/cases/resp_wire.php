<?php
// The same as wire.php, in RESP: what the client sends, and what it makes of connections that end and of replies that
// are late, broken or no replies at all.

declare(strict_types=1);

// A fake server that speaks RESP.
function fake_resp(array ...$plan): FakeServer
{
    return new FakeServer($plan, 'resp');
}

// The error reply of these words, for replies().
function refusal(string $words): Exception
{
    return new Exception($words);
}

$id = str_repeat('0', 31);  // the beginning of session ids

foreach ([
    'sendMsg' => [
        fn (Holdfast $hf): array => $hf->sendMsg(["{$id}1", "{$id}2"], "caf\u{e9}"),
        [['HF.SEND', "{$id}1", "caf\u{e9}"], ['HF.SEND', "{$id}2", "caf\u{e9}"]], [1, 0],
        ['delivered' => 1, 'unknown' => ["{$id}2"]],
    ],
    'sendUser' => [
        fn (Holdfast $hf): array => $hf->sendUser([42, 'ann'], ['n' => 1]),
        [['HF.SENDUSER', '42', '{"n":1}'], ['HF.SENDUSER', 'ann', '{"n":1}']], [2, 1],
        ['delivered' => 3],
    ],
    'sendAllMsg' => [
        fn (Holdfast $hf): array => $hf->sendAllMsg(''), [['HF.SENDALL', '']], [7], ['delivered' => 7],
    ],
    'publish' => [
        fn (Holdfast $hf): array => $hf->publish('room', "a\r\nb"), [['PUBLISH', 'room', "a\r\nb"]], [2],
        ['delivered' => 2],
    ],
    'publishKept' => [
        fn (Holdfast $hf): array => $hf->publishKept(['a', 'b'], 'x', 7),
        [['HF.PUBLISH', 'a', 'x', 'VERSION', '7'], ['HF.PUBLISH', 'b', 'x', 'VERSION', '7']],
        [['delivered', 2, 'position', 'yQkMXkWu:3', 'superseded', 0],
            ['delivered', 0, 'position', 'yQkMXkWu:9', 'superseded', 1]],
        ['delivered' => 2, 'positions' => ['a' => 'yQkMXkWu:3', 'b' => 'yQkMXkWu:9'], 'superseded' => ['b']],
    ],
    'publishUnkept' => [
        fn (Holdfast $hf): array => $hf->publishUnkept('a', 'x'), [['HF.PUBLISH', 'a', 'x', 'NOHISTORY']],
        [['delivered', 2, 'position', null, 'superseded', 0]], ['delivered' => 2],
    ],
    'history' => [
        fn (Holdfast $hf): array => $hf->history('a', 'yQkMXkWu:9', 1, true),
        [['HF.HISTORY', 'a', 'LIMIT', '1', 'SINCE', 'yQkMXkWu:9', 'REV']],
        [['position', 'yQkMXkWu:9', 'first', 9, 'kept', 1, 'bytes', 48, 'early', 2, 'messages', []]],
        ['channel' => 'a', 'history' => ['position' => 'yQkMXkWu:9', 'first' => 9, 'messages' => 1, 'bytes' => 48,
            'early' => 2], 'messages' => [], 'more' => false],
    ],
    'deleteHistory' => [
        fn (Holdfast $hf): array => $hf->deleteHistory('a'), [['HF.DELHISTORY', 'a']],
        [['position', 'yQkMXkWu:9', 'first', 0, 'kept', 0, 'bytes', 0, 'early', 2]],
        ['channel' => 'a', 'history' => ['position' => 'yQkMXkWu:9', 'first' => 0, 'messages' => 0, 'bytes' => 0,
            'early' => 2]],
    ],
    'addChannel' => [
        fn (Holdfast $hf): array => $hf->addChannel(['a', 'b'], ["{$id}1", "{$id}2"]),
        [['HF.JOIN', 'a', "{$id}1"], ['HF.JOIN', 'b', "{$id}1"], ['HF.JOIN', 'a', "{$id}2"], ['HF.JOIN', 'b', "{$id}2"]],
        [1, 1, 0, 0], ['delivered' => 1, 'unknown' => ["{$id}2"]],
    ],
    'delChannelByUser' => [
        fn (Holdfast $hf): array => $hf->delChannelByUser(['a', 'b'], [42, 'ann']),
        [['HF.LEAVEUSER', 'a', '42', 'ann'], ['HF.LEAVEUSER', 'b', '42', 'ann']], [3, 3], ['delivered' => 3],
    ],
    'bind' => [
        fn (Holdfast $hf): array => $hf->bind("{$id}1", 42), [['HF.BIND', "{$id}1", '42']], [1], ['delivered' => 1],
    ],
    'unbind' => [
        fn (Holdfast $hf): array => $hf->unbind("{$id}1", 42), [['HF.UNBIND', "{$id}1", '42']], [1], ['delivered' => 1],
    ],
    'setData' => [
        fn (Holdfast $hf): array => $hf->setData("{$id}1", ['7' => 8]),
        [['HF.DATA', "{$id}1", 'SET', '7', '8']], [1], ['delivered' => 1],
    ],
    'mergeData' => [
        fn (Holdfast $hf): array => $hf->mergeData("{$id}1", ['a' => null, 'b' => 'c']),
        [['HF.DATA', "{$id}1", 'MERGE', 'a', '', 'b', 'c']], [1], ['delivered' => 1],
    ],
    'kickUser' => [
        fn (Holdfast $hf): array => $hf->kickUser("{$id}1"),
        [['HF.KICK', "{$id}1", '4000', '']], [0], ['delivered' => 0, 'unknown' => ["{$id}1"]],
    ],
    'kickByUser' => [
        fn (Holdfast $hf): array => $hf->kickByUser(42, 4001, 'bye'), [['HF.KICKUSER', '42', '4001', 'bye']], [2],
        ['delivered' => 2],
    ],
    'kickByChannel' => [
        fn (Holdfast $hf): array => $hf->kickByChannel('a', 1000), [['HF.KICKCHANNEL', 'a', '1000', '']], [2],
        ['delivered' => 2],
    ],
    'user' => [
        fn (Holdfast $hf): array => $hf->user(42, 2, 'xyz'), [['HF.USER', '42', 'CURSOR', 'xyz', 'COUNT', '2']],
        [['user', '42', 'members', 3, 'online', 1, 'sessions', ['s1', 's2'], 'cursor', 'abc']],
        ['user' => '42', 'members' => 3, 'online' => true, 'sessions' => [['session' => 's1', 'user' => '42'],
            ['session' => 's2', 'user' => '42']], 'cursor' => 'abc'],
    ],
    'channel' => [
        fn (Holdfast $hf): array => $hf->channel('a'), [['HF.CHANNEL', 'a', 'COUNT', '100']],
        [['channel', 'a', 'members', 1, 'subscribers', 2, 'sessions', ['s1', ''], 'cursor', '0', 'partial', 1]],
        ['channel' => 'a', 'members' => 1, 'subscribers' => 2, 'sessions' => [['session' => 's1', 'user' => '']],
            'partial' => true],
    ],
    'page of users' => [
        fn (Holdfast $hf): array => $hf->page('users', 'a', 2), [['HF.USERS', 'COUNT', '2', 'PREFIX', 'a']],
        [['abc', [['ann', 1, 5], ['art', 2, 0]]]],
        ['users' => [['name' => 'ann', 'members' => 1, 'published' => 5],
            ['name' => 'art', 'members' => 2, 'published' => 0]], 'cursor' => 'abc'],
    ],
    'page of sessions' => [
        fn (Holdfast $hf): array => $hf->page('sessions'), [['HF.SESSIONS', 'COUNT', '100']], [['0', ['s1', 'ann']]],
        ['sessions' => [['session' => 's1', 'user' => 'ann']]],
    ],
    'stats' => [
        fn (Holdfast $hf): array => $hf->stats(), [['HF.STATS']], [['push.publish', 4, 'sessions.online', 2]],
        ['push.publish' => 4, 'sessions.online' => 2],
    ],
] as $method => [$call, $commands, $values, $expected]) {
    test("resp wire: $method", function () use ($call, $commands, $values, $expected): void {
        $fake = fake_resp(['resp ' . count($commands), replies(...$values)]);
        same($expected, $call($fake->client()));
        same($commands, $fake->played(), 'commands');
    });
}

test('resp wire: a batch is commands in one piece, each with its own result', function () use ($id): void {
    $fake = fake_resp(['resp 5', replies(1, refusal('ERR full'), 1, 0, refusal('TRYAGAIN later'))]);
    $results = $fake->client()->batch([
        ['op' => 'join', 'sessions' => ["{$id}1", "{$id}2", "{$id}3"], 'channels' => 'a'],
        ['op' => 'bind', 'session' => "{$id}9", 'user' => 42],
        ['op' => 'publish', 'channels' => ['a'], 'data' => ['n' => 1]],
    ]);
    same([
        ['status' => 0, 'delivered' => 2, 'unknown' => [], 'error' => ['code' => 'refused', 'message' => 'ERR full']],
        ['status' => 0, 'delivered' => 0, 'error' => ['code' => 'unknown_session',
            'message' => "no session {$id}9 is connected"]],
        ['status' => 0, 'delivered' => 0, 'error' => ['code' => 'overloaded', 'message' => 'TRYAGAIN later']],
    ], $results);
    same(['HF.JOIN', 'HF.JOIN', 'HF.JOIN', 'HF.BIND', 'PUBLISH'], array_column($fake->played(), 0), 'commands');
});

test('resp wire: an error says what was done in spite of it', function () use ($id): void {
    $fake = fake_resp(['resp 3', replies(1, refusal('TRYAGAIN the mailboxes are full'), 0), 'resp 1', replies(2)]);
    $hf = $fake->client();
    $e = throws('overloaded', 0, fn () => $hf->sendMsg(["{$id}1", "{$id}2", "{$id}3"], 'x'));
    same("HF.SEND at {$fake->address}: TRYAGAIN the mailboxes are full", $e->getMessage());
    same(['delivered' => 1, 'unknown' => ["{$id}3"]], $e->answer(), 'what was done');
    same(['delivered' => 2], $hf->sendUser(42, 'x'), 'the next call, on the same connection');
    $fake->played();
});

foreach ([
    'NOAUTH Authentication required.' => 'unauthorized',
    "NOPERM this user has no permissions to run the 'publish' command" => 'forbidden',
    "ERR unknown command 'publish'" => 'refused',
] as $words => $code) {
    test("resp wire: \"$words\" is $code", function () use ($words, $code): void {
        $fake = fake_resp(['resp 1', replies(refusal($words))]);
        $e = throws($code, 0, fn () => $fake->client()->publish('a', 'x'));
        same("PUBLISH at {$fake->address}: $words", $e->getMessage());
        $fake->played();
    });
}

test('resp wire: a token is said once a connection, before anything else', function (): void {
    $dir = (new TempDir())->path;
    $fake = fake_resp(
        ['resp 2', "send +OK\r\n:1\r\n", 'resp 1', replies(2), 'close', "run : > $dir/closed"],
        ['resp 2', "send +OK\r\n:3\r\n"]
    );
    $hf = $fake->client(false, 'secret');
    same([1, 2], [$hf->publish('a', 'x')['delivered'], $hf->publish('a', 'y')['delivered']], 'delivered');
    until('the connection has ended', fn (): bool => file_exists("$dir/closed"));
    same(3, $hf->publish('a', 'z')['delivered'], 'on the next connection');
    $auth = ['AUTH', 'secret'];
    same([$auth, ['PUBLISH', 'a', 'x'], ['PUBLISH', 'a', 'y'], $auth, ['PUBLISH', 'a', 'z']], $fake->played());
});

test('resp wire: a refused token is an error of the call, and is said again with the next', function (): void {
    $wrong = replies(refusal('WRONGPASS invalid'), refusal('NOAUTH Authentication required.'));
    $fake = fake_resp(['resp 2', $wrong, 'await'], ['resp 2', "send +OK\r\n:1\r\n"]);
    $hf = $fake->client(false, 'secret');
    $e = throws('unauthorized', 0, fn () => $hf->publish('a', 'x'));
    same("PUBLISH at {$fake->address}: WRONGPASS invalid", $e->getMessage());
    same(['delivered' => 1], $hf->publish('a', 'x'), 'when the server knows it');
    $fake->played();
});

test('resp wire: a token for a server that wants none does no harm', function (): void {
    $fake = fake_resp(['resp 2', replies(refusal('ERR AUTH <password> called without any password'), 1), 'resp 1',
        replies(2)]);
    $hf = $fake->client(false, 'secret');
    same([1, 2], [$hf->publish('a', 'x')['delivered'], $hf->publish('a', 'y')['delivered']], 'delivered');
    $fake->played();
});

test('resp wire: who finds a persistent connection starts anew on it', function (): void {
    $fake = fake_resp([
        'resp 3', "send +RESET\r\n+OK\r\n:1\r\n",
        'resp 2', "send +RESET\r\n:2\r\n", 'resp 1', replies(3),
        'resp 3', "send +RESET\r\n+OK\r\n:4\r\n",
    ]);
    $first = $fake->client(true, 'secret');
    $second = $fake->client(true);
    same(1, $first->publish('a', '1')['delivered'], 'first');
    same([2, 3], [$second->publish('a', '2')['delivered'], $second->publish('a', '3')['delivered']], 'second');
    same(4, $first->publish('a', '4')['delivered'], 'the first one again');
    [$reset, $auth] = [['RESET'], ['AUTH', 'secret']];
    same([$reset, $auth, ['PUBLISH', 'a', '1'], $reset, ['PUBLISH', 'a', '2'], ['PUBLISH', 'a', '3'], $reset, $auth,
        ['PUBLISH', 'a', '4']], $fake->played());
});

test('resp wire: a question on a kept connection that ends is asked once more', function (): void {
    $fake = fake_resp(['resp 1', replies(1), 'resp 1'], ['resp 1', replies(['a', 1])]);
    $hf = $fake->client();
    $hf->publish('a', 'x');
    same(['a' => 1], $hf->stats());
    same([['PUBLISH', 'a', 'x'], ['HF.STATS'], ['HF.STATS']], $fake->played());
});

test('resp wire: a publish that was sent is not made twice', function (): void {
    $fake = fake_resp(['resp 1', replies(1), 'resp 1'], ['resp 1', replies(2)]);
    $hf = $fake->client();
    $hf->publish('a', '1');
    throws('closed', 0, fn () => $hf->publish('a', '2'));
    same(['delivered' => 2], $hf->publish('a', '3'), 'the next call');
    same(['1', '2', '3'], array_column($fake->played(), 2), 'messages');
});

test('resp wire: a connection that ended between two calls costs nothing', function (): void {
    $dir = (new TempDir())->path;
    $fake = fake_resp(['resp 1', replies(1), 'close', "run : > $dir/closed"], ['resp 1', replies(2)]);
    $hf = $fake->client();
    $hf->publish('a', '1');
    until('the connection has ended', fn (): bool => file_exists("$dir/closed"));
    same(['delivered' => 2], $hf->publish('a', '2'), 'a send, because nothing of it was sent in vain');
    same(2, count($fake->played()), 'commands');
});

test('resp wire: a reply that comes too late is not the next call\'s', function (): void {
    $fake = fake_resp(['resp 1', 'await'], ['resp 1', replies(2)]);
    $hf = new Holdfast($fake->address, '', 0.05);
    throws('timeout', 0, fn () => $hf->publish('a', '1'));
    same(['delivered' => 2], $hf->publish('a', '2'));
    $fake->played();
});

test('resp wire: a reply that nobody asked for ends a connection', function (): void {
    $fake = fake_resp(['resp 1', replies(1, 9), 'await'], ['resp 1', replies(2)]);
    $hf = $fake->client();
    $hf->publish('a', '1');
    same(['delivered' => 2], $hf->publish('a', '2'));
    $fake->played();
});

test('resp wire: a server that ends in the middle of the replies', function () use ($id): void {
    $fake = fake_resp(['resp 2', replies(1)], ['resp 1', "send $4\r\nab"], ['resp 1', "send $4\r\nab"]);
    throws('closed', 0, fn () => $fake->client()->sendMsg(["{$id}1", "{$id}2"], 'x'));
    $e = throws('closed', 0, fn () => $fake->client()->stats());
    yes(strpos($e->getMessage(), 'in the middle') !== false, "the message says where: {$e->getMessage()}");
    same(4, count($fake->played()), 'commands: a question is asked twice');
});

test('resp wire: replies may come byte by byte', function () use ($id): void {
    $bytes = substr(replies(['abc', [['room', 3, 0, 12], ['', 0, 1, 0]]]), strlen('send '));
    $pieces = array_map(fn (string $byte): string => "send $byte", str_split($bytes));
    $fake = fake_resp(array_merge(['resp 1'], $pieces));
    $row = ['name' => '', 'members' => 0, 'subscribers' => 1, 'published' => 0];
    same($row, $fake->client()->page('channels')['channels'][1]);
    $fake->played();
});

test('resp wire: a reply and a message may be large', function (): void {
    $text = str_repeat("\u{e9}123456789", 300000);
    $rows = array_map(fn (int $i): array => [str_repeat('n', 100) . $i, $i, 0], range(1, 10000));
    $fake = fake_resp(['resp 2', replies(1, 2), 'resp 1', replies(['0', $rows])]);
    $hf = $fake->client();
    same(['delivered' => 3], $hf->publish(['a', 'b'], $text));
    $users = $hf->page('users')['users'];
    same([10000, 10000], [count($users), $users[9999]['members']], 'rows, and what is in the last');
    yes(array_column(array_slice($fake->played(), 0, 2), 2) === [$text, $text], 'all of it came');
});

foreach ([
    'HTTP' => "HTTP/1.1 400 Bad Request\r\n\r\n",
    'one wrong byte, without the end of a line' => 'x',
    'a line without an end' => '+' . str_repeat('x', 70000),
    'a number that is none' => ":1x\r\n",
    'a length that is none' => "$-2\r\n",
    'a bulk that is longer than it says' => "$1\r\nab\r\n",
    'arrays in arrays in arrays' => str_repeat("*1\r\n", 9),
    'a reply of RESP3' => "%1\r\n+a\r\n:1\r\n",
    'a text for a number' => "+OK\r\n",
    'null for a number' => "$-1\r\n",
] as $what => $bytes) {
    test("resp wire: $what is a bad answer", function () use ($bytes): void {
        $fake = fake_resp(['resp 1', "send $bytes", 'await']);
        $hf = $fake->client();
        throws('bad_answer', 0, fn () => $hf->publish('a', 'x'));
        unset($hf);
        $fake->played();
    });
}

foreach ([
    'a number for a map' => replies(7),
    'a map of odd length' => replies(['a', 1, 'b']),
    'a map with a list for a key' => replies([[], 1]),
] as $what => $step) {
    test("resp wire: $what is a bad answer", function () use ($step): void {
        $fake = fake_resp(['resp 1', $step]);
        throws('bad_answer', 0, fn () => $fake->client()->stats());
        $fake->played();
    });
}

test('resp wire: rows of the wrong shape are a bad answer', function (): void {
    $fake = fake_resp(['resp 1', replies(['0', [['ann', 1]]]), 'resp 1', replies(['0', ['s1']]), 'resp 1',
        replies(['0', ['ann']]), 'resp 1', replies(['user', '42', 'sessions', 1])]);
    $hf = $fake->client();
    throws('bad_answer', 0, fn () => $hf->page('users'));
    throws('bad_answer', 0, fn () => $hf->page('sessions'));
    throws('bad_answer', 0, fn () => $hf->page('channels'));
    throws('bad_answer', 0, fn () => $hf->user(42));
    $fake->played();
});

test('resp wire: what RESP cannot say is refused, and nothing is sent', function () use ($id): void {
    $hf = new Holdfast('resp://127.0.0.1:1');
    $e = throws('needs_http', 0, fn () => $hf->publish('a', 'x', ["{$id}1"]));
    same('RESP has no "exclude": use an http address for it', $e->getMessage());
    throws('needs_http', 0, fn () => $hf->once('k'));
    throws('needs_http', 0, fn () => $hf->info());
    throws('needs_http', 0, fn () => $hf->sendAllMsg(Holdfast::binary('text')));
    throws('needs_http', 0, fn () => $hf->kickByUser(42, 4000, '', ["{$id}1"]));
    throws('needs_http', 0, fn () => $hf->batch([['op' => 'send-all', 'data' => 'x', 'id' => 'k']]));
    throws('needs_http', 0, fn () => $hf->batch([['op' => 'send-all', 'data_base64' => 'eA==']]));
    throws('needs_http', 0, fn () => new Holdfast('resp://127.0.0.1:1', '', 1.0, 1.0, false, true));
    throws('bad_argument', 0, fn () => $hf->sendMsg([], 'x'));
    throws('bad_argument', 0, fn () => $hf->addChannel('a', []));
    throws('bad_argument', 0, fn () => $hf->addChannel([], "{$id}1"));
    throws('bad_argument', 0, fn () => $hf->addChannelByUser('a', []));
    throws('bad_argument', 0, fn () => $hf->batch([['op' => 'sing', 'data' => 'x']]));
    throws('bad_argument', 0, fn () => $hf->batch([['op' => 'send-all']]));
    throws('bad_argument', 0, fn () => $hf->batch([['op' => 'send-all', 'data' => 'x', 'colour' => 'red']]));
    throws('bad_argument', 0, fn () => $hf->batch([['op' => 'kick', 'users' => 'a', 'channels' => 'b']]));
    throws('bad_argument', 0, fn () => $hf->batch([['op' => 'join', 'channels' => 'b']]));
});
