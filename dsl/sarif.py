"""Diagnostics as SARIF 2.1.0, the interchange format of code scanners (OASIS standard, 2020)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath, PureWindowsPath
from typing import Any, Final
from urllib.parse import quote

from ogive.dsl.codes import meaning
from ogive.dsl.diagnostics import Diagnostic, Label, printable
from ogive.dsl.source import Span

__all__ = ["SCHEMA", "sarif"]

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(reports: Iterable[tuple[str, Iterable[Diagnostic]]], version: str) -> dict[str, Any]:
    """One run of `ogive check` as a SARIF log.

    Args:
        reports: the name of each file, as the user gave it, and what is wrong with it. A mistake without a place is put
            to its file; one that two files share by an import stands once.
        version: of this package, as the version of the tool.

    Columns count code points from 1, ends are excluded. Further places of a mistake are `relatedLocations`; notes and
    help stand in `message.markdown`, and in `message.text` as lines.
    """
    found = {_identity(file, m): (file, m) for file, mistakes in reports for m in mistakes}
    codes = sorted({m.code for _, m in found.values()})
    places = {code: index for index, code in enumerate(codes)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "ogive", "version": version, "rules": [_rule(code) for code in codes]}},
            "columnKind": "unicodeCodePoints",
            "results": [_result(file, mistake, places[mistake.code]) for file, mistake in found.values()],
        }],
    }


def _identity(file: str, mistake: Diagnostic) -> tuple[object, ...]:
    span = mistake.span
    place = (span.source.name, span.start, span.end) if span else (file, -1, -1)
    return (*place, mistake.code, mistake.title, mistake.notes)


def _rule(code: str) -> dict[str, Any]:
    return {
        "id": code,
        "shortDescription": {"text": meaning(code)},
        "help": {"text": f"`ogive explain-error {code}` shows an example and its repair."},
    }


def _result(file: str, mistake: Diagnostic, rule: int) -> dict[str, Any]:
    place = _location(Label(mistake.span, mistake.label)) if mistake.span else {"physicalLocation": _artifact(file)}
    found: dict[str, Any] = {
        "ruleId": mistake.code, "ruleIndex": rule, "level": mistake.severity, "message": _message(mistake),
        "locations": [place],
    }
    if mistake.labels:
        found["relatedLocations"] = [{"id": i, **_location(label)} for i, label in enumerate(mistake.labels, 1)]
    return found


def _message(mistake: Diagnostic) -> dict[str, str]:
    title = printable(mistake.title)
    facts = [printable(note) for note in mistake.notes]
    if mistake.help:
        facts.append(f"help: {printable(mistake.help)}")
    message = {"text": "\n".join([title, *facts])}
    if facts:
        message["markdown"] = "\n".join([title, "", *(f"- {fact}" for fact in facts)])
    return message


def _location(label: Label) -> dict[str, Any]:
    found: dict[str, Any] = {"physicalLocation": {**_artifact(label.span.source.name), "region": _region(label.span)}}
    if label.text:
        found["message"] = {"text": printable(label.text)}
    return found


def _artifact(name: str) -> dict[str, Any]:
    path = PureWindowsPath(name) if "\\" in name else PurePath(name)
    return {"artifactLocation": {"uri": path.as_uri() if path.is_absolute() else quote(path.as_posix())}}


def _region(span: Span) -> dict[str, Any]:
    (line, column), (end_line, end_column) = span.source.place(span.start), span.source.place(span.visible)
    return {
        "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column,
        "snippet": {"text": span.source.text[span.start : span.visible]},
    }
