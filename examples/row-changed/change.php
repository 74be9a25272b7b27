<?php
// change.php DATABASE ORDER OWNER STATE - the application, as far as this example has one: changes an order.

declare(strict_types=1);

require __DIR__ . '/database.php';

if ($argc !== 5) {
    fwrite(STDERR, "usage: php change.php DATABASE ORDER OWNER STATE\n");
    exit(2);
}
$change = database($argv[1])->prepare('INSERT INTO orders (id, owner, state) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, state = excluded.state');
$change->execute(array_slice($argv, 2));
