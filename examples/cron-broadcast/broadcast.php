#!/usr/bin/env php
<?php
// broadcast.php [CHANNEL] - sends what comes on the standard input to everybody, or to those who are in CHANNEL.
//
// HOLDFAST_ADDRESS and HOLDFAST_TOKEN say where to and as whom. Prints nothing if all went well: cron mails what a
// script prints. Exit status 1, and the reason on the standard error, if it did not.

declare(strict_types=1);

require __DIR__ . '/../../clients/php/Holdfast.php';

try {
    $message = rtrim((string) stream_get_contents(STDIN), "\n");
    $address = getenv('HOLDFAST_ADDRESS') ?: 'http://127.0.0.1:8081';
    $holdfast = new Holdfast($address, getenv('HOLDFAST_TOKEN') ?: '', 30.0);
    isset($argv[1]) ? $holdfast->publish($argv[1], $message) : $holdfast->sendAllMsg($message);
} catch (HoldfastException $e) {
    fwrite(STDERR, "broadcast: {$e->getMessage()}\n");
    exit(1);
}
