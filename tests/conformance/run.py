#!/usr/bin/python3
"""tests/conformance/run.py [--json OUT] [--only PREFIX] [--server HOST:PORT] [--self-test] - walks the rules of RFC 6455 (cases.py).

Against a holdfastd that it starts ($HF_HOLDFASTD), or any echo server at /ws with messages of at most 65,536 bytes and pages
of the same host only. Prints the cases that failed; OUT gets one object a case: id, section, what, verdict, detail. The last line is
`N passed, N failed`. --self-test: the cases against a server that breaks one rule after the other, each of which some case must notice.
"""
import argparse
import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cases import MOST, TABLES, Ended, Silence
from client import Connection

AT_ONCE = 8


class Holdfastd:
    def __enter__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = s.getsockname()
        self.dir = tempfile.TemporaryDirectory(prefix="holdfast-test-")
        config = Path(self.dir.name, "holdfast.toml")
        config.write_text(f"""[server]
instance = "conformance-{os.getpid()}"
runtime_dir = "{self.dir.name}/run"
workers = 2
[log]
level = "warn"
target = "{self.dir.name}/log"
[limits]
max_message_size = {MOST}
[[listen]]
address = "127.0.0.1:{self.address[1]}"
path = "/ws"
backend = "echo"
close_timeout = "2s"
""")
        self.process = subprocess.Popen([os.environ["HF_HOLDFASTD"], "-c", config], stderr=subprocess.DEVNULL)
        for _ in range(400):
            try:
                socket.create_connection(self.address, 1).close()
                return self.address
            except OSError:
                time.sleep(0.025)
        sys.exit("holdfastd did not start: " + Path(self.dir.name, "log").read_text())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.dir.cleanup()


def verdict_of(case, address):
    connections = []

    def dial():
        connections.append(Connection(address))
        return connections[-1]
    identity, section, what, run = case
    try:
        detail = run(dial)
    except Silence:
        detail = "nothing came"
    except Ended as ended:
        detail = f"the connection ended too early {ended}".strip()
    except (AssertionError, OSError) as error:
        detail = str(error)
    for connection in connections:
        connection.close()
    return dict(id=identity, section=section, what=what, verdict="failed" if detail else "passed", detail=detail or "")


def walk(address, only=""):
    cases = [case for table in TABLES.values() for case in table() if case[0].startswith(only)]
    assert len({case[0] for case in cases}) == len(cases), "two cases of one id"
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda case: verdict_of(case, address), cases))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--only", default="", metavar="PREFIX", help="of a case's id")
    parser.add_argument("--server", metavar="HOST:PORT")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        from broken import self_test
        return self_test(walk)
    if options.server:
        host, port = options.server.rsplit(":", 1)
        results = walk((host, int(port)), options.only)
    else:
        with Holdfastd() as address:
            results = walk(address, options.only)
    for result in results:
        if result["verdict"] == "failed":
            print(f"FAILED {result['id']} (section {result['section']}): {result['what']}: {result['detail']}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    failed = sum(result["verdict"] == "failed" for result in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
