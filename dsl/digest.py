"""What a network is, in twenty letters: equal digests mean equal weights, ops, settings and wiring.

Figures such as parameters and multiply-adds do not see a dropped activation, another `eps` or two lines the other way
round. The digest does. It depends on what is computed and under which keys, and on nothing else: not on the order of
independent lines, on the names of lines without weights, on how the text is divided into blocks, or on promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from ogive.dsl.dims_text import show
from ogive.dsl.graph import Edge, Given, Graph, Node
from ogive.dsl.ops.activation import axis_spelled
from ogive.dsl.ops.record import Primitive, Reference, Size, show_setting
from ogive.dsl.types import SPATIAL

__all__ = ["PARTS", "digest", "ops_of", "ops_with", "part", "part_of", "same", "text_in", "text_of", "weights_of"]

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

KERNEL: Final = "size"
"""The setting of a convolution or pooling that is its kernel."""

PARTS = (("weights", 4), ("ops", 4), ("wiring", 8))
"""The parts of a digest in order, with their letters: keys and shapes; ops with settings; both, and who reads what.
A change of the weights changes the third part too, so the first part that differs says what is different."""


def digest(graph: Graph) -> str:
    """The digest of a network: `3fa9-11c2-9e0b77d1`, hexadecimal, a group for each of `PARTS`."""
    return "-".join(full[:letters] for full, (_, letters) in zip(_full(graph), PARTS, strict=True))


def same(left: Graph, right: Graph) -> bool:
    """Whether two graphs are the same network; by 256 bits of each part, not by the few that are printed."""
    return _full(left) == _full(right)


def ops_of(graph: Graph) -> list[str]:
    """What stands for each node in the second part, in the order they run."""
    return _walked(graph)[0]


def ops_with(graph: Graph, changed: Mapping[str, Primitive]) -> list[str]:
    """The same with other settings in some nodes: what stands for a node also stands where a setting names it."""
    return _walked(graph, changed)[0]


def weights_of(graph: Graph) -> list[str]:
    """What stands for each weight in the first part: its key, a blank, and what it is."""
    return [
        f"{key} {list(p.weight.shape)} {p.weight.dtype} {p.weight.buffer} {p.weight.trainable} {p.tied}"
        for key, p in graph.parameters.items()
    ]


def part(texts: Iterable[str], letters: int) -> str:
    """The first or second part of a digest, of what stands for each weight or node, in any order."""
    return _hash(sorted(texts))[:letters]


def part_of(counted: Mapping[str, int], letters: int) -> str:
    """The same, of each text and how often it stands there."""
    return _hash("\n".join([text] * n) for text, n in sorted(counted.items()) if n)[:letters]


def _full(graph: Graph) -> tuple[str, str, str]:
    ops, found = _walked(graph)
    wiring = [*(found[name] for name in graph.inputs), *(f"{name} {_edge(e, found)}" for name, e in graph.outputs)]
    return _hash(sorted(weights_of(graph))), _hash(sorted(ops)), _hash(wiring)


def _walked(graph: Graph, changed: Mapping[str, Primitive] = MappingProxyType({})) -> tuple[list[str], dict[str, str]]:
    """What stands for each node, and for each of them with all that it reads; some may have other settings."""
    found: dict[str, str] = {}
    ops: list[str] = []
    texts: dict[tuple[int, int], str] = {}  # of ops whose text needs no more, by identity: runs of a block share them
    for node in graph:  # in the order they run: what a node reads stands above it
        if node.id in changed:
            node = replace(node, primitive=changed[node.id])
        known = (id(node.primitive), 0 if node.primitive is None else _rank(node, graph))
        op = texts.get(known) or _op(node, graph, found)
        if node.primitive is not None and _stands_alone(type(node.primitive)):
            texts[known] = op
        ops.append(op)
        found[node.id] = _hash([op, node.key, *(_edge(e, found) for e in node.inputs), *_given(node, found)])
    return ops, found


def _op(node: Node, graph: Graph, found: dict[str, str]) -> str:
    """An op and its settings; of an input, its place in the call is what counts, so its name and type."""
    if node.primitive is None:
        (tensor,) = node.outputs
        axes = ", ".join(f"{axis.role} {show(axis.size)}" for axis in tensor.axes)
        return f"{node.op} {node.name} {axes} of {tensor.dtype}"
    return text_in(graph, node, node.primitive, found)


def text_in(graph: Graph, node: Node, primitive: Primitive, found: Mapping[str, str] = NOTHING) -> str:
    """What stands for an op in the second part, in the place of a node: its axis and its sizes are spelled in one way,
    however they are written."""
    if _has_axis(type(primitive)):
        primitive = axis_spelled(primitive, [graph.tensor(edge) for edge in node.inputs])
    return text_of(_sized(primitive, _rank(node, graph)), found)


def _rank(node: Node, graph: Graph) -> int:
    """Along how many axes the kernel of an op moves; 0 where it has none."""
    if node.primitive is None or not node.inputs or not _has_kernel(type(node.primitive)):
        return 0
    return sum(role in SPATIAL for role in graph.tensor(node.inputs[0]).roles)


def _sized(primitive: Primitive, rank: int) -> Primitive:
    """An op with its sizes spelled in one way: a kernel per axis, `3x3`, all others by one number where it is for all
    axes, `stride=2`."""
    changed: dict[str, Size] = {}
    for name in _sizes(type(primitive)):
        size = getattr(primitive, name)
        if isinstance(size, Size) and name == KERNEL and rank:
            size = Size(size * rank) if len(size) == 1 else size
        elif isinstance(size, Size) and len(set(size)) == 1:
            size = Size(size[:1])
        if size is not getattr(primitive, name):
            changed[name] = size
    return primitive.model_copy(update=changed) if changed else primitive


@cache
def _sizes(record: type[Primitive]) -> tuple[str, ...]:
    return tuple(name for name, field in record.model_fields.items() if "Size" in str(field.annotation))


@cache
def _has_kernel(record: type[Primitive]) -> bool:
    return record.family in ("conv", "pool") and KERNEL in _sizes(record)


@cache
def _has_axis(record: type[Primitive]) -> bool:
    return "axis" in record.model_fields or hasattr(record, "axis")


@cache
def _stands_alone(record: type[Primitive]) -> bool:
    """Whether the text of an op is the same whatever it reads."""
    return not (_has_axis(record) or record.references or record.tensors)


def text_of(primitive: Primitive, found: Mapping[str, str] = NOTHING) -> str:
    """What stands for an op in the second part; `found` has what stands for the nodes that its settings name."""
    settings = (f"{name}={_setting(value, found)}" for name, value in primitive.settings().items())
    return f"{primitive.op}({', '.join(settings)})"


def _setting(value: Any, found: Mapping[str, str]) -> str:
    """A setting as it would be typed; a node that it names stands for itself, whatever it is called."""
    if isinstance(value, Reference):
        return found.get(value.node, show_setting(value))
    return show_setting(value)


def _given(node: Node, found: dict[str, str]) -> Iterable[str]:
    for name, given in sorted(node.given.items()):
        yield f"{name}={_weight(given, found)}"


def _weight(given: Given, found: dict[str, str]) -> str:
    return f"tied {given.key}" if given.edge is None else _edge(given.edge, found)


def _edge(edge: Edge, found: dict[str, str]) -> str:
    return f"{found.get(edge.node, edge.node)}[{edge.result}]"


def _hash(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
