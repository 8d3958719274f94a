"""Recurrence: `scan x in xs with state = s0:`, a body that is built once and runs for each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ogive.dsl import syntax as s
from ogive.dsl.carried import Loop
from ogive.dsl.diagnostics import Label, fail
from ogive.dsl.graph import Edge, Node
from ogive.dsl.names import Keys, Names
from ogive.dsl.ops.loop import Item, Scan, State, stacked
from ogive.dsl.ops.record import Mismatch, Primitive
from ogive.dsl.repeats import Repeats
from ogive.dsl.source import Span
from ogive.dsl.types import Axis, Role
from ogive.dsl.values import POISON, Bundle, Out, ParamValue, Poison, Result, Silent, describe, is_list
from ogive.dsl.when import ALWAYS, When
from ogive.dsl.work import Frame, Place

__all__ = ["Scans"]


@dataclass(slots=True)
class Recurrence(Loop):
    """The loop of a `scan`: what it emits beside what it carries."""

    when: When = ALWAYS
    """The kinds of calls in which it runs."""
    emitted: s.Emit | None = None
    labels: tuple[str, ...] = ()
    outs: tuple[Out | Poison, ...] = ()


class Scans(Repeats):
    """`scan`, `emit`."""

    def scan(self, st: s.Scan, frame: Frame) -> None:
        """Build the body once, on one position of each sequence; then the node that runs it for all."""
        sequences = [self._sequence(name, expr, frame) for name, expr in st.over]
        positions = self._lengths(sequences, st, frame)
        carried = self.loop("scan", st.carries, frame)
        loop = Recurrence("scan", carried.names, carried.values, when=self.work.when)
        named = [(c.name, out) for c in st.carries for out in self._start(c, loop.values[c.name])]
        region, keys = self._place_of(st, frame)
        inner = frame.inner(Names(frame.names), keys, region)
        inner.loop = loop
        items = [
            self._enter(name, x, Item.model_construct(axis=_place(x)), "in", st.span, inner) for name, x in sequences
        ]
        for (name, _), item in zip(st.over, items, strict=True):
            inner.names.bind(name, Bundle((item,), title=name), st.span, "node")
        starts = [out for _, out in named]
        states = [self._state(name, x, sequences[0][1], st.span, inner) for name, x in named]
        self._hand_in(loop, list(states))
        self.begin_iteration(loop, inner.names)
        inner.flow = Bundle((items[0],), title=st.over[0][0])
        before, known = self.work.times, self.work.mistakes.count
        self.work.times = before * positions.size
        try:
            self.suite(st.body, inner)
        finally:
            self.work.times = before
        loop.turn()
        if self.work.mistakes.count == known:  # else the line that would change it may be the wrong one
            self.unchanged(loop, frame)
        following = [out for value in loop.values.values() for out in self._tensors(value, st.span)]
        self._agreeing(states, following, loop, st, frame)
        self._leave(st, loop, sequences, items, starts, states, following, positions, region, frame)

    def emit(self, st: s.Emit, frame: Frame) -> None:
        """What a `scan` gives for each position.

        Raises:
            ArchError: A141 outside a scan, or a second time; A120 no tensor.
        """
        loop = frame.loop
        if not isinstance(loop, Recurrence):
            inside = "inside a `repeat`" if isinstance(loop, Loop) else "outside every `scan`"
            raise fail("A141", f"`emit` stands {inside}, and is one result for each position of a `scan`", st.span,
                       help="behind the `repeat`, at the level of the scan's own lines" if self._in_scan(frame)
                       else "`scan x in xs:` runs its body for each position of xs")
        if self.work.when != loop.when:
            if POISON in loop.outs:  # the other side has said it
                raise Silent
            loop.emitted, loop.outs = st, (POISON,)
            raise fail("A141", "`emit` stands on one side of an `if` that each call decides", st.span,
                       help="give both sides a value of one name, and `emit` it behind them")
        if loop.emitted is not None:
            raise fail("A141", "a `scan` emits once for each position", st.span,
                       labels=[Label(loop.emitted.span, "first here")],
                       help="several results on one line: `emit a, b=b`")
        loop.emitted, loop.outs = st, (POISON,)  # until what is emitted stands
        outs: list[Out | Poison] = []
        for result in st.results:
            value = self.there(self.operand(result.value, frame), result.value.span)
            self.tensor_meant(value, result.value.span)
            if is_list(value):
                raise fail("A140", f"`emit` takes tensors; here is {describe(value)}", result.value.span,
                           help="each on its own, `emit a, b=b`; or `a, b -> stack` in front")
            if not isinstance(value, Bundle | Out | ParamValue | Poison):
                raise fail("A120", f"`emit` takes a tensor; here is {describe(value)}", result.value.span)
            outs += self.tensors([value], result.value.span)
        loop.outs, loop.labels = tuple(outs), tuple(result.name or "" for result in st.results)

    # ------------------------------------------------------------------------------------ what enters
    def _sequence(self, name: str, expr: s.Expr, frame: Frame) -> tuple[str, Out]:
        """A sequence: data with one position axis."""
        value = self.there(self.operand(expr, frame), expr.span)
        self.tensor_meant(value, expr.span)
        if not isinstance(value, Bundle | Out | ParamValue | Poison) and not is_list(value):
            raise fail("A146", f"`scan` goes over a tensor; here is {describe(value)}", expr.span,
                       notes=self.trail(frame), help=f"`repeat {expr.span.text}:` runs a body so often")
        found = self.tensors([value], expr.span)
        if len(found) != 1 or isinstance(found[0], Poison):
            if len(found) == 1:
                raise Silent
            raise fail("A146", f"`scan` goes over one tensor; here are {len(found)}", expr.span,
                       help="`repeat list as x:` goes over a list")
        out = found[0]
        if sum(role is Role.POSITION for role in out.type.roles) != 1:
            raise fail("A146", f"`scan` goes over positions; `{out.type}` has none", expr.span,
                       labels=self._made_here(out, expr.span), notes=self.trail(frame),
                       help="tokens `B N C` have them; `to_tokens` makes them of an image")
        return name, out

    def _lengths(self, sequences: list[tuple[str, Out]], st: s.Scan, frame: Frame) -> Axis:
        """The position axis of all sequences, which are of one length."""
        axes = [x.type.axes[_place(x)] for _, x in sequences]
        place = Place(self.work, frame, "", st.span)
        for axis, (name, _) in zip(axes[1:], sequences[1:], strict=True):
            try:
                place.same(axes[0].size, axis.size, f"the lengths of `{sequences[0][0]}` and `{name}`")
            except Mismatch as error:
                raise fail("A146", error.title, st.span, notes=self.trail(frame),
                           help="sequences of a `scan` go side by side, one position of each at a time") from None
        return axes[0]

    def _start(self, carry: s.Carry, value: Any) -> list[Out]:
        """What a carried value starts with: a tensor, or a list of them."""
        if not isinstance(value, Bundle | Out | ParamValue | Poison) and not is_list(value):
            hint = f"`zeros({value})`" if isinstance(value, int) and value > 1 else "`zeros(64)` starts with zeros"
            raise fail("A142", f"a `scan` carries tensors; `{carry.name}` starts as {describe(value)}",
                       carry.start.span, help=hint)
        return self._tensors(value, carry.span)

    def _in_scan(self, frame: Frame) -> bool:
        """Whether a region around is the body of a `scan`."""
        at: int | None = frame.region
        while at is not None:
            region = self.work.regions[at]
            if region.kind in ("scan", "block", "network"):
                return region.kind == "scan"
            at = region.parent
        return False

    def _tensors(self, value: Any, span: Span) -> list[Out]:
        found = self.tensors([value], span)
        if any(isinstance(x, Poison) for x in found):
            raise Silent
        return [x for x in found if isinstance(x, Out)]

    def _state(self, name: str, start: Out, sequence: Out, span: Span, frame: Frame) -> Out:
        batch = sequence.type.axis(Role.BATCH)
        own = start.type.axis(Role.BATCH)
        stretched = batch is not None and (own is None or (own.size == 1 and batch.size != 1))
        return self._enter(name, start, State.model_construct(batch=batch if stretched else None), "with", span, frame)

    def _enter(self, name: str, source: Out, record: Primitive, op: str, span: Span, frame: Frame) -> Out:
        """A node at the head of the body."""
        node_id = self.work.new_id(frame.keys.under(name))
        outputs = record.shape(Place(self.work, frame, node_id, span), source.type)
        self.work.add_node(
            Node(node_id, op, name, record, (source.edge,), outputs, frame.region, span, path=frame.body.trail)
        )
        return Out(Edge(node_id), outputs[0])

    def _hand_in(self, loop: Recurrence, states: list[Out]) -> None:
        """The carried names stand for what enters the body, lists item by item."""
        for name, value in loop.values.items():
            loop.values[name] = self._like(value, states)

    def _like(self, value: Any, states: list[Out]) -> Any:
        if is_list(value):
            return tuple([self._like(x, states) for x in value])
        return Bundle((states.pop(0),))

    def _place_of(self, st: s.Scan, frame: Frame) -> tuple[int, Keys]:
        """The region and keys of the body: a scan with a name is a scope of that name."""
        names = st.label.names if st.label else ()
        name = self.made_name(names[0], frame) if len(names) == 1 and isinstance(names[0], s.Name | s.Made) else ""
        if not name:
            return self.work.open_region(frame.region, "scan", "", "", "scan", st.span), frame.keys
        frame.names.refuse(name, st.span)
        path = frame.keys.under(name)
        self.work.open_scope(path, st.span, frame.body.shared is not None)
        return self.work.open_region(frame.region, "scan", name, path, name, st.span), Keys(path + ".")

    # ------------------------------------------------------------------------------------ what leaves
    def _agreeing(self, states: list[Out], following: list[Out], loop: Recurrence, st: s.Scan, frame: Frame) -> None:
        """What goes on to the next time has the shape of what came in."""
        place = Place(self.work, frame, "", st.span)
        names = [name for name, value in loop.values.items() for _ in self._tensors(value, st.span)]
        for name, old, new in zip(names, states, following, strict=True):
            try:
                for x, y in zip(old.type.shape, new.type.shape, strict=True):
                    place.same(x, y, f"`{name}` from one time to the next")
            except Mismatch:
                raise fail(
                    "A142", f"`{name}` is `{old.type}`, and next would be `{new.type}`",
                    loop.places.get(name, st.span), labels=[Label(loop.names[name], "its start")],
                    notes=self.trail(frame), help="each time of a `scan` takes what the one before left: one shape",
                ) from None

    def _leave(
        self, st: s.Scan, loop: Recurrence, sequences: list[tuple[str, Out]], items: list[Out], starts: list[Out],
        states: list[Out], following: list[Out], positions: Axis, region: int, frame: Frame,
    ) -> None:
        """The node that runs the body, and the names of what it gives."""
        if any(isinstance(x, Poison) for x in loop.outs):
            raise Silent
        emitted = [x for x in loop.outs if isinstance(x, Out)]
        try:
            made = [stacked(x.type, positions) for x in emitted]
        except Mismatch as error:
            assert loop.emitted is not None
            raise fail("A120", error.title, loop.emitted.span, notes=self.trail(frame),
                       help="what is the same at every position is read behind the loop as it is") from None
        node_id = self.work.new_id(frame.keys.under(self.work.regions[region].name or "scan"))
        record = Scan.model_construct(
            body=region, items=tuple(x.edge.node for x in items), states=tuple(x.edge.node for x in states),
            emits=len(emitted), axes=tuple(_place(x) for _, x in sequences),
        )
        sources = [*(x for _, x in sequences), *starts, *following, *emitted]
        outputs = (*(x.type for x in states), *made)
        if not outputs:
            raise fail("A141", "this `scan` carries nothing and emits nothing", st.span,
                       help="`emit y` gives one result for each position, `next state = ...` goes on to the next")
        self.work.add_node(Node(
            node_id, "scan", self.work.regions[region].name, record, tuple(x.edge for x in sources), outputs,
            frame.region, st.span, path=frame.body.trail,
        ))
        last = [Out(Edge(node_id, i), x.type) for i, x in enumerate(states)]
        self._hand_in(loop, list(last))
        flow = self.after_loop(loop, frame)
        results: list[Result] = [Out(Edge(node_id, len(states) + i), x) for i, x in enumerate(made)]
        if results:
            flow = Bundle(tuple(results), loop.labels)
        names = st.label.names if st.label else ()
        if isinstance(flow, Bundle):
            flow.title = self.work.regions[region].name
        self.label(names, flow if flow is not None else POISON, frame)
        path = self.work.regions[region].path
        if isinstance(flow, Bundle) and path:
            self.result(path, flow)
        frame.flow = flow


def _place(x: Out) -> int:
    place = x.type.find(Role.POSITION)
    assert place is not None
    return place


