"""What stands below each other: `=` and `->` of neighbouring lines, the cells of tables, rows of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from ogive.dsl.format_words import CLOSERS, ENDS, OPENERS, STEP, Statement, Word, width

__all__ = ["align_matrix", "align_runs", "align_tables"]

SPREAD = 16         # how much names of one aligned run may differ
KEYS = 64           # the same for keys of weights


def align_runs(statements: list[Statement]) -> None:
    """Align the `=` of neighbouring lines that give names."""
    for run in _runs(statements):
        _align(run)


def _runs(statements: list[Statement]) -> Iterator[list[Statement]]:
    """Statements next to each other that give names in the same way."""
    run: list[Statement] = []
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


def _assign(statement: Statement) -> int:
    """Where the `=` stands that alignment may move, the `->` of a rule; or -1."""
    if statement.rule:
        arrow = next((i for i, word in enumerate(statement.words) if word.type == "ARROW"), -1)
        return -1 if any(word.breaks for word in statement.words[1 : arrow + 1]) else arrow
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


def _align(run: list[Statement]) -> None:
    for part in _alike(run, 0):
        for arrow, group in groupby(part, _arrow):
            for _ in _alike(list(group), 2) if arrow else ():
                pass


def _arrow(statement: Statement) -> bool:
    """Whether the name is given by `one -> ...`."""
    behind = statement.words[statement.assign + 1 : statement.assign + 3]
    return [w.type for w in behind] == ["NAME", "ARROW"]


def _alike(run: list[Statement], offset: int) -> Iterator[list[Statement]]:
    """The parts of a run whose widths do not differ too much; in each, the `=` (2 words on: the `->`) is aligned."""
    part: list[Statement] = []
    widths: list[int] = []
    for statement in [*run, None]:
        here = width(statement.words[: statement.assign + offset]) if statement else 0
        spread = KEYS if part and part[0].rule else SPREAD
        if part and (statement is None or max(*widths, here) - min(*widths, here) > spread):
            for member, own in zip(part, widths, strict=True):
                member.words[member.assign + offset].gap = 1 + max(widths) - own
            yield part
            part, widths = [], []
        if statement:
            part.append(statement)
            widths.append(here)


def align_tables(statements: list[Statement]) -> None:
    """Pad the cells of tables. A row that the writer broke over lines is left out."""
    suites: dict[int, list[list[Statement]]] = {}
    for statement in statements:
        if statement.head in ("PRESETS", "EXPECT"):
            suites.setdefault(statement.suite, []).append([])
            table = suites[statement.suite][-1]
        if statement.row or statement.head in ("PRESETS", "EXPECT"):
            table.append(statement)
    for tables in suites.values():
        grids = [[(s, _cells(s)) for s in table if not any(w.breaks for w in s.words[1:])] for table in tables]
        first = max(width(cells[0]) + STEP * s.row for grid in grids for s, cells in grid)
        for grid in grids:
            _pad(grid, first)


def _cells(statement: Statement) -> list[list[Word]]:
    cells: list[list[Word]] = []
    depth = 0
    for i, word in enumerate(statement.words):
        depth -= word.type in CLOSERS
        before = statement.words[i - 1]
        if i == 0 or (depth == 0 and word.type not in CLOSERS and word.role != "joined" and before.role != "prefix"):
            cells.append([])
        cells[-1].append(word)
        depth += word.type in OPENERS
    return cells


def _pad(grid: list[tuple[Statement, list[list[Word]]]], first: int) -> None:
    """Give each cell but the first the gap that makes columns; the first column is `first` wide."""
    widest: dict[int, int] = {}
    for _, cells in grid:
        for i, cell in enumerate(cells):
            widest[i] = max(widest.get(i, 0), width(cell)) if i else first
    for statement, cells in grid:
        for i, (cell, after) in enumerate(pairwise(cells)):
            indent = 0 if i else STEP * statement.row
            after[0].gap = widest[i] - width(cell) - indent + 2


def align_matrix(statement: Statement) -> None:
    """Align the items of lists that stand below each other, one a line: numbers to the right, words to the left."""
    lines: list[list[Word]] = []
    for i, word in enumerate(statement.words):
        if i == 0 or word.breaks:
            lines.append([])
        lines[-1].append(word)
    rows = [_items(line, i == 0) for i, line in enumerate(lines)]
    for count, group in groupby(rows, key=len):
        part = list(group)
        if count and len(part) > 1:
            _align_items(part)


def _align_items(rows: list[list[Word]]) -> None:
    left = [0] * len(rows)  # what the items to the left still lack
    for column in zip(*rows, strict=True):
        widest = max(len(word.text) for word in column)
        numbers = all(word.type in ("INT", "FLOAT") for word in column)
        for i, word in enumerate(column):
            lack = widest - len(word.text)
            word.gap += left[i] + (lack if numbers else 0)
            left[i] = 0 if numbers else lack


def _items(line: list[Word], first: bool) -> list[Word]:
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
