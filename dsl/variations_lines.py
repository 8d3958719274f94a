"""Definitions with a line otherwise: another source, two lines exchanged, a line less, a line more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.predicted import Less, More, Same
from ogive.dsl.source import Source, Span
from ogive.dsl.trees import names_read, walk
from ogive.dsl.variations import Variation, names_of, variation

__all__ = [
    "UNNAMED", "Longer", "lines_added", "lines_fewer", "lines_moved", "lines_said", "names_given", "sources_varied",
]

UNNAMED: Final = "unnamed__"
"""The name of a line whose name is not known."""
PLAIN: Final = ("residual", "gate", "append")
"""Bodies that give no name."""
NORMS: Final = ("batchnorm", "layernorm")
USUAL: Final = ("norm", "bn", "ln", "conv", "fc", "linear", "proj", "head", "embed", "attn", "mlp", "stem")
"""Names that lines with weights often have, with a number behind them or without."""

Suite: TypeAlias = tuple[s.Stmt, ...]
Owner: TypeAlias = s.Network | s.Block | s.Line | s.Repeat | s.Scan


@dataclass(frozen=True)
class Longer:
    """A line more: as it is tried first, and under a name, where it has one."""

    first: Variation
    named: Callable[[str], Variation] | None
    scope: tuple[int, str] = (0, "")
    """What the keys of the line depend on: the scope that it stands in, and what it says."""


# ------------------------------------------------------------------------------------------------ as many lines
def lines_moved(definition: s.Definition) -> Iterator[Variation]:
    """Two lines exchanged; a line in a body that stands beside it, or the other way round."""
    suites = [body for _, body in _suites(definition)]
    for body in suites:
        for i in range(len(body) - 1):
            a, b = body[i : i + 2]
            if _is_plain(a) and _is_plain(b):
                new = (*body[:i], b, a, *body[i + 2 :])
                yield variation(definition, body, new, b.span, "with this line above the one before it", Same())
    yield from _moved(definition, suites)


def _moved(definition: s.Definition, suites: list[Suite]) -> Iterator[Variation]:
    """The line below a body as its last, and the last of a body as the line below it."""
    for body in suites:
        for i, st in enumerate(body):
            if not isinstance(st, s.Line | s.Repeat) or not st.body:
                continue
            effect = Same() if isinstance(st, s.Line) else None
            rest = body[i + 1 :]
            if rest and _is_plain(rest[0]):
                longer = replace(st, body=(*st.body, rest[0]))
                yield variation(definition, body, (*body[:i], longer, *rest[1:]), rest[0].span,
                                "with this line in the body above it", effect)
            if len(st.body) > 1:
                shorter = replace(st, body=st.body[:-1])
                yield variation(definition, body, (*body[:i], shorter, st.body[-1], *rest), st.body[-1].span,
                                "with this line below the body that it ends", effect)


def sources_varied(definition: s.Definition) -> Iterator[Variation]:
    """Another name that stands above a line as its source, one less, one more."""
    names = [(p.name, p.span.start) for p, _ in walk(definition) if isinstance(p, s.Port | s.Carry)]
    names += [(n.name, n.span.start) for label, _ in walk(definition) if isinstance(label, s.Label)
              for n in label.names if isinstance(n, s.Name)]
    scopes = [x for x, _ in walk(definition) if isinstance(x, s.Line) and x.body is not None]
    names += [(x.flow.name, x.span.start) for x in scopes if isinstance(x.flow, s.Name) and x.flow.name not in PLAIN]
    for line, _ in walk(definition):
        if not isinstance(line, s.Line):
            continue
        above = list(dict.fromkeys(name for name, start in names if start < line.span.start))
        places = list(line.sources or ())
        if isinstance(line.flow, s.Binary):
            places += [line.flow.left, line.flow.right]
        for place in places:
            for name in ("_", *above):
                if isinstance(place, s.Name) and place.name != name:
                    new = replace(place, name=name)
                    yield _reading(name, definition, place, new, place.span, f"with `{name}` here")
        for i in range(len(places)):
            if line.sources is not None and i > 0:
                fewer = replace(line, sources=(*line.sources[:i], *line.sources[i + 1 :]))
                yield variation(definition, line, fewer, places[i].span, f"without `{places[i].span.text}`", Same())
        if line.sources is None and (line.body is not None or isinstance(line.flow, s.Call | s.Name)):
            for name in above:
                fed = replace(line, sources=(s.Name(name, line.span),))
                yield _reading(name, definition, line, fed, _head(line), f"with `{name} ->` in front")
        elif line.sources is not None:
            for name in above:
                fed = replace(line, sources=(*line.sources, s.Name(name, line.span)))
                yield _reading(name, definition, line, fed, _head(line), f"with `{name}` as one more source")


def _reading(name: str, definition: s.Definition, old: s.Stmt | s.Expr, new: Any, span: Span, words: str) -> Variation:
    return replace(variation(definition, old, new, span, words, Same()), reads=name)


# ------------------------------------------------------------------------------------------------ fewer, more
def lines_fewer(definition: s.Definition) -> Iterator[Variation]:
    """A line less."""
    for _, body in _suites(definition):
        for i, st in enumerate(body):
            less = (*body[:i], *body[i + 1 :])
            if less and isinstance(st, s.Line) and st.body is None:
                yield variation(definition, body, less, st.span, "without this line", Less(st))


def lines_added(
    definition: s.Definition, lines: Sequence[s.Line], known: Sequence[s.Definition] = ()
) -> Iterator[Longer]:
    """One of some lines more, at each place of each body; a bullet only beside bullets."""
    names = names_of(definition) | {d.name for d in known}
    lines = [line for line in lines if {name for name, _ in names_read(line.flow)} <= names]
    scopes = {id(node): id(_keyed((*around, node))) for node, around in walk(definition) if isinstance(node, Owner)}
    for owner, body in _suites(definition):
        beside = () if owner.body is body else body
        places = [i for i, x in enumerate(body) if isinstance(x, s.Line | s.Repeat | s.If | s.Scan)]
        numbered = any(isinstance(x, s.Line) and x.label is not None and x.label.bullet for x in body)
        for line in lines:
            if line.label is not None and line.label.bullet and not numbered:
                continue
            for at in [*places[:1], *(i + 1 for i in places)]:
                longer = _longer(definition, body, at, More(line, owner, beside))
                yield replace(longer, scope=(scopes[id(owner)], line.flow.span.text))


def _keyed(around: Sequence[object]) -> object:
    """The innermost of some statements inside each other that adds to a key."""
    for node in reversed(around):
        if isinstance(node, s.Line):
            name = node.flow.func if isinstance(node.flow, s.Call) else node.flow
            if not (isinstance(name, s.Name) and name.name in PLAIN):
                return node
        elif isinstance(node, Owner) and not (isinstance(node, s.Repeat) and node.index is None):
            return node
    return around[0]


def _longer(definition: s.Definition, body: Suite, at: int, effect: More) -> Longer:
    """A line more in front of statement `at` of a body, or behind its last."""
    line, above = effect.line, at < len(body)
    place = _head(body[at]) if above else _tail(body[-1])
    where = "above this" if above else "below this" if _is_plain(body[-1]) else "below this body"

    def of(name: str | None) -> Variation:
        label = line.label
        if name is not None and label is not None:
            label = replace(label, names=(s.Name(name, line.span),))
        flow = line.flow.span.text
        text = flow if label is None else f"- {flow}" if label.bullet else f"{name} = {flow}"
        words = f"with a line `{text.removeprefix(f'{UNNAMED} = ')}` {where}"
        new = (*body[:at], replace(line, label=label, shape=None), *body[at:])
        return variation(definition, body, new, place, words, effect)

    named = line.label is not None and not line.label.bullet
    return Longer(of(UNNAMED if named else None), of if named else None)


def lines_said(known: Sequence[s.Definition]) -> list[s.Line]:
    """The usual activations, and the lines of some definitions that are fed by the line above: with a name, numbered,
    or bare; each op and settings once in each of these ways."""
    found: dict[tuple[str, object], s.Line] = {}
    for word in ("relu", "gelu", "silu", *NORMS):
        source = Source("", word)
        span = source.span(0, len(word))
        bullet = s.Label((), True, span) if word in NORMS else None  # with weights it has a name or a number
        found[word, bullet and True] = s.Line(bullet, None, s.Name(word, span), None, None, None, None, span)
    for line, _ in walk(tuple(known)):
        if not isinstance(line, s.Line) or line.body is not None or line.sources is not None:
            continue
        if not isinstance(line.flow, s.Call) and not isinstance(line.flow, s.Name):
            continue
        label = line.label
        if label is None or label.bullet or (len(label.names) == 1 and isinstance(label.names[0], s.Name)):
            found.setdefault((line.flow.span.text, line.key or (label and label.bullet)), line)
    return list(found.values())


def names_given(known: Sequence[s.Definition]) -> list[str]:
    """Names that a line may have had: those of the definitions that are known and the usual ones, with a number behind
    them or without."""
    bases: dict[str, None] = {}
    for label, _ in walk(tuple(known)):
        if isinstance(label, s.Label):
            bases.update((name.name.rstrip("0123456789"), None) for name in label.names if isinstance(name, s.Name))
    bases.update(dict.fromkeys(USUAL))
    return [f"{base}{number}" for number in ("", *range(5)) for base in bases if base]


def _is_plain(st: s.Stmt) -> bool:
    return isinstance(st, s.Line) and st.body is None


def _suites(definition: s.Definition) -> Iterator[tuple[Owner, Suite]]:
    """The bodies of a definition, each with what runs it."""
    for node, around in walk(definition):
        if isinstance(node, s.If):
            owner = next(a for a in reversed(around) if isinstance(a, Owner))
            yield from ((owner, body) for _, body in node.branches)
        elif isinstance(node, Owner) and node.body:
            yield node, node.body


def _head(st: s.Stmt) -> Span:
    """The first line of a statement."""
    end = st.span.source.text.find("\n", st.span.start)
    return Span(st.span.source, st.span.start, min(st.span.end, end if end >= 0 else st.span.end))


def _tail(st: s.Stmt) -> Span:
    """The last line of a statement; what stands behind it may be comments."""
    while body := st.branches[-1][1] if isinstance(st, s.If) else getattr(st, "body", None):
        st = body[-1]
    text = st.span.text.rstrip()
    start = text.rfind("\n") + 1
    while start and text[start:].lstrip().startswith("#"):
        text = text[:start].rstrip()
        start = text.rfind("\n") + 1
    start += len(text[start:]) - len(text[start:].lstrip())
    return Span(st.span.source, st.span.start + start, st.span.start + len(text))
