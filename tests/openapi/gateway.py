"""gateway.py - a real holdfastd in a directory of its own, on free ports, with two workers; clients of it.

HF_HOLDFASTD names the program, by default that of build/test. HF_TEST_TIMEOUT_MS bounds every wait.
"""

import base64
import hashlib
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT_S = int(os.environ.get("HF_TEST_TIMEOUT_MS", "5000")) / 1000
TOKENS = {
    "push": "only-for-pushing-0123456789",
    "query": "only-for-asking-0123456789",
    "admin": "for-everything-0123456789",
}


class Failed(Exception):
    """What a case expected has not come true."""


def until(what, condition, limit_s=LIMIT_S):
    """Waits for `condition` to be true, and returns what it said."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited in vain for: {what}")
        time.sleep(0.005)


class Gateway:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-openapi-"))
        tokens = "".join(f"{TOKENS[scope]} {scope}\n" for scope in TOKENS)
        (self.directory / "tokens").write_text(tokens)
        (self.directory / "tokens").chmod(0o600)
        (self.directory / "gateway.toml").write_text(self._configuration())
        program = os.environ.get("HF_HOLDFASTD") or ROOT / "build/test/master/holdfastd"
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [program, "-c", self.directory / "gateway.toml"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until("holdfastd serves", self._serves, 3 * LIMIT_S)
        except Failed as e:
            self.process.kill()
            self.process.wait()
            raise Failed(f"{e}\n{(self.directory / 'log').read_text()}") from e

    def stop(self, keep):
        """Ends it, and tells how: the exit status. Its directory goes too, unless something has failed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(3 * LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if keep:
            print(f"  kept: {self.directory}")
        else:
            shutil.rmtree(self.directory)
        return status

    def api(self, with_tokens=False):
        return self._listed("api http")[1 if with_tokens else 0]

    def websocket(self):
        return WebSocket(self._listed("websocket")[0])

    def _listed(self, kind):
        lines = (self.directory / "run/listeners").read_text().splitlines()
        addresses = [line[len(kind) + 1:] for line in lines if line.startswith(kind + " ")]
        return [(host, int(port)) for host, port in (a.rsplit(":", 1) for a in addresses if "unix:" not in a)]

    def _serves(self):
        if self.process.poll() is not None:
            raise Failed(f"holdfastd ended with {self.process.returncode}")
        if not (self.directory / "run/listeners").exists():
            return False
        try:
            return Api(self.api()).ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def _configuration(self):
        return f"""
            [server]
            instance = "openapi{os.getpid()}"
            runtime_dir = "{self.directory}/run"
            workers = 2
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
            address = "127.0.0.1:0"
            protocol = "http"
            token_file = "{self.directory}/tokens"
            [[channel]]
            pattern = "ticker.*"
            history_size = 100
            """


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


class Api:
    """One connection for each request: so every worker gets some of them."""

    def __init__(self, address, token=None):
        self.address = address
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection(*self.address, timeout=LIMIT_S)
        try:
            connection.request(method, target, body, {**self.headers, **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def head_of_large_body(self, target):
        """A POST that promises more than max_body, and is answered before any of it is sent."""
        with socket.create_connection(self.address, LIMIT_S) as raw:
            raw.sendall(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n".encode())
            response = http.client.HTTPResponse(raw, method="POST")
            response.begin()
            return Answer(response)

    def stream(self, target):
        """The connection stays open: (response, close)."""
        connection = http.client.HTTPConnection(*self.address, timeout=LIMIT_S)
        connection.request("GET", target, headers=self.headers)
        return connection.getresponse(), connection.close


class WebSocket:
    """A client that says nothing. What is sent to it waits in its socket."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, LIMIT_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /ws?channel=quiet HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise Failed(f"no hand-shake: {head}")
            head += byte
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if headers.get("sec-websocket-accept") != base64.b64encode(accept).decode().lower():
            raise Failed(f"no WebSocket: {head}")
        self.session = headers["holdfast-session"]

    def close(self):
        self.socket.close()
