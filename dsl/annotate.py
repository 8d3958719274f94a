"""Shape promises: `: B (1 + h w) C` binds what is new, and proves, refutes or assumes the rest."""

from __future__ import annotations

from collections.abc import Iterator

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.conditions import Condition, Contradiction, Inexact
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.dims import Dim, Poly, ceil_div, divide
from ogive.dsl.dims_text import show
from ogive.dsl.evaluate import Evaluator
from ogive.dsl.source import Span
from ogive.dsl.types import Axis, DType, Role, Segment, Tensor
from ogive.dsl.values import POISON, Bundle, Out, Poison, Silent, describe, whole
from ogive.dsl.work import Frame, Written

__all__ = ["DTYPES", "Annotator", "Broken", "Unbound", "letters"]

DTYPES: dict[str | None, DType] = {None: "float", "float": "float", "int": "int", "bool": "bool"}


class Unbound(Exception):
    """A letter that has no size yet."""

    def __init__(self, name: str) -> None:
        self.name = name


class Broken(Exception):
    """The promise does not hold: where, and what is true there."""

    def __init__(self, span: Span, label: str, help: str | None = None) -> None:
        self.span = span
        self.label = label
        self.help = help


def letters(shape: s.Shape) -> Iterator[s.NameDim | s.PinDim]:
    """The names in a shape, from left to right: those that are new become sizes."""
    todo: list[s.Dim] = list(reversed(shape.dims))
    while todo:
        dim = todo.pop()
        match dim:
            case s.NameDim():
                yield dim
            case s.PinDim():
                yield dim
                todo.append(dim.value)
            case s.OpDim():
                todo += [dim.right, dim.left]
            case s.CeilDim():
                todo.append(dim.value)
            case s.GroupDim():
                todo += [d for segment in reversed(dim.segments) for d in reversed(segment)]


class Annotator(Evaluator):
    """Annotations of lines and ports."""

    # ------------------------------------------------------------------------------------ sizes
    def dim(self, dim: s.Dim, frame: Frame) -> Dim:
        """The size that a dim stands for; `Unbound` when a letter in it is new."""
        match dim:
            case s.NumberDim():
                return dim.value
            case s.NameDim():
                return self._named(dim, frame)
            case s.ItemDim():
                return self._listed(dim, frame)
            case s.CeilDim():
                return self._ceiling(dim, frame)
            case s.PinDim():
                return self._pin(dim, frame)
            case s.OpDim():
                return self._operation(dim, frame)
            case s.AskDim():
                raise fail("A202", "`?` stands alone on an axis of a line", dim.span,
                           help="a letter of its own: `h`, or the size")
            case _:
                raise fail("A202", "this stands alone in a shape", dim.span)

    def _named(self, dim: s.NameDim, frame: Frame) -> Dim:
        entry = frame.names.find(dim.name)
        if entry is None:
            raise Unbound(dim.name)
        return self._size_of(entry.value, f"`{dim.name}` is", dim.span)

    def _size_of(self, value: object, what: str, span: Span) -> Dim:
        if isinstance(value, Poison):
            raise Silent
        if isinstance(value, Poly):
            return value
        number = whole(value)
        if number is None:
            hint = "a node names a segment of the positions: `(cls + h w)`" if isinstance(value, Bundle) else None
            raise fail("A202", f"{what} {describe(value)}, not a size", span, help=hint)
        return number

    def _listed(self, dim: s.ItemDim, frame: Frame) -> Dim:
        index: s.Expr = (
            s.Constant(dim.index, dim.span) if isinstance(dim.index, int) else s.Name(dim.index, dim.span)
        )
        value = self.value(s.Item(s.Name(dim.name, dim.span), index, dim.span), frame)
        return self._size_of(value, "this is", dim.span)

    def _ceiling(self, dim: s.CeilDim, frame: Frame) -> Dim:
        inside = dim.value
        if not isinstance(inside, s.OpDim) or inside.op != "/":
            return self.dim(inside, frame)
        below = self.dim(inside.right, frame)
        if below == 0:
            raise fail("A206", "this size divides by 0", dim.span, notes=self.trail(frame))
        return ceil_div(self.dim(inside.left, frame), below)

    def _pin(self, dim: s.PinDim, frame: Frame) -> Dim:
        value = self.dim(dim.value, frame)
        entry = frame.names.find(dim.name)
        if entry is None or entry.kind != "size":
            frame.names.bind(dim.name, value, dim.span, "size")
        elif isinstance(entry.value, Poison):
            raise Silent
        elif not self._agree(entry.value, value, frame, dim.span):
            raise Broken(dim.span, f"`{dim.name}` is {show(entry.value)} already")
        return value

    def _operation(self, dim: s.OpDim, frame: Frame) -> Dim:
        left, right = self.dim(dim.left, frame), self.dim(dim.right, frame)
        made: Dim
        match dim.op:
            case "+":
                made = left + right
            case "-":
                made = left - right
            case "*":
                made = left * right
            case "**":
                if not isinstance(right, int) or not 0 <= right <= 64:
                    raise fail("A202", "the power of a size is a whole number from 0 to 64", dim.span,
                               label=f"here it is {show(right)}")
                made = left**right
            case "/":
                made = self._quotient(dim, left, right, frame)
        if isinstance(made, int) and abs(made) > limits.INTEGER:
            raise fail("A509", f"this size goes beyond {limits.INTEGER:,}", dim.span)
        return made

    def _quotient(self, dim: s.OpDim, left: Dim, right: Dim, frame: Frame) -> Dim:
        try:
            value, condition = frame.body.facts.exact(left, right)
        except Inexact as error:
            raise fail("A206", str(error), dim.span, notes=self.trail(frame),
                       help=None if right == 0 else f"`ceil({dim.left.span.text} / {dim.right.span.text})` rounds up",
                       ) from None
        if condition is not None:
            self._assume(condition, dim.span, frame)
        return value

    def _assume(self, condition: Condition, span: Span, frame: Frame) -> None:
        self.work.guard(condition, span.text, span)
        try:
            frame.body.facts = frame.body.facts.with_condition(condition)
        except Contradiction:
            raise fail("A206", f"no size makes `{condition.show()}` true here", span, notes=self.trail(frame)) from None

    def _agree(self, promised: Dim, actual: Dim, frame: Frame, span: Span) -> bool:
        if promised == actual:
            return True
        if isinstance(promised, int) and isinstance(actual, int):
            return False
        verdict = frame.body.facts.equal(promised, actual)
        if verdict is None:
            self._assume(Condition("equal", actual, promised), span, frame)
        return verdict is not False

    # ------------------------------------------------------------------------------------ promises
    def promise(self, shape: s.Shape, out: Out, frame: Frame, code: str = "A202") -> None:
        """Hold a tensor against its annotation, binding the letters that are new.

        Raises:
            ArchError: `code`, the promise is broken: both shapes and the axis that differs.
        """
        actual = out.type
        try:
            self._dtype(shape, actual)
            for dim, axis in self._aligned(shape, actual):
                self._axis(dim, axis, frame)
            frame.body.written[out.edge] = Written(shape, frame)
        except Silent:
            self.unknown_letters(shape, frame)
        except Broken as broken:
            self.unknown_letters(shape, frame)
            raise fail(
                code, f"the shape here is `{actual}`, not `{shape.span.text}`", broken.span, label=broken.label,
                labels=self._whence(shape, out) if code == "A202" else (),
                notes=self.trail(frame), help=broken.help or self._after(frame),
            ) from None
        except Unbound as unbound:
            self.unknown_letters(shape, frame)
            raise fail(
                code, f"`{unbound.name}` has no size yet", shape.span, label=f"the shape is `{actual}`",
                notes=self.trail(frame),
                help="a new letter stands alone, as `h`, or in a product or sum with sizes that are known",
            ) from None
        except ArchError:
            self.unknown_letters(shape, frame)
            raise

    def _whence(self, shape: s.Shape, out: Out) -> list[Label]:
        """The line that a tensor comes from where it stands elsewhere, at the end of a block; else what its op reads:
        of another block, and any where axes are more or fewer."""
        node, here = self.work.nodes[out.edge.node], shape.span
        last = node.span.source.place(node.span.end)[0]
        if node.span.source is not here.source or not node.span.line <= here.line <= last:
            weighed = node
            while not weighed.own and weighed.inputs:
                weighed = self.work.nodes[weighed.inputs[0].node]
            found = [Label(node.span, "it is made here")]
            return [*found, Label(weighed.span, "from these weights")] if weighed.own and weighed is not node else found
        read = [(self.work.nodes[edge.node], edge) for edge in node.inputs]
        if len(shape.dims) == len(out.type.axes):  # what another block made of it is its matter
            read = [(x, edge) for x, edge in read if x.path != node.path and x.inputs][:1]
        return [Label(x.span, f"from `{x.outputs[edge.result]}`") for x, edge in read if x.span.line != here.line][:2]

    def unknown_letters(self, shape: s.Shape, frame: Frame) -> None:
        """What is new in a shape that was not held against anything has no size: its use says nothing."""
        for dim in letters(shape):
            if frame.names.find(dim.name) is None:
                frame.names.table[dim.name] = frame.names.entry(POISON, dim.span, "size")

    def _after(self, frame: Frame) -> str | None:
        """In a loop the promise may be meant for its end."""
        at: int | None = frame.region
        while at is not None:
            region = self.work.regions[at]
            if region.kind in ("block", "network"):
                return None
            if region.kind == "iteration" and region.parent is not None:
                count = self.work.regions[region.parent].count or 0
                if region.index is None or region.index < count - 1:
                    return "this runs in each iteration; what holds after the last one stands on a line below the loop"
            at = region.parent
        return None

    def _dtype(self, shape: s.Shape, actual: Tensor) -> None:
        if shape.dtype is not None and DTYPES.get(shape.dtype) != actual.dtype:
            raise Broken(shape.span, f"the elements are of {actual.dtype}")

    def _aligned(self, shape: s.Shape, actual: Tensor) -> list[tuple[s.Dim, Axis]]:
        dims = list(shape.dims)
        rest = [i for i, d in enumerate(dims) if isinstance(d, s.RestDim)]
        if len(rest) > 1:
            raise fail("A202", "`...` stands once in a shape", dims[rest[1]].span)
        if rest:
            after = len(dims) - rest[0] - 1
            if len(dims) - 1 > actual.rank:
                raise Broken(shape.span, f"{len(dims) - 1} axes at least, here are {actual.rank}")
            return self._around(dims, rest[0], after, actual)
        if len(dims) != actual.rank:
            raise Broken(shape.span, f"{len(dims)} axes; `{actual}` has {actual.rank}")
        return list(zip(dims, actual.axes, strict=True))

    def _around(self, dims: list[s.Dim], rest: int, after: int, actual: Tensor) -> list[tuple[s.Dim, Axis]]:
        """`... C` names the channel axis of any layout, `B ... H W` the axes at both ends."""
        pairs = list(zip(dims[:rest], actual.axes, strict=False))
        if after == 1:
            channel = actual.axis(Role.CHANNEL)
            if channel is None:
                raise Broken(dims[-1].span, f"`{actual}` has no channel axis")
            return [*pairs, (dims[-1], channel)]
        return pairs + (list(zip(dims[-after:], actual.axes[-after:], strict=True)) if after else [])

    def _axis(self, dim: s.Dim, axis: Axis, frame: Frame) -> None:
        if isinstance(dim, s.AnyDim):
            return
        if isinstance(dim, s.AskDim):
            found = self.work.read.get(dim.span, frozenset())
            self.work.read[dim.span] = found | {frame.body.facts.show(axis.size)}
            return
        if isinstance(dim, s.GroupDim):
            self._group(dim, axis, frame)
        else:
            self._settle(dim, axis.size, frame)

    def _settle(self, dim: s.Dim, actual: Dim, frame: Frame) -> None:
        """Make `dim` equal to `actual`: by binding its one new letter, or by proof."""
        if isinstance(dim, s.NameDim) and frame.names.find(dim.name) is None:
            if isinstance(actual, int) and actual < 0:
                raise Broken(dim.span, f"`{dim.name}` would be {actual}")
            frame.names.bind(dim.name, actual, dim.span, "size")
            return
        try:
            promised = self.dim(dim, frame)
        except Unbound:
            self._solve(dim, actual, frame)
            return
        if not self._agree(promised, actual, frame, dim.span):
            facts = frame.body.facts
            wanted, here = facts.show(promised), facts.show(actual)
            entry = frame.names.find(dim.name) if isinstance(dim, s.NameDim) else None
            if wanted == dim.span.text or isinstance(dim, s.PinDim):
                raise Broken(dim.span, f"here it is {here}")
            since = f" since line {entry.span.line}" if entry is not None and entry.kind == "size" else ""
            meant = [name for name in frame.names.visible() if self._is_size(name, actual, frame)]
            hint = f"`{meant[0]}` is {here}" if meant and isinstance(dim, s.NameDim) else None
            raise Broken(dim.span, f"`{dim.span.text}` is {wanted}{since}, here it is {here}", hint)

    def _is_size(self, name: str, size: Dim, frame: Frame) -> bool:
        """Whether a letter or parameter is just this size."""
        entry = frame.names.find(name)
        known = entry is not None and entry.kind in ("size", "parameter") and type(entry.value) in (int, Poly)
        return known and entry is not None and bool(entry.value == size)

    def _solve(self, dim: s.Dim, actual: Dim, frame: Frame) -> None:
        """`2*h = actual`, with `h` new."""
        if isinstance(dim, s.PinDim):
            self._settle(dim.value, actual, frame)
            self._settle(dim, actual, frame)
            return
        if isinstance(dim, s.OpDim) and dim.op in ("*", "+", "-", "/"):
            for known, new, right in ((dim.left, dim.right, True), (dim.right, dim.left, False)):
                try:
                    size = self.dim(known, frame)
                except Unbound:
                    continue
                rest = self._inverse(dim, size, actual, right, frame)
                if rest is not None:
                    self._settle(new, rest, frame)
                    return
                raise Broken(dim.span, f"{show(actual)} gives no whole number for `{new.span.text}`")
        raise Unbound(dim.span.text)

    def _inverse(self, dim: s.OpDim, known: Dim, actual: Dim, new_is_right: bool, frame: Frame) -> Dim | None:
        match dim.op:
            case "+":
                return actual - known
            case "*":
                return self._part(actual, known, dim.span, frame)
            case "-":
                return known - actual if new_is_right else actual + known
        return None if new_is_right or known == 0 else actual * known

    def _part(self, whole: Dim, known: Dim, span: Span, frame: Frame) -> Dim | None:
        """`whole / known`, assumed to be whole where sizes are free; None where it is not."""
        rest = None if known == 0 else divide(whole, known)
        if rest is not None or known == 0:
            return rest
        try:
            value, condition = frame.body.facts.exact(whole, known)
        except Inexact:
            return None
        if condition is not None:
            self._assume(condition, span, frame)
        return value

    def _group(self, group: s.GroupDim, axis: Axis, frame: Frame) -> None:
        if len(group.segments) == len(axis.segments) and "-" not in group.signs:
            for dims, segment in zip(group.segments, axis.segments, strict=True):
                self._segment(dims, segment, axis, frame)
            return
        self._total(group, axis, frame)

    def _segment(self, dims: tuple[s.Dim, ...], segment: Segment, axis: Axis, frame: Frame) -> None:
        origins = self._origins(dims[0], frame) if len(dims) == 1 else ()
        if origins:
            if segment.origin not in origins:
                where = f"comes from `{segment.origin}`" if segment.origin else "has no name"
                raise Broken(dims[0].span, f"this segment {where}")
            return
        if segment.grid and len(dims) == len(segment.grid):
            for dim, size in zip(dims, segment.grid, strict=True):
                self._settle(dim, size, frame)
            return
        self._product(dims, segment.size, axis, frame)

    def _origins(self, dim: s.Dim, frame: Frame) -> tuple[str, ...]:
        """The nodes that a name in a segment may mean; none where it is a size."""
        entry = frame.names.find(dim.name) if isinstance(dim, s.NameDim) else None
        if entry is None or not isinstance(entry.value, Bundle):
            return ()
        first = entry.value.first
        if not isinstance(first, Out):
            raise Silent
        position = first.type.axis(Role.POSITION)
        parts = position.segments if position is not None else ()
        return (first.edge.node, parts[0].origin) if len(parts) == 1 else (first.edge.node,)

    def _made_by(self, dim: s.Dim, frame: Frame) -> Dim | None:
        """How many positions the node has that a name means."""
        if not self._origins(dim, frame):
            return None
        assert isinstance(dim, s.NameDim)
        position = self.bound(dim.name, frame).first.type.axis(Role.POSITION)
        return 1 if position is None else position.size

    def _product(self, dims: tuple[s.Dim, ...], size: Dim, axis: Axis, frame: Frame) -> None:
        """`(h w)` of an axis that is no grid: all but one letter must be known."""
        known: Dim = 1
        new: list[s.Dim] = []
        for dim in dims:
            try:
                known = known * self.dim(dim, frame)
            except Unbound:
                new.append(dim)
        span = dims[0].span.to(dims[-1].span)
        if len(new) > 1 and axis.role is not Role.POSITION:
            raise Broken(span, f"{show(size)} in {len(new)} parts that are new: one of them can be found")
        if len(new) > 1:
            lost = f"; `{axis.lost}` let go of it" if axis.lost else ""
            raise Broken(span, f"{show(size)} positions without a grid{lost}")
        if not new:
            if not self._agree(known, size, frame, dims[0].span):
                raise Broken(span, f"this is {show(known)}, {_here(size, axis)}")
            return
        rest = self._part(size, known, span, frame)
        if rest is None:
            raise Broken(span, f"{show(size)} is no multiple of {show(known)}")
        self._settle(new[0], rest, frame)

    def _total(self, group: s.GroupDim, axis: Axis, frame: Frame) -> None:
        """Segments that the axis does not know: only their sum can be held against it."""
        total: Dim = 0
        new: list[tuple[tuple[s.Dim, ...], bool]] = []
        for dims, plus in zip(group.segments, (True, *(sign == "+" for sign in group.signs)), strict=True):
            try:
                size: Dim = 1
                for dim in dims:
                    size = size * (self._made_by(dim, frame) or self.dim(dim, frame))
            except Unbound:
                new.append((dims, plus))
                continue
            total = total + size if plus else total - size
        if len(new) > 1:
            raise Broken(group.span, f"{show(axis.size)} positions in {max(len(axis.segments), 1)} segments")
        if new:
            dims, plus = new[0]
            self._product(dims, axis.size - total if plus else total - axis.size, axis, frame)
        elif not self._agree(total, axis.size, frame, group.span):
            raise Broken(group.span, f"this is {show(total)}, {_here(axis.size, axis)}")


def _here(size: Dim, axis: Axis) -> str:
    return f"here are {show(size)} positions" if axis.role is Role.POSITION else f"here it is {show(size)}"
