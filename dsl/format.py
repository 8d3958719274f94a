"""Text to canonical text. Works on tokens and comments, not on the tree: what stands in the file stays in the file.

The rules, all of them:

- 4 spaces a level, LF, no trailing blanks, one newline at the end, at most one blank line in a row and none below a
  header. A definition with a body has a blank line around it; its comment block stays with it.
- `=` is aligned over adjacent named lines of one suite (also over adjacent `shared` lines and one-line networks); a
  blank line, a comment line, an unnamed line or a line with a body ends the run, and so does a name that differs by
  more than 16 columns. Over the same run `->` is aligned behind single names: `keys = memory -> linear(dim)`.
- The `->` of neighbouring rules of `weights` are aligned, where their keys differ by at most 64 columns.
- The margin is column 60: the key (`as "..."`), the promised shape (`: B C h w`) and the comment of a line start there.
  When a line is too long, it and the lines next to it with the same in their margin use the smallest multiple of 4 that
  fits, up to 80; a line longer still takes two spaces. What comes second in a margin stands at column 80, likewise.
- A setting is tight, `stride=2`, unless its value has an operator outside of brackets: `groups = C // 8`. A default
  behind a type has spaces: `norm: op = batchnorm`. Names, `next`, `with` and `shared` always have spaces around `=`.
- One space around binary operators and `->`, one behind a comma. `**` is tight behind a name or number: `64 * 2**s`,
  `(a + b) ** 2`. A slice is tight when one side is open: `[0 : C]`, `[:s]`.
- In shapes, operators and pins are tight, `2*hidden H=size h/2`; `+` and `-` of segments have spaces, `(1 + h w)`, and
  so has the inside of `ceil(H / 2)`.
- `presets` and `expect` are tables: columns left-aligned, two spaces apart; the tables of one suite share the width of
  their first column.
- Line breaks inside brackets are the writer's. Lines that follow stand under the first character behind the bracket,
  or 4 deeper (8 before a body) when nothing follows it. Rows of numbers, one list a line, are aligned like a matrix.
- A comment keeps its words and its place: at the end of its line, or on its own, indented like the next statement; at
  the end of a body it stays with the body when it was indented like it. Strings and numbers are never changed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ogive.dsl.diagnostics import ArchError
from ogive.dsl.format_columns import align_matrix, align_runs, align_tables
from ogive.dsl.format_lines import lines_of, margins
from ogive.dsl.format_spaces import space
from ogive.dsl.format_words import statements_of
from ogive.dsl.parse import parse
from ogive.dsl.source import Source

__all__ = ["format_text"]


def format_text(source: Source) -> str:
    """The canonical text of a file. Formatting it again changes nothing, and it parses to the same tree.

    Raises:
        ArchError: A0xx when the text does not parse; it is left alone then.
        AssertionError: the formatter is at fault; nothing may be written.
    """
    tree = parse(source)
    statements = statements_of(source)
    for statement in statements:
        space(statement)
        align_matrix(statement)
    align_tables(statements)
    align_runs(statements)
    text = "".join(f"{line}\n" for line in margins(lines_of(statements))).lstrip("\n")
    fault = AssertionError(f"formatting changes what {source.name} says; please report it")
    try:
        again = parse(Source(source.name, text))
    except ArchError as error:
        raise fault from error
    if not _same(tree, again):
        raise fault
    return text


def _same(one: Any, other: Any) -> bool:
    """Whether two trees are equal, spans aside, without recursion: a file may be deep."""
    todo = [(one, other)]
    while todo:
        a, b = todo.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, tuple):
            if len(a) != len(b):
                return False
            todo += zip(a, b, strict=True)
        elif dataclasses.is_dataclass(a):
            todo += [(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a) if f.compare]
        elif a != b:
            return False
    return True
