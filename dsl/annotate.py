"""Shape promises: `: B (1 + h w) C` binds what is new, and proves, refutes or assumes the rest."""

from __future__ import annotations

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.conditions import Condition, Contradiction, Inexact
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import Dim, Poly, ceil_div, divide, symbol
from ogive.dsl.dims_text import show
from ogive.dsl.evaluate import Evaluator
from ogive.dsl.later import later
from ogive.dsl.source import Span
from ogive.dsl.types import Axis, DType, Role, Segment, Tensor
from ogive.dsl.values import Bundle, Out, Poison, describe
from ogive.dsl.work import Frame

__all__ = ["Annotator"]

ROLES = {
    2: (Role.BATCH, Role.CHANNEL),
    3: (Role.BATCH, Role.POSITION, Role.CHANNEL),
    4: (Role.BATCH, Role.CHANNEL, Role.ROW, Role.COL),
    5: (Role.BATCH, Role.CHANNEL, Role.FRAME, Role.ROW, Role.COL),
}
DTYPES: dict[str | None, DType] = {None: "float", "float": "float", "int": "int", "bool": "bool"}


class _Unbound(Exception):
    """A letter that has no size yet."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Broken(Exception):
    """The promise does not hold: where, and what is true there."""

    def __init__(self, span: Span, label: str) -> None:
        self.span = span
        self.label = label


class Annotator(Evaluator):
    """Annotations of lines and ports."""

    # ------------------------------------------------------------------------------------ sizes
    def dim(self, dim: s.Dim, frame: Frame) -> Dim:
        """The size that a dim stands for; `_Unbound` when a letter in it is new."""
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
                raise later("`?` in a shape", dim.span)
            case _:
                raise fail("A202", "this stands alone in a shape", dim.span)

    def _named(self, dim: s.NameDim, frame: Frame) -> Dim:
        entry = frame.names.find(dim.name)
        if entry is None:
            raise _Unbound(dim.name)
        value = entry.value
        if isinstance(value, Poison):
            raise _Silent
        if isinstance(value, bool) or not isinstance(value, int | Poly):
            if isinstance(value, float) and value.is_integer():
                return int(value)
            if len(value) == 1 if isinstance(value, tuple) else False:
                return int(value[0])
            raise fail("A202", f"`{dim.name}` is {describe(value)}, not a size", dim.span)
        return value

    def _listed(self, dim: s.ItemDim, frame: Frame) -> Dim:
        index: s.Expr = (
            s.Constant(dim.index, dim.span) if isinstance(dim.index, int) else s.Name(dim.index, dim.span)
        )
        value = self.value(s.Item(s.Name(dim.name, dim.span), index, dim.span), frame)
        if isinstance(value, Poison):
            raise _Silent
        if isinstance(value, bool) or not isinstance(value, int | Poly):
            raise fail("A202", f"this is {describe(value)}, not a size", dim.span)
        return value

    def _ceiling(self, dim: s.CeilDim, frame: Frame) -> Dim:
        inside = dim.value
        if isinstance(inside, s.OpDim) and inside.op == "/":
            return ceil_div(self.dim(inside.left, frame), self.dim(inside.right, frame))
        return self.dim(inside, frame)

    def _pin(self, dim: s.PinDim, frame: Frame) -> Dim:
        value = self.dim(dim.value, frame)
        entry = frame.names.find(dim.name)
        if entry is None or entry.kind != "size":
            frame.names.bind(dim.name, value, dim.span, "size")
        elif not self._agree(entry.value, value, frame, f"`{dim.name}`", dim.span):
            raise _Broken(dim.span, f"`{dim.name}` is {show(entry.value)}")
        return value

    def _operation(self, dim: s.OpDim, frame: Frame) -> Dim:
        left, right = self.dim(dim.left, frame), self.dim(dim.right, frame)
        match dim.op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "**":
                if not isinstance(right, int) or not 0 <= right <= 64:
                    raise fail("A202", "a size takes a small whole power", dim.span)
                return left**right
            case "/":
                try:
                    value, condition = frame.body.facts.exact(left, right)
                except (Inexact, ZeroDivisionError) as error:
                    raise fail("A206", f"this division is not exact: {error}", dim.span,
                               help="`ceil(a / b)` rounds up") from None
                if condition is not None:
                    self._assume(condition, dim.span, frame)
                return value

    def _assume(self, condition: Condition, span: Span, frame: Frame) -> None:
        self.work.guard(condition, span.text, span)
        try:
            frame.body.facts = frame.body.facts.with_condition(condition)
        except Contradiction:
            raise fail("A206", f"no size makes {condition.show()} true here", span) from None

    def _agree(self, promised: Dim, actual: Dim, frame: Frame, what: str, span: Span) -> bool:
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
        except _Silent:
            return
        except _Broken as broken:
            raise fail(
                code, f"the shape here is `{actual}`, not `{shape.span.text}`", broken.span, label=broken.label,
                notes=_trail(frame),
            ) from None
        except _Unbound as unbound:
            raise fail(
                code, f"`{unbound.name}` has no size yet", shape.span, label=f"the shape is `{actual}`",
                help="a new letter stands alone, as `h`, or in a product or sum with sizes that are known",
            ) from None

    def _dtype(self, shape: s.Shape, actual: Tensor) -> None:
        if shape.dtype is not None and DTYPES.get(shape.dtype) != actual.dtype:
            raise _Broken(shape.span, f"the elements are {actual.dtype}")

    def _aligned(self, shape: s.Shape, actual: Tensor) -> list[tuple[s.Dim, Axis]]:
        dims = list(shape.dims)
        rest = [i for i, d in enumerate(dims) if isinstance(d, s.RestDim)]
        if len(rest) > 1:
            raise fail("A202", "`...` stands once in a shape", dims[rest[1]].span)
        if rest:
            after = len(dims) - rest[0] - 1
            if len(dims) - 1 > actual.rank:
                raise _Broken(shape.span, f"{len(dims) - 1} axes at least, here are {actual.rank}")
            return self._around(dims, rest[0], after, actual)
        if len(dims) != actual.rank:
            raise _Broken(shape.span, f"{len(dims)} axes; `{actual}` has {actual.rank}")
        return list(zip(dims, actual.axes, strict=True))

    def _around(self, dims: list[s.Dim], rest: int, after: int, actual: Tensor) -> list[tuple[s.Dim, Axis]]:
        """`... C` names the channel axis of any layout."""
        last = dims[-1]
        if rest == 0 and after == 1 and isinstance(last, s.NameDim) and last.name == "C":
            channel = actual.axis(Role.CHANNEL)
            if channel is None:
                raise _Broken(last.span, f"`{actual}` has no channel axis")
            return [(last, channel)]
        pairs = list(zip(dims[:rest], actual.axes, strict=False))
        if after:
            pairs += list(zip(dims[-after:], actual.axes[-after:], strict=True))
        return pairs

    def _axis(self, dim: s.Dim, axis: Axis, frame: Frame) -> None:
        if isinstance(dim, s.AnyDim):
            return
        if isinstance(dim, s.GroupDim):
            self._group(dim, axis, frame)
        else:
            self._settle(dim, axis.size, frame)

    def _settle(self, dim: s.Dim, actual: Dim, frame: Frame) -> None:
        """Make `dim` equal to `actual`: by binding its one new letter, or by proof."""
        if isinstance(dim, s.NameDim) and frame.names.find(dim.name) is None:
            frame.names.bind(dim.name, actual, dim.span, "size")
            return
        try:
            promised = self.dim(dim, frame)
        except _Unbound:
            self._solve(dim, actual, frame)
            return
        if not self._agree(promised, actual, frame, "", dim.span):
            facts = frame.body.facts
            raise _Broken(dim.span, f"promised {facts.show(promised)}, it is {facts.show(actual)}")

    def _solve(self, dim: s.Dim, actual: Dim, frame: Frame) -> None:
        """`2*h = actual`, with `h` new."""
        if isinstance(dim, s.OpDim) and dim.op in ("*", "+", "-", "/"):
            for known, new, right in ((dim.left, dim.right, True), (dim.right, dim.left, False)):
                try:
                    size = self.dim(known, frame)
                except _Unbound:
                    continue
                rest = self._inverse(dim.op, size, actual, right)
                if rest is not None:
                    self._settle(new, rest, frame)
                    return
                raise _Broken(dim.span, f"{show(actual)} does not give a whole number here")
        raise _Unbound(dim.span.text)

    def _inverse(self, op: str, known: Dim, actual: Dim, new_is_right: bool) -> Dim | None:
        match op:
            case "+":
                return actual - known
            case "*":
                return divide(actual, known)
            case "-":
                return known - actual if new_is_right else actual + known
        return None if new_is_right else actual * known

    def _group(self, group: s.GroupDim, axis: Axis, frame: Frame) -> None:
        if len(group.segments) == len(axis.segments) and "-" not in group.signs:
            for dims, segment in zip(group.segments, axis.segments, strict=True):
                self._segment(dims, segment, axis, frame)
            return
        self._total(group, axis, frame)

    def _segment(self, dims: tuple[s.Dim, ...], segment: Segment, axis: Axis, frame: Frame) -> None:
        if len(dims) == 1 and self._origin(dims[0], frame) is not None:
            dim = dims[0]
            if self._origin(dim, frame) != segment.origin:
                raise _Broken(dim.span, f"this segment comes from `{segment.origin}`")
            return
        if segment.grid and len(dims) == len(segment.grid):
            for dim, size in zip(dims, segment.grid, strict=True):
                self._settle(dim, size, frame)
            return
        self._product(dims, segment.size, axis, frame)

    def _origin(self, dim: s.Dim, frame: Frame) -> str | None:
        """The node that a name in a segment means, if it means one."""
        entry = frame.names.find(dim.name) if isinstance(dim, s.NameDim) else None
        if entry is None or not isinstance(entry.value, Bundle):
            return None
        first = entry.value.first
        return first.edge.node if isinstance(first, Out) else None

    def _product(self, dims: tuple[s.Dim, ...], size: Dim, axis: Axis, frame: Frame) -> None:
        """`(h w)` of an axis that is no grid: all but one letter must be known."""
        known: Dim = 1
        new: list[s.Dim] = []
        for dim in dims:
            try:
                known = known * self.dim(dim, frame)
            except _Unbound:
                new.append(dim)
        if len(new) > 1:
            lost = f"; `{axis.lost}` let go of it" if axis.lost else ""
            raise _Broken(dims[0].span.to(dims[-1].span), f"{show(size)} positions without a grid{lost}")
        if not new:
            if not self._agree(known, size, frame, "", dims[0].span):
                raise _Broken(dims[0].span.to(dims[-1].span), f"promised {show(known)}, it is {show(size)}")
            return
        rest = divide(size, known)
        if rest is None:
            raise _Broken(dims[0].span.to(dims[-1].span), f"{show(size)} is no multiple of {show(known)}")
        self._settle(new[0], rest, frame)

    def _total(self, group: s.GroupDim, axis: Axis, frame: Frame) -> None:
        """Segments that the axis does not know: only their sum can be held against it."""
        total: Dim = 0
        new: list[tuple[tuple[s.Dim, ...], str]] = []
        signs = ("+", *group.signs)
        for dims, sign in zip(group.segments, signs, strict=True):
            try:
                size: Dim = 1
                for dim in dims:
                    size = size * self.dim(dim, frame)
            except _Unbound:
                new.append((dims, sign))
                continue
            total = total + size if sign == "+" else total - size
        if len(new) > 1:
            raise _Broken(group.span, f"{show(axis.size)} positions in {max(len(axis.segments), 1)} segments")
        if new:
            dims, sign = new[0]
            self._product(dims, axis.size - total if sign == "+" else total - axis.size, axis, frame)
        elif not self._agree(total, axis.size, frame, "", group.span):
            raise _Broken(group.span, f"promised {show(total)}, it is {show(axis.size)}")

    # ------------------------------------------------------------------------------------ ports of a network
    def port(self, port: s.Port, node: str, roles: dict[str, Role], frame: Frame) -> Tensor:
        """The type of a network's input; each new letter is a free size.

        Raises:
            ArchError: A204 an annotation that no tensor could have.
        """
        if port.shape.dtype not in DTYPES:
            raise fail("A204", f"elements are float, int or bool, not `{port.shape.dtype}`", port.shape.span)
        dtype = DTYPES[port.shape.dtype]
        dims = port.shape.dims
        axes: list[Axis] = []
        for i, dim in enumerate(dims):
            role = self._role(dim, i, len(dims), dtype, roles, port)
            axes.append(self._port_axis(dim, role, node, i, frame))
            name = dim.name if isinstance(dim, s.NameDim | s.PinDim) else None
            if name is not None:
                roles.setdefault(name, role)
        return Tensor(tuple(axes), dtype)

    def _role(
        self, dim: s.Dim, place: int, rank: int, dtype: DType, roles: dict[str, Role], port: s.Port
    ) -> Role:
        name = dim.name if isinstance(dim, s.NameDim | s.PinDim) else None
        if name is not None and name in roles:
            return roles[name]
        last = port.shape.dims[-1]
        if rank == 2 and (dtype != "float" or (isinstance(last, s.NameDim) and last.name == "N")):
            return (Role.BATCH, Role.POSITION)[place]
        if rank == 1:
            return Role.BATCH
        if rank not in ROLES:
            raise fail("A204", f"an input has 1 to 5 axes, here are {rank}", port.shape.span)
        return ROLES[rank][place]

    def _port_axis(self, dim: s.Dim, role: Role, node: str, place: int, frame: Frame) -> Axis:
        if isinstance(dim, s.GroupDim):
            return self._port_group(dim, role, node, frame)
        if isinstance(dim, s.AnyDim | s.RestDim):
            raise fail("A204", "an input of a network names each of its axes", dim.span)
        if isinstance(dim, s.NameDim) and frame.names.find(dim.name) is None:
            frame.names.bind(dim.name, symbol(dim.name), dim.span, "size")
            self.work.free[dim.name] = (node, place)
        size = self._port_size(dim, frame)
        segments = (Segment(size, (), node),) if role is Role.POSITION else ()
        return Axis(role, size, segments)

    def _port_group(self, group: s.GroupDim, role: Role, node: str, frame: Frame) -> Axis:
        segments: list[Segment] = []
        total: Dim = 0
        for dims in group.segments:
            sizes = tuple(self._port_size(dim, frame) for dim in dims)
            size: Dim = 1
            for n in sizes:
                size = size * n
            segments.append(Segment(size, sizes if len(sizes) > 1 else (), node))
            total = total + size
        return Axis(role, total, tuple(segments))

    def _port_size(self, dim: s.Dim, frame: Frame) -> Dim:
        try:
            size = self.dim(dim, frame)
        except _Unbound as unbound:
            raise fail(
                "A204", f"`{unbound.name}` cannot be read off the input", dim.span,
                help=f"pin it: `{unbound.name}=14`, or let it stand alone on an axis",
            ) from None
        except _Silent:
            return 1
        if isinstance(size, int) and not 1 <= size <= limits.DIM:
            raise fail("A204", f"an axis has 1 to {limits.DIM:,} elements, here {size}", dim.span)
        return size


class _Silent(Exception):
    """A size that is already reported as wrong."""


def _trail(frame: Frame) -> list[str]:
    return [f"in {' > '.join(frame.body.trail)}"] if frame.body.trail else []


