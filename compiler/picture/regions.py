"""regions of a graph -> frames and boxes, at one depth.

- A residual, gate or append has no frame: its skip is an arc into a small circle.
- Blocks are frames, or closed boxes below `depth`. A repeat is its runs (see `fold`); a run of one block takes the
  block's title. A repeat whose iterations all answer one shape is a stage, and is framed.
- A scope that comes to one box, or to a short chain of them, has no frame: its name stands in front of theirs.
- A norm, activation, dropout or reshaping that alone reads the op before it is glued below that op.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise, takewhile
from typing import Final

from ogive.compiler.picture.choice import Choice
from ogive.compiler.picture.fold import DROPS, Folding, Run, slots
from ogive.compiler.picture.links import connect
from ogive.compiler.picture.model import Box, Direction, Drawing, Frame, Item, Row
from ogive.compiler.picture.motif import motifs
from ogive.compiler.picture.resolution import staged
from ogive.compiler.picture.rise import rise
from ogive.compiler.picture.words import Shapes, describe, op_name, varied
from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Edge, Graph, Node, Region

__all__ = ["MOST_BOXES", "Layout"]

MOST_BOXES: Final = 2_000
"""Above so many boxes a layout takes minutes and nobody can read it."""

LIGHT: Final = frozenset({"norm", "activation", "regularise", "layout"})
SYMBOLS: Final = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "concat": "‖", "stack": "≡"}
TALLEST: Final = 12
"""How many ops are glued at most."""
NOTHING: Final = Choice()
CHAIN: Final = 3
"""How many boxes of a scope stand without a frame at most."""


class Layout:
    """One pass over the regions at one depth."""

    def __init__(
        self, graph: Graph, folding: Folding, depth: int, *, once: bool, dense: bool, choice: Choice = NOTHING,
        shut: frozenset[str] = frozenset(), shapes: Shapes | None = None,
        hints: dict[str, str] | None = None,
    ) -> None:
        self.once, self.dense, self.choice, self.shut = once, dense, choice, shut
        self.shapes = Shapes(graph) if shapes is None else shapes
        self.hints = {} if hints is None else hints
        self.cut = False
        """Whether anything was closed because of the depth."""
        self.opened: set[tuple[object, ...]] = set()
        self.graph, self.folding, self.depth = graph, folding, depth
        self.params: dict[str, int] = {}
        for p in graph.parameters.values():
            if not p.weight.buffer and p.tied is None:
                self.params[p.node] = self.params.get(p.node, 0) + p.numel
        hidden = {
            i for runs in folding.runs.values() for run in runs for i in run.iterations if i != run.drawn
        }
        self.inside: dict[int, list[str | Region]] = {}
        self.reads: dict[str, tuple[Edge, ...]] = {}
        self.readers: dict[str, list[str]] = {}
        seen: set[int] = set()
        for node in graph:
            chain = graph.region_chain(node)
            if any(r.id in hidden for r in chain):
                continue
            for outer, inner in pairwise(chain):
                if inner.id not in seen:
                    seen.add(inner.id)
                    self.inside.setdefault(outer.id, []).append(inner)
            self.inside.setdefault(node.region, []).append(node.id)
            self.reads[node.id] = tuple(folding.source(node.id, i, e) for i, e in enumerate(slots(node)))
            for edge in self.reads[node.id]:
                self.readers.setdefault(edge.node, []).append(node.id)
        for _, edge in graph.outputs:
            self.readers.setdefault(folding.drawn(edge.node), []).append("")
        self.names: set[str] = set()
        self.path = ""
        self.items = staged(self._stack(self._items(0, 0)), graph, self.shapes)

    def size(self) -> int:
        """How many boxes it comes to."""
        inside = sum(1 for item in self.items for _ in ((item,) if isinstance(item, Box) else item.boxes()))
        return inside + len(self.graph.outputs)

    def drawing(self, title: str, caption: str, direction: Direction = "down") -> Drawing:
        """The whole drawing.

        Raises:
            ArchError: A815, too many boxes.
        """
        graph, folding = self.graph, self.folding
        outputs = [
            Box(self._id(f"{name or 'output'} out"), "output", (Row((), "port", name or "output", ""),))
            for name, _ in self.graph.outputs
        ]
        if self.size() > MOST_BOXES:
            raise fail(
                "A815", f"`{graph.name}` would be a picture of {self.size():,} boxes; at most {MOST_BOXES:,} are drawn",
                help="a smaller `depth` closes blocks" if self.depth else "blocks and repeats can be closed and folded",
            )
        items, links = connect(
            (*self.items, *outputs), graph, folding, self.reads,
            [(box.id, folding.source(e.node, -1, e)) for box, (_, e) in zip(outputs, graph.outputs, strict=True)],
            self.shapes,
        )
        drawing = Drawing(
            self.graph.name, title, caption, items, links, self.graph.parameter_count, self.depth, direction=direction,
        )
        return rise(drawing, self.graph)

    # ------------------------------------------------------------------------------------------- regions to items

    def _items(self, region: int, level: int) -> list[str | Item]:
        """What stands in a region: ids of nodes (not yet stacked) and finished items, in the order they run."""
        found: list[str | Item] = []
        for child in self.inside.get(region, []):
            if isinstance(child, str):
                found.append(child)
            elif child.kind == "repeat":
                found += self._repeat(child, level)
            elif child.kind == "block":
                found.append(self._frame(child, self._short(child.path), child.title, level))
            elif child.kind == "scope":
                found += self._scope(child, level)
            elif child.kind == "scan":
                found.append(self._frame(child, self._short(child.path) or "scan", "", level, kind="repeat",
                                         note="for each position"))
            else:
                found += self._items(child.id, level)
        return found

    def _scope(self, region: Region, level: int) -> list[str | Item]:
        """A scope that comes to a single box, or to a short chain of them, needs no frame: its name goes in front."""
        if self.choice.closes([region.path]):
            return [self._frame(region, self._short(region.path), "", level, kind="scope")]
        before = set(self.names), self.cut, set(self.opened)
        for deeper in (level, level + 1) if self._parts(region.id) <= CHAIN else ():
            items = self._stack(self._items(region.id, deeper))
            if len(items) == 1 and isinstance(items[0], Box) and items[0].kind == "ops":
                rows = list(items[0].rows)
                at = next((i for i, row in enumerate(rows) if row.params), 0)
                rows[at] = replace(rows[at], name=rows[at].name or region.name)
                return [replace(items[0], rows=tuple(rows))]
            if len(items) <= CHAIN and self._is_chain(items):
                return list(items)
            self.names, self.cut, self.opened = set(before[0]), before[1], set(before[2])
        return [self._frame(region, self._short(region.path), "", level, kind="scope")]

    def _parts(self, region: int) -> int:
        """How many boxes or frames a region comes to at least; counted no further than says that they are too many."""
        found = 0
        for child in self.inside.get(region, []):
            if not isinstance(child, str):
                found += 1 if child.kind in ("block", "scope", "scan") else self._parts(child.id)
                if found > CHAIN:
                    break
        return found

    def _is_chain(self, items: tuple[Item, ...]) -> bool:
        """Whether these are boxes of which each reads nothing but the one before: without a frame they are told by
        their names and by standing below each other."""
        before: set[str] = set()
        for item in items:
            if not isinstance(item, Box) or item.kind not in ("ops", "closed"):
                return False
            own = set(item.nodes)
            sources = {self.folding.source(n, i, e).node for n in item.nodes if n in self.reads
                       for i, e in enumerate(slots(self.graph.nodes[n]))} - own
            if before and not sources <= before:
                return False
            before = own
        return True

    def _repeat(self, repeat: Region, level: int) -> list[str | Item]:
        runs = self.folding.runs.get(repeat.id, ())
        runs = tuple(run for run in runs if self.inside.get(run.drawn))
        if len(runs) < 2 or not repeat.name or not self._is_stage(runs):
            return [item for run in runs for item in self._run(repeat, run, runs, level)]
        titles = {block.title if (block := self._block(run.drawn)) else "" for run in runs}
        title = titles.pop() if len(titles) == 1 else ""
        count = sum(len(run.iterations) for run in runs)
        if self._is_closed([repeat.path], title, level):
            return [self._closed(repeat, self._short(repeat.path), title, count, self._nodes(repeat.id), "")]
        with self._within(repeat.path.rpartition(".")[0]):
            items = self._stack([item for run in runs for item in self._run(repeat, run, runs, level + 1)])
        return [Frame(
            self._id(repeat.path), "stage", repeat.name, "", 1, "", self._count(self._nodes(repeat.id)),
            self._times(self._nodes(repeat.id)), items,
        )]

    def _is_stage(self, runs: tuple[Run, ...]) -> bool:
        """Whether all iterations answer one shape."""
        shapes = {self.graph.nodes[self._nodes(run.drawn)[-1]].outputs[0].shape for run in runs}
        return len(shapes) == 1

    def _run(self, repeat: Region, run: Run, runs: tuple[Run, ...], level: int) -> list[str | Item]:
        count, block = len(run.iterations), self._block(run.drawn)
        name = self._short(repeat.path) if repeat.name else ""
        if count == 1 and block is None:
            return self._items(run.drawn, level)
        if (name and len(runs) > 1) or count == 1:
            first, last = (self.graph.regions[i].index for i in (run.iterations[0], run.iterations[-1]))
            if name:
                name = f"{name}.{first}" if count == 1 else f"{name}.{first}–{last}"
        region, title = (block, block.title) if block else (self.graph.regions[run.drawn], "")
        kind = "block" if block else "repeat"
        paths = [self.graph.regions[i].path for i in run.iterations] + ([repeat.path] if len(runs) == 1 else [])
        return [self._frame(region, name, title, level, count=count, note=self._note(run), kind=kind, paths=paths)]

    def _block(self, region: int) -> Region | None:
        """The one block that a region holds, if it holds nothing else."""
        inside = self.inside.get(region, [])
        if len(inside) == 1 and not isinstance(inside[0], str) and inside[0].kind == "block":
            return inside[0]
        return None

    def _frame(
        self, region: Region, name: str, title: str, level: int, *, count: int = 1, note: str = "",
        kind: str = "block", paths: Sequence[str] = (),
    ) -> Item:
        nodes = self._nodes(region.id)
        paths = [region.path, *paths]
        if self._is_closed(paths, title, level):
            return self._closed(region, name, title, count, nodes, note)
        if kind == "block" and self._known(title, nodes) and not self.choice.opens(paths):
            return self._closed(region, name, title, count, nodes, note)
        with self._within(region.path):
            items = self._stack(self._items(region.id, level + 1))
        assert kind in ("block", "repeat", "scope")
        return Frame(
            self._id(region.path or title), kind, name, title, count, note, self._count(nodes),  # type: ignore[arg-type]
            self._times(nodes), items,
        )

    def _is_closed(self, paths: Sequence[str], title: str, level: int) -> bool:
        """Whether a part is closed: by the reader's choice, or because of the depth."""
        if title in self.shut or self.choice.closes(paths):
            return True
        if level < self.depth or self.choice.opens(paths):
            return False
        self.cut = True
        return True

    def _known(self, title: str, nodes: list[str]) -> bool:
        """Whether a block of these ops and this wiring, at any width, stands open already; from now on it does."""
        local = {node: i for i, node in enumerate(nodes)}
        key = (title, *(
            (self.graph.nodes[n].op, tuple((local.get(e.node), e.result) for e in self.reads[n])) for n in nodes
        ))
        if self.once and key in self.opened:
            return True
        self.opened.add(key)
        return False

    def _closed(self, region: Region, name: str, title: str, count: int, nodes: list[str], note: str) -> Box:
        members = tuple(m for n in nodes for m in self.folding.members[n])
        row = Row(
            members, "block", name, title or name, f"×{count}" if count > 1 else "", self._count(nodes),
            self._times(nodes), hint=f"{region.path} {title}".strip(),
        )
        return Box(self._id(region.path or title), "closed", (row,), note=note)

    @contextmanager
    def _within(self, path: str) -> Iterator[None]:
        """Names inside are written without the path of the frame around them."""
        outer, self.path = self.path, path or self.path
        yield
        self.path = outer

    def _short(self, path: str) -> str:
        return path[len(self.path) + 1 :] if self.path and path.startswith(self.path + ".") else path

    def _note(self, run: Run) -> str:
        """What varies between the iterations of a run, in words."""
        words = []
        for node, settings in run.varying.items():
            op = self.graph.nodes[node].op
            for setting, values in settings.items():
                what = op_name(op) if op in DROPS else f"{op_name(op)} {setting}"
                words.append(f"{what} {varied(values)}")
        if run.shared:
            words.append("one set of weights" + ("" if run.whole else f": {_common(run.shared)}"))
        return "; ".join(dict.fromkeys(words))

    # -------------------------------------------------------------------------------------------------- nodes to boxes

    def _stack(self, items: list[str | Item]) -> tuple[Item, ...]:
        """Ids become boxes; a light op that alone reads the last row of a box joins it."""
        found: list[Item | list[str]] = []
        ends: dict[str, list[str]] = {}  # last node of a stack -> the stack
        for item in items:
            if not isinstance(item, str):
                found.append(item)
                continue
            stack = ends.pop(self._above(item), None) if self._above(item) else None
            if stack is None or len(stack) == TALLEST:
                stack = []
                found.append(stack)
            stack.append(item)
            if not self._symbol(self.graph.nodes[item]) and self.graph.nodes[item].primitive is not None:
                ends[item] = stack
        return tuple(self._box(item) if isinstance(item, list) else item for item in found)

    def _above(self, node: str) -> str:
        """The node that `node` may be glued to, or ""."""
        n = self.graph.nodes[node]
        if n.primitive is None or len(self.reads[node]) != 1 or not (self.dense or n.primitive.family in LIGHT):
            return ""
        source = self.reads[node][0]
        alone = self.readers.get(source.node) == [node] and source.result == 0
        return source.node if alone and len(self.graph.nodes[source.node].outputs) == 1 else ""

    def _box(self, stack: list[str]) -> Box:
        head = self.graph.nodes[stack[0]]
        if head.primitive is None:
            row = Row((head.id,), "port", head.name or head.id, "", hint=self._hint(head))
            return Box(self._id(head.id), "input", (row,))
        symbol = self._symbol(head)
        rows = tuple(self._row(self.graph.nodes[node], i > 0) for i, node in enumerate(stack))
        heads = len(head.inputs) if head.op == "attend" and len(head.inputs) == 3 else 0
        return Box(self._id(head.id), "merge" if symbol else "ops", rows, symbol, heads=heads)

    def _hint(self, node: Node) -> str:
        """What is shown when the mouse rests on a row; it is asked for at every depth that is tried."""
        if node.id not in self.hints:
            self.hints[node.id] = str(node.outputs[0] if node.primitive is None else node)
        return self.hints[node.id]

    def _symbol(self, node: Node) -> str:
        return SYMBOLS.get(node.op, "") if len(node.inputs) > 1 else ""

    def _row(self, node: Node, below: bool) -> Row:
        assert node.primitive is not None
        family = node.primitive.family
        members = self.folding.members[node.id]
        path = self.graph.regions[node.region].path
        name = "" if node.name in ("", node.op) else self._short(f"{path}.{node.name}" if path else node.name)
        params = self._count([node.id])
        return Row(
            members, family, name, op_name(node.op),
            describe(node.primitive, self.folding.varying.get(node.id)), params,
            self._times([node.id]),
            small=family in LIGHT and (below or (not params and family != "norm")),
            ports=len(node.outputs) if node.primitive.parts else 0,
            hint=self._hint(node),
            motifs=motifs(self.graph, members) if node.op == "attend" else (),
        )

    # --------------------------------------------------------------------------------------------------------- counts

    def _nodes(self, region: int) -> list[str]:
        """The drawn nodes of a region, in order."""
        found: list[str] = []
        for child in self.inside.get(region, []):
            found += [child] if isinstance(child, str) else self._nodes(child.id)
        return found

    def _count(self, nodes: list[str]) -> int:
        return sum(self.params.get(m, 0) for n in nodes for m in self.folding.members[n])

    def _times(self, nodes: list[str]) -> int:
        """How often a part was folded: what its parameters divide by to be those of one run. 1 where weights are
        shared between the runs: then they are told in all."""
        owners = {sum(1 for m in self.folding.members[n] if m in self.params) for n in nodes}
        owners.discard(0)
        runs = {self.folding.times[n] for n in nodes if any(m in self.params for m in self.folding.members[n])}
        return owners.pop() if owners == runs and len(owners) == 1 else 1

    def _id(self, wish: str) -> str:
        name, n = wish, 1
        while name in self.names:
            n += 1
            name = f"{wish} {n}"
        self.names.add(name)
        return name


def _common(keys: tuple[str, ...]) -> str:
    """The module that all keys are in."""
    parts = list(takewhile(lambda words: len(set(words)) == 1, zip(*(key.split(".") for key in keys), strict=False)))
    return ".".join(words[0] for words in parts) or ", ".join(keys[:3])
