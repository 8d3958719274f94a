"""Files: reading them, following imports inside the root, and what each name at the top of a file stands for."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label, fail, nearest, offer
from ogive.dsl.parse import parse
from ogive.dsl.source import Source, Span

__all__ = [
    "Definition", "Tree", "Unit", "library_names", "load_changed", "load_file", "load_library", "load_text",
    "load_tree", "read_text", "root_of",
]

OPENING: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe does not keep us waiting for its writer."""

ROOT_MARKS: Final = ("ogive.toml", "pyproject.toml", ".git")


LIBRARY_TREES: Final = 128
"""Of files of the library that are kept: twice as many as there are."""

IN_TREE: Final = Path("/=")
"""What stands in front of the path of a file in a tree: a folder that no disk has."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A network, block or pattern, and the file whose names its body sees."""

    node: s.Definition
    unit: Unit

    @property
    def name(self) -> str:
        return self.node.name


@dataclass(eq=False, slots=True)
class Unit:
    """A file with its imports followed. `names` maps to None where an import failed: that is reported once."""

    file: s.File
    path: Path | None
    names: dict[str, Definition | None] = field(default_factory=dict)
    mistakes: list[Diagnostic] = field(default_factory=list)
    bare: str = ""

    @property
    def source(self) -> Source:
        return self.file.source

    @property
    def called(self) -> str:
        """What the user called it: the path of a file, the bare name of a file of the library (`std.timm`)."""
        return self.bare or self.source.name

    @property
    def networks(self) -> list[Definition]:
        """The networks that this file defines, derived ones included, in order."""
        return [Definition(d, self) for d in self.file.definitions if isinstance(d, s.Network | s.Derived)]


def load_file(path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> Unit:
    """Read a file and everything it imports.

    Raises:
        ArchError: A800 it cannot be read, A0xx it does not parse. What is wrong with its imports stands in `mistakes`.
    """
    shown = os.fspath(path)
    base = root_of(Path(shown)) if root is None else Path(root)
    return _Loader(base.resolve()).file(Path(shown), shown)


def load_text(text: str, name: str = "<text>") -> Unit:
    """The same for a text without a place: it may import the library, not files beside it."""
    return _Loader(None).unit(Source(name, _clean(text)), None)


class Tree(Protocol):
    """A project's files where they do not lie on the disk: a revision of it. Paths are from its root."""

    def text(self, path: PurePosixPath) -> str | None:
        """The text of a file; None where there is none.

        Raises:
            ArchError: A501, A800, it cannot be a file of this language.
        """

    def shown(self, path: PurePosixPath) -> str:
        """What a file is called in errors."""


def load_tree(tree: Tree, path: PurePosixPath) -> Unit | None:
    """`load_file` for a file of a tree: what it imports beside it comes from the tree too. None where it is not there.

    Raises:
        ArchError: A0xx it does not parse; A501, A800 it cannot be read.
    """
    text = tree.text(path)
    return None if text is None else _Loader(IN_TREE, tree).unit(Source(tree.shown(path), text), IN_TREE / path)


def load_changed(unit: Unit, text: str, root: str | os.PathLike[str] | None = None) -> Unit:
    """The same file with another text, not written yet: its imports are followed as if it were.

    Raises:
        ArchError: A0xx it does not parse.
    """
    if unit.path is None:
        return load_text(text, unit.source.name)
    base = root_of(unit.path) if root is None else Path(root)
    return _Loader(base.resolve()).unit(Source(unit.source.name, text), unit.path)


def load_library(name: str) -> Unit:
    """A file of the installed library by its bare name: `vit`, `std.timm`.

    Raises:
        ArchError: A109 there is none of that name.
    """
    unit = _Loader(None).library(tuple(name.split(".")), None)
    unit.bare = name
    return unit


@cache
def library_names() -> tuple[str, ...]:
    """The library's files, `std` parts left out."""
    folder = files("ogive.library")
    return tuple(sorted(f.name[: -len(".arch")] for f in folder.iterdir() if f.name.endswith(".arch")))


@cache
def _library() -> Path:
    return Path(str(files("ogive.library"))).resolve()


@lru_cache(LIBRARY_TREES)
def _parsed(name: str, text: str) -> s.File:
    """The tree of a file of the library: a few small files that many others import, each read once for a process."""
    return parse(Source(name, text))


def read_text(path: Path, shown: str) -> str:
    """A file's text: UTF-8, at most `limits.FILE_BYTES`, nothing but a regular file.

    Raises:
        ArchError: A800 with the reason.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            what = "a folder" if path.is_dir() else "no regular file"
            raise fail("A800", f"`{shown}` is {what}, an `.arch` file is needed")
        with open(os.open(path, OPENING), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):  # exchanged since it was looked at
                raise fail("A800", f"`{shown}` is no regular file, an `.arch` file is needed")
            data = stream.read(limits.FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fail("A800", f"cannot read `{shown}`: {reason.lower()}", help=_beside(path)) from None
    if len(data) > limits.FILE_BYTES:
        raise fail("A501", f"`{shown}` is larger than {limits.FILE_BYTES:,} bytes")
    try:
        return _clean(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        seen = Source(shown, data.decode("utf-8", "replace"))
        at = len(data[: error.start].decode("utf-8"))
        raise fail("A800", f"`{shown}` is not UTF-8 text: byte {error.start} in line {line}", seen.span(at, at + 1),
                   help="save it as UTF-8") from None


def _clean(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _beside(path: Path) -> str | None:
    try:
        others = sorted(p.name for p in path.parent.iterdir() if p.suffix == ".arch")
    except OSError:
        return None
    return offer(path.name, others, "files there") if others else None


def root_of(path: Path) -> Path:
    """The nearest folder upwards that a project starts in, else the file's own."""
    try:
        folder = path.resolve().parent
    except (OSError, RuntimeError, ValueError):
        return Path(".")
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in ROOT_MARKS):
            return candidate
    return folder


def _real(path: Path) -> Path:
    """The path without links; links that run in a circle are left, and cannot be read."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


class _Loader:
    """Follows imports; one per call, so that a file is read once and a cycle is seen."""

    def __init__(self, root: Path | None, tree: Tree | None = None) -> None:
        self.root, self.tree = root, tree
        self.units: dict[str, Unit] = {}
        self.open: dict[str, str] = {}
        """The files that import each other down to the one at hand: their real paths, and how they are shown."""

    def file(self, path: Path, shown: str) -> Unit:
        return self.unit(Source(shown, read_text(path, shown)), _real(path))

    def unit(self, source: Source, path: Path | None) -> Unit:
        ours = path is not None and path.is_relative_to(_library())
        unit = Unit(_parsed(source.name, source.text) if ours else parse(source), path)
        self.open[str(path)] = source.name
        for definition in unit.file.definitions:
            known = unit.names.get(definition.name)
            if known is not None:
                label = Label(known.node.name_span, "defined here first")
                unit.mistakes.append(
                    Diagnostic("A103", f"`{definition.name}` is defined twice", definition.name_span, labels=(label,))
                )
                continue
            unit.names[definition.name] = Definition(definition, unit)
        for statement in unit.file.imports:
            self._import(unit, statement)
        del self.open[str(path)]
        return unit

    def _import(self, unit: Unit, statement: s.Import) -> None:
        try:
            found = self._target(unit, statement)
        except ArchError as error:
            unit.mistakes += error.diagnostics
            unit.names.update({name.alias: None for name in statement.names if name.alias not in unit.names})
            return
        unit.mistakes += [m for m in found.mistakes if m not in unit.mistakes]
        for name in statement.names:
            if name.alias in unit.names:
                unit.mistakes.append(self._taken(unit, name))
                continue
            definition = found.names.get(name.name)
            unit.names[name.alias] = definition
            if name.name not in found.names:
                own = [d.name for d in found.file.definitions]
                unit.mistakes.append(Diagnostic(
                    "A109", f"`{found.source.name}` has no `{name.name}`", name.span,
                    help=offer(name.name, own, "it has") if own else "it defines nothing",
                ))

    def _taken(self, unit: Unit, name: s.ImportName) -> Diagnostic:
        known = unit.names[name.alias]
        labels = (Label(known.node.name_span, "defined here"),) if known is not None and known.unit is unit else ()
        return Diagnostic(
            "A103", f"`{name.alias}` has a meaning in this file already", name.span, labels=labels,
            help=f"another name for it: `import {name.name} as {name.name}2`",
        )

    def _target(self, unit: Unit, statement: s.Import) -> Unit:
        if statement.dots == 0:
            return self.library(statement.module, statement.span)
        if unit.path is None or self.root is None:
            raise fail(
                "A109", "a text without a place has no file beside it", statement.span,
                help="save it as a file, or import from the library: `from vit import ViT`",
            )
        folder = unit.path.parent
        for _ in range(statement.dots - 1):
            folder = folder.parent
        path = folder.joinpath(*statement.module).with_suffix(".arch")
        return self._inside(path, self.root, statement.span)

    def library(self, module: tuple[str, ...], span: Span | None) -> Unit:
        folder = _library()
        path = folder.joinpath(*module).with_suffix(".arch")
        if not path.is_file() or not path.resolve().is_relative_to(folder):
            there = [*library_names(), *(f"std.{p.stem}" for p in (folder / "std").glob("*.arch"))]
            name = ".".join(module)
            near = nearest(name, there)
            raise fail(
                "A109", f"the library has no `{name}`", span,
                help=f"did you mean `{near}`?" if near else f"there are {', '.join(sorted(there))}; a file beside "
                "this one is `from .name import ...`",
            )
        return self._once(path, "/".join(("library", *module)) + ".arch", span)

    def _inside(self, path: Path, root: Path, span: Span) -> Unit:
        real = _real(path) if self.tree is None else path
        if not real.is_relative_to(root):
            shown = "that of the repository" if self.tree is not None else str(root)
            raise fail("A109", f"`{path.name}` lies outside the root of this project", span,
                       help=f"the root is {shown}")
        if self.tree is not None:
            inside = PurePosixPath(path.relative_to(root).as_posix())
            text = self.tree.text(inside)
            if text is None:
                raise fail("A109", f"there is no `{self.tree.shown(inside)}`", span,
                           help="what a file imports comes from its own revision")
            return self._once(path, self.tree.shown(inside), span, text)
        if not path.exists():
            raise fail("A109", f"there is no `{path.name}` in that folder", span, help=_beside(path))
        return self._once(real, os.path.relpath(real), span)

    def _once(self, path: Path, shown: str, span: Span | None, text: str | None = None) -> Unit:
        key = str(path)
        if key in self.open:
            circle = [*list(self.open.values())[list(self.open).index(key) :], self.open[key]]
            raise fail("A109", "imports run in a circle: " + " -> ".join(circle), span,
                       help="what both need belongs into a third file")
        if key in self.units:
            return self.units[key]
        if len(self.units) + len(self.open) >= limits.IMPORT_FILES or len(self.open) >= limits.IMPORT_DEPTH:
            most = f"at most {limits.IMPORT_FILES} files along, {limits.IMPORT_DEPTH} imports deep"
            raise fail("A508", f"a file brings {most}", span,
                       help="import from the file that defines it, not from one that imports it")
        unit = self.unit(Source(shown, read_text(path, shown) if text is None else text), path)
        self.units[key] = unit
        return unit
