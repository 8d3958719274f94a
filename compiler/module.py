"""The finished module: one `torch.fx.GraphModule` whose state_dict has the language's keys.

`module.meta["ogive"]` holds what must survive a copy: `network` (name), `contract` (inputs and guards), `results`
(key path -> name of the fx node), `keys` (the state_dict's order), `shelf` (where modules without weights lie),
`titles` (key path -> name of the block that runs there), `declined` (pass -> reasons), `drawn` (what a notebook's
picture is made of), `calls` where calls decide something (`training`, an optional input): `module.graph` is then that
of evaluation without optional inputs. Each fx node's `meta["ogive"]` holds `op`, `span` ("file:line:column"), `node`
(id in the checked graph) and `shape`.

`forward` takes the inputs under their own names. One result is a tensor; several are a dict when all have names, else a
tuple.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.fx as fx
from torch import nn

from ogive.compiler.drawn import Drawn
from ogive.compiler.guards import MOST_SHAPES, Calls, contract
from ogive.compiler.lower.emit import Emit
from ogive.dsl.diagnostics import fail
from ogive.dsl.graph import Graph, Parameter
from ogive.dsl.when import Case

__all__ = ["Network", "allocate", "assemble", "by_call", "recast"]

_DTYPES = {"int": torch.int64, "bool": torch.bool}


class Shared(fx.GraphModule):
    """A graph over weights and modules that others use as well: a copy shares with the copies of the others."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        state = {k: v for k, v in self.__dict__.items() if k not in _LEFT}
        return _remade(type(self), self, copy.deepcopy(state, memo), copy.deepcopy(self._graph, memo))

    def __copy__(self) -> Any:
        return _remade(type(self), self, dict(self.__dict__), copy.deepcopy(self._graph))


class Network(Shared):
    """A compiled network. Its inputs are checked in front of the graph, once per call; `forward` is the graph alone."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "_cases" not in self.__dict__ and not torch.compiler.is_compiling():
            self._checked(args, kwargs)
        return super().__call__(*args, **kwargs)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """For notebooks: the picture of the network, where there is a Graphviz, and torch's words for the module."""
        drawn: Drawn | None = self.meta["ogive"].get("drawn")
        svg = drawn.svg() if drawn is not None else None
        return {"text/plain": repr(self), **({"image/svg+xml": svg} if svg else {})}

    def _chosen(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Network, tuple[Any, ...]]:
        """The network that serves such a call, with the inputs it takes: itself, unless calls decide something.

        Raises:
            ArchError: A701, an input is missing, or there is one too many.
        """
        cases: dict[tuple[bool, ...], Network] | None = self.__dict__.get("_cases")
        if cases is None:
            return self, tuple(self.meta["ogive"]["contract"].bind(args, kwargs))
        calls: Calls = self.meta["ogive"]["calls"]
        key, values = calls.choose(args, kwargs, self.training)
        sub = cases[key]
        sub.training = self.training
        return sub, values

    def _checked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen: set[Any] = self.__dict__.setdefault("_seen", set())
        try:
            if not kwargs and tuple([(x.shape, x.dtype, x.device) for x in args]) in seen:
                return
        except (AttributeError, TypeError):  # no tensor, or a size that is a symbol: the long way says which
            pass
        rule = self.meta["ogive"]["contract"]
        values = rule.bind(args, kwargs)
        if rule.check(values):
            rule.check_device(values, next((p.device for p in self.parameters()), None))
            if len(seen) >= MOST_SHAPES:
                seen.clear()
            seen.add(tuple([(x.shape, x.dtype, x.device) for x in values]))


def _by_call(self: Network, *args: Any, **kwargs: Any) -> Any:
    """`forward` of a network where calls decide something: that of the kind of call at hand."""
    sub, values = self._chosen(args, kwargs)
    if not torch.compiler.is_compiling():
        sub._checked(values, {})
    return sub.forward(*values)  # not called: the hooks of this network are those of `sub`, and have run


_LEFT = frozenset({"_graph", "_seen", "_features"})
"""What a copy does not take along: the graph is copied by itself, the others are memories."""


def _remade(kind: Any, like: Shared, state: dict[str, Any], graph: fx.Graph) -> Any:
    """A module of class `kind` with this state; fx makes a class of its own for each."""
    made = kind.__new__(kind)
    made.__dict__.update({k: v for k, v in state.items() if k not in _LEFT})
    type(made).__name__ = type(like).__name__
    made.graph = graph
    if "_cases" in made.__dict__:
        type(made).forward = _by_call
    return made


def recast(kind: type[Any], module: Network) -> Any:
    """The same module, its weights shared, as another class of network."""
    return _remade(kind, module, dict(module.__dict__), module.graph)


def by_call(module: Network, lowered: Sequence[tuple[Case, Graph, Emit]]) -> Network:
    """The module that chooses by the call: `lowered` are all kinds of calls, `module` is assembled of the first.

    Each kind is a network of its own over the same weights and submodules: the very dicts are shared.
    """
    names = [n.target for n in lowered[-1][2].fx.nodes if n.op == "placeholder"]
    whole = contract(lowered[-1][1], names)
    about = module.meta["ogive"]
    cases: dict[tuple[bool, ...], Network] = {}
    for case, graph, emit in lowered:
        sub: Network = _remade(Network, module, dict(module.__dict__), emit.fx)
        placed = [n.target for n in emit.fx.nodes if n.op == "placeholder"]
        own = {**about, "contract": contract(graph, placed), "results": _results(graph, emit), "shelf": emit.shelf}
        sub.meta = {**module.meta, "ogive": own}
        cases[tuple(case.values())] = sub
        _bind(sub, emit)
    flags = tuple(lowered[0][0])
    given = dict(zip(names, lowered[-1][1].inputs, strict=True))
    optional = {name: id for name, id in given.items() if id not in lowered[0][1].inputs}
    about["calls"] = Calls(flags, whole.where(optional), optional)
    module.__dict__["_cases"] = cases
    type(module).forward = _by_call  # type: ignore[method-assign]
    return module


def assemble(graph: Graph, emit: Emit) -> Network:
    """The module of a lowered graph, its parameters and buffers on the meta device.

    Raises:
        ArchError: A707, a key begins with a name that torch's modules use themselves (`forward.weight`).
    """
    module = Network(nn.Module(), fx.Graph(), _class_name(graph.name))
    module.meta["ogive"] = {
        "network": graph.name,
        "contract": contract(graph, [n.target for n in emit.fx.nodes if n.op == "placeholder"]),
        "results": _results(graph, emit),
        "keys": list(graph.parameters),
        "shelf": emit.shelf,
        "titles": _titles(graph),
        "declined": {},
        "drawn": Drawn(graph),
    }
    for parameter in graph.parameters.values():
        _register(module, emit, parameter)
    for path in emit.modules:
        _owner(module, emit.modules, path.split("."))
    module.graph = emit.fx
    _bind(module, emit)
    module.register_state_dict_post_hook(_in_order)
    _hold_keys(module, graph)
    return module


def allocate(module: Network, graph: Graph, device: Any = None, dtype: torch.dtype | None = None) -> Network:
    """Give every parameter and buffer its storage, uninitialised; a tied one is the same object under both keys.

    `device` and `dtype` default to torch's current ones; `dtype` is that of the float weights.
    """
    device = torch.get_default_device() if device is None else torch.device(device)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    made: dict[str, torch.Tensor] = {}
    for key, parameter in sorted(graph.parameters.items(), key=lambda item: item[1].tied is not None):
        weight = parameter.weight
        tensor = made.get(parameter.tied or "")
        if tensor is None:
            tensor = torch.empty(weight.shape, dtype=_DTYPES.get(weight.dtype, dtype), device=device)
            if not weight.buffer:
                tensor = nn.Parameter(tensor, requires_grad=weight.trainable and weight.dtype == "float")
        made[key] = tensor
        path, _, name = key.rpartition(".")
        owner = module.get_submodule(path)
        setattr(owner, name, tensor)  # recurrent layers keep a list of their own beside the parameters
    for child in module.modules():  # constants, which were made with their values
        for name in child._non_persistent_buffers_set:
            constant = child.get_buffer(name)
            child._buffers[name] = constant.to(device, dtype if constant.is_floating_point() else None)
    return module


def _bind(module: Network, emit: Emit) -> None:
    """Give each recurrence its body: a graph over the weights and modules of the whole."""
    for loop, graph in emit.loops:
        loop.bind(_remade(Shared, module, dict(module.__dict__), graph))


def _results(graph: Graph, emit: Emit) -> dict[str, str]:
    """Key path -> fx node. What stands in the body of a `scan` has a value for each position, and is left out."""
    return {path: emit.values[edge].name for path, edge in graph.results.items() if edge in emit.values}


def _register(module: nn.Module, emit: Emit, parameter: Parameter) -> None:
    """Make room for one key: the module that has it, or containers that lead to it, with a tensor on meta."""
    path, _, name = parameter.key.rpartition(".")
    owner = _owner(module, emit.modules, path.split(".")) if path else module
    weight = parameter.weight
    held = owner._buffers if weight.buffer else owner._parameters
    if name in held and held[name] is not None:
        found = tuple(held[name].shape)  # type: ignore[union-attr]
        if found != weight.shape:
            raise TypeError(f"the lowering made `{parameter.key}` {found}, its record says {weight.shape}")
        return
    _claim(owner, name, parameter)
    empty = torch.empty(weight.shape, device="meta", dtype=_DTYPES.get(weight.dtype))
    if weight.buffer:
        owner.register_buffer(name, empty)
    else:
        owner.register_parameter(name, nn.Parameter(empty, requires_grad=empty.is_floating_point()))


def _owner(module: nn.Module, made: dict[str, nn.Module], path: list[str]) -> nn.Module:
    """The submodule at `path`: the lowered one where there is one, an empty container on the way."""
    at = module
    for i, name in enumerate(path):
        child = at._modules.get(name)
        if child is None:
            child = made.get(".".join(path[: i + 1]))
            child = nn.Module() if child is None else child
            _claim(at, name, None)
            at.add_module(name, child)
        at = child
    return at


def _claim(owner: nn.Module, name: str, parameter: Parameter | None) -> None:
    if name not in owner._parameters and hasattr(owner, name):
        raise fail(
            "A707", f"`{name}` cannot be part of a key: torch's modules have an attribute of that name",
            parameter.span if parameter else None, help=f'name it otherwise: `... as "{name}_"`',
        )


def _hold_keys(module: nn.Module, graph: Graph) -> None:
    """The keys of the module are those of the language; anything else is a lowering's mistake."""
    found, wanted = set(module.state_dict(keep_vars=True)), set(graph.parameters)
    if found != wanted:
        raise TypeError(f"keys of the module alone: {sorted(found - wanted)}, missing: {sorted(wanted - found)}")


def _in_order(module: nn.Module, state: dict[str, Any], prefix: str, local: Any) -> None:
    """Put the entries in the language's order."""
    ours: Iterable[str] = module.meta["ogive"]["keys"]  # type: ignore[assignment, index, union-attr]
    for key in ours:
        if (name := prefix + key) in state:
            state[name] = state.pop(name)


def _titles(graph: Graph) -> dict[str, str]:
    """Key path -> the block whose run it is, the outermost where several share it."""
    titles: dict[str, str] = {}
    for region in graph.regions:
        if region.kind == "block" and region.path and region.title:
            titles.setdefault(region.path, region.title)
    return titles


def _class_name(name: str) -> str:
    text = re.sub(r"\W+", "_", name)
    return text if text.isidentifier() else "Network"
