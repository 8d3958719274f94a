"""A second module for inference: the same numbers to float32 rounding, with less work."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final

from ogive.compiler.module import Network, recast
from ogive.compiler.passes.bake_eval import bake_eval
from ogive.compiler.passes.channels_last import channels_last
from ogive.compiler.passes.fold_norm import fold_norm
from ogive.compiler.passes.order import order
from ogive.compiler.passes.pack import pack
from ogive.compiler.passes.reading import wipe
from ogive.dsl.diagnostics import fail, offer

__all__ = ["PASSES", "Frozen", "for_evaluation", "freeze"]

PASSES: Final[tuple[Callable[[Network], Network], ...]] = (bake_eval, order, fold_norm, channels_last, pack)
"""In this order; each is valid in, valid out, and says in `meta["ogive"]["declined"]` where it did nothing."""


class Frozen(Network):
    """A network for inference alone. Its keys are its own: what was folded away has none."""

    def train(self, mode: bool = True) -> Frozen:
        """`train(False)` is fine; `train()` is refused.

        Raises:
            ArchError: A712, norms are folded and regularisation is taken out, so there is nothing that could train.
        """
        if mode:
            raise fail(
                "A712", f"`{self.meta['ogive']['network']}` is frozen and cannot train",
                notes=("its norms are folded into convolutions, its dropout is gone, and it keeps no gradients",),
                help="train the module it was frozen from, then freeze that again",
            )
        super().train(False)
        return self


def freeze(model: Network, *, given: Sequence[str] = (), debug: bool = False) -> Frozen:
    """A second module for inference; `model` stays as it is.

    Behaves as `model.eval()`: dropout and drop path are taken out, tokens stand in the order in which attention over
    windows works, batch norms are folded into convolutions, the memory layout is chosen, and on the processor in
    float32 linear maps and convolutions run on prepared weights together with the activation or sum behind them. The
    state_dict has its own keys. What a pass left alone, and why, stands in
    `meta["ogive"]["declined"]`.

    Args:
        given: the optional inputs that the frozen module takes; it is made for one kind of call.
        debug: lint the fx graph after every pass.
    """
    if isinstance(model, Frozen):
        return copy.deepcopy(model)
    frozen: Any = recast(Frozen, copy.deepcopy(for_evaluation(model, given)))
    frozen.train(False)
    frozen.requires_grad_(False)
    for rewrite in PASSES:
        frozen = rewrite(frozen)
        if debug:
            frozen.graph.lint()
    wipe(frozen)
    _settle(frozen)
    return frozen  # type: ignore[no-any-return]


def for_evaluation(model: Network, given: Sequence[str]) -> Network:
    """The network of one kind of call: evaluation, with these optional inputs.

    Raises:
        ArchError: A701 there is no such optional input.
    """
    calls = model.meta["ogive"].get("calls")
    known = () if calls is None else tuple(calls.optional)
    for name in given:
        if name not in known:
            raise fail("A701", f"`{model.meta['ogive']['network']}` has no optional input `{name}`",
                       help=offer(name, known, "there are") if known else "it has none")
    if calls is None:
        return model
    flags = {calls.optional[name] for name in given}
    sub: Network = model.__dict__["_cases"][tuple(flag in flags for flag in calls.flags)]
    return sub


def _settle(frozen: Frozen) -> None:
    """Bring `meta` in line with the graph that is left."""
    about = frozen.meta["ogive"]
    names = {node.name for node in frozen.graph.nodes}
    results: dict[str, str] = about["results"]
    gone = {path: "it is part of a larger kernel" for path, name in results.items() if name not in names}
    about["lost"] = {**about.get("lost", {}), **gone}
    about["results"] = {path: name for path, name in results.items() if name in names}
    about["keys"] = list(frozen.state_dict())
