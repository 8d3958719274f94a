"""A network as one Python file in plain PyTorch: classes by block, the same keys, nothing of ours imported.

The classes follow the keys: `blocks.0.attn` is a class when its nodes stand together. Classes whose text is equal are
one class, and a chain of equal blocks is a loop; a recurrence is a `for` over positions. A scope that cannot be a class (a tied module that lies elsewhere,
nodes that another scope interrupts) is written into the one around it.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
import torch.fx as fx
from torch import nn

from ogive.compiler.export.scopes import Scope, scopes
from ogive.compiler.export.spelling import (
    access,
    argument,
    comment,
    constructor,
    expression,
    is_plain,
    own_source,
    value,
)
from ogive.compiler.freeze import Frozen
from ogive.compiler.guards import Calls
from ogive.compiler.lower.loop import Loop
from ogive.compiler.module import Network
from ogive.compiler.pipeline import compile
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import evaluate
from ogive.dsl.graph import Graph
from ogive.dsl.when import TRAINING

__all__ = ["to_source"]

_TAKEN = frozenset({"self", "torch", "nn", "F", "Tensor", "getattr", "float", "slice", "math"})


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
    return _File(network).text()


class _File:
    """The file in the making: finished classes by their body, so that equal ones are written once."""

    def __init__(self, module: Network) -> None:
        self.module = module
        self.classes: dict[str, str] = {}
        self.names: set[str] = set(_TAKEN)
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
        forward = by_call(self, scope) if self.cases and not scope.path else _Forward(self, scope).lines()
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
        self.kinds.add(type(module))
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


def by_call(file: _File, root: Scope) -> list[str]:
    """The methods of a network where calls decide something: `forward` chooses, one method for each kind of call."""
    calls: Calls = file.module.meta["ogive"]["calls"]
    argument_of = {flag: name for name, flag in calls.optional.items()}
    methods: list[str] = []
    choices: list[str] = []
    hints: dict[str, None] = {}
    for case, sub in file.cases.items():
        decided = dict(zip(calls.flags, case, strict=True))
        name = "_" + ("_and_".join(flag for flag, on in decided.items() if on) or "evaluation")
        scope = Scope("", list(sub.graph.nodes), root.loose)
        written = _Forward(file, scope).lines(name)
        hints[written[0].rpartition("-> ")[2].removesuffix(":")] = None
        methods += ["", *written]
        tests = [
            f"{'' if on else 'not '}self.training" if flag == TRAINING
            else f"{argument_of[flag]} is {'not ' if on else ''}None" for flag, on in decided.items()
        ]
        given = ", ".join(str(n.target) for n in sub.graph.nodes if n.op == "placeholder" and not _is_size(n))
        choices += [f"        if {' and '.join(tests)}:", f"            return self.{name}({given})"]
    choices[-2:] = [choices[-1].removeprefix("    ")]
    arguments = ", ".join(
        f"{x.name}: Tensor{' | None = None' if x.name in calls.optional else ''}" for x in calls.inputs.inputs
    )
    return [f"    def forward(self, {arguments}) -> {' | '.join(hints)}:", *choices, *methods]


class _Forward:
    """The `forward` of one scope."""

    def __init__(self, file: _File, scope: Scope, around: _Forward | None = None) -> None:
        self.file = file
        self.scope = scope
        self.names: dict[fx.Node, str] = {} if around is None else around.names
        self.count: Counter[str] = Counter()
        self.taken = set(_TAKEN) if around is None else around.taken

    def lines(self, method: str = "forward") -> list[str]:
        scope = self.scope
        for node in scope.inputs:
            self.names[node] = self._new(self._argument(node))
        arguments = ", ".join(f"{self.names[n]}: {'int' if _is_size(n) else 'Tensor'}" for n in scope.inputs)
        body = self._body()
        result = self._result()
        hint = "Tensor" if len(scope.outputs) == 1 and scope.path else _hint(scope)
        return [f"    def {method}(self{', ' if arguments else ''}{arguments}) -> {hint}:",
                *(f"        {line}" for line in body), f"        return {result}"]

    def _argument(self, node: fx.Node) -> str:
        """An input's name: its own at the root, a weight's or size's own, else x, so that equal blocks read alike."""
        if node.op == "placeholder" and not self.scope.path:
            return str(node.target)
        return _identifier(str(node.target).rpartition(".")[2]) if node.op == "get_attr" else (
            _last(node) if _is_size(node) else "x"
        )

    def _body(self) -> list[str]:
        lines: list[str] = []
        items = self.scope.items
        at = 0
        while at < len(items):
            item = items[at]
            if isinstance(item, Scope):
                run = self._run(items, at)
                lines += self._loop(run) if len(run) > 1 else [self._call(item)]
                at += len(run)
                continue
            at += 1
            if item.op in ("placeholder", "output", "get_attr"):
                continue
            loop = self._recurrence_of(item)
            if loop is not None:
                lines += self._recurrence(item, loop)
                continue
            if item.target is operator.getitem and self._recurrence_of(item.args[0]) is not None:
                continue
            parts = self.scope.parts(item)
            if parts:  # q, k, v = x.chunk(3, 2)
                names = [self._new(_last(p)) for p in parts]
                self.names.update(zip(parts, names, strict=True))
                lines.append(f"{', '.join(names)} = {self._spell(item)}")
                at += len(parts)
                continue
            inline = self.scope.flows_on(item, items[at] if at < len(items) else None)
            text = self._spell(item)
            if inline:
                self.names[item] = text
                continue
            self.names[item] = self._new(_last(item))
            line, shape = f"{self.names[item]} = {text}", self._shape(item)
            lines.append(line + shape if len(line + shape) <= 112 else line)
        return lines

    def _recurrence_of(self, node: object) -> Loop | None:
        if not isinstance(node, fx.Node) or node.op != "call_module":
            return None
        made = self.file.module.get_submodule(str(node.target))
        return made if isinstance(made, Loop) else None

    def _recurrence(self, node: fx.Node, loop: Loop) -> list[str]:
        """A recurrence as a `for` over positions, its body written out."""
        nodes = list(loop.body.graph.nodes)
        enter = [n for n in nodes if n.op == "placeholder"]
        many, carried = len(loop.axes), len(loop.axes) + loop.states
        sources = [self._name(n) for n in node.args]  # type: ignore[arg-type]
        for inner, outer in zip(enter[carried:], sources[carried:], strict=True):
            self.names[inner] = outer
        states = [self._new(f"state_{i + 1}" if loop.states > 1 else "state") for i in range(loop.states)]
        lists = [self._new("emitted") for _ in range(loop.emits)]
        self.names.update(zip(enter[many:carried], states, strict=True))
        step = self._new("t")
        lines = [f"{name} = {start}" for name, start in zip(states, sources[many:carried], strict=True)]
        lines += [f"{name}: list[Tensor] = []" for name in lists]
        lines.append(f"for {step} in range({sources[0]}.shape[{loop.axes[0]}]):")
        for item, source, axis in zip(enter[:many], sources, loop.axes, strict=False):
            self.names[item] = self._new("item")
            lines.append(f"    {self.names[item]} = {source}.select({axis}, {step})")
        inner = _Forward(self.file, Scope("", list(nodes), self.scope.loose), self)
        lines += [f"    {line}" for line in inner._body()]
        made = [inner._name(n) for n in nodes[-1].args[0]]  # type: ignore[union-attr, arg-type]
        if states:
            lines.append(f"    {', '.join(states)} = {', '.join(made[: loop.states])}")
        lines += [f"    {name}.append({value})" for name, value in zip(lists, made[loop.states :], strict=True)]
        for part in node.users:
            at = part.args[1]
            assert isinstance(at, int)
            if at < loop.states:
                self.names[part] = states[at]
            else:
                self.names[part] = self._new(_last(node))
                lines.append(f"{self.names[part]} = torch.stack({lists[at - loop.states]}, 1){self._shape(part)}")
        return lines

    def _shape(self, node: fx.Node) -> str:
        """The comment with a result's shape; steps on the way to it have none."""
        about = node.meta.get("ogive", {})
        shape = comment(str(about.get("shape", "")))
        after = node.next.meta.get("ogive", {}).get("node") == about.get("node")
        return f"  # {shape}" if shape and not after and not _is_size(node) and "," not in shape else ""

    def _run(self, items: list[fx.Node | Scope], at: int) -> list[Scope]:
        """As many scopes from `at` on as can be one loop: all of a list, each fed by the one before."""
        first = items[at]
        assert isinstance(first, Scope)
        path, _, index = first.path.rpartition(".")
        if path not in self.file.lists or index != "0" or len(first.outputs) != 1:
            return [first]
        whole = len(self.file.module.get_submodule(path)._modules)
        run = [s for s in items[at : at + whole] if isinstance(s, Scope)]
        expected = [f"{path}.{i}" for i in range(whole)]
        if whole < 2 or [s.path for s in run] != expected:
            return [first]
        for before, after in pairwise(run):
            carried = [n for n in after.inputs if n is before.outputs[0]]
            fixed = [n for n in after.inputs if n is not before.outputs[0]]
            same = len(after.inputs) == len(first.inputs) and after.inputs[0] is before.outputs[0]
            used_on = any(u not in after.all_nodes for u in before.outputs[0].users)
            if len(carried) != 1 or not same or fixed != first.inputs[1:] or used_on or len(before.outputs) != 1:
                return [first]
        return run if len(run[-1].outputs) == 1 else [first]

    def _loop(self, run: list[Scope]) -> list[str]:
        path = run[0].path.rpartition(".")[0]
        below = path.removeprefix(self.scope.path).removeprefix(".")
        listed = access("self", below, self.file.lists, self.file.dicts, self.scope.path)
        start, *fixed = [self._name(n) for n in run[0].inputs]
        name, item = self._new("x"), self._new("block")
        self.names[run[-1].outputs[0]] = name
        lines = [] if start == name else [f"{name} = {start}"]
        return [*lines, f"for {item} in {listed}:", f"    {name} = {item}({', '.join([name, *fixed])})"]

    def _call(self, scope: Scope) -> str:
        below = scope.path.removeprefix(self.scope.path).removeprefix(".")
        target = access("self", below, self.file.lists, self.file.dicts, self.scope.path)
        arguments = ", ".join(self._name(n) for n in scope.inputs)
        names = [self._new(_tail(scope.path)) for _ in scope.outputs]
        self.names.update(zip(scope.outputs, names, strict=True))
        return f"{', '.join(names)} = {target}({arguments})"

    def _result(self) -> str:
        if self.scope.path:
            return ", ".join(self._name(n) for n in self.scope.outputs)
        output = next(n for n in self.scope.nodes if n.op == "output")
        result = output.args[0]
        if isinstance(result, dict):
            return "{" + ", ".join(f"{str(k)!r}: {self._listed(v)}" for k, v in result.items()) + "}"
        if isinstance(result, tuple):
            return ", ".join(self._listed(v) for v in result)
        return self._listed(result)

    def _listed(self, value: Any) -> str:
        """One result; a list of tensors is a list."""
        return f"[{', '.join(map(self._listed, value))}]" if isinstance(value, list) else self._name(value)

    def _spell(self, node: fx.Node) -> str:
        if node.op != "call_module":
            return expression(node, self._name)
        arguments = ", ".join(argument(a, node, self._name) for a in node.args)
        if node in self.scope.loose:
            return f"self.{self.scope.loose[node]}({arguments})"
        below = str(node.target).removeprefix(self.scope.path).removeprefix(".")
        return f"{access('self', below, self.file.lists, self.file.dicts, self.scope.path)}({arguments})"

    def _name(self, node: fx.Node) -> str:
        if node in self.names:
            return self.names[node]
        assert node.op == "get_attr", f"{node} is read before it is made"
        below = str(node.target).removeprefix(self.scope.path).removeprefix(".")
        return access("self", below, self.file.lists, self.file.dicts, self.scope.path)

    def _new(self, name: str) -> str:
        free, n = name, 2
        while free in self.taken:
            free, n = f"{name}_{n}", n + 1
        self.taken.add(free)
        return free


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


def _tail(path: str) -> str:
    """A local name for the result of a scope: its last part, the list's name for an item of it."""
    words = [w for w in path.split(".") if not w.isdecimal()]
    return _identifier(words[-1] if words else "x")


def _last(node: fx.Node) -> str:
    about = node.meta.get("ogive", {})
    if about.get("op") == "size" or _is_size(node):
        return _identifier(node.name)
    return _identifier(str(about.get("node", node.name)).rpartition(".")[2])


def _is_size(node: fx.Node) -> bool:
    return node.meta.get("ogive", {}).get("op") == "size"


def _identifier(text: str) -> str:
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or "x"
    name = f"x_{name}" if name[0].isdigit() else name
    return name if is_plain(name) else f"{name}_"


def _title(path: str) -> str:
    words = [w for w in path.split(".") if not w.isdecimal()]
    return "".join(w.capitalize() for w in re.split(r"[^0-9a-zA-Z]+", words[-1] if words else "Part"))


def _doc(name: str) -> str:
    return comment(name).replace("\\", "").replace('"', "")


def _hint(scope: Scope) -> str:
    if scope.path:
        return f"tuple[{', '.join('Tensor' for _ in scope.outputs)}]"
    result = next(n for n in scope.nodes if n.op == "output").args[0]
    values = list(result.values()) if isinstance(result, dict) else list(result) if isinstance(result, tuple) else [result]
    kinds = dict.fromkeys("Tensor" if isinstance(x, fx.Node) else "list[Tensor]" for x in values)
    kind = " | ".join(kinds)
    if isinstance(result, dict):
        return f"dict[str, {kind}]"
    return f"tuple[{kind}, ...]" if isinstance(result, tuple) else kind
