"""A place in a file that does not exist, and a network of one op: what tests of records and lowerings stand on."""

from __future__ import annotations

from typing import Any

from ogive.dsl.dims import Dim, Poly, divide, symbol, symbols
from ogive.dsl.graph import Edge, Given, Graph, Node, Parameter, Region
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Mismatch, Weight
from ogive.dsl.source import Source
from ogive.dsl.types import Axis, Role, Segment, Tensor, image, tokens, vector

__all__ = [
    "B", "C", "H", "M", "N", "Spot", "W", "graph_of", "grid", "ids", "image", "made", "refused", "rows", "tokens",
    "vector", "weights",
]

B, C, H, W, N, M = (symbol(letter) for letter in "BCHWNM")
SPAN = Source("<test>", "op").span(0, 2)


class Spot:
    """A `Site`: what is equal is what is written alike; the rest is kept in `guards`."""

    def __init__(self, node: str = "made") -> None:
        self.node = node
        self.guards: list[tuple[Dim, Dim]] = []

    def same(self, left: Dim, right: Dim, what: str) -> None:
        if left == right:
            return
        if isinstance(left, int) and isinstance(right, int):
            raise Mismatch(f"{what}: {left} and {right}", code="A206")
        self.guards.append((left, right))

    def most(self, size: Dim, limit: Dim, what: str) -> None:
        if isinstance(size, int) and isinstance(limit, int) and size > limit:
            raise Mismatch(f"{what}: {size} > {limit}", code="A206")
        self.guards.append((size, limit))

    def fits(self, need: int, size: Dim, what: str) -> None:
        if need > 1:
            self.guards.append((need, size))

    def divide(self, left: Dim, right: Dim, what: str) -> Dim:
        exact = divide(left, right)
        if exact is not None:
            return exact
        if isinstance(left, int) and isinstance(right, int):
            raise Mismatch(f"{what}: {left} / {right} is not exact", code="A206")
        self.guards.append((left, right))
        return left // right

    def number(self, size: Dim, what: str) -> int:
        if isinstance(size, Poly):
            raise Mismatch(f"{what} is `{size}`", code="A205")
        return size

    def is_same(self, left: Dim, right: Dim) -> bool:
        return left == right

    def is_multiple(self, left: Dim, right: Dim) -> bool:
        return divide(left, right) is not None


def grid(h: Dim, w: Dim, c: Dim, prefix: int = 0, origin: str = "patches", batch: Dim = B) -> Tensor:
    """Tokens `B (h w) c`, behind `prefix` positions made by the node `cls`."""
    before = (Segment(prefix, (), "cls"),) if prefix else ()
    segments = (*before, Segment(h * w, (h, w), origin))
    return tokens(batch, Axis(Role.POSITION, prefix + h * w, segments), c)


def ids(n: Dim, batch: Dim = B) -> Tensor:
    """`B N of int`."""
    return Tensor((Axis(Role.BATCH, batch), Axis(Role.POSITION, n)), "int")


def rows(*axes: tuple[Role, Dim]) -> Tensor:
    """A tensor of these roles and sizes."""
    return Tensor(tuple(Axis(role, size) for role, size in axes))


def made(op: str, *inputs: Tensor, at: Spot | None = None, **settings: Any) -> Tensor:
    """The type of the first result."""
    return RECORDS[op](**settings).shape(at or Spot(), *inputs)[0]


def weights(op: str, *inputs: Tensor, **settings: Any) -> dict[str, tuple[tuple[int, ...], str | float]]:
    """Name -> (shape, init) of what the op owns."""
    record = RECORDS[op](**settings)
    record.shape(Spot(), *inputs)
    return {w.name: (w.shape, w.init) for w in record.weights(Spot(), *inputs)}


def refused(op: str, *inputs: Tensor, **settings: Any) -> Mismatch:
    """The `Mismatch` that these inputs and settings meet."""
    try:
        record = RECORDS[op](**settings)
        record.shape(Spot(), *inputs)
        record.weights(Spot(), *inputs)
    except Mismatch as error:
        assert error.setting is None or error.setting in RECORDS[op].model_fields
        assert error.input is None or 0 <= error.input < max(len(inputs), 1)
        return error
    raise AssertionError(f"{record} takes {', '.join(map(str, inputs))}")


def graph_of(
    op: str, *inputs: Tensor, key: str = "made", given: dict[str, Tensor] | None = None, **settings: Any
) -> Graph:
    """A network of one op: its inputs are x0, x1, ... and, named as they are, the weights that are supplied.

    Sizes that no input shows, as of a grid, are those of a last input `sizes` that nothing reads.
    """
    record = RECORDS[op](**settings)
    at = Spot()
    nodes = {f"x{i}": _input(f"x{i}", t) for i, t in enumerate(inputs)}
    supplied = {name: Given(edge=Edge(name)) for name in given or {}}
    nodes |= {name: _input(name, t) for name, t in (given or {}).items()}
    outputs = record.shape(at, *inputs)
    own = tuple(w for w in record.weights(at, *inputs) if w.name not in supplied)
    edges = tuple(Edge(id) for id in nodes)
    hidden = sorted(set().union(*(symbols(n) for t in (*inputs, *outputs) for n in t.shape)) - set(_free(nodes)))
    if hidden:
        nodes["sizes"] = _input("sizes", rows(*((Role.OTHER, symbol(name)) for name in hidden)))
    nodes["made"] = Node(
        "made", op, "made", record, edges, outputs, 0, SPAN, key if own else "", own, supplied,
        record.macs(inputs, outputs),
    )
    return Graph(
        "Net", nodes, tuple(id for id in nodes if id != "made"),
        tuple(("", Edge("made", i)) for i in range(len(outputs))),
        (Region(0, None, "network", "", "", "Net", SPAN),), _parameters(own, key), (), {}, _free(nodes),
    )


def _input(name: str, t: Tensor) -> Node:
    return Node(name, "input", name, None, (), (t,), 0, SPAN)


def _parameters(own: tuple[Weight, ...], key: str) -> dict[str, Parameter]:
    keys = {f"{key}.{w.name}" if w.name else key: w for w in own}
    return {name: Parameter(name, weight, "made", SPAN) for name, weight in keys.items()}


def _free(nodes: dict[str, Node]) -> dict[str, tuple[str, int]]:
    """Where a call shows the size of each symbol that is an axis by itself."""
    found: dict[str, tuple[str, int]] = {}
    for id, node in nodes.items():
        for i, size in enumerate(node.outputs[0].shape if node.primitive is None else ()):
            for name in symbols(size):
                if size == symbol(name):
                    found.setdefault(name, (id, i))
    return found
