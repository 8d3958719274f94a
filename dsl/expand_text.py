"""The text of a network written out, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Any, Final

from ogive.dsl.conditions import Condition
from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.either import Either
from ogive.dsl.expand_names import Named
from ogive.dsl.expand_tree import Container, Entry, Leaf, Loop, Place, Scope, nodes_in
from ogive.dsl.expand_words import in_pairs, number_text, unused
from ogive.dsl.graph import Edge, Node, Returned
from ogive.dsl.ops.product import Dot
from ogive.dsl.ops.record import Primitive, Reference, Size, show_setting
from ogive.dsl.ops.regroup import Rearrange
from ogive.dsl.ops.source import Learned
from ogive.dsl.types import Tensor
from ogive.dsl.when import ALWAYS, NEVER, When, flag

__all__ = ["Writer"]

STEP: Final = "    "
QUIET: Final = frozenset({"learned"})


class Writer(Named):
    """One text. Lines are written in the order they run; `flow` is what the next line would be fed."""

    def text(self, asserts: Mapping[Condition, When]) -> str:
        """The text; written once to see which nodes are read by name and from where, then with these names."""
        self._write(asserts)
        self._name()
        return self._write(asserts)

    def _write(self, asserts: Mapping[Condition, When]) -> str:
        self.flow, self.regrouped, self.lettered, self.put_back = self.graph.inputs[0], 0, 0, 0
        name = re.sub(r"\W", "_", self.built.name)
        self.lines = [f"# {self.built.name}, written out.", *(f"# {line}" for line in self.built.doc.splitlines())]
        self.lines.append(f"network {name}:")
        self.lines += [f"{STEP}input {self._port(self.graph.nodes[i])}" for i in self.graph.inputs]
        for condition, when in asserts.items():
            if not when.always:
                self.lines.append(f"{STEP}if {when}:")
            self.lines.append(f"{STEP if when.always else STEP * 2}assert {condition.show()}")
        for entry in self.first:
            self._line(entry, (self.root,), 1)
        self.lines += [STEP + line for line in self._declared()]
        self._suite(self.root.inside[len(self.first) :], (self.root,), 1, ALWAYS)
        self._returns()
        return "\n".join(self.lines) + "\n"

    def _port(self, node: Node) -> str:
        tensor = node.outputs[0]
        letters = {axis: name for name, (owner, axis) in self.graph.free.items() if owner == node.id}
        dims = [letters.get(i) or str(Tensor((axis,))) for i, axis in enumerate(tensor.axes)]
        if in_pairs(tensor):
            dims[2] = f"{self.letters[node.id]}={dims[2]}"  # `B N N` would be two axes of positions
        exact = re.sub(r"floor\((\w+/\w+)\)", r"\1", " ".join(dims))  # an input was divided by `/` alone: `W/4`
        known = f"{node.name}{'?' if node.id in self.calls.optional else ''}: {exact}"
        return known if tensor.dtype == "float" else f"{known} of {tensor.dtype}"

    # ------------------------------------------------------------------------------------ lines
    def _declared(self) -> Iterator[str]:
        """`shared` lines: one for each weighted op that runs more than once, and for each other key of one."""
        first = {node.key: node for node in reversed(list(self.graph.nodes.values())) if node.key}
        taken = set(self.shared.values())
        for key, name in self.shared.items():
            op = self._op(first[key], (self.root,))
            yield f"shared {name} = {op}" + (f' as "{key}"' if name != key else "")
            for other in self._listed_again(first[key]):
                again = unused(re.sub(r"\W", "_", other), taken)
                taken.add(again)
                yield f'shared {again} = {name} as "{other}"'

    def _suite(self, entries: list[Entry], place: Place, depth: int, around: When) -> None:
        """The lines of a body that the calls of `around` come to."""
        groups = [(when, list(group)) for when, group in groupby(entries, lambda x: self._when(x, around))]
        skip = 0
        for i, (when, group) in enumerate(groups):
            if skip:
                skip -= 1
                continue
            if when == around:
                for entry in group:
                    self._entry(entry, place, depth, around)
                continue
            other = around & ~when
            sides = [(when, group)]
            if i + 1 < len(groups) and groups[i + 1][0] == other:
                sides.append(groups[i + 1])
                skip = 1
            behind = groups[i + len(sides)][1] if i + len(sides) < len(groups) else []
            if self._sides(sides, behind, place, depth, around):
                behind.pop(0)

    def _when(self, entry: Entry, around: When) -> When:
        return around & reduce(or_, (self.calls.when(node) for node in nodes_in(entry)), NEVER)

    def _sides(
        self, sides: list[tuple[When, list[Entry]]], behind: list[Entry], place: Place, depth: int, around: When
    ) -> bool:
        """An `if`, with or without `else`. Whether the line behind it says what flows on then: it is not written."""
        before, ends, marks = self.flow, [], []
        when = sides[0][0]
        for head, (own, group) in zip((f"if {when.said(around)}", "else"), sides, strict=False):
            self.lines.append(f"{STEP * depth}{head}:")
            self.flow = before
            self._suite(group, place, depth + 1, own)
            ends.append(self.flow)
            marks.append(len(self.lines))
        flows = [*ends, before][:2]
        if flows[0] == flows[1]:
            self.flow = flows[0]
            return False
        first = behind[0] if behind else None
        if isinstance(first, Leaf) and isinstance(first.node.primitive, Either) and all(flows):
            chosen = first.node.primitive.when & around
            inputs = list(first.node.inputs) if chosen == when else list(first.node.inputs)[::-1]
            if chosen in (when, around & ~when) and inputs == [self._first(x) for x in flows]:
                self.flow = first.node.id
                if first.node.id in self.read:
                    self.lines.append(f"{STEP * depth}{first.label} = _")
                return True
        if not self._alike(flows):
            self._put_back(before or self.graph.inputs[0], marks, place, depth)
            self.flow = before or self.graph.inputs[0]
        else:
            self.flow = ""
        return False

    def _put_back(self, node: str, marks: list[int], place: Place, depth: int) -> None:
        """What flowed before the `if`, at the end of each side: what flows there does not meet."""
        self.put_back += 1
        line = f"{STEP * (depth + 1)}flow_{self.put_back} = {self._address(self._first(node), place)}"
        for mark in reversed(marks):
            self.lines.insert(mark, line)

    def _alike(self, flows: list[str]) -> bool:
        """Whether what flows at the end of both sides can meet, though no line reads it."""
        if not all(flows) or any(map(self._parts, flows)):
            return not any(flows)
        a, b = (self.graph.tensor(self._first(x)) for x in flows)
        return (a.roles, a.dtype) == (b.roles, b.dtype)

    def _entry(self, entry: Entry, place: Place, depth: int, around: When) -> None:
        match entry:
            case Leaf():
                self._line(entry, place, depth)
            case Loop():
                self._loop(entry, place, depth, around)
            case Scope():
                rest = entry.path.removeprefix(place[-1].path + "." if place[-1].path else "")
                key = "" if rest == entry.label else f' as "{rest}"'
                self.lines.append(f"{STEP * depth}{entry.label}{key}:")
                self._suite(entry.inside, (*place, entry), depth + 1, around)
            case Container():
                self._container(entry, place, depth, around)

    def _loop(self, entry: Loop, place: Place, depth: int, around: When) -> None:
        """A `scan`: its body once."""
        items, states, inputs = entry.items, entry.states, list(entry.node.inputs)
        within = (*place, entry)

        def taken(count: int, where: Place) -> list[str]:
            found = [self._address(edge, where) for edge in inputs[:count]]
            del inputs[:count]
            return found

        over = [f"{x.label} in {name}" for x, name in zip(items, taken(len(items), place), strict=True)]
        starts = [f"{x.label} = {name}" for x, name in zip(states, taken(len(states), place), strict=True)]
        carried = f" with {', '.join(starts)}" if states else ""
        name = f"{entry.label} = " if entry.opens else ""
        self.lines.append(f"{STEP * depth}{name}scan {', '.join(over)}{carried}:")
        self.flow = items[0].node.id
        ends = {x.node.id for x in (*items, *states)}
        body = [x for x in entry.inside if not isinstance(x, Leaf) or x.node.id not in ends]
        self._suite(body, within, depth + 1, around)
        inner = STEP * (depth + 1)
        for state, following in zip(states, taken(len(states), within), strict=True):
            self.lines.append(f"{inner}next {state.label} = {following}")
        if inputs:
            self.lines.append(f"{inner}emit {', '.join(taken(len(inputs), within))}")
        self.flow = entry.node.id
        if entry.record.emits and not entry.opens and entry.node.id in self.read:
            self.lines.append(f"{STEP * depth}{entry.label} = _")

    def _container(self, entry: Container, place: Place, depth: int, around: When) -> None:
        start, end = entry.join.inputs
        source = "" if self._flows([start]) else f"{self._address(start, place)} -> "
        self.lines.append(f"{STEP * depth}{self._given_name(entry, entry.join)}{source}{entry.word}:")
        self.flow = start.node
        self._suite(entry.inside, place, depth + 1, around)
        if not self._flows([end]):
            self.lines.append(f"{STEP * (depth + 1)}{entry.label}_ = {self._address(end, place)}")
        self.flow = entry.join.id

    def _line(self, entry: Leaf, place: Place, depth: int) -> None:
        node = entry.node
        if isinstance(node.primitive, Either):
            self._either(entry, node.primitive, place, depth)
            return
        own = list(node.data)
        quiet = node.op in QUIET and not own and node.key not in self.shared
        source = "" if not own or self._flows(own) else f"{', '.join(self._address(e, place) for e in own)} -> "
        op = self.shared.get(node.key) or self._op(node, place)
        bare = re.fullmatch(r"\w+", op) is not None and not source
        if bare and op in self.used:
            op += "()"
        label, key = self._given_name(entry, node), self._key(entry, place)
        alias = ""
        if node.given and not node.key and label:  # a name on the line would be a key
            label, alias = "", f"{STEP * depth}{entry.label} = _"
        require = f" require {node.require}" if node.require else ""
        shape = ""
        if isinstance(node.primitive, Rearrange):
            left, right = self._regrouped(node.primitive)
            name = f"regrouped_{self.regrouped}"
            before = "_" if self._flows(own) else self._address(own[0], place)
            self.lines.append(f"{STEP * depth}{name} = {before} : {left}")
            source, shape = "", f" : {right}"
        elif isinstance(node.primitive, Dot) and any(map(any, node.primitive.letters)):
            source = f"{', '.join(self._lettered(node.primitive, own, place, depth))} -> "
        elif isinstance(node.primitive, Learned) and node.primitive.roles:
            shape = f" : {' '.join(word or '.' for word in node.primitive.roles)}"
        self.lines.append(f"{STEP * depth}{label}{source}{op}{key}{require}{shape}")
        self.lines += [alias] if alias else []
        if not quiet:
            self.flow = node.id

    def _either(self, entry: Leaf, record: Either, place: Place, depth: int) -> None:
        """`x = a if training else b`; `mask or b`, where the input itself is the one side."""
        a, b = entry.node.inputs
        names = [self._address(edge, place) for edge in (a, b)]
        when = record.when.said(self.calls.when(entry.node))
        given = a.node in self.calls.optional and when == flag(a.node)
        self.used.add(entry.label)
        words = f"{names[0]} or {names[1]}" if given else f"{names[0]} if {when} else {names[1]}"
        self.lines.append(f"{STEP * depth}{entry.label} = {words}")
        self.flow = entry.node.id

    def _lettered(self, record: Dot, own: list[Edge], place: Place, depth: int) -> Iterator[str]:
        """Names for what a `dot` reads, on lines with the letters that tell it which axes are one."""
        for edge, letters in zip(own, record.letters, strict=True):
            self.lettered += 1
            name = f"lettered_{self.lettered}"
            words = " ".join(letter if letter.isidentifier() else "." for letter in letters)
            self.lines.append(f"{STEP * depth}{name} = {self._address(edge, place)} : {words}")
            yield name

    def _regrouped(self, record: Rearrange) -> tuple[str, str]:
        """The two annotations of a `rearrange`: its letters are its own, pinned where they are numbers; a part of an
        axis that is a size of the inputs has that one's letter."""
        self.regrouped += 1
        alone = {atoms[0][0] for atoms in record.left if len(atoms) == 1}

        def atom(name: str, size: Dim, first: bool) -> str:
            if not name[0].isalpha() and name[0] != "_":
                return name.partition("'")[0]
            if name not in alone and show(size) in self.graph.free:
                return show(size)
            word = re.sub(r"\W", "_", name)  # a size that met another of its name has a mark: `grid'2`
            letter = name if name == "N" and len(record.right) == 2 else f"{word}_{self.regrouped}"
            return f"{letter}={size}" if first and name not in alone and isinstance(size, int) else letter

        sides: list[str] = []
        for side, first in ((record.left, True), (record.right, False)):
            axes = [[atom(name, size, first) for name, size in atoms] for atoms in side]
            sides.append(" ".join(x[0] if len(x) == 1 else f"({' '.join(x)})" if x else "1" for x in axes))
        return sides[0], sides[1]

    def _given_name(self, entry: Leaf | Container, node: Node) -> str:
        """`name = `, where the line has weights or is read by name."""
        weighted = isinstance(entry, Leaf) and node.key and node.key not in self.shared
        if not weighted and node.id not in self.read:
            return ""
        self.used.add(entry.label)
        return f"{entry.label} = "

    def _key(self, entry: Leaf, place: Place) -> str:
        node = entry.node
        if not node.key or node.key in self.shared:
            return ""
        prefix = place[-1].path + "." if place[-1].path else ""
        if prefix + entry.label == node.key:
            return ""
        return f' as "{node.key.removeprefix(prefix)}"' if node.key.startswith(prefix) else f' as "/{node.key}"'

    def _parts(self, node_id: str) -> bool:
        primitive = self.graph.nodes[node_id].primitive if node_id else None
        return primitive is not None and primitive.parts

    def _flows(self, edges: list[Edge]) -> bool:
        """Whether a line without sources would be fed these."""
        if self._parts(self.flow):
            count = len(self.graph.nodes[self.flow].outputs)
            return edges == [Edge(self.flow, i) for i in range(count)]
        return bool(self.flow) and edges == [self._first(self.flow)]

    def _op(self, node: Node, place: Place) -> str:
        assert node.primitive is not None
        given = [f"{name}={self._weight(g.key, g.edge, place)}" for name, g in node.given.items()]
        return self._call(node.primitive, place, given)

    def _call(self, primitive: Primitive, place: Place, given: list[str]) -> str:
        words: list[str] = []
        fields = type(primitive).model_fields
        order = [*fields, ""]
        for name, value in primitive.settings().items():
            if name in primitive.told:
                continue
            if name == primitive.spread and isinstance(value, tuple):
                words += map(show_setting, value)
            elif name == order[len(words)] and (fields[name].is_required() or isinstance(value, Size)):
                words.append(self._value(value, place))
            else:
                words.append(f"{name}={self._value(value, place)}")
        inside = ", ".join([*words, *given])
        return f"{primitive.op}({inside})" if inside else primitive.op

    def _value(self, value: Any, place: Place) -> str:
        if isinstance(value, Reference):
            return self._address(Edge(value.node, value.result), place)
        if isinstance(value, Primitive):
            return self._call(value, place, [])
        return number_text(value) if isinstance(value, float) else show_setting(value)

    def _weight(self, key: str | None, edge: Edge | None, place: Place) -> str:
        if edge is not None:
            return self._address(edge, place)
        assert key is not None
        parameter = self.graph.parameters[key]
        owner = key.removesuffix(f".{parameter.weight.name}") if parameter.weight.name else key
        node = next(n for n in self.graph if n.key == owner)
        shared = self.shared.get(owner) if node.op != "learned" else None
        name = shared or self._address(Edge(node.id), place)
        return f"{name}.{parameter.weight.name}" if parameter.weight.name else name

    def _returns(self) -> None:
        rest, word = ALWAYS, "if"
        for when, results in self.calls.returns:
            chosen = when.given(rest)
            if chosen.never:
                continue
            shown = [f"{name}={self._result(value)}" if name else self._result(value) for name, value in results]
            line = f"return {', '.join(shown)}"
            if word == "if" and chosen.always:
                value = results[0][1]
                if len(results) > 1 or results[0][0] or self._parts(self.flow) or not isinstance(value, Edge) or (
                    not self._flows([value])
                ):
                    self.lines.append(STEP + line)
                return
            self.lines += [STEP + (f"{word} {when.said(rest)}:" if not chosen.always else "else:"), STEP * 2 + line]
            rest, word = rest & ~when, "elif"

    def _result(self, value: Returned) -> str:
        if isinstance(value, tuple):
            return f"[{', '.join(map(self._result, value))}]"
        return self._address(value, (self.root,))
