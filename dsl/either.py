"""Two sides of an `if` that each call decides: both are built, and joined where they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ogive.dsl import syntax as s
from ogive.dsl.carried import Carried, Loop
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.dims import Dim, symbol
from ogive.dsl.graph import Edge, Node
from ogive.dsl.names import Entry, Names
from ogive.dsl.ops.merge import Concat
from ogive.dsl.ops.record import Family, Primitive
from ogive.dsl.source import Span
from ogive.dsl.types import Axis, Role, Segment, Tensor
from ogive.dsl.values import POISON, Bundle, Out, Poison, Result, Silent, describe, is_list
from ogive.dsl.when import ALWAYS, NEVER, Partial, When
from ogive.dsl.work import Frame

__all__ = ["Either", "Eithers"]


class Either(Primitive):
    """What one side of an `if` or the other gave: the first input where `when` holds, else the second.

    `sizes` are the sizes that differ: (symbol, on the first side, on the second). No graph that is handed out has one
    (`assemble.py` decides them).
    """

    op: ClassVar[str] = "if"
    statement: ClassVar[bool] = True
    family: ClassVar[Family] = "merge"
    inputs: ClassVar[tuple[str, ...]] = ("then", "other")

    when: When
    sizes: tuple[tuple[str, Any, Any], ...] = ()


@dataclass(slots=True)
class Side:
    """One side of an `if`, built: the condition that leads there, and what is so at its end."""

    when: When
    flow: Bundle | Poison | None
    table: Mapping[str, Entry]
    returned: Bundle | None
    following: Mapping[str, Any]


class Eithers(Carried):
    """`if training:`, `if mask:`."""

    def decide(self, st: s.If, frame: Frame) -> None:
        """An `if`: one side where it is decided while building, all that a call may choose otherwise."""
        before = self.work.when
        rest = before
        sides: list[Side] = []
        for test, body in st.branches:
            truth = ALWAYS if test is None else self.test(test, frame)
            if isinstance(truth, Poison):
                raise Silent
            chosen = truth.given(rest)
            if chosen.never:
                continue
            if chosen.always and not sides:
                self.suite(body, frame)
                return
            sides.append(self._side(rest & truth, body, frame))
            rest = rest & ~truth
            if rest.never:
                break
        if not sides:
            return
        if not rest.never:
            sides.append(self._side(rest, (), frame))
        self._meet(sides, st.span, frame)

    def _side(self, when: When, body: Sequence[s.Stmt], frame: Frame) -> Side:
        """Build one side: its names and facts are its own."""
        before, facts = self.work.when, frame.body.facts
        loop = frame.loop if isinstance(frame.loop, Loop) else None
        following = dict(loop.following) if loop else {}
        inner = frame.inner(names=Names(frame.names))
        inner.flow = frame.flow
        self.work.when = when
        try:
            self.suite(body, inner)
        finally:
            self.work.when = before
        frame.body.facts = facts
        returned, frame.body.returned = frame.body.returned, None
        made = dict(loop.following) if loop else {}
        if loop:
            loop.following = following
        return Side(when, inner.flow, inner.names.table, returned, made)

    def _meet(self, sides: list[Side], span: Span, frame: Frame) -> None:
        """Go on after the sides: with what those have that did not `return`."""
        open_sides = [side for side in sides if side.returned is None]
        for side in sides:
            if side.returned is not None:
                frame.body.pending.append((side.when, side.returned))
        if not open_sides:
            _, frame.body.returned = frame.body.pending.pop()
            return
        if len(open_sides) < len(sides):
            left = open_sides[0].when
            for side in open_sides[1:]:
                left = left | side.when
            self.work.when = left
        if len(open_sides) == 1:
            only = open_sides[0]
            for name, entry in only.table.items():
                frame.names.hand_out(name, entry)
            frame.flow = only.flow
            if isinstance(frame.loop, Loop):
                frame.loop.following = dict(only.following)
            return
        frame.flow = self._join_flows(open_sides, span, frame)
        self._join_names(open_sides, frame)
        self._join_following(open_sides, span, frame)

    def _join_flows(self, sides: list[Side], span: Span, frame: Frame) -> Bundle | Poison | None:
        flows = [side.flow for side in sides]
        if any(flow is None for flow in flows):
            return None
        return self.joined([(side.when, side.flow) for side in sides], "the flow", span, frame)  # type: ignore[no-any-return]

    def _join_names(self, sides: list[Side], frame: Frame) -> None:
        """Names of all sides stand for either; those of one side are there only where it is taken."""
        names = dict.fromkeys(name for side in sides for name in side.table)
        for name in names:
            have = [side for side in sides if name in side.table]
            entry = have[0].table[name]
            pairs = [(side.when, side.table[name].value) for side in have]
            try:
                value = self.joined(pairs, f"`{name}`", entry.span, frame)
            except ArchError as error:  # wrong only where the name is read behind the sides
                value = Partial(None, NEVER, name, entry.span, clash=error)
            if isinstance(value, Partial) and value.clash is not None:
                pass
            elif len(have) < len(sides) and not isinstance(value, Poison):
                when = have[0].when
                for side in have[1:]:
                    when = when | side.when
                value = Partial(value, when, name, entry.span)
            frame.names.hand_out(name, Entry(value, entry.span, entry.kind, entry.origin))

    def _join_following(self, sides: list[Side], span: Span, frame: Frame) -> None:
        """`next` on the sides of an `if`: a side that does not say it keeps the value."""
        loop = frame.loop
        if not isinstance(loop, Loop):
            return
        for name in dict.fromkeys(name for side in sides for name in side.following):
            pairs = [(side.when, side.following.get(name, loop.values[name])) for side in sides]
            loop.following[name] = self.joined(pairs, f"`next {name}`", span, frame)

    # ------------------------------------------------------------------------------------ in expressions
    def choice(self, expr: s.Conditional, frame: Frame) -> Any:
        """`a if test else b`: one of them where the test is decided, else a tensor that is either."""
        truth = self.test(expr.test, frame)
        if isinstance(truth, Poison):
            return POISON
        if truth.always or truth.never:
            return self.value(expr.then if truth.always else expr.other, frame)
        before = self.work.when
        values: list[Any] = []
        for when, side in ((truth, expr.then), (~truth, expr.other)):
            self.work.when = before & when
            try:
                values.append(self.operand(side, frame))
            finally:
                self.work.when = before
        if not all(_is_data(x) or isinstance(x, Poison) for x in values):
            what = f"`{expr.test.span.text}` is decided by each call: only a tensor can be either"
            raise fail("A143", what, expr.span, notes=self.trail(frame),
                       help=f"`if {expr.test.span.text}:` with lines of its own on each side")
        return self.joined([(truth, values[0]), (~truth, values[1])], "this", expr.span, frame)

    def instead(self, left: Any, expr: s.Binary, frame: Frame) -> Any:
        """`x or y`: the optional input `x` when the call gives it, else `y`."""
        if isinstance(left, Poison):
            return POISON
        if not isinstance(left, Partial):  # every call here has it
            if isinstance(expr.left, s.Name) and isinstance(self.bound(expr.left.name, frame), Partial):
                return left
            what = f"`{expr.left.span.text}` is always there, so `or` never comes to the other side"
            raise fail("A143", what, expr.left.span,
                       notes=self.trail(frame), help="`x or y` is for an optional input: `input x?: B N`")
        for name in left.when.flags:
            self.work.ask(name, expr.left.span)
        before = self.work.when
        self.work.when = before & ~left.when
        try:
            right = self.operand(expr.right, frame)
        finally:
            self.work.when = before
        if isinstance(right, Partial) and right.value is not None and right.clash is None:  # `a or b or x`
            made = self.joined([(left.when, left.value), (~left.when, right.value)], "this", expr.span, frame)
            return Partial(made, left.when | right.when, expr.span.text, expr.span)
        right = self.there(right, expr.right.span)
        if not _is_data(right) and not isinstance(right, Poison):
            raise fail("A143", f"`{left.name} or ...` takes a tensor; here is {describe(right)}", expr.right.span)
        if (before & left.when).never:
            return right
        return self.joined([(left.when, left.value), (~left.when, right)], f"`{left.name} or ...`", expr.span, frame)

    # ------------------------------------------------------------------------------------ joining values
    def joined(self, pairs: Sequence[tuple[When, Any]], what: str, span: Span, frame: Frame) -> Any:
        """One value for several sides.

        Raises:
            ArchError: A144 the sides give values of different kinds.
        """
        value = pairs[-1][1]
        for when, other in reversed(pairs[:-1]):
            value = self._either(when, other, value, what, span, frame)
        return value

    def _either(self, when: When, a: Any, b: Any, what: str, span: Span, frame: Frame) -> Any:
        if isinstance(a, Poison) or isinstance(b, Poison):
            return POISON
        if a is b:
            return a
        if isinstance(a, Bundle) and isinstance(b, Bundle):
            if len(a.outs) == len(b.outs) and a.labels == b.labels:
                both = zip(a.outs, b.outs, strict=True)
                outs = tuple([self._either_result(when, x, y, what, span, frame) for x, y in both])
                return Bundle(outs, a.labels, a.parts and b.parts, title=a.title if a.title == b.title else "")
            if not (a.parts or b.parts):
                return Bundle((self._either_result(when, a.first, b.first, what, span, frame),))
        elif is_list(a) and is_list(b) and len(a) == len(b):
            return tuple(self._either(when, x, y, what, span, frame) for x, y in zip(a, b, strict=True))
        elif not _is_data(a) and not _is_data(b):
            if type(a) is type(b) and a == b:
                return a
            here = when.said(self.work.when)
            raise fail("A143", f"{what} is {describe(a)} {_says(here)}, and {describe(b)} otherwise: each call decides",
                       span, notes=self.trail(frame),
                       help="what is no tensor is known while building: use each value on its own side of the `if`")
        raise self._unlike(when, describe(a), describe(b), what, span, frame)

    def _either_result(self, when: When, a: Result, b: Result, what: str, span: Span, frame: Frame) -> Result:
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            return tuple([self._either_result(when, x, y, what, span, frame) for x, y in zip(a, b, strict=True)])
        if isinstance(a, Out) and isinstance(b, Out):
            return a if a.edge == b.edge else self.either(when, a, b, what, span, frame)
        if isinstance(a, Poison) or isinstance(b, Poison):
            return POISON
        raise self._unlike(when, describe(a), describe(b), what, span, frame)

    def either(self, when: When, a: Out, b: Out, what: str, span: Span, frame: Frame) -> Out:
        """The node that stands for `a` where `when` holds, for `b` elsewhere."""
        if a.type.roles != b.type.roles or a.type.dtype != b.type.dtype:
            raise self._unlike(when, f"`{a.type}`", f"`{b.type}`", what, span, frame)
        a, b = self._over_the_batch(a, b, span, frame), self._over_the_batch(b, a, span, frame)
        sizes: list[tuple[str, Dim, Dim]] = []
        axes = tuple(self._wider_axis(x, y, sizes, frame) for x, y in zip(a.type.axes, b.type.axes, strict=True))
        made = Tensor(axes, a.type.dtype)
        node_id = self.work.new_id(frame.keys.under("if"))
        record = Either.model_construct(when=when, sizes=tuple(sizes))
        self.work.add_node(
            Node(node_id, "if", "", record, (a.edge, b.edge), (made,), frame.region, span, path=frame.body.trail)
        )
        return Out(Edge(node_id), made)

    def _over_the_batch(self, one: Out, other: Out, span: Span, frame: Frame) -> Out:
        """A batch of one, laid out over that of the other side: a `concat` of one."""
        mine, wanted = one.type.axis(Role.BATCH), other.type.axis(Role.BATCH)
        if mine is None or wanted is None or mine.size != 1 or wanted.size == 1:
            return one
        made = Tensor((wanted, *one.type.axes[1:]), one.type.dtype)
        node_id = self.work.new_id(frame.keys.under("concat"))
        node = Node(node_id, "concat", "", Concat(), (one.edge,), (made,), frame.region, span, path=frame.body.trail)
        self.work.add_node(node)
        self.work.unsaid.add(node_id)
        return Out(Edge(node_id), made)

    def _wider_axis(self, a: Axis, b: Axis, sizes: list[tuple[str, Dim, Dim]], frame: Frame) -> Axis:
        """An axis of either: a size that differs is a new symbol, segments that differ are lost."""
        if a == b:
            return a
        size = a.size
        if a.size != b.size and frame.body.facts.equal(a.size, b.size) is not True:
            name = self.work.new_symbol()
            sizes.append((name, a.size, b.size))
            size = symbol(name)
        if a.role is not Role.POSITION:
            return Axis(a.role, size)
        same = size == a.size and [_plain(x) for x in a.segments] == [_plain(x) for x in b.segments]
        return Axis(a.role, size, a.segments if same else (), "" if same else "the two sides of an `if`")

    def _unlike(self, when: When, a: str, b: str, what: str, span: Span, frame: Frame) -> ArchError:
        return fail(
            "A144", f"{what} is {a} {_says(when.said(self.work.when))}, and {b} otherwise", span,
            notes=self.trail(frame),
            help="both sides are built and meet here: lists as long as each other" if a[:6] == b[:6] == "a list"
            else "both sides are built and meet here: same axes in the same order, only sizes may differ",
        )


def _plain(segment: Segment) -> tuple[Dim, tuple[Dim, ...], str]:
    return segment.size, segment.grid, segment.origin


def _is_data(value: Any) -> bool:
    return isinstance(value, Bundle | Out | Partial) or is_list(value)


def _says(when: When) -> str:
    return "while training" if str(when) == "training" else f"when `{when}`"


