"""What the ops of a network would be after a small change of its text, without building it: the second part of a digest
is of the ops and their settings alone, and tells of most changes that they are not the one that is looked for."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.digest import PARTS, ops_of, ops_with, part_of, text_in, text_of
from ogive.dsl.graph import Graph, Node
from ogive.dsl.ops.record import Primitive, Reference
from ogive.dsl.passed import Passed, inside, plain, set_in
from ogive.dsl.source import Span
from ogive.dsl.trees import walk

__all__ = ["Effect", "Less", "More", "Other", "Prediction", "Same", "Set"]

Value: TypeAlias = bool | int | float | str | tuple[int, ...] | None


@dataclass(frozen=True)
class Same:
    """The ops stay as they are; they are otherwise connected."""


@dataclass(frozen=True)
class Less:
    """A line is gone."""

    line: s.Line


@dataclass(frozen=True)
class More:
    """A line more in a body; `owner` is what has the body, `beside` are its lines where an `if` decides about them."""

    line: s.Line
    owner: s.Network | s.Block | s.Line | s.Repeat | s.Scan
    beside: tuple[s.Stmt, ...] = ()


@dataclass(frozen=True)
class Set:
    """A line's op or block with another setting, by name or by place; without a value, with its default."""

    call: s.Expr
    setting: str | int
    value: s.Expr | None


@dataclass(frozen=True)
class Other:
    """A line's op is another one, with its defaults."""

    name: s.Name
    op: str


_NUMBER: Final = re.compile(r"(?<![\w.-])\d+(?![\w.])")
"""A whole number among the settings of an op."""

Effect: TypeAlias = Same | Less | More | Set | Other


class Prediction:
    """One network as it is, and the ops that its digest stands for.

    `likely` says of a change whether it leads to them; None where only building tells. It takes a change for one that
    leaves all other ops as they are, which most do: it is asked what to try first, and what not to try.
    """

    def __init__(self, graph: Graph, digest: str, known: Sequence[s.Definition] = ()) -> None:
        _, self.wanted, _ = digest.split("-")
        self.graph = graph
        self.texts = texts = ops_of(graph)
        self.ops = Counter(texts)
        self.right = self._holds(self.ops)
        self.lines: dict[Span, Counter[str]] = defaultdict(Counter)
        self.nodes: dict[Span, list[Node]] = defaultdict(list)
        self.runs: Counter[Span | str] = Counter()
        self.passed = Passed(graph, known)
        self.grids_are_read = any(_reads_grid(d) for d in known) if known else True
        self.above = _above({x.node for node in graph for x in _references(node)}, graph)
        self.said = {node.id: text for node, text in zip(graph, texts, strict=True)}
        chains = {node.id: graph.region_chain(node) for node in graph}
        self.placed = {name: {region.span for region in chain} for name, chain in chains.items()}
        for region in graph.regions:
            if region.kind == "block":
                self.runs[region.title] += 1
            if region.kind != "repeat":
                self.runs[region.span] += 1
        for node, text in zip(graph, texts, strict=True):
            self.nodes[node.span].append(node)
            for span in {node.span, *self.placed[node.id]}:
                self.lines[span][text] += 1

    def likely(self, effect: Effect | None) -> bool | None:
        """Whether the ops would be those of the digest; None where that is not known without building."""
        if effect is None:
            return None
        if isinstance(effect, Same):
            return self.right or None  # what nothing needs any more is left out
        ops = self._after(effect)
        if ops is None:
            return None
        return self._holds(ops) or (None if self._slides(effect) else False)

    def _slides(self, effect: Effect) -> bool:
        """Whether a change is of what slides over a plane: another grid may show in the settings of ops below it."""
        if not self.grids_are_read or not isinstance(effect, Set):
            return False
        found = [x.primitive for x in self.nodes.get(effect.call.span, ())]
        found += (self.passed.ops(effect.call, effect.setting, effect.value) or {}).values()
        return any(x is not None and x.family in ("conv", "pool", "embedding") for x in found)

    def along(self, here: int, step: int, probe: Graph) -> Callable[[int], bool]:
        """Whether the ops would be those of the digest with another number in one place, told by the network with
        `here + step` there: settings and how often a line runs are taken to grow by even steps."""
        then = ops_of(probe)
        after = Counter(then)
        if after == self.ops:
            return lambda number: False
        pairs = Counter(zip(self.texts, then, strict=False))
        threads = [_Thread(a, b, n) for (a, b), n in pairs.items()] if len(then) == len(self.texts) else []
        if not threads or any(thread.numbers is None for thread in threads):
            threads = []
        grown = {text: after[text] - self.ops[text] for text in self.ops | after}

        def holds(number: int) -> bool:
            ops = Counter[str]()
            for thread in threads:
                made = thread.at(number - here, step)
                if made is None:
                    return False
                ops[made] += thread.count
            if threads:
                return self._holds(ops)
            for text, more in grown.items():
                count, rest = divmod(more * (number - here), step)
                if rest or self.ops[text] + count < 0:
                    return False
                ops[text] = self.ops[text] + count
            return self._holds(ops)

        return holds

    def _holds(self, ops: Counter[str]) -> bool:
        return part_of(ops, PARTS[1][1]) == self.wanted

    def _after(self, effect: Effect) -> Counter[str] | None:
        match effect:
            case Less(line):
                gone = self._of(line)
                return self.ops - gone if gone and not self._is_above(line.span) else None
            case More(line, owner, beside):
                if not isinstance(owner, s.Network | s.Block) and self._is_above(owner.span):
                    return None
                came, runs = self._once(line), self._runs_beside(beside) if beside else self._runs(owner)
                return None if came is None or not runs else self.ops + Counter({k: n * runs for k, n in came.items()})
            case Set(call, setting, value):
                if call.span not in self.nodes:
                    return self._with(self.passed.ops(call, setting, value))
                return self._exchanged(call.span, lambda record: set_in(record, setting, value))
            case Other(name, op):
                return self._exchanged(name.span, lambda _: plain(op))
        return None

    def _with(self, made: dict[str, Primitive] | None) -> Counter[str] | None:
        """The ops with those of some nodes exchanged."""
        if made is None:
            return None
        changed = {x: r for x, r in made.items() if r is not self.graph.nodes[x].primitive}
        if any(x in self.above for x in changed):
            return Counter(ops_with(self.graph, changed))
        gone = Counter(self.said[x] for x in changed)
        return self.ops - gone + Counter(text_in(self.graph, self.graph.nodes[x], r) for x, r in changed.items())

    def _is_above(self, span: Span) -> bool:
        """Whether something in a statement is what the setting of another op names, or above it: what stands for that
        op then is another one, too."""
        return any(span in self.placed[name] or inside(self.graph.nodes[name].span, span) for name in self.above)

    def _of(self, line: s.Line) -> Counter[str]:
        """The ops of a line, in all its runs."""
        return self.lines.get(line.flow.span, Counter()) | self.lines.get(line.span, Counter())

    def _once(self, line: s.Line) -> Counter[str] | None:
        """The ops of a line in one run, where they are the same in every run: its own, else those of one that says the
        same."""
        for span in (line.flow.span, *(x for x in self.lines if x.text == line.flow.span.text)):
            found = self.lines.get(span, Counter()) | (self.lines.get(line.span, Counter()))
            runs = self.runs[line.span] or max(found.values(), default=0)
            if found and all(n % runs == 0 for n in found.values()):
                return Counter({text: n // runs for text, n in found.items()})
        bare = plain(line.flow.name) if isinstance(line.flow, s.Name) else None
        return None if bare is None else Counter([text_of(bare)])

    def _runs(self, owner: s.Network | s.Block | s.Line | s.Repeat | s.Scan) -> int:
        if isinstance(owner, s.Network):
            return self.runs[owner.name] or 1
        return self.runs[owner.name if isinstance(owner, s.Block) else owner.span]

    def _runs_beside(self, body: tuple[s.Stmt, ...]) -> int:
        """How often the lines of a body run, by the first of them that does."""
        counts = (self.runs[st.span] or len(self.nodes.get(st.flow.span, ())) for st in body if isinstance(st, s.Line))
        return next((n for n in counts if n), 0)

    def _exchanged(self, span: Span, made: _Made) -> Counter[str] | None:
        """The ops with those of one line exchanged."""
        nodes = self.nodes.get(span)
        if not nodes:
            return None
        changed: dict[str, Primitive] = {}
        for node in nodes:
            record = node.primitive and made(node.primitive)
            if record is None:
                return None
            changed[node.id] = record
        return self._with(changed)


_Made: TypeAlias = Callable[[Primitive], Primitive | None]


class _Thread:
    """What stands for a node with one number in the text and with another, and so with others."""

    def __init__(self, first: str, second: str, count: int) -> None:
        self.count = count
        self.words = _NUMBER.split(first)
        self.numbers: list[tuple[int, int]] | None = None
        if _NUMBER.split(second) == self.words:
            starts, ends = map(int, _NUMBER.findall(first)), map(int, _NUMBER.findall(second))
            self.numbers = [(a, b - a) for a, b in zip(starts, ends, strict=True)]

    def at(self, steps: int, of: int) -> str | None:
        """With `steps / of` times the way from the first to the second; None where a number would be no whole one."""
        found = self.words[0]
        for (start, way), word in zip(self.numbers or (), self.words[1:], strict=False):
            more, rest = divmod(way * steps, of)
            if rest or start + more < 0:
                return None
            found += f"{start + more}{word}"
        return found


def _references(node: Node) -> Iterator[Reference]:
    """The nodes that the settings of an op name: what stands for them stands in what stands for it."""
    for name in () if node.primitive is None else type(node.primitive).model_fields:
        value = getattr(node.primitive, name)
        if isinstance(value, Reference):
            yield value


def _above(names: set[str], graph: Graph) -> set[str]:
    """Some nodes, and all that they are made of."""
    found: set[str] = set()
    todo = [name for name in names if name in graph.nodes]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [edge.node for edge in graph.nodes[name].inputs]
    return found


def _reads_grid(definition: s.Definition) -> bool:
    """Whether a value of a definition is made of a letter that a shape has, but of batch and channels."""
    letters = {d.name for d, _ in walk(definition) if isinstance(d, s.NameDim)} - {"B", "C"}
    letters -= {p.name for p, _ in walk(definition) if isinstance(p, s.Param)}
    return any(
        isinstance(x, s.Name) and x.name in letters and not any(isinstance(a, s.Shape | s.Assert) for a in around)
        for x, around in walk(definition)
    )
