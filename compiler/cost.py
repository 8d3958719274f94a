"""What a network costs: parameters, multiply-adds and shapes at given sizes, part by part. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph, Node, Region
from ogive.dsl.ops.attention import Attend
from ogive.dsl.types import sized

__all__ = ["DEFAULTS", "Row", "figures", "macs", "sizes_of", "tree"]

DEFAULTS: Final = {"B": 1, "H": 224, "W": 224}
"""The sizes that figures are taken at where the network leaves them free."""

PLAIN: Final = frozenset({"residual", "gate", "append"})
"""Regions that stand for no part: their lines are shown in the part around them."""


@dataclass(frozen=True, slots=True)
class Row:
    """A part of a network or one of its nodes.

    `params` and `macs` are of one run; a row with `times` > 1 stands for that many equal iterations, and what is below
    it is shown for one of them. `text` is the op with its settings, or the title of the block.
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

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": self.name, "path": self.path, "op": self.text, "shape": self.shape, "params": self.params,
            "macs": self.macs, "nodes": self.nodes, "times": self.times,
        }
        if self.density is not None:
            found["density"] = self.density
        if self.children:
            found["rows"] = [row.as_json() for row in self.children]
        return found


def sizes_of(graph: Graph, given: Mapping[str, int] | None = None) -> dict[str, int]:
    """A number for every size that the network leaves free: `given`, else `DEFAULTS`.

    Raises:
        ArchError: A802, an unknown name, a value that is no size, a size without a default, or sizes that the file
            rules out.
    """
    for name, value in (given or {}).items():
        if name not in graph.free:
            what = "its free sizes" if graph.free else "name: all its sizes are fixed"
            raise fail("A802", f"`{graph.name}` has no free size `{name}`", help=offer(name, graph.free, what))
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise fail("A802", f"the size `{name}` is a whole number from 1; here is {value!r}")
    values = {**DEFAULTS, **(given or {})}
    missing = [name for name in graph.free if name not in values]
    if missing:
        name = missing[0]
        raise fail("A802", f"the figures of `{graph.name}` depend on `{name}`", help=f"give it a size: `{name}=...`")
    found = {name: values[name] for name in graph.free}
    for guard in graph.guards:
        if not guard.condition.holds(found):
            at = ", ".join(f"{name} = {found[name]}" for name in sorted(guard.condition.symbols) if name in found)
            raise fail(
                "A802", f"`{graph.name}` does not work at {at}", guard.span, label=f"needs `{guard.condition.show()}`",
                help="other sizes, each as `name=size`",
            )
    return found


def macs(graph: Graph, given: Mapping[str, int] | None = None) -> int:
    """Multiply-adds of one forward.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    values = sizes_of(graph, given)
    return sum(graph.cost(node, values) for node in graph)


def figures(graph: Graph, given: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The totals: name, parameters, multiply-adds, number of nodes, and the sizes they are taken at."""
    return {
        "name": graph.name, "params": graph.parameter_count, "macs": macs(graph, given), "nodes": len(graph),
        "sizes": sizes_of(graph, given),
    }


def tree(graph: Graph, given: Mapping[str, int] | None = None) -> Row:
    """The network part by part; equal iterations of a repeat are one row. Shapes show the `given` sizes as numbers.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    return _Tree(graph, sizes_of(graph, given), dict(given or {})).row(0)


class _Tree:
    """Rows of the regions of one graph."""

    def __init__(self, graph: Graph, values: dict[str, int], shown: dict[str, int]) -> None:
        self.graph, self.values, self.shown = graph, values, shown
        self.params: dict[str, int] = {}
        for p in graph.parameters.values():
            if not p.weight.buffer and p.tied is None:
                self.params[p.node] = self.params.get(p.node, 0) + p.numel
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
        return Row(
            name, region.path, title, rows[-1].shape if rows else "",
            sum(r.params * r.times for r in rows), sum(r.macs * r.times for r in rows),
            sum(r.nodes * r.times for r in rows), 1, rows, region.kind,
            (region.kind == "iteration" or name, title, tuple(r.look for r in rows)),
        )

    def _node(self, node: Node) -> Row:
        shape = ", ".join(str(sized(t, self.shown)) for t in node.outputs)
        text = "input" if node.primitive is None else str(node.primitive)
        params, cost = self.params.get(node.id, 0), self.graph.cost(node, self.values)
        name = node.name or node.op
        look = (node.op, node.name, shape, params, cost)
        return Row(name, node.key or node.id, text, shape, params, cost, 1, look=look, density=self._density(node))

    def _density(self, node: Node) -> float | None:
        """The share of the pairs that attention looks at; None for all of them, and for what has no pairs."""
        if not isinstance(node.primitive, Attend):
            return None
        found = node.primitive.density(tuple(sized(self.graph.tensor(edge), self.values) for edge in node.data))
        return found if found is not None and found < 1 else None


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
    children = tuple(_alike([row.children[i] for row in rows]) for i in range(len(first.children)))
    return replace(first, name=f"{first.name}-{last.name}", times=len(rows), children=children)


def _alike(rows: list[Row]) -> Row:
    """The row of the first iteration; a setting that changes from one to the next is left out."""
    first = rows[0]
    children = tuple(_alike([row.children[i] for row in rows]) for i in range(len(first.children)))
    text = first.text if all(row.text == first.text for row in rows) else f"{first.text.partition('(')[0]}(...)"
    return replace(first, text=text, children=children)
