"""Text to canonical text. Works on tokens and comments, not on the tree: what stands in the file stays in the file.

The rules, all of them:

- 4 spaces a level, LF, no trailing blanks, one newline at the end, at most one blank line in a row and none below a
  header. A definition with a body has a blank line around it; its comment block stays with it.
- `=` is aligned over adjacent named lines of one suite (also over adjacent `shared` lines and one-line networks); a
  blank line, a comment line, an unnamed line or a line with a body ends the run, and so does a name that differs by
  more than 16 columns. Over the same run `->` is aligned behind single names: `keys = memory -> linear(dim)`.
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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

from ogive.dsl.diagnostics import ArchError
from ogive.dsl.parse import parse, tokens
from ogive.dsl.source import Source

__all__ = ["format_text"]

STEP = 4            # spaces a level
MARGIN = (60, 80)   # where the first and the second thing of a margin start
REACH = 20          # how far a margin moves to the right for a long line
SPREAD = 16         # how much names of one aligned run may differ

OPENERS = {"LPAR", "LSQB", "LBRACE"}
CLOSERS = {"RPAR", "RSQB", "RBRACE"}
ENDS = {"NAME", "INT", "FLOAT", "SIZE", "QUANTITY", "STRING", "ASK", "TRUE", "FALSE", "NONE", *CLOSERS}
SIGNS = {
    "PLUS", "MINUS", "BULLET", "STAR", "SLASH", "VBAR", "AMPERSAND", "PERCENT", "CMP", "POWER", "FLOORDIV",
}
SHAPES = {"shape", "segments", "ceil"}
WORDED = {"IF", "ELSE", "OR", "AND", "NOT"}
HEADS = {
    "FROM", "NETWORK", "BLOCK", "PATTERN", "ALLOW", "INPUT", "RETURN", "ASSERT", "PRESETS", "EXPECT", "SHARED",
    "REPEAT", "IF", "ELIF", "ELSE", "SCAN", "NEXT", "EMIT",
}


def format_text(source: Source) -> str:
    """The canonical text of a file. Formatting it again changes nothing, and it parses to the same tree.

    Raises:
        ArchError: A0xx when the text does not parse; it is left alone then.
        AssertionError: the formatter is at fault; nothing may be written.
    """
    tree = parse(source)
    statements = _statements(source)
    for statement in statements:
        _space(statement)
        _matrix(statement)
    _tables(statements)
    for run in _runs(statements):
        _align(run)
    text = "".join(f"{line}\n" for line in _margins(_lines(statements))).lstrip("\n")
    fault = AssertionError(f"formatting changes what {source.name} says; please report it")
    try:
        again = parse(Source(source.name, text))
    except ArchError as error:
        raise fault from error
    if not _same(tree, again):
        raise fault
    return text


# ---------------------------------------------------------------------------------------------- reading
@dataclass(slots=True)
class _Word:
    """A token, how it stands, and the comments around it."""

    type: str
    text: str
    gap: int = 1                    # spaces before it
    role: str = ""                  # what it is for, where its type does not say so: see `_roles`
    breaks: bool = False            # the first of its line
    after: str = ""                 # the comment at the end of its line
    above: list[tuple[str, int]] = field(default_factory=list)  # lines before it, with their columns: comments, blanks


@dataclass(slots=True)
class _Statement:
    words: list[_Word]
    suite: int                      # statements of one suite share the number
    columns: list[int]              # where the open levels stood in the source
    row: bool = False               # a row of a table
    body: bool = False              # a body follows
    assign: int = -1                # the `=` behind the name it gives, when that takes part in alignment

    @property
    def level(self) -> int:
        return len(self.columns) - 1

    @property
    def head(self) -> str:
        """The keyword it starts with; "ROW" or "LINE" when it has none."""
        first = self.words[0].type if self.words else ""
        return "ROW" if self.row else first if first in HEADS else "LINE"


def _statements(source: Source) -> list[_Statement]:
    """The statements of a file; the last has no words and holds the comments at the end of the file."""
    found: list[_Statement] = []
    owners: list[_Statement | None] = [None]
    suites, columns = [0], [0]
    words: list[_Word] = []
    previous: _Word | None = None
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
            if words:
                found.append(_Statement(words, suites[-1], columns.copy(), row))
            words = []
        else:
            start = token.start_pos or 0
            word = _Word(token.type, str(token))
            _between(source.text[last:start], previous, word)
            if not words:
                columns[-1] = _column(source.text[source.text.rfind("\n", 0, start) + 1 : start])
            words.append(word)
            previous, last = word, token.end_pos or start
    tail = _Word("", "")
    _between(source.text[last:] + "\n", previous, tail)
    return [*found, _Statement([tail], 0, [0])]


def _between(gap: str, previous: _Word | None, word: _Word) -> None:
    """Give the comments between two words to them, and note whether the line ends there."""
    lines = gap.split("\n")
    if previous is not None:
        previous.after = lines.pop(0).strip()
    word.breaks = bool(lines)
    word.above = [(line.strip(), _column(line)) for line in lines[:-1]]


def _column(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return blank.count(" ") + STEP * blank.count("\t")


# ---------------------------------------------------------------------------------------------- spaces
def _space(statement: _Statement) -> None:
    """Decide the spaces between the words of a statement: first what each is for, then the gap before it."""
    words = statement.words
    kinds = _roles(statement)
    for i in range(1, len(words)):
        words[i].gap = _gap(words[i - 1], words[i], kinds[i])


@dataclass(slots=True)
class _Frame:
    """What a word stands in: the bracket, and whether this is a shape."""

    kind: str                       # top, call, params, group, list, index, shape, segments, ceil
    typed: bool = False             # a `: type` has been read since the last comma
    setting: _Word | None = None    # the `=` whose value is being read


def _roles(statement: _Statement) -> list[str]:
    """Set the role of every word; the kind of frame that each stands in.

    Roles: `joined` to the word before; `tight` on both sides; `prefix`, tight to the word behind; `setting` and
    `assign` for `=`; `operator` and `slice` for what has spaces; `margin` for what starts there.
    """
    words = statement.words
    stack = [_Frame("top")]
    kinds: list[str] = []
    for i, word in enumerate(words):
        if word.type in CLOSERS:
            stack.pop()
        kinds.append(stack[-1].kind)
        before = words[i - 1] if i else None
        after = words[i + 1] if i + 1 < len(words) else None
        if word.type in OPENERS:
            stack.append(_open(word, before, stack[-1], statement))
        else:
            _role(word, before, after, stack[-1], statement)
    return kinds


def _role(word: _Word, before: _Word | None, after: _Word | None, frame: _Frame, statement: _Statement) -> None:
    top = frame.kind == "top"
    if word.type == "COMMA":
        frame.setting, frame.typed = None, False
        frame.kind = "top" if statement.head == "INPUT" else frame.kind
    elif word.type == "OF" and frame.kind == "shape":
        frame.kind = "top"
    elif word.type == "COLON":
        _colon(word, before, after, frame, statement)
    elif word.type == "EQUAL":
        tight = frame.kind in SHAPES or frame.kind in ("call", "params") or statement.head in ("RETURN", "EMIT")
        word.role = "setting" if tight and not frame.typed else "assign"
        frame.setting = None if frame.kind in SHAPES else word
    elif word.type == "AS" and top and after is not None and after.type == "STRING":
        keyed = statement.head in ("LINE", "SHARED") and not statement.body
        word.role = "margin" if keyed else ""
    elif word.type == "ASK" and top and statement.head == "INPUT":
        word.role = "joined"
    else:
        _operator(word, before, frame, statement)


def _open(word: _Word, before: _Word | None, frame: _Frame, statement: _Statement) -> _Frame:
    """The frame that a bracket opens; `joined` when it belongs to what stands before it."""
    name = before is not None and before.type in ("NAME", "CEIL")
    if frame.kind in SHAPES:
        if name and (word.type == "LSQB" or (before is not None and before.type == "CEIL")):
            word.role = "joined"
            return _Frame("index" if word.type == "LSQB" else "ceil")
        return _Frame("segments")
    if word.type == "LSQB" and frame.kind == "top":
        if statement.row:
            return _Frame("list")
        if statement.head == "INPUT":
            return _Frame("shape")
    if before is None or before.type not in ENDS:
        return _Frame("list" if word.type == "LSQB" else "group")
    word.role = "joined"
    if word.type != "LPAR":
        return _Frame("index")
    declares = statement.head in ("NETWORK", "BLOCK", "PATTERN") and frame.kind == "top" and frame.setting is None
    return _Frame("params" if declares else "call")


def _colon(word: _Word, before: _Word | None, after: _Word | None, frame: _Frame, statement: _Statement) -> None:
    if frame.kind == "index":
        bounds = after is not None and after.type != "RSQB" and before is not None and before.type != "LSQB"
        word.role = "slice" if bounds else "tight"
        return
    word.role = "joined"
    if frame.kind == "params":
        frame.typed = True
    elif frame.kind == "top" and after is not None:
        word.role = "joined" if statement.head == "INPUT" else "margin"
        frame.kind = "top" if after.type == "LSQB" else "shape"


def _operator(word: _Word, before: _Word | None, frame: _Frame, statement: _Statement) -> None:
    operand = before is not None and before.type in ENDS and not (statement.row and frame.kind == "top")
    if word.type in SIGNS and operand and before is not None:
        tight = frame.kind == "shape" or (frame.kind == "segments" and word.text not in ("+", "-"))
        power = word.text == "**" and before.type not in CLOSERS
        word.role = "tight" if tight or power else "operator"
    elif word.type in ("MINUS", "TILDE"):
        word.role = "prefix"
    computed = word.role in ("operator", "tight") or word.type in WORDED
    if computed and frame.setting is not None:
        frame.setting.role = "assign"


def _gap(before: _Word, word: _Word, kind: str) -> int:
    """Spaces between two words that stand on one line."""
    if word.type in CLOSERS or word.type == "COMMA" or before.type in OPENERS:
        return 0
    if word.role in ("joined", "setting", "tight") or before.role in ("setting", "tight", "prefix"):
        return 0
    if "DOT" in (before.type, word.type) and kind not in SHAPES:
        return 1 if before.type == "FROM" or word.type == "IMPORT" else 0
    return 1


# ---------------------------------------------------------------------------------------------- columns
def _runs(statements: list[_Statement]) -> Iterator[list[_Statement]]:
    """Statements next to each other that give names in the same way."""
    run: list[_Statement] = []
    for statement in statements:
        statement.assign = _assign(statement)
        first = run[0] if run else statement
        same = statement.suite == first.suite and statement.head == first.head and not statement.words[0].above
        if not same or statement.assign < 0:
            yield run
            run = []
        if statement.assign >= 0:
            run.append(statement)
    yield run


def _assign(statement: _Statement) -> int:
    """Where the `=` stands that alignment may move, or -1."""
    if statement.body or statement.head not in ("LINE", "SHARED", "NETWORK"):
        return -1
    depth = 0
    for i, word in enumerate(statement.words):
        depth += (word.type in OPENERS) - (word.type in CLOSERS)
        if depth == 0 and word.type == "EQUAL":
            return i
        if word.role == "margin" or (i and word.breaks):
            return -1
    return -1


def _align(run: list[_Statement]) -> None:
    for part in _alike(run, 0):
        for arrow, group in groupby(part, _arrow):
            for _ in _alike(list(group), 2) if arrow else ():
                pass


def _arrow(statement: _Statement) -> bool:
    """Whether the name is given by `one -> ...`."""
    behind = statement.words[statement.assign + 1 : statement.assign + 3]
    return [w.type for w in behind] == ["NAME", "ARROW"]


def _alike(run: list[_Statement], offset: int) -> Iterator[list[_Statement]]:
    """The parts of a run whose widths do not differ too much; in each, the `=` (2 words on: the `->`) is aligned."""
    part: list[_Statement] = []
    widths: list[int] = []
    for statement in [*run, None]:
        width = _width(statement.words[: statement.assign + offset]) if statement else 0
        if part and (statement is None or max(*widths, width) - min(*widths, width) > SPREAD):
            for member, own in zip(part, widths, strict=True):
                member.words[member.assign + offset].gap = 1 + max(widths) - own
            yield part
            part, widths = [], []
        if statement:
            part.append(statement)
            widths.append(width)


def _width(words: Iterable[_Word]) -> int:
    return len(_joined(words))


def _joined(words: Iterable[_Word]) -> str:
    """The words on one line, without the gap before the first."""
    return "".join(" " * (word.gap if i else 0) + word.text for i, word in enumerate(words))


def _tables(statements: list[_Statement]) -> None:
    """Pad the cells of tables. A row that the writer broke over lines is left out."""
    suites: dict[int, list[list[_Statement]]] = {}
    for statement in statements:
        if statement.head in ("PRESETS", "EXPECT"):
            suites.setdefault(statement.suite, []).append([])
            table = suites[statement.suite][-1]
        if statement.row or statement.head in ("PRESETS", "EXPECT"):
            table.append(statement)
    for tables in suites.values():
        grids = [[(s, _cells(s)) for s in table if not any(w.breaks for w in s.words[1:])] for table in tables]
        first = max(_width(cells[0]) + STEP * s.row for grid in grids for s, cells in grid)
        for grid in grids:
            _pad(grid, first)


def _cells(statement: _Statement) -> list[list[_Word]]:
    cells: list[list[_Word]] = []
    depth = 0
    for i, word in enumerate(statement.words):
        depth -= word.type in CLOSERS
        before = statement.words[i - 1]
        if i == 0 or (depth == 0 and word.type not in CLOSERS and word.role != "joined" and before.role != "prefix"):
            cells.append([])
        cells[-1].append(word)
        depth += word.type in OPENERS
    return cells


def _pad(grid: list[tuple[_Statement, list[list[_Word]]]], first: int) -> None:
    """Give each cell but the first the gap that makes columns; the first column is `first` wide."""
    widest: dict[int, int] = {}
    for _, cells in grid:
        for i, cell in enumerate(cells):
            widest[i] = max(widest.get(i, 0), _width(cell)) if i else first
    for statement, cells in grid:
        for i, (cell, after) in enumerate(pairwise(cells)):
            indent = 0 if i else STEP * statement.row
            after[0].gap = widest[i] - _width(cell) - indent + 2


def _matrix(statement: _Statement) -> None:
    """Align the items of lists that stand below each other, one a line: numbers to the right, words to the left."""
    lines: list[list[_Word]] = []
    for i, word in enumerate(statement.words):
        if i == 0 or word.breaks:
            lines.append([])
        lines[-1].append(word)
    rows = [_items(line, i == 0) for i, line in enumerate(lines)]
    for count, group in groupby(rows, key=len):
        part = list(group)
        if count and len(part) > 1:
            _align_items(part)


def _align_items(rows: list[list[_Word]]) -> None:
    left = [0] * len(rows)  # what the items to the left still lack
    for column in zip(*rows, strict=True):
        widest = max(len(word.text) for word in column)
        numbers = all(word.type in ("INT", "FLOAT") for word in column)
        for i, word in enumerate(column):
            lack = widest - len(word.text)
            word.gap += left[i] + (lack if numbers else 0)
            left[i] = 0 if numbers else lack


def _items(line: list[_Word], first: bool) -> list[_Word]:
    """The items of a line that is one list of single words; nothing for any other line."""
    types = [word.type for word in line]
    if "LSQB" not in types:
        return []
    start = len(types) - types[::-1].index("LSQB")
    end = types.index("RSQB", start) if "RSQB" in types[start:] else start
    row = types[start - 2] == "LSQB" if first and start > 1 else start == 1
    inside, commas = types[start:end:2], types[start + 1 : end : 2]
    plain = all(kind in ENDS for kind in inside) and all(kind == "COMMA" for kind in commas)
    closed = all(kind in ("RSQB", "RPAR", "COMMA") for kind in types[end:])
    return line[start:end:2] if row and plain and closed else []


# ---------------------------------------------------------------------------------------------- lines
def _lines(statements: list[_Statement]) -> Iterator[list[str]]:
    """The lines of the text, each as what stands in it and what stands in its margin."""
    previous: _Statement | None = None
    for statement in statements:
        yield from ([line] for line in _above(statement, previous))
        yield from _rows(statement) if statement.words[0].text else ()
        previous = statement


def _above(statement: _Statement, previous: _Statement | None) -> list[str]:
    """The comment lines before a statement, indented, with the blank lines that belong there."""
    level = max(statement.level, previous.level) if previous else 0
    above = statement.words[0].above
    lines: list[str] = []
    top = -1  # where the first line of the top level is
    for text, column in above:
        while text and previous and level > statement.level and column < previous.columns[level]:
            level -= 1
        if text and level == 0 and top < 0:
            top = len(lines)
        if text or (lines and lines[-1]) or (not lines and previous and not previous.body):
            lines.append(" " * (STEP * level) + text if text else "")
    ended = statement.words[0].text == ""
    if ended and lines and not lines[-1]:
        del lines[-1]
    if previous and statement.level == 0 and (previous.level or statement.body) and not (ended and top < 0):
        top = len(lines) if top < 0 else top
        if "" not in lines[max(top - 1, 0) : top] and "" not in lines[top : top + (top == len(lines))]:
            lines.insert(top, "")
    return lines


def _rows(statement: _Statement) -> Iterator[list[str]]:
    """The lines of one statement."""
    indent = STEP * statement.level
    start = indent                     # where the current line starts
    stands: list[tuple[int, int]] = []  # for each open bracket: where a line goes on, where a closing bracket goes
    pieces = [" " * indent]
    for i, word in enumerate(statement.words):
        if i and word.breaks:
            yield pieces
            yield from ([" " * stands[-1][0] + text] for text in _collapsed(word.above))
            start = stands[-1][word.type in CLOSERS]
            pieces = [" " * start + word.text]
        elif word.role == "margin":
            pieces.append(word.text)
        else:
            pieces[-1] += " " * (word.gap if i else 0) + word.text
        if word.type in OPENERS:
            hangs = i + 1 < len(statement.words) and statement.words[i + 1].breaks
            deeper = 2 * STEP if statement.body else STEP
            stands.append((start + deeper, start) if hangs else (len(pieces[-1]), len(pieces[-1]) - 1))
        elif word.type in CLOSERS:
            stands.pop()
        if word.after:
            pieces.append(word.after)
    yield pieces


def _collapsed(above: list[tuple[str, int]]) -> Iterator[str]:
    for text, group in groupby(text for text, _ in above):
        yield from [text] * len(list(group)) if text else [""]


def _margins(lines: Iterable[list[str]]) -> Iterator[str]:
    """Each line with its margin where it goes."""
    for _, group in groupby(lines, key=lambda pieces: pieces[1][0] if len(pieces) > 1 else ""):
        part = list(group)
        _meet([pieces for pieces in part if len(pieces) > 1], MARGIN[0])
        _meet([pieces for pieces in part if len(pieces) > 1], MARGIN[1])
        yield from ("  ".join(pieces).rstrip() for pieces in part)


def _meet(part: list[list[str]], stop: int) -> None:
    """Join the first two pieces of neighbouring lines at one column: at `stop`, or as little behind it as fits."""
    ends = [len(pieces[0]) + 2 for pieces in part]
    column = max([stop, *(-(-end // STEP) * STEP for end in ends if end <= stop + REACH)])
    for pieces, end in zip(part, ends, strict=True):
        pieces[:2] = [pieces[0].ljust(max(column, end)) + pieces[1]]


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
