<?php
// run.php [PART_OF_A_NAME] - tests of clients/php/Holdfast.php, with php-cli alone.
//
// wire.php and resp_wire.php talk to a fake server that misbehaves in the ways a real one does at the worst moment, the
// other cases to a real holdfastd (HF_HOLDFASTD, by default the one of build/test). redis.php needs the extension redis;
// examples.php and chat.php run what is in examples/. Ends with
// `N passed, N failed`.

declare(strict_types=1);

error_reporting(E_ALL);
set_error_handler(function (int $kind, string $message, string $file, int $line): bool {
    if ((error_reporting() & $kind) === 0) {
        return false;
    }
    throw new ErrorException($message, 0, $kind, $file, $line);
});

foreach (['check', 'process', 'websocket', 'gateway', 'fake'] as $part) {
    require __DIR__ . "/$part.php";
}
require dirname(__DIR__, 2) . '/clients/php/Holdfast.php';

$runner = getmypid();
register_shutdown_function(function () use ($runner): void {
    if (getmypid() === $runner) {
        Process::endAll();
    }
});
pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
    pcntl_signal($signal, function () use ($signal): void {
        exit(128 + $signal);
    });
}

Cases::$filter = $argv[1] ?? '';
$parts = ['syntax', 'wire', 'resp_wire', 'push', 'http_only', 'questions', 'kept', 'redis', 'restart', 'event', 'examples', 'chat'];
foreach ($parts as $part) {
    try {
        require __DIR__ . "/cases/$part.php";
    } catch (Throwable $e) {  // between the cases: a server that does not start
        Cases::$failed++;
        echo "FAIL $part: {$e->getMessage()} (" . basename($e->getFile()) . ":{$e->getLine()})\n";
    }
}
test('every started process has ended', function (): void {
    same([], Process::started(), 'processes');
});
Cases::$failed === 0 ? TempDir::remove() : TempDir::keep();

printf("%d passed, %d failed\n", Cases::$passed, Cases::$failed);
exit(Cases::$failed > 0 || Cases::$passed === 0 ? 1 : 0);
