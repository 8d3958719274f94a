"""The journey on one page: a checked graph in, a module that trains out, one named step a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import torch

from ogive.compiler.initialise import initialise
from ogive.compiler.lower.emit import Lowering, lower
from ogive.compiler.lower.register import LOWERINGS
from ogive.compiler.module import Network, allocate, assemble, by_call
from ogive.compiler.passes.fuse_attention import fuse_attention
from ogive.compiler.targets import check_target
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph
from ogive.dsl.when import Case

__all__ = ["PASSES", "STEPS", "Checked", "Pass", "compile"]

Pass = Callable[[Network], Network]
"""A rewrite: a valid module in, a valid module out; where it declines it says why in `meta["ogive"]["declined"]`."""

PASSES: Final[tuple[Pass, ...]] = (fuse_attention,)
"""What every module goes through, in training too; what makes inference fast stands in `compiler/freeze.py`."""

STEPS: Final = ("lower", "passes", "allocate", "initialise")


class Checked(Protocol):
    """A checked network, as `ogive.load` gives it."""

    @property
    def graph(self) -> Graph: ...

    @property
    def cases(self) -> tuple[tuple[Case, Graph], ...]: ...


def compile(
    net: Graph | Checked,
    target: str = "auto",
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
    until: str | None = None,
    debug: bool = False,
    lowerings: Mapping[str, Lowering] = LOWERINGS,
) -> Network:
    """The module of a checked network: its keys, its initialisation, ready to train.

    Args:
        device, dtype: of the weights; torch's current defaults when not given. On "meta" nothing is filled.
        generator: what the initial weights are drawn from; torch's own for the device when not given.
        until: stop after this step (one of `STEPS`) and return the module as it is then.
        debug: lint the fx graph after every step.

    Raises:
        ArchError: A707 a key that torch reserves, A708 an unknown target, A709 an unknown step.
    """
    graph = net if isinstance(net, Graph) else net.graph
    cases = () if isinstance(net, Graph) else net.cases
    check_target(target)
    if until is not None and until not in STEPS:
        raise fail("A709", f"there is no step `{until}`", help=offer(until, STEPS, "steps"))
    steps: dict[str, Callable[[Any], Network]] = {
        "lower": lambda _: _lowered(graph, cases, lowerings),
        "passes": lambda module: _passes(module, debug),
        "allocate": lambda module: allocate(module, graph, device, dtype),
        "initialise": lambda module: initialise(module, graph, generator),
    }
    module: Any = None
    for name, step in steps.items():
        module = step(module)
        if debug:
            module.graph.lint()
        if name == until:
            break
    return module  # type: ignore[no-any-return]


def _lowered(graph: Graph, cases: tuple[tuple[Case, Graph], ...], lowerings: Mapping[str, Lowering]) -> Network:
    """The module of one graph; where calls decide something, that of one graph for each kind of call."""
    if not cases:
        return assemble(graph, lower(graph, lowerings))
    made = [(case, one, lower(one, lowerings, _shelf(case))) for case, one in cases]
    first = made[0][2]
    for _, _, emit in made[1:]:
        first.modules.update({path: module for path, module in emit.modules.items() if path not in first.modules})
    return by_call(assemble(graph, first), made)


def _shelf(case: Case) -> str:
    return "_".join(["_ops", *(name for name, on in case.items() if on)])


def _passes(module: Network, debug: bool) -> Network:
    for rewrite in PASSES:
        module = rewrite(module)
        if debug:
            module.graph.lint()
    return module
