"""The workbench of one build: the nodes, regions, parameters and guards made so far, and the mistakes met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.conditions import Condition, Contradiction, Inexact
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label, fail
from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.facts import Facts
from ogive.dsl.graph import Edge, Guard, Node, Parameter, Region, RegionKind
from ogive.dsl.journal import Journal
from ogive.dsl.load import Unit
from ogive.dsl.meter import spend
from ogive.dsl.names import Keys, Names, check_key
from ogive.dsl.ops.record import Mismatch, Weight
from ogive.dsl.rooms import Room
from ogive.dsl.source import Span
from ogive.dsl.unknown import is_unknown
from ogive.dsl.values import Bundle, Module, Poison, Silent, Unanswered
from ogive.dsl.when import ALWAYS, When

__all__ = ["Body", "First", "Frame", "Mistakes", "Place", "Runaway", "Unsettled", "Work", "Written"]


class Runaway(Exception):
    """A file that builds without end: the whole build stops, with this error."""

    def __init__(self, error: ArchError) -> None:
        self.error = error



class Unsettled(Mismatch):
    """A size that is free, and must be a number."""

    def __init__(self, title: str, size: Dim) -> None:
        help = "pin the size in the network's input, as in `image: B 3 H=224 W=224`"
        super().__init__(title, code="A205", help=help)
        self.size = size


class Mistakes:
    """What is wrong, one cause once: the same code at the same place is kept the first time only.

    At most `limits.DIAGNOSTICS` are kept; who finds the list `full` need not look further.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[str, Any], Diagnostic] = {}

    def add(self, *diagnostics: Diagnostic) -> None:
        for d in diagnostics:
            if self.full:
                return
            self.found.setdefault((d.code, d.span or d.title), d)

    @property
    def count(self) -> int:
        return len(self.found)

    @property
    def full(self) -> bool:
        return len(self.found) >= limits.DIAGNOSTICS

    def __bool__(self) -> bool:
        return bool(self.found)

    def error(self) -> ArchError:
        return ArchError(tuple(self.found.values()))


class First(Mistakes):
    """The first mistake alone: whether there is one is all that is asked."""

    @property
    def full(self) -> bool:
        return bool(self.found)


@dataclass(slots=True)
class Body:
    """One run of a network or block: its file, how it was reached, what is known about sizes, what it returned.

    `chain` are the definitions that run around it and itself, `caller` is how the line was reached that runs it.
    """

    unit: Unit
    trail: tuple[str, ...]
    facts: Facts
    chain: tuple[s.Definition, ...]
    caller: tuple[str, ...] = ()
    shared: Module | None = None
    calls: tuple[tuple[str, Span], ...] = ()
    """The runs around it, outermost first: what is run, and where."""
    returned: Bundle | None = None
    pending: list[tuple[When, Bundle]] = field(default_factory=list)
    """What sides of an `if` returned that calls choose between."""
    written: dict[Edge, Written] = field(default_factory=dict)
    """The annotation of each tensor that has one in this body, the last one."""


@dataclass(frozen=True, slots=True)
class Written:
    """An annotation, and the frame in which its letters have their sizes."""

    shape: s.Shape
    frame: Frame


class Carrying:
    """A loop that carries values from one time to the next (`carried.py`)."""

    __slots__ = ()


@dataclass(slots=True)
class Frame:
    """Where a statement stands: the body, the scope of names, the place in the state_dict, the region, the flow.

    `loop` is the loop around it.
    """

    body: Body
    names: Names
    keys: Keys
    region: int
    flow: Bundle | Poison | None = None
    loop: Carrying | None = None

    def inner(
        self, names: Names | None = None, keys: Keys | None = None, region: int | None = None
    ) -> Frame:
        """A frame inside this one, in the same body; what is not given is shared."""
        return replace(
            self, names=names or self.names, keys=keys or self.keys,
            region=self.region if region is None else region,
        )


@dataclass(slots=True)
class Work:
    mistakes: Mistakes
    nodes: dict[str, Node] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    guards: dict[Condition, Guard] = field(default_factory=dict)
    rooms: dict[tuple[int, Dim], Room] = field(default_factory=dict)
    """What windows need of free sizes."""
    results: dict[str, Edge] = field(default_factory=dict)
    free: dict[str, tuple[str, int]] = field(default_factory=dict)
    scopes: dict[str, Span] = field(default_factory=dict)
    when: When = ALWAYS
    """What is so of the calls that come to the line at hand."""
    times: Dim = 1
    """How often the line at hand runs: the lengths of the scans around it, multiplied."""
    flags: dict[str, Span] = field(default_factory=dict)
    """What calls decide, and where it is asked for first."""
    too_many_kinds: bool = False
    """Whether a line asked for more than that."""
    calls: int = 0
    steps: int = 0
    modules: int = 0
    """How many `shared` modules were declared."""
    journal: Journal = field(default_factory=Journal)
    cells: dict[Span, str] = field(default_factory=dict)
    """Cells of preset rows that were read, in words: `row S sets heads`."""
    keys_made: list[str] = field(default_factory=list)
    """The keys of `parameters`, in order."""
    taken: dict[str, int] = field(default_factory=dict)
    made: int = 0
    """How many sizes were given a name by `new_symbol`."""
    answers: Mapping[Span, Dim] = field(default_factory=dict)
    """What stands for each `?` in place of a number: the number, or a symbol while it is solved for."""
    asked: dict[Span, None] = field(default_factory=dict)
    """Each `?` that was met and has no answer."""
    whens: dict[str, When] = field(default_factory=dict)
    """The calls that come to a node, where not all do."""
    unsaid: set[str] = field(default_factory=set)
    """Nodes that no line says: they come with what meets behind an `if`, needed or not."""
    read: dict[Span, frozenset[str]] = field(default_factory=dict)
    """Each `?` in a shape, with the sizes that were found there."""

    def answer(self, span: Span) -> Dim | Poison:
        """What a `?` stands for; without an answer, nothing is said about what touches it."""
        if span in self.answers:
            return self.answers[span]
        self.asked[span] = None
        return Unanswered(span)

    def step(self, span: Span, steps: int = 1) -> None:
        """Count what is done: files are hostile, and repeats multiply.

        Raises:
            Runaway: A513 this network takes too many steps, A515 the file does, or there are mistakes enough.
        """
        self.steps += steps
        together = spend(steps)
        if self.steps > limits.STEPS:
            raise Runaway(fail("A513", f"building this network takes more than {limits.STEPS:,} steps", span,
                               help="repeats inside repeats multiply"))
        if together > limits.FILE_STEPS:
            raise Runaway(fail(
                "A515", f"the networks of this file take more than {limits.FILE_STEPS:,} steps together", span,
                notes=[f"each preset counts, and each node counts {limits.NODE_STEPS}"],
                help="put some of the networks or presets into a file of their own",
            ))
        if self.mistakes.full:
            raise Runaway(ArchError())

    def ask(self, flag: str, span: Span) -> None:
        """A line asks what each call decides.

        Raises:
            ArchError: A516 that makes too many kinds of calls.
            Silent: it does, and that is said already.
        """
        if flag not in self.flags and len(self.flags) >= limits.FLAGS:
            if self.too_many_kinds:
                raise Silent
            self.too_many_kinds = True
            what = f"calls decide more than {limits.FLAGS} things here: optional inputs, and `training`"
            raise fail("A516", what, span,
                       labels=[Label(place, f"`{name}`") for name, place in self.flags.items()],
                       help=f"each doubles the kinds of calls, and {2 ** limits.FLAGS} kinds are built at most")
        self.flags.setdefault(flag, span)

    def added(self, since: int, path: str) -> int:
        """How many of the weights that came since lie at or below a key path: not those of shared modules, which have
        keys of their own."""
        below = path + "." if path else ""
        return sum(key == path or key.startswith(below) for key in self.keys_made[since:])

    def new_symbol(self) -> str:
        """A size that has no name in the file."""
        self.made += 1
        while f"n{self.made}" in self.free:
            self.made += 1
        return f"n{self.made}"

    def new_id(self, wanted: str) -> str:
        """A node id: the wanted path, numbered when it is taken."""
        made = self._free(wanted)
        self.journal.ids.append((wanted, made))
        return made

    def _free(self, wanted: str) -> str:
        while count := self.taken.get(wanted, 0):
            self.taken[wanted] = count + 1
            wanted = f"{wanted}_{count + 1}"
        self.taken[wanted] = 1
        return wanted

    def open_region(
        self, parent: int | None, kind: RegionKind, name: str, path: str, title: str, span: Span,
        index: int | None = None, count: int | None = None,
    ) -> int:
        depth = 0 if parent is None else self.depths[parent] + 1
        if depth > limits.REGION_DEPTH:
            raise fail("A510", f"scopes, repeats and blocks stand more than {limits.REGION_DEPTH} deep here", span)
        self.regions.append(Region(len(self.regions), parent, kind, name, path, title, span, index, count))
        self.depths.append(depth)
        return len(self.regions) - 1

    def add_node(self, node: Node) -> None:
        if len(self.nodes) >= limits.NODES:
            raise Runaway(fail("A511", f"the network has more than {limits.NODES:,} nodes", node.span,
                               help="repeats inside repeats multiply"))
        spend(limits.NODE_STEPS)
        self.nodes[node.id] = node
        self.journal.nodes.append(node.id)
        if self.when is not ALWAYS:
            self.whens[node.id] = self.when

    def open_scope(self, path: str, span: Span, shared: bool) -> None:
        """Keys under `path` belong to one scope.

        Raises:
            ArchError: A107 it was opened before.
        """
        check_key(path, span)
        known = self.scopes.get(path)
        if known is not None and not shared:
            raise fail(
                "A107", f"`{path}` is opened a second time", span, labels=[Label(known, "opened here")],
                help="another name, or one scope with both bodies",
            )
        self.scopes.setdefault(path, span)
        self.journal.scopes.append((path, span))

    def stands_for(self, path: str, edge: Edge) -> None:
        """What a key path stands for: `blocks.3`, `head`."""
        self.results[path] = edge
        self.journal.results.append((path, edge))

    def add_parameter(
        self, key: str, weight: Weight, node: str, span: Span, shared: Module | None, tied: str | None = None
    ) -> None:
        self.journal.weights.append((key, weight, node, span, tied))
        known = self.parameters.get(key)
        if known is None:
            check_key(key, span)
            sizes = [n for n in weight.shape if isinstance(n, int)]  # others are solved for
            if prod(sizes) > limits.INTEGER or max(sizes, default=1) > limits.DIM:
                most = f"{limits.INTEGER:,} elements, an axis {limits.DIM:,}"
                raise fail("A208", f"`{key}` is larger than any memory: {list(weight.shape)}", span,
                           help=f"a tensor has at most {most}")
            self.keys_made.append(key)
            self.parameters[key] = Parameter(key, weight, node, span, tied)
        elif shared is None:
            again = known.span == span
            raise fail(
                "A107", f"two weights want the key `{key}`", span,
                labels=[] if again else [Label(known.span, "the first")],
                help="this line runs more than once: `repeat ... as blocks[i]:` gives each iteration a key of its own"
                if again else f'another name, or another key: `as "{key.split(".")[0]}2"`',
            )
        elif known.weight.shape != weight.shape:
            raise self._unlike(shared, f"`{key}` is {list(known.weight.shape)} in the first run, and would be "
                               f"{list(weight.shape)} in this one", span)
        module = shared
        while module is not None:
            if key not in module.keys and module.current is not module.first:
                raise self._unlike(module, f"the first run has no `{key}`", span)
            module.keys[key] = None
            module = module.outer

    def _unlike(self, shared: Module, what: str, span: Span) -> ArchError:
        """Two runs of a shared module that want different weights: both are shown."""
        first, current = shared.first, shared.current
        assert first is not None and current is not None
        return fail(
            "A211", f"`{shared.name}` is shared, and runs here on another width than before", current.span,
            label=f"this run: {current}", labels=[Label(first.span, f"the first run: {first}")],
            notes=[what, *([f"the weight stands in {span}"] if span != current.span else [])],
            help=f"one set of weights serves inputs of one width; a second module is `shared {shared.name}2 = ...`",
        )

    def guard(self, condition: Condition, text: str, span: Span) -> None:
        if len(self.guards) >= limits.GUARDS and condition not in self.guards:
            what = f"the network sets more than {limits.GUARDS:,} conditions on the sizes of its input"
            raise Runaway(fail("A513", what, span, help="pin the sizes in `input`, as in `H=224`"))
        known = self.guards.get(condition)
        when = self.when if known is None else self.when | known.when
        self.guards[condition] = replace(known, when=when) if known else Guard(condition, text, span, when)


class Place:
    """Where a primitive stands, as its record sees it (`Site`)."""

    def __init__(self, work: Work, frame: Frame, node: str, span: Span) -> None:
        self.work = work
        self.frame = frame
        self.node = node
        self.span = span

    def same(self, left: Dim, right: Dim, what: str) -> None:
        if left == right:
            return
        if isinstance(left, int) and isinstance(right, int):
            raise Mismatch(f"{what}: {left} is not {right}", code="A206")
        self._demand(Condition("equal", left, right), what)

    def is_same(self, left: Dim, right: Dim) -> bool:
        return left == right or self.frame.body.facts.equal(left, right) is True

    def is_multiple(self, left: Dim, right: Dim) -> bool:
        try:
            return self.frame.body.facts.exact(left, right)[1] is None
        except Inexact:
            return False

    def most(self, size: Dim, limit: Dim, what: str) -> None:
        condition = Condition("less_equal", size, limit)
        verdict = self.frame.body.facts.holds(condition)
        if verdict is False:
            raise Mismatch(f"{what}: `{condition.show()}` does not hold", code="A206")
        if verdict is None:
            self._assume(condition, what)

    def fits(self, need: int, size: Dim, what: str) -> None:
        if need <= 1 or isinstance(size, int):
            return
        known, when = self.work.rooms.get((need, size)), self.work.when
        if known is None:
            self.work.rooms[need, size] = Room(need, size, what, self.span, when)
        elif known.when is not when:
            self.work.rooms[need, size] = replace(known, when=known.when | when)

    def divide(self, left: Dim, right: Dim, what: str) -> Dim:
        try:
            value, condition = self.frame.body.facts.exact(left, right)
        except Inexact as error:
            raise Mismatch(f"{what}: {error}", code="A206") from None
        if condition is not None:
            self._assume(condition, what)
        return value

    def number(self, size: Dim, what: str) -> int:
        if isinstance(size, int):
            return size
        settled = self.frame.body.facts.simplify(size)
        if isinstance(settled, int):
            return settled
        if is_unknown(settled):  # a number all the same: `solve.py` carries it through
            return settled  # type: ignore[return-value]
        shown = show(size)
        raise Unsettled(
            f"{what} is `{shown}`, which depends on the input's size; a weight's shape is a number", settled
        )

    def _demand(self, condition: Condition, what: str) -> None:
        verdict = self.frame.body.facts.holds(condition)
        if verdict is False:
            left, right = (self.frame.body.facts.show(d) for d in (condition.left, condition.right))
            raise Mismatch(f"{what}: {left} is not {right}", code="A206")
        if verdict is None:
            self._assume(condition, what)

    def _assume(self, condition: Condition, what: str) -> None:
        self.work.guard(condition, what, self.span)
        try:
            self.frame.body.facts = self.frame.body.facts.with_condition(condition)
        except Contradiction:
            raise Mismatch(f"{what}: no size makes {condition.show()} true here", code="A206") from None
