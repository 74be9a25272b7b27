#!/usr/bin/env python3
"""tests/lint/hardened.py PROGRAM - is the program built as one that strangers reach should be?

Asks readelf(1): position independent, everything bound and then read-only, no executable stack, stack protector, checked
variants of the C library's calls (_FORTIFY_SOURCE), and, on x86-64, marked for a shadow stack. (Indirect-branch tracking is
compiled in, but Debian 12's own start files lack it, so the program as a whole cannot be marked.)
Prints what is missing; exit status 1 if anything is.
"""
import platform
import re
import subprocess
import sys


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, sys.argv[1]], check=True, capture_output=True, text=True).stdout


def main():
    header, segments, dynamic, notes = readelf("-h"), readelf("-l"), readelf("-d"), readelf("-n")
    symbols = readelf("--dyn-syms")
    stack = re.search(r"GNU_STACK.*?\s([R W E]{3})\s", segments)
    wanted = {
        "position independent (PIE)": "DYN (Position-Independent Executable" in header,
        "relocations read-only (GNU_RELRO)": "GNU_RELRO" in segments,
        "bound at start (BIND_NOW)": "BIND_NOW" in dynamic or re.search(r"FLAGS_1.*NOW", dynamic),
        "a stack that is not executable": stack and "E" not in stack.group(1),
        "stack protector": "__stack_chk_fail" in symbols,
        "_FORTIFY_SOURCE": re.search(r"__\w+_chk@", symbols.replace("__stack_chk_fail", "")),
    }
    if platform.machine() == "x86_64":
        wanted["a shadow stack (SHSTK)"] = "SHSTK" in notes
    missing = [what for what, there in wanted.items() if not there]
    for what in missing:
        print(f"{sys.argv[1]}: missing: {what}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
