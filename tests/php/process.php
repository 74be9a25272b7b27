<?php
// process.php - programs that tests start, and directories for them. All end with the test program, however it ends.

declare(strict_types=1);

final class Process
{
    private static array $all = [];
    /** @var resource */
    private $handle;
    private int $pid;
    private ?int $status = null;

    public function __construct(array $command, string $outputFile)
    {
        $output = ['file', $outputFile, 'a'];
        $handle = proc_open($command, [['file', '/dev/null', 'r'], $output, $output], $pipes);
        if ($handle === false) {
            throw new RuntimeException("cannot start $command[0]");
        }
        $this->handle = $handle;
        $this->pid = proc_get_status($handle)['pid'];
        self::$all[$this->pid] = $this;
        // Until exec() the child has our signal handlers, and a signal sent to it would be lost.
        $before = file_get_contents('/proc/self/cmdline');
        until("$command[0] runs", fn (): bool => !$this->running() || $this->commandLine() !== $before);
    }

    private function commandLine(): string
    {
        return (string) @file_get_contents("/proc/{$this->pid}/cmdline");
    }

    public function pid(): int
    {
        return $this->pid;
    }

    public function running(): bool
    {
        if ($this->status === null) {
            $now = proc_get_status($this->handle);
            if ($now['running']) {
                return true;
            }
            $this->status = $now['signaled'] ? 128 + $now['termsig'] : $now['exitcode'];
            unset(self::$all[$this->pid]);
        }
        return false;
    }

    // Exit status, or 128 + signal.
    public function end(int $signal = SIGTERM): int
    {
        if ($this->running()) {
            proc_terminate($this->handle, $signal);
        }
        return $this->wait();
    }

    public function wait(): int
    {
        until("the end of process {$this->pid}", fn (): bool => !$this->running(), 3 * limit());
        return $this->status;
    }

    public static function started(): array
    {
        return array_keys(self::$all);
    }

    // Ends those that were started besides: a case must leave none behind, and the test program neither.
    public static function endAll(array $besides = []): void
    {
        // The last one first: a server still wants to tell php-fpm that its clients are gone.
        foreach (array_reverse(array_diff_key(self::$all, array_flip($besides)), true) as $process) {
            try {
                $process->end();
            } catch (Failed $e) {
                fwrite(STDERR, "killing: {$e->getMessage()}\n");
                proc_terminate($process->handle, SIGKILL);
            }
        }
    }
}

// A fresh directory. Removed at the end of the case that has made it, or of the test program; kept where something
// has failed.
final class TempDir
{
    private static array $all = [];
    public string $path;

    public function __construct()
    {
        $this->path = sys_get_temp_dir() . '/holdfast-php-' . bin2hex(random_bytes(6));
        mkdir($this->path, 0755);
        self::$all[] = $this->path;
    }

    public static function made(): array
    {
        return self::$all;
    }

    public static function remove(array $besides = []): void
    {
        array_map([self::class, 'removeTree'], array_diff(self::$all, $besides));
        self::$all = $besides;
    }

    public static function keep(array $besides = []): void
    {
        foreach (array_diff(self::$all, $besides) as $path) {
            echo "  kept: $path\n";
        }
        self::$all = $besides;
    }

    private static function removeTree(string $path): void
    {
        foreach (array_diff(scandir($path), ['.', '..']) as $name) {
            is_dir("$path/$name") ? self::removeTree("$path/$name") : unlink("$path/$name");
        }
        rmdir($path);
    }
}

function alive(int $pid): bool
{
    return posix_kill($pid, 0);
}

// A blocking connection to host:port or unix:/path.
function dial(string $address)
{
    $url = strncmp($address, 'unix:', 5) === 0 ? 'unix://' . substr($address, 5) : "tcp://$address";
    $socket = @stream_socket_client($url, $errno, $why, limit());
    if ($socket === false) {
        throw new RuntimeException("cannot connect to $address: $why");
    }
    stream_set_timeout($socket, (int) ceil(limit()));
    return $socket;
}
