<?php
// examples/chat, as start.sh starts it.

declare(strict_types=1);

final class Chat
{
    public string $state;
    private Process $process;

    public function __construct()
    {
        $this->state = (new TempDir())->path;
        $build = dirname(Gateway::program(), 2);
        $start = dirname(__DIR__, 3) . '/examples/chat/start.sh';
        putenv('HF_CHAT_PORT=0');
        putenv('HF_CHAT_API=0');
        putenv('HF_CHAT_INSTANCE=chat' . getmypid() . '-' . bin2hex(random_bytes(2)));
        $this->process = new Process(['bash', $start, $build, $this->state], "{$this->state}/log");
        until('the chat serves', function (): bool {
            yes($this->process->running(), 'start.sh runs: ' . @file_get_contents("{$this->state}/log"));
            try {
                return count($this->client()->info()['workers']) === 2;
            } catch (HoldfastException $e) {
                return false;
            }
        }, 3 * limit());
    }

    public function client(): Holdfast
    {
        return new Holdfast("http+unix:{$this->state}/push.sock", '', limit());
    }

    public function enter(string $name, ?callable $meanwhile = null): WebSocket
    {
        preg_match('/^websocket (\S+)$/m', file_get_contents("{$this->state}/run/listeners"), $address);
        return new WebSocket($address[1], "/ws?name=$name&room=lobby", $meanwhile);
    }

    public function end(int $signal): int
    {
        return $this->process->end($signal);
    }
}

function heard(WebSocket $client): array
{
    return json_decode($client->text(), true);
}

test('chat: a newcomer gets the lines of before, and every one that is said from then on', function (): void {
    $chat = new Chat();
    $ann = $chat->enter('Ann');
    same(['history', 'joined'], [heard($ann)['type'], heard($ann)['type']], 'to the first');
    $ann->send('{"text":"one"}');
    $one = heard($ann);
    same(['said', 'one', true], [$one['type'], $one['text'], $one['id'] > 0]);
    $db = new PDO("sqlite:{$chat->state}/chat.sqlite", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $hf = $chat->client();
    // A line that is said when Bob has asked to come in, and before what was said before is looked up for him.
    $db->exec('PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE');
    $bob = $chat->enter('Bob', function () use ($db, $hf, $one): void {
        until('a second member', fn (): bool => $hf->channel('room:lobby')['members'] === 2);
        $two = ['id' => $one['id'] + 1, 'room' => 'lobby', 'name' => 'Ann', 'text' => 'two', 'at' => 1];
        $db->prepare('INSERT INTO lines (id, room, name, text, at) VALUES (?, ?, ?, ?, ?)')->execute(array_values($two));
        $hf->publish('room:lobby', ['type' => 'said'] + $two);
        $db->exec('COMMIT');
    });
    same('two', heard($bob)['text'], 'what Bob hears first');
    $history = heard($bob);
    same(['history', ['one', 'two']], [$history['type'], array_column($history['lines'], 'text')]);
    same([$one['id'], $one['id'] + 1], array_column($history['lines'], 'id'), 'ids, by which he knows it already');
    same('two', heard($ann)['text'], 'what Ann hears');
    foreach ([$ann, $bob] as $client) {
        $joined = heard($client);
        same(['joined', 'Bob', ['Ann', 'Bob']], [$joined['type'], $joined['name'], $joined['members']]);
    }
    same(0, $chat->end(SIGTERM), 'exit status of start.sh');
});

foreach (['SIGINT' => SIGINT, 'SIGHUP' => SIGHUP] as $name => $signal) {
    test("chat: it ends well by $name", function () use ($signal): void {
        $chat = new Chat();
        same(0, $chat->end($signal), 'exit status of start.sh');
    });
}
