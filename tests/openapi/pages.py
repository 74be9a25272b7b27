"""pages.py - lists that need several pages, over two workers: everybody is in them, page by page as all at once."""

import json
import urllib.parse

from gateway import Api, Failed

SESSIONS = 60


class Pages:
    """Sessions of users page-0 to page-9, all in the channel "paged" and each in one of its own."""

    def __init__(self, gateway, document):
        self.document = document
        self.api = Api(gateway.api())
        self.sockets = [gateway.websocket() for _ in range(SESSIONS)]
        self.ids = sorted(socket.session for socket in self.sockets)
        for n, session in enumerate(self.ids):
            self._post("bind", {"session": session, "user": f"page-{n % 10}"})
            self._post("join", {"sessions": [session], "channels": ["paged", f"own {n}"]})

    def close(self):
        for socket in self.sockets:
            socket.close()

    def lists(self):
        """(name, path, parameters, key, who is expected)."""
        users = [f"page-{n}" for n in range(10)]
        of_one = [session for n, session in enumerate(self.ids) if n % 10 == 3]
        yield "sessions of users", "/v1/sessions", {"prefix": "page-"}, "session", self.ids
        yield "members of a channel", "/v1/channels/paged", {}, "session", self.ids
        yield "sessions of a user", "/v1/users/page-3", {}, "session", of_one
        yield "users", "/v1/users", {"prefix": "page-"}, "name", users
        own = sorted(f"own {n}" for n in range(SESSIONS))
        yield "channels", "/v1/channels", {"prefix": "own "}, "name", own

    def have_everybody_once(self, path, parameters, key, expected):
        for limit in (1, 7, len(expected), 1000):
            found = self._walk(path, {**parameters, "limit": limit}, key)
            if sorted(found) != expected:
                raise Failed(f"{path} by {limit}: {len(found)} of {len(expected)}: {found}")
            if key == "name" and found != expected:
                raise Failed(f"{path} by {limit}: not in the order of names")

    def workers_differ(self):
        """Else the pages of one worker would do."""
        body = self._get("/v1/sessions", {"prefix": "page-", "limit": 1000})
        workers = {session["worker"] for session in body["sessions"]}
        if len(workers) < 2:
            raise Failed(f"all sessions are on worker {workers}")

    def _walk(self, path, parameters, key):
        found, pages, parameters = [], 0, dict(parameters)
        while True:
            body = self._get(path, parameters)
            items = next(value for name, value in body.items() if isinstance(value, list))
            if len(items) > parameters["limit"]:
                raise Failed(f"{path}: {len(items)} on a page")
            if body.get("members", SESSIONS) not in (SESSIONS, SESSIONS // 10):
                raise Failed(f"{path}: {body['members']} members")
            found += [item[key] for item in items]
            pages += 1
            if "cursor" not in body:
                return found
            if pages > 4 * SESSIONS:
                raise Failed(f"{path}: no end after {pages} pages")
            parameters["cursor"] = body["cursor"]

    def _get(self, path, parameters):
        operation = next(o for p, m, o in self.document.operations()
                         if m == "GET" and (p == path or "{" in p and p.rsplit("/", 1)[0] == path.rsplit("/", 1)[0]))
        answer = self.api.ask("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
        fault = self.document.fault_of_answer(operation, answer)
        if fault or answer.status != 200:
            raise Failed(f"{path}: {answer.status}, {fault}")
        return json.loads(answer.body)

    def _post(self, call, body):
        answer = self.api.ask("POST", f"/v1/{call}", json.dumps(body))
        if json.loads(answer.body).get("delivered") != 1:
            raise Failed(f"{call}: {answer.body}")
