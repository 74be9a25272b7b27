"""Writes holdfast-counters(7) from shm/counters.def: a counter without its entry in the page cannot be.

usage: counters_page.py COUNTERS.DEF OUTPUT
"""
import re
import sys
from typing import NamedTuple

HEAD = r""".\" Made by man/counters_page.py from shm/counters.def.
.Dd November 30, 2026
.Dt HOLDFAST-COUNTERS 7
.Os
.Sh NAME
.Nm holdfast-counters
.Nd what Holdfast counts, and what it means
.Sh DESCRIPTION
A counter only grows; a gauge can go down again; a histogram is shown as a count and percentiles.
They live in shared memory, so a worker that crashes or is replaced takes none of them with it.
A new start of the server begins at 0.
.Pp
.Ql holdfastctl stats
and
.Pa /v1/stats
show them summed over the workers, and
.Li HF.STATS
tells them to Redis clients.
.Pa /metrics
has them for each worker, with underscores and a prefix, and histograms in seconds; see
.Xr holdfast-api 7 .
.Ql holdfastctl counters Ar name
prints what this page says of one of them or of a group.
.Pp
Their kind is given after the name, and their unit where it is not a plain count.
Settings are those of
.Xr holdfast.toml 5 .
"""

TAIL = r""".Sh SEE ALSO
.Xr holdfastctl 1 ,
.Xr holdfast.toml 5 ,
.Xr holdfast 7 ,
.Xr holdfast-api 7
"""


class Entry(NamedTuple):
    kind: str
    name: str
    unit: str
    sentence: str
    paragraph: str

    @property
    def group(self):
        return self.name.split(".")[0]


TEXT = r'((?:"(?:[^"\\\n]|\\.)*"\s*)+)'  # literals one after the other are one text, as for the compiler
ENTRY = re.compile(rf'^HF_(COUNTER|GAUGE|HISTOGRAM)\((\w+),\s*"([^"]+)",\s*(\w+),\s*{TEXT},\s*{TEXT}\)$', re.M)
STARTED = re.compile(r"^HF_\w+\((\w+)", re.M)


def joined(literals):
    return "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', literals)).replace('\\"', '"')


def entries(text):
    """All of them, in their order. ValueError: there is one that cannot be read."""
    rows = ENTRY.findall(text)
    unread = set(STARTED.findall(text)) - {row[1] for row in rows}
    if unread:
        raise ValueError(f"counters.def: not kind, name, unit, sentence and paragraph: {', '.join(sorted(unread))}")
    return [Entry(kind.lower(), name, unit, joined(sentence), joined(paragraph))
            for kind, _, name, unit, sentence, paragraph in rows]


def groups(all_entries):
    """(group, its entries), in the order of first appearance."""
    return [(group, [entry for entry in all_entries if entry.group == group])
            for group in dict.fromkeys(entry.group for entry in all_entries)]


def escaped(text):
    text = text.replace("\\", r"\e").replace("--", r"\-\-")
    text = re.sub("`([^`]*)`", r"\\(oq\1\\(cq", text)
    return r"\&" + text if text[:1] in ".'" else text


def page(text):
    out = HEAD
    for group, members in groups(entries(text)):
        out += f".Ss {group}\n.Bl -tag -width Ds\n"
        for entry in members:
            unit = "" if entry.unit == "count" else f", {entry.unit}"
            out += f".It Li {entry.name} Pq {entry.kind}{unit}\n{escaped(entry.sentence)}.\n"
            out += ".Pp\n" + "".join(f"{escaped(part)}\n" for part in re.split(r"(?<=\.) ", entry.paragraph))
        out += ".El\n"
    return out + TAIL


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as source:
        made = page(source.read())
    with open(sys.argv[2], "w", encoding="utf-8") as target:
        target.write(made)
