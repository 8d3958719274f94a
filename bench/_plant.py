"""Mistakes to plant in an `.arch` text, by kind: where each may stand, and how to tell that it was named rightly.

A kind is a function from a parsed text to its faults. Each fault changes one thing, as a person would by accident, and
knows its lines (where a reader looks for it) and its words (one of which a right help, title or note must have).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ogive.dsl import syntax as s
from ogive.dsl.claims import FIGURES
from ogive.dsl.ops import RECORDS
from ogive.dsl.parse import parse
from ogive.dsl.source import Source, Span
from ogive.dsl.trees import names_read, walk

__all__ = ["KINDS", "Fault", "plant"]


@dataclass(frozen=True)
class Fault:
    """One planted mistake: the text that has it, the lines that are right to point at, and words that name it."""

    kind: str
    file: str
    text: str
    lines: frozenset[int]
    words: tuple[str, ...]
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.file}:{min(self.lines)}: {self.was!r} became {self.now!r}"


@dataclass(frozen=True)
class Edit:
    """`start` to `end` of the text becomes `new`; lines and words as in `Fault`, the lines in the changed text."""

    start: int
    end: int
    new: str
    words: tuple[str, ...]
    lines: tuple[int, ...] = ()


class Text:
    """A parsed text, and the nodes of its tree with those around them."""

    def __init__(self, name: str, text: str) -> None:
        self.source = Source(name, text)
        self.file = parse(self.source)
        self.nodes = list(walk(self.file))

    def of(self, *kinds: type) -> Iterator[tuple[Any, tuple[Any, ...]]]:
        return ((node, around) for node, around in self.nodes if isinstance(node, kinds))

    def lines(self, span: Span) -> tuple[int, int]:
        """First and last line of a span."""
        return span.line, self.source.place(span.start + len(_said(span.text)) - 1)[0]

    def whole(self, span: Span) -> tuple[int, int]:
        """Offsets of the whole lines of a span, the newline included. What ends a body may end behind blank lines."""
        first, last = self.lines(span)
        starts = [*self.source.starts, len(self.source.text)]
        return starts[first - 1], starts[last]

    def suites(self) -> Iterator[tuple[s.Stmt, ...]]:
        for node, _ in self.nodes:
            if isinstance(node, s.Network | s.Block | s.Repeat | s.Line | s.Scan) and node.body:
                yield node.body
            elif isinstance(node, s.If):
                yield from (body for _, body in node.branches)

    def simple(self, st: s.Stmt) -> bool:
        """Whether a statement is a line without a body."""
        return isinstance(st, s.Input | s.Return | s.Assert | s.Shared | s.Next | s.Emit) or (
            isinstance(st, s.Line) and st.body is None
        )

    def uses(self, name: str) -> set[int]:
        """The lines that read a name."""
        return {n.span.line for n, _ in self.of(s.Name, s.NameDim) if n.name == name}


def _said(text: str) -> str:
    """A text without the blank lines and comments at its end."""
    return re.sub(r"(\s*(\n[ \t]*(#[^\n]*)?)+)$", "", text) or text


def plant(name: str, text: str, seed: int, most: int) -> Iterator[Fault]:
    """Faults of every kind in a text: all that there are, or `most` of a kind drawn by `seed`."""
    parsed = Text(name, text)
    for kind, find in KINDS.items():
        rng = random.Random(f"{seed}/{name}/{kind}")
        found: dict[str, Fault] = {}
        for edit in find(parsed, rng):
            changed = text[: edit.start] + edit.new + text[edit.end :]
            here = Source(name, changed).place(min(edit.start, len(changed)))[0]
            lines = frozenset(edit.lines or (here,))
            was, now = text[edit.start : edit.end].strip("\n"), edit.new.strip("\n")
            if changed != text:
                found.setdefault(changed, Fault(kind, name, changed, lines, edit.words, was, now))
        faults = list(found.values())
        yield from faults if len(faults) <= most else rng.sample(faults, most)


# ------------------------------------------------------------------------------------------------ typos
def typo(word: str, rng: random.Random) -> str:
    """A letter dropped, doubled, exchanged with its neighbour, or another one: never the same word."""
    while True:
        at = rng.randrange(len(word))
        found = rng.choice([
            word[:at] + word[at + 1 :],
            word[:at] + word[at] * 2 + word[at + 1 :],
            word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
            word[:at] + rng.choice("aeinrst") + word[at + 1 :],
        ])
        if found != word and re.fullmatch(r"[A-Za-z_]\w*", found):
            return found


def _typos(span_start: int, word: str, rng: random.Random, count: int = 2) -> Iterator[Edit]:
    for _ in range(count if len(word) > 2 else 0):
        yield Edit(span_start, span_start + len(word), typo(word, rng), (f"`{word}`",))


def op_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """`layernorm` becomes `layernrom`."""
    for name in _op_names(text):
        yield from _typos(name.span.start, name.name, rng, 3)


def _op_names(text: Text) -> Iterator[s.Name]:
    for line, _ in text.of(s.Line):
        func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
        if line.body is None and isinstance(func, s.Name) and (func.name in RECORDS or func.name[0].isupper()):
            yield func


def setting_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """`conv(64, strde=2)`."""
    for arg, _ in text.of(s.Arg):
        if arg.name is not None:
            yield from _typos(arg.span.start, arg.name, rng)


def reference_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A name that is read, misspelt where it is read."""
    ops = {id(n) for n in _op_names(text)}
    for name, around in text.of(s.Name):
        if any(isinstance(a, s.Line | s.Return | s.Assert | s.Repeat | s.If) for a in around) and id(name) not in ops:
            if any(isinstance(a, s.Label | s.Index) for a in around) or _is_title(name, around):
                continue
            if name.span.text == name.name:
                yield from _typos(name.span.start, name.name, rng)


def _is_title(name: s.Name, around: tuple[Any, ...]) -> bool:
    """Whether a name is that of a scope or container, which is no reference."""
    line = next((a for a in reversed(around) if isinstance(a, s.Line)), None)
    func = line.flow.func if line is not None and isinstance(line.flow, s.Call) else line.flow if line else None
    return line is not None and line.body is not None and func is name


def string_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """`init="trunc_norml"`, a misspelt string."""
    for value, around in text.of(s.Constant):
        word = value.value
        if isinstance(word, str) and re.fullmatch(r"[a-z]\w+", word) and isinstance(around[-1], s.Arg):
            for edit in _typos(value.span.start + 1, word, rng):
                yield Edit(edit.start, edit.end, edit.new, (word,))


def pattern_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A misspelt attention pattern or mechanism, wherever one stands as a value."""
    for name, around in text.of(s.Name):
        holder = next((a for a in reversed(around) if isinstance(a, s.Arg | s.Param)), None)
        if (isinstance(holder, s.Arg) and holder.name == "over") or (
            isinstance(holder, s.Param) and holder.type is not None and holder.type.names == ("pattern",)
        ):
            params = {p.name for p, _ in text.of(s.Param)}
            yield from _typos(name.span.start, name.name, rng, 0 if name.name in params else 6)


def key_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Another key in `as "..."`."""
    for line, _ in text.of(s.Line):
        if line.key is not None and line.key_span is not None:
            start = text.source.text.index('"', line.key_span.start) + 1
            found = re.search(r"[A-Za-z_]{3,}", line.key)
            if found:
                for edit in _typos(start + found.start(), found[0], rng):
                    yield Edit(edit.start, edit.end, edit.new, (line.key,))


def column_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A misspelt column of `presets` or `expect`."""
    for table, _ in text.of(s.Presets, s.Expect):
        for column in table.columns:
            yield from _typos(column.span.start, column.name, rng)


def parameter_typo(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A parameter misspelt in the header, and right where it is read."""
    for param, around in text.of(s.Param):
        reads = {n.span.line for n, a in text.of(s.Name, s.NameDim) if n.name == param.name and around[-1] in a}
        for edit in _typos(param.span.start, param.name, rng):
            yield Edit(edit.start, edit.end, edit.new, (f"`{param.name}`", f"`{edit.new}`"),
                       (param.span.line, *sorted(reads)))


# ------------------------------------------------------------------------------------------------ numbers
def _other(number: int, rng: random.Random) -> int:
    return rng.choice([number + 1, number * 2, number + 8, max(number - 1, 0), number * 10] if number > 3
                      else [number + 1, number + 2, number * 4 + 1])


def _numbers(text: Text, wanted: Callable[[tuple[Any, ...]], bool], rng: random.Random) -> Iterator[Edit]:
    for value, around in text.of(s.Constant):
        if isinstance(value.value, int) and not isinstance(value.value, bool) and wanted(around):
            for _ in range(2):
                yield Edit(value.span.start, value.span.end, str(_other(value.value, rng)), (str(value.value),))


def width(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Another number in the settings of a line: a width, stride, count or place."""
    yield from _numbers(text, lambda around: isinstance(around[-1], s.Arg | s.Binary | s.Conditional)
                        and any(isinstance(a, s.Line) for a in around), rng)


def constant(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Another number in a condition, a constant or a count."""
    yield from _numbers(text, lambda around: not any(isinstance(a, s.Param | s.Row | s.Call) for a in around), rng)


def default(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Another default of a parameter."""
    yield from _numbers(text, lambda around: isinstance(around[-1], s.Param), rng)


def heads(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Heads that do not divide the width: 5, 7, 9, 11, 13 in place of a number of heads."""
    for value, around in text.of(s.Constant):
        if isinstance(value.value, int) and _of_heads(value, around):
            for number in (5, 7, 11, 13):
                words = (f"= {number}", f"{number} heads", str(value.value))
                yield Edit(value.span.start, value.span.end, str(number), words)


def _of_heads(value: s.Constant, around: tuple[Any, ...]) -> bool:
    last = around[-1]
    if isinstance(last, s.Row):
        table = around[-2]
        if not isinstance(table, s.Presets) or value not in last.cells:
            return False
        at = next(i for i, cell in enumerate(last.cells) if cell is value)
        return at < len(table.columns) and table.columns[at].name == "heads"
    return isinstance(last, s.Param | s.Arg) and last.name == "heads"


def kernel(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Another kernel: `3x3` becomes `5x5`."""
    for value, _ in text.of(s.SizeExpr):
        for wrong in ("1x1", "2x2", "3x3", "5x5"):
            yield Edit(value.span.start, value.span.end, wrong, (value.span.text,))


def preset_cell(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Another number, list or op in a row of `presets`."""
    for row, around in text.of(s.Row):
        if not isinstance(around[-1], s.Presets):
            continue
        for i, cell in enumerate(row.cells):
            if isinstance(cell, s.Constant) and isinstance(cell.value, int):
                for _ in range(2):
                    yield Edit(cell.span.start, cell.span.end, str(_other(cell.value, rng)), (str(cell.value),))
            elif isinstance(cell, s.ListExpr):
                for item in cell.items:
                    if isinstance(item, s.Constant) and isinstance(item.value, int):
                        yield Edit(item.span.start, item.span.end, str(_other(item.value, rng)), (str(item.value),))
            elif isinstance(cell, s.Name):
                yield from _typos(cell.span.start, cell.name, rng, 1)
                others = {r.cells[i].name for r in around[-1].rows if isinstance(r.cells[i], s.Name)} - {cell.name}
                for other in sorted(others):
                    yield Edit(cell.span.start, cell.span.end, other, (f"`{cell.name}`",))


def figure(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A wrong digit in `expect`."""
    for row, around in text.of(s.Row):
        if isinstance(around[-1], s.Expect):
            for column, cell in zip(around[-1].columns, row.cells, strict=True):
                if column.name in FIGURES and isinstance(cell, s.Constant) and re.search(r"\d", cell.span.text):
                    for _ in range(2):
                        printed = cell.span.text
                        at = rng.choice([i for i, c in enumerate(printed) if c.isdigit()])
                        wrong = rng.choice(sorted(set("123456789") - {printed[at]}))
                        yield Edit(cell.span.start + at, cell.span.start + at + 1, wrong, (printed.strip('"'),))


def promise(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A wrong shape: another number, another letter, an axis dropped or two exchanged."""
    for line, around in text.of(s.Line, s.Port):
        shape = line.shape
        if shape is None:
            continue
        scope = next(a for a in around if isinstance(a, s.Network | s.Block))
        letters = sorted({d.name for d, a in text.of(s.NameDim, s.PinDim) if scope in a})
        for dim, _ in walk(shape):
            words = (shape.span.text, dim.span.text)
            if isinstance(dim, s.NumberDim):
                yield Edit(dim.span.start, dim.span.end, str(_other(dim.value, rng)), (f"{dim.value}", *words))
            elif isinstance(dim, s.NameDim) and isinstance(line, s.Line) and len(letters) > 1:
                wrong = rng.choice([x for x in letters if x != dim.name])
                yield Edit(dim.span.start, dim.span.end, wrong, (f"{dim.name}", *words))
            elif isinstance(dim, s.OpDim) and isinstance(dim.right, s.NumberDim):
                yield Edit(dim.right.span.start, dim.right.span.end, str(dim.right.value + 1), words)
        spans = [d.span for d in shape.dims]
        for a, b in pairwise(spans):
            yield Edit(a.start, b.end, f"{b.text} {a.text}", (shape.span.text, a.text, b.text))
            yield Edit(a.start, b.start, "", (a.text, f"{len(spans)} axes", f"has {len(spans)}"))


# ------------------------------------------------------------------------------------------------ what flows
def wrong_source(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Another line of the same definition is read."""
    for name, around in text.of(s.Name):
        scope = next((a for a in around if isinstance(a, s.Network | s.Block)), None)
        if scope is None or not _is_source(name, around):
            continue
        names = [n.name for label, a in text.of(s.Label) if scope in a for n in label.names if isinstance(n, s.Name)]
        ports = [p.name for p, a in text.of(s.Port) if scope in a]
        for other in rng.sample(sorted({*names, *ports} - {name.name}), min(3, len({*names, *ports} - {name.name}))):
            yield Edit(name.span.start, name.span.end, other, (f"`{name.name}`", f"`{other}`"))


def _is_source(name: s.Name, around: tuple[Any, ...]) -> bool:
    last = around[-1]
    if isinstance(last, s.Line | s.Repeat) and last.sources is not None:
        return any(x is name for x in last.sources)
    return isinstance(last, s.Binary) and isinstance(around[-2], s.Line) and around[-2].flow is last


def dropped_source(text: Text, rng: random.Random) -> Iterator[Edit]:
    """`a, b -> concat` becomes `a -> concat`; `x -> conv(3)` becomes `conv(3)`."""
    for line, _ in text.of(s.Line, s.Repeat):
        sources = line.sources or ()
        if len(sources) == 1:
            arrow = text.source.text.index("->", sources[0].span.end) + 3
            yield Edit(sources[0].span.start, arrow, "", (f"`{sources[0].span.text}`", f"{sources[0].span.text} ->"))
        for i, source in enumerate(sources if len(sources) > 1 else ()):
            after = i + 1 < len(sources)
            start = source.span.start if after else sources[i - 1].span.end
            stop = sources[i + 1].span.start if after else source.span.end
            yield Edit(start, stop, "", (f"`{source.span.text}`", "takes", "one tensor"))


def more_sources(text: Text, rng: random.Random) -> Iterator[Edit]:
    """One source or one setting by place too many."""
    for line, _ in text.of(s.Line):
        if line.sources and line.body is None:
            at = line.sources[-1].span
            yield Edit(at.end, at.end, f", {at.text}", (f"`{at.text}`", "tensors"))
        if isinstance(line.flow, s.Call) and line.flow.args and line.body is None:
            last = line.flow.args[-1]
            if all(a.name is None for a in line.flow.args):
                for _ in range(4):
                    yield Edit(last.span.end, last.span.end, f", {rng.choice(['1', '2', '64', 'True', '0.1'])}",
                               ("takes", "settings", "setting"))


def dropped_setting(text: Text, rng: random.Random) -> Iterator[Edit]:
    """`bias=False`, `stride=2`, `eps=1e-6` or a value by place is forgotten."""
    for call, around in text.of(s.Call):
        if not any(isinstance(a, s.Line) for a in around) or isinstance(around[-1], s.Row):
            continue
        for i, arg in enumerate(call.args):
            after = i + 1 < len(call.args)
            start = arg.span.start if after or i == 0 else call.args[i - 1].span.end
            stop = call.args[i + 1].span.start if after else arg.span.end
            lost = {n for n, _ in names_read(arg)} - {n for n, span in names_read(text.file)
                                                      if not arg.span.start <= span.start < arg.span.end}
            lines = {call.span.line, *(span.line for n, span in _declared(text) if n in lost)}
            words = (arg.span.text, f"`{arg.name}`", "needs", *(f"`{n}`" for n in lost))
            yield Edit(start, stop, "", words, tuple(sorted(lines)))


# ------------------------------------------------------------------------------------------------ lines
def dropped_line(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A line is gone. Right is a place beside the gap, or a line that reads the lost name."""
    for body in text.suites():
        for st in body:
            if text.simple(st) and not isinstance(st, s.Return):
                yield _without(text, st)


def dropped_return(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A `return` is gone."""
    for st, _ in text.of(s.Return):
        yield _without(text, st)


def dropped_row(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A row of `presets` is gone."""
    for table, around in text.of(s.Presets):
        named = [row.span.line for expect, a in text.of(s.Expect) if a[-1] is around[-1] for row in expect.rows]
        for row in table.rows if len(table.rows) > 1 else ():
            start, stop = text.whole(row.span)
            lines = (around[-1].span.line, row.span.line, *(n - 1 for n in named))
            yield Edit(start, stop, "", (f"`{row.name}`",), lines)


def _without(text: Text, st: Any) -> Edit:
    start, stop = text.whole(st.span)
    first, last = text.lines(st.span)
    count = last - first + 1
    names = [n.name for n in st.label.names if isinstance(n, s.Name)] if isinstance(st, s.Line) and st.label else []
    names += [p.name for p in st.ports] if isinstance(st, s.Input) else []
    names += [d.name for d, a in text.nodes if isinstance(d, s.NameDim) and st in a]
    uses = {line for name in names for line in text.uses(name) if not first <= line <= last}
    ops = _words(st.span.text)
    lost = {n for n, _ in names_read(st)} - {n for n, span in names_read(text.file) if not first <= span.line <= last}
    uses |= {span.line for n, span in _declared(text) if n in lost}
    lines = {max(first - 1, 1), first, first + 1, *(n - count if n > last else n for n in uses)}
    return Edit(start, stop, "", tuple(f"`{w}`" for w in {*names, *ops}), tuple(sorted(lines)))


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z_]\w+", text)


def _declared(text: Text) -> Iterator[tuple[str, Span]]:
    """Parameters and imports, with their places: where a name stands that nothing reads any more."""
    for node, _ in text.of(s.Param, s.ImportName):
        yield node.alias if isinstance(node, s.ImportName) else node.name, node.span


def swapped_lines(text: Text, rng: random.Random) -> Iterator[Edit]:
    """Two lines stand the other way round."""
    for body in text.suites():
        for a, b in pairwise(body):
            if text.simple(a) and text.simple(b):
                (start, middle), (second, stop) = text.whole(a.span), text.whole(b.span)
                gap = text.source.text[middle:second]
                new = text.source.text[second:stop] + gap + text.source.text[start:middle]
                words = ("above the one before it", *(f"`{w}" for w in _words(a.span.text + " " + b.span.text)))
                yield Edit(start, stop, new, words, (a.span.line, b.span.line))


INDENT = ("indent", "column", "body", "level", "further in", "above", "below")
"""Words that say that a line belongs elsewhere."""


def indent(text: Text, rng: random.Random) -> Iterator[Edit]:
    """One line stands a few blanks further in or out. Right is it, or a line beside it: it disagrees with those."""
    for body in text.suites():
        for st in body:
            start = text.whole(st.span)[0]
            blanks, line = st.span.start - start, st.span.line
            for wrong in (blanks + 1, blanks - 1, blanks + 4, blanks - 4, blanks + 2):
                if wrong >= 0:
                    yield Edit(start, st.span.start, " " * wrong, INDENT, (line - 1, line, line + 1))


# ------------------------------------------------------------------------------------------------ signs
def _code(text: Text, signs: str) -> Iterator[int]:
    """Places of signs outside comments and strings."""
    inside = comment = False
    for i, c in enumerate(text.source.text):
        if c == "\n":
            comment = inside = False
        elif comment:
            continue
        elif c == '"':
            inside = not inside
        elif c == "#" and not inside:
            comment = True
        elif c in signs and not inside:
            yield i


def bracket(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A bracket is gone."""
    other = {"(": ")", ")": "(", "[": "]", "]": "["}
    for i in _code(text, "()[]"):
        sign = text.source.text[i]
        yield Edit(i, i + 1, "", (f"`{sign}`", f"`{other[sign]}`"))


SIGNS = {",": ("comma",), ":": ("colon", " : "), "=": (" = ", "nothing stands between")}


def sign(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A colon, comma, equals sign or arrow is gone."""
    for i in _code(text, ":,="):
        around = text.source.text[i - 1 : i + 2]
        if "==" not in around and "!=" not in around:
            yield Edit(i, i + 1, "", (f"`{text.source.text[i]}`", *SIGNS[text.source.text[i]]))
    for i in _code(text, "-"):
        if text.source.text[i : i + 2] == "->":
            yield Edit(i, i + 2, "", ("`->`", "->"))


# ------------------------------------------------------------------------------------------------ files
def wrong_import(text: Text, rng: random.Random) -> Iterator[Edit]:
    """A misspelt module, a misspelt or other name, or no import at all."""
    for statement in text.file.imports:
        module = text.source.text.index(statement.module[-1], statement.span.start)
        for edit in _typos(module, statement.module[-1], rng, 4):
            yield Edit(edit.start, edit.end, edit.new, (f"`{'.'.join(statement.module)}`",))
        for name in statement.names:
            yield from _typos(name.span.start, name.name, rng, 4)
        start, stop = text.whole(statement.span)
        uses = {line for n in statement.names for line in text.uses(n.alias)}
        count = text.source.text.count("\n", start, stop)
        yield Edit(start, stop, "", tuple(f"`{n.alias}`" for n in statement.names),
                   tuple(n - count for n in sorted(uses)))


KINDS: Final[dict[str, Callable[[Text, random.Random], Iterator[Edit]]]] = {
    "a number in a line": width,
    "a number elsewhere": constant,
    "a default": default,
    "heads do not divide": heads,
    "a kernel": kernel,
    "a preset cell": preset_cell,
    "a figure of expect": figure,
    "a shape promise": promise,
    "an op misspelt": op_typo,
    "a setting misspelt": setting_typo,
    "a reference misspelt": reference_typo,
    "a string misspelt": string_typo,
    "a pattern misspelt": pattern_typo,
    "a key in `as`": key_typo,
    "a column misspelt": column_typo,
    "a parameter misspelt": parameter_typo,
    "an import": wrong_import,
    "another source": wrong_source,
    "a source dropped": dropped_source,
    "one too many": more_sources,
    "a setting dropped": dropped_setting,
    "a line dropped": dropped_line,
    "a return dropped": dropped_return,
    "a preset dropped": dropped_row,
    "two lines swapped": swapped_lines,
    "a bracket dropped": bracket,
    "a sign dropped": sign,
    "a line indented": indent,
}
