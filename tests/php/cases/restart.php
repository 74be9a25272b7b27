<?php
// A server that goes away and comes back, while a program keeps its client.

declare(strict_types=1);

foreach (array_merge(Gateway::HTTP, Gateway::RESP) as $kind) {
    test("restart: killed workers are replaced, and a client by $kind goes on", function () use ($kind): void {
        $gateway = new Gateway();
        $hf = $gateway->client($kind);
        $killed = $gateway->workers();
        $hf->stats();  // the connection that is kept
        array_map(fn (int $pid) => posix_kill($pid, SIGKILL), $killed);
        until('the killed workers are gone', fn (): bool => array_filter($killed, 'alive') === []);
        yes(count($hf->stats()) > 0, 'an answer');
        same(['delivered' => 0], $hf->publish('none', 'x'));
        same([], array_intersect($killed, $gateway->workers()), 'workers that were killed and serve');
        unset($hf);
        $gateway->stop();
    });
}

test('restart: a stopped server is a connect error, and the same object reaches the next server', function (): void {
    $gateway = new Gateway();
    $hf = $gateway->client('unix');
    $before = $hf->info();
    $gateway->stop();
    throws('connect', 0, fn () => $hf->publish('red', 'x'));
    throws('connect', 0, fn () => $hf->publish('red', 'x'));
    $gateway->start();
    $after = $hf->info();
    same($gateway->instance, $after['instance'], 'instance');
    $both = array_intersect(array_column($before['workers'], 'pid'), array_column($after['workers'], 'pid'));
    same([], $both, 'workers of both servers');
    $client = $gateway->connect('/ws?channel=red');
    same(['delivered' => 1], $hf->publish('red', 'again'));
    same('again', $client->text());
    $client->close();
    unset($hf);
    $gateway->stop();
});

foreach (['unix', 'resp unix'] as $kind) {
    test("restart: a server that was stopped and started between two calls by $kind is not noticed", function () use ($kind): void {
        $gateway = new Gateway();
        $hf = $gateway->client($kind);
        $hf->stats();
        $gateway->stop();
        $gateway->start();
        same(['delivered' => 0], $hf->publish('none', 'x'));
        unset($hf);
        $gateway->stop();
    });
}

test('restart: a key is remembered when the worker that had answered is dead', function (): void {
    $gateway = new Gateway();
    $hf = $gateway->client('unix');
    same(['delivered' => 0], $hf->once('row-1')->sendUser(42, 'x'));
    $killed = $gateway->workers();
    array_map(fn (int $pid) => posix_kill($pid, SIGKILL), $killed);
    until('the killed workers are gone', fn (): bool => array_filter($killed, 'alive') === []);
    same(['delivered' => 0, 'repeated' => true], $hf->once('row-1')->sendUser(42, 'x'));
    unset($hf);
    $gateway->stop();
});

test('restart: while the server reloads, calls go on without an error', function (): void {
    $gateway = new Gateway();
    $hf = $gateway->client('tcp', true);  // a publish may meet the end of its connection
    $generation = $hf->info()['generation'];
    posix_kill($gateway->master(), SIGHUP);
    $calls = 0;
    until('the next generation serves alone', function () use ($hf, $generation, &$calls): bool {
        $calls += count($hf->publish('none', 'x'));  // throws if one goes wrong
        $workers = $hf->info()['workers'];
        return count($workers) === 2 && array_unique(array_column($workers, 'generation')) === [$generation + 1];
    }, 3 * limit());
    yes($calls > 0, 'calls were made');
    unset($hf);
    $gateway->stop();
});

test('restart: a stopped server leaves no process, no segment and no socket', function (): void {
    $gateway = new Gateway();
    $pids = array_merge([$gateway->master()], $gateway->workers());
    same(3, count(array_filter($pids, 'alive')), 'processes while it runs');
    same(1, count(glob("/dev/shm/*.{$gateway->instance}")), 'segments while it runs');
    $gateway->stop();
    same([], array_values(array_filter($pids, 'alive')), 'processes');
    same([], glob("/dev/shm/*.{$gateway->instance}"), 'segments');
    same([], glob($gateway->file('*.sock')), 'sockets');
});
