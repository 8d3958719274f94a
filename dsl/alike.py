"""Whether two graphs are the same network: what they compute, node by node, whatever their nodes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ogive.dsl.facts import Facts
from ogive.dsl.graph import Edge, Graph, Guard, Node, Returned
from ogive.dsl.ops.activation import AXES
from ogive.dsl.ops.loop import Scan
from ogive.dsl.ops.record import Primitive, Reference
from ogive.dsl.ops.regroup import Rearrange
from ogive.dsl.types import Tensor

__all__ = ["difference"]


def difference(one: Graph, other: Graph, keys: bool = True) -> str | None:
    """The first thing in which two graphs differ, in words; None when they are the same network.

    Compared are the nodes in their order (learned tensors, which take no data, in that of their keys), with their
    settings, inputs and shapes, the weights, results and guards; with `keys`, the keys of the state_dict too, in any
    order. Letters of free sizes may differ without `keys`.
    """
    if len(one) != len(other):
        return f"{len(other)} nodes, not {len(one)}"
    pairs = list(zip(_ordered(one, keys), _ordered(other, keys), strict=True))
    ids = {node.id: twin.id for node, twin in pairs}
    for node, twin in pairs:
        what = _node(node, twin, ids, keys, one.guards, [one.tensor(edge) for edge in node.inputs])
        if what is not None:
            return f"`{twin.id}`, line {twin.span.line}: {what}"
    if [(n, _edges(r, ids)) for n, r in one.returns] != list(other.returns) and keys:
        return "the results"
    if keys:
        if {k: p.tied for k, p in one.parameters.items()} != {k: p.tied for k, p in other.parameters.items()}:
            return "the keys of the state_dict"
        if {k: p.weight for k, p in one.parameters.items()} != {k: p.weight for k, p in other.parameters.items()}:
            return "the weights"
    elif [p.weight for p in one.parameters.values()] != [p.weight for p in other.parameters.values()]:
        return "the weights"
    if keys and not (_follow(one.guards, other.guards) and _follow(other.guards, one.guards)):
        return "what is assumed of the input's sizes"
    return None


def _follow(guards: Sequence[Guard], known: Sequence[Guard]) -> bool:
    """Whether all these guards hold where those known do."""
    new = {g.condition for g in guards} - {g.condition for g in known}
    if not new:
        return True
    facts = _facts(known)
    return all(facts.holds(condition) is True for condition in new)


def _facts(guards: Sequence[Guard]) -> Facts:
    facts = Facts()
    for guard in guards:
        facts = facts.with_condition(guard.condition)
    return facts


def _ordered(graph: Graph, keys: bool) -> list[Node]:
    first = [node for node in graph if node.op == "learned"]
    if keys:
        first.sort(key=lambda node: node.key)
    return [*first, *(node for node in graph if node.op != "learned")]


def _node(
    node: Node, twin: Node, ids: Mapping[str, str], keys: bool, guards: Sequence[Guard], tensors: Sequence[Tensor]
) -> str | None:
    mine, other = _placed(node.primitive, ids, tensors), _placed(twin.primitive, {}, tensors)
    if node.op != twin.op or mine != other:
        return f"`{twin.primitive or twin.op}`, not `{node.primitive or node.op}`"
    if tuple(_edges(edge, ids) for edge in node.inputs) != twin.inputs:
        return "other inputs"
    if keys and not _alike(node, twin, guards):
        return f"`{twin.outputs[0]}`, not `{node.outputs[0]}`"
    if [t.roles for t in node.outputs] != [t.roles for t in twin.outputs] or node.require != twin.require:
        return "another layout"
    return None


def _alike(node: Node, twin: Node, guards: Sequence[Guard]) -> bool:
    """Whether two nodes answer in the same shapes wherever the guards hold: `ceil(H/2)` is `H/2` where H is even."""
    if len(node.outputs) != len(twin.outputs):
        return False
    pairs = [(t.shape, u.shape) for t, u in zip(node.outputs, twin.outputs, strict=True)]
    if all(a == b for a, b in pairs):
        return True
    facts = _facts(guards)
    return all(len(a) == len(b) and all(facts.equal(x, y) is True for x, y in zip(a, b, strict=True)) for a, b in pairs)


def _edges(value: Returned, ids: Mapping[str, str]) -> Any:
    if isinstance(value, Edge):
        return Edge(ids[value.node], value.result)
    return tuple(_edges(x, ids) for x in value)


def _placed(primitive: Primitive | None, ids: Mapping[str, str], tensors: Sequence[Tensor]) -> Any:
    """Settings with an axis by its place: `N` is the letter of a role, or of an axis that an annotation names."""
    found = _settings(primitive, ids)
    axis = found.get("axis") if isinstance(found, dict) else None
    if isinstance(axis, str) and axis in AXES:
        found["axis"] = next((p for x in tensors if (p := x.find(AXES[axis])) is not None), axis)
    return found


def _settings(primitive: Primitive | None, ids: Mapping[str, str]) -> Any:
    """Settings with the nodes that they refer to under the names of the other graph."""
    if isinstance(primitive, Rearrange):
        return primitive.unlettered
    if primitive is None:
        return None
    if isinstance(primitive, Scan):
        ends = [ids.get(name, name) for name in (*primitive.items, *primitive.states)]
        return (len(primitive.items), ends, primitive.emits, primitive.axes)
    found = {name: getattr(primitive, name) for name in type(primitive).model_fields}
    return {
        name: (ids.get(v.node, v.node), v.result) if isinstance(v, Reference) else
        _settings(v, ids) if isinstance(v, Primitive) else v
        for name, v in found.items()
    }
