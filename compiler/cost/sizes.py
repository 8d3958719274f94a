"""The sizes that figures are taken at, and the multiply-adds of a network at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph

__all__ = ["DEFAULTS", "check_sizes", "macs", "sizes_of"]

DEFAULTS: Final = {"B": 1, "H": 224, "W": 224}
"""The sizes that figures are taken at where the network leaves them free."""


def sizes_of(graph: Graph, given: Mapping[str, int] | None = None) -> dict[str, int]:
    """A number for every size that the network leaves free: `given`, else `DEFAULTS`.

    Raises:
        ArchError: A802, an unknown name, a value that is no size, a size without a default, or sizes that the file
            rules out.
    """
    check_sizes(graph, given or {})
    values = {**DEFAULTS, **(given or {})}
    missing = [name for name in graph.free if name not in values]
    if missing:
        name = missing[0]
        raise fail("A802", f"the figures of `{graph.name}` depend on `{name}`", help=f"give it a size: `{name}=...`")
    found = {name: values[name] for name in graph.free}
    _check_guards(graph, found)
    return found


def check_sizes(graph: Graph, given: Mapping[str, int]) -> None:
    """Make sure that these are sizes of the network, and that what the file promises of them alone holds.

    Raises:
        ArchError: A802, an unknown name, a value that is no size, or sizes that the file rules out.
    """
    for name, value in given.items():
        if name not in graph.free:
            what = "its free sizes" if graph.free else "name: all its sizes are fixed"
            raise fail("A802", f"`{graph.name}` has no free size `{name}`", help=offer(name, graph.free, what))
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise fail("A802", f"the size `{name}` is a whole number from 1; here is {value!r}")
    _check_guards(graph, given)


def _check_guards(graph: Graph, given: Mapping[str, int]) -> None:
    for guard in graph.guards:
        if guard.condition.symbols <= given.keys() and not guard.condition.holds(given):
            at = ", ".join(f"{name} = {given[name]}" for name in sorted(guard.condition.symbols))
            raise fail(
                "A802", f"`{graph.name}` does not work at {at}", guard.span, label=f"needs `{guard.condition.show()}`",
                help="other sizes, each as `name=size`",
            )


def macs(graph: Graph, given: Mapping[str, int] | None = None) -> int:
    """Multiply-adds of one forward.

    Raises:
        ArchError: A802, as `sizes_of`.
    """
    values = sizes_of(graph, given)
    return sum(graph.cost(node, values) for node in graph)
