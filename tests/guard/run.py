#!/usr/bin/env python3
"""tests/guard/run.py GUARD [--write] - no workload of holdfast-guard takes 5 % more instructions than tests/guard/counts.json
says, nor 5 % less: a gain is written down too (--write), by a commit that says why. Ends with `N passed, N failed`.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

COUNTS = Path(__file__).with_name("counts.json")
ROOM = 0.05


def count(guard, workload):
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=guarded_turn", guard, workload],
        capture_output=True, text=True, timeout=300)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not collected:
        sys.exit(f"{workload}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return int(collected[1])


def main():
    guard, write = sys.argv[1], "--write" in sys.argv[2:]
    stored = json.loads(COUNTS.read_text())
    counted = {name: count(guard, name) for name in stored}
    if write:
        COUNTS.write_text(json.dumps(counted, indent=2) + "\n")
    failed = 0
    for name, now in counted.items():
        change = now / stored[name] - 1
        good = write or abs(change) <= ROOM
        failed += not good
        print(f"{name}: {now:,} instructions, {change:+.1%}{'' if good else ': NOT WITHIN 5 %'}")
    print(f"{len(counted) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
