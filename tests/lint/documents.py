#!/usr/bin/env python3
"""What the code has and somebody may meet is in the page where it belongs.

Looks for words in the source (settings, commands, codes, reasons, events, headers, parameters) and for each of them in a manual
page or openapi.json; and for what the paragraphs of counters.def and comments refer to, in the source. Prints what is missing and exits 1 if
anything is, or if a kind of word was not found at all.
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "man"))
import counters_page  # noqa: E402


def text(*names):
    return "\n".join((ROOT / name).read_text() for name in names)


def source(pattern):
    return "\n".join(path.read_text() for path in sorted(ROOT.glob(pattern)))


def found(pattern, where, flags=0):
    return set(re.findall(pattern, where, flags))


def words_of(page):
    """Every word of a page as somebody would type it, macros and their arguments apart."""
    return set(re.split(r"[\s,;()\"]+", text(page).replace("\\&", "").replace("\\(dq", " ")))


def in_page(page, strip=str):
    words = words_of(page)
    return lambda word: word in words or strip(word) in words


def in_text(page):
    whole = re.sub(r"\s+", " ", text(page))
    return lambda phrase: phrase in whole


def settings():
    reader = r"(?:number|size|duration|boolean|text|texts|table|tables|has|find|missing)\((?:[a-z_]+, )?\"([a-z_0-9]+)\""
    choices = r"choice<[\w:]+>\(\s*\"([a-z_0-9]+)\""
    code = source("conf/read_*.cc")
    return found(reader, code) | found(choices, code)


def trace_events():
    code = source("worker/*.cc") + source("worker/**/*.cc")
    return found(r"\.event = (?:\w+ \? )?\"([a-z-]+)\"", code) | {"publish"} | found(r"key\(\"event\"\)\.string\(\"(\w+)\"", code)


def enum_of_trace():
    return set(json.loads(text("worker/api/http/openapi.json"))["components"]["schemas"]["TraceLine"]["properties"]["event"]["enum"])


def end_reason_lines():
    """Text and close code of each."""
    return found(r"^HF_END_REASON\(\w+, \d+, \"([^\"]+)\", [\w&:]+, (\d+)\)$", text("worker/sessions/end_reason.def"), re.M)


def close_codes():
    code = source("worker/*.cc") + source("worker/**/*.cc")
    usual = {number for _, number in end_reason_lines()} - {"0", "1000"}  # a goodbye without a code is the client's
    return found(r"close\(\s*([14]\d{3}),", code) | found(r"kDefaultKickCode = (\d{4})", source("worker/**/*.h")) | usual


def refusals():
    code = source("worker/clients/*.cc") + text("worker/backends/app_backend.cc", "wire/ws/handshake.cc", "wire/http/request.cc",
                                                "wire/http/header_scan.h")
    return found(r"(?:refuse\(|answer_and_linger\(|turn_down\(Refusal::\w+,)\s*([45]\d\d),", code) | found(r"\{([45]\d\d), ?\"", code)


def end_reasons():
    return {reason for reason, _ in end_reason_lines()}


def reply_headers():
    return found(r"\"(Holdfast-[A-Z][A-Za-z]+)\"", text("worker/backends/reply_actions.cc", "worker/backends/app_backend.cc"))


def parameters():
    return found(r"\"(HOLDFAST_[A-Z_]+|SESSIONID|EVENT)\"", source("worker/backends/fcgi/params.cc"))


def api_errors():
    return found(r"\{[45]\d\d, \"([a-z_]+)\"", source("worker/api/*.cc")) | {"too_large", "bad_http"}


def control_words():
    return found(r"word == \"([a-z-]+)\"", text("master/control_line.cc"))


def resp_commands():
    names = found(r"\{\"([a-z.|]+)\", -?\d", text("worker/api/resp/commands.cc"))
    return {part for name in names for part in name.upper().split("|")}


def ctl_commands():
    return found(r"\bcommand\(\"([a-z-]+)\"", text("ctl/command_line.cc"))


def counter_entries():
    return counters_page.entries(text("shm/counters.def"))


def counters():
    return {entry.name for entry in counter_entries()}


def in_counters_page():
    page = counters_page.page(text("shm/counters.def"))
    return lambda name: f".It Li {name} Pq" in page


def counter_units():
    return {entry.unit for entry in counter_entries()}


def in_stat_unit():
    units = re.search(r"enum class StatUnit : uint8_t \{([^}]*)\}", text("shm/stats.h")).group(1)
    return lambda unit: unit in found(r"\w+", units)


SECTIONS = {"server", "log", "limits"}  # of the configuration; tables of which there may be several are named otherwise


def references_of_counters():
    """Words "group.name" and "section.setting" in what is said of counters."""
    said = "\n".join(f"{entry.sentence}\n{entry.paragraph}" for entry in counter_entries())
    heads = SECTIONS | {entry.group for entry in counter_entries()}
    return {word for word in found(r"[a-z_]+\.[a-z_0-9]+", said) if word.split(".")[0] in heads}


def in_code():
    known_counters, known_settings = counters(), settings()

    def known(word):
        section, key = word.split(".")
        return word in known_counters or (section in SECTIONS and key in known_settings)

    return known


ROOMS = ("base", "conf", "shm", "wire", "worker", "master", "ctl", "bench", "tests")
NOT_OURS = {"zlib.h"}


def files():
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.is_file() and "node_modules" not in path.parts]


def files_named():
    """Sources that comments and READMEs refer to, as "pool.h" or "fcgi/pool.h"."""
    said = []
    for path in files():
        if path.suffix in (".h", ".cc", ".def"):
            said += [line.split("//", 1)[1] for line in path.read_text().splitlines() if "//" in line]
        elif path.suffix == ".md":
            said.append(path.read_text())
    return found(r"(?<![\w./-])([a-z][a-z_0-9]*(?:/[a-z_0-9]+)*\.(?:h|cc))\b", "\n".join(said)) - NOT_OURS


def in_tree():
    names = {"/" + path.relative_to(ROOT).as_posix() for path in files()}
    ends = {name[i:] for name in names for i, c in enumerate(name) if c == "/"}
    return lambda name: "/" + name in ends


KINDS = [
    ("setting", settings, "holdfast.toml(5)", in_page("man/holdfast.toml.5", lambda word: f"[{word}]")),
    ("event of a trace", trace_events, "holdfast-api(7)", in_page("man/holdfast-api.7")),
    ("event of a trace", trace_events, "openapi.json", lambda word: word in enum_of_trace()),
    ("close code", close_codes, "holdfast(7)", in_page("man/holdfast.7")),
    ("status of a hand-shake", refusals, "holdfast(7)", in_page("man/holdfast.7")),
    ("HOLDFAST_REASON", end_reasons, "holdfast(7)", in_text("man/holdfast.7")),
    ("reply header", reply_headers, "holdfast(7)", in_page("man/holdfast.7", lambda word: word + ":")),
    ("parameter", parameters, "holdfast(7)", in_page("man/holdfast.7")),
    ("error code", api_errors, "holdfast-api(7)", in_page("man/holdfast-api.7")),
    ("error code", api_errors, "openapi.json", in_text("worker/api/http/openapi.json")),
    ("control word", control_words, "holdfastd(8)", in_page("man/holdfastd.8")),
    ("RESP command", resp_commands, "holdfast-api(7)", in_page("man/holdfast-api.7")),
    ("command", ctl_commands, "holdfastctl(1)", in_page("man/holdfastctl.1")),
    ("counter", counters, "holdfast-counters(7)", in_counters_page()),
    ("unit of a counter", counter_units, "shm/stats.h", in_stat_unit()),
    ("word of counters.def", references_of_counters, "the source", in_code()),
    ("file", files_named, "the tree", in_tree()),
]


def main():
    wrong = 0
    for kind, words, page, known in KINDS:
        all_of_it = words()
        if not all_of_it:
            print(f"no {kind} found in the source: this test looks at the wrong place")
            wrong += 1
        for word in sorted(all_of_it):
            if not known(word):
                print(f"{page}: {kind} {word!r} is missing")
                wrong += 1
    print(f"{sum(len(words()) for _, words, _, _ in KINDS)} words looked for, {wrong} missing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
