"""tests/conformance/broken.py - an echo server that keeps the rules, or breaks one of them: every breach must be noticed by the case
that is there for it, and the server that keeps them all must pass."""
import re
import socket
import struct
import threading

import client
from cases import BINARY, CLOSE, CONTINUATION, MOST, PING, PONG, TEXT
from client import accept_of

# What is broken: a case that must fail then.
BREACHES = {
    "masks": "5.2-text-5", "takes_unmasked": "5.1-unmasked-text-5", "ignores_rsv": "5.2-rsv-4-text", "takes_reserved": "5.2-opcode-3-0",
    "no_utf8": "8.1-invalid-ff", "utf8_per_fragment": "8.1-valid-euro-fragments", "wrong_accept": "4.2.2-plain", "no_pong": "5.5.2-ping-1",
    "empty_pong": "5.5.2-ping-64", "text_as_binary": "5.2-text-1", "closes_without_code": "7.4-code-4000", "always_1000": "7.4-code-3000",
    "stays_open": "7.4-code-1000", "takes_any_code": "7.4-code-1005", "takes_half_a_code": "5.5.1-half-a-code", "long_control": "5.5-ping-126",
    "fragmented_control": "5.5-ping-unfinished", "no_bound": "7.4.1-too-long-in-parts", "bound_too_small": "5.2-binary-65536",
    "joins_anything": "5.4-text-within", "continuation_is_text": "5.4-continuation-alone", "drops_last_fragment": "5.4-binary-3",
    "any_version": "4.4-version-8", "any_origin": "4.2.1-foreign-origin", "any_method": "4.2.1-post", "any_path": "4.2.1-elsewhere",
    "no_key": "4.2.1-no-key", "selects_protocol": "4.2.2-protocol-offered", "sloppy_lengths": "5.2-length-1-in-2", "reverses": "5.2-many-at-once",
    "forgets_early": "4.1-frame-with-handshake", "pong_at_the_end": "5.4-text-3-ping-between", "sets_rsv": "5.2-text-3",
}


class Fail(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Server:
    def __init__(self, breach):
        self.breach = breach
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        Conversation(self.breach).serve(connection)


class Conversation:
    """One connection."""

    def __init__(self, breach):
        self.breach = breach
        self.kind, self.parts = None, []  # of the message under way
        self.late, self.held = [], []

    def broken(self, name):
        return self.breach == name

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = connection.makefile("rb")
        try:
            if self.handshake(connection, reader):
                self.talk(connection, reader)
            if not self.broken("stays_open"):
                connection.shutdown(socket.SHUT_WR)
                while reader.read(65536):
                    pass
                connection.close()
        except (OSError, EOFError, ValueError):
            connection.close()

    # ---- hand-shake

    def handshake(self, connection, reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                raise EOFError
            head += line
            if len(head) > 16384:
                return self.refuse(connection, 431)
        lines = head.decode("latin-1").split("\r\n")[:-2]
        first = lines[0].split(" ")
        if len(first) != 3 or first[2] != "HTTP/1.1":
            return self.refuse(connection, 505 if first[-1].startswith("HTTP/") else 400)
        headers = {}
        for line in lines[1:]:
            match = re.fullmatch(r"([!#-'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f]*?)[ \t]*", line)
            if not match:
                return self.refuse(connection, 400)
            headers.setdefault(match[1].lower(), []).append(match[2])
        return self.judge(connection, first, headers, len(lines))

    def judge(self, connection, first, headers, lines):
        one = {name: values[0] for name, values in headers.items()}
        listed = lambda name, wanted: wanted in [v.strip().lower() for value in headers.get(name, []) for v in value.split(",")]
        key = one.get("sec-websocket-key", "")
        if lines > 100:
            return self.refuse(connection, 431)
        if len(headers.get("host", [])) != 1 or len(headers.get("sec-websocket-key", [])) > 1 or "content-length" in headers:
            return self.refuse(connection, 400)
        if first[0] != "GET" and not self.broken("any_method"):
            return self.refuse(connection, 405)
        if first[1].split("?")[0] != "/ws" and not self.broken("any_path"):
            return self.refuse(connection, 404)
        if not listed("upgrade", "websocket") or not listed("connection", "upgrade"):
            return self.refuse(connection, 426)
        if one.get("sec-websocket-version") != "13" and not self.broken("any_version"):
            return self.refuse(connection, 426)
        if not re.fullmatch(r"[A-Za-z0-9+/]{22}==", key) and not self.broken("no_key"):
            return self.refuse(connection, 400)
        origin = one.get("origin")
        if origin and origin != "http://" + one["host"] and not self.broken("any_origin"):
            return self.refuse(connection, 403)
        accept = accept_of(key + ("x" if self.broken("wrong_accept") else ""))
        protocol = "Sec-WebSocket-Protocol: chat\r\n" if self.broken("selects_protocol") and "sec-websocket-protocol" in one else ""
        connection.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
                           f"{protocol}\r\n".encode())
        return True

    def refuse(self, connection, status):
        connection.sendall(f"HTTP/1.1 {status} No\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n".encode())
        return False

    # ---- frames

    def send(self, connection, opcode, payload):
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else b"\x7f" + struct.pack(">Q", size)
        first = 0x80 | opcode | (0x40 if self.broken("sets_rsv") else 0)
        if self.broken("masks"):
            length = bytes([length[0] | 0x80]) + length[1:] + b"\0\0\0\0"
        connection.sendall(bytes([first]) + length + payload)

    def talk(self, connection, reader):
        if self.broken("forgets_early"):
            connection.settimeout(0.05)
            reader.peek(1)
            reader.read(len(reader.peek(1)))
        try:
            while self.turn(connection, reader):
                pass
        except Fail as fail:
            self.send(connection, CLOSE, struct.pack(">H", fail.code))

    def read(self, reader, size):
        data = reader.read(size)
        if len(data) != size:
            raise EOFError
        return data

    def turn(self, connection, reader):
        first, second = self.read(reader, 2)
        opcode, fin, size = first & 15, bool(first & 0x80), second & 0x7f
        if first & 0x70 and not self.broken("ignores_rsv"):
            raise Fail(1002)
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG) and not self.broken("takes_reserved"):
            raise Fail(1002)
        if not second & 0x80 and not self.broken("takes_unmasked"):
            raise Fail(1002)
        if opcode >= 8 and ((size > 125 and not self.broken("long_control")) or (not fin and not self.broken("fragmented_control"))):
            raise Fail(1002)
        if size >= 126:
            short = size
            size = struct.unpack(">H", self.read(reader, 2))[0] if short == 126 else struct.unpack(">Q", self.read(reader, 8))[0]
            if size < (126 if short == 126 else 65536) and not self.broken("sloppy_lengths") or size >> 63:
                raise Fail(1002)
        most = 65535 if self.broken("bound_too_small") else MOST
        if opcode < 8 and sum(map(len, self.parts)) + size > most and not (self.broken("no_bound") and size < 1 << 20):
            raise Fail(1009)
        key = self.read(reader, 4) if second & 0x80 else b"\0\0\0\0"
        data = self.read(reader, size)
        payload = bytes(b ^ key[i & 3] for i, b in enumerate(data)) if any(key) else data
        return self.control(connection, opcode, payload) if opcode >= 8 else self.data(connection, opcode, fin, payload)

    def control(self, connection, opcode, payload):
        if opcode == PING and not self.broken("no_pong"):
            payload = b"" if self.broken("empty_pong") else payload
            if self.broken("pong_at_the_end") and self.kind is not None:
                self.late.append(payload)
            else:
                self.release(connection)
                self.send(connection, PONG, payload)
        if opcode != CLOSE:
            return True
        self.release(connection)
        if len(payload) == 1 and not self.broken("takes_half_a_code"):
            raise Fail(1002)
        if len(payload) >= 2:
            code = struct.unpack(">H", payload[:2])[0]
            good = code in (1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000))
            if not good and not self.broken("takes_any_code"):
                raise Fail(1002)
            if not is_utf8(payload[2:]):
                raise Fail(1007)
        payload = struct.pack(">H", 1000) if self.broken("always_1000") else payload[:2]
        self.send(connection, CLOSE, b"" if self.broken("closes_without_code") else payload)
        return False

    def data(self, connection, opcode, fin, payload):
        if self.kind is None:
            if opcode == CONTINUATION and not self.broken("continuation_is_text"):
                raise Fail(1002)
            self.kind = opcode or TEXT
        elif opcode != CONTINUATION and not self.broken("joins_anything"):
            raise Fail(1002)
        if self.broken("utf8_per_fragment") and self.kind == TEXT and not is_utf8(payload):
            raise Fail(1007)
        self.parts.append(payload)
        if not fin:
            return True
        parts = self.parts[:-1] if self.broken("drops_last_fragment") and len(self.parts) > 1 else self.parts
        whole, kind, self.parts, self.kind = b"".join(parts), self.kind, [], None
        if kind == TEXT and not is_utf8(whole) and not self.broken("no_utf8"):
            raise Fail(1007)
        if self.broken("reverses"):
            self.held.append((kind, whole))
        else:
            self.send(connection, BINARY if self.broken("text_as_binary") else kind, whole)
        for payload in self.late:
            self.send(connection, PONG, payload)
        self.late = []
        return True

    def release(self, connection):
        for kind, whole in reversed(self.held):
            self.send(connection, kind, whole)
        self.held = []


def is_utf8(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


def self_test(walk):
    client.PATIENCE_S = 2  # many breaches are a silence
    passed = failed = 0
    for breach, case in [(None, None), *BREACHES.items()]:
        server = Server(breach)
        if breach is None:
            noticed = [r for r in walk(server.address) if r["verdict"] == "failed"]
            good = not noticed
            for result in noticed:
                print(f"FAILED: {result['id']} does not like a server that keeps the rules: {result['detail']}")
        else:
            good = any(r["verdict"] == "failed" for r in walk(server.address, case) if r["id"] == case)
            if not good:
                print(f"FAILED: {case} does not notice {breach}")
        passed, failed = passed + good, failed + (not good)
        server.listener.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
