"""Headers, bodies and what stands outside of them."""

from __future__ import annotations

import re
from typing import Final

from ogive.dsl.mistakes.place import Found, Mistake, Place, code_of
from ogive.dsl.mistakes.words import HEADERS, TOP

__all__ = ["ROWS"]


def _orphan_else(p: Place) -> Found | None:
    return (p.word(0), {}) if p.first == "elif" and p.early and p.kind != "EQUAL" else None


def _else_if(p: Place) -> Found | None:
    found = re.match(r"\s*else\s+if\b", p.line)
    return ((p.word(0)[0], p.word(1)[1]), {}) if found else None


def _without_else(p: Place) -> Found | None:
    if "ELSE" not in p.expected or p.kind not in ("_NL", "RPAR", "RSQB", "COMMA"):
        return None
    found = list(re.finditer(r"\bif\b", p.before))
    return ((p.start + found[-1].start(), p.start + found[-1].end()), {}) if found else None


def _same_line(p: Place) -> Found | None:
    if p.expected != {"_NL"} or not p.before.rstrip().endswith(":"):
        return None
    return (p.at, max(p.end, p.at + 1)), {"header": p.before.strip(), "body": p.rest}


def _without_body(p: Place) -> Found | None:
    if "_INDENT" not in p.expected or len(p.expected) > 1:
        return None
    end = len(p.source.text[: p.at].rstrip()) if p.kind != "$END" else p.at
    lines = p.source.text[:end].split("\n")
    while lines and not code_of(lines[-1]).strip():
        end -= len(lines.pop()) + 1
    header = code_of(lines[-1]) if lines else ""
    start = end - len(lines[-1]) if lines else 0
    begin = start + len(header) - len(header.lstrip())
    return (begin, start + len(header)), {"header": header.strip()}


def _without_port(p: Place) -> Found | None:
    if p.first != "input" or p.kind not in ("_NL", "COMMA") or not p.expected <= {"ASK", "COLON"}:
        return None
    found = re.search(r"\w+\??\s*$", p.before)
    name = found[0].strip() if found else "x"
    return (p.start + len(p.before.rstrip()) - len(name), p.start + len(p.before.rstrip())), {"name": name}


def _without_colon(p: Place) -> Found | None:
    header = p.first in HEADERS or re.search(r"(->|=)\s*(repeat|scan)\b", p.line)
    if p.kind != "_NL" or "COLON" not in p.expected or not header:
        return None
    return (p.end, p.end + 1), {"header": p.line.strip()}


def _container_without_colon(p: Place) -> Found | None:
    if p.kind != "_INDENT" or not re.match(r"\s*([\w,\s]+->\s*|\w+\s*=\s*)?(residual|gate|append)\b", p.line):
        return None
    return (p.end, p.end + 1), {"header": p.line.strip()}


def _deeper(p: Place) -> Found | None:
    if p.kind != "_INDENT":
        return None
    text, start = p.source.text, p.source.text.find("\n", p.at) + 1

    def blank(begin: int) -> bool:
        return not code_of(text[begin : text.find("\n", begin) % (len(text) + 1)]).strip()

    while start and blank(start) and "\n" in text[start:]:
        start = text.find("\n", start) + 1
    stop = text.find("\n", start)
    line = text[start : stop if stop >= 0 else len(text)]
    begin = start + len(line) - len(line.lstrip())
    return (begin, max(start + len(code_of(line)), begin + 1)), {"above": p.line.strip()}


def _nested(p: Place) -> Found | None:
    if p.first not in TOP or not p.early or p.kind not in ("NAME", p.first.upper()) or not p.line[:1].isspace():
        return None
    return p.word(0), {"word": p.first}


def _derived_body(p: Place) -> Found | None:
    return (p.token, {}) if p.expected <= {"EXPECT", "_DEDENT"} and "EXPECT" in p.expected else None


def _pattern_body(p: Place) -> Found | None:
    start = list(re.finditer(r"^(network|block|pattern)\b", p.source.text[: p.at], re.MULTILINE))
    inside = bool(start) and start[-1][0] == "pattern" and p.line[:1].isspace()
    if not inside or not p.expected <= {"EQUAL", "ALLOW", "NAME", "_DEDENT"}:
        return None
    begin = p.start + len(p.line) - len(p.line.lstrip())
    return (begin, p.end), {"line": p.line.strip()}


def _import_all(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "STAR" and p.first == "from" else None


def _outside(p: Place) -> Found | None:
    if not {"BLOCK", "NETWORK"} <= p.expected or "NAME" in p.expected:
        return None
    return (p.at, max(p.end, p.at + 1)), {"text": p.text or p.line.strip()}


ROWS: Final[tuple[Mistake, ...]] = (
    Mistake("A021", "`else if` is one word", "write `elif test:`", _else_if),
    Mistake(
        "A021", "`elif` without an `if` above it",
        "`elif` stands below the body of an `if`, as deep as the `if`", _orphan_else,
    ),
    Mistake("A021", "a choice needs its `else`", "write `this if test else that`", _without_else),
    Mistake(
        "A005", "a body starts on its own line",
        "put `{body}` on the next line, 4 spaces deeper than `{header}`", _same_line,
    ),
    Mistake(
        "A006", "`{header}` has no body",
        "indent the lines that belong to it by 4 spaces; one line at least", _without_body,
    ),
    Mistake("A028", "the port `{name}` has no shape", "write `{name}: B C H W`, or another shape", _without_port),
    Mistake("A004", "`:` is missing", "end the line with `:`, because a body follows", _without_colon),
    Mistake("A004", "`:` is missing", "end the line with `:`, because a body follows", _container_without_colon),
    Mistake(
        "A007", "this line is indented deeper, but nothing above it opens a body",
        "indent it like `{above}`; if it is the body of that line, end that line with `:`", _deeper,
    ),
    Mistake(
        "A026", "`{word}` cannot stand inside a definition",
        "put it at the top level of the file, without indentation", _nested,
    ),
    Mistake(
        "A026", "a derived network holds nothing but `expect` tables",
        "change the original by its settings, or write a network", _derived_body,
    ),
    Mistake(
        "A026", "a pattern holds `name = value` and `allow` lines",
        "give the condition as `allow test over q and k`", _pattern_body,
    ),
    Mistake("A030", "an import names what it takes", "write `from module import Name, Other`", _import_all),
    Mistake(
        "A022", "this line stands outside of every definition",
        "put it into a `network Name:` or a `block Name:`, indented by 4 spaces", _outside,
    ),
)
