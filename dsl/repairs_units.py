"""A file with one definition changed, and the definitions that a network of it uses."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from ogive.dsl import syntax as s
from ogive.dsl.load import Definition, Unit
from ogive.dsl.trees import names_read

__all__ = ["changed_in", "reached", "using"]


def reached(unit: Unit, networks: Container[str]) -> list[s.Definition]:
    """The definitions that some networks of a file use, however far, themselves among them; first those of the file, as
    they stand there."""
    found: list[s.Definition] = [d for d in unit.file.definitions if d.name in networks]
    todo: list[tuple[s.Definition, Unit]] = [(d, unit) for d in found]
    while todo:
        node, home = todo.pop(0)
        for name, _ in names_read(node):
            other = home.names.get(name)
            if other is not None and all(other.node is not d for d in found):
                found.append(other.node)
                todo.append((other.node, other.unit))
    here = [d for d in unit.file.definitions if any(d is x for x in found)]
    found = here + [x for x in found if all(x is not d for d in here)]
    return [d for d in found if isinstance(d, s.Network | s.Block | s.Derived)]


def using(old: s.Definition, known: Iterable[Definition]) -> set[int]:
    """The definitions that use one, however far, by identity; the one itself among them."""
    readers: dict[int, list[Definition]] = {}
    todo: list[Definition] = []
    for d in known:
        todo += [d] if d.node is old else []
        for name in {name for name, _ in names_read(d.node)}:
            other = d.unit.names.get(name)
            if other is not None:
                readers.setdefault(id(other.node), []).append(d)
    found: set[int] = set()
    while todo:
        d = todo.pop()
        if id(d) not in found:
            found.add(id(d))
            todo += readers.get(id(d.node), [])
    return found


def changed_in(unit: Unit, old: s.Definition, new: s.Definition, using: Container[int], made: dict[int, Unit]) -> Unit:
    """A unit, and the units it imports from, with one definition exchanged for those that use it."""
    if id(unit) in made:
        return made[id(unit)]
    definitions = tuple(new if d is old else d for d in unit.file.definitions)
    copy = replace(unit, file=replace(unit.file, definitions=definitions), names={})
    made[id(unit)] = copy
    for name, d in unit.names.items():
        copy.names[name] = d if d is None or id(d) not in using else Definition(
            new if d.node is old else d.node, changed_in(d.unit, old, new, using, made)
        )
    return copy
