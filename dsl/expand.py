"""A network written out: presets, imports, derivations, repeats and blocks resolved, every number computed.

Blocks and iterations become scopes with their keys, `residual:`, `gate:` and `append:` stay. A module that runs more
than once is declared for each of its ops, `shared g_fc = linear(64) as "g.fc"`: an expanded text has no blocks. What is
written is read again and must be the same network, to the key, the shape and the guard.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any, Final

from ogive.dsl import limits
from ogive.dsl.alike import difference
from ogive.dsl.build import Built, build
from ogive.dsl.conditions import Condition
from ogive.dsl.containers import CONTAINERS
from ogive.dsl.diagnostics import ArchError, fail, nearest
from ogive.dsl.dims import Dim
from ogive.dsl.dims_text import show
from ogive.dsl.expand_fold import folded
from ogive.dsl.expand_tree import Container, Entry, Leaf, Place, Scope, laid_out
from ogive.dsl.format import format_text
from ogive.dsl.graph import Edge, Graph, Node, Returned
from ogive.dsl.load import load_text
from ogive.dsl.names import MODULE_MEMBERS, RESERVED
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.product import Dot
from ogive.dsl.ops.record import Primitive, Reference, Size, show_setting
from ogive.dsl.ops.regroup import Rearrange
from ogive.dsl.ops.source import Learned
from ogive.dsl.source import Source
from ogive.dsl.types import Tensor

__all__ = ["expand"]

STEP: Final = "    "
QUIET: Final = frozenset({"learned"})


def expand(built: Built, keep_repeats: bool = False) -> str:
    """The text of one network, on its own: it imports nothing and takes no settings.

    With `keep_repeats`, iterations that are written alike stay one `repeat n as blocks[i]:`.

    Raises:
        ArchError: A314, the network holds what only a block or a statement can say.
    """
    graph = built.graph
    if built.cases:
        raise _cannot(built, "what it builds is decided by each call: `training`, or an input that may be left out")
    if any(node.op == "scan" for node in graph):
        raise _cannot(built, "it holds a `scan`, whose body is one for all positions")
    text = _written(built, [], keep_repeats)
    kept: set[Condition] = set()
    try:
        again = _read(built, text)
        kept = {guard.condition for guard in again.guards}
    except ArchError:  # without what it asserts, a line below may have no meaning
        if not graph.guards:
            raise
    missing = [g for g in graph.guards if g.condition not in kept]
    if missing:
        text = _written(built, [f"assert {g.condition.show()}" for g in missing], keep_repeats)
        again = _read(built, text)
    what = difference(graph, again)
    if what is not None:
        raise _cannot(built, f"written out it would be another network: {what}")
    return text


def _written(built: Built, asserts: list[str], keep_repeats: bool) -> str:
    text = _Writer(built).text(asserts)
    return format_text(Source(built.name, folded(text) if keep_repeats else text))


def _read(built: Built, text: str) -> Graph:
    try:
        return build(load_text(text, built.name)).graph
    except ArchError as error:
        raise _cannot(built, f"written out it does not stand: {error.diagnostics[0].title}") from error


def _cannot(built: Built, why: str) -> ArchError:
    return fail("A314", f"`{built.name}` cannot be written out", built.definition.node.name_span, notes=[why],
                help="`ogive draw` and `ogive summary` show what it is made of")


class _Writer:
    """One text. Lines are written in the order they run; `flow` is what the next line would be fed."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.graph = built.graph
        self.root = laid_out(built.graph)
        self.home: dict[str, tuple[Place, Entry]] = {}
        self.shared: dict[str, str] = {}   # the name of each op that runs more than once, by its key
        self.flow = ""
        self.read: set[str] = set()
        self.used: set[str] = set()
        self.deep: set[int] = set()    # what is read from a scope further inside
        self.lines: list[str] = []
        self.regrouped = 0             # how many `rearrange` were written
        self.lettered = 0              # how many tensors were given letters
        self._settle(self.root, (self.root,))
        self.first = self._lifted()
        self._name()

    def text(self, asserts: list[str]) -> str:
        """The text; written once to see which nodes are read by name and from where, then with these names."""
        self._write(asserts)
        self._name()
        return self._write(asserts)

    def _write(self, asserts: list[str]) -> str:
        self.flow, self.regrouped, self.lettered = self.graph.inputs[0], 0, 0
        name = re.sub(r"\W", "_", self.built.name)
        self.lines = [f"# {self.built.name}, written out.", *(f"# {line}" for line in self.built.doc.splitlines())]
        self.lines.append(f"network {name}:")
        self.lines += [f"{STEP}input {self._port(self.graph.nodes[i])}" for i in self.graph.inputs]
        self.lines += [STEP + line for line in asserts]
        for entry in self.first:
            self._line(entry, (self.root,), 1)
        self.lines += [STEP + line for line in self._declared()]
        self._suite(self.root.inside[len(self.first) :], (self.root,), 1)
        self._returns()
        return "\n".join(self.lines) + "\n"

    def _port(self, node: Node) -> str:
        tensor = node.outputs[0]
        letters = {axis: name for name, (owner, axis) in self.graph.free.items() if owner == node.id}
        dims = [letters.get(i) or str(Tensor((axis,))) for i, axis in enumerate(tensor.axes)]
        exact = re.sub(r"floor\((\w+/\w+)\)", r"\1", " ".join(dims))  # an input was divided by `/` alone: `W/4`
        known = f"{node.name}: {exact}"
        return known if tensor.dtype == "float" else f"{known} of {tensor.dtype}"

    # ------------------------------------------------------------------------------------ names
    def _settle(self, scope: Scope | Container, place: Place) -> None:
        for entry in scope.inside:
            if isinstance(entry, Scope):
                self._settle(entry, (*place, entry))
            elif isinstance(entry, Container):
                self.home[entry.join.id] = (place, entry)
                self._settle(entry, place)
            else:
                self.home[entry.node.id] = (place, entry)

    def _lifted(self) -> list[Leaf]:
        """Weights of their own that an op has which runs more than once: they stand in front of its `shared` line."""
        runs = Counter(node.key for node in self.graph)
        given = {weight.key for node in self.graph if runs[node.key] > 1 for weight in node.given.values()}
        found: list[Leaf] = []
        for node in self.graph:
            if node.op == "learned" and node.key in given and runs[node.key] == 1:
                place, entry = self.home[node.id]
                assert isinstance(entry, Leaf)
                _take_out(place[-1].inside, entry)
                self.home[node.id] = (self.root,), entry
                found.append(entry)
        self.root.inside[:0] = found
        return found

    def _name(self) -> None:
        """A name for each scope and each node that has weights or is read by name, never one that hides another."""
        runs: dict[str, list[Node]] = {}
        for node in self.graph:
            if node.key:
                runs.setdefault(node.key, []).append(node)
        taken = {*self.graph.free, *(self.graph.nodes[i].name for i in self.graph.inputs), *RESERVED}
        for key, nodes in runs.items():
            if len(nodes) > 1:
                self.shared[key] = _free(re.sub(r"\W", "_", key), taken)
                taken.add(self.shared[key])
        self._label(self.root, taken)

    def _label(self, scope: Scope, around: set[str]) -> None:
        """Labels of one scope, none of them one of `around`: what is read from inside must not be hidden."""
        own: set[str] = set()
        inner: list[Scope] = []
        for entry in _flat(scope.inside):
            if isinstance(entry, Scope):
                wanted = entry.path.removeprefix(scope.path + "." if scope.path else "")
                inner.append(entry)
            elif isinstance(entry, Container):
                wanted = entry.join.name or f"{entry.word}_{len(own)}"
            else:
                node = entry.node
                own_key = node.key if node.key not in self.shared else ""
                wanted = own_key.rsplit(".", 1)[-1] or node.name or node.op
            word = _word(wanted, isinstance(entry, Scope))
            keyless = isinstance(entry, Leaf) and (not entry.node.key or entry.node.key in self.shared)
            taken = around | own
            entry.label = _numbered(word, taken) if keyless and word in RECORDS else _free(word, taken)
            own.add(entry.label)
        deep = {entry.label for entry in _flat(scope.inside) if id(entry) in self.deep}
        for scope_inside in inner:
            self._label(scope_inside, around | deep)

    def _address(self, edge: Edge, place: Place) -> str:
        """How a line in `place` reads a result."""
        node = self.graph.nodes[edge.node]
        if node.primitive is None:
            return node.name
        self.read.add(edge.node)
        there, entry = self.home[edge.node]
        common = sum(1 for a, b in zip(there, place, strict=False) if a is b)
        if len(place) > common:
            self.deep.add(id([*there[common:], entry][0]))
        path = [scope.label for scope in there[common:]] + [entry.label]
        several = isinstance(entry, Leaf) and len(node.outputs) > 1
        return ".".join(path) + (f"[{edge.result}]" if several else "")

    # ------------------------------------------------------------------------------------ lines
    def _declared(self) -> Iterator[str]:
        """`shared` lines: one for each weighted op that runs more than once, and for each other key of one."""
        first = {node.key: node for node in reversed(list(self.graph.nodes.values())) if node.key}
        taken = set(self.shared.values())
        for key, name in self.shared.items():
            op = self._op(first[key], (self.root,))
            yield f"shared {name} = {op}" + (f' as "{key}"' if name != key else "")
            for other in self._listed_again(first[key]):
                again = _free(re.sub(r"\W", "_", other), taken)
                taken.add(again)
                yield f'shared {again} = {name} as "{other}"'

    def _listed_again(self, node: Node) -> list[str]:
        """Other keys under which the weights of a node are listed."""
        keys = {n.key for n in self.graph}
        found: dict[str, None] = {}
        for parameter in self.graph.parameters.values():
            name = parameter.weight.name
            owner = parameter.key.removesuffix("." + name) if name else parameter.key
            if parameter.tied == (f"{node.key}.{name}" if name else node.key) and owner not in keys:
                found[owner] = None
        return list(found)

    def _suite(self, entries: list[Entry], place: Place, depth: int) -> None:
        for entry in entries:
            match entry:
                case Leaf():
                    self._line(entry, place, depth)
                case Scope():
                    rest = entry.path.removeprefix(place[-1].path + "." if place[-1].path else "")
                    key = "" if rest == entry.label else f' as "{rest}"'
                    self.lines.append(f"{STEP * depth}{entry.label}{key}:")
                    self._suite(entry.inside, (*place, entry), depth + 1)
                case Container():
                    self._container(entry, place, depth)

    def _container(self, entry: Container, place: Place, depth: int) -> None:
        start, end = entry.join.inputs
        source = "" if self._flows([start]) else f"{self._address(start, place)} -> "
        self.lines.append(f"{STEP * depth}{self._given_name(entry, entry.join)}{source}{entry.word}:")
        self.flow = start.node
        self._suite(entry.inside, place, depth + 1)
        if not self._flows([end]):
            self.lines.append(f"{STEP * (depth + 1)}{entry.label}_ = {self._address(end, place)}")
        self.flow = entry.join.id

    def _line(self, entry: Leaf, place: Place, depth: int) -> None:
        node = entry.node
        own = list(node.data)
        quiet = node.op in QUIET and not own
        source = "" if not own or self._flows(own) else f"{', '.join(self._address(e, place) for e in own)} -> "
        op = self.shared.get(node.key) or self._op(node, place)
        bare = re.fullmatch(r"\w+", op) is not None and not source
        if bare and op in self.used:
            op += "()"
        label, key = self._given_name(entry, node), self._key(entry, place)
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
        if not quiet:
            self.flow = node.id

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
        primitive = self.graph.nodes[node_id].primitive
        return primitive is not None and primitive.parts

    def _flows(self, edges: list[Edge]) -> bool:
        """Whether a line without sources would be fed these."""
        if self._parts(self.flow):
            count = len(self.graph.nodes[self.flow].outputs)
            return edges == [Edge(self.flow, i) for i in range(count)]
        return edges == [Edge(self.flow)]

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
        return _number(value) if isinstance(value, float) else show_setting(value)

    def _weight(self, key: str | None, edge: Edge | None, place: Place) -> str:
        if edge is not None:
            return self._address(edge, place)
        assert key is not None
        parameter = self.graph.parameters[key]
        owner = key.removesuffix(f".{parameter.weight.name}") if parameter.weight.name else key
        node = next(n for n in self.graph if n.key == owner)
        name = self.shared.get(owner) or self._address(Edge(node.id), place)
        return f"{name}.{parameter.weight.name}" if parameter.weight.name else name

    def _returns(self) -> None:
        results = self.graph.returns
        if len(results) == 1 and not results[0][0] and results[0][1] == Edge(self.flow) and not self._parts(self.flow):
            return
        shown = [f"{name}={self._result(value)}" if name else self._result(value) for name, value in results]
        self.lines.append(f"{STEP}return {', '.join(shown)}")

    def _result(self, value: Returned) -> str:
        if isinstance(value, tuple):
            return f"[{', '.join(map(self._result, value))}]"
        return self._address(value, (self.root,))


def _take_out(entries: list[Entry], one: Leaf) -> None:
    for entry in list(entries):
        if entry is one:
            entries.remove(one)
        elif isinstance(entry, Container):
            _take_out(entry.inside, one)


def _flat(entries: list[Entry]) -> Iterator[Entry]:
    """The entries of one scope: containers open none."""
    for entry in entries:
        yield entry
        if isinstance(entry, Container):
            yield from _flat(entry.inside)


def _references(primitive: Primitive) -> Iterator[Reference]:
    for name in type(primitive).model_fields:
        value = getattr(primitive, name)
        if isinstance(value, Reference):
            yield value
        elif isinstance(value, Primitive):
            yield from _references(value)


def _number(value: float) -> str:
    """A number as a file may hold it, 18 signs at most: longer ones as a quotient, which comes to the same."""
    plain = repr(value)
    if len(plain.lstrip("-")) <= limits.LITERAL_DIGITS:
        return plain
    sign, digits, power = Decimal(plain).as_tuple()
    return f"{'-' * sign}{''.join(map(str, digits))} / 10**{-int(power)}"


def _word(wanted: str, scope: bool) -> str:
    """A name that may stand where this one is wanted."""
    word = re.sub(r"\W", "_", wanted) or "node"
    word = f"n{word}" if word[0].isdigit() else word
    close = scope and nearest(word, CONTAINERS) is not None
    return f"{word}_" if word in RESERVED or word in MODULE_MEMBERS or close else word


def _numbered(op: str, taken: set[str]) -> str:
    """A name for what an op makes, not its own: alone on a line, that would be the op."""
    return next(name for n in count(1) if (name := f"{op}_{n}") not in taken)


def _free(word: str, taken: set[str]) -> str:
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word}_{number}"
    return name
