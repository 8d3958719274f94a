"""Inferred shapes as promises: `: B 64 H/4 W/4` behind every line that has none.

A line is run often: at each preset, in each iteration, by each line that runs its block. What is written holds in all
of these runs. So that a number which hangs on a parameter is written with the parameter, every network is also built
with each of its whole numbers changed in turn. What the names that are known at a line cannot say is a new letter
(rows and columns) or `.`; a block that meets several layouts promises its channels, `... C`.

In the end the file is built again: a promise that does not stand is taken back, and the graphs must be the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ogive.dsl import syntax as s
from ogive.dsl.asked import inside
from ogive.dsl.build import attempt, build, choose, names_of
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.dims import Dim
from ogive.dsl.load import Unit, load_changed
from ogive.dsl.parse import tokens
from ogive.dsl.shape_words import Joined, Known, Number, Word, same, text, value, words
from ogive.dsl.source import Source, Span
from ogive.dsl.types import Role, Tensor
from ogive.dsl.watch import Seen, Watching
from ogive.dsl.work import Frame

__all__ = ["Shaped", "shaped"]

PROBES: Final = 48                 # builds of a file with another number in place of a parameter's
PASSES: Final = 12                 # looks at a file, each with more letters
RECENT: Final = 16                 # expressions of this line and those above it that sizes are said with
ROUNDS: Final = 8                  # how often promises that do not stand are taken back
LETTERS: Final = {Role.FRAME: "t", Role.ROW: "h", Role.COL: "w", Role.POSITION: "n"}
QUIET: Final = frozenset({"learned"})


@dataclass(frozen=True, slots=True)
class Shaped:
    """A text with its promises, and the lines that were left without: (number, why)."""

    text: str
    written: int
    left: tuple[tuple[int, str], ...]


def shaped(unit: Unit, root: str | None = None) -> Shaped:
    """The text of a file with a promise behind every line that makes a tensor and has none.

    Raises:
        ArchError: everything that is wrong with the file.
    """
    before = {name: build(unit, name) for name in names_of(unit)}
    notes = _Notes(unit)
    probes = [(name, settings) for name, settings in _probes(unit, before) if _stands(unit, name, settings)]
    for _ in range(PASSES):
        for name, built in before.items():
            notes.run(name, {}, built.solved)
        for name, settings in probes:
            notes.run(name, settings, {})
        if not notes.renewed():
            break
    promises = notes.promises()
    for _ in range(ROUNDS):
        made = _inserted(unit.source, promises)
        wrong = _wrong(load_changed(unit, made, root), before)
        if not wrong:
            return Shaped(made, len(promises), tuple(notes.left(promises)))
        starts = [span.start for span in promises]
        for line in wrong:
            promises = {span: p for span, p in promises.items() if span.line != line}
        if len(starts) == len(promises):
            break
    raise fail("A599", f"`{unit.source.name}` says something else with its shapes written", None,
               help="please report it with the file")


def _probes(unit: Unit, before: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each network with each of its whole numbers doubled, and one larger."""
    count = 0
    seen: set[tuple[str, str]] = set()
    for name, built in before.items():
        for parameter, number in built.settings.items():
            key = (name.partition(".")[0], parameter)
            if type(number) is not int or number < 1 or key in seen:
                continue
            seen.add(key)
            for other in (2 * number, number + 1):
                if count < PROBES:
                    count += 1
                    yield name, {parameter: other}


def _stands(unit: Unit, name: str, settings: Mapping[str, Any]) -> bool:
    made = attempt(*choose(unit, name), settings, {})
    return made.built is not None and not made.work.asked


def _wrong(unit: Unit, before: Mapping[str, Any]) -> set[int]:
    """The lines at which a file with promises is wrong; a graph that differs is none that stands anywhere."""
    lines: set[int] = set()
    for name, old in before.items():
        try:
            new = build(unit, name)
        except ArchError as error:
            spans = [x for d in error.diagnostics for x in (d.span, *(label.span for label in d.labels))]
            lines |= {span.line for span in spans if span is not None and span.source is unit.source}
            continue
        if str(new.graph) != str(old.graph):
            fresh = [g for g in new.graph.guards if g.condition not in {x.condition for x in old.graph.guards}]
            lines |= {g.span.line for g in fresh if g.span.source is unit.source} or {0}
    return lines


def _inserted(source: Source, promises: Mapping[Span, str]) -> str:
    """The text with each promise behind the last word of its line."""
    ends = [t.end_pos or 0 for t in tokens(source) if not t.type.startswith("_")]
    made = source.text
    for span in sorted(promises, key=lambda span: span.start, reverse=True):
        end = max(end for end in ends if end <= span.end)
        made = f"{made[:end]}  : {promises[span]}{made[end:]}"
    return made


# ---------------------------------------------------------------------------------------------- what lines make
@dataclass(slots=True)
class _Slot:
    """One size of a promise: the words that hold in every run so far."""

    words: list[Word]
    role: Role
    fresh: str = ""                # the letter that this line binds


@dataclass(slots=True)
class _Line:
    """A line and the words for its axes: a list of segments for tokens that know their parts, else one size each."""

    line: s.Line
    axes: list[list[list[_Slot]]]
    totals: list[_Slot]            # the size of each axis as one
    roles: tuple[Role, ...]
    mixed: bool = False            # it met several layouts
    channel: list[Word] = field(default_factory=list)


class _Notes:
    """What was seen of each line of a file."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.lines: dict[Span, _Line] = {}
        self.fresh: dict[tuple[Span, tuple[int, int, int]], str] = {}
        self.recent: deque[s.Expr] = deque(maxlen=RECENT)
        self.used = {node.name for node in inside(unit.file.definitions) if hasattr(node, "name")}

    def run(self, name: str, settings: Mapping[str, Any], answers: Mapping[Span, Dim]) -> None:
        """Look on while a network is built."""
        attempt(*choose(self.unit, name), settings, answers, lambda work: Watching(work, self.note))

    def note(self, seen: Seen) -> None:
        line = seen.line
        if line.span.source is not self.unit.source or line.shape is not None or _is_quiet(line):
            return
        known = self.lines.get(line.span)
        sizes = _sizes(seen.tensor)
        if known is None:
            self.recent += [node for node in inside(line.flow) if isinstance(node, s.Binary | s.Item)]
            own = list(self.recent)
            slots = [
                [[self._slot(size, role, seen, own, (i, j, k)) for k, (size, role) in enumerate(part)]
                 for j, part in enumerate(axis)]
                for i, axis in enumerate(sizes)
            ]
            totals = [_Slot(list(words(axis.size, seen.frame, own)), axis.role) for axis in seen.tensor.axes]
            self.lines[line.span] = known = _Line(line, slots, totals, seen.tensor.roles)
            known.channel = _channel(known)
        elif known.roles != seen.tensor.roles or not _alike(known.axes, sizes):
            known.mixed = True
            size = seen.tensor.channels
            known.channel = [] if size is None else _kept(known.channel, size, seen.frame)
            return
        else:
            self._narrowed(known, sizes, seen)
        if not known.mixed:
            known.channel = _channel(known)
            self._bind(known, sizes, seen.frame)

    def _slot(self, size: Dim, role: Role, seen: Seen, own: list[s.Expr], place: tuple[int, int, int]) -> _Slot:
        letter = self.fresh.get((seen.line.span, place))
        return _Slot([], role, letter) if letter else _Slot(list(words(size, seen.frame, own)), role)

    def renewed(self) -> bool:
        """Give a new letter to each size of the first line that no words hold for; whether there was one.

        The lines below it may then be said with these letters: everything is looked at again.
        """
        for span in sorted(self.lines, key=lambda span: span.start):
            line = self.lines[span]
            found = {} if line.mixed else _speechless(line)
            if found:
                for place, role in found.items():
                    self.fresh[span, place] = self._letter(LETTERS[role])
                self.lines.clear()
                return True
        return False

    def _letter(self, base: str) -> str:
        """A letter that the file does not use yet."""
        letter, number = base, 1
        while letter in self.used:
            number += 1
            letter = f"{base}{number}"
        self.used.add(letter)
        return letter

    def _narrowed(self, known: _Line, sizes: list[list[list[tuple[Dim, Role]]]], seen: Seen) -> None:
        frame = seen.frame
        for total, whole in zip(known.totals, seen.tensor.axes, strict=True):
            total.words = _kept(total.words, whole.size, frame)
        for axis, found in zip(known.axes, sizes, strict=True):
            for part, sized in zip(axis, found, strict=True):
                for slot, (size, _) in zip(part, sized, strict=True):
                    slot.words = _kept(slot.words, size, frame)

    def _bind(self, known: _Line, sizes: list[list[list[tuple[Dim, Role]]]], frame: Frame) -> None:
        """A letter that this line will bind is known below it."""
        for axis, found in zip(known.axes, sizes, strict=True):
            for part, sized in zip(axis, found, strict=True):
                for slot, (size, _) in zip(part, sized, strict=True):
                    if slot.fresh and slot.fresh not in frame.names.table:
                        frame.names.bind(slot.fresh, size, known.line.span, "size")

    # ------------------------------------------------------------------------------------ what is written
    def promises(self) -> dict[Span, str]:
        found = {span: _promise(line) for span, line in self.lines.items()}
        return {span: promise for span, promise in found.items() if promise}

    def left(self, promises: Mapping[Span, str]) -> Iterator[tuple[int, str]]:
        """The lines without a promise, and why."""
        for node in inside(self.unit.file.definitions):
            if not isinstance(node, s.Line) or node.body is not None or node.shape is not None or _is_quiet(node):
                continue
            if node.span in promises:
                continue
            if node.span in self.lines:
                yield node.span.line, "no words hold in all its runs"
            elif node.sources is not None or isinstance(node.flow, s.Call | s.Name):
                yield node.span.line, "no network of this file runs it, or it makes no single tensor"


def _is_quiet(line: s.Line) -> bool:
    func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
    return isinstance(func, s.Name) and func.name in QUIET and line.sources is None


def _sizes(tensor: Tensor) -> list[list[list[tuple[Dim, Role]]]]:
    """For each axis its segments, for each of these its sizes: a grid has several."""
    found: list[list[list[tuple[Dim, Role]]]] = []
    for axis in tensor.axes:
        if axis.role is Role.POSITION and any(part.grid for part in axis.segments):
            grid = {2: (Role.ROW, Role.COL), 3: (Role.FRAME, Role.ROW, Role.COL)}
            found.append([
                list(zip(part.grid, grid.get(len(part.grid), (Role.POSITION,) * len(part.grid)), strict=True))
                if part.grid else [(part.size, Role.OTHER)]
                for part in axis.segments
            ])
        else:
            found.append([[(axis.size, axis.role)]])
    return found


def _speechless(line: _Line) -> dict[tuple[int, int, int], Role]:
    """The rows, columns and positions that nothing says, neither by their parts nor as a whole."""
    found: dict[tuple[int, int, int], Role] = {}
    for i, (axis, total) in enumerate(zip(line.axes, line.totals, strict=True)):
        if total.words:
            continue
        for j, part in enumerate(axis):
            for k, slot in enumerate(part):
                if not slot.words and not slot.fresh and slot.role in LETTERS:
                    found[i, j, k] = slot.role
    return found


def _alike(axes: list[list[list[_Slot]]], sizes: list[list[list[tuple[Dim, Role]]]]) -> bool:
    return [[len(p) for p in a] for a in axes] == [[len(p) for p in a] for a in sizes]


def _kept(found: list[Word], size: Dim, frame: Frame) -> list[Word]:
    kept: list[Word] = []
    for word in found:
        here = value(word, frame)
        if here is not None and same(here, size, frame):
            kept.append(word)
    return kept


def _channel(line: _Line) -> list[Word]:
    place = next((i for i, role in enumerate(line.roles) if role is Role.CHANNEL), None)
    return [] if place is None else line.axes[place][0][0].words


def _promise(line: _Line) -> str:
    """The annotation of a line; "" when it would say nothing."""
    own = set(_identifiers(line.line.flow))
    if line.mixed:
        best = _best(line.channel, own, set(), plain=False)
        return f"... {best}" if best and best != "." else ""
    taken: set[str] = set()
    dims: list[str] = []
    for axis, total in zip(line.axes, line.totals, strict=True):
        if len(axis) == 1 and len(axis[0]) == 1:
            slot = axis[0][0]
            dims.append(slot.fresh or _best(slot.words, own, taken, plain=False))
            continue
        parts = [[slot.fresh or _best(slot.words, own, taken, plain=True) for slot in part] for part in axis]
        if all(x != "." for part in parts for x in part):
            dims.append(f"({' + '.join(' '.join(part) for part in parts)})")
        else:
            dims.append(_best(total.words, own, taken, plain=False))
    return "" if all(d == "." for d in dims) else " ".join(dims)


def _best(found: list[Word], own: set[str], taken: set[str], plain: bool) -> str:
    """The word that says most: what the line itself names, then names, then numbers, then what is made of names."""
    fit = [word for word in found if not (plain and isinstance(word, Joined) and word.sign == "+")]
    if not fit:
        return "."
    again = {text(word) for word in fit if isinstance(word, Known) and text(word) in taken}
    best = min(fit, key=lambda word: (_rank(word, own), text(word) in again, fit.index(word)))
    taken.add(text(best))
    return text(best)


def _rank(word: Word, own: set[str]) -> int:
    match word:
        case Number():
            return 0 if str(word.number) in own else 3
        case Known():
            return 1
        case Joined() if set(_parts(word)) <= own:
            return 1
        case Joined():
            return 4
        case _:
            return 2


def _parts(word: Word) -> Iterator[str]:
    match word:
        case Joined():
            yield from _parts(word.left)
            yield from _parts(word.right)
        case Number():
            yield str(word.number)
        case _:
            yield word.name


def _identifiers(expr: s.Expr) -> Iterator[str]:
    for node in inside(expr):
        if isinstance(node, s.Name):
            yield node.name
        elif isinstance(node, s.Constant):
            yield str(node.value)
