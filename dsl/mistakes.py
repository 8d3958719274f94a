"""Wrong programs, said in the words of the language: what stands where it cannot, and what was probably meant.

`MISTAKES` is a table, tried in order: the first row that recognises the place makes the diagnostic. A row has a code,
the sentence, what to type instead, and a function that finds the mistake in the line (not always where the parser
noticed it) together with the words for the blanks in both sentences. A case for each stands in tests/dsl/errors.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ogive.dsl.diagnostics import Diagnostic
from ogive.dsl.source import Source

__all__ = ["CODES", "MISTAKES", "WORDS", "explain"]

CODES: Final = {
    "A001": "something stands where it cannot",
    "A002": "a value or a name is missing",
    "A003": "a character that the language does not use",
    "A004": "`:` is missing at the end of a header",
    "A005": "a body on the line of its header",
    "A006": "a header without a body",
    "A007": "a line is indented deeper without a header above it",
    "A008": "a comma is missing, or there is one too many",
    "A009": "an arrow without a source or without an op, or a second arrow",
    "A010": "a statement of Python",
    "A011": "a bracket is never closed",
    "A012": "a line is indented to no open level",
    "A013": "a bracket closes nothing, or another kind of bracket",
    "A014": "something else than names left of `=`",
    "A015": "text without its double quotes",
    "A016": "a string is never closed",
    "A017": "an operator of another language",
    "A018": "a number in a form that the language does not have",
    "A019": "a size that is not written like `3x3`",
    "A020": "a word of the language used as a name",
    "A021": "`else` or `elif` without its `if`, or a choice without `else`",
    "A022": "a statement outside of every definition",
    "A023": "two things on one line with nothing between them",
    "A024": "braces that do not make a name",
    "A025": "an expression of Python",
    "A026": "a line that this kind of definition does not hold",
    "A027": "another assignment than `=`",
    "A028": "a shape or a port that is not well formed",
    "A029": "a table that is not well formed",
    "A030": "an import that is not well formed",
}

WORDS: Final = {
    "$END": "the end of the file", "_NL": "the end of the line", "_INDENT": "an indented body",
    "_DEDENT": "the end of the body", "COMMENT": "a comment", "__IGNORE_0": "a blank",
    "NAME": "a name", "STRING": "a string", "INT": "a whole number", "FLOAT": "a number with a point",
    "SIZE": "a size such as `3x3`", "QUANTITY": "a quantity such as `86M`", "ASK": "`?`",
    "TRUE": "`True`", "FALSE": "`False`", "NONE": "`None`",
    "BULLET": "`-`", "MINUS": "`-`", "PLUS": "`+`", "STAR": "`*`", "SLASH": "`/`", "FLOORDIV": "`//`", "PERCENT": "`%`",
    "POWER": "`**`", "TILDE": "`~`", "VBAR": "`|`", "AMPERSAND": "`&`", "CMP": "a comparison",
    "COMMA": "`,`", "COLON": "`:`", "EQUAL": "`=`", "DOT": "`.`", "REST": "`...`", "ARROW": "`->`",
    "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`",
    **{word.upper(): f"`{word}`" for word in (
        "from", "import", "as", "network", "block", "pattern", "allow", "input", "of", "return", "assert", "presets",
        "expect", "shared", "with", "repeat", "if", "elif", "else", "scan", "in", "next", "emit", "require", "ceil",
        "or", "and", "not",
    )},
}

STATEMENTS: Final = (
    "input", "return", "assert", "presets", "expect", "shared", "repeat", "if", "elif", "else", "scan", "next", "emit",
)
HEADERS: Final = (
    "network", "block", "pattern", "presets", "expect", "repeat", "if", "elif", "else", "scan",
    "residual", "gate", "append",
)
TOP: Final = ("network", "block", "pattern", "from")
VALUES: Final = {
    "NAME", "INT", "FLOAT", "SIZE", "STRING", "ASK", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "MINUS", "TILDE", "NOT",
}
OPERATORS: Final = {
    "PLUS", "MINUS", "BULLET", "STAR", "SLASH", "FLOORDIV", "PERCENT", "POWER", "VBAR", "AMPERSAND", "CMP",
    "AND", "OR", "IF",
}
BEHIND: Final = re.compile(
    r"(->|\*\*|//|[<>=!]=|[-+*/%|&~=,(\[{:<>]|\b(?:and|or|not|if|elif|else|in|with|repeat|return|emit|assert|allow|input"
    r"|network|block|pattern|shared|next|scan|import|from|as|of|require)\b)\s*$"
)

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
FOREIGN: Final = {
    "&&": "and", "||": "or", "!": "not", "<>": "!=", "===": "==", "^": "**", "is": "==",
    "=>": "->", "|>": "->", "-->": "->",
}
LOOKALIKES: Final = {
    "×": "x", "→": "->", "⇒": "->", "–": "-", "—": "-", "−": "-", "≤": "<=", "≥": ">=", "≠": "!=", "·": "*", "⋅": "*",
    "∗": "*", "÷": "/", "（": "(", "）": ")", "，": ",", "：": ":", "＝": "=", "…": "...", "∞": "1e308",
}
QUOTES: Final = "“”„‟‘’‚«»`´"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parser stopped: a token (`kind`, `text`) at offset `at`, where only `expected` could stand."""

    source: Source
    at: int
    kind: str
    text: str
    expected: frozenset[str]

    @property
    def start(self) -> int:
        """Offset of the line."""
        return self.source.text.rfind("\n", 0, self.at) + 1

    @property
    def end(self) -> int:
        """Offset behind the last character of the line that is neither a comment nor blank."""
        stop = self.source.text.find("\n", self.at)
        return self.start + len(_code(self.source.text[self.start : stop if stop >= 0 else len(self.source.text)]))

    @property
    def line(self) -> str:
        """The line without its comment."""
        return self.source.text[self.start : self.end]

    @property
    def before(self) -> str:
        """What stands on the line before the place."""
        return self.source.text[self.start : min(self.at, max(self.end, self.start))]

    @property
    def rest(self) -> str:
        return self.source.text[self.at : self.end]

    @property
    def words(self) -> list[re.Match[str]]:
        return list(re.finditer(r"\w+", self.line))

    @property
    def first(self) -> str:
        """The word with which the line starts, if it starts with one."""
        found = re.match(r"\s*([A-Za-z_]\w*)", self.line)
        return found[1] if found else ""

    @property
    def early(self) -> bool:
        """Whether the parser stopped at the first or the second word of the line."""
        return len(re.findall(r"\w+", self.before)) <= 1

    def word(self, index: int) -> tuple[int, int]:
        found = self.words[index]
        return self.start + found.start(), self.start + found.end()

    @property
    def token(self) -> tuple[int, int]:
        """The offsets of what cannot stand here; the end of the line when that is it."""
        if self.kind in ("_NL", "_INDENT", "_DEDENT", "$END"):
            return self.end, self.end + 1
        return self.at, self.at + max(len(self.text), 1)


Found: TypeAlias = tuple[tuple[int, int], dict[str, str]]
Finder: TypeAlias = Callable[[Place], Found | None]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A row of the table. `title` and `help` are format strings over the words that `find` gives."""

    code: str
    title: str
    help: str
    find: Finder


def explain(source: Source, at: int, kind: str, text: str, expected: Iterable[str]) -> Diagnostic:
    """The diagnostic for a token (`kind`, `text`) at offset `at` where only `expected` could stand."""
    place = Place(source, at, kind, text.strip(), frozenset(expected))
    for mistake in MISTAKES:
        found = mistake.find(place)
        if found is not None:
            (start, end), words = found
            title, help = mistake.title.format(**words), mistake.help.format(**words)
            return Diagnostic(mistake.code, title, source.span(start, end), help=help or None)
    shown = f"`{place.text}`" if place.text else WORDS.get(kind, "this")
    start, end = place.token
    return Diagnostic("A001", f"{shown} cannot stand here", source.span(start, end), help=_choices(place.expected))


def _choices(expected: frozenset[str]) -> str | None:
    """What could stand there, in words, the likely first."""
    left = set(expected)
    words: list[str] = []
    if {"NAME", "INT", "LPAR"} <= left:
        words.append("a value")
        left -= VALUES
    if {"PLUS", "STAR"} <= left:
        left -= OPERATORS | {"DOT", "LBRACE", "LPAR", "LSQB"}
        words.append("an operator")
    if left >= {"INPUT", "RETURN"}:
        left -= {word.upper() for word in STATEMENTS} | {"BULLET", "_DEDENT"}
        words.insert(0, "a statement")
    words += sorted({WORDS[name] for name in left if name in WORDS}, key=lambda word: (word[0] != "`", word))
    return f"what can stand here: {', '.join(words[:8])}" if words else None


def _code(line: str) -> str:
    """A line without its comment and without blanks at its end."""
    kept = re.match(r'(?:"[^"\n]*"|[^#\n])*', line)
    return kept[0].rstrip() if kept else ""


# ---------------------------------------------------------------------------------------------- characters
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
    word = next(m for m in re.finditer(r"[\w\u0300-\u036f]+", p.line) if m.end() > p.at - p.start)
    words = {"char": char, "name": _character(char), "good": _ascii(word[0])}
    return (p.start + word.start(), p.start + word.end()), words


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


# ---------------------------------------------------------------------------------------------- Python
def _python(p: Place) -> Found | None:
    if p.first not in PYTHON or not p.early or (p.kind == "EQUAL" and p.first != "import"):
        return None
    return p.word(0), {"word": p.first, "meant": PYTHON[p.first]}


def _docstring(p: Place) -> Found | None:
    if p.kind != "STRING" or p.source.text[p.at - 2 : p.at] != '""':
        return None
    return (p.at - 2, p.at + 1), {}


def _prefix_string(p: Place) -> Found | None:
    before = p.source.text[p.at - 1 : p.at]
    return ((p.at - 1, p.at + len(p.text)), {"text": p.text}) if p.kind == "STRING" and before.isalpha() else None


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


# ---------------------------------------------------------------------------------------------- names and assignments
def _doubled(p: Place) -> Found | None:
    found = re.search(r"=\s*$", p.before)
    return ((p.start + found.start(), p.at + 1), {}) if p.kind == "EQUAL" and found else None


def _assignment(p: Place) -> Found | None:
    found = re.search(r"(:|\+|-|\*\*|\*|//|/|%|\||&)$", p.before)
    if p.kind != "EQUAL" or not found or "(" in p.before:
        return None
    return (p.start + found.start(), p.at + 1), {"sign": f"{found[0]}="}


def _bullet_name(p: Place) -> Found | None:
    found = re.match(r"\s*- +\w+\s*$", p.before)
    return ((p.at, p.at + 1), {}) if p.kind == "EQUAL" and found else None


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


# ---------------------------------------------------------------------------------------------- numbers
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


# ---------------------------------------------------------------------------------------------- headers and bodies
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
    while lines and not _code(lines[-1]).strip():
        end -= len(lines.pop()) + 1
    header = _code(lines[-1]) if lines else ""
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
    while start and not _code(text[start : text.find("\n", start) % (len(text) + 1)]).strip() and "\n" in text[start:]:
        start = text.find("\n", start) + 1
    stop = text.find("\n", start)
    line = text[start : stop if stop >= 0 else len(text)]
    begin = start + len(line) - len(line.lstrip())
    return (begin, max(start + len(_code(line)), begin + 1)), {"above": p.line.strip()}


def _nested(p: Place) -> Found | None:
    if p.first not in TOP or not p.early or p.kind != "NAME" or not p.line[:1].isspace():
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


def _outside(p: Place) -> Found | None:
    if not {"BLOCK", "NETWORK"} <= p.expected or "NAME" in p.expected:
        return None
    return (p.at, max(p.end, p.at + 1)), {"text": p.text or p.line.strip()}


# ---------------------------------------------------------------------------------------------- lines
def _arrow(p: Place) -> bool:
    return p.kind == "ARROW"


def _arrow_first(p: Place) -> Found | None:
    found = p.before.strip()
    return (p.token, {}) if _arrow(p) and (not found or found.endswith("=") or found == "-") else None


def _arrow_again(p: Place) -> Found | None:
    return (p.token, {}) if _arrow(p) and "->" in p.before else None


def _arrow_last(p: Place) -> Found | None:
    found = re.search(r"->\s*$", p.before)
    return ((p.start + found.start(), p.start + found.start() + 2), {}) if found and "NAME" in p.expected else None


def _sources_only(p: Place) -> Found | None:
    if p.kind != "_NL" or p.expected != {"COMMA", "EQUAL", "ARROW"}:
        return None
    begin = p.start + len(p.line) - len(p.line.lstrip())
    return (begin, p.end), {"names": p.line.strip()}


def _brace(p: Place) -> Found | None:
    if p.kind != "LBRACE" or p.first not in HEADERS:
        return None
    return p.token, {"header": p.before.strip()}


def _lone_brace(p: Place) -> Found | None:
    return (p.token, {"brace": p.text}) if p.kind in ("LBRACE", "RBRACE") else None


def _unquoted(p: Place) -> Found | None:
    if p.expected != {"STRING"}:
        return None
    found = re.search(r"\b(as|assert)\b", p.before)
    good = re.match(r"[\w.]*", p.rest)
    what = "key" if found and found[0] == "as" else "reason"
    return p.token, {"what": what, "good": (good[0] if good else "") or "..."}


def _table_comma(p: Place) -> Found | None:
    inside = p.first in ("presets", "expect") and "COLON" in p.expected
    return (p.token, {"sign": p.text}) if p.kind in ("COMMA", "VBAR") and (inside or _row(p)) else None


def _row(p: Place) -> bool:
    return "QUANTITY" in p.expected or p.expected in ({"NAME", "STRING"}, {"NAME", "STRING", "BULLET"})


def _cell(p: Place) -> Found | None:
    return (p.token, {"text": p.text or "the end of the line"}) if _row(p) and "QUANTITY" in p.expected else None


def _import_all(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "STAR" and p.first == "from" else None


def _import(p: Place) -> Found | None:
    return (p.token, {}) if p.first == "from" and not p.line[:1].isspace() else None


def _shape_comma(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "COMMA" and ("CEIL" in p.expected or p.expected == {"OF", "_NL"}) else None


def _port_comma(p: Place) -> Found | None:
    if p.kind != "COLON" or p.first != "input" or "CEIL" not in p.expected:
        return None
    found = re.search(r"\w+\??\s*$", p.before)
    begin = p.start + found.start() if found else p.at
    return (begin, max(p.start + len(p.before.rstrip()), begin + 1)), {"name": found[0].strip() if found else "x"}


def _port_kind(p: Place) -> Found | None:
    found = re.match(r":\s*(int|bool|float)\b", p.rest)
    return ((p.at, p.at + len(found[0])), {"kind": found[1]}) if found and "OF" in p.expected else None


def _star(p: Place) -> Found | None:
    return (p.token, {}) if p.kind in ("STAR", "PLUS") and not p.before.strip() else None


def _in_shape(p: Place) -> Found | None:
    inside = "CEIL" in p.expected and p.kind != "_NL"
    return (p.token, {"text": p.text}) if inside and p.text else None


def _index(p: Place) -> Found | None:
    return (p.token, {}) if "RSQB" in p.expected and p.expected <= {"COLON", "RSQB"} else None


def _comma_twice(p: Place) -> Found | None:
    found = re.search(r"[,(\[]\s*$", p.before)
    return (p.token, {"behind": found[0].strip()}) if p.kind == "COMMA" and found and "NAME" in p.expected else None


def _comma(p: Place) -> Found | None:
    starts = p.kind in VALUES - {"LPAR", "LSQB", "MINUS", "ASK"}
    if not starts or "COMMA" not in p.expected or not p.expected & {"RPAR", "RSQB"}:
        return None
    return p.token, {"text": p.text}


def _two(p: Place) -> Found | None:
    starts = p.kind in VALUES - {"LPAR", "LSQB", "MINUS", "ASK"}
    if not starts or "_NL" not in p.expected or "PLUS" not in p.expected or "CEIL" in p.expected:
        return None
    found = re.search(r"\S+\s*$", p.before)
    return p.token, {"left": found[0].strip() if found else "", "right": p.text}


def _nothing_behind(p: Place) -> Found | None:
    found = BEHIND.search(p.before)
    if not found or not ({"NAME", "INT", "LPAR"} <= p.expected or p.expected in ({"NAME"}, {"NAME", "STRING"})):
        return None
    what = "name" if p.expected <= {"NAME", "STRING"} else "value"
    return (p.start + found.start(1), p.start + found.end(1)), {"what": what, "sign": found[1]}


def _nothing_behind_dot(p: Place) -> Found | None:
    found = re.search(r"\.\s*$", p.before)
    if not found or p.expected != {"NAME", "STRING"}:
        return None
    return (p.start + found.start(), p.start + found.start() + 1), {"what": "name", "sign": "."}


MISTAKES: Final[tuple[Mistake, ...]] = (
    # characters
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
    # Python
    Mistake("A010", "`{word}` is a statement of Python", "{meant}", _python),
    Mistake(
        "A025", "the documentation of a definition is a comment",
        "write it as `# ...` directly above the definition", _docstring,
    ),
    Mistake(
        "A025", "strings have no prefix letter",
        "write `{text}`; a name made with a number is `layer{{s + 1}}`", _prefix_string,
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
    # names and assignments
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
    Mistake("A008", "several names stand left of `=` without brackets", "write `{names} = ...`", _unpacked),
    # numbers
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
    # headers and bodies
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
    # lines
    Mistake("A001", "a numbered child starts with `-`", "write `- op(...)`", _star),
    Mistake(
        "A009", "nothing stands left of `->`",
        "name the values that flow in, `a, b -> op`; a line without sources is fed by the line above", _arrow_first,
    ),
    Mistake("A009", "a line has one `->`", "put the next op on the next line; it is fed by this one", _arrow_again),
    Mistake(
        "A009", "nothing stands right of `->`",
        "name the op that takes the values: `a, b -> op(settings)`", _arrow_last,
    ),
    Mistake("A009", "these values flow nowhere", "write `{names} -> op`", _sources_only),
    Mistake(
        "A024", "a body does not stand in braces",
        "write `{header}:` and indent the lines of the body by 4 spaces", _brace,
    ),
    Mistake(
        "A024", "`{brace}` cannot stand here",
        "braces make a name with a number: `layer{{s + 1}}`; a list stands in `[...]`", _lone_brace,
    ),
    Mistake("A015", "a {what} stands in double quotes", 'write `"{good}"`', _unquoted),
    Mistake("A029", "`{sign}` cannot part the columns of a table", "columns are parted by blanks alone", _table_comma),
    Mistake(
        "A029", "`{text}` cannot stand in a table",
        "a cell is a number, size, name, string, list or call, or `-` for the default; arithmetic belongs below", _cell,
    ),
    Mistake(
        "A030", "an import reads `from module import Name`",
        "e.g. `from std.timm import Mlp`, `from .vit import ViT as V`", _import,
    ),
    Mistake("A028", "the axes of a shape are parted by blanks", "take the comma out: `B C H W`", _shape_comma),
    Mistake("A028", "the kind of a port stands behind `of`", "write `of {kind}`", _port_kind),
    Mistake("A028", "a comma is missing between two ports", "write `, {name}: ...`", _port_comma),
    Mistake(
        "A028", "`{text}` cannot stand in a shape",
        "a shape is made of names, numbers, `(h w)`, `.`, `...` and `+ - * / **`", _in_shape,
    ),
    Mistake(
        "A001", "an index is one number or one slice",
        "write `x[1][2]` for items of items, `x[from : to]` for a part", _index,
    ),
    Mistake(
        "A008", "nothing stands between `{behind}` and `,`",
        "take the comma out, or put the missing argument in", _comma_twice,
    ),
    Mistake("A008", "a comma is missing before `{text}`", "arguments and items are parted by commas", _comma),
    Mistake(
        "A023", "nothing stands between `{left}` and `{right}`",
        "settings stand in brackets, `op(setting)`; each op has a line of its own", _two,
    ),
    Mistake(
        "A002", "a {what} is missing behind `{sign}`",
        "put the {what} there, or take `{sign}` out", _nothing_behind,
    ),
    Mistake(
        "A002", "a {what} is missing behind `{sign}`",
        "put the {what} there, or take `{sign}` out", _nothing_behind_dot,
    ),
)
