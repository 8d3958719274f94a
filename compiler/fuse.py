"""`ogive.fuse`: attention that a module writes out becomes fused calls, in a second module over the same weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ogive.compiler.fuse_watch import Watch, evaluated
from ogive.compiler.fuse_work import Fusion, Work
from ogive.dsl.diagnostics import fail

__all__ = ["Fusion", "Report", "fuse"]


@dataclass(frozen=True, slots=True)
class Report:
    """What `fuse` did. `str(report)` is a table."""

    places: tuple[Fusion, ...]
    already: int = 0
    difference: float | None = None
    """The largest difference of the answers to the example, over their largest value; None without an example."""

    @property
    def fused(self) -> tuple[Fusion, ...]:
        return tuple(p for p in self.places if p.fused)

    @property
    def left(self) -> tuple[Fusion, ...]:
        return tuple(p for p in self.places if not p.fused)

    def __str__(self) -> str:
        rows = [(p.path or "(the module)", p.kind, "fused" if p.fused else "left",
                 p.reason if p.reason is not None else "; ".join(p.found)) for p in self.places]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
        lines = ["  ".join((*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3])).rstrip()
                 for row in rows]
        lines.append(f"{len(self.fused)} fused, {len(self.left)} left, {self.already} calls were fused already")
        if self.difference is not None:
            lines.append(f"answers to the example differ by {self.difference:.1e} of the largest")
        return "\n".join(lines)


def fuse(module: nn.Module, example_inputs: Any = None) -> tuple[nn.Module, Report]:
    """Attention that a module writes out, `softmax(q k^T * scale + bias) v`, as fused calls, and a report of places.

    The module that comes back has the same classes, children and `state_dict`, over the same weights: training one
    trains the other; hooks stay. `module` is left as it is. Each module whose code holds attention gets a second
    forward for the kinds of calls that were read; any other call, of another rank, with other arguments than tensors,
    or after settings were changed, is served by the module's own code. Dropout of attention acts while training, at the
    rate that it has at the call. Scores are never formed, so nothing can be read from them.

    Args:
        module: any module; its code is read by `torch.fx`, each module with attention by itself.
        example_inputs: what it is called with: a tensor, a tuple of arguments, or a dict by name. With it, shapes can
            be followed, more code can be read, and the answers are compared. It is run once, in evaluation.

    Raises:
        ArchError: A714, what was given is no module, or the example does not run; A715, the answers to the example
            differ, which is a mistake of this function.

    The fused attention is that of Dao et al. 2022 where torch has it: https://arxiv.org/abs/2205.14135
    """
    if not isinstance(module, nn.Module):
        raise fail("A714", f"`fuse` takes a module; here is a {type(module).__name__}")
    fused = _second(module)
    args, kwargs = _call_of(example_inputs)
    watch = Watch(fused)
    before = None
    if example_inputs is not None:
        before = watch.run(args, kwargs)
    places = Work(fused, watch).places()
    difference = None
    if before is not None and any(p.fused for p in places):
        difference = _far(before, evaluated(fused, args, kwargs))
        if not difference < 1e-2:
            raise fail("A715", f"the fused module answers the example otherwise: by {difference:.1e} of the largest",
                       help="please report it, with the module")
    return fused, Report(tuple(places), watch.already, difference)


def _second(module: nn.Module) -> nn.Module:
    """A copy of the modules over the same weights and buffers."""
    held = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(x): x for x in held})


def _call_of(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if example is None:
        return (), {}
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example) if isinstance(example, tuple | list) else (example,)), {}


def _far(a: Any, b: Any) -> float:
    pairs = list(zip(_tensors(a), _tensors(b), strict=True))
    worst = 0.0
    for x, y in pairs:
        if x.is_floating_point() and x.numel():
            x, y = x.double(), y.double()
            finite = x.isfinite()
            largest = x[finite].abs().max().item() if finite.any() else 0.0
            gap = (x - y)[finite].abs().max().item() if finite.any() else 0.0
            worst = max(worst, gap / largest if largest else gap)
    return worst


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [x for item in value.values() for x in _tensors(item)]
    return [x for item in value for x in _tensors(item)] if isinstance(value, list | tuple) else []
