"""Definitions with an argument more, by place or of a name that nothing reads; with another sign in a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ogive.dsl import syntax as s
from ogive.dsl.source import Source, Span
from ogive.dsl.trees import names_read, walk
from ogive.dsl.variations import Variation, names_of, variation

__all__ = ["arguments_added", "arguments_unread", "comparisons_varied", "lines_of_unread", "unread_in"]

MISTAKEN: Final[dict[s.CompareOp, tuple[s.CompareOp, ...]]] = {
    "==": ("!=", ">="), "!=": ("==",), "<": ("<=", ">"), "<=": ("<", ">="), ">": (">=", "<"), ">=": (">", "<="),
}
"""What a sign of a comparison is easily mistaken for."""
USUAL: Final = ("linear", "dropout", "drop_path")
"""Ops that often take one number."""


def unread_in(definition: s.Definition) -> list[str]:
    """Names that a definition gives and does not read: parameters, and numbers of lines."""
    given: dict[str, None] = {}
    written: set[int] = set()
    for node, around in walk(definition):
        if isinstance(node, s.Param):
            given[node.name] = None
        elif isinstance(node, s.Label):
            written |= {id(name) for name in node.names}
            line = around[-1]
            if isinstance(line, s.Line) and line.sources is None and not isinstance(line.flow, s.Call | s.Name):
                given.update((name.name, None) for name in node.names if isinstance(name, s.Name))
    read: set[str] = set()
    for node, _ in walk(definition):
        if isinstance(node, s.Line):  # a line is a node of its own: its label alone is no reading
            parts = (node.sources or (), node.flow, node.shape or ())
            read |= {name for name, _ in names_read(parts)}
        elif isinstance(node, s.Name | s.NameDim) and id(node) not in written:
            read.add(node.name)
    return [name for name in given if name not in read]


def arguments_unread(definition: s.Definition, known: Sequence[s.Definition]) -> Iterator[Variation]:
    """A block called with one argument more, by place or by name: a name that nothing reads."""
    unread = unread_in(definition)
    blocks = {d.name: [p.name for p in d.params] for d in known if isinstance(d, s.Block | s.Network)}
    for call, name, placed in _calls(definition) if unread else ():
        fields = blocks.get(name, [])
        taken = {arg.name for arg in call.args} | set(fields[:placed])
        for word in unread:
            for at in range(min(placed + 1, len(fields))):
                yield _longer(definition, call, at, _word(word))
            for field in fields:
                if field not in taken:
                    yield _longer(definition, call, len(call.args), _word(word, field))


def arguments_added(definition: s.Definition, known: Sequence[s.Definition]) -> Iterator[Variation]:
    """A call with one argument more by place, as other calls of the same have it there."""
    names, others = names_of(definition), _by_place(known)
    for call, name, placed in _calls(definition):
        for at in range(placed + 1):
            for text, arg in others.get((name, at), {}).items():
                here = at < len(call.args) and call.args[at].span.text == text
                if not here and {n for n, _ in names_read(arg)} <= names:
                    yield _longer(definition, call, at, arg)


def _calls(definition: s.Definition) -> Iterator[tuple[s.Call, str, int]]:
    """The calls in the lines of a definition: what is called, and with how many arguments by place."""
    for call, around in walk(definition):
        if isinstance(call, s.Call) and isinstance(call.func, s.Name) and any(isinstance(a, s.Line) for a in around):
            yield call, call.func.name, sum(arg.name is None for arg in call.args)


def comparisons_varied(definition: s.Definition) -> Iterator[Variation]:
    """Another sign in a comparison."""
    for node, around in walk(definition):
        if isinstance(node, s.Compare) and not any(isinstance(a, s.Assert) for a in around):
            left, right = _span(node.left, node.span), _span(node.right, node.span)
            text = node.span.source.text
            start = text.find(node.op, left.end, right.start)
            span = Span(node.span.source, start, start + len(node.op)) if start >= 0 else node.span
            for op in MISTAKEN[node.op]:
                yield variation(definition, node, replace(node, op=op), span, f"with `{op}` here")


def lines_of_unread(definition: s.Definition) -> Iterator[s.Line]:
    """Lines that read a parameter that nothing reads: `linear(classes)`, with a name and without."""
    params = {p.name for p in definition.params} if isinstance(definition, s.Network | s.Block) else set()
    for word in unread_in(definition):
        for op in USUAL if word in params else ():
            source = Source("", f"{op}({word})")
            span = source.span(0, len(source.text))
            flow = s.Call(s.Name(op, source.span(0, len(op))), (_word(word),), span)
            label = s.Label((s.Name(op, span),), False, span) if op == "linear" else None
            yield s.Line(label, None, flow, None, None, None, None, span)


def _span(node: s.Expr, whole: Span) -> Span:
    return getattr(node, "span", whole)


def _word(word: str, field: str | None = None) -> s.Arg:
    """An argument that stands nowhere: a name, or `field=name`."""
    source = Source("", word if field is None else f"{field}={word}")
    whole = source.span(0, len(source.text))
    return s.Arg(field, s.Name(word, source.span(len(source.text) - len(word), len(source.text))), whole)


def _longer(definition: s.Definition, call: s.Call, at: int, arg: s.Arg) -> Variation:
    longer = replace(call, args=(*call.args[:at], arg, *call.args[at:]))
    where = call.func.span if isinstance(call.func, s.Name) else call.span
    place = where if at == 0 else call.args[at - 1].span
    behind = "first here" if at == 0 else "behind this"
    return variation(definition, call, longer, place, f"with `{arg.span.text}` {behind}")


def _by_place(known: Sequence[s.Definition]) -> dict[tuple[str, int], dict[str, s.Arg]]:
    """What the lines of some definitions give to each op by place, by their text; sizes, `1x1`, are met elsewhere."""
    found: dict[tuple[str, int], dict[str, s.Arg]] = {}
    for call, _ in walk(tuple(known)):
        if isinstance(call, s.Call) and isinstance(call.func, s.Name):
            for at, arg in enumerate(call.args):
                if arg.name is None and not isinstance(arg.value, s.SizeExpr):
                    found.setdefault((call.func.name, at), {})[arg.span.text] = arg
    return found
