#!/usr/bin/env python3
"""Every header can be read alone, so none leans on what a precompiled header or the file before it has included.

tests/lint/headers.py [HEADER...]: compiles each (default: all of the rooms) by itself, as many at a time as there are
processors, without writing anything. Prints the compiler's words for those that fail; exits 1 if any does, or if there were none.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("base", "conf", "shm", "wire", "worker", "master", "ctl", "bench", "tests")
COMPILER = ["g++", "-std=c++20", "-fsyntax-only", "-D_GNU_SOURCE", "-DHOLDFAST_FAULTS", '-DHOLDFAST_VERSION="lint"', "-I", str(ROOT)]


def complaint_about(header):
    unit = f'#include "{header.relative_to(ROOT).as_posix()}"\n'
    done = subprocess.run(COMPILER + ["-x", "c++", "-"], input=unit, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def main():
    named = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    headers = named or sorted(p for room in ROOMS if (ROOT / room).is_dir() for p in (ROOT / room).rglob("*.h"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        found = [text for text in workers.map(complaint_about, headers) if text]
    print("\n".join(found) if found else f"headers: {len(headers)} can be read alone")
    return 1 if found or not headers else 0


sys.exit(main())
