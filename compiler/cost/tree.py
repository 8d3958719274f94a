"""A network part by part: blocks, scopes and repeats as rows, equal iterations folded into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ogive.compiler.cost.clock import Machine, seconds
from ogive.compiler.cost.nodes import NodeCost, costs, owned_by
from ogive.compiler.cost.sizes import sizes_of
from ogive.dsl.graph import Graph, Node, Region
from ogive.dsl.types import sized

__all__ = ["SUMS", "Row", "leaves", "tree"]

PLAIN: Final = frozenset({"residual", "gate", "append"})
"""Regions that stand for no part: their lines are shown in the part around them."""


@dataclass(frozen=True, slots=True)
class Row:
    """A part of a network or one of its nodes.

    Figures are of one run; a row with `times` > 1 stands for that many equal iterations, and what is below it is shown
    for one of them. `text` is the op with its settings, or the title of the block. What the figures of a node are, says
    `NodeCost`; those of a part are sums, but `live` is the most that lies there at once, and `reach` and `stride` are
    those of its last node. `seconds` is None where no machine is asked about.
    """

    name: str
    path: str
    text: str
    shape: str
    params: int
    macs: int
    nodes: int
    times: int = 1
    children: tuple[Row, ...] = ()
    kind: str = "node"
    look: Any = field(default=None, repr=False, compare=False)
    """What two iterations must share to be shown as one."""
    density: float | None = None
    """Of attention over a set: the share of all (query, key) pairs that are in it, where it is less than all."""
    macs_dense: int = 0
    weights: int = 0
    moved: int = 0
    live: int = 0
    kept: int = 0
    matrix: int = 0
    scores: int = 0
    reach: str = ""
    stride: str = ""
    seconds: float | None = None
    op: str = ""
    """The name of a node's op; "" of a part."""

    @property
    def intensity(self) -> float:
        """FLOP for each byte moved, two for a multiply-add."""
        return 2 * self.macs / self.moved if self.moved else 0.0

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": self.name, "path": self.path, "op": self.text, "shape": self.shape, "params": self.params,
            "macs": self.macs, "macs_dense": self.macs_dense, "weight_bytes": self.weights, "bytes_moved": self.moved,
            "live_bytes": self.live, "kept_bytes": self.kept, "attention": self.matrix, "attention_held": self.scores,
            "intensity": round(self.intensity, 3), "field": self.reach, "stride": self.stride, "nodes": self.nodes,
            "times": self.times,
        }
        if self.seconds is not None:
            found["seconds"] = self.seconds
        if self.density is not None:
            found["density"] = self.density
        if self.children:
            found["rows"] = [row.as_json() for row in self.children]
        return found


SUMS: Final = ("params", "macs", "nodes", "macs_dense", "weights", "moved", "kept", "matrix", "scores")
"""Figures of a part that are sums of those of what is in it."""


def tree(
    graph: Graph, given: Mapping[str, int] | None = None, *, width: int = 4, machine: Machine | None = None
) -> Row:
    """The network part by part; equal iterations of a repeat are one row. Shapes show the `given` sizes as numbers.

    Weights that run in other kinds of calls only are a part of their own, the last.

    Args:
        width: bytes of a float.
        machine: what `seconds` are for.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    values = sizes_of(graph, given)
    cost = costs(graph, values, width)
    times = {} if machine is None else seconds(graph, cost, values, machine)
    whole = _Tree(graph, cost, times, dict(given or {})).row(0)
    return whole if not graph.elsewhere else _with_others(whole, graph, width)


def leaves(row: Row, runs: int = 1) -> Iterator[tuple[Row, int]]:
    """The nodes below a row, each with how often it runs."""
    runs *= row.times
    if row.kind == "node":
        yield row, runs
    for child in row.children:
        yield from leaves(child, runs)


def _with_others(whole: Row, graph: Graph, width: int) -> Row:
    """With the weights that this kind of call does not use."""
    owned = owned_by(graph, width)
    rows = tuple(
        Row(node.name or node.op, node.key or node.id, str(node.primitive), "", owned.get(node.id, (0, 0))[0], 0, 0,
            weights=owned.get(node.id, (0, 0))[1], op=node.op)
        for node in graph.elsewhere.values()
    )
    params, weights = sum(row.params for row in rows), sum(row.weights for row in rows)
    part = Row("weights of other calls", "", "", "", params, 0, 0, children=rows,
               kind="scope", weights=weights)
    return replace(whole, params=whole.params + params, weights=whole.weights + weights,
                   children=(*whole.children, part))


class _Tree:
    """Rows of the regions of one graph."""

    def __init__(
        self, graph: Graph, cost: Mapping[str, NodeCost], times: Mapping[str, float], shown: dict[str, int]
    ) -> None:
        self.graph, self.cost, self.times, self.shown = graph, cost, times, shown
        self.inside: dict[int, list[Node | int]] = {region.id: [] for region in graph.regions}
        seen: set[int] = set()
        for node in graph:
            at = graph.regions[node.region]
            while at.parent is not None and at.id not in seen:  # a region stands where its first node stands
                seen.add(at.id)
                self.inside[at.parent].append(at.id)
                at = graph.regions[at.parent]
            self.inside[node.region].append(node)

    def row(self, number: int) -> Row:
        """The row of a region with everything below it."""
        region = self.graph.regions[number]
        rows = self._rows(region)
        kinds = {row.kind for row in rows}
        if len(rows) == 1 and kinds <= {"block", "scope"} and region.kind in {"iteration", "repeat"}:
            (only,) = rows
            if only.path == region.path:  # blocks[i]: a lone block has the iteration's key
                return replace(only, name=region.name, kind=region.kind)
        return self._sum(region, rows)

    def _rows(self, region: Region) -> tuple[Row, ...]:
        found: list[Row] = []
        for item in self.inside[region.id]:
            if isinstance(item, Node):
                found.append(self._node(item))
                continue
            child = self.graph.regions[item]
            if child.kind in PLAIN or (child.kind in {"repeat", "iteration"} and not child.path and not child.name):
                found += self._rows(child)
            else:
                found.append(self.row(item))
        return _folded(found) if region.kind == "repeat" else tuple(found)

    def _sum(self, region: Region, rows: tuple[Row, ...]) -> Row:
        if region.kind == "repeat" and len(rows) == 1 and rows[0].kind == "iteration":
            (only,) = rows  # all iterations are equal
            return replace(only, name=region.name, path=region.path, kind="repeat")
        title = region.title if region.kind in {"block", "network"} else ""
        name = region.name or region.title
        if region.kind == "network":
            name, title = region.title, ""
        sums: dict[str, Any] = {what: sum(getattr(r, what) * r.times for r in rows) for what in SUMS}
        spent = [r.seconds * r.times for r in rows if r.seconds is not None]
        last = rows[-1] if rows else None
        return Row(
            name, region.path, title, last.shape if last else "", **sums, children=rows, kind=region.kind,
            live=max((r.live for r in rows), default=0), seconds=sum(spent) if self.times else None,
            reach=last.reach if last else "", stride=last.stride if last else "",
            look=(region.kind == "iteration" or name, title, tuple(r.look for r in rows)),
        )

    def _node(self, node: Node) -> Row:
        shape = ", ".join(str(sized(t, self.shown)) for t in node.outputs)
        text = "input" if node.primitive is None else str(node.primitive)
        one, name = self.cost[node.id], node.name or node.op
        return Row(
            name, node.key or node.id, text, shape, one.params, one.macs, 1,
            look=(node.op, node.name, shape, one.params, one.macs), density=one.density, macs_dense=one.macs_dense,
            weights=one.weights, moved=one.moved, live=one.live, kept=one.kept, matrix=one.matrix, scores=one.scores,
            reach=str(one.field), stride=one.field.steps, seconds=self.times.get(node.id), op=node.op,
        )


def _folded(rows: list[Row]) -> tuple[Row, ...]:
    """Neighbouring iterations that look the same become one row."""
    found: list[list[Row]] = []
    for row in rows:
        if found and row.kind == "iteration" and row.look == found[-1][-1].look:
            found[-1].append(row)
        else:
            found.append([row])
    return tuple(_merged(group) for group in found)


def _merged(rows: list[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    first, last = rows[0], rows[-1]
    return replace(_alike(rows), name=f"{first.name}-{last.name}", times=len(rows))


def _alike(rows: list[Row]) -> Row:
    """The row of the first iteration; a setting that changes from one to the next is left out. What is kept is the mean
    of all, what is live the most, and the field is that of the last."""
    first, last = rows[0], rows[-1]
    children = tuple(_alike([row.children[i] for row in rows]) for i in range(len(first.children)))
    text = first.text if all(row.text == first.text for row in rows) else f"{first.text.partition('(')[0]}(...)"
    return replace(
        first, text=text, children=children, live=max(row.live for row in rows), reach=last.reach, stride=last.stride,
        kept=sum(row.kept for row in rows) // len(rows),
    )
