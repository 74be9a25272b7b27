"""bench/servers.py - the servers that bench/run-all and bench/compare-all drive, each started anew and ended with its block, and
load(): one run of holdfast-bench against one of them.
"""
import json
import os
import platform
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "build/bench/holdfast-bench"
PER_PROCESS = 18_000  # connections of one server process: below the usual limit of 20,000 descriptors


def sh(command):
    subprocess.run(["bash", "-c", f"source scripts/lib.sh; {command}"], cwd=ROOT, check=True, stdout=sys.stderr)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """Started with room for `connections`, ended with the block."""

    def __init__(self, connections):
        self.connections = connections
        self.processes = max(2, -(-connections // PER_PROCESS))
        self.dir = tempfile.TemporaryDirectory(prefix="holdfast-bench-")
        self.address, self.api = (f"127.0.0.1:{free_port()}" for _ in range(2))

    def __enter__(self):
        self.log = open(f"{self.dir.name}/log", "wb")
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log)
        for _ in range(400):
            if self.is_ready():
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.025)
        sys.exit(f"{self.command()[0]} did not start: " + Path(self.log.name).read_text())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.dir.cleanup()

    def is_ready(self):
        try:
            host, port = self.api.split(":")
            socket.create_connection((host, int(port)), 1).close()
            return True
        except OSError:
            return False


class Holdfast(Server):
    ping = "0s"
    wrap = []  # a command that executes holdfastd
    script = None  # of php-fpm: the backend of the echo address
    channels = ""  # [[channel]] tables
    listening = ""  # more lines of [[listen]]

    def command(self):
        config = f"{self.dir.name}/holdfast.toml"
        self.http = f"unix:{self.dir.name}/http.sock"
        listen = "".join(
            f"""[[listen]]
address = "{address}"
path = "/ws"
backend = "{backend}"
backlog = 4096
ping_interval = "{self.ping}"
idle_timeout = "0s"
{self.listening}"""
            for address, backend in ((self.address, "relay"), (self.echo_address(), "app" if self.script else "echo")))
        if self.script:
            listen += f"""[backend.app]
kind = "fastcgi"
servers = [{{ address = "unix:{self.script.parent}/fpm.sock" }}]
script_filename = "{self.script}"
max_connections = {Fpm.CHILDREN}
"""
        Path(config).write_text(f"""[server]
instance = "bench-{os.getpid()}"
runtime_dir = "{self.dir.name}/run"
workers = {self.processes}
max_workers = {max(64, 2 * self.processes)}
[log]
level = "warn"
[limits]
max_sessions = {self.connections + 1000}
{listen}[[api]]
address = "{self.api}"
protocol = "resp"
[[api]]
address = "{self.http}"
protocol = "http"
{self.channels}""")
        return [*self.wrap, str(ROOT / "build/master/holdfastd"), "-c", config]

    def echo_address(self):
        if not hasattr(self, "_echo"):
            self._echo = f"127.0.0.1:{free_port()}"
        return self._echo


class Keeping(Holdfast):
    """One that keeps the messages of some channels."""
    channels = '[[channel]]\npattern = "kept*"\nhistory_size = 100\n'


class Resuming(Holdfast):
    """One whose clients come back to their sessions."""
    listening = 'resume = "60s"\n'


class Floor(Server):
    least = 1

    def command(self):
        self.processes = max(self.least, -(-self.connections // PER_PROCESS))
        return [str(ROOT / "build/bench/holdfast-floor"), "-a", self.address, "--api", self.api,
                "--processes", str(self.processes)]

    def echo_address(self):
        return self.address


class TwoFloors(Floor):
    """As many processes as holdfastd has workers: they wake up as often."""
    least = 2


class Redis(Server):
    def command(self):
        link = f"{self.dir.name}/redis-server"  # a name of redis-check-rdb; so no service is installed
        if not os.path.islink(link):
            os.symlink("/usr/bin/redis-check-rdb", link)
        self.address = self.api
        return [link, "--bind", "127.0.0.1", "--port", self.api.split(":")[1], "--dir", self.dir.name, "--save", "",
                "--appendonly", "no", "--maxclients", "19000"]


class Nchan(Server):
    """nginx with the module nchan: WebSockets at /ws?channel=NAME, POST /pub?id=NAME."""

    def command(self):
        self.api = self.address
        processes = max(2, -(-self.connections // PER_PROCESS))
        config = f"{self.dir.name}/nginx.conf"
        Path(config).write_text(f"""load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off;
worker_processes {processes};
pid {self.dir.name}/pid;
error_log {self.dir.name}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 19900; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {self.dir.name}/body;
  proxy_temp_path {self.dir.name}/proxy;
  fastcgi_temp_path {self.dir.name}/fastcgi;
  uwsgi_temp_path {self.dir.name}/uwsgi;
  scgi_temp_path {self.dir.name}/scgi;
  nchan_shared_memory_size 1024M;
  server {{
    listen {self.address} reuseport backlog=4096;
    location /ws {{
      nchan_subscriber websocket;
      nchan_channel_id $arg_channel;
      nchan_websocket_ping_interval 0;
      nchan_subscriber_first_message newest;
    }}
    location /pub {{
      nchan_publisher;
      nchan_channel_id $arg_id;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 10s;
    }}
  }}
}}
""")
        return ["/usr/sbin/nginx", "-p", self.dir.name, "-e", f"{self.dir.name}/error.log", "-c", config]


class Fpm:
    """php-fpm with a script that answers with the request's body, and a fixed number of processes."""
    CHILDREN = 4

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="holdfast-bench-")
        self.script = Path(self.dir.name) / "echo.php"
        self.socket = self.script.parent / "fpm.sock"
        self.script.write_text("<?php echo file_get_contents('php://input');\n")
        config = self.script.parent / "fpm.conf"
        config.write_text(f"""[global]
error_log = {self.dir.name}/fpm.log
daemonize = no
[app]
listen = {self.socket}
listen.backlog = 1024
pm = static
pm.max_children = {self.CHILDREN}
""" + ("user = root\ngroup = root\n" if os.geteuid() == 0 else ""))
        self.process = subprocess.Popen(["php-fpm8.2", "-n", "-F", "-O", "-R", "-y", config], stderr=subprocess.DEVNULL)
        for _ in range(400):
            if self.socket.exists():
                return self
            time.sleep(0.025)
        sys.exit("php-fpm did not start")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.dir.cleanup()

    def cpu_s(self):
        """Of the processes that are there: none ends meanwhile."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if self.process.pid in (int(fields[1]), int(stat.parent.name)):
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def load(server, scenario, connections, *options, payload=128, seconds=4):
    """One run of holdfast-bench, as its JSON. Pushes go by RESP; with an option "http" or "nchan", by that."""
    address = server.echo_address() if scenario == "echo" else server.address
    command = [str(BENCH), scenario, "-a", address, "--payload", str(payload), "--duration", str(seconds),
               "--pid", str(server.process.pid), "--json"]
    command += [str(connections)] if scenario in ("connect", "idle") else ["-n", str(connections)]
    if scenario in ("fanout", "unicast", "resp-fanout"):
        protocol = next((o for o in options if o in ("http", "nchan")), "resp")
        options = [o for o in options if o != protocol]
        command += ["--api", server.http if protocol == "http" else server.api]
        command += ["--protocol", protocol] if scenario != "resp-fanout" else []
    done = subprocess.run(command + [str(o) for o in options], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def prepare(built, *packages):
    """A release build with the load tools, unless `built` says that there is one, and as many descriptors as may be had."""
    if not built:
        sh('need "${build_packages[@]}" libbenchmark-dev ' + " ".join(packages) +
           "; configure build --buildtype=release -Dbench=true; ninja -C build")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return dict(processors=os.cpu_count(), model=model, kernel=platform.release(),
                memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30))


def spread(values):
    return dict(median=statistics.median(values), least=min(values), most=max(values))
