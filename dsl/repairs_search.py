"""What a search for a repair knows and has left: the file, what must hold of its networks, the nodes it may build."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ogive.dsl import syntax as s
from ogive.dsl.build import build, trial
from ogive.dsl.copies import Common
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.digest import PARTS, part, weights_of
from ogive.dsl.graph import Graph
from ogive.dsl.load import Definition, Unit
from ogive.dsl.meter import spend, taken
from ogive.dsl.predicted import Prediction
from ogive.dsl.repairs_numbers import all_near
from ogive.dsl.repairs_units import changed_in, reached, using
from ogive.dsl.source import Span
from ogive.dsl.variations import Direct, Variation
from ogive.dsl.variations_lines import UNNAMED, Longer, names_given

__all__ = ["Repair", "Row", "Search", "Spent"]

NODE = 12
"""Steps that a node takes, its line counted: what does not build counts for the steps that it took."""
TRY = 5 * NODE
"""Steps that a change counts for, however little of it is built."""


@dataclass(frozen=True)
class Row:
    """What one network of the table should have. `wanted` holds the printed figures that can be compared."""

    network: str
    holds: Callable[[Graph], bool]
    features: Callable[[Graph], Mapping[str, object]]
    off: Mapping[str, bool]
    """Of each feature, whether it is another one now than it should be."""
    params: int | None
    """The parameters, where they are printed digit for digit."""
    wrong: bool
    """Whether it does not have it now."""
    exact: bool
    """Whether a network that has all of this is the one that is meant: there is a digest."""
    digest: str = ""
    """The digest that is printed, where it is one."""
    figures: Callable[[Graph], bool] = lambda graph: False
    """Whether a network has all of this but the digest."""


@dataclass(frozen=True)
class Repair:
    """A place, and what would stand there: `with 64 here`."""

    span: Span
    words: str
    digest: bool = True
    """Whether the digests hold then, too."""


@dataclass
class Search:
    """What is tried for one table: the file, what must hold of its networks, the nodes that may be built."""

    unit: Unit
    rows: Sequence[Row]
    graph: Graph | None
    nodes: int
    near: Sequence[Span] = ()
    """Where the mistakes show, in a network that does not build."""
    unread: Container[str] = ()
    """Names that no result needs, in one that does."""
    numbers: list[tuple[s.Definition, s.Constant, Graph | None, list[int]]] = field(default_factory=list)
    """Numbers to be tried one by one: with the network that has another in its place, and what else it may be."""
    idlers: list[tuple[s.Definition, s.Constant]] = field(default_factory=list)
    """Numbers that do the same when they are another: in a condition, `stride != 1`, or read by nothing."""
    unnamed: set[tuple[int, str]] = field(default_factory=set)
    """Scopes in which no name of a line gives the weights that are wanted, though there are as many."""
    using: dict[int, set[int]] = field(default_factory=dict)
    """The definitions that use one, however far, all by identity."""
    nameless: list[Repair] = field(default_factory=list)
    """What holds but for the name of a line."""

    @cached_property
    def prediction(self) -> Prediction | None:
        row = self.rows[0]
        if self.graph is None or not row.digest:
            return None
        return Prediction(self.graph, row.digest, reached(self.unit, {row.network.partition(".")[0]}))

    def likely(self, change: Variation | Longer) -> bool | None:
        """Whether a change leads to the ops that the digest stands for; None where that is not known."""
        effect = change.effect if isinstance(change, Variation) else change.first.effect
        return None if self.prediction is None else self.prediction.likely(effect)

    def direct(self, effect: Direct | None, here: int) -> list[int] | None:
        """The numbers that lead to the ops of the digest where one is a setting of a line's op; None where it is none,
        or that is not known."""
        if effect is None or self.prediction is None or self.prediction.likely(effect(here)) is None:
            return None
        return [n for n in all_near(here) if self.prediction.likely(effect(n))]

    def name_of(self, graph: Graph, known: Sequence[s.Definition]) -> str | None:
        """The name of the line called `UNNAMED`, by the weights that the digest stands for."""
        row = self.rows[0]
        if row.params is not None and graph.parameter_count != row.params:  # whatever its name is
            return None
        wanted, texts = row.digest.split("-")[0], weights_of(graph)
        own = "\n".join(text for text in texts if UNNAMED in text)
        others = sorted(text for text in texts if UNNAMED not in text)
        spend(TRY)
        for name in names_given(known) if own else ():
            if part([*others, *own.replace(UNNAMED, name).split("\n")], PARTS[0][1]) == wanted:  # all but sorted
                return name
        return None

    @cached_property
    def common(self) -> Common:
        """The runs that the networks which are tried have in common."""
        found: dict[int, Definition] = {}
        todo = [d for d in self.unit.names.values() if d is not None]
        while todo:
            one = todo.pop()
            if id(one) not in found:
                found[id(one)] = one
                todo += [d for d in one.unit.names.values() if d is not None]
        return Common(found)

    @property
    def left(self) -> int:
        """The nodes that are left."""
        return self.nodes - taken() // NODE

    def look(self) -> None:
        """Look through the file once more, which counts for a node a definition.

        Raises:
            Spent: nothing is left.
        """
        if self.left <= 0:
            raise Spent
        spend(NODE * len(self.unit.file.definitions))

    def build(self, old: s.Definition, new: s.Definition, name: str) -> Graph | None:
        """A network with one definition changed; None where that does not build.

        Raises:
            Spent: nothing is left.
        """
        if self.left <= 0:
            raise Spent
        spend(TRY)
        return trial(self.changed(old, new), name, self.common)

    def changed(self, old: s.Definition, new: s.Definition) -> Unit:
        """The file with one definition changed. What does not use it is the same as in every other try."""
        if id(old) not in self.using:
            self.using[id(old)] = using(old, self.common.definitions.values())
        return changed_in(self.unit, old, new, self.using[id(old)], {})

    def holds(self, old: s.Definition, new: s.Definition) -> bool:
        """Whether every row holds: the first is tried, and where it does all are built for good, whatever is left."""
        first = self.rows[0]
        graph = self.build(old, new, first.network)
        if graph is None or not first.holds(graph):
            return False
        unit = self.changed(old, new)
        try:
            return all(row.holds(build(unit, row.network).graph) for row in self.rows)
        except ArchError:
            return False

    def idle(self, graph: Graph) -> bool:
        """Whether a change moved nothing."""
        row = self.rows[0]
        return self.graph is not None and row.features(graph) == row.features(self.graph)

    def suspect(self, graph: Graph) -> bool:
        """Whether a change moved just those features that are off: what moves others is not the cause."""
        row = self.rows[0]
        if self.graph is None:
            return True
        now, then = row.features(graph), row.features(self.graph)
        return all((now[name] != then[name]) is off for name, off in row.off.items())


class Spent(Exception):
    pass
