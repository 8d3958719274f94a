"""Text to tree. The only module that knows lark.

The parser is iterative and so is the walk from lark's tree to ours: the depth of an expression is counted on the way,
and what is deeper than `limits.EXPRESSION_DEPTH` is refused before anything recurses over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, Diagnostic, fail
from ogive.dsl.layout import TAB, Layout
from ogive.dsl.mistakes import explain
from ogive.dsl.source import Source, Span

__all__ = ["parse", "parse_expression", "terminals", "tokens"]


def parse(source: Source) -> s.File:
    """The tree of a whole file.

    Raises:
        ArchError: A0xx for every definition that does not parse, all of them at once.
    """
    _screen(source)
    try:
        return cast(s.File, _parse(source, "start"))
    except ArchError as error:
        if any(code.startswith("A5") for code in error.codes):
            raise
        raise ArchError(tuple(syntax_errors(source)) or error.diagnostics) from None


def parse_expression(source: Source) -> s.Expr:
    """The tree of one expression: what stands right of `=` in `--set over="window(7) | prefix"`.

    Raises:
        ArchError: A0xx.
    """
    _screen(source)
    if not source.text.strip():
        raise fail("A001", "an expression is missing here", source.span(0, len(source.text)))
    return cast(s.Expr, _parse(source, "expr"))


def tokens(source: Source) -> Iterator[Token]:
    """The tokens of a text that parses, _NL, _INDENT and _DEDENT among them; comments lie between them."""
    parser, layout = _parser()
    layout.source = source
    return parser.parse_interactive(source.text + "\n", start="start").iter_parse()


def terminals() -> dict[str, str]:
    """Every terminal of the grammar, with the text or the regular expression that it stands for."""
    return {t.name: t.pattern.value for t in _parser()[0].terminals}


@cache
def _parser() -> tuple[Lark, Layout]:
    layout = Layout()
    text = (files("ogive.dsl") / "grammar.lark").read_text(encoding="utf-8")
    parser = Lark(
        text, parser="lalr", lexer="contextual", postlex=cast(Any, layout), start=["start", "expr"],
        propagate_positions=True, maybe_placeholders=True,
    )
    return parser, layout


def _parse(source: Source, start: str) -> Any:
    parser, layout = _parser()
    layout.source = source
    text = source.text + "\n" if start == "start" else source.text
    try:
        tree = parser.parse(text, start=start)
    except UnexpectedInput as error:
        raise ArchError((_explained(source, error),)) from None
    return _Converter(source).convert(tree)


def _explained(source: Source, error: UnexpectedInput) -> Diagnostic:
    at = min(error.pos_in_stream if error.pos_in_stream is not None else len(source.text), len(source.text))
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        at = len(source.text.rstrip())
    expected: set[str] = set()
    text = ""
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected or ())
        text = str(error.token)
        kind = error.token.type
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
        text = source.text[at : at + 1]
        kind = "CHARACTER"
    else:
        kind = "$END"
    return explain(source, at, kind, text, expected)


CONTAINERS = ("residual", "gate", "append")
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\x85\ud800-\udfff]")


def _screen(source: Source) -> None:
    """Characters that no reader sees are refused wherever they stand, comments and strings included."""
    if len(source.text) > limits.FILE_BYTES:
        raise fail("A501", f"the text has {len(source.text):,} characters; the limit is {limits.FILE_BYTES:,}")
    for pattern, what in ((CONTROL, "a control character"), (BIDI, "a character that turns the reading direction")):
        if found := pattern.search(source.text):
            raise fail(
                "A003", f"{what} (U+{ord(found[0]):04X}) stands here", source.span(found.start(), found.end()),
                help="take it out; a file says what it shows",
            )


# ---------------------------------------------------------------------------------------------- going on after an error
TRIES = 10  # mended lines of one definition
FOLLOWS = {"A006", "A012", "A021"}  # what a mended line may cause below it


def syntax_errors(source: Source) -> list[Diagnostic]:
    """Every mistake of a text that does not parse: each definition by itself, going on below each mistake."""
    found: list[Diagnostic] = []
    last = ""
    for first, text in _definitions(source.text):
        errors = list(_errors(source, first, text))
        code = errors[0].code if errors else ""
        if not (code == last == "A022") and len(found) < limits.DIAGNOSTICS:  # a run of stray lines is one mistake
            found += errors
        last = code
    return found


def _definitions(text: str) -> Iterator[tuple[int, str]]:
    """The definitions of a text, each with the number of the line (from 0) it starts on."""
    lines = text.split("\n")
    starts = [n for n, line in enumerate(lines) if n == 0 or re.match(r"[A-Za-z_]", line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start, "\n".join(lines[start:end])


def _errors(source: Source, first: int, text: str) -> Iterator[Diagnostic]:
    """The mistakes of one definition: after each, the line is replaced by one that parses."""
    lines = text.split("\n")
    seen: set[str] = set()
    for _ in range(TRIES):
        part = Source(source.name, "\n".join(lines))
        try:
            _parse(part, "start")
            return
        except ArchError as error:
            mistake = error.diagnostics[0]
        follows = (bool(seen) and mistake.code in FOLLOWS) or ("A024" in seen and mistake.code in ("A013", "A022"))
        if not follows:
            yield _moved(mistake, source, first)
        seen.add(mistake.code)
        if not _mend(lines, mistake):
            return


def _moved(mistake: Diagnostic, source: Source, first: int) -> Diagnostic:
    """The diagnostic about a definition, said about the file it stands in."""
    def move(span: Span) -> Span:
        (line, column), length = span.source.place(span.start), span.end - span.start
        start = source.starts[first + line - 1] + column - 1
        return source.span(start, start + length)

    labels = tuple(replace(label, span=move(label.span)) for label in mistake.labels)
    return replace(mistake, span=mistake.span and move(mistake.span), labels=labels)


def _mend(lines: list[str], mistake: Diagnostic) -> bool:
    """Replace the line of a mistake so that what stands below can be read; False when there is no use in going on."""
    if mistake.span is None or mistake.code == "A011":
        return False
    at = mistake.span.line - 1
    if mistake.code == "A007":
        at = max((n for n in range(at) if _written(lines[n])), default=at)
    line, indent = lines[at], _depth(lines[at])
    end = at + 1
    while end < len(lines) and (not _written(lines[end]) or _depth(lines[end]) > indent):
        end += 1
    word = re.match(r"\s*(\w*)", line)
    if indent == 0 and (mistake.code in ("A007", "A010", "A022") or at + 1 == end):
        return False
    if not any(map(_written, lines[at + 1 : end])):
        lines[at] = ""
    elif mistake.code == "A012" or (word and word[1] in ("presets", "expect")):
        lines[at:end] = [""] * (end - at)
    else:
        headers = {"if": "if a:", "elif": "elif a:", "else": "else:", "pattern": "pattern a:"}
        lines[at] = " " * indent + headers.get(word[1] if word else "", "a:" if indent else "block A:")
    return True


def _written(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _depth(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return blank.count(" ") + TAB * blank.count("\t")


class _Converter:
    """Lark's tree to ours, children first, with an explicit stack."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def convert(self, root: Tree[Token] | Token) -> Any:
        done: list[Any] = []
        todo: list[tuple[Any, bool]] = [(root, False)]
        while todo:
            item, ready = todo.pop()
            if not isinstance(item, Tree):
                done.append(item)
            elif ready:
                count = len(item.children)
                children = done[len(done) - count :] if count else []
                del done[len(done) - count :]
                done.append(self._node(item, children))
            else:
                todo.append((item, True))
                todo += [(child, False) for child in reversed(item.children)]
        result = done[0]
        return self._atom(result) if isinstance(result, Token) else result

    def _node(self, tree: Tree[Token], children: list[Any]) -> Any:
        meta = tree.meta
        start = 0 if meta.empty else meta.start_pos
        end = 0 if meta.empty else meta.end_pos
        while end > start and end <= len(self.source.text) + 1 and self._blank(end - 1):
            end -= 1  # a statement's span ends with its last character, not with the line break and comment after it
        span = Span(self.source, start, end)
        rule: Callable[[list[Any], Span], Any] = getattr(self, f"on_{tree.data}")
        return rule(children, span)

    def _blank(self, offset: int) -> bool:
        return offset >= len(self.source.text) or self.source.text[offset] in " \t\r\n"

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def _checked(self, node: Any) -> Any:
        if node.depth > limits.EXPRESSION_DEPTH:
            raise fail("A504", f"this expression is more than {limits.EXPRESSION_DEPTH} levels deep", node.span)
        return node

    def _atom(self, token: Token) -> Any:
        return self.on_name([token], self.span(token))

    # ------------------------------------------------------------------------------------ top level
    def on_start(self, c: list[Any], span: Span) -> s.File:
        imports = tuple(x for x in c if isinstance(x, s.Import))
        return s.File(self.source, imports, tuple(x for x in c if not isinstance(x, s.Import | Token)))

    def on_import_(self, c: list[Any], span: Span) -> s.Import:
        (dots, module), *names = c
        return s.Import(dots, module, tuple(names), span)

    def on_module(self, c: list[Any], span: Span) -> tuple[int, tuple[str, ...]]:
        first = next(i for i, t in enumerate(c) if t.type == "NAME")
        return first, tuple(str(t) for t in c[first:] if t.type == "NAME")

    def on_import_name(self, c: list[Any], span: Span) -> s.ImportName:
        return s.ImportName(self.name(c[0]), self.name(c[1] or c[0]), span)

    def on_network(self, c: list[Any], span: Span) -> s.Network:
        name, params, body = c
        return s.Network(self.name(name), params or (), body, span, name_span=self.span(name), doc=self._doc(span))

    def on_block(self, c: list[Any], span: Span) -> s.Block:
        name, params, body = c
        return s.Block(self.name(name), params or (), body, span, name_span=self.span(name), doc=self._doc(span))

    def on_derive(self, c: list[Any], span: Span) -> s.Derived:
        name, value, *expects = c
        return s.Derived(
            self.name(name), self.expr(value), tuple(expects), span, name_span=self.span(name), doc=self._doc(span)
        )

    def on_pattern(self, c: list[Any], span: Span) -> s.Pattern:
        name, params, *body = c
        return s.Pattern(
            self.name(name), params or (), tuple(body), span, name_span=self.span(name), doc=self._doc(span)
        )

    def on_let(self, c: list[Any], span: Span) -> s.Let:
        return s.Let(self.name(c[0]), self.expr(c[1]), span)

    def on_allow(self, c: list[Any], span: Span) -> s.Allow:
        return s.Allow(self.expr(c[0]), span)

    def on_params(self, c: list[Any], span: Span) -> tuple[s.Param, ...]:
        return tuple(x for x in c if x is not None)

    def on_param(self, c: list[Any], span: Span) -> s.Param:
        return s.Param(self.name(c[0]), c[1], None if c[2] is None else self.expr(c[2]), span)

    def on_type_name(self, c: list[Any], span: Span) -> s.TypeRef:
        return s.TypeRef("name", (self.name(c[0]),), span)

    def on_type_list(self, c: list[Any], span: Span) -> s.TypeRef:
        return s.TypeRef("list", (self.name(c[0]),), span)

    def on_type_choice(self, c: list[Any], span: Span) -> s.TypeRef:
        return s.TypeRef("choice", tuple(self.text(t) for t in c), span)

    def _doc(self, span: Span) -> str:
        """The comment block that stands directly above a definition."""
        number = self.source.place(span.start)[0] - 1
        lines: list[str] = []
        while number >= 1 and self.source.line(number).startswith("#"):
            lines.append(self.source.line(number)[1:].strip())
            number -= 1
        return "\n".join(reversed(lines))

    # ------------------------------------------------------------------------------------ statements
    def on_suite(self, c: list[Any], span: Span) -> tuple[s.Stmt, ...]:
        return tuple(c)

    def on_input(self, c: list[Any], span: Span) -> s.Input:
        return s.Input(tuple(c), span)

    def on_port(self, c: list[Any], span: Span) -> s.Port:
        name, optional, shape, dtype = c
        return self._port(name, optional, self._typed(shape, dtype), False, span)

    def on_port_list(self, c: list[Any], span: Span) -> s.Port:
        name, optional, shape = c
        return self._port(name, optional, shape, True, span)

    def _port(self, name: Token, optional: Token | None, shape: s.Shape, is_list: bool, span: Span) -> s.Port:
        return s.Port(self.name(name), shape, optional is not None, is_list, span, name_span=self.span(name))

    def _typed(self, shape: s.Shape, dtype: Token | None) -> s.Shape:
        return shape if dtype is None else s.Shape(shape.dims, shape.span, dtype=self.name(dtype))

    def on_return_(self, c: list[Any], span: Span) -> s.Return:
        return s.Return(tuple(c), span)

    def on_result(self, c: list[Any], span: Span) -> s.Result:
        return s.Result(None if c[0] is None else self.name(c[0]), self.expr(c[1]), span)

    def on_assert_(self, c: list[Any], span: Span) -> s.Assert:
        return s.Assert(self.expr(c[0]), None if c[1] is None else self.text(c[1]), span)

    def on_presets(self, c: list[Any], span: Span) -> s.Presets:
        return s.Presets(c[0], tuple(c[1:]), span)

    def on_expect(self, c: list[Any], span: Span) -> s.Expect:
        return s.Expect(c[0], tuple(c[1:]), span)

    def on_header(self, c: list[Any], span: Span) -> tuple[s.Name, ...]:
        return tuple(s.Name(self.name(t), self.span(t)) for t in c)

    def on_row(self, c: list[Any], span: Span) -> s.Row:
        return self._row(c, span)

    def on_claim(self, c: list[Any], span: Span) -> s.Row:
        return self._row(c, span)

    def _row(self, c: list[Any], span: Span) -> s.Row:
        head = cast(Token, c[0])
        name = None if head.type == "BULLET" else self.text(head) if head.type == "STRING" else self.name(head)
        return s.Row(name, tuple(c[1:]), span, name_span=self.span(head))

    def on_quantity(self, c: list[Any], span: Span) -> s.Constant:
        text = str(c[0])
        scale = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}[text[-1]]
        self._digits(text[:-1], span)
        whole, _, part = text[:-1].partition(".")
        value = int(whole + part) * scale // 10 ** len(part)
        return s.Constant(value, span, literal=text)

    def on_cell_call(self, c: list[Any], span: Span) -> s.Call:
        return s.Call(s.Name(self.name(c[0]), self.span(c[0])), c[1], span, depth=2)

    def on_cell_default(self, c: list[Any], span: Span) -> s.DefaultCell:
        return s.DefaultCell(span)

    def on_cell_negative(self, c: list[Any], span: Span) -> s.Unary:
        number = self.on_int([c[1]], span) if c[1].type == "INT" else self.on_float([c[1]], span)
        return s.Unary("-", number, span, depth=2)

    def on_shared(self, c: list[Any], span: Span) -> s.Shared:
        key = None if c[2] is None else self.text(c[2])
        return s.Shared(self.name(c[0]), self.expr(c[1]), key, span, name_span=self.span(c[0]))

    def on_repeat(self, c: list[Any], span: Span) -> s.Repeat:
        count, index, *carries, body = c
        return self._repeat(None, count, index, carries, body, span)

    def on_repeat_from(self, c: list[Any], span: Span) -> s.Repeat:
        sources, count, index, *carries, body = c
        return self._repeat(sources, count, index, carries, body, span)

    def _repeat(
        self, sources: tuple[s.Expr, ...] | None, count: Any, index: s.Index | None, carries: list[Any],
        body: tuple[s.Stmt, ...], span: Span,
    ) -> s.Repeat:
        kept = tuple(x for x in carries if x is not None)
        return s.Repeat(sources, self.expr(count), index, kept, body, self._head(span))

    def on_index_plain(self, c: list[Any], span: Span) -> s.Index:
        return s.Index(None, tuple(self.name(t) for t in c), span)

    def on_index_scoped(self, c: list[Any], span: Span) -> s.Index:
        return s.Index(c[0], tuple(self.name(t) for t in c[1:]), span)

    def on_carry(self, c: list[Any], span: Span) -> s.Carry:
        return s.Carry(self.name(c[0]), self.expr(c[1]), span)

    def on_if_(self, c: list[Any], span: Span) -> s.If:
        test, body, *rest = c
        branches = [(self.expr(test), body), *(x for x in rest if x is not None)]
        return s.If(tuple(branches), self._head(span))

    def on_elif_(self, c: list[Any], span: Span) -> tuple[s.Expr, tuple[s.Stmt, ...]]:
        return self.expr(c[0]), c[1]

    def on_else_(self, c: list[Any], span: Span) -> tuple[None, tuple[s.Stmt, ...]]:
        return None, c[0]

    def on_scan(self, c: list[Any], span: Span) -> s.Scan:
        label, *rest, body = c
        over = tuple(x for x in rest if isinstance(x, tuple))
        carries = tuple(x for x in rest if isinstance(x, s.Carry))
        return s.Scan(label, over, carries, body, self._head(span))

    def on_scan_in(self, c: list[Any], span: Span) -> tuple[str, s.Expr]:
        return self.name(c[0]), self.expr(c[1])

    def on_next_(self, c: list[Any], span: Span) -> s.Next:
        return s.Next(self.name(c[0]), self.expr(c[1]), span)

    def on_emit(self, c: list[Any], span: Span) -> s.Emit:
        return s.Emit(tuple(c), span)

    def on_line(self, c: list[Any], span: Span) -> s.Line:
        label, flow, key, require, shape, dtype = c
        sources, flow = self._flow(flow)
        if shape is not None:
            self._no_body(flow, shape)
        return s.Line(
            label, sources, flow, None if key is None else self.text(key), None if require is None else str(require),
            None if shape is None else self._typed(shape, dtype), None, span,
            key_span=None if key is None else self.span(key),
        )

    def on_line_body(self, c: list[Any], span: Span) -> s.Line:
        label, flow, key, body = c
        sources, flow = self._flow(flow)
        if isinstance(flow, s.Name) and flow.name == "else" and label is None and sources is None:
            raise fail(
                "A021", "`else` without an `if` above it", flow.span,
                help="`else` stands below the body of an `if`, as deep as the `if`",
            )
        return s.Line(
            label, sources, flow, None if key is None else self.text(key), None, None, body, self._head(span),
            key_span=None if key is None else self.span(key),
        )

    def _no_body(self, flow: s.Expr, shape: s.Shape) -> None:
        """`residual: relu` and `head: linear(3)` read like a promised shape, and are meant as a body."""
        head = flow.func if isinstance(flow, s.Call) else flow
        container = isinstance(head, s.Name) and head.name in CONTAINERS
        called = any(
            isinstance(a, s.NameDim) and isinstance(b, s.GroupDim) and a.span.end == b.span.start
            for a, b in pairwise(shape.dims)
        )
        if container or called:
            header = self.source.text[flow.span.start : flow.span.end]
            raise fail(
                "A005", "a body starts on its own line", shape.span,
                help=f"put `{shape.span.text}` on the next line, 4 spaces deeper than `{header}:`",
            )

    def _flow(self, flow: Any) -> tuple[tuple[s.Expr, ...] | None, s.Expr]:
        if isinstance(flow, _Arrow):
            return flow.sources, flow.target
        return None, self.expr(flow)

    def _head(self, span: Span) -> Span:
        """The first line of a statement that has a body: what an error about the statement itself points at."""
        line_end = self.source.text.find("\n", span.start)
        end = span.end if line_end < 0 else min(line_end, span.end)
        text = self.source.text[span.start : end]
        return Span(self.source, span.start, span.start + len(text.partition("#")[0].rstrip()))

    def on_arrow(self, c: list[Any], span: Span) -> _Arrow:
        return _Arrow(c[0], self.expr(c[1]))

    def on_sources(self, c: list[Any], span: Span) -> tuple[s.Expr, ...]:
        return tuple(self.expr(x) for x in c)

    def on_label(self, c: list[Any], span: Span) -> s.Label:
        for name in c[0]:
            if not isinstance(name, s.Name | s.Made | s.Item):
                raise fail(
                    "A014", "only names stand left of `=`", name.span,
                    help="a name is given without `self.`" if name.span.text.startswith("self.") else
                    "`name = op(...)`, or several names for several results: `q, k, v = split(3)`",
                )
        return s.Label(c[0], False, span)

    def on_bullet(self, c: list[Any], span: Span) -> s.Label:
        return s.Label((), True, span)

    # ------------------------------------------------------------------------------------ shapes
    def on_shape(self, c: list[Any], span: Span) -> s.Shape:
        return s.Shape(tuple(self.dim(x) for x in c), span)

    def dim(self, x: Any) -> s.Dim:
        if isinstance(x, Token):
            return s.NameDim(self.name(x), self.span(x))
        return cast(s.Dim, x)

    def on_dim_name(self, c: list[Any], span: Span) -> s.NameDim:
        return s.NameDim(self.name(c[0]), span)

    def on_dim_item(self, c: list[Any], span: Span) -> s.ItemDim:
        return s.ItemDim(self.name(c[0]), c[1], span)

    def on_dim_index(self, c: list[Any], span: Span) -> str | int:
        if c[0].type == "NAME":
            return self.name(c[0])
        number = self._integer(c[-1])
        return -number if c[0].type == "MINUS" else number

    def on_dim_int(self, c: list[Any], span: Span) -> s.NumberDim:
        return s.NumberDim(self._integer(c[0]), span)

    def on_dim_add(self, c: list[Any], span: Span) -> s.OpDim:
        return s.OpDim("+", self.dim(c[0]), self.dim(c[1]), span)

    def on_dim_sub(self, c: list[Any], span: Span) -> s.OpDim:
        return s.OpDim("-", self.dim(c[0]), self.dim(c[2]), span)

    def on_dim_mul(self, c: list[Any], span: Span) -> s.OpDim:
        return s.OpDim("*", self.dim(c[0]), self.dim(c[1]), span)

    def on_dim_div(self, c: list[Any], span: Span) -> s.OpDim:
        return s.OpDim("/", self.dim(c[0]), self.dim(c[1]), span)

    def on_dim_pow(self, c: list[Any], span: Span) -> s.OpDim:
        return s.OpDim("**", self.dim(c[0]), self.dim(c[1]), span)

    def on_dim_ceil(self, c: list[Any], span: Span) -> s.CeilDim:
        return s.CeilDim(self.dim(c[0]), span)

    def on_dim_pin(self, c: list[Any], span: Span) -> s.PinDim:
        return s.PinDim(self.name(c[0]), self.dim(c[1]), span)

    def on_dim_any(self, c: list[Any], span: Span) -> s.AnyDim:
        return s.AnyDim(span)

    def on_dim_rest(self, c: list[Any], span: Span) -> s.RestDim:
        return s.RestDim(span)

    def on_dim_ask(self, c: list[Any], span: Span) -> s.AskDim:
        return s.AskDim(span)

    def on_dim_group(self, c: list[Any], span: Span) -> s.GroupDim:
        segments = tuple(x for x in c if isinstance(x, tuple))
        signs: list[Any] = []
        for before, item in pairwise(c):
            if isinstance(item, tuple):
                signs.append("-" if isinstance(before, Token) else "+")
        return s.GroupDim(segments, tuple(signs), span)

    def on_segment(self, c: list[Any], span: Span) -> tuple[s.Dim, ...]:
        return tuple(self.dim(x) for x in c)

    # ------------------------------------------------------------------------------------ expressions
    def expr(self, x: Any) -> s.Expr:
        return cast(s.Expr, self._atom(x) if isinstance(x, Token) else x)

    def on_name(self, c: list[Any], span: Span) -> s.Name:
        return s.Name(self.name(c[0]), span)

    def on_ref(self, c: list[Any], span: Span) -> s.Name | s.Made:
        if len(c) == 1 or c[1] is None:
            return s.Name(self.name(c[0]), span)
        number = self.expr(c[1])
        made: s.Made = self._checked(s.Made(self.name(c[0]), number, span, depth=number.depth + 1))
        return made

    def on_int(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(self._integer(c[0]), span, literal=str(c[0]))

    def on_float(self, c: list[Any], span: Span) -> s.Constant:
        self._digits(str(c[0]), span)
        return s.Constant(float(c[0]), span, literal=str(c[0]))

    def on_string(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(self.text(c[0]), span)

    def on_true(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(True, span)

    def on_false(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(False, span)

    def on_none(self, c: list[Any], span: Span) -> s.Constant:
        return s.Constant(None, span)

    def on_size(self, c: list[Any], span: Span) -> s.SizeExpr:
        parts = str(c[0]).split("x")
        for part in parts:
            self._digits(part, span)
        return s.SizeExpr(tuple(map(int, parts)), span)

    def on_ask(self, c: list[Any], span: Span) -> s.Ask:
        return s.Ask(span)

    def on_group(self, c: list[Any], span: Span) -> s.Expr:
        return self.expr(c[0])

    def on_list(self, c: list[Any], span: Span) -> s.ListExpr:
        items = tuple(self.expr(x) for x in c if x is not None)
        depth = 1 + max((x.depth for x in items), default=0)
        made: s.ListExpr = self._checked(s.ListExpr(items, span, depth=depth))
        return made

    def on_attr(self, c: list[Any], span: Span) -> s.Attr:
        return self._attr(c[0], self.name(c[-1]), c[-1], span, False)

    def on_attr_string(self, c: list[Any], span: Span) -> s.Attr:
        return self._attr(c[0], self.text(c[-1]), c[-1], span, True)

    def _attr(self, base: Any, name: str, token: Token, span: Span, quoted: bool) -> s.Attr:
        left = self.expr(base)
        made: s.Attr = self._checked(
            s.Attr(left, name, span, depth=left.depth + 1, name_span=self.span(token), quoted=quoted)
        )
        return made

    def on_item(self, c: list[Any], span: Span) -> s.Item:
        base = self.expr(c[0])
        index = c[1] if isinstance(c[1], s.Slice) else self.expr(c[1])
        made: s.Item = self._checked(s.Item(base, index, span, depth=1 + max(base.depth, index.depth)))
        return made

    def on_slice(self, c: list[Any], span: Span) -> s.Slice:
        start, stop = (None if x is None else self.expr(x) for x in c)
        depth = 1 + max((x.depth for x in (start, stop) if x is not None), default=0)
        return s.Slice(start, stop, span, depth=depth)

    def on_args(self, c: list[Any], span: Span) -> tuple[s.Arg, ...]:
        return tuple(x for x in c if x is not None)

    def on_arg(self, c: list[Any], span: Span) -> s.Arg:
        return s.Arg(None if c[0] is None else self.name(c[0]), self.expr(c[1]), span)

    def on_call(self, c: list[Any], span: Span) -> s.Call:
        func, args = self.expr(c[0]), c[1]
        depth = 1 + max((func.depth, *(a.value.depth for a in args)))
        made: s.Call = self._checked(s.Call(func, args, span, depth=depth))
        return made

    def _binary(self, op: s.BinaryOp, c: list[Any], span: Span) -> s.Binary:
        left, right = self.expr(c[0]), self.expr(c[-1])
        made: s.Binary = self._checked(s.Binary(op, left, right, span, depth=1 + max(left.depth, right.depth)))
        return made

    def on_binary_or(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("or", c, span)

    def on_binary_and(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("and", c, span)

    def on_binary_union(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("|", c, span)

    def on_binary_inter(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("&", c, span)

    def on_binary_add(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("+", c, span)

    def on_binary_sub(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("-", c, span)

    def on_binary_mul(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("*", c, span)

    def on_binary_div(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("/", c, span)

    def on_binary_floordiv(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("//", c, span)

    def on_binary_mod(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("%", c, span)

    def on_binary_pow(self, c: list[Any], span: Span) -> s.Binary:
        return self._binary("**", c, span)

    def _unary(self, op: s.UnaryOp, c: list[Any], span: Span) -> s.Unary:
        value = self.expr(c[-1])
        made: s.Unary = self._checked(s.Unary(op, value, span, depth=value.depth + 1))
        return made

    def on_unary_not(self, c: list[Any], span: Span) -> s.Unary:
        return self._unary("not", c, span)

    def on_unary_neg(self, c: list[Any], span: Span) -> s.Unary:
        return self._unary("-", c, span)

    def on_unary_complement(self, c: list[Any], span: Span) -> s.Unary:
        return self._unary("~", c, span)

    def on_compare(self, c: list[Any], span: Span) -> s.Compare:
        left, right = self.expr(c[0]), self.expr(c[2])
        if isinstance(left, s.Compare) and ")" not in self.source.text[left.span.end : c[1].start_pos]:
            raise fail(
                "A025", "comparisons do not chain", span,
                help=f"write `{left.span.text} and {left.right.span.text} {c[1]} {right.span.text}`",
            )
        op = cast(s.CompareOp, str(c[1]))
        made: s.Compare = self._checked(s.Compare(op, left, right, span, depth=1 + max(left.depth, right.depth)))
        return made

    def on_cond(self, c: list[Any], span: Span) -> s.Conditional:
        then, test, other = (self.expr(x) for x in c)
        depth = 1 + max(then.depth, test.depth, other.depth)
        made: s.Conditional = self._checked(s.Conditional(then, test, other, span, depth=depth))
        return made

    # ------------------------------------------------------------------------------------ tokens
    def name(self, token: Token) -> str:
        if len(token) > limits.NAME_LENGTH:
            raise fail("A505", f"a name has at most {limits.NAME_LENGTH} characters", self.span(token))
        return str(token)

    def text(self, token: Token) -> str:
        if len(token) > limits.STRING_LENGTH:
            raise fail("A506", f"a string has at most {limits.STRING_LENGTH:,} characters", self.span(token))
        return str(token)[1:-1]

    def _integer(self, token: Token) -> int:
        self._digits(str(token), self.span(token))
        return int(token)

    def _digits(self, text: str, span: Span) -> None:
        if len(text) > limits.LITERAL_DIGITS:
            raise fail("A507", f"a number has at most {limits.LITERAL_DIGITS} digits", span)


class _Arrow:
    """`sources -> target`, on its way into a `Line`."""

    def __init__(self, sources: tuple[s.Expr, ...], target: s.Expr) -> None:
        self.sources = sources
        self.target = target
