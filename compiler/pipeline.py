"""The journey on one page: a checked graph in, a module that trains out, one named step a line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import torch

from ogive.compiler.attention_case import name_of
from ogive.compiler.choices import Chosen, chosen_of
from ogive.compiler.cost import DEFAULTS
from ogive.compiler.explain import On, accounts
from ogive.compiler.initialise import initialise
from ogive.compiler.int8 import WORDS
from ogive.compiler.lower.attention import unfused
from ogive.compiler.lower.emit import Lowering, lower
from ogive.compiler.lower.register import LOWERINGS
from ogive.compiler.module import Network, allocate, assemble, by_call
from ogive.compiler.passes.choose_kernels import choose_kernels, own_kernels
from ogive.compiler.passes.fuse_attention import fuse_attention
from ogive.compiler.policy import no_int8
from ogive.compiler.precision import AUTO, Given, precision_of
from ogive.compiler.targets import check_target, gpu_named
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.graph import Graph
from ogive.dsl.ops.attention import Attend
from ogive.dsl.when import Case

__all__ = ["PASSES", "STEPS", "Checked", "Pass", "compile"]

Pass = Callable[[Network], Network]
"""A rewrite: a valid module in, a valid module out; where it declines it says why in `meta["ogive"]["declined"]`."""

PASSES: Final[tuple[Pass, ...]] = (fuse_attention, own_kernels)
"""What every module goes through, in training too; what makes inference fast stands in `compiler/freeze.py`."""

_WORDS: Final = {torch.float32: "float32", torch.bfloat16: "bf16", torch.float16: "fp16"}

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
    precision: Given = None,
    kernel: str | None = None,
    sizes: Mapping[str, int] | None = None,
    chosen: Mapping[str, Chosen] | None = None,
    until: str | None = None,
    debug: bool = False,
    lowerings: Mapping[str, Lowering] = LOWERINGS,
) -> Network:
    """The module of a checked network: its keys, its initialisation, ready to train.

    Args:
        device, dtype: of the weights; torch's current defaults when not given. On "meta" nothing is filled.
        generator: what the initial weights are drawn from; torch's own for the device when not given.
        precision: for a GPU, what attention is computed in: "bf16", or by path, {"blocks.*.attn": "bf16"}. As the
            weights are when not given. "int8", "int8-token" and, where the GPU multiplies FP8, "int8-fp8" go anywhere,
            for inference; so does the file of a plan of `ogive calibrate`. "auto" takes INT8 where it should pay: of
            ["auto", "plan.json"] the fastest form that the plan found good.
        kernel: for a GPU, the kernel of every attention; what `ogive explain` names when not given.
        sizes: of the input, for that choice; B = 1 and H = W = 224 when not given. Where a size has no default, no
            kernel is preferred.
        chosen: the kernels and precisions by path, as a build has them, in place of a choice.
        until: stop after this step (one of `STEPS`) and return the module as it is then.
        debug: lint the fx graph after every step.

    Raises:
        ArchError: A707 a key that torch reserves, A708 an unknown target, or one that is no GPU where `precision` or
            `kernel` is given, A709 an unknown step, A740 to A743 a kernel or a precision that does not go, A749 INT8
            where it does not go, A750 a plan that is damaged or of another network.
    """
    graph = net if isinstance(net, Graph) else net.graph
    cases = () if isinstance(net, Graph) else net.cases
    if chosen is None:
        chosen = _chosen(graph, target, dtype, precision, kernel, sizes)
    if until is not None and until not in STEPS:
        raise fail("A709", f"there is no step `{until}`", help=offer(until, STEPS, "steps"))
    steps: dict[str, Callable[[Any], Network]] = {
        "lower": lambda _: _lowered(graph, cases, lowerings),
        "passes": lambda module: choose_kernels(_passes(module, debug), graph, chosen),
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


def _chosen(
    graph: Graph, target: str, dtype: torch.dtype | None, precision: Given,
    kernel: str | None, sizes: Mapping[str, int] | None,
) -> dict[str, Chosen]:
    """The kernel and the precision of each attention; nothing where the target is no GPU."""
    gpu = check_target(target).gpu
    if gpu is None:
        made = None if precision is None or kernel is not None else _without_gpu(graph, target, precision)
        if made is None and (precision is not None or kernel is not None):
            gpu_named(target, f"`{'precision' if kernel is None else 'kernel'}=`")
        return made or {}
    if precision is None and kernel is None and not set(graph.free) <= {*DEFAULTS, *(sizes or {})}:
        return {}
    plain = _WORDS.get(dtype or torch.get_default_dtype(), "float32")
    on = On(gpu, precision_of(precision, plain), kernel)
    told = accounts(graph, sizes, unfused, on)
    for one in told:
        if one.choice is not None and one.choice.doubt is not None:
            warnings.warn(f"`{one.names[0]}`: INT8 does not pay here: {one.choice.doubt}", stacklevel=4)
    found = chosen_of(told)
    return found if precision is not None else {name: Chosen(one.kernel, None) for name, one in found.items()}


def _without_gpu(graph: Graph, target: str, given: Given) -> dict[str, Chosen] | None:
    """INT8 where it is asked for, on a processor or on what is there; None where another precision is asked for.

    Raises:
        ArchError: A749, an attention that INT8 does not compute; else as `precision_of` and `covers`.
    """
    precision = precision_of(given, "")
    if precision.words - {"", AUTO, *WORDS}:
        return None
    those = {name_of(graph, node): node for node in graph if isinstance(node.primitive, Attend)}
    precision.covers(list(those), graph)
    found = {}
    for path, node in those.items():
        word, op = precision.at(path), node.primitive
        if word in WORDS and isinstance(op, Attend):
            reason = unfused(op)
            if reason is not None:
                raise no_int8(reason, node.span)
            found[path] = Chosen("flash" if target == "auto" else None, word, precision.reach(path))
    if found and target == "cpu":
        warnings.warn("INT8 is right on a processor, and no faster there", stacklevel=4)
    return found


def _passes(module: Network, debug: bool) -> Network:
    for rewrite in PASSES:
        module = rewrite(module)
        if debug:
            module.graph.lint()
    return module
