"""tests/conformance/cases.py - the rules, as tables. A case: id, section of RFC 6455, what it is, and what it does with a server.

A case gets `dial`, which opens a TCP connection to the server (an echo at /ws with messages of at most MOST bytes), and returns
None, or says what is wrong.
"""
from client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Ended, Silence, accept_of, close_payload, frame, request

MOST = 65536


def opened(dial):
    connection = dial()
    connection.open()
    return connection


def hears(expected):
    """The server answers with exactly these messages, and is still there."""
    def check(connection):
        for wanted in list(expected) + [(PONG, b"still there?")]:
            if wanted[1] == b"still there?":
                connection.send(frame(PING, b"still there?"))
            got = connection.message()
            if got != wanted:
                return f"got opcode {got[0]} with {len(got[1])} bytes {got[1][:24]!r}, not opcode {wanted[0]} {wanted[1][:24]!r}"
        return None
    return check


def closes(*codes):
    """The server says good-bye with one of the codes, and ends the TCP connection."""
    def check(connection):
        code, ended = connection.end()
        if code not in codes:
            return f"close code {code}, not {' or '.join(map(str, codes))}"
        return None if ended else "the TCP connection stays open"
    return check


def says(data, check, step=None):
    def run(dial):
        connection = opened(dial)
        connection.send_slowly(data, step) if step else connection.send(data)
        return check(connection)
    return run


def framing():
    for kind, opcode in (("text", TEXT), ("binary", BINARY)):
        for size in (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 124, 125, 126, 127, 128, 255, 256, 1000, 4095, 4096, 65534, 65535, MOST):
            payload = b"*" * size if opcode == TEXT else bytes(i * 7 & 255 for i in range(size))
            yield f"5.2-{kind}-{size}", "5.2", f"a {kind} message of {size} bytes comes back", says(frame(opcode, payload), hears([(opcode, payload)]))
        for size in (0, 1, 125, 126, 127, 300):
            payload = b"x" * size
            yield (f"5.2-{kind}-bytewise-{size}", "5.2", f"{kind} of {size} bytes, each in a segment of its own",
                   says(frame(opcode, payload), hears([(opcode, payload)]), step=1))
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\xff\x00\xff", b"\x80\x00\x00\x01"):
        yield f"5.3-mask-{mask.hex()}", "5.3", "any masking key is as good", says(frame(BINARY, b"0123456789", mask=mask), hears([(BINARY, b"0123456789")]))
    for size, length_bytes in ((0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)):
        yield (f"5.2-length-{size}-in-{length_bytes}", "5.2", f"a length of {size} in {length_bytes} bytes is not the minimal number of bytes",
               says(frame(BINARY, b"x" * size, length_bytes=length_bytes), closes(1002)))
    for claimed in (1 << 63, (1 << 64) - 1, (1 << 63) | 5):
        yield (f"5.2-length-{claimed:x}", "5.2", "the most significant bit of a 64-bit length must be 0",
               says(frame(BINARY, b"", length_bytes=8, claimed=claimed), closes(1002, 1009)))
    for claimed in (MOST + 1, 1 << 20, 1 << 32, (1 << 63) - 1):
        yield (f"7.4.1-too-long-{claimed}", "7.4.1", "a message longer than the server takes: 1009, before it has come",
               says(frame(BINARY, b"", length_bytes=8, claimed=claimed), closes(1009)))
    yield ("7.4.1-too-long-in-parts", "7.4.1", "a message that becomes too long by its fragments: 1009",
           says(frame(BINARY, b"x" * MOST, fin=False) + frame(CONTINUATION, b"y"), closes(1009)))
    yield ("7.4.1-just-long-enough-in-parts", "7.4.1", "one of just the size, in fragments",
           says(frame(BINARY, b"x" * (MOST - 1), fin=False) + frame(CONTINUATION, b"y"), hears([(BINARY, b"x" * (MOST - 1) + b"y")])))
    many = b"".join(frame(TEXT, str(i).encode()) for i in range(200))
    yield "5.2-many-at-once", "5.2", "200 messages in one segment, answered in order", says(many, hears([(TEXT, str(i).encode()) for i in range(200)]))


def reserved():
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for size in (0, 5):
            yield f"5.2-opcode-{opcode}-{size}", "5.2", "a reserved opcode", says(frame(opcode, b"x" * size), closes(1002))
        yield (f"5.2-opcode-{opcode}-behind-text", "5.2", "a message, then a reserved opcode: the first is answered",
               says(frame(TEXT, b"first") + frame(opcode), lambda c: None if c.message() == (TEXT, b"first") and closes(1002)(c) is None
                    else "not answered, or not closed with 1002"))
    for rsv in range(1, 8):
        for name, opcode in (("text", TEXT), ("binary", BINARY), ("ping", PING), ("close", CLOSE), ("continuation", CONTINUATION)):
            payload = close_payload(1000) if opcode == CLOSE else b"x"
            data = frame(opcode, payload, rsv=rsv)
            if opcode == CONTINUATION:
                data = frame(TEXT, b"x", fin=False) + data
            yield f"5.2-rsv-{rsv}-{name}", "5.2", "an RSV bit without an extension that gives it a meaning", says(data, closes(1002))
    for name, opcode in (("text", TEXT), ("binary", BINARY), ("ping", PING), ("pong", PONG), ("close", CLOSE)):
        for size in (0, 5, 125):
            payload = close_payload(1000) if opcode == CLOSE else b"x" * size
            yield f"5.1-unmasked-{name}-{size}", "5.1", "a frame of a client that is not masked", says(frame(opcode, payload, masked=False), closes(1002))


def fragmentation():
    parts_of = {
        "2": [b"ab", b"cd"], "3": [b"a", b"b", b"c"], "empty-first": [b"", b"x"], "empty-last": [b"x", b""], "empty-all": [b"", b"", b""],
        "empty-middle": [b"x", b"", b"y"], "20": [bytes([97 + i]) for i in range(20)], "long": [b"x" * 20000] * 3, "boundary": [b"x" * 125, b"y" * 126, b"z" * 127],
    }
    for kind, opcode in (("text", TEXT), ("binary", BINARY)):
        for name, parts in parts_of.items():
            frames = [frame(opcode if i == 0 else CONTINUATION, p, fin=i == len(parts) - 1) for i, p in enumerate(parts)]
            whole = (opcode, b"".join(parts))
            yield f"5.4-{kind}-{name}", "5.4", "fragments are one message", says(b"".join(frames), hears([whole]))
            if sum(map(len, parts)) < 1000:
                yield f"5.4-{kind}-{name}-bytewise", "5.4", "fragments, byte by byte", says(b"".join(frames), hears([whole]), step=1)
            pings = b"".join(f + frame(PING, str(i).encode()) for i, f in enumerate(frames[:-1])) + frames[-1]
            yield (f"5.4-{kind}-{name}-ping-between", "5.4", "control frames between fragments are answered at once",
                   says(pings, hears([(PONG, str(i).encode()) for i in range(len(frames) - 1)] + [whole])))
    first = frame(TEXT, b"x", fin=False)
    for name, data in {
            "continuation-alone": frame(CONTINUATION, b"x"), "continuation-alone-unfinished": frame(CONTINUATION, b"x", fin=False),
            "continuation-empty-alone": frame(CONTINUATION), "continuation-after-whole": frame(PING) + frame(CONTINUATION, b"x"),
            "text-within": first + frame(TEXT, b"y"), "binary-within": first + frame(BINARY, b"y"), "text-unfinished-within": first + frame(TEXT, b"y", fin=False),
            "text-within-later": first + frame(CONTINUATION, b"y", fin=False) + frame(TEXT, b"z"),
            "continuation-behind-the-end": first + frame(CONTINUATION, b"y", fin=False)[:0] + frame(CONTINUATION, b"y") + frame(CONTINUATION, b"z")}.items():
        yield f"5.4-{name}", "5.4", "frames in an order that makes no message", says(data, closes(1002))
    yield "5.4-close-within", "5.4", "a close frame between fragments is obeyed", says(first + frame(CLOSE, close_payload(1000)), closes(1000))


def control():
    for size in (0, 1, 2, 64, 124, 125):
        payload = bytes(i & 255 for i in range(size))
        yield f"5.5.2-ping-{size}", "5.5.2", "a pong has the payload of its ping", says(frame(PING, payload), hears([(PONG, payload)]))
        yield f"5.5.3-pong-{size}", "5.5.3", "a pong that nobody asked for is left alone", says(frame(PONG, payload), hears([]))
        yield f"5.5.2-ping-{size}-bytewise", "5.5.2", "a ping, byte by byte", says(frame(PING, payload), hears([(PONG, payload)]), step=1)
    yield "5.5.2-pings", "5.5.2", "twenty pings", says(b"".join(frame(PING, bytes([i])) for i in range(20)), hears([(PONG, bytes([i])) for i in range(20)]))
    for name, opcode in (("ping", PING), ("pong", PONG), ("close", CLOSE)):
        for size in (126, 127, 1000, 65536):
            yield f"5.5-{name}-{size}", "5.5", "a control frame of more than 125 bytes", says(frame(opcode, b"\x03\xe8" + b"x" * (size - 2)), closes(1002))
        yield f"5.5-{name}-unfinished", "5.5", "a control frame without FIN", says(frame(opcode, b"\x03\xe8", fin=False), closes(1002))
        yield (f"5.5-{name}-unfinished-within", "5.5", "a control frame without FIN within a message",
               says(frame(TEXT, b"x", fin=False) + frame(opcode, b"\x03\xe8", fin=False), closes(1002)))


def closing():
    valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
    for code in valid:
        yield f"7.4-code-{code}", "5.5.1, 7.4", "a close frame is answered with its code", says(frame(CLOSE, close_payload(code, b"bye")), closes(code))
    for code in [0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 32768, 65535]:
        yield f"7.4-code-{code}", "7.4", "a code that must not stand on the wire", says(frame(CLOSE, close_payload(code)), closes(1002))
    yield "5.5.1-no-code", "5.5.1", "a close frame without a code is answered", says(frame(CLOSE), closes(1005, 1000))
    yield "5.5.1-half-a-code", "5.5.1", "a body of one byte has no code", says(frame(CLOSE, b"\x03"), closes(1002))
    for size in (0, 1, 122, 123):
        yield f"5.5.1-reason-{size}", "5.5.1", "a reason as long as it may be", says(frame(CLOSE, close_payload(1000, b"r" * size)), closes(1000))
    for name, reason in {"latin1": b"\xe4", "cut": b"\xe2\x82", "surrogate": b"\xed\xa0\x80", "overlong": b"\xc0\xaf"}.items():
        yield f"5.5.1-reason-{name}", "5.5.1", "a reason that is not UTF-8", says(frame(CLOSE, close_payload(1000, reason)), closes(1007, 1002))
    yield "5.5.1-reason-utf8", "5.5.1", "a reason in UTF-8", says(frame(CLOSE, close_payload(1000, "gr\u00fc\u00dfe \U0001f600".encode())), closes(1000))
    for name, data in {"text": frame(TEXT, b"late"), "ping": frame(PING, b"late"), "close": frame(CLOSE, close_payload(1001)), "nonsense": b"\xff" * 20,
                       "half": frame(TEXT, b"late")[:3]}.items():
        yield f"5.5.1-{name}-behind", "5.5.1", "what comes behind a close frame is nothing any more", says(frame(CLOSE, close_payload(1000)) + data, closes(1000))
    yield "5.5.1-bytewise", "5.5.1", "a close frame, byte by byte", says(frame(CLOSE, close_payload(1000, b"bye")), closes(1000), step=1)
    yield ("5.5.1-behind-messages", "5.5.1", "messages before a close frame are answered",
           says(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(CLOSE, close_payload(1000)),
                lambda c: None if [c.message(), c.message()] == [(TEXT, b"one"), (TEXT, b"two")] and closes(1000)(c) is None else "lost, or not closed with 1000"))


VALID_UTF8 = {
    "ascii": "Hello", "two": "\u0080\u07ff", "three": "\u0800\uffff", "four": "\U00010000\U0010ffff", "euro": "\u20ac", "bom": "\ufeffx", "nul": "a\0b",
    "noncharacters": "\ufffe\uffff\U0001fffe", "before-surrogates": "\ud7ff", "behind-surrogates": "\ue000", "emoji": "\U0001f468\u200d\U0001f469",
    "mixed": "k\u00f6nig \u2260 \U0001d11e z",
}
INVALID_UTF8 = {
    "continuation-alone": b"\x80", "continuation-alone-bf": b"\xbf", "many-continuations": b"\x80\xbf\x80\xbf", "two-cut": b"\xc2", "three-cut-1": b"\xe2",
    "three-cut-2": b"\xe2\x82", "four-cut-1": b"\xf0", "four-cut-2": b"\xf0\x90", "four-cut-3": b"\xf0\x90\x80", "cut-then-ascii": b"\xe2\x82x",
    "two-then-ascii": b"\xc3(", "overlong-2": b"\xc0\xaf", "overlong-2-max": b"\xc1\xbf", "overlong-3": b"\xe0\x80\xaf", "overlong-3-max": b"\xe0\x9f\xbf",
    "overlong-4": b"\xf0\x80\x80\xaf", "overlong-4-max": b"\xf0\x8f\xbf\xbf", "overlong-nul": b"\xc0\x80", "surrogate-first": b"\xed\xa0\x80",
    "surrogate-last": b"\xed\xbf\xbf", "surrogate-pair": b"\xed\xa0\x80\xed\xb0\x80", "too-high": b"\xf4\x90\x80\x80", "f5": b"\xf5\x80\x80\x80", "f8": b"\xf8\x88\x80\x80\x80",
    "fc": b"\xfc\x84\x80\x80\x80\x80", "fe": b"\xfe", "ff": b"\xff", "latin1": b"gr\xfc\xdfe",
}


def utf8():
    for name, text in VALID_UTF8.items():
        data = text.encode()
        yield f"8.1-valid-{name}", "8.1, RFC 3629", "text comes back", says(frame(TEXT, data), hears([(TEXT, data)]))
        yield f"8.1-valid-{name}-bytewise", "8.1", "text, byte by byte on the wire", says(frame(TEXT, data), hears([(TEXT, data)]), step=1)
        parts = [frame(TEXT if i == 0 else CONTINUATION, data[i:i + 1], fin=i == len(data) - 1) for i in range(len(data))]
        yield f"8.1-valid-{name}-fragments", "8.1", "characters may be cut by fragments", says(b"".join(parts), hears([(TEXT, data)]))
    for name, data in INVALID_UTF8.items():
        yield f"8.1-invalid-{name}", "8.1, RFC 3629", "text that is not UTF-8", says(frame(TEXT, data), closes(1007))
        yield f"8.1-invalid-{name}-behind", "8.1", "text that is not UTF-8 at its end", says(frame(TEXT, b"good so far " + data), closes(1007))
        yield f"8.1-invalid-{name}-before", "8.1", "text that is not UTF-8 at its beginning", says(frame(TEXT, data + b" and on"), closes(1007))
        yield (f"8.1-invalid-{name}-last-fragment", "8.1", "text whose last fragment is not UTF-8",
               says(frame(TEXT, b"good", fin=False) + frame(CONTINUATION, data), closes(1007)))
        yield f"8.1-binary-{name}", "5.6", "in a binary message any bytes may be", says(frame(BINARY, data), hears([(BINARY, data)]))
        yield f"8.1-ping-{name}", "5.5.2", "in a ping any bytes may be", says(frame(PING, data), hears([(PONG, data)]))


def answers(data, *statuses, **headers):
    def run(dial):
        connection = dial()
        connection.send(data)
        status, got = connection.answer()
        if status not in statuses:
            return f"status {status}, not {' or '.join(map(str, statuses))}"
        for name, wanted in headers.items():
            name = name.replace("_", "-")
            if (wanted is None) != (name not in got) or (wanted is not None and got[name].lower() != wanted.lower()):
                return f"{name}: {got.get(name)!r}, not {wanted!r}"
        return None
    return run


def handshake():
    key = "dGhlIHNhbXBsZSBub25jZQ=="  # section 1.3
    good = dict(sec_websocket_accept=accept_of(key), upgrade="websocket", connection="Upgrade", sec_websocket_extensions=None, sec_websocket_protocol=None)
    for name, data in {
            "plain": request(key=key), "upgrade-case": request(key=key, replace={"Upgrade": "WebSocket"}), "connection-case": request(key=key, replace={"Connection": "uPGRADE"}),
            "connection-list": request(key=key, replace={"Connection": "keep-alive, Upgrade"}), "connection-list-2": request(key=key, replace={"Connection": "Upgrade,keep-alive"}),
            "connection-twice": request(key=key, replace={"Connection": "keep-alive"}, extra=["Connection: Upgrade"]),
            "upgrade-list": request(key=key, replace={"Upgrade": "h2c, websocket"}), "protocol-offered": request(key=key, extra=["Sec-WebSocket-Protocol: chat, superchat"]),
            "extension-unknown": request(key=key, extra=["Sec-WebSocket-Extensions: x-nobody; a=1"]), "query": request(key=key, path="/ws?a=b&c"),
            "names-lower": request(key=key).replace(b"Sec-WebSocket-Key", b"sec-websocket-key").replace(b"Upgrade: ", b"upgrade: ", 1),
            "names-upper": request(key=key).replace(b"Host", b"HOST").replace(b"Sec-WebSocket-Version", b"SEC-WEBSOCKET-VERSION"),
            "blanks": request(key=key).replace(b": ", b":   ").replace(b"\r\n\r\n", b"  \r\n\r\n"), "no-blanks": request(key=key).replace(b": ", b":"),
            "many-headers": request(key=key, extra=[f"X-{i}: {i}" for i in range(80)]), "cookie": request(key=key, extra=["Cookie: a=b; c=d"]),
            "tabs": request(key=key).replace(b"Upgrade: websocket", b"Upgrade:\twebsocket\t")}.items():
        yield f"4.2.2-{name}", "4.2.2", "a hand-shake that is good, and its answer", answers(data, 101, **good)
    for name, (data, *statuses) in {
            "post": (request(method="POST"), 405, 400), "put": (request(method="PUT"), 405, 400), "head": (request(method="HEAD"), 405, 400, 426),
            "http10": (request(version="HTTP/1.0"), 400, 426, 505), "http2": (request(version="HTTP/2.0"), 400, 505), "http09": (b"GET /ws\r\n\r\n", 400, 505),
            "no-host": (request(drop=["Host"]), 400), "two-hosts": (request(extra=["Host: other"]), 400), "no-key": (request(drop=["Sec-WebSocket-Key"]), 400),
            "key-empty": (request(replace={"Sec-WebSocket-Key": ""}), 400), "key-short": (request(replace={"Sec-WebSocket-Key": "AAAA"}), 400),
            "key-long": (request(replace={"Sec-WebSocket-Key": "A" * 28 + "=="}), 400), "key-nonsense": (request(replace={"Sec-WebSocket-Key": "!" * 24}), 400),
            "two-keys": (request(extra=["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]), 400), "no-upgrade": (request(drop=["Upgrade"]), 400, 426),
            "upgrade-other": (request(replace={"Upgrade": "h2c"}), 400, 426), "no-connection": (request(drop=["Connection"]), 400, 426),
            "connection-other": (request(replace={"Connection": "close"}), 400, 426), "elsewhere": (request(path="/elsewhere"), 404),
            "foreign-origin": (request(extra=["Origin: http://evil.example"]), 403), "nonsense": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
            "header-without-colon": (request(extra=["nonsense"]), 400), "header-with-blank": (request(extra=["X Y: 1"]), 400), "folded": (request(extra=[" folded"]), 400),
            "control-character": (request(extra=["X: a\x01b"]), 400), "too-long": (request(extra=["X: " + "x" * 20000]), 431, 400),
            "too-many": (request(extra=[f"X-{i}: 1" for i in range(200)]), 431, 400), "with-body": (request(extra=["Content-Length: 5"]) + b"hello", 400, 413)}.items():
        yield f"4.2.1-{name}", "4.2.1", "a hand-shake that is not one", answers(data, *statuses)
    for version in ("0", "7", "8", "12", "14", "255", "abc", "-13", "013", "13, 8", ""):
        yield (f"4.4-version-{version or 'empty'}".replace(" ", ""), "4.4", "another version: 426 (or 400), and which one is spoken",
               answers(request(replace={"Sec-WebSocket-Version": version}), 426, sec_websocket_version="13") if version not in ("", "abc", "-13", "013", "13, 8")
               else answers(request(replace={"Sec-WebSocket-Version": version}), 426, 400))
    yield "4.4-version-none", "4.4", "no version at all", answers(request(drop=["Sec-WebSocket-Version"]), 426, 400)

    def early(dial):
        connection = dial()
        connection.send(request() + frame(TEXT, b"at once"))
        status, _ = connection.answer()
        return hears([(TEXT, b"at once")])(connection) if status == 101 else f"status {status}"
    yield "4.1-frame-with-handshake", "4.1", "a frame in the same segment as the request is answered", early

    def bytewise(dial):
        connection = dial()
        connection.send_slowly(request(key=key), 1)
        status, headers = connection.answer()
        return None if status == 101 and headers.get("sec-websocket-accept") == accept_of(key) else f"status {status}"
    yield "4.2.1-bytewise", "4.2.1", "a hand-shake, byte by byte", bytewise

    def same_host(dial):
        connection = dial()
        connection.send(request(host="example.com", extra=["Origin: http://example.com"]))
        return None if connection.answer()[0] == 101 else "refused"
    yield "10.2-same-origin", "10.2", "a page of the same host is let in", same_host


def ends():
    def vanishes(data):
        def run(dial):
            connection = opened(dial)
            connection.send(data)
            connection.close()
            other = opened(dial)  # whoever goes disturbs nobody
            other.send(frame(TEXT, b"alive"))
            return hears([(TEXT, b"alive")])(other)
        return run
    for name, data in {"at-once": b"", "amid-head": frame(TEXT, b"x" * 200)[:3], "amid-payload": frame(TEXT, b"x" * 200)[:50], "amid-fragments": frame(TEXT, b"x", fin=False),
                       "amid-control": frame(PING, b"x" * 100)[:20], "behind-error": frame(3)}.items():
        yield f"7.1-vanishes-{name}", "7.1", "a client that is gone without a word", vanishes(data)


TABLES = dict(handshake=handshake, framing=framing, reserved=reserved, fragmentation=fragmentation, control=control, closing=closing, utf8=utf8, ends=ends)
__all__ = ["TABLES", "MOST", "Ended", "Silence"]
