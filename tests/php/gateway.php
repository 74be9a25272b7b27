<?php
// gateway.php - a real holdfastd in a directory of its own, on free ports; and a real php-fpm for it.

declare(strict_types=1);

final class Gateway
{
    public const TOKEN = 'a-token-for-the-tests-only';
    public const PUSH_TOKEN = 'a-token-that-may-push-and-not-ask';
    public const HTTP = ['tcp', 'unix', 'token'];
    public const RESP = ['resp tcp', 'resp unix', 'resp token'];
    public string $instance;
    private TempDir $dir;
    private Process $process;
    private string $more;

    // $more: tables to append to the configuration.
    public function __construct(string $more = '')
    {
        static $count = 0;
        $this->instance = 'php' . getmypid() . '-' . $count++;
        $this->dir = new TempDir();
        $this->more = $more;
        file_put_contents($this->file('token'), self::TOKEN . "\n" . self::PUSH_TOKEN . " push\n");
        chmod($this->file('token'), 0600);
        file_put_contents($this->file('gateway.toml'), $this->configuration());
        $this->start();
    }

    public function file(string $name): string
    {
        return "{$this->dir->path}/$name";
    }

    public function start(): void
    {
        $this->process = new Process([self::program(), '-c', $this->file('gateway.toml')], $this->file('log'));
        try {
            until('holdfastd serves', fn (): bool => !$this->process->running() || $this->serves(), 3 * limit());
            yes($this->process->running(), 'holdfastd runs');
        } catch (Failed $e) {
            throw new RuntimeException($e->getMessage() . "\n" . file_get_contents($this->file('log')));
        }
    }

    public static function program(): string
    {
        return getenv('HF_HOLDFASTD') ?: dirname(__DIR__, 2) . '/build/test/master/holdfastd';
    }

    public function stop(): void
    {
        same(0, $this->process->end(), 'exit status of holdfastd');
    }

    public function master(): int
    {
        return $this->process->pid();
    }

    public function workers(): array
    {
        return array_column($this->client('unix')->info()['workers'], 'pid');
    }

    // The client's address. $kind: one of self::HTTP or self::RESP.
    public function api(string $kind): string
    {
        $address = $this->listed('api')[array_search($kind, array_merge(self::HTTP, self::RESP), true)];
        if ($kind === 'token') {
            return $address;  // without a protocol
        }
        $protocol = in_array($kind, self::RESP, true) ? 'resp' : 'http';
        return strncmp($address, 'unix:', 5) === 0 ? "$protocol+$address" : "$protocol://$address";
    }

    public function client(string $kind, bool $repeat = false): Holdfast
    {
        $token = in_array($kind, ['token', 'resp token'], true) ? self::TOKEN : '';
        return new Holdfast($this->api($kind), $token, limit(), 1.0, false, $repeat);
    }

    // Without a target: a client in a channel that nobody publishes to.
    public function connect(string $target = '/ws?channel=quiet', int $listener = 0): WebSocket
    {
        return new WebSocket($this->listed('websocket')[$listener], $target);
    }

    // Sessions that have closed their connection are gone a moment later.
    public function holds(int $sessions): void
    {
        $hf = $this->client('unix');
        until("$sessions sessions", fn (): bool => $hf->info()['gauges']['sessions.online'] === $sessions);
    }

    private function serves(): bool
    {
        clearstatcache();
        if (!is_file($this->file('run/listeners'))) {
            return false;
        }
        try {
            $workers = $this->client('unix')->info()['workers'];
        } catch (HoldfastException $e) {
            return false;
        }
        // A worker may serve before the master has noted its pid.
        return array_column($workers, 'state') === ['serving', 'serving'] && min(array_column($workers, 'pid')) > 0;
    }

    // The addresses in RUNTIME_DIR/listeners whose lines begin so, as they are configured.
    private function listed(string $kind): array
    {
        $found = [];
        foreach (file($this->file('run/listeners'), FILE_IGNORE_NEW_LINES) as $line) {
            if (strncmp($line, "$kind ", strlen($kind) + 1) === 0) {
                $found[] = substr($line, strrpos($line, ' ') + 1);
            }
        }
        return $found;
    }

    private function configuration(): string
    {
        return <<<TOML
            [server]
            instance = "{$this->instance}"
            runtime_dir = "{$this->file('run')}"
            workers = 2
            drain_timeout = "2s"
            [limits]
            max_sessions = 1000
            [[listen]]
            address = "127.0.0.1:0"
            path = "/ws"
            backend = "relay"
            [[api]]
            address = "127.0.0.1:0"
            protocol = "http"
            [[api]]
            address = "unix:{$this->file('push.sock')}"
            protocol = "http"
            [[api]]
            address = "127.0.0.1:0"
            protocol = "http"
            token_file = "{$this->file('token')}"
            [[api]]
            address = "127.0.0.1:0"
            protocol = "resp"
            [[api]]
            address = "unix:{$this->file('resp.sock')}"
            protocol = "resp"
            [[api]]
            address = "127.0.0.1:0"
            protocol = "resp"
            token_file = "{$this->file('token')}"
            {$this->more}
            TOML;
    }
}

// One php-fpm with two children that run $script.
final class Fpm
{
    private TempDir $dir;
    private Process $process;
    private string $script;

    public function __construct(string $script)
    {
        $this->dir = new TempDir();
        $this->script = $script;
        $identity = posix_geteuid() === 0 ? "user = root\ngroup = root\n" : '';
        file_put_contents("{$this->dir->path}/fpm.conf", <<<INI
            [global]
            error_log = {$this->dir->path}/log
            daemonize = no
            [app]
            listen = {$this->socket()}
            pm = static
            pm.max_children = 2
            catch_workers_output = yes
            $identity
            INI);
        $program = 'php-fpm' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        $command = [$program, '-n', '-F', '-O', '-R', '-y', "{$this->dir->path}/fpm.conf"];
        $this->process = new Process($command, "{$this->dir->path}/log");
        until('php-fpm listens', fn () => @stream_socket_client("unix://{$this->socket()}"));
    }

    public function stop(): void
    {
        $this->process->end();
    }

    // Tables: a websocket listener at /app with this backend.
    public function tables(): string
    {
        return "[[listen]]\naddress = \"127.0.0.1:0\"\npath = \"/app\"\nbackend = \"app\"\n"
            . "[backend.app]\nkind = \"fastcgi\"\nservers = [{ address = \"unix:{$this->socket()}\" }]\n"
            . "script_filename = \"{$this->script}\"\nmax_connections = 2\n";
    }

    private function socket(): string
    {
        return "{$this->dir->path}/fpm.sock";
    }
}
