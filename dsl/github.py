"""Diagnostics as annotations of a GitHub workflow: a line of stdout each, shown at the place in a pull request."""

from __future__ import annotations

from ogive.dsl.diagnostics import Diagnostic, printable

__all__ = ["annotation"]

COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def annotation(file: str, mistake: Diagnostic) -> str:
    """`::error file=...,line=...,col=...,title=...::message`; `file` is where a mistake without a place is put.

    Columns count from 1. They are left out of a span over several lines, where the service takes none.
    """
    span = mistake.span
    fields: dict[str, str | int] = {"file": span.source.name if span else file}
    if span is not None:
        (line, column), (end_line, end_column) = span.source.place(span.start), span.source.place(span.visible)
        fields |= {"line": line, "endLine": end_line}
        if line == end_line:
            fields |= {"col": column, "endColumn": end_column}
    fields["title"] = f"{mistake.code}: {mistake.title}"
    words = [mistake.label, *(f"{label.span}: {label.text}" for label in mistake.labels), *mistake.notes]
    if mistake.help:
        words.append(f"help: {mistake.help}")
    shown = "\n".join(printable(word) for word in words if word) or printable(mistake.title)
    given = ",".join(f"{name}={_property(str(value))}" for name, value in fields.items())
    return f"::{COMMANDS[mistake.severity]} {given}::{_data(shown)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
