"""What a run of a block came to, said of another run of it: the same values with other nodes, keys and places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ogive.dsl.graph import Edge, Given
from ogive.dsl.names import Entry, Names
from ogive.dsl.ops.loop import Scan
from ogive.dsl.ops.record import Primitive, Reference
from ogive.dsl.types import Tensor
from ogive.dsl.values import Bundle, OpValue, Out, ParamValue, Setting
from ogive.dsl.when import Partial

__all__ = ["Renaming"]


@dataclass(slots=True)
class Renaming:
    """From one run to another: its nodes by `names`, its key path, its call path and its regions, the first of which
    has the number `region`, the others those from `inner` on."""

    names: Mapping[str, str]
    paths: tuple[str, str]
    trails: tuple[tuple[str, ...], tuple[str, ...]]
    regions: tuple[int, int]
    inner: tuple[int, int]
    tensors: dict[int, Tensor] = field(default_factory=dict)
    """By the identity of the old one, which the old run keeps alive."""
    calls: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def node(self, name: str) -> str:
        return self.names.get(name, name)

    def edge(self, edge: Edge) -> Edge:
        return Edge(self.names.get(edge.node, edge.node), edge.result)

    def key(self, key: str) -> str:
        """A key of the run; all of them lie at its path or below it."""
        return self.paths[1] + key[len(self.paths[0]) :]

    def trail(self, path: tuple[str, ...]) -> tuple[str, ...]:
        found = self.calls.get(path)
        if found is None:
            found = self.calls[path] = self.trails[1] + path[len(self.trails[0]) :]
        return found

    def region(self, number: int) -> int:
        return self.regions[1] if number == self.regions[0] else number + self.inner[1] - self.inner[0]

    def tensor(self, tensor: Tensor) -> Tensor:
        found = self.tensors.get(id(tensor))
        if found is None:
            found = self.tensors[id(tensor)] = tensor.renamed(self.node)
        return found

    def given(self, given: Given) -> Given:
        return Given(given.key and self.key(given.key), given.edge and self.edge(given.edge))

    def primitive(self, primitive: Primitive) -> Primitive:
        """The op, where its settings name nodes, or the region that is the body of a `scan`."""
        if isinstance(primitive, Scan):
            return primitive.model_copy(update={
                "body": self.region(primitive.body), "items": tuple(map(self.node, primitive.items)),
                "states": tuple(map(self.node, primitive.states)),
            })
        changed: dict[str, Any] = {}
        for name in (*primitive.references, *primitive.tensors):
            value = getattr(primitive, name)
            if isinstance(value, Reference):
                changed[name] = Reference(self.node(value.node), self.tensor(value.tensor), value.result)
        return primitive.model_copy(update=changed) if changed else primitive

    # ------------------------------------------------------------------------------------ values of names
    def value(self, value: Any) -> Any:
        if isinstance(value, Bundle):
            return self.bundle(value)
        if isinstance(value, Out):
            return Out(self.edge(value.edge), self.tensor(value.type))
        if type(value) is tuple:
            return tuple([self.value(x) for x in value])
        if isinstance(value, Partial):
            return replace(value, value=self.value(value.value))
        if isinstance(value, ParamValue):
            place = self.region(value.region)
            return ParamValue(self.key(value.key), value.shape, place, self.trail(value.path))
        if isinstance(value, OpValue) and value.settings:
            settings = tuple([Setting(x.name, self.value(x.value), x.span, x.origin, x.whole) for x in value.settings])
            return OpValue(value.target, settings, value.span, value.preset)
        return value

    def bundle(self, value: Bundle) -> Bundle:
        title = value.title  # a key path where it has a dot, else the name of a line
        if title.startswith(self.paths[0] + "."):
            title = self.key(title)
        return Bundle(
            tuple([self.value(x) for x in value.outs]), value.labels, value.parts,
            None if value.inner is None else _Renamed(value.inner, self),
            None if value.items is None else {i: self.bundle(x) for i, x in value.items.items()},
            value.key and self.key(value.key), title,
        )


class _Renamed(Names):
    """The names of a run that was copied, worked out when one of them is read: most never are."""

    __slots__ = ("_names", "_renaming", "_table")

    def __init__(self, names: Names, renaming: Renaming) -> None:
        self.parent = None
        self._names = names
        self._renaming = renaming
        self._table: dict[str, Entry] | None = None

    @property
    def table(self) -> dict[str, Entry]:  # type: ignore[override]
        if self._table is None:
            self._table = {
                name: Entry(self._renaming.value(x.value), x.span, x.kind, x.origin)
                for name, x in self._names.table.items()
            }
        return self._table
