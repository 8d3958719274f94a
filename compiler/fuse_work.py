"""Module by module: the code that calls a softmax is read, its attention fused, and a forward put beside its own."""

from __future__ import annotations

import inspect
import operator
from dataclasses import dataclass, replace

import torch
import torch.fx as fx
from torch import Tensor, nn

from ogive.compiler.fuse_plan import Call, Plan, install
from ogive.compiler.fuse_trace import Tracer, Untraceable
from ogive.compiler.fuse_watch import Watch
from ogive.compiler.passes.fuse_attention import fuse
from ogive.compiler.passes.fuse_attention_call import Place
from ogive.compiler.passes.fuse_attention_masks import shifted_windows

__all__ = ["Fusion", "Work"]

RETURNED = "its weights are returned"
"""Why a module is read once more, as a part of the one that calls it: that may throw the weights away."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """One softmax of a module: where it stands, what was found around it, or why it was left as it is."""

    path: str
    kind: str
    found: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def fused(self) -> bool:
        return self.reason is None


@dataclass(slots=True)
class _Read:
    """What reading one module came to: places by the softmax's name, a plan if anything is fused."""

    places: list[Place]
    plan: Plan | None = None
    reason: str | None = None


class Work:
    """The fusion of one module, after its example was watched."""

    def __init__(self, module: nn.Module, watch: Watch) -> None:
        self.module = module
        self.watch = watch
        self.paths = {m: path for path, m in module.named_modules()}

    def places(self) -> list[Fusion]:
        """Fuse, and tell what became of each place."""
        if not self.watch.ran:
            return [x for m in list(self.paths) if not _torchs(m) for x in self.unwatched(m)]
        found: list[Fusion] = []
        for owner, stack in self.watch.stacks.items():
            found += self.watched(owner, stack)
        for m in dict.fromkeys(self.watch.left):
            reason = "torch's own attention is asked for its weights"
            found.append(Fusion(self.paths[m], type(m).__name__, reason=reason))
        return found

    def watched(self, owner: nn.Module, stack: tuple[nn.Module, ...]) -> list[Fusion]:
        """The code that calls the softmax; where it returns the weights, that of the module around it with it."""
        first: _Read | None = None
        for depth, root in enumerate(stack):
            if _torchs(root):
                break
            read = self.read(root, frozenset(stack[:depth]), list(self.watch.calls.get(root, {}).values()))
            first = first or read
            if read.plan is not None:
                install(root, read.plan)
                return self.told(owner, read)
            if read.reason is not None or not any(p.reason == RETURNED for p in read.places):
                break
        return self.told(owner, first or _Read([], reason="it is code of torch"))

    def unwatched(self, module: nn.Module) -> list[Fusion]:
        """A module of whose calls nothing is known: its required arguments are tensors, the others what they are.

        One that cannot be read is told of only where its code names a softmax.
        """
        read = self.read(module, frozenset(), [])
        if read.plan is not None:
            install(module, read.plan)
        return self.told(module, read) if read.places or (read.reason and _names_softmax(module)) else []

    def told(self, owner: nn.Module, read: _Read) -> list[Fusion]:
        path, name = self.paths[owner], type(owner).__name__
        if read.reason is not None:
            return [Fusion(path, name, reason=read.reason)]
        return [Fusion(path, name, p.found, p.reason) for p in read.places]

    def read(self, root: nn.Module, opened: frozenset[nn.Module], calls: list[Call]) -> _Read:
        """Read the code for each kind of call, in training and in evaluation."""
        if "forward" in root.__dict__:
            return _Read([], reason="its forward was put in place of its class's")
        if not self.watch.ran:
            guess = Call.guessed(root)
            calls = [] if guess is None else [guess]
        if not calls:
            return _Read([], reason="it is called with other things than tensors and plain values")
        own = {m: path for path, m in root.named_modules()}
        modes = {m: m.training for m in (root, *opened)}
        plan: Plan | None = None
        places: list[Place] = []
        try:
            for call in calls:
                for training in (False, True):
                    for m in modes:
                        m.training = training
                    graph, found, absorbed = self.graph(root, opened, call)
                    places = places or found
                    if any(p.reason is None for p in found):
                        names = ("", *(own[m] for m in opened))
                        if plan is None:
                            plan = Plan(names, ())
                        plan.absorbed = tuple(dict.fromkeys((*plan.absorbed, *absorbed)))
                        places = found if any(p.reason is not None for p in places) else places
                        plan.add(root, call, graph)
        except Untraceable as error:
            if plan is None:
                return _Read([], reason=f"its code cannot be read: {error}")
        finally:
            for m, mode in modes.items():
                m.training = mode
        return _Read(places, plan)

    def graph(
        self, root: nn.Module, opened: frozenset[nn.Module], call: Call
    ) -> tuple[fx.Graph, list[Place], list[str]]:
        tracer = Tracer(opened, self.watch.mode)
        graph = tracer.read(root, list(call.tensors), call.rebuild)
        sight = _Values(root, tracer)
        constants = _constants(graph, root)
        windows = self.windows(graph, call)
        called = {str(n.target) for n in graph.nodes if n.op == "call_module"}
        found = [p for _, p in fuse(graph, sight, constants)]
        if windows:
            found = [replace(p, found=tuple(windows.get(x, x) for x in p.found)) for p in found]
        absorbed = called - {str(n.target) for n in graph.nodes if n.op == "call_module"}
        return graph, found, sorted(absorbed)

    def windows(self, graph: fx.Graph, call: Call) -> dict[str, str]:
        """The words for inputs that are the masks of shifted windows."""
        named: dict[str, str] = {}
        for i, buffer in enumerate(call.known):
            shown = None if buffer is None else shifted_windows(buffer)
            if shown is not None:
                named[f"mask `x{i}`"] = f"mask {shown}"
        return named


def _constants(graph: fx.Graph, root: nn.Module) -> dict[fx.Node, Tensor]:
    """The buffers that a graph reads."""
    buffers = dict(root.named_buffers())
    return {n: buffers[str(n.target)] for n in graph.nodes if n.op == "get_attr" and str(n.target) in buffers}


class _Values:
    """What a tracer saw of each node."""

    def __init__(self, root: nn.Module, tracer: Tracer) -> None:
        self.root = root
        self.values = tracer.values

    def shape(self, node: fx.Node) -> tuple[int, ...] | None:
        value = self.values.get(node)
        return tuple(value.shape) if isinstance(value, Tensor) else None

    def dtype(self, node: fx.Node) -> torch.dtype | None:
        value = self.values.get(node)
        return value.dtype if isinstance(value, Tensor) else None

    def module(self, node: fx.Node) -> nn.Module | None:
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None

    def number(self, node: fx.Node) -> bool:
        return type(self.values.get(node)) in (int, float) or (node not in self.values and _from_sizes(node))


def _from_sizes(node: fx.Node) -> bool:
    """Whether the code of a value whose shape is not known says that it is a size, or arithmetic on sizes."""
    if node.op == "call_method":
        return node.target in ("dim", "numel") or (node.target == "size" and len(node.args) == 2)
    if node.op != "call_function" or not node.args:
        return False
    first = node.args[0]
    if node.target is operator.getitem:
        shaped = isinstance(first, fx.Node) and (
            first.target == "size" or (first.target is getattr and first.args[1] == "shape")
        )
        return shaped and isinstance(node.args[1], int)
    plain = getattr(node.target, "__module__", "") in ("math", "_operator")
    return plain and all(isinstance(x, int | float) or (isinstance(x, fx.Node) and _from_sizes(x)) for x in node.args)


def _names_softmax(module: nn.Module) -> bool:
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    named = code is not None and any("softmax" in name for name in code.co_names)
    return named or any(isinstance(child, nn.Softmax) for child in module.children())


def _torchs(m: nn.Module) -> bool:
    return type(m).__module__.startswith(("torch.nn.", "torch.ao."))
