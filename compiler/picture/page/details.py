"""What the page says about an op or a frame: key, shapes, parameters, multiply-adds, and its places in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ogive.compiler.cost import sizes_of
from ogive.compiler.picture.fold import Folding
from ogive.compiler.picture.model import Box, Frame
from ogive.compiler.picture.page.texts import Texts
from ogive.compiler.picture.words import Shapes, op_name, varied
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph, Node, Region
from ogive.dsl.source import Span

__all__ = ["Details", "drawn_nodes", "pattern"]

SAID: Final = frozenset({"block", "repeat", "scope", "scan", "residual", "gate", "append"})
"""Regions whose line is a step of the way from the network to an op."""

BLOCK: Final = r"(?m)^block[ \t]+{}\b[^\n]*"


class Details:
    """The facts of one graph, collected as they are asked for; `texts` are those that places are in."""

    def __init__(self, graph: Graph, sizes: Mapping[str, int] | None = None) -> None:
        self.graph, self.shapes = graph, Shapes(graph, sizes)
        self.texts = Texts()
        self.params: dict[str, int] = {}
        for p in graph.parameters.values():
            if not p.weight.buffer and p.tied is None:
                self.params[p.node] = self.params.get(p.node, 0) + p.numel
        self.macs, self.at = _macs(graph, sizes)

    def node(self, id: str, folding: Folding) -> dict[str, Any]:
        """An op; of one that stands for several, the figures of one run and what differs."""
        graph, node = self.graph, self.graph.nodes[id]
        members = folding.members.get(id, (id,))
        times = folding.times.get(id, 1)
        found: dict[str, Any] = {
            "path": pattern(members),
            "op": op_name(node.op) if node.primitive is not None else "input",
            "call": str(node.primitive) if node.primitive is not None else "",
            "out": [self.shapes(tensor) for tensor in node.outputs],
            "in": [self.shapes(graph.tensor(edge)) for edge in node.data],
            "places": self._places(node),
        }
        found |= self._figures(members, times)
        if node.own and (key := pattern([graph.nodes[m].key for m in members if graph.nodes[m].own])):
            found["key"] = key
            found["weights"] = [[w.name, "×".join(map(str, w.shape)), bool(w.buffer)] for w in node.own]
        if varying := folding.varying.get(id):
            found["varies"] = [f"{name}: {varied(values)}" for name, values in varying.items()]
        return found

    def frame(self, frame: Frame, folding: Folding) -> dict[str, Any]:
        """A block, repeat, scope or stage; figures are of one run."""
        nodes = [node for box in frame.boxes() for node in drawn_nodes(box, folding)]
        members = [m for node in nodes for m in folding.members.get(node, (node,))]
        found: dict[str, Any] = {
            "path": frame.name if frame.count == 1 else f"{frame.name} ×{frame.count}",
            "op": frame.title or frame.kind, "call": "", "in": [], "out": [], "places": self._around(frame, nodes),
        }
        if nodes:
            found["out"] = [self.shapes(tensor) for tensor in self.graph.nodes[nodes[-1]].outputs]
        found |= self._figures(members, frame.times)
        if frame.note:
            found["varies"] = frame.note.split("; ")
        return found

    def _figures(self, members: Sequence[str], times: int) -> dict[str, Any]:
        params = sum(self.params.get(m, 0) for m in members)
        found: dict[str, Any] = {"params": params, "times": times}
        if self.macs is not None:
            found["macs"] = sum(self.macs[m] for m in members)
        return found

    # ------------------------------------------------------------------------------------------------------- places

    def _places(self, node: Node) -> list[Any]:
        """The line of a node, then the way to it: what it is in, from inside out."""
        chain = [region for region in reversed(self.graph.region_chain(node)) if region.kind in SAID]
        return self._way([(node.span, node.op), *((region.span.first(_head(region.span)), _word(region))
                                                 for region in chain)])

    def _around(self, frame: Frame, nodes: Sequence[str]) -> list[Any]:
        """The definition of a block, then the lines that use it, from inside out."""
        chains = [self.graph.region_chain(self.graph.nodes[node]) for node in nodes]
        common: list[Region] = []
        for level in zip(*chains, strict=False):
            if any(region.id != level[0].id for region in level):
                break
            common.append(level[0])
        while len(common) > 1 and common[-1].kind in ("residual", "gate", "append", "iteration"):
            common.pop()
        spans = [(r.span.first(_head(r.span)), _word(r)) for r in reversed(common) if r.kind in SAID]
        if frame.title and nodes:
            source = self.graph.nodes[nodes[0]].span.source
            head = re.search(BLOCK.format(re.escape(frame.title)), source.text)
            if head is not None:
                spans.insert(0, (source.span(*head.span()), "definition"))
        return self._way(spans)

    def _way(self, spans: Sequence[tuple[Span, str]]) -> list[Any]:
        found: list[Any] = []
        for span, word in spans:
            place = self.texts.place(span) if span.source.quoted is None else None
            if place is not None and (not found or found[-1][:5] != place):
                found.append([*place, word])
        return found


def drawn_nodes(box: Box, folding: Folding) -> list[str]:
    """The node that each row of a box was drawn from; none of an output or of a point where lines branch."""
    if box.kind == "input":
        return [box.id] if box.id in folding.members else []
    return [folding.drawn(row.nodes[0]) for row in box.rows if row.nodes]


def _head(span: Span) -> int:
    """How much of a statement with a body is its first line."""
    return len(span.text.partition("\n")[0])


def _word(region: Region) -> str:
    return region.title or region.name or region.kind


def _macs(graph: Graph, given: Mapping[str, int] | None) -> tuple[Mapping[str, int] | None, str]:
    """The multiply-adds of every node and the sizes they are for; None where a size has no default."""
    try:
        sizes = sizes_of(graph, given)
        return {node.id: graph.cost(node, sizes) for node in graph}, ", ".join(f"{k} = {v}" for k, v in sizes.items())
    except ArchError:
        return None, ""


def pattern(names: Sequence[str]) -> str:
    """Names that differ in numbers as one: `blocks.0–11.attn.qkv`."""
    parts = [name.split(".") for name in names]
    if not parts or len({len(words) for words in parts}) > 1:
        return ", ".join(dict.fromkeys(names[:3])) + (", …" if len(set(names)) > 3 else "")
    found = []
    for words in zip(*parts, strict=True):
        values = list(dict.fromkeys(words))
        if len(values) == 1:
            found.append(values[0])
        elif all(v.isascii() and v.isdigit() for v in values):
            numbers = sorted(map(int, values))
            whole = numbers == list(range(numbers[0], numbers[-1] + 1))
            found.append(f"{numbers[0]}–{numbers[-1]}" if whole else "{" + ",".join(map(str, numbers)) + "}")
        else:
            found.append("{" + ",".join(values[:4]) + "}")
    return ".".join(found)
