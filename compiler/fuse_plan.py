"""Which calls of a module its fused forward serves; all others go to the module's own code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import torch
import torch.fx as fx
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ogive.compiler.passes.fuse_attention_parts import Changed

__all__ = ["Call", "Plan", "install"]

_PLAIN: Final = (type(None), bool, int, float, str, torch.dtype, torch.device, torch.Size)


class _Other(Exception):
    """An argument that is neither a tensor nor a plain value."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of a tensor among the arguments."""

    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a module: its tensors, and all else that it was given, by name."""

    kind: tuple[Any, ...]
    ranks: tuple[int, ...] | None
    """The rank of each tensor; None for any."""
    tensors: tuple[Any, ...]
    named: Mapping[str, Any]
    known: tuple[Tensor | None, ...] = ()
    """For each tensor the buffer of the module that it is."""

    @classmethod
    def of(cls, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """The call, None where it has arguments of another kind."""
        return _Signature.of(type(module)).call(args, kwargs)

    @classmethod
    def guessed(cls, module: nn.Module) -> Call | None:
        """The call with a tensor for each argument that must be given; None where others have no plain default."""
        return _Signature.of(type(module)).guessed()

    def faked(self, mode: FakeTensorMode, buffers: Mapping[int, Tensor]) -> Call:
        """The same without data."""
        fakes = tuple(mode.from_tensor(x.detach()) for x in self.tensors)
        return Call(self.kind, self.ranks, fakes, self.named, tuple(buffers.get(id(x)) for x in self.tensors))

    def rebuild(self, tensors: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with other tensors in the same places."""
        return (), {name: _filled(value, tensors) for name, value in self.named.items()}


class _Signature:
    """The arguments of a class's forward."""

    _made: ClassVar[dict[type, _Signature]] = {}

    def __init__(self, forward: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(forward).parameters.values())[1:]
        self.names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.readable = all(p.kind not in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY) for p in parameters)

    @classmethod
    def of(cls, kind: type[nn.Module]) -> _Signature:
        if kind not in cls._made:
            cls._made[kind] = cls(kind.forward)
        return cls._made[kind]

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        if not self.readable or len(args) > len(self.names):
            return None
        given = {**self.defaults, **dict(zip(self.names, args, strict=False)), **kwargs}
        tensors: list[Tensor] = []
        try:
            named = {name: _emptied(given[name], tensors) for name in sorted(given)}
        except _Other:
            return None
        return Call(_kind(named), tuple([x.dim() for x in tensors]), tuple(tensors), named)

    def guessed(self) -> Call | None:
        """The call with a tensor of any rank for each argument that must be given, all others being what they are."""
        required = [name for name in self.names if name not in self.defaults]
        if not self.readable or not required or not all(type(x) in _PLAIN for x in self.defaults.values()):
            return None
        named = {**self.defaults, **{name: _Slot(i) for i, name in enumerate(required)}}
        named = {name: named[name] for name in sorted(named)}
        return Call(_kind(named), None, (None,) * len(required), named)


def _emptied(value: Any, tensors: list[Tensor]) -> Any:
    """A value with slots for its tensors."""
    if type(value) in (Tensor, nn.Parameter) or (isinstance(value, Tensor) and torch.compiler.is_compiling()):
        tensors.append(value)
        return _Slot(len(tensors) - 1)
    if type(value) in _PLAIN:
        return value
    if type(value) in (list, tuple):
        return type(value)(_emptied(x, tensors) for x in value)
    if type(value) is dict:
        return {name: _emptied(x, tensors) for name, x in value.items()}
    raise _Other


def _filled(value: Any, tensors: list[Any]) -> Any:
    if isinstance(value, _Slot):
        return tensors[value.index]
    if type(value) in (list, tuple):
        return type(value)(_filled(x, tensors) for x in value)
    return {name: _filled(x, tensors) for name, x in value.items()} if type(value) is dict else value


def _kind(value: Any) -> Any:
    """A value that can be compared and looked up: 1 and True are two."""
    if type(value) in (list, tuple):
        return type(value), tuple(_kind(x) for x in value)
    if type(value) is dict:
        return dict, tuple((name, _kind(x)) for name, x in value.items())
    return type(value), value


@dataclass(slots=True)
class Plan:
    """The fused forwards of one module, by kind of call, with what they took for granted."""

    modules: tuple[str, ...]
    """Paths of the module itself ("") and of those below it whose code is part of the forwards."""

    absorbed: tuple[str, ...]
    """Paths of modules, a softmax or dropout, that are not called any more."""

    forwards: dict[tuple[Any, ...], Callable[..., Any]] = field(default_factory=dict)
    settings: tuple[Any, ...] = ()

    def add(self, module: nn.Module, call: Call, graph: fx.Graph) -> None:
        """Serve this kind of call, in the modes that the modules are in, by a graph."""
        made: Any = fx.GraphModule(module, graph)
        self.forwards[call.kind, call.ranks, self.modes(module)] = type(made).forward
        self.settings = self.found(module)

    def modes(self, module: nn.Module) -> tuple[bool, ...]:
        return tuple([module.get_submodule(path).training for path in self.modules])

    def found(self, module: nn.Module) -> tuple[Any, ...]:
        """Plain settings of the modules, and what stands at the paths that are not called."""
        read = [module.get_submodule(path) for path in self.modules]
        unread = [module.get_submodule(path) for path in self.absorbed]
        return (
            *({k: v for k, v in m.__dict__.items() if k != "training" and _is_plain(v)} for m in read),
            *(type(m) for m in (*read[1:], *unread)),
        )

    def choose(self, module: nn.Module, call: Call | None) -> Callable[..., Any] | None:
        """The forward for a call; None where the module's own code is to serve it."""
        if call is None:
            return None
        modes = self.modes(module)
        forward = self.forwards.get((call.kind, call.ranks, modes)) or self.forwards.get((call.kind, None, modes))
        if forward is None or any(map(_hooked, (module.get_submodule(p) for p in (*self.modules[1:], *self.absorbed)))):
            return None
        return forward if self.settings == self.found(module) else None


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) in (list, tuple) and all(type(x) in _PLAIN for x in value))


def _hooked(module: nn.Module) -> bool:
    """Whether somebody listens to calls of a module, or has given it another forward."""
    kept: Any = module
    return bool(
        kept._forward_hooks or kept._forward_pre_hooks or kept._backward_hooks or kept._backward_pre_hooks
    ) or "forward" in module.__dict__


def install(module: nn.Module, plan: Plan) -> None:
    """Make the module one of a class of its own, below its class, that asks the plan first."""
    own: Any = type(module)
    signature = _Signature.of(own)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        call = signature.call(args, kwargs)
        run = plan.choose(self, call)
        if run is not None:
            assert call is not None
            try:
                return run(self, *call.tensors)
            except Changed:
                pass  # what the code decided on while it was read is otherwise now
        return own.forward(self, *args, **kwargs)

    forward.__doc__ = own.forward.__doc__
    kind = type(own.__name__, (own,), {"forward": forward, "__module__": own.__module__, "__doc__": own.__doc__})
    module.__class__ = kind
