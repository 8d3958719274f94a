"""The sizes that figures are taken at, and the multiply-adds of a network at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph

__all__ = ["DEFAULTS", "macs", "sizes_of"]

DEFAULTS: Final = {"B": 1, "H": 224, "W": 224}
"""The sizes that figures are taken at where the network leaves them free."""


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
