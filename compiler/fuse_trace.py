"""The forward of any module as an fx graph: read with the shapes of one call, and held to what it decided on."""

from __future__ import annotations

import builtins
import contextlib
import dis
import inspect
import math
import operator
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import torch
import torch.fx as fx
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx._symbolic_trace import _wrapped_fns_to_patch

from ogive.compiler.passes.fuse_attention_parts import expected

__all__ = ["Seen", "Tracer", "Untraceable"]


class Untraceable(Exception):
    """Why the code of a module cannot be read."""


_MISSING: Final = object()

_MAKERS: Final = ("arange", "zeros", "ones", "full", "empty", "eye", "linspace", "tensor", "rand", "randn", "randint")
"""Functions that make tensors and take no tensor: fx does not see their calls by itself."""

_ATTRIBUTES: Final = frozenset({"shape", "dtype", "device", "ndim", "T", "mT", "H", "is_cuda", "requires_grad", "data"})


class Seen(fx.Proxy):
    """A value that stands for all of its kind, and shows the shape it has in the call at hand."""

    @property
    def seen(self) -> Any:
        """The fake value, or `_MISSING`."""
        return self.tracer.values.get(self.node, _MISSING)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        value = self.seen
        if name.startswith("_") and value is not _MISSING:
            raise AttributeError(name)  # what torch keeps on its own tensors
        tracer: Any = self.tracer
        plain = name in _ATTRIBUTES if value is _MISSING else not callable(getattr(value, name, len))
        if not plain:
            return super().__getattr__(name)  # type: ignore[no-untyped-call]
        found = tracer.create_proxy("call_function", getattr, (self, name), {})
        if value is _MISSING or name == "device":
            return found
        made = getattr(value, name)
        return tracer.settle(found, made) if isinstance(made, bool | torch.dtype) else found

    def __bool__(self) -> bool:
        value = self.seen
        if value is _MISSING or isinstance(value, Tensor):
            return bool(super().__bool__())  # type: ignore[no-untyped-call]
        tracer: Any = self.tracer
        return bool(tracer.settle(tracer.create_proxy("call_function", operator.truth, (self,), {}), bool(value)))

    def __iter__(self) -> Iterator[Any]:
        value = self.seen
        if value is _MISSING:
            frame = inspect.currentframe()
            return iter([self[i] for i in range(_unpacked(frame.f_back if frame is not None else None))])
        if isinstance(value, Tensor) and not value.dim():
            raise Untraceable(f"it goes through the items of `{self.node.name}`, a tensor without axes")
        return iter([self[i] for i in range(len(self))])

    def __len__(self) -> int:
        value = self.seen
        if value is _MISSING:
            return int(super().__len__())  # type: ignore[no-untyped-call]
        tracer: Any = self.tracer
        if isinstance(value, torch.Size):
            return len(value)  # how many axes there are is part of the kind of call
        return int(tracer.settle(tracer.create_proxy("call_function", len, (self,), {}), len(value)))

    def __getitem__(self, at: Any) -> Any:
        tracer: Any = self.tracer
        return tracer.create_proxy("call_function", operator.getitem, (self, at), {})

    def _plain(self, kind: type) -> Any:
        value = self.seen
        if value is _MISSING or isinstance(value, Tensor):
            raise Untraceable(f"it makes a Python number of `{self.node.name}`")
        tracer: Any = self.tracer
        return kind(tracer.settle(self, value))

    def __int__(self) -> int:
        return int(self._plain(int))

    def __index__(self) -> int:
        return int(self._plain(int))

    def __float__(self) -> float:
        return float(self._plain(float))

    def __setitem__(self, at: Any, value: Any) -> None:
        tracer: Any = self.tracer
        tracer.create_proxy("call_function", operator.setitem, (self, at, value), {})


class Tracer(fx.Tracer):
    """Reads the forward of one module. `opened` are the modules below it whose code is read as its own.

    With `inputs`, fake tensors for the tensors of one call, each value is followed along: sizes can be asked for, and
    what the code decides by them becomes a condition of the graph (`expected`).
    """

    proxy_buffer_attributes = True

    def __init__(self, opened: frozenset[nn.Module], mode: FakeTensorMode) -> None:
        super().__init__(autowrap_modules=(math,))
        self.opened = opened
        self.mode = mode
        self.values: dict[fx.Node, Any] = {}
        self.evaluating = False
        self.call: Callable[[list[Any]], tuple[tuple[Any, ...], dict[str, Any]]] | None = None
        self.inputs: list[Any] = []

    def read(
        self, module: nn.Module, inputs: list[Any],
        rebuild: Callable[[list[Any]], tuple[tuple[Any, ...], dict[str, Any]]],
    ) -> fx.Graph:
        """The graph of one kind of call: `inputs` are its tensors (None where nothing is known of them), `rebuild` puts
        them among its other arguments.

        Raises:
            Untraceable: the code asks for what only a call can tell.
        """
        self.inputs, self.call = inputs, rebuild
        try:
            with self._makers():
                return self.trace(module)
        except Untraceable:
            raise
        except Exception as error:  # the code is somebody else's, and may raise whatever it likes
            first = (str(error).strip().splitlines() or [""])[0]
            raise Untraceable(f"{type(error).__name__}: {first}"[:200]) from error

    # -- what fx asks

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        proxies = []
        for i, value in enumerate(self.inputs):
            proxy = self.create_proxy("placeholder", f"x{i}", (), {})
            if value is not None:
                self.values[proxy.node] = value
            proxies.append(proxy)
        assert self.call is not None
        args, kwargs = self.call(proxies)

        def run(root: nn.Module) -> Any:
            return root_fn(root, *args, **kwargs)

        return run, [self.root]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m not in self.opened

    def proxy(self, node: fx.Node) -> Seen:
        return Seen(node, self)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if self.evaluating:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self.evaluating:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any) -> Any:
        proxy = super().create_proxy(kind, target, args, kwargs, *more, **named)
        if kind not in ("placeholder", "output"):
            self._follow(proxy.node)
        return proxy

    def create_arg(self, a: Any) -> Any:
        if issubclass(type(a), fx.Proxy):
            return a.node
        if isinstance(a, Tensor):
            known = isinstance(a, nn.Parameter) or any(a is b for b in self.root.buffers()) or a in self.tensor_attrs
            if not known:
                raise Untraceable("it makes a tensor of its own, of a size that is no other's")
        return super().create_arg(a)

    # -- following values

    def settle(self, proxy: fx.Proxy, value: Any) -> Any:
        """The value of a proxy from here on; a call in which it is another one is not served by this graph."""
        super().create_proxy("call_function", expected, (proxy, value), {})
        return value

    def _follow(self, node: fx.Node) -> None:
        if not all(source in self.values for source in node.all_input_nodes):
            return
        args, kwargs = (fx.node.map_arg(x, self.values.__getitem__) for x in (node.args, node.kwargs))
        self.evaluating = True
        try:
            with self.mode, torch.no_grad():
                self.values[node] = self._value(node, args, kwargs)
        finally:
            self.evaluating = False

    def _value(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        target: Any = node.target
        if node.op == "get_attr":
            value: Any = self.root
            for name in target.split("."):
                value = getattr(value, name)
            return self.mode.from_tensor(value.detach()) if isinstance(value, Tensor) else value
        if node.op == "call_module":
            return self.root.get_submodule(target)(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        return target(*args, **kwargs)

    @contextlib.contextmanager
    def _makers(self) -> Iterator[None]:
        """`torch.arange(n)` and the like see proxies among their arguments, as other functions do; and the code of
        functions that `fx.wrap` keeps whole is read like any other; and `isinstance(x, Tensor)` is answered as it would
        be. Torch's own tracing puts other functions in place for a while too, for all threads."""
        kept = {name: getattr(torch, name) for name in _MAKERS}
        whole = dict(_wrapped_fns_to_patch)

        def watched(function: Any) -> Any:
            def make(*args: Any, **kwargs: Any) -> Any:
                proxies: list[Any] = []
                fx.node.map_aggregate((args, kwargs), lambda x: proxies.append(x) if type(x) is Seen else None)
                if proxies and not self.evaluating:
                    return self.create_proxy("call_function", function, args, kwargs)
                return function(*args, **kwargs)

            return make

        try:
            _wrapped_fns_to_patch.clear()
            for name, function in kept.items():
                setattr(torch, name, watched(function))
            builtins.isinstance = _is_instance
            yield
        finally:
            builtins.isinstance = _plain_isinstance
            _wrapped_fns_to_patch.update(whole)
            for name, function in kept.items():
                setattr(torch, name, function)


_plain_isinstance: Final = isinstance


def _is_instance(x: Any, kind: Any) -> bool:
    """`isinstance`, which in code that is not torch's takes a proxy for what it stands for."""
    if type(x) is Seen and x.seen is not _MISSING:
        caller = inspect.currentframe()
        caller = None if caller is None else caller.f_back
        if caller is not None and caller.f_globals.get("__name__", "").split(".")[0] not in ("torch", "ogive"):
            return _plain_isinstance(x.seen, kind)
    return _plain_isinstance(x, kind)


def _unpacked(frame: FrameType | None) -> int:
    """How many names stand left in `a, b, c = x`, where that is what a frame is at.

    Raises:
        Untraceable: it goes through the items otherwise, and how many there are is not known.
    """
    if frame is not None:
        for step in dis.get_instructions(frame.f_code):
            if step.offset == frame.f_lasti and step.opname == "UNPACK_SEQUENCE":
                return int(step.argval)
    raise Untraceable("it goes through a shape or a tensor whose length is not known: give `example_inputs`")
