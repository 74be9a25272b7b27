#!/usr/bin/env python3
"""Includes go one way, from room to room and inside worker/; some libraries have one door.

    base <- conf <- shm <- wire <- worker <- master         ctl sees conf, shm, wire, base
    worker/:  net <- channels <- sessions <- routing <- observe <- backends <- clients, api <- handover <- life <- worker.cc

Prints each violation as file:line and exits 1 if there is any, or if there was nothing to look at.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAY_SEE = {
    "base": {"base"},
    "conf": {"base", "conf"},
    "shm": {"base", "conf", "shm"},
    "wire": {"base", "conf", "wire"},
    "worker": {"base", "conf", "shm", "wire", "worker"},
    "master": {"base", "conf", "shm", "master"},
    "ctl": {"base", "conf", "shm", "wire", "ctl"},
}
# The floors of worker/, lowest first; those of one floor do not see each other. worker.h and worker.cc see all.
FLOORS = [["net"], ["channels"], ["sessions"], ["routing"], ["observe"], ["backends"], ["clients", "api"], ["handover"], ["life"]]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Library headers and the files that may include them.
DOORS = [
    (r"event2?/|event\.h$", r"base/event\.(h|cc)"),
    (r"toml", r"conf/load[a-z_]*\.cc"),
    (r"boost/interprocess/", r"shm/segment\.cc"),
    (r"boost/beast", r"wire/http/request\.cc"),
    (r"spdlog/", r"base/log\.cc"),
    (r"zlib\.h", r"wire/(ws/deflate|fcgi/content_encoding)\.cc"),
    (r"jwt\.h", r"worker/clients/token\.cc"),
    (r"CLI/", r"ctl/command_line\.h|master/main\.cc"),
    (r"seccomp\.h", r"master/sandbox\.cc"),
]
# master/ forks and calls worker_main(): that header is all it knows, and only main.cc and spawn see the function.
MASTER_SEES_OF_WORKER = "worker/worker.h"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def floor_of(name):
    """Of a file of worker/; None: it sees all."""
    parts = name.split("/")
    return FLOOR[parts[1]] if len(parts) > 2 and parts[1] != "pch" else None


def goes_up(name, header):
    mine, its = floor_of(name), floor_of(header)
    if mine is None:
        return False
    if its is None:
        return True
    return its > mine or (its == mine and name.split("/")[1] != header.split("/")[1])


def problems_of(path):
    name = path.relative_to(ROOT).as_posix()
    room = name.split("/")[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        kind, header = match.groups()
        target = header.split("/")[0]
        if kind == '"' and target not in MAY_SEE and (path.parent / header).exists():
            yield f"{name}:{number}: {header} is named by its place beside this file, not by its room"
        if kind == '"' and target in MAY_SEE and target not in MAY_SEE[room]:
            if not (room == "master" and header == MASTER_SEES_OF_WORKER):
                yield f"{name}:{number}: {room}/ may not include {header}"
        if kind == '"' and room == target == "worker" and goes_up(name, header):
            yield f"{name}:{number}: {header} is not below {'/'.join(name.split('/')[:2])}/"
        if room == "wire" and header in ("base/event.h", "base/fd.h"):
            yield f"{name}:{number}: a codec knows no descriptor and no event"
        for library, door in DOORS:
            if kind == "<" and re.match(library, header) and not re.fullmatch(door, name):
                yield f"{name}:{number}: {header} is included only by {door}"


def main():
    files = [p for room in MAY_SEE for p in (ROOT / room).rglob("*") if p.suffix in (".h", ".cc")]
    found = [problem for path in sorted(files) for problem in problems_of(path)]
    print("\n".join(found) if found else f"rooms: {len(files)} files, every include goes down")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
