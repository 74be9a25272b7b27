#!/usr/bin/python3
"""run.py [PART_OF_A_NAME] - is the description of the HTTP API true?

Sends every example of every operation in worker/api/http/openapi.json to a real holdfastd, good ones and bad ones, and
judges every answer by the schema of its status; then what no example can say: tokens, methods, broken bodies,
repeats. That the document has exactly the server's routes is checked against the route table by the unit tests.
Ends with `N passed, N failed`.
"""

import copy
import json
import signal
import sys

sys.dont_write_bytecode = True  # the tree stays as it is

from document import Document
from gateway import ROOT, TOKENS, Api, Failed, Gateway, until
from pages import Pages

# The document's examples name these two sessions; here, those of two connected clients stand for them.
SAMPLES = ("00010000000700019f86d081884c7d65", "0001000000080001c2c7b5e3a1f04d96")
# What nobody can bring about on purpose and in time: full mailboxes, a worker that dies at the right moment.
UNPROVOKED = {"409", "503"}


class Suite:
    def __init__(self, only):
        self.only = only
        self.passed = self.failed = 0

    def case(self, name, run, *arguments):
        if self.only not in name:
            return
        try:
            run(*arguments)
            self.passed += 1
        except Exception as e:  # a case that breaks off has failed like any other
            self.failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {e}" if not isinstance(e, Failed) else f"FAIL {name}: {e}")


def same(expected, found, what):
    if expected != found:
        raise Failed(f"{what}: expected {expected!r}, found {found!r}")


class Clients:
    """Two sessions of user 42 in room1, whatever the case before has done to them."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.api = Api(gateway.api())
        self.sockets = []

    def ready(self):
        for socket in self.sockets[:]:
            if self.api.ask("GET", f"/v1/sessions/{socket.session}").status != 200:
                socket.close()
                self.sockets.remove(socket)
        while len(self.sockets) < 2:
            self.sockets.append(self.gateway.websocket())
        ids = [socket.session for socket in self.sockets]
        for session in ids:
            self._post("bind", {"session": session, "user": "42"})
        self._post("join", {"sessions": ids, "channels": ["room1"]})
        return ids

    def stand_in(self, text):
        for sample, session in zip(SAMPLES, self.ready()):
            text = text.replace(sample, session)
        return text

    def _post(self, call, body):
        same(200, self.api.ask("POST", f"/v1/{call}", json.dumps(body)).status, call)

    def close(self):
        for socket in self.sockets:
            socket.close()


class Walk:
    def __init__(self, suite, gateway, document):
        self.suite, self.document = suite, document
        self.clients = Clients(gateway)
        self.open = Api(gateway.api())
        self.locked = gateway.api(with_tokens=True)
        self.seen = {}

    def run(self):
        for path, method, operation in self.document.operations():
            name = f"{method} {path}"
            if method == "POST":
                self._posts(name, path, operation)
            else:
                self._others(name, method, operation)
            self.suite.case(f"{name}: wrong methods", self.wrong_methods, path)
            self.suite.case(f"{name}: tokens", self.tokens, path, method, operation)
        if not self.suite.only:
            for path, method, operation in self.document.operations():
                self.suite.case(f"{method} {path}: every status has been seen", self.all_seen, operation)
        self.suite.case("paths that do not exist", self.no_such_path)

    def _posts(self, name, path, operation):
        content = operation["requestBody"]["content"]["application/json"]
        for title, example in content["examples"].items():
            self.suite.case(f"{name}: {title}", self.example, path, operation, content["schema"], example)
        for body in (b"", b"{", b"[]", b'"x"', b'{"x":1}', b'{"commands":[7}', b"\xff", b"[" * 5000):
            self.suite.case(f"{name}: {body[:20]}", self.post, path, operation, body, 400)
        self.suite.case(f"{name}: a body that is too large", self.too_large, path, operation)
        if "422" in operation["responses"]:
            self.suite.case(f"{name}: repeats", self.repeats, path, operation, content["examples"])

    def _others(self, name, method, operation):
        for request in operation["x-requests"]:
            title = f"{name}: {request['path']}"
            if "application/x-ndjson" in operation["responses"]["200"].get("content", {}):
                self.suite.case(title, self.trace, operation, request)
            else:
                self.suite.case(title, self.ask, method, operation, request)

    # ---- One request

    def judge(self, operation, answer, status, head=False):
        same(status, answer.status, f"status; the answer is {answer.body[:300]}")
        fault = self.document.fault_of_answer(operation, answer, head)
        if fault:
            raise Failed(f"{fault}; the answer is {answer.body[:300]}")
        self.seen.setdefault(operation["operationId"], set()).add(str(status))

    def post(self, path, operation, body, status, headers=None):
        answer = self.open.ask("POST", path, body, headers)
        self.judge(operation, answer, status)
        return answer

    def example(self, path, operation, schema, example):
        status = example["x-status"]
        valid = self.document.fault(schema, example["value"])
        if (valid is None) != example.get("x-valid", status != 400):
            raise Failed(f"the schema says of the request: {valid}")
        self.post(path, operation, self.clients.stand_in(json.dumps(example["value"])), status)

    def ask(self, method, operation, request):
        target = self.clients.stand_in(request["path"])
        answer = self.open.ask(method, target)
        self.judge(operation, answer, request["status"])
        if method != "GET":
            return
        head = self.open.ask("HEAD", target)
        self.judge(operation, head, request["status"], head=True)
        same(b"", head.body, "body of the answer to HEAD")
        if operation["operationId"] == "openapi":
            same(self.document.whole, json.loads(answer.body), "the document that is served")

    def trace(self, operation, request):
        target = self.clients.stand_in(request["path"])
        if request["status"] != 200:
            return self.judge(operation, self.open.ask("GET", target), request["status"])
        response, close = self.open.stream(target)
        try:
            same(200, response.status, "status")
            same("application/x-ndjson", response.headers.get_content_type(), "Content-Type")
            # The other worker hears of the trace a moment later: until then there is nothing to tell.
            response.fp.raw._sock.settimeout(0.05)
            until("a line", lambda: self._something_happens(response))
            self.seen.setdefault(operation["operationId"], set()).add("200")
        finally:
            close()

    def _something_happens(self, response):
        self.clients.ready()
        self.clients._post("publish", {"channels": ["room1"], "data": "x"})
        self.clients._post("send-user", {"users": ["42"], "data": "x"})
        try:
            line = response.readline()
        except TimeoutError:
            return False
        fault = self.document.fault({"$ref": "#/components/schemas/TraceLine"}, json.loads(line))
        if fault:
            raise Failed(f"{fault}; the line is {line}")
        return True

    # ---- What is no example

    def too_large(self, path, operation):
        self.judge(operation, self.open.head_of_large_body(path), 413)

    def repeats(self, path, operation, examples):
        good = [e["value"] for e in examples.values() if e["x-status"] == 200]
        first, other = copy.deepcopy(good[0]), copy.deepcopy(good[1])
        first.pop("id", None), other.pop("id", None)
        text = self.clients.stand_in(json.dumps(first))
        key = {"Idempotency-Key": f"of-{operation['operationId']}"}
        answer = self.post(path, operation, text, 200, key)
        same(None, answer.headers.get("Holdfast-Repeated"), "Holdfast-Repeated at first")
        repeated = self.post(path, operation, text, 200, key)
        same("true", repeated.headers.get("Holdfast-Repeated"), "Holdfast-Repeated")
        same(answer.body, repeated.body, "the repeated answer")
        self.post(path, operation, self.clients.stand_in(json.dumps(other)), 422, key)
        self.post(path, operation, text, 400, {"Idempotency-Key": "two words"})

    def wrong_methods(self, path):
        item = self.document.whole["paths"][path]
        allowed = [m.upper() for m in item]
        for method in ("GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"):
            if method in allowed:
                continue
            answer = self.open.ask(method, self.clients.stand_in(self.concrete(path)), b"{}")
            same(405, answer.status, method)
            named = answer.headers["Allow"].split(", ")
            same(allowed, [m for m in named if m != "HEAD"], "Allow")
            self.is_error(answer, "method_not_allowed")

    def tokens(self, path, method, operation):
        target = self.concrete(path)
        scopes = [scope for way in operation["security"] for scope in way.get("bearer", [])]
        nobody = Api(self.locked).ask(method, target, b"" if method == "POST" else None)
        if not scopes:
            return self.judge(operation, nobody, 200)
        self.judge(operation, nobody, 401)
        self.judge(operation, Api(self.locked, "x" * 32).ask(method, target, b""), 401)
        for scope, token in TOKENS.items():
            answer = Api(self.locked, token).ask(method, target + "?%", b"{}" if method == "POST" else None)
            may = scope in (scopes[0], "admin")
            if may and answer.status in (401, 403):
                raise Failed(f"a token for {scope} is refused: {answer.body}")
            if not may:
                self.judge(operation, answer, 403)

    def no_such_path(self):
        paths = ["/", "/v1", "/v1/", "/v2/send", "/healthz/", "/v1/openapi", "/v1/trace/", "/V1/send"]
        for path, item in self.document.whole["paths"].items():
            if "post" in item:
                paths += [path + "/", path + "x", path.removeprefix("/v1")]
        for path in paths:
            for method in ("GET", "POST"):
                answer = self.open.ask(method, path, b"{}")
                same(404, answer.status, f"{method} {path}")
                self.is_error(answer, "not_found")

    def all_seen(self, operation):
        never = set(operation["responses"]) - self.seen.get(operation["operationId"], set()) - UNPROVOKED
        if never:
            raise Failed(f"described, but never answered: {', '.join(sorted(never))}")

    def is_error(self, answer, code):
        body = json.loads(answer.body)
        fault = self.document.fault({"$ref": "#/components/schemas/Error"}, body)
        if fault:
            raise Failed(fault)
        same(code, body["error"]["code"], "code")

    def concrete(self, path):
        for parameter, value in (("id", SAMPLES[0]), ("user", "42"), ("channel", "room1")):
            path = path.replace("{%s}" % parameter, value)
        return path


def is_sound(document):
    fault = document.fault_of_itself()
    if fault:
        raise Failed(fault)


def walk_pages(suite, gateway, document):
    if suite.only and "pages" not in suite.only:
        return
    pages = Pages(gateway, document)
    suite.case("pages: over both workers", pages.workers_differ)
    for name, *arguments in pages.lists():
        suite.case(f"pages: {name}", pages.have_everybody_once, *arguments)
    pages.close()


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    suite = Suite(sys.argv[1] if len(sys.argv) > 1 else "")
    document = Document((ROOT / "worker/api/http/openapi.json").read_text())
    suite.case("the document is sound", is_sound, document)
    gateway = Gateway()
    try:
        walk = Walk(suite, gateway, document)
        walk.run()
        walk.clients.close()
        walk_pages(suite, gateway, document)
    finally:
        status = gateway.stop(keep=suite.failed > 0)
    suite.case("holdfastd has ended well", same, 0, status, "exit status")
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 1 if suite.failed > 0 or suite.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
