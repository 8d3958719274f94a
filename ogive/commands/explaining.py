"""`ogive explain-error`: what a code means, with a wrong program, its words and its repair."""

from __future__ import annotations

import shutil
from importlib.resources import files
from json import loads
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.options import AsJson
from ogive.commands.output import as_json, result
from ogive.dsl.diagnostics import fail, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["explain_error"]


def _codes(incomplete: str) -> list[str]:
    return [code for code in _explained() if code.startswith(incomplete.upper())]


def explain_error(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="As in `error[A203]`; else all codes.", autocompletion=_codes)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every example, not the first alone.")] = False,
    json: AsJson = False,
) -> None:
    """Explain the code of an error, or list all codes."""
    known = _explained()
    if code is None:
        if every:
            raise fail("A803", "`--all` is for one code", help="`ogive explain-error A203 --all`")
        if json:
            as_json({name: entry["title"] for name, entry in known.items()})
        else:
            _list(known)
        return
    name = _found(code, known)
    if json:
        as_json({"code": name, **known[name]})
        return
    for line in _page(name, known[name], every):
        result(line)


def _explained() -> dict[str, Any]:
    """Every code with its title, what it means and its cases: written by docs/generate.py."""
    text = files("ogive").joinpath("data", "errors.json").read_text(encoding="utf-8")
    found: dict[str, Any] = loads(text)
    return found


def _found(code: str, known: Mapping[str, Any]) -> str:
    """The code that is meant: `A203`, `a203`, `error[A203]`, `203`.

    Raises:
        ArchError: A809 there is none.
    """
    word = code.strip().removeprefix("error").strip("[]:").upper()
    name = word if word.startswith("A") else f"A{word}"
    if name in known:
        return name
    near = nearest(name, known)
    shown = f"did you mean `{near}`, {known[near]['title']}?" if near else "`ogive explain-error` lists all codes"
    raise fail("A809", f"there is no error `{code}`", help=shown)


def _list(known: Mapping[str, Any]) -> None:
    from ogive.dsl.codes import RANGES

    for start, about in RANGES.items():
        result(f"{'' if start == 'A0' else chr(10)}{start}xx: {about}")
        for name, entry in known.items():
            if name.startswith(start):
                result(f"  {name}  {entry['title']}")
    result("\n`ogive explain-error A203` explains one of them.")


def _page(name: str, entry: Mapping[str, Any], every: bool) -> Iterator[str]:
    yield f"{name}: {entry['title']}"
    yield f"\n{_wrapped(entry['about'])}"
    cases = entry["cases"]
    for case in cases if every else cases[:1]:
        yield from _case(case)
    if not cases:
        yield f"\n{_wrapped('There is no example: ' + entry['without'])}"
    elif len(cases) > 1 and not every:
        more = len(cases) - 1
        yield f"\n{more} more example{'s' if more > 1 else ''}: `ogive explain-error {name} --all`"


def _case(case: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n-- {case['title']}"
    for file, text in case["beside"].items():
        yield f"\nWith `{file}`:\n\n{_indented(text)}"
    yield f"\nWrong:\n\n{_indented(case['wrong'])}"
    yield f"\nWhat is said:\n\n{_indented(case['words'])}"
    yield f"\nRepaired:\n\n{_indented(case['repaired'])}"


def _wrapped(text: str) -> str:
    return fill(text, min(shutil.get_terminal_size().columns, 100), break_long_words=False, break_on_hyphens=False)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.rstrip("\n").split("\n"))
