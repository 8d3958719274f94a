"""A network written out: presets, imports, derivations, repeats and blocks resolved, every number computed.

Blocks and iterations become scopes with their keys, `residual:`, `gate:` and `append:` stay. A module that runs more
than once is declared for each of its ops, `shared g_fc = linear(64) as "g.fc"`: an expanded text has no blocks. What is
written is read again and must be the same network, to the key, the shape and the guard.
"""

from __future__ import annotations

from collections.abc import Mapping

from ogive.dsl.alike import difference
from ogive.dsl.build import Built, build
from ogive.dsl.conditions import Condition
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.expand_calls import idle, paired, when_missing
from ogive.dsl.expand_fold import folded
from ogive.dsl.expand_text import Writer
from ogive.dsl.format import format_text
from ogive.dsl.load import load_text
from ogive.dsl.source import Source
from ogive.dsl.when import When

__all__ = ["expand"]


def expand(built: Built, keep_repeats: bool = False) -> str:
    """The text of one network, on its own: it imports nothing and takes no settings.

    With `keep_repeats`, iterations that are written alike stay one `repeat n as blocks[i]:`.

    Raises:
        ArchError: A314, the network holds what only a block or a statement can say.
    """
    text = _written(built, {}, keep_repeats)
    again: Built | None = None
    try:
        again = _read(built, text)
    except ArchError:  # without what it asserts, a line below may have no meaning
        if not any(graph.guards for _, graph in built.cases or (({}, built.graph),)):
            raise
    missing = when_missing(built, again)
    if missing or again is None:
        text = _written(built, missing, keep_repeats)
        again = _read(built, text)
    for name in idle(built, again):
        raise _cannot(built, f"its lines ask for `{name}`, and no line that a result needs does")
    for _, graph, twin in paired(built, again):
        what = difference(graph, twin)
        if what is not None:
            raise _cannot(built, f"written out it would be another network: {what}")
    return text


def _written(built: Built, asserts: Mapping[Condition, When], keep_repeats: bool) -> str:
    text = Writer(built).text(asserts)
    return format_text(Source(built.name, folded(text) if keep_repeats else text))


def _read(built: Built, text: str) -> Built:
    try:
        return build(load_text(text, built.name))
    except ArchError as error:
        raise _cannot(built, f"written out it does not stand: {error.diagnostics[0].title}") from error


def _cannot(built: Built, why: str) -> ArchError:
    return fail("A314", f"`{built.name}` cannot be written out", built.definition.node.name_span, notes=[why],
                help="`ogive draw` and `ogive summary` show what it is made of")
