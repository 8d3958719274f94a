"""What a call's inputs must be: rank, element type, pinned sizes and the file's guards, checked once per new shape."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.fx as fx

from ogive.dsl.conditions import Condition
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.dims import Dim, evaluate, symbols
from ogive.dsl.dims_text import show
from ogive.dsl.graph import Graph, Guard
from ogive.dsl.source import Span
from ogive.dsl.types import DType
from ogive.dsl.when import TRAINING

__all__ = ["Calls", "Contract", "Input", "contract"]

MOST_SHAPES = 1024
"""How many shapes a module remembers as checked; afterwards it forgets them all and starts again."""


@dataclass(frozen=True)
class Input:
    """One input of a network: its name in `forward`, its sizes, element type, annotation as text, and place."""

    name: str
    shape: tuple[Dim, ...]
    roles: tuple[str, ...]
    dtype: DType
    text: str
    span: Span
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.name}{'?' if self.optional else ''}: {self.text}"


@dataclass(frozen=True)
class Contract:
    """The inputs in order, where each free symbol is read off, and the guards."""

    inputs: tuple[Input, ...]
    free: Mapping[str, tuple[int, int]]
    guards: tuple[Guard, ...]
    axes: frozenset[Dim] = frozenset()
    """Every free size of every tensor in the network: what a letter must be large enough for."""

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """The inputs of one call, in order.

        Raises:
            ArchError: A701, an input is missing, or there is one too many.
        """
        names = [x.name for x in self.inputs]
        given = dict(zip(names, args, strict=False))
        extra = ["one more"] if len(args) > len(names) else []
        extra += [f"`{k}`" for k in kwargs if k not in names or k in given]
        given.update(kwargs)
        missing = [name for name in names if name not in given]
        if not missing and not extra:
            return [given[name] for name in names]
        place = next((x.span for x in self.inputs if x.name in missing), self.inputs[0].span if self.inputs else None)
        title = f"input `{missing[0]}` is missing" if missing else f"an input is given that there is not: {extra[0]}"
        raise fail("A701", title, place, help=f"inputs: {', '.join(map(str, self.inputs))}")

    def where(self, optional: Collection[str]) -> Contract:
        """The same, with these inputs named as optional."""
        return replace(self, inputs=tuple([replace(x, optional=x.name in optional) for x in self.inputs]))

    def check(self, values: Sequence[Any]) -> bool:
        """Check one call's inputs; False when some are not concrete (being traced), so nothing can be remembered.

        Raises:
            ArchError: A702 no tensor, A703 rank, A704 element type, A705 a pinned size, A706 a guard.
        """
        if any(isinstance(x, fx.Proxy) for x in values):
            return False
        for input, x in zip(self.inputs, values, strict=True):
            _check_kind(input, x)
        if not all(type(n) is int for x in values for n in x.shape):
            return False
        sizes = {name: values[place].shape[axis] for name, (place, axis) in self.free.items()}
        for input, x in zip(self.inputs, values, strict=True):
            self._check_sizes(input, x.shape, sizes)
        for guard in self.guards:
            if not _holds(guard.condition, sizes):
                raise _broken(guard, sizes)
        return True

    def _check_sizes(self, input: Input, shape: torch.Size, sizes: Mapping[str, int]) -> None:
        for axis, (dim, size) in enumerate(zip(input.shape, shape, strict=True)):
            expected = evaluate(dim, sizes)
            if expected == size:
                continue
            text = show(dim) if isinstance(dim, int) else f"{show(dim)} = {expected}"
            help = None
            if isinstance(dim, int) and input.roles[axis] in ("row", "column"):
                help = "resize the input, or compile the network with another size where it takes one"
            raise fail(
                "A705", f"input `{input.name}` has {size} at axis {axis} ({input.roles[axis]}), expected {text}",
                input.span, notes=(f"given: {_sizes(shape)}",), help=help,
            )

    def check_device(self, values: Sequence[torch.Tensor], device: torch.device | None) -> None:
        """Check that a call's inputs lie where the weights do; a single number may lie anywhere.

        Raises:
            ArchError: A748, another device.
        """
        for input, x in zip(self.inputs, values, strict=True):
            if device is not None and x.device != device and x.dim():
                raise fail(
                    "A748", f"input `{input.name}` is on {x.device}, and the weights are on {device}", input.span,
                    help=f"`{input.name}.to({str(device)!r})`, or `model.to({str(x.device)!r})`",
                )


@dataclass(frozen=True)
class Calls:
    """What calls decide: the flags in order, all inputs, and the optional ones among them (argument -> flag)."""

    flags: tuple[str, ...]
    inputs: Contract
    optional: Mapping[str, str]

    def choose(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], training: bool
    ) -> tuple[tuple[bool, ...], tuple[Any, ...]]:
        """Each flag, true or not, for one call, and the inputs that are there. None stands for one left away.

        Raises:
            ArchError: A701, an input is missing, or there is one too many.
        """
        absent = {name: None for name in self.optional if name not in kwargs}
        names = [x.name for x in self.inputs.inputs]
        for name in names[: len(args)]:
            absent.pop(name, None)
        values = dict(zip(names, self.inputs.bind(args, {**kwargs, **absent}), strict=True))
        given = {flag: values[name] is not None for name, flag in self.optional.items()}
        key = tuple([training if flag == TRAINING else given[flag] for flag in self.flags])
        asked = {name for name, flag in self.optional.items() if flag in self.flags}
        kept = [v for k, v in values.items() if k not in self.optional or (v is not None and k in asked)]
        return key, tuple(kept)


def contract(graph: Graph, names: Sequence[str]) -> Contract:
    """What the calls of `graph` must obey; `names` are the parameter names of its `forward`."""
    inputs = []
    for id, name in zip(graph.inputs, names, strict=True):
        node = graph.nodes[id]
        tensor = node.outputs[0]
        roles = tuple(role.value for role in tensor.roles)
        inputs.append(Input(name, tensor.shape, roles, tensor.dtype, str(tensor), node.span))
    place = {id: i for i, id in enumerate(graph.inputs)}
    free = {name: (place[id], axis) for name, (id, axis) in graph.free.items()}
    axes = frozenset(d for node in graph for x in node.outputs for d in x.shape if not isinstance(d, int))
    return Contract(tuple(inputs), free, graph.guards, axes)


def _check_kind(input: Input, x: object) -> None:
    if not isinstance(x, torch.Tensor):
        raise fail("A702", f"input `{input.name}` must be a tensor, got {type(x).__name__}", input.span)
    if x.dim() != len(input.shape):
        raise fail(
            "A703", f"input `{input.name}` has {x.dim()} axes, expected {len(input.shape)}: {input.text}", input.span,
            notes=(f"given: {_sizes(x.shape)}",),
            help="a batch of one is x[None]" if x.dim() == len(input.shape) - 1 else None,
        )
    if input.dtype != _kind(x.dtype):
        help = "ids must be integers: x.long()" if input.dtype == "int" else None
        raise fail(
            "A704", f"input `{input.name}` is of {str(x.dtype).removeprefix('torch.')}, expected {input.dtype}",
            input.span, help=help,
        )


def _kind(dtype: torch.dtype) -> str:
    if dtype.is_floating_point:
        return "float"
    if dtype.is_complex:
        return "complex"
    return "bool" if dtype == torch.bool else "int"


def _holds(condition: Condition, sizes: Mapping[str, int]) -> bool:
    try:
        return bool(condition.holds(sizes))
    except ZeroDivisionError:
        return False


def _broken(guard: Guard, sizes: Mapping[str, int]) -> ArchError:
    condition = guard.condition
    names = sorted(symbols(condition.left) | symbols(condition.right))
    facts = ", ".join(f"{name} = {sizes[name]}" for name in names)
    if condition.kind == "divisible":
        left, right = evaluate(condition.left, sizes), evaluate(condition.right, sizes)
        rest = f"{left} % {right} = {left % right if right else 'undefined'}"
    else:
        rest = f"{evaluate(condition.left, sizes)} and {evaluate(condition.right, sizes)}"
    return fail(
        "A706", f"the input sizes break `{guard.text or condition.show()}`", guard.span, label="assumed here",
        notes=(f"here {facts}: {rest}",),
    )


def _sizes(shape: Sequence[int]) -> str:
    return " ".join(map(str, shape)) or "a number"
