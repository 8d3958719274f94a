"""Characters, quotes, operators and comments of somewhere else."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from ogive.dsl.mistakes.place import Found, Mistake, Place

__all__ = ["ROWS"]

FOREIGN: Final = {
    "&&": "and", "||": "or", "!": "not", "<>": "!=", "===": "==", "^": "**", "is": "==",
    "=>": "->", "|>": "->", "-->": "->",
}
LOOKALIKES: Final = {
    "×": "x", "→": "->", "⇒": "->", "–": "-", "—": "-", "−": "-", "≤": "<=", "≥": ">=", "≠": "!=", "·": "*", "⋅": "*",
    "∗": "*", "÷": "/", "（": "(", "）": ")", "，": ",", "：": ":", "＝": "=", "…": "...", "∞": "1e308",
}
QUOTES: Final = "“”„‟‘’‚«»`´"


def _single_quotes(p: Place) -> Found | None:
    if p.kind != "CHARACTER" or p.text != "'":
        return None
    inner = re.match(r"'([^'\n\"]*)'?", p.source.text[p.at :])
    body = inner[1] if inner else ""
    return (p.at, p.at + (len(inner[0]) if inner else 1)), {"body": body.strip()}


def _odd_quotes(p: Place) -> Found | None:
    if p.kind != "CHARACTER" or p.text not in QUOTES or not p.text:
        return None
    return p.token, {"char": p.text, "name": _character(p.text)}


def _open_string(p: Place) -> Found | None:
    return ((p.at, max(p.end, p.at + 1)), {}) if p.kind == "CHARACTER" and p.text == '"' else None


def _semicolon(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "CHARACTER" and p.text == ";" else None


def _decorator(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "CHARACTER" and p.text == "@" and not p.before.strip() else None


def _matmul(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "CHARACTER" and p.text == "@" else None


def _times(p: Place) -> Found | None:
    if p.kind != "CHARACTER" or p.text != "×":
        return None
    found = next((m for m in re.finditer(r"\w+(\s*×\s*\w+)+", p.line) if m.start() < p.at - p.start < m.end()), None)
    if found is None:
        return None
    fixed = re.sub(r"\s*×\s*", "x", found[0])
    return (p.start + found.start(), p.start + found.end()), {"bad": found[0], "good": fixed}


def _lookalike(p: Place) -> Found | None:
    if p.kind != "CHARACTER" or p.text not in LOOKALIKES:
        return None
    return p.token, {"char": p.text, "name": _character(p.text), "good": LOOKALIKES[p.text]}


def _blank(p: Place) -> Found | None:
    char = p.source.text[p.at : p.at + 1]
    if p.kind != "CHARACTER" or unicodedata.category(char or "x") not in ("Zs", "Cf"):
        return None
    return (p.at, p.at + 1), {"name": _character(char)}


def _letter(p: Place) -> Found | None:
    char = p.source.text[p.at : p.at + 1]
    if p.kind != "CHARACTER" or char.isascii() or unicodedata.category(char)[0] not in "LMN":
        return None
    start, end = p.at, p.at + 1
    while start > p.start and _in_word(p.source.text[start - 1]):
        start -= 1
    while end < len(p.source.text) and _in_word(p.source.text[end]):
        end += 1
    words = {"char": char, "name": _character(char), "good": _ascii(p.source.text[start:end])}
    return (start, end), words


def _in_word(char: str) -> bool:
    """Letters, numbers, and the marks that are put on letters, which `\\w` leaves out."""
    return char == "_" or unicodedata.category(char)[0] in "LMN"


def _character(char: str) -> str:
    """`a` as `LATIN SMALL LETTER A, U+0061`."""
    return f"{unicodedata.name(char, 'no name')}, U+{ord(char):04X}"


def _ascii(word: str) -> str:
    """A word in letters that names may have."""
    out = ""
    for char in unicodedata.normalize("NFKD", word.replace("ß", "ss")):
        name = unicodedata.name(char, "").rpartition(" LETTER ")[2].split(" WITH ")[0].lower()
        out += char if char.isascii() else name if name.isalpha() else ""
    return out if re.fullmatch(r"[A-Za-z_]\w*", out, re.ASCII) else "name"


def _no_use(p: Place) -> Found | None:
    if p.kind != "CHARACTER" or p.text in ("^", "!") or not p.text:
        return None
    return p.token, {"char": p.text, "name": _character(p.text)}


def _foreign(p: Place) -> Found | None:
    """An operator of another language, where the parser stopped in its middle or at its only character."""
    for bad, good in FOREIGN.items():
        begin = p.at - len(bad) + 1 if bad not in ("is", "===") else p.at - len(bad) + len(p.text)
        stands = begin >= p.start and p.source.text[begin : begin + len(bad)] == bad
        whole = p.text == bad or (bad != "is" and p.text and bad.endswith(p.text))
        if bad == "-->" and p.kind == "ARROW":
            begin, stands, whole = p.at - 1, p.source.text[p.at - 1 : p.at + 2] == bad, True
        if stands and whole:
            return (begin, begin + len(bad)), {"bad": bad, "good": good}
    return None


def _comment(p: Place) -> Found | None:
    for mark in ("//", "/*"):
        found = re.search(rf"(^|\s){re.escape(mark)}(?=\s)", p.line)
        if found and p.start + found.end() <= p.at + len(mark) and (p.kind == "NAME" or p.at - p.start <= found.end()):
            return (p.start + found.end() - len(mark), p.start + found.end()), {"mark": mark}
    return None


def _doubled(p: Place) -> Found | None:
    found = re.search(r"=\s*$", p.before)
    return ((p.start + found.start(), p.at + 1), {}) if p.kind == "EQUAL" and found else None


ROWS: Final[tuple[Mistake, ...]] = (
    Mistake("A015", "strings stand in double quotes", 'write `"{body}"`', _single_quotes),
    Mistake(
        "A003", "`{char}` ({name}) is not a quote of the language",
        'strings stand in plain double quotes: `"`', _odd_quotes,
    ),
    Mistake("A016", "this string is never closed", 'close it with `"` on the same line', _open_string),
    Mistake("A023", "`;` does not part statements", "put each statement on a line of its own", _semicolon),
    Mistake(
        "A010", "decorators are Python",
        "take the line out; a comment block above a definition is its documentation", _decorator,
    ),
    Mistake(
        "A017", "`@` is no operator here",
        "`a, b -> matmul` is the matrix product, `a, b -> dot` contracts the channel axis", _matmul,
    ),
    Mistake("A019", "a size is written with the letter x", "write `{good}`", _times),
    Mistake("A003", "`{char}` ({name}) is not used in the language", "write `{good}`", _lookalike),
    Mistake("A003", "an odd blank stands here ({name})", "replace it by a plain space", _blank),
    Mistake(
        "A003", "`{char}` ({name}) cannot stand in a name",
        "names have the letters a-z and A-Z, digits and `_`, e.g. `{good}`", _letter,
    ),
    Mistake("A003", "`{char}` ({name}) is not used in the language", "take it out", _no_use),
    Mistake("A017", "`{mark}` starts no comment", "a comment starts with `#` and ends with the line", _comment),
    Mistake(
        "A027", "`=` stands twice",
        "`name = op(...)` gives a name, `name=value` is a setting, `==` compares", _doubled,
    ),
    Mistake("A017", "`{bad}` is not an operator of the language", "write `{good}`", _foreign),
)
