"""`ogive check`: everything that is wrong with some files, and what is worth knowing about those that are right."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ogive.commands.failure import FINDINGS, WRONG_USE, exit_code, say
from ogive.commands.options import AsJson, Root
from ogive.commands.output import as_json, progress, result
from ogive.dsl.diagnostics import ArchError, fail

if TYPE_CHECKING:
    from ogive.checking import FileReport

__all__ = ["check"]

JSON_VERSION: Final = 1
"""Of what `--format json` prints. A new field keeps it; one that goes or means something else raises it."""


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
    from ogive.checking import reports
    from ogive.sources import check_root

    if json and form not in (Format.TEXT, Format.JSON):
        raise fail("A803", f"`--json` and `--format {form}` ask for two outputs", help="leave one of them out")
    found: list[FileReport] = []
    check_root(root)
    with progress("checking", after=0.5) as step:
        for report in reports(files, claims, root):
            step(f"checking {os.path.basename(report.path)}")
            found.append(report)
    _write(found, Format.JSON if json else form)
    codes = [exit_code(r.mistakes) for r in found if not r.ok]
    return WRONG_USE if WRONG_USE in codes else FINDINGS if codes else 0


def _write(found: list[FileReport], form: Format) -> None:
    from ogive import __version__
    from ogive.dsl.github import annotation
    from ogive.dsl.sarif import sarif

    match form:
        case Format.JSON:
            files = [report.as_json() for report in found]
            as_json({"version": JSON_VERSION, "ok": all(report.ok for report in found), "files": files})
        case Format.SARIF:
            as_json(sarif([(report.path, report.mistakes) for report in found], __version__))
        case Format.GITHUB:
            lines = [annotation(report.path, mistake) for report in found for mistake in report.mistakes]
            for line in dict.fromkeys(lines):  # what two files share by an import stands once
                result(line)
        case Format.TEXT:
            for report in found:
                _print(report)


def _print(report: FileReport) -> None:
    if not report.ok:
        count = len(report.mistakes)
        result(f"{report.path}: {count} mistake{'s' if count > 1 else ''}")
        say(ArchError((*report.mistakes, *report.warnings)))
        return
    count = len(report.networks) + len(report.unreached)
    facts = [_count(count, "network")] if count else ["parts"]
    facts += [_count(len(report.claims), "published figure")] if report.claims else []
    result(f"{report.path}: ok, {', '.join(facts)}")
    width = max(map(len, report.networks), default=0)
    figures = [f"{built.graph.parameter_count:,}" for built in report.networks.values()]
    for name, figure in zip(report.networks, figures, strict=True):
        result(f"  {name:<{width}}  {figure:>{max(map(len, figures))}} parameters")
    for name in report.unreached:
        result(f"  {name}: names checked; it is built when its settings are given")
    if report.warnings:
        say(ArchError(report.warnings))
    for text, names in _remarks(report).items():
        where = "" if len(names) == len(report.networks) else f" ({', '.join(names)})"
        result(f"  {text}{where}")


def _remarks(report: FileReport) -> dict[str, list[str]]:
    """Numbers in place of `?`, guards and dropped nodes, each with the networks it is true of."""
    found: dict[str, list[str]] = {}
    for name, built in report.networks.items():
        guards = [f"assumes {guard.condition.show()}, line {guard.span.line}" for guard in built.graph.guards]
        drops = [f"drops `{node.id}`, line {node.span.line}: no result needs it" for node in built.dropped]
        solved = [f"? = {number} ({span})" for span, number in built.filled.items()]
        for text in dict.fromkeys([*solved, *guards, *drops]):
            found.setdefault(text, []).append(name)
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
