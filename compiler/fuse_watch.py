"""One run of a module on an example: who calls a softmax, from where, and what each module is called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from ogive.compiler.fuse_plan import Call
from ogive.dsl.diagnostics import fail

__all__ = ["Watch", "evaluated"]


def evaluated(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The answer in evaluation; modes and the state of random numbers are afterwards what they were.

    Raises:
        ArchError: A714, the module does not run on it.
    """
    modes = {m: m.training for m in module.modules()}
    try:
        module.eval()
        with torch.no_grad(), torch.random.fork_rng():
            return module(*args, **kwargs)
    except Exception as error:  # somebody else's code
        raise fail("A714", f"the example does not run: {type(error).__name__}: {error}",
                   help="give what the module is called with: a tensor, a tuple, or a dict by name") from error
    finally:
        for m, mode in modes.items():
            m.training = mode


class Watch:
    """One run of the example: which modules call a softmax, from where, and what each module is called with."""

    def __init__(self, module: nn.Module) -> None:
        self.paths = {m: path for path, m in module.named_modules()}
        self.module = module
        self.calls: dict[nn.Module, dict[Any, Call]] = {}
        self.stacks: dict[nn.Module, tuple[nn.Module, ...]] = {}
        self.already = 0
        self.left: list[nn.Module] = []
        self.ran = False
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        self.ran = True
        stack: list[nn.Module] = []
        handles = []
        buffers = {id(b): b for b in self.module.buffers()}

        def enter(m: nn.Module, given: Any, named: Any) -> None:
            stack.append(m)
            call = Call.of(m, given, named)
            known = self.calls.setdefault(m, {})
            if call is not None and (call.kind, call.ranks) not in known:
                known[call.kind, call.ranks] = (call.faked(self.mode, buffers))

        def leave(m: nn.Module, given: Any, made: Any) -> None:
            stack.pop()

        for m in self.module.modules():
            handles.append(m.register_forward_pre_hook(enter, with_kwargs=True, prepend=True))
            handles.append(m.register_forward_hook(leave, always_call=True))
        try:
            with _Softmaxes(self, stack):
                return evaluated(self.module, args, kwargs)
        finally:
            for handle in handles:
                handle.remove()

    def met(self, stack: Sequence[nn.Module]) -> None:
        """A softmax is called."""
        owners = [m for m in stack if not isinstance(m, nn.Softmax)]
        if owners:
            self.stacks.setdefault(owners[-1], tuple(reversed(owners)))


_FUSED = (F.scaled_dot_product_attention, F.multi_head_attention_forward, torch._native_multi_head_attention)


class _Softmaxes(TorchFunctionMode):
    """Sees each softmax, and each attention that is a fused call already."""

    def __init__(self, watch: Watch, stack: Sequence[nn.Module]) -> None:
        super().__init__()
        self.watch = watch
        self.stack = stack

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.softmax, torch.softmax, Tensor.softmax):
            self.watch.met(self.stack)
        elif func is F.multi_head_attention_forward and (kwargs or {}).get("need_weights", True):
            self.watch.left.append(self.stack[-1])
        elif func in _FUSED:
            self.watch.already += 1
        return func(*args, **(kwargs or {}))
