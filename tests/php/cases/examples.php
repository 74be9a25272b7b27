<?php
// The programs of examples/ that push, run as they are against a real server.

declare(strict_types=1);

// A program of examples/ with its words; HOLDFAST_ADDRESS is in the environment.
function example(string $program, string ...$words): array
{
    return array_merge([PHP_BINARY, dirname(__DIR__, 3) . "/examples/$program"], $words);
}

// Runs it to its end with this on its standard input: [exit status, what it has printed].
function run_example(string $input, array $command): array
{
    $dir = new TempDir();
    file_put_contents("{$dir->path}/input", $input);
    $words = implode(' ', array_map('escapeshellarg', $command));
    exec("$words < {$dir->path}/input 2>&1", $output, $status);
    return [$status, implode("\n", $output)];
}

$gateway = new Gateway();

foreach (['unix', 'token', 'resp tcp'] as $kind) {
    test("examples: cron-broadcast by $kind reaches everybody, or a channel", function () use ($gateway, $kind): void {
        $gateway->holds(0);
        putenv("HOLDFAST_ADDRESS={$gateway->api($kind)}");
        putenv('HOLDFAST_TOKEN=' . ($kind === 'token' ? Gateway::TOKEN : ''));
        [$in, $out] = [$gateway->connect('/ws?channel=room:lobby'), $gateway->connect()];
        same([0, ''], run_example("caf\u{e9}\nat noon\n", example('cron-broadcast/broadcast.php')), 'to all');
        same([0, ''], run_example('lobby', example('cron-broadcast/broadcast.php', 'room:lobby')), 'to a channel');
        same([0, ''], run_example('end', example('cron-broadcast/broadcast.php')), 'to all');
        $all = "caf\u{e9}\nat noon";
        same([$all, 'lobby', 'end'], [$in->text(), $in->text(), $in->text()], 'who is in the channel');
        same([$all, 'end'], [$out->text(), $out->text()], 'who is not');
        $in->close();
        $out->close();
        putenv('HOLDFAST_TOKEN');
    });
}

test('examples: cron-broadcast says what has failed', function () use ($gateway): void {
    putenv("HOLDFAST_ADDRESS={$gateway->api('token')}");
    [$status, $said] = run_example('x', example('cron-broadcast/broadcast.php'));
    same(1, $status, 'exit status');
    yes(strpos($said, 'broadcast: POST /v1/send-all at ') === 0 && strpos($said, '401') !== false, $said);
});

// The database of row-changed, made by the program that belongs to it.
final class Orders
{
    public string $file;
    public PDO $db;
    public string $log;

    public function __construct()
    {
        $dir = (new TempDir())->path;
        $this->file = "$dir/orders.sqlite";
        $this->log = "$dir/log";
        $this->change(1, 'nobody', 'new');
        $this->db = new PDO("sqlite:{$this->file}", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
        $this->db->exec('PRAGMA busy_timeout = 10000');
    }

    public function change(int $order, string $owner, string $state): void
    {
        same([0, ''], run_example('', example('row-changed/change.php', $this->file, "$order", $owner, $state)), 'change');
    }

    public function deliver(): Process
    {
        return new Process(example('row-changed/deliver.php', $this->file), $this->log);
    }

    public function waiting(): int
    {
        return (int) $this->db->query('SELECT count(*) FROM outbox WHERE error IS NULL')->fetchColumn();
    }
}

test('examples: row-changed tells the owner of a row, and nobody else', function () use ($gateway): void {
    putenv("HOLDFAST_ADDRESS={$gateway->api('unix')}");
    $hf = $gateway->client('unix');
    [$ann, $bob] = [$gateway->connect(), $gateway->connect()];
    $hf->bind($ann->session, 'ann');
    $hf->bind($bob->session, 'bob');
    $orders = new Orders();
    $deliver = $orders->deliver();
    $orders->change(17, 'ann', 'new');
    $orders->change(17, 'ann', 'new');  // nothing changes
    $orders->change(17, 'ann', 'paid');
    $orders->change(18, 'bob', "\u{fc} \"x\"");
    same(['{"type":"order","id":17,"state":"new"}', '{"type":"order","id":17,"state":"paid"}'],
        [$ann->text(), $ann->text()], 'to ann');
    same(['type' => 'order', 'id' => 18, 'state' => "\u{fc} \"x\""], json_decode($bob->text(), true), 'to bob');
    until('an empty outbox', fn (): bool => $orders->waiting() === 0);
    $deliver->end(SIGKILL);
    same('', file_get_contents($orders->log), 'what it has printed');
});

test('examples: row-changed sends a row once although its program is killed before it can delete it', function () use ($gateway): void {
    putenv("HOLDFAST_ADDRESS={$gateway->api('unix')}");
    $hf = $gateway->client('unix');
    $client = $gateway->connect();
    $hf->bind($client->session, 'cat');
    $orders = new Orders();
    $orders->db->exec('DELETE FROM outbox');
    $orders->db->exec("WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 119)
        INSERT INTO orders SELECT i, 'cat', 'new' FROM n");
    $orders->db->exec('BEGIN IMMEDIATE');  // nobody else can write now
    $deliver = $orders->deliver();
    $told = fn (): int => json_decode($client->text(), true)['id'];
    same(100, $told(), 'the first order');
    $deliver->end(SIGKILL);
    $repeated = fn (): int => $hf->stats()['api.repeated'];
    $before = $repeated();
    $deliver = $orders->deliver();
    until('a repeat', fn (): bool => $repeated() === $before + 1);
    $deliver->end(SIGKILL);
    $orders->db->exec('COMMIT');
    same(20, $orders->waiting(), 'rows');
    $deliver = $orders->deliver();
    same(range(101, 119), array_map($told, range(101, 119)), 'the other orders');
    until('an empty outbox', fn (): bool => $orders->waiting() === 0);
    same($before + 2, $repeated(), 'repeats of the first row');
    $deliver->end(SIGKILL);
    $hf->sendMsg($client->session, 'end');
    same('end', $client->text(), 'what comes behind them');
    $client->close();
});

test('examples: row-changed keeps rows while the gateway is away, and sets aside what can never go', function (): void {
    $gateway = new Gateway();
    putenv("HOLDFAST_ADDRESS={$gateway->api('unix')}");
    $orders = new Orders();
    $gateway->stop();
    $orders->db->exec("INSERT INTO outbox (owner, message) VALUES ('', 'to a user without a name')");
    $deliver = $orders->deliver();
    until('a complaint', fn (): bool => strpos(file_get_contents($orders->log), 'cannot connect') !== false);
    same(2, $orders->waiting(), 'rows');
    $gateway->start();
    $client = $gateway->connect();
    $gateway->client('unix')->bind($client->session, 'ann');
    until('an empty outbox', fn (): bool => $orders->waiting() === 0, 3 * limit());
    $orders->change(2, 'ann', 'new');
    same('{"type":"order","id":2,"state":"new"}', $client->text(), 'what comes behind the bad row');
    $error = $orders->db->query('SELECT error FROM outbox WHERE error IS NOT NULL')->fetchAll(PDO::FETCH_COLUMN);
    same(1, count($error), 'rows that were set aside');
    yes(strpos($error[0], 'bad_request') !== false, "the reason: $error[0]");
    $deliver->end(SIGKILL);
    $client->close();
    $gateway->stop();
});

putenv('HOLDFAST_ADDRESS');
$gateway->stop();
