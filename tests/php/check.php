<?php
// check.php - what a test case needs: to be named, to compare, and to wait for something within a limit.

declare(strict_types=1);

final class Failed extends Exception
{
}

// Runs cases at once and counts them. With an argument on the command line: only those whose name contains it.
final class Cases
{
    public static int $passed = 0;
    public static int $failed = 0;
    public static string $filter = '';

    public static function wants(string $name): bool
    {
        return self::$filter === '' || strpos($name, self::$filter) !== false;
    }

    public static function run(string $name, callable $body): void
    {
        if (!self::wants($name)) {
            return;
        }
        $processes = Process::started();
        $directories = TempDir::made();
        $failure = self::failure($body, $processes);
        Process::endAll($processes);
        if ($failure === null) {
            self::$passed++;
            echo "ok $name\n";
            TempDir::remove($directories);
        } else {
            self::$failed++;
            echo "FAIL $name: $failure\n";
            TempDir::keep($directories);
        }
    }

    // Why the case has failed, or null.
    private static function failure(callable $body, array $processes): ?string
    {
        try {
            $body();
            same($processes, Process::started(), 'running processes that were started');
            return null;
        } catch (Throwable $e) {
            $at = ['file' => $e->getFile(), 'line' => $e->getLine()];
            if ($e instanceof Failed) {  // the line of the case, not of the helper
                $outside = fn (array $frame): bool => ($frame['file'] ?? __FILE__) !== __FILE__;
                $frames = array_filter($e->getTrace(), $outside);
                $at = reset($frames) ?: $at;
            }
            $kind = $e instanceof Failed ? '' : get_class($e) . ': ';
            return $kind . $e->getMessage() . ' (' . basename($at['file']) . ":{$at['line']})";
        }
    }
}

function test(string $name, callable $body): void
{
    Cases::run($name, $body);
}

function same($expected, $actual, string $what = 'value'): void
{
    if ($expected !== $actual) {
        throw new Failed("$what is " . shown($actual) . ', not ' . shown($expected));
    }
}

function yes(bool $condition, string $what): void
{
    if (!$condition) {
        throw new Failed("not so: $what");
    }
}

// Runs $body, which must throw a HoldfastException with this code and status; returns it.
function throws(string $code, int $status, callable $body): HoldfastException
{
    try {
        $result = $body();
    } catch (HoldfastException $e) {
        same([$code, $status], [$e->errorCode(), $e->status()], "code and status of \"{$e->getMessage()}\"");
        return $e;
    }
    throw new Failed("no exception, but " . shown($result));
}

// The same where protocols differ in the code: RESP has fewer codes, and no statuses.
function throws_one_of(array $codes, callable $body): HoldfastException
{
    try {
        $result = $body();
    } catch (HoldfastException $e) {
        yes(in_array($e->errorCode, $codes, true), "{$e->errorCode} of \"{$e->getMessage()}\" is one of " . shown($codes));
        return $e;
    }
    throw new Failed('no exception, but ' . shown($result));
}

// A list in order, or an array in the order of its keys.
function sorted(array $values): array
{
    $values === array_values($values) ? sort($values) : ksort($values, SORT_STRING);
    return $values;
}

// These keys of an array, in this order.
function sorted_as(array $keys, array $values): array
{
    return array_merge(array_fill_keys($keys, null), $values);
}

function shown($value): string
{
    $text = json_encode($value, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);
    return strlen($text) > 300 ? substr($text, 0, 300) . '...' : $text;
}

// The limit of every wait, in seconds.
function limit(): float
{
    return (float) (getenv('HF_TEST_TIMEOUT_MS') ?: 5000) / 1000;
}

// Polls until $ready returns something that is not null or false, and returns that.
function until(string $what, callable $ready, ?float $seconds = null)
{
    $deadline = microtime(true) + ($seconds ?? limit());
    do {
        $value = $ready();
        if ($value !== null && $value !== false) {
            return $value;
        }
        usleep(2000);
    } while (microtime(true) < $deadline);
    throw new Failed("waited in vain: $what");
}
