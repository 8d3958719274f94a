"""Building small networks in tests: a body in, a graph or the mistakes out."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent, indent
from typing import Any

import pytest

from ogive.dsl.build import Built, build
from ogive.dsl.check import Report, check
from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_text

__all__ = ["built", "checked", "flow", "graph", "keys", "mistakes", "network", "shapes", "text_of", "wrong"]

IMAGE = "input x: B 8 H W"


def network(body: str, head: str = IMAGE, above: str = "", params: str = "") -> str:
    """A file with one network N: `above` (blocks), then the `head` line and the body."""
    signature = f"({params})" if params else ""
    lines = indent(dedent(body).strip("\n"), "    ")
    return f"{dedent(above)}\nnetwork N{signature}:\n    {head}\n{lines}\n"


def built(text: str, name: str | None = None, **settings: Any) -> Built:
    return build(load_text(dedent(text), "case.arch"), name, settings)


def graph(body: str, head: str = IMAGE, above: str = "", params: str = "", **settings: Any) -> Graph:
    """The graph of a network with this body."""
    return built(network(body, head, above, params), "N", **settings).graph


def keys(body: str, head: str = IMAGE, above: str = "", params: str = "", **settings: Any) -> list[str]:
    """The state_dict keys, in order."""
    return list(graph(body, head, above, params, **settings).parameters)


def text_of(found: Graph) -> list[str]:
    """The graph as text, line by line, without its name."""
    return [line.strip() for line in str(found).split("\n")[1:]]


def flow(body: str, head: str = IMAGE, above: str = "", params: str = "", **settings: Any) -> list[str]:
    """The nodes as text, inputs left out."""
    return [line for line in text_of(graph(body, head, above, params, **settings)) if " = input " not in line]


def shapes(body: str, head: str = IMAGE, above: str = "", params: str = "", **settings: Any) -> list[str]:
    """The shapes of the results."""
    found = graph(body, head, above, params, **settings)
    return [str(found.tensor(edge)) for _, edge in found.outputs]


def checked(text: str) -> Report:
    return check(load_text(dedent(text), "case.arch"))


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    """What checking a file finds, a file that does not parse included."""
    try:
        return checked(text).mistakes
    except ArchError as error:
        return error.diagnostics


def wrong(
    body: str, head: str = IMAGE, above: str = "", params: str = "", code: str | Sequence[str] = "", words: str = ""
) -> None:
    """Checking this network finds exactly these codes, and `words` stand in what is printed."""
    found = mistakes(network(body, head, above, params))
    said = "\n\n".join(d.render() for d in found)
    expected = [code] if isinstance(code, str) else list(code)
    if [d.code for d in found] != expected:
        pytest.fail(f"expected {expected}, found:\n{said or 'nothing wrong'}")
    assert words in said, said
