"""Writes holdfast-counters(7) from shm/counters.def: a counter without its line in the page cannot be.

usage: counters_page.py COUNTERS.DEF OUTPUT
"""
import re
import sys

HEAD = r""".\" Made by man/counters_page.py from shm/counters.def.
.Dd November 30, 2026
.Dt HOLDFAST-COUNTERS 7
.Os
.Sh NAME
.Nm holdfast-counters
.Nd what Holdfast counts
.Sh DESCRIPTION
.Ql holdfastctl stats
and
.Pa /v1/stats
show these, summed over the workers;
.Pa /metrics
has them for each worker, with underscores and a prefix
.Pq Xr holdfast-api 7 ,
and
.Li HF.STATS
tells them to Redis clients.
They live in shared memory: a worker that crashes or is replaced takes none with it, a new start begins at 0.
A gauge can go down again, a counter cannot; a histogram is shown as a count and percentiles.
"""

TAIL = r""".Sh SEE ALSO
.Xr holdfastctl 1 ,
.Xr holdfast 7 ,
.Xr holdfast-api 7
"""

KINDS = {"COUNTER": "counter", "GAUGE": "gauge", "HISTOGRAM": "histogram"}
LINE = re.compile(r'^HF_(COUNTER|GAUGE|HISTOGRAM)\((\w+), "([^"]+)", "([^"]*)"\)$', re.M)


def rows(text):
    """(kind, name, sentence) of every line, by group in the order of first appearance."""
    found = [(KINDS[kind], name, sentence) for kind, _, name, sentence in LINE.findall(text)]
    groups = list(dict.fromkeys(name.split(".")[0] for _, name, _ in found))
    return [(group, [row for row in found if row[1].split(".")[0] == group]) for group in groups]


def escaped(text):
    text = text.replace("\\", r"\e")
    return r"\&" + text if text[:1] in ".'" else text


def page(text):
    out = HEAD
    for group, members in rows(text):
        out += f".Ss {group}\n.Bl -tag -width Ds\n"
        for kind, name, sentence in members:
            note = "" if kind == "counter" else f" Pq {kind}"
            out += f".It Li {name}{note}\n{escaped(sentence)}.\n"
        out += ".El\n"
    return out + TAIL


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        made = page(source.read())
    with open(sys.argv[2], "w", encoding="utf-8") as target:
        target.write(made)
