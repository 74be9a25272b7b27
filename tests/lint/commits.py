#!/usr/bin/env python3
"""Commits say what they change and why: `room: what changes` in at most 72 characters, and a body.

tests/lint/commits.py [FROM]: looks at the commits behind FROM (default: the last one before this rule) up to HEAD, merges apart from
their form. Prints each that breaks the rule and exits 1 if one does; warns of a subject that seems to name two changes. Where the
history is cut short (a shallow clone), what there is of it is looked at.
"""
import re
import subprocess
import sys

BEFORE_THE_RULE = "64a7ea7"
MAX_SUBJECT = 72
ROOMS = r"[a-z0-9_./-]+(?:, [a-z0-9_./-]+)*"
TRAILER = re.compile(r"^[A-Za-z-]+: \S+")


def problems_of(subject, body):
    """Of one message; empty if there are none."""
    if len(subject) > MAX_SUBJECT:
        yield f"the subject has {len(subject)} characters, {MAX_SUBJECT} are allowed"
    if not re.match(rf"{ROOMS}: \S", subject):
        yield "the subject is not `room: what changes`"
    if subject.endswith("."):
        yield "the subject ends with a full stop"
    if not any(line and not TRAILER.match(line) for line in body.splitlines()):
        yield "there is no body: say need, cause, how it was tested"


def doubts_of(subject):
    if "; " in subject or " and " in subject:
        yield "the subject seems to name two changes"


def git(*words):
    done = subprocess.run(("git",) + words, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def commits(since):
    spans = [f"{since}..HEAD"] if git("cat-file", "-e", f"{since}^{{commit}}") is not None else ["HEAD"]
    text = git("log", "--no-merges", "--format=%h%x1f%s%x1f%b%x1e", *spans)
    for entry in (text or "").split("\x1e"):
        if entry.strip():
            yield entry.strip("\n").split("\x1f")


def self_test():
    good = ("shm: an address is counted once", "Two counters moved for one connection.\n")
    bad = [("Fixed things", good[1]), (good[0], ""), (good[0], "Signed-off-by: a\n"), ("shm: " + "x" * 70, good[1]), (good[0] + ".", good[1])]
    assert not list(problems_of(*good)), "a good message is refused"
    assert all(list(problems_of(*message)) for message in bad), "a bad message passes"
    assert list(doubts_of("shm: this and that")) and not list(doubts_of(good[0]))


def main():
    self_test()
    broken = seen = 0
    for sha, subject, body in commits(sys.argv[1] if len(sys.argv) > 1 else BEFORE_THE_RULE):
        seen += 1
        for problem in problems_of(subject, body):
            broken += 1
            print(f"{sha} {subject}: {problem}")
        for doubt in doubts_of(subject):
            print(f"{sha} {subject}: warning: {doubt}")
    print(f"commits: {seen} looked at, {broken} problems")
    return 1 if broken else 0


sys.exit(main())
