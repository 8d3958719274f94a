"""What the formatter works on: tokens with the comments around them, in statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ogive.dsl.parse import tokens
from ogive.dsl.source import Source

__all__ = ["CLOSERS", "ENDS", "OPENERS", "STEP", "Statement", "Word", "joined", "statements_of", "width"]

STEP = 4            # spaces a level

OPENERS = {"LPAR", "LSQB", "LBRACE"}
CLOSERS = {"RPAR", "RSQB", "RBRACE"}
ENDS = {"NAME", "INT", "FLOAT", "SIZE", "QUANTITY", "BYTES", "STRING", "ASK", "TRUE", "FALSE", "NONE", *CLOSERS}
HEADS = {
    "FROM", "NETWORK", "BLOCK", "PATTERN", "WEIGHTS", "ALLOW", "INPUT", "RETURN", "ASSERT", "PRESETS", "EXPECT",
    "SHARED", "REPEAT", "IF", "ELIF", "ELSE", "SCAN", "NEXT", "EMIT",
}


@dataclass(slots=True)
class Word:
    """A token, how it stands, and the comments around it."""

    type: str
    text: str
    gap: int = 1                    # spaces before it
    role: str = ""                  # what it is for, where its type does not say so: see `_roles`
    breaks: bool = False            # the first of its line
    after: str = ""                 # the comment at the end of its line
    above: list[tuple[str, int]] = field(default_factory=list)  # lines before it, with their columns: comments, blanks


@dataclass(slots=True)
class Statement:
    words: list[Word]
    suite: int                      # statements of one suite share the number
    columns: list[int]              # where the open levels stood in the source
    row: bool = False               # a row of a table
    rule: bool = False              # a rule of `weights`
    body: bool = False              # a body follows
    assign: int = -1                # the `=` behind the name it gives, `->` of a rule, when it is aligned

    @property
    def level(self) -> int:
        return len(self.columns) - 1

    @property
    def head(self) -> str:
        """The keyword it starts with; "ROW" or "LINE" when it has none."""
        first = self.words[0].type if self.words else ""
        if first == "EXPECT" and any(word.type == "CMP" for word in self.words):
            return "BUDGET"
        return "ROW" if self.row else first if first in HEADS else "LINE"


def statements_of(source: Source) -> list[Statement]:
    """The statements of a file; the last has no words and holds the comments at the end of the file."""
    found: list[Statement] = []
    owners: list[Statement | None] = [None]
    suites, columns = [0], [0]
    words: list[Word] = []
    previous: Word | None = None
    last = 0
    for token in tokens(source):
        if token.type == "_INDENT":
            found[-1].body = True
            owners.append(found[-1])
            suites.append(len(found))
            columns.append(0)
        elif token.type == "_DEDENT":
            del owners[-1], suites[-1], columns[-1]
        elif token.type == "_NL":
            owner = owners[-1]
            row = owner is not None and owner.head in ("PRESETS", "EXPECT")
            rule = owner is not None and owner.head == "WEIGHTS"
            if words:
                found.append(Statement(words, suites[-1], columns.copy(), row, rule))
            words = []
        else:
            start = token.start_pos or 0
            word = Word(token.type, str(token))
            _between(source.text[last:start], previous, word)
            if not words:
                columns[-1] = _column(source.text[source.text.rfind("\n", 0, start) + 1 : start])
            words.append(word)
            previous, last = word, token.end_pos or start
    tail = Word("", "")
    _between(source.text[last:] + "\n", previous, tail)
    return [*found, Statement([tail], 0, [0])]


def _between(gap: str, previous: Word | None, word: Word) -> None:
    """Give the comments between two words to them, and note whether the line ends there."""
    lines = gap.split("\n")
    if previous is not None:
        previous.after = lines.pop(0).strip()
    word.breaks = bool(lines)
    word.above = [(line.strip(), _column(line)) for line in lines[:-1]]


def _column(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return blank.count(" ") + STEP * blank.count("\t")


def width(words: Iterable[Word]) -> int:
    return len(joined(words))


def joined(words: Iterable[Word]) -> str:
    """The words on one line, without the gap before the first."""
    return "".join(" " * (word.gap if i else 0) + word.text for i, word in enumerate(words))
