"""Calibration: real inputs through a network, and what each form of INT8 would have answered at each attention.

The network itself runs in float32. At each attention the same q, k and v, as they arrive in fp16 on a GPU, are computed
in every form too, in plain torch (`lower/attention_int8.py` is what the kernels mean), and compared with its answer. So
errors of one attention do not add to those of the next; what all of them do together is measured at the outputs, with
the plan that was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ogive.compiler.attention_case import name_of
from ogive.compiler.calibrate.plan import FORMAT, KEPT, Error, Layer, Plan, Range, judged
from ogive.compiler.choices import Chosen
from ogive.compiler.int8 import BOUNDS, WIDEST, WORDS
from ogive.compiler.lower.attention import unfused
from ogive.compiler.module import Network
from ogive.compiler.pipeline import Checked, compile
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.digest import digest
from ogive.dsl.graph import Node
from ogive.dsl.ops.attention import Attend

__all__ = ["Sample", "Samples", "calibrate", "to_calibrate"]

Step = Callable[..., None]


@dataclass(frozen=True)
class Sample:
    """One input of a network: where it is from, and its tensors by name."""

    source: str
    inputs: Mapping[str, Tensor]


class Samples(Protocol):
    """Inputs, that may be gone through again."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Sample]: ...


@dataclass
class _Seen:
    """What was seen at one attention."""

    worst: dict[str, float] = field(default_factory=dict)
    cosine: dict[str, float] = field(default_factory=dict)
    least: dict[str, float] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)

    def compare(self, form: str, out: Tensor, wanted: Tensor) -> None:
        """Keep the worst of what was seen; what is not finite is infinitely far off."""
        l2, cosine = apart(out, wanted)
        self.worst[form] = max(self.worst.get(form, 0.0), l2)
        self.cosine[form] = min(self.cosine.get(form, 1.0), cosine)

    def sizes(self, name: str, x: Tensor) -> None:
        """Largest numbers of the heads of x `B H N D`."""
        found = x.abs().amax((2, 3)).flatten().tolist()
        finite = [n for n in found if math.isfinite(n)]
        self.least[name] = min([self.least.get(name, math.inf), *finite])
        self.most[name] = max([self.most.get(name, 0.0), *finite])

    def layer(self) -> Layer:
        errors: dict[Any, Error] = {form: error_of(self.worst[form], self.cosine[form]) for form in self.worst}
        ranges: dict[Any, Range] = {name: Range(least=self.least[name], most=self.most[name]) for name in self.most
                  if math.isfinite(self.least[name])}
        return judged(errors, ranges)


def apart(out: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Relative L2 of the difference, and cosine, of all numbers; infinity and -1 where they are not finite."""
    a, b = out.double().flatten(), wanted.double().flatten()
    size, own = float(b.norm()), float(a.norm())
    far = float((a - b).norm())
    if not math.isfinite(far + size + own):
        return math.inf, -1.0
    if size == 0.0 or own == 0.0:
        return (0.0, 1.0) if far == 0.0 else (math.inf, -1.0)
    return far / size, float(a @ b) / (own * size)


def error_of(worst: float, cosine: float) -> Error:
    """As a plan has it."""
    good = math.isfinite(worst)
    return Error(l2=worst if good else None, cosine=cosine if good else None)


def to_calibrate(net: Checked) -> Network:
    """The module of a network whose attentions are all modules of their own, in float32 on the processor.

    Raises:
        ArchError: A751, none of its attentions can be INT8.
    """
    those = _attentions(net)
    open = {path: Chosen(None, WORDS[0]) for path, node in those.items() if _closed(node) is None}
    if not open:
        what = next((str(_closed(node)) for node in those.values()), "it has none")
        raise fail("A751", f"no attention of `{net.graph.name}` can be computed in INT8: {what}",
                   help="there is nothing to calibrate: compile it in bf16")
    return compile(net, "cpu", device="cpu", dtype=torch.float32, chosen=open).eval()


def _attentions(net: Checked) -> dict[str, Node]:
    """By path; several that share one are measured as one."""
    return {name_of(net.graph, node): node for node in net.graph if isinstance(node.primitive, Attend)}


def _closed(node: Node) -> str | None:
    op = node.primitive
    assert isinstance(op, Attend)
    return unfused(op)


def calibrate(
    net: Checked, name: str, module: Network, samples: Samples, weights: str, step: Step = lambda *_: None
) -> Plan:
    """The plan of a network, from what its attentions do on real inputs.

    Args:
        name: of the network, with its preset.
        module: from `to_calibrate`, with its weights.
        samples: gone through twice.
        weights: what the plan says of these.
        step: called as `step("what", done, of)`.

    Raises:
        ArchError: A751, an input that does not fit, or at which the network is not finite.
    """
    cores, seen = _cores(net, module), {}
    outputs: list[tuple[float, float]] = []
    hooks = []
    try:
        for path, those in cores.items():
            seen[path] = _Seen()
            hooks += [core.register_forward_hook(_probe(seen[path]), with_kwargs=True) for core in those]
        _set(cores, None)
        for i, sample in enumerate(samples):
            step(f"measuring {sample.source}", i, 2 * len(samples))
            _finite(_run(net, module, sample), sample, name)
    finally:
        for hook in hooks:
            hook.remove()
    layers = {path: _layer(node, seen.get(path)) for path, node in _attentions(net).items()}
    for i, sample in enumerate(samples):
        step(f"trying the plan on {sample.source}", len(samples) + i, 2 * len(samples))
        _set(cores, None)
        wanted = _run(net, module, sample)
        _set(cores, layers)
        outputs.append(apart(_flat(_run(net, module, sample)), _flat(wanted)))
    return Plan(
        format=FORMAT, ogive=version("ogive"), network=name, digest=digest(net.graph), weights=weights,
        samples=len(samples), bounds=dict(BOUNDS),
        attentions=layers, outputs=error_of(max(x for x, _ in outputs), min(x for _, x in outputs)),
    )


def _layer(node: Node, seen: _Seen | None) -> Layer:
    if seen is None:
        return Layer(form=KEPT, why=f"INT8 does not compute it: {_closed(node) or 'it is part of a loop'}")
    return seen.layer() if seen.worst else Layer(form=KEPT, why="no input came here")


def _cores(net: Checked, module: Network) -> dict[str, list[nn.Module]]:
    """The modules of each attention, by path; one for each kind of call."""
    names = {node.id: name_of(net.graph, node) for node in net.graph if isinstance(node.primitive, Attend)}
    found: dict[str, list[nn.Module]] = {}
    for one in module.__dict__.get("_cases", {}).values() or (module,):
        for node in one.graph.nodes:
            path = names.get(node.meta.get("ogive", {}).get("node"))
            if path is not None and node.op == "call_module":
                core = one.get_submodule(str(node.target))
                if getattr(core, "precision", None) in WORDS:
                    found.setdefault(path, []).append(core)
    return found


def _set(cores: Mapping[str, list[nn.Module]], layers: Mapping[str, Layer] | None) -> None:
    """Every attention as a plan has it; in float32 without one."""
    for path, those in cores.items():
        for core in those:
            layer = None if layers is None else layers[path]
            core.precision = "ieee" if layer is None or layer.form == KEPT else layer.form  # type: ignore[assignment]
            core.reach = WIDEST if layer is None else layer.reach  # type: ignore[assignment]


def _probe(seen: _Seen) -> Callable[..., None]:
    """What is done behind every call of an attention: the same in every form."""

    def probe(core: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Tensor) -> None:
        given = list(args[:3])
        half = [x.half().float() for x in given]
        k = half[1]
        for name, x in (("q", half[0]), ("k", k - k.mean(2, keepdim=True)), ("v", half[2])):
            seen.sizes(name, x)
        for form in WORDS:
            core.precision = form
            seen.compare(form, core.forward(*half, *args[3:], **kwargs), out)
        core.precision = "ieee"
        seen.compare(KEPT, core.forward(*(x.bfloat16().float() for x in given), *args[3:], **kwargs), out)

    return probe


def _run(net: Checked, module: Network, sample: Sample) -> Any:
    try:
        with torch.inference_mode():
            return module(**sample.inputs)
    except ArchError as error:
        told = error.diagnostics[0]
        raise fail("A751", f"`{sample.source}` does not fit `{net.graph.name}`: {told.title}", told.span,
                   label=told.label, notes=told.notes, help=told.help) from None


def _finite(out: Any, sample: Sample, name: str) -> None:
    if not bool(_flat(out).isfinite().all()):
        raise fail("A751", f"`{name}` answers `{sample.source}` with numbers that are not finite",
                   help="check the weights, and how inputs are scaled")


def _flat(out: Any) -> Tensor:
    """All results that are floats, as one vector."""
    found = out.values() if isinstance(out, dict) else out if isinstance(out, tuple) else (out,)
    return torch.cat([x.double().flatten() for x in found if x.is_floating_point()] or [torch.zeros(1)])
