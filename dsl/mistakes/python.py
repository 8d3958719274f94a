"""Statements and expressions of Python."""

from __future__ import annotations

import re
from typing import Final

from ogive.dsl.mistakes.place import Found, Mistake, Place

__all__ = ["ROWS"]

PYTHON: Final = {
    "def": "a part with weights is a `block`, e.g. `block Mlp(hidden):`",
    "class": "write `network Name(settings):`, or `block Name(settings):` for a part of one",
    "import": "write `from module import Name`; ops are built in and need no import",
    "for": "write `repeat n as i:`, or `repeat list as item:`",
    "while": "a repeat has a count that is known beforehand: `repeat n as i:`",
    "with": "write `name:` to open a scope; keys are the names of the scopes",
    "try": "nothing is thrown here; a choice is `if test:`",
    "async": "lines run in the order in which they stand",
    "del": "a value that nothing uses is dropped by itself",
    "global": "a setting is handed down as an argument",
    "raise": "write `assert test, \"why\"`",
    "yield": "inside `scan`, write `emit value`",
    "print": "the shapes of a file are shown by `ogive check`",
}


def _python(p: Place) -> Found | None:
    if p.first not in PYTHON or not p.early or (p.kind == "EQUAL" and p.first != "import"):
        return None
    return p.word(0), {"word": p.first, "meant": PYTHON[p.first]}


def _docstring(p: Place) -> Found | None:
    if p.kind != "STRING" or p.source.text[p.at - 2 : p.at] != '""':
        return None
    return (p.at - 2, p.at + 1), {}


def _prefix_string(p: Place) -> Found | None:
    word = re.search(r"(\w*)$", p.before)
    if p.kind != "STRING" or word is None or not word[0] or word[0].isdigit():
        return None
    hint = f"write `{p.text}`; a name made with a number is `layer{{s + 1}}`"
    if len(word[0]) > 2:
        hint = f"`=` stands between a setting and its value: `{word[0]}={p.text}`"
    return (p.at - len(word[0]), p.at + len(p.text)), {"hint": hint}


def _lambda(p: Place) -> Found | None:
    found = re.search(r"\blambda\s*$", p.before)
    return ((p.start + found.start(), p.start + found.start() + 6), {}) if found else None


def _comprehension(p: Place) -> Found | None:
    return (p.token, {}) if p.text == "for" and p.kind == "NAME" and p.before.strip() else None


def _repeat_in(p: Place) -> Found | None:
    found = re.match(r"\s*repeat\s+(?:for\s+)?(\w+)\s+in\s+([^:]+)", p.line)
    if found is None:
        return None
    words = {"bad": found[0].strip(), "good": f"repeat {found[2].strip()} as {found[1]}"}
    return (p.start + len(found[0]) - len(found[0].lstrip()), p.start + len(found[0])), words


def _spread(p: Place) -> Found | None:
    inside = re.search(r"[(\[,]\s*$", p.before)
    return (p.token, {"sign": p.text}) if p.kind in ("STAR", "POWER") and inside else None


def _ternary(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "ASK" and ":" in p.rest and p.before.strip() else None


def _return_type(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "ARROW" and p.first in ("network", "block", "pattern") else None


ROWS: Final[tuple[Mistake, ...]] = (
    Mistake("A010", "`{word}` is a statement of Python", "{meant}", _python),
    Mistake(
        "A025", "the documentation of a definition is a comment",
        "write it as `# ...` directly above the definition", _docstring,
    ),
    Mistake(
        "A025", "strings have no prefix letter",
        "{hint}", _prefix_string,
    ),
    Mistake("A025", "there is no `lambda`", "write a `block`, and hand its name over where an op is asked", _lambda),
    Mistake(
        "A025", "there are no comprehensions",
        "write the list out, or `repeat list as item:` with one line each", _comprehension,
    ),
    Mistake("A025", "`{bad}` is half Python", "write `{good}:`", _repeat_in),
    Mistake("A025", "`{sign}` does not unpack here", "write the arguments out", _spread),
    Mistake("A025", "a choice has no `? :`", "write `this if test else that`", _ternary),
    Mistake(
        "A025", "a header says nothing about its results",
        "take `-> ...` out; results are named by `return`", _return_type,
    ),
)
