"""`ogive check`: everything that is wrong with some files, and what is worth knowing about those that are right."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ogive.commands.failure import FINDINGS, WRONG_USE, exit_code, say
from ogive.commands.options import AsJson, Root
from ogive.commands.output import as_json, progress, result
from ogive.dsl.diagnostics import ArchError, Diagnostic, fail

if TYPE_CHECKING:
    from ogive.checking import FileReport

__all__ = ["KEPT", "check"]

JSON_VERSION: Final = 1
"""Of what `--format json` prints. A new field keeps it; one that goes or means something else raises it."""


KEPT: Final = 50_000
"""Objects that a command makes before it looks for garbage: it makes much, keeps it, and ends."""


MANY: Final = 8
"""From so many files on, each core checks some of them."""


class Format(StrEnum):
    """What `ogive check` prints its findings as."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def check(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files, folders, names of the library, or - for stdin.")
    ],
    claims: Annotated[
        bool, typer.Option("--claims/--no-claims", help="Hold the figures of `expect` tables against the networks.")
    ] = True,
    form: Annotated[
        Format, typer.Option("--format", help="SARIF 2.1.0 is for code scanners, github for annotations of a workflow.")
    ] = Format.TEXT,
    root: Root = None,
    json: AsJson = False,
) -> int:
    """Check names, shapes and published figures of files.

    Every network is built at every preset, nothing is run, and all mistakes are shown at once. `--json` is short for
    `--format json`. Exits with 1 when something is wrong, with 2 when a file cannot be read.
    """
    from ogive import checking
    from ogive.sources import check_root

    if gc.get_threshold()[0] == KEPT:  # a process of our own: what is imported by now stays to its end
        gc.freeze()
    if json and form not in (Format.TEXT, Format.JSON):
        raise fail("A803", f"`--json` and `--format {form}` ask for two outputs", help="leave one of them out")
    found: list[Shown] = []
    check_root(root)
    form = Format.JSON if json else form
    with progress("checking", after=0.5) as step:
        given = checking.listed(files)
        viewed = checking.viewed
        if len(given) >= MANY:
            from ogive.side_by_side import viewed
        for shown in viewed(given, partial(_shown, form=form), claims, root):
            step(f"checking {os.path.basename(shown.path)}")
            found.append(shown)
    _write(found, form)
    codes = [exit_code(r.mistakes) for r in found if r.mistakes]
    return WRONG_USE if WRONG_USE in codes else FINDINGS if codes else 0


@dataclass(frozen=True)
class Shown:
    """What is printed about one file: lines, or for the other formats the findings or all of it as JSON."""

    path: str
    mistakes: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...] = ()
    head: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    json: dict[str, Any] | None = None

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        return (*self.mistakes, *self.warnings)


def _shown(report: FileReport, form: Format) -> Shown:
    if form is Format.JSON:
        return Shown(report.path, report.mistakes, json=report.as_json())
    if form is not Format.TEXT:
        return Shown(report.path, report.mistakes, report.warnings)
    if not report.ok:
        count = _count(len(report.mistakes), "mistake")
        return Shown(report.path, report.mistakes, report.warnings, (f"{report.path}: {count}",))
    return Shown(report.path, (), report.warnings, tuple(_figures(report)), tuple(_remarks(report)))


def _figures(report: FileReport) -> list[str]:
    count = len(report.networks) + len(report.unreached)
    facts = [_count(count, "network")] if count else ["parts"]
    facts += [_count(len(report.claims), "published figure")] if report.claims else []
    facts += [_count(len(report.budgets), "budget")] if report.budgets else []
    width = max(map(len, report.networks), default=0)
    figures = [f"{built.graph.parameter_count:,}" for built in report.networks.values()]
    return [
        f"{report.path}: ok, {', '.join(facts)}",
        *(f"  {name:<{width}}  {figure:>{max(map(len, figures))}} parameters"
          for name, figure in zip(report.networks, figures, strict=True)),
        *(f"  {name}: names checked; it is built when its settings are given" for name in report.unreached),
    ]


def _write(found: list[Shown], form: Format) -> None:
    from ogive import __version__
    from ogive.dsl.github import annotation
    from ogive.dsl.sarif import sarif

    match form:
        case Format.JSON:
            files = [shown.json for shown in found]
            as_json({"version": JSON_VERSION, "ok": not any(shown.mistakes for shown in found), "files": files})
        case Format.SARIF:
            as_json(sarif([(shown.path, shown.findings) for shown in found], __version__))
        case Format.GITHUB:
            lines = [annotation(shown.path, mistake) for shown in found for mistake in shown.findings]
            for line in dict.fromkeys(lines):  # what two files share by an import stands once
                result(line)
        case Format.TEXT:
            for shown in found:
                _print(shown)


def _print(shown: Shown) -> None:
    for line in shown.head:
        result(line)
    if shown.findings:
        say(ArchError(shown.findings))
    for line in shown.remarks:
        result(line)


def _remarks(report: FileReport) -> list[str]:
    """Numbers in place of `?`, guards and dropped nodes, each with the networks it is true of."""
    found: dict[str, list[str]] = {}
    for name, built in report.networks.items():
        guards = [f"assumes {guard.condition.show()}, line {guard.span.line}" for guard in built.graph.guards]
        drops = [f"drops `{node.id}`, line {node.span.line}: no result needs it" for node in built.dropped]
        solved = [f"? = {number} ({span})" for span, number in built.filled.items()]
        for text in dict.fromkeys([*solved, *guards, *drops]):
            found.setdefault(text, []).append(name)
    everywhere = len(report.networks)
    return [f"  {text}" + ("" if len(x) == everywhere else f" ({', '.join(x)})") for text, x in found.items()]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
