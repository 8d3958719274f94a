"""Checking files, folders and library names: a report each, nothing raised."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ogive.compiler.cost import macs
from ogive.dsl import check as room
from ogive.dsl.broken import Claim
from ogive.dsl.budgets import Held
from ogive.dsl.build import Built
from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.sources import arch_files, in_library, open_source

__all__ = ["File", "FileReport", "check", "listed", "report", "viewed"]

T = TypeVar("T")
File: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True, eq=False)
class FileReport:
    """What checking one file found. `networks` are those that stand, by name; `mistakes` is all that is wrong."""

    path: str
    mistakes: tuple[Diagnostic, ...]
    networks: dict[str, Built]
    claims: tuple[Claim, ...] = ()
    unreached: tuple[str, ...] = ()
    """Networks that cannot be built without a setting: only their names were checked."""
    budgets: tuple[Held, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    """What builds and is hardly meant: an unused import, a line that no result needs."""

    @property
    def ok(self) -> bool:
        return not self.mistakes

    def render(self) -> str:
        """The findings, each with its place, cause and help; "" when there are none."""
        return ArchError(self.mistakes).render() if self.mistakes else ""

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "ok": self.ok,
            "networks": [_network(name, built) for name, built in self.networks.items()],
            "claims": [
                {"network": c.network, "figure": c.figure, "printed": c.printed, "actual": c.actual, "holds": c.holds}
                for c in self.claims
            ],
            "budgets": [
                {"network": b.network, "figure": b.figure, "printed": b.printed, "most": b.most, "actual": b.actual,
                 "sizes": dict(b.sizes), "holds": b.holds}
                for b in self.budgets
            ],
            "unreached": list(self.unreached),
            "mistakes": [m.as_json() for m in self.mistakes],
            "warnings": [w.as_json() for w in self.warnings],
        }


def check(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, claims: bool = True,
    root: str | os.PathLike[str] | None = None,
) -> list[FileReport]:
    """Check files: syntax, names, every network at every preset, shapes, and the figures of `expect`.

    Args:
        paths: files, folders (every `.arch` below them) and bare names of library files; one alone will do.
        claims: whether the published figures are held against the networks.
        root: the folder that imports may not leave; by default the project that a file stands in.

    Raises nothing: what cannot be read is a mistake in its report.
    """
    return [report(file, claims, root) for file in listed(paths)]


def viewed(
    files: Iterable[File | FileReport], view: Callable[[FileReport], T], claims: bool, root: File | None
) -> Iterator[T]:
    """What `view` makes of the report of each file, as soon as it is there."""
    return (view(report(file, claims, root)) for file in files)


def listed(paths: File | Iterable[File]) -> list[File | FileReport]:
    """The files that are meant; a report in place of what cannot be found."""
    found: list[File | FileReport] = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        try:
            found += _below(path)
        except ArchError as error:
            found.append(FileReport(str(path), error.diagnostics, {}))
    return found


def _below(path: File) -> list[File]:
    if path == "-" or in_library(path) or not isinstance(path, str | os.PathLike) or not Path(path).is_dir():
        return [path]
    return [*arch_files(Path(path))]


def report(file: File | FileReport, claims: bool, root: File | None) -> FileReport:
    """What checking one file found; a report is handed on."""
    if isinstance(file, FileReport):
        return file
    shown = "<stdin>" if file == "-" else os.fspath(file) if isinstance(file, str | os.PathLike) else repr(file)
    try:
        found = room.check(open_source(file, root), claims)
    except ArchError as error:
        return FileReport(shown, error.diagnostics, {})
    return FileReport(shown, found.mistakes, found.built, tuple(found.claims), tuple(found.unreached),
                      tuple(found.budgets), tuple(found.warnings))


def _network(name: str, built: Built) -> dict[str, Any]:
    graph = built.graph
    try:
        cost: int | None = macs(graph)
    except ArchError:  # a size without a default
        cost = None
    return {
        "name": name, "params": graph.parameter_count, "macs": cost, "nodes": len(graph),
        "guards": [guard.condition.show() for guard in graph.guards],
        "dropped": [{"node": node.id, "line": node.span.line} for node in built.dropped],
    }
