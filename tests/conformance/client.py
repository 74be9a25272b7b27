"""tests/conformance/client.py - a WebSocket client that can be wrong on purpose: bytes out, frames in. Written from RFC 6455 alone."""
import base64
import hashlib
import os
import socket
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
PATIENCE_S = 10
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Silence(Exception):
    """Nothing came for PATIENCE_S."""


class Ended(Exception):
    """The connection ended where more was expected."""


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, length_bytes=None, mask=None, claimed=None):
    """Bytes of one frame. length_bytes (0, 2 or 8): of the extended length, if not the least; claimed: a length that is a lie."""
    size = len(payload) if claimed is None else claimed
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    short, extended = {0: (size, b""), 2: (126, struct.pack(">H", size & 0xffff)), 8: (127, struct.pack(">Q", size))}[length_bytes]
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if masked else 0) | short]) + extended
    if not masked:
        return head + payload
    key = os.urandom(4) if mask is None else mask
    stream = key * (len(payload) // 4 + 1)
    xored = (int.from_bytes(payload, "big") ^ int.from_bytes(stream[:len(payload)], "big")).to_bytes(len(payload), "big") if payload else b""
    return head + key + xored


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + reason


def request(path="/ws", host="localhost", method="GET", version="HTTP/1.1", key=None, drop=(), replace=None, extra=()):
    """A hand-shake. drop: names of headers to leave out; replace: {name: value}; extra: further lines."""
    key = key or base64.b64encode(os.urandom(16)).decode()
    headers = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    headers.update(replace or {})
    lines = [f"{method} {path} {version}"] + [f"{n}: {v}" for n, v in headers.items() if n not in drop] + list(extra)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class Connection:
    def __init__(self, address):
        self.socket = socket.create_connection(address, PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE_S)
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # it has closed already: what it said before counts

    def send_slowly(self, data, step):
        for at in range(0, len(data), step):
            self.send(data[at:at + step])

    def _more(self):
        try:
            got = self.socket.recv(65536)
        except socket.timeout:
            raise Silence() from None
        except ConnectionError:
            got = b""
        if not got:
            raise Ended()
        self.buffer += got

    def _take(self, size):
        while len(self.buffer) < size:
            self._more()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def answer(self):
        """Status and headers (names in lower case) of an HTTP answer."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        return int(lines[0].split()[1]), {n.strip().lower(): v.strip() for n, v in (line.split(":", 1) for line in lines[1:])}

    def open(self, **how):
        self.send(request(**how))
        status, headers = self.answer()
        if status != 101:
            raise Ended(f"status {status}")
        return headers

    def frame(self):
        """opcode, fin, rsv, payload of the next frame. A masked one is an error of the server (section 5.1)."""
        first, second = self._take(2)
        size = second & 0x7f
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        if second & 0x80:
            raise AssertionError("the server masks a frame")
        return first & 0x0f, bool(first & 0x80), first >> 4 & 7, self._take(size)

    def message(self):
        """opcode and payload of the next message or control frame."""
        opcode, fin, rsv, payload = self.frame()
        if rsv:
            raise AssertionError(f"RSV bits {rsv} that nobody has asked for")
        while not fin:
            more, fin, _, rest = self.frame()
            if more != CONTINUATION:
                raise AssertionError(f"a frame of opcode {more} within a message")
            payload += rest
        return opcode, payload

    def end(self):
        """How the server ends it: close code (1005: none in the frame, 1006: no close frame) and whether TCP ended behind it."""
        code = 1006
        try:
            while True:
                opcode, payload = self.message()
                if opcode == CLOSE:
                    code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                    break
        except Ended:
            return code, True
        except Silence:
            return code, False
        try:
            while True:
                self._more()
        except Ended:
            return code, True
        except Silence:
            return code, False

    def close(self):
        self.socket.close()
