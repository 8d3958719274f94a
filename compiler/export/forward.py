"""The `forward` of a class: the nodes of a scope as statements, its lists as loops, recurrences as loops as well."""

from __future__ import annotations

import operator
import re
from itertools import pairwise
from typing import Any, Final, Protocol

import torch.fx as fx

from ogive.compiler.export.scopes import Scope
from ogive.compiler.export.spelling import access, argument, comment, expression, is_plain
from ogive.compiler.guards import Calls
from ogive.compiler.lower.loop import Loop
from ogive.compiler.module import Network
from ogive.dsl.when import TRAINING

__all__ = ["TAKEN", "File", "Forward", "by_call"]

TAKEN: Final = frozenset({"self", "torch", "nn", "F", "Tensor", "getattr", "float", "slice", "math"})
"""Names that a local cannot have."""


class File(Protocol):
    """The file in the making, as a `forward` sees it."""

    module: Network
    lists: frozenset[str]
    dicts: frozenset[str]
    cases: dict[tuple[bool, ...], Network]


def by_call(file: File, root: Scope) -> list[str]:
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
        written = Forward(file, scope).lines(name)
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


class Forward:
    """The `forward` of one scope."""

    def __init__(self, file: File, scope: Scope, around: Forward | None = None) -> None:
        self.file = file
        self.scope = scope
        self.names: dict[fx.Node, str] = {} if around is None else around.names
        self.taken: set[str] = set(TAKEN) if around is None else around.taken

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
        inner = Forward(self.file, Scope("", list(nodes), self.scope.loose), self)
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


def _hint(scope: Scope) -> str:
    if scope.path:
        return f"tuple[{', '.join('Tensor' for _ in scope.outputs)}]"
    result = next(n for n in scope.nodes if n.op == "output").args[0]
    values = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else [result]
    kinds = dict.fromkeys("Tensor" if isinstance(x, fx.Node) else "list[Tensor]" for x in values)
    kind = " | ".join(kinds)
    if isinstance(result, dict):
        return f"dict[str, {kind}]"
    return f"tuple[{kind}, ...]" if isinstance(result, tuple) else kind
