<?php
// deliver.php DATABASE - tells owners what has changed, for ever. It may be killed at any moment, and started again.
//
// A row leaves the outbox when the gateway has answered that it was sent. Whatever goes wrong before (the gateway is
// away, this program is killed between answer and deletion) the row is sent again, with the same key: the gateway knows
// that and does not send it twice. HOLDFAST_ADDRESS and HOLDFAST_TOKEN say where to and as whom; http only, for the
// keys.

declare(strict_types=1);

require __DIR__ . '/database.php';
require __DIR__ . '/../../clients/php/Holdfast.php';

// What no repetition would change. The row is set aside, so that it does not hold up the others.
const HOPELESS = ['bad_request', 'bad_json', 'bad_argument', 'too_large', 'key_reused'];

if ($argc !== 2) {
    fwrite(STDERR, "usage: php deliver.php DATABASE\n");
    exit(2);
}
$db = database($argv[1]);
$holdfast = new Holdfast(getenv('HOLDFAST_ADDRESS') ?: 'http://127.0.0.1:8081', getenv('HOLDFAST_TOKEN') ?: '');
$complained = '';
for (;;) {
    try {
        $told = deliver($db, $holdfast);
        $complained = '';
        usleep($told > 0 ? 0 : 200000);
    } catch (HoldfastException $e) {
        if ($e->errorCode !== $complained) {  // once, not every second while the gateway is away
            fwrite(STDERR, "deliver: {$e->getMessage()}; the row stays, trying again every second\n");
            $complained = $e->errorCode;
        }
        sleep(1);
    }
}

// Sends what there is, the oldest first; returns how many rows there were. Throws what another try may mend.
function deliver(PDO $db, Holdfast $holdfast): int
{
    $rows = $db->query('SELECT * FROM outbox WHERE error IS NULL ORDER BY id LIMIT 100')->fetchAll(PDO::FETCH_ASSOC);
    foreach ($rows as $row) {
        try {
            $holdfast->once($row['key'])->sendUser($row['owner'], $row['message']);
            $db->prepare('DELETE FROM outbox WHERE id = ?')->execute([$row['id']]);
        } catch (HoldfastException $e) {
            set_aside($db, (int) $row['id'], $e);
        }
    }
    return count($rows);
}

function set_aside(PDO $db, int $row, HoldfastException $e): void
{
    if ($e->errorCode === 'outcome_unknown') {
        // A worker died in the middle of it. Rather twice than never: the next round sends it as something new.
        $db->prepare('UPDATE outbox SET key = lower(hex(randomblob(16))) WHERE id = ?')->execute([$row]);
        throw $e;
    }
    if (!in_array($e->errorCode, HOPELESS, true)) {
        throw $e;
    }
    fwrite(STDERR, "deliver: row $row is set aside: {$e->getMessage()}\n");
    $db->prepare('UPDATE outbox SET error = ? WHERE id = ?')->execute([$e->getMessage(), $row]);
}
