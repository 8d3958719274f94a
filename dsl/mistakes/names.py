"""Names, assignments and numbers that are not written as in the language."""

from __future__ import annotations

import re
from typing import Final

from ogive.dsl.mistakes.place import Found, Mistake, Place
from ogive.dsl.mistakes.words import STATEMENTS, TOP

__all__ = ["ROWS"]


def _assignment(p: Place) -> Found | None:
    found = re.search(r"(:|\+|-|\*\*|\*|//|/|%|\||&)$", p.before)
    if p.kind != "EQUAL" or not found or "(" in p.before:
        return None
    return (p.start + found.start(), p.at + 1), {"sign": f"{found[0]}="}


def _bullet_name(p: Place) -> Found | None:
    found = re.match(r"\s*- +\w+\s*$", p.before)
    return ((p.at, p.at + 1), {}) if p.kind == "EQUAL" and found else None


def _name_last(p: Place) -> Found | None:
    found = re.fullmatch(r"(\s*)([\w\s,.\[\]-]*\S)\s*->\s*(?:self\.)?(\w+)\s*", p.before)
    if p.kind != "EQUAL" or not found:
        return None
    op = p.rest.lstrip("= ") or "op"
    return (p.start + found.start(3), p.at + 1), {"good": f"{found[3]} = {found[2]} -> {op}"}


def _keyword(p: Place) -> Found | None:
    word = p.before.strip()
    known = (*STATEMENTS, *TOP, "not", "allow")
    if p.kind not in ("EQUAL", "ARROW", "COMMA", "DOT") or word not in known:
        return None
    return p.word(0), {"word": word}


def _unpacked(p: Place) -> Found | None:
    if p.kind != "COMMA" or not re.match(r"\s*\(\w+$", p.before) or "=" not in p.rest:
        return None
    names = re.match(r"\(([\w\s,]*)\)", p.line.strip())
    begin = p.start + len(p.line) - len(p.line.lstrip())
    return (begin, begin + 1), {"names": names[1].strip() if names else "a, b"}


def _leading_point(p: Place) -> Found | None:
    found = re.match(r"\.(\d+)", p.rest)
    if p.kind != "DOT" or not found or "NAME" not in p.expected:
        return None
    return (p.at, p.at + len(found[0])), {"bad": found[0], "good": f"0{found[0]}"}


def _trailing_point(p: Place) -> Found | None:
    found = re.search(r"(?<![\w.])(\d+)\.\s*$", p.before)
    if not found or p.expected != {"NAME", "STRING"}:
        return None
    return (p.start + found.start(), p.start + found.start() + len(found[1]) + 1), {
        "bad": f"{found[1]}.", "good": f"{found[1]}.0",
    }


def _stuck(p: Place) -> re.Match[str] | None:
    """The number that a name is stuck to, from its first digit to the last letter."""
    if p.kind != "NAME" or not re.search(r"(?<![A-Za-z_])[\d.]*\d$", p.before):
        return None
    return next((m for m in re.finditer(r"\d[\w.]*", p.line) if m.start() < p.at - p.start < m.end()), None)


def _size_letter(p: Place) -> Found | None:
    found = _stuck(p)
    if found is None or not re.fullmatch(r"\d+(X\d+)+", found[0]):
        return None
    return (p.start + found.start(), p.start + found.end()), {"bad": found[0], "good": found[0].lower()}


def _quantity(p: Place) -> Found | None:
    found = _stuck(p)
    if found is None or not re.fullmatch(r"[\d.]+[kMGT]", found[0]):
        return None
    scale = {"k": 3, "M": 6, "G": 9, "T": 12}[found[0][-1]]
    short = found[0].count(".") < 2 and len(found[0]) < 9
    number = f"{round(float(found[0][:-1]) * 10**scale):_}" if short else "the number"
    return (p.start + found.start(), p.start + found.end()), {"bad": found[0], "good": number}


def _digit_first(p: Place) -> Found | None:
    found = _stuck(p)
    if found is None or p.line[: found.start()].strip() not in ("", "-", *TOP, "shared", "next"):
        return None
    parts = re.match(r"(\d+)(\w*)", found[0])
    good = f"{parts[2].lstrip('_')}{parts[1]}" if parts else "name"
    return (p.start + found.start(), p.start + found.end()), {"bad": found[0], "good": good}


def _unit(p: Place) -> Found | None:
    found = _stuck(p)
    if found is None:
        return None
    bad = found[0]
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,12}", bad):
        good = str(int(bad, 16))
    elif re.fullmatch(r"[\d_]+", bad):
        good = re.sub("_+", "_", bad).strip("_")
    else:
        good = re.sub(r"[^\d.].*", "", bad).rstrip(".")
    return (p.start + found.start(), p.start + found.end()), {"bad": bad, "good": good}


def _numbered_attribute(p: Place) -> Found | None:
    if p.kind != "INT" or p.expected != {"NAME", "STRING"}:
        return None
    return (p.at - 1, p.at + len(p.text)), {"good": f"[{p.text}]"}


ROWS: Final[tuple[Mistake, ...]] = (
    Mistake(
        "A020", "`{word}` is a word of the language and cannot be a name",
        "choose another name, e.g. `{word}_`", _keyword,
    ),
    Mistake(
        "A027", "`{sign}` is not an assignment of the language",
        "a name is given once, with `=`; a value carried through a loop is given by `next name = ...`", _assignment,
    ),
    Mistake(
        "A014", "a bullet has no name",
        "write `- op(...)` for a numbered child, or `name = op(...)`", _bullet_name,
    ),
    Mistake("A014", "the name of a result stands first, before the sources", "write `{good}`", _name_last),
    Mistake("A008", "several names stand left of `=` without brackets", "write `{names} = ...`", _unpacked),
    Mistake("A018", "a number does not start with a point", "write `{good}`", _leading_point),
    Mistake("A018", "a number does not end with a point", "write `{good}`", _trailing_point),
    Mistake("A019", "a size is written with a small x", "write `{good}`", _size_letter),
    Mistake("A018", "quantities such as `{bad}` stand in `expect` tables only", "write `{good}`", _quantity),
    Mistake("A018", "a name does not start with a digit", "write `{good}`", _digit_first),
    Mistake(
        "A018", "`{bad}` is neither a number nor a name",
        "write `{good}`; numbers are decimal, without units", _unit,
    ),
    Mistake(
        "A018", "behind a point stands a name, not a number",
        "items are counted from 0: write `{good}`", _numbered_attribute,
    ),
)
