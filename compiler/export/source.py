"""A network as one Python file in plain PyTorch: classes by block, the same keys, nothing of ours imported.

The classes follow the keys: `blocks.0.attn` is a class when its nodes stand together. Classes whose text is equal are
one class, and a chain of equal blocks is a loop; a recurrence is a `for` over positions. A scope that cannot be a class
(a tied module that lies elsewhere, nodes that another scope interrupts) is written into the one around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ogive.compiler.export.forward import TAKEN, Forward, by_call
from ogive.compiler.export.scopes import Scope, scopes
from ogive.compiler.export.spelling import (
    access,
    comment,
    constructor,
    is_plain,
    own_names,
    own_source,
    plain_kind,
    value,
)
from ogive.compiler.freeze import Frozen
from ogive.compiler.int8 import WORDS
from ogive.compiler.module import Network
from ogive.compiler.pipeline import compile
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph

__all__ = ["to_source"]


def to_source(network: Network | Graph | Any) -> str:
    """The text of a Python file that defines the network and, run as a program, prints the shapes of its results.

    It needs torch alone. The state_dict of its class has the same keys and shapes: weights go over with `strict=True`
    in both directions. Weights start as torch's modules start, zeros elsewhere.

    Args:
        network: a compiled module, a graph or a checked network.

    Raises:
        ArchError: A720, a part that plain PyTorch has no words for; A721, a frozen module.
    """
    if isinstance(network, Frozen):
        raise fail("A721", "a frozen module is made for one machine and is not written as source",
                   help="write the module it was frozen from")
    if not isinstance(network, Network):
        network = compile(network, device="meta")
    if any(getattr(one, "precision", None) in WORDS for one in network.modules()):
        raise fail("A720", "attention in INT8 has no words in plain PyTorch",
                   help="write the module that is compiled without `precision=`: its weights are the same")
    return _File(network).text()


class _File:
    """The file in the making: finished classes by their body, so that equal ones are written once."""

    def __init__(self, module: Network) -> None:
        self.module = module
        self.classes: dict[str, str] = {}
        self.names: set[str] = {*TAKEN, *own_names(module)}
        self.kinds: set[type] = set()
        self.lists, self.dicts = _containers(module)
        self.titles: dict[str, str] = module.meta["ogive"].get("titles", {})
        self.root = scopes(module)
        self.cases: dict[tuple[bool, ...], Network] = module.__dict__.get("_cases", {})
        self.shelves = {sub.meta["ogive"]["shelf"] for sub in (module, *self.cases.values())}

    def text(self) -> str:
        about = self.module.meta["ogive"]
        name = self._class(self.root)
        head = [f'"""{_doc(about["network"])}, written by Ogive as plain PyTorch: it needs torch alone."""', ""]
        own = own_source(self.kinds)
        needs = ["import math", ""] if any("math." in text for text in own) else []
        imports = ["from __future__ import annotations", "", *needs, "import torch", "import torch.nn.functional as F",
                   "from torch import Tensor, nn", "", f"__all__ = [{name!r}]"]
        classes = [f"class {n}(nn.Module):\n{body}" for body, n in self.classes.items()]
        blocks = ["\n".join(head + imports), *own, *classes, self._main(name)]
        return "\n\n\n".join(blocks) + "\n"

    def _main(self, name: str) -> str:
        examples = []
        for x in self.module.meta["ogive"]["contract"].inputs:
            sizes = [evaluate(dim, _Sizes()) for dim in x.shape]
            shape = ", ".join(map(str, sizes))
            kinds = {"float": f"torch.randn({shape})", "int": f"torch.randint(0, 2, ({shape},))"}
            examples.append(kinds.get(x.dtype, f"torch.ones({shape}, dtype=torch.bool)"))
        return "\n".join([
            'if __name__ == "__main__":',
            f"    model = {name}().eval()",
            "    with torch.inference_mode():",
            f"        result = model({', '.join(examples)})",
            "    results = result.values() if isinstance(result, dict) else "
            "result if isinstance(result, tuple) else [result]",
            "    for tensor in results:",
            "        print(tuple(tensor.shape))",
        ])

    # -- one class

    def _class(self, scope: Scope) -> str:
        """The name of the class for a scope, written if there is none like it yet."""
        forward = by_call(self, scope) if self.cases and not scope.path else Forward(self, scope).lines()
        body = "\n".join([*self._init(scope), "", *forward])
        if body not in self.classes:
            title = self.module.meta["ogive"]["network"] if scope.path == "" else self.titles.get(scope.path, "")
            self.classes[body] = self._name(title or _title(scope.path))
        return self.classes[body]

    def _name(self, title: str) -> str:
        name = re.sub(r"\W+", "_", title, flags=re.ASCII).strip("_") or "Network"
        name = name if is_plain(name) else f"Net_{name}"
        free, n = name, 2
        while free in self.names or hasattr(nn, free):
            free, n = f"{name}{n}", n + 1
        self.names.add(free)
        return free

    def _init(self, scope: Scope) -> list[str]:
        lines = ["    def __init__(self) -> None:", "        super().__init__()"]
        at = self.module.get_submodule(scope.path)
        lines += [f"        {line}" for line in self._fill("self", at, scope.path, scope)]
        for node, name in scope.loose.items():
            made = self.module.get_submodule(str(node.target))
            lines.append(f"        self.{name} = {self._construct(made, str(node.target))}")
            for key, child in made._modules.items():
                if child is not None:
                    lines.append(f"        self.{name}.{key} = {self._construct(child, str(node.target))}")
        if scope.path == "":
            lines += [f"        {line}" for line in self._ties()]
        return lines

    def _fill(self, name: str, module: nn.Module, path: str, scope: Scope) -> list[str]:
        """The lines that give `name`, an empty module at `path`, its weights and children."""
        lines = []
        for key, p in module._parameters.items():
            if p is not None:
                more = "" if p.requires_grad else ", requires_grad=False"
                lines.append(_set(name, key, f"nn.Parameter({_zeros(p)}{more})", "register_parameter"))
        lines += [f"{name}.register_buffer({k!r}, {_zeros(b)})" for k, b in module._buffers.items() if b is not None]
        for key, child in module._modules.items():
            below = f"{path}.{key}" if path else key
            if child is None or below in self.shelves:
                continue
            lines += self._child(name, key, child, below, scope)
        return lines

    def _child(self, name: str, key: str, child: nn.Module, path: str, scope: Scope) -> list[str]:
        if path in self.lists or path in self.dicts:
            return self._list(name, key, child, path, scope)
        if type(child) is not nn.Module:
            lines = [_set(name, key, self._construct(child, path), "add_module")]
            grand = {k: v for k, v in child._modules.items() if v is not None}
            if grand:  # a module below a module: a key that runs through a weighted op
                target = access(name, key, self.lists, self.dicts, path.rpartition(".")[0])
                for k, v in grand.items():
                    lines += self._child(target, k, v, f"{path}.{k}", scope)
            return lines
        inner = scope.child(path)
        if inner is not None:
            return [_set(name, key, f"{self._class(inner)}()", "add_module")]
        lines = [_set(name, key, "nn.Module()", "add_module")]
        target = access(name, key, self.lists, self.dicts, path.rpartition(".")[0])
        return lines + self._fill(target, child, path, scope)

    def _list(self, name: str, key: str, child: nn.Module, path: str, scope: Scope) -> list[str]:
        """A ModuleList or ModuleDict; children that are equal are made by one expression."""
        texts: list[str] = []
        later: list[str] = []
        for k, v in child._modules.items():
            below = f"{path}.{k}"
            inner = scope.child(below)
            assert v is not None
            if inner is not None:
                texts.append(f"{self._class(inner)}()")
            elif type(v) is nn.Module or below in self.lists or below in self.dicts:
                texts.append(f"nn.Module{'List' if below in self.lists else 'Dict' if below in self.dicts else ''}()")
                target = access(name, f"{key}.{k}", self.lists, self.dicts, path.rpartition(".")[0])
                later += self._filled_list(target, v, below, scope) if below in self.lists | self.dicts else (
                    self._fill(target, v, below, scope)
                )
            else:
                texts.append(self._construct(v, below))
        if path in self.dicts:
            inside = ", ".join(f"{k!r}: {t}" for k, t in zip(child._modules, texts, strict=True))
            made = f"nn.ModuleDict({{{inside}}})"
        elif len(texts) > 1 and len(set(texts)) == 1:
            made = f"nn.ModuleList([{texts[0]} for _ in range({len(texts)})])"
        else:
            made = f"nn.ModuleList([{', '.join(_runs(texts))}])"
        return [_set(name, key, made, "add_module"), *later]

    def _filled_list(self, target: str, module: nn.Module, path: str, scope: Scope) -> list[str]:
        """The children of a list inside a list, appended to it."""
        lines = []
        for k, v in module._modules.items():
            assert v is not None
            inner = scope.child(f"{path}.{k}")
            made = f"{self._class(inner)}()" if inner is not None else (
                "nn.Module()" if type(v) is nn.Module else self._construct(v, f"{path}.{k}")
            )
            lines.append(f"{target}.add_module({k!r}, {made})")
            if inner is None and type(v) is nn.Module:
                lines += self._fill(access(target, k, self.lists, self.dicts, path), v, f"{path}.{k}", scope)
        return lines

    def _construct(self, module: nn.Module, path: str) -> str:
        self.kinds.add(plain_kind(module))
        return constructor(module, path)

    def _ties(self) -> list[str]:
        """Parameters that are one object under two keys."""
        lines, first = [], dict[int, str]()
        for key, p in self.module.named_parameters(remove_duplicate=False):
            if first.setdefault(id(p), key) != key:
                owner, _, name = key.rpartition(".")
                source = access("self", first[id(p)], self.lists, self.dicts)
                lines.append(_set(access("self", owner, self.lists, self.dicts), name, source, "register_parameter"))
        return lines


class _Sizes(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return {"B": 1, "H": 224, "W": 224}.get(name, 16)


def _set(owner: str, key: str, made: str, otherwise: str) -> str:
    return f"{owner}.{key} = {made}" if is_plain(key) else f"{owner}.{otherwise}({key!r}, {made})"


def _zeros(x: torch.Tensor) -> str:
    dtype = "" if x.is_floating_point() else f", dtype={value(x.dtype, '')}"
    return f"torch.zeros({value(tuple(x.shape), '')}{dtype})"


def _containers(module: nn.Module) -> tuple[frozenset[str], frozenset[str]]:
    """Paths of plain modules whose children are all numbered: from 0 on without a gap (lists), or otherwise (dicts)."""
    lists: set[str] = set()
    dicts: set[str] = set()
    for path, child in module.named_modules():
        numbered = bool(child._modules) and all(k.isdecimal() for k in child._modules)
        if path and type(child) is nn.Module and numbered and not child._parameters and not child._buffers:
            (lists if list(child._modules) == [str(i) for i in range(len(child._modules))] else dicts).add(path)
    return frozenset(lists), frozenset(dicts)


def _runs(texts: list[str]) -> Iterable[str]:
    """Three equal expressions in a row are one comprehension."""
    at = 0
    while at < len(texts):
        end = at
        while end < len(texts) and texts[end] == texts[at]:
            end += 1
        if end - at > 2:
            yield f"*({texts[at]} for _ in range({end - at}))"
        else:
            yield from texts[at:end]
        at = end


def _title(path: str) -> str:
    words = [w for w in path.split(".") if not w.isdecimal()]
    return "".join(w.capitalize() for w in re.split(r"[^0-9a-zA-Z]+", words[-1] if words else "Part"))


def _doc(name: str) -> str:
    return comment(name).replace("\\", "").replace('"', "")
