"""What a network computes on the way: the values at key paths, for a probe, a loss or a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch.fx as fx
from torch import Tensor

from ogive.compiler.module import Network
from ogive.dsl.diagnostics import fail, offer

__all__ = ["features"]


def features(
    model: Network, x: Tensor | tuple[Tensor, ...] | Mapping[str, Tensor], names: Iterable[str]
) -> dict[str, Tensor]:
    """The values at `names`, in their order, from one run of the graph up to the last of them.

    Args:
        model: a compiled module, in training or not; gradients flow as in `model(x)`.
        x: its input; a tuple or a dict by name when it takes several.
        names: key paths: `blocks.3` is the last output of that iteration, a scope's or block's path its result, a
            weighted op's key its output; of a shared module its last run.

    Raises:
        ArchError: A711, there is no such path, or the module was frozen and the value is no longer computed;
            and those of the inputs (A701 to A706).
    """
    names = list(names)
    args = () if isinstance(x, Mapping) else x if isinstance(x, tuple) else (x,)
    model, values = model._chosen(args, dict(x) if isinstance(x, Mapping) else {})
    known: dict[str, str] = model.meta["ogive"]["results"]
    for name in names:
        if name not in known:
            raise _unknown(model, name, known)
    model._checked(values, {})
    found = _run(model, list(values), {known[name] for name in names})
    return {name: found[known[name]] for name in names}


def _run(model: Network, inputs: list[Any], wanted: set[str]) -> dict[str, Tensor]:
    """The values of the fx nodes called `wanted`; a value is let go after its last use."""
    runner = fx.Interpreter(model, garbage_collect_values=False)
    last: dict[fx.Node, fx.Node] = {}
    for node in model.graph.nodes:
        for used in node.all_input_nodes:
            last[used] = node
    runner.args_iter = iter(inputs)
    found: dict[str, Tensor] = {}
    frozen = "lost" in model.meta["ogive"]  # its kernels write sums into tensors that are not needed any more
    for node in model.graph.nodes:
        if len(found) == len(wanted):
            break
        value = runner.run_node(node)
        runner.env[node] = value
        if node.name in wanted:
            found[node.name] = value.clone() if frozen and isinstance(value, Tensor) else value
        for used in node.all_input_nodes:
            if last[used] is node:
                del runner.env[used]
    return found


def _unknown(model: Network, name: str, known: Mapping[str, str]) -> Exception:
    lost: Mapping[str, str] = model.meta["ogive"].get("lost", {})
    if name in lost:
        reason = f"`{name}` is no longer computed by itself in a frozen module: {lost[name]}"
        return fail("A711", reason, help="ask the module it was frozen from")
    network = model.meta["ogive"]["network"]
    return fail("A711", f"`{network}` has no result at `{name}`", help=offer(name, known, "paths"))
