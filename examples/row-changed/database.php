<?php
// database.php - opens the example's database, and makes it if it is not there.

declare(strict_types=1);

function database(string $file): PDO
{
    $db = new PDO("sqlite:$file", null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $db->exec('PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL');
    $db->exec(file_get_contents(__DIR__ . '/schema.sql'));
    return $db;
}
