"""The tree: what a file says, line by line, before any of it means something. Every node keeps its span.

Equality ignores spans and comments, so `parse(format(text)) == parse(text)` can be a test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ogive.dsl.source import Source, Span

__all__ = [
    "Allow", "AnyDim", "Arg", "Ask", "AskDim", "Assert", "Attr", "Binary", "Block", "Bound", "Budget", "Call", "Carry",
    "CeilDim",
    "Claim", "Compare", "Conditional", "Constant", "DefaultCell", "Definition", "Derived", "Dim", "DimOp", "Emit",
    "Expect", "Expr", "File", "GroupDim", "If", "Import", "ImportName", "Index", "Input", "Item", "ItemDim", "KeyRule",
    "Label", "Let", "Line", "ListExpr", "Made", "Name", "NameDim", "Network", "Next", "NumberDim", "OpDim", "Param",
    "Pattern", "PinDim", "Port", "Presets", "Repeat", "RestDim", "Result", "Return", "Row", "Scan", "Shape", "Shared",
    "SizeExpr", "Slice", "Stmt", "TypeRef", "Unary", "Weights",
]


def _span() -> Span:
    return field(compare=False, repr=False)  # type: ignore[no-any-return]


def _depth() -> int:
    return field(default=1, compare=False, repr=False, kw_only=True)


# ---------------------------------------------------------------------------------------------- expressions
@dataclass(frozen=True, slots=True)
class Name:
    name: str
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Made:
    """A name made with a number: `layer{s + 1}`."""

    name: str
    number: Expr
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, string, True, False or None. `unit` is the letter of a quantity such as `17.6G`."""

    value: int | float | str | bool | None
    span: Span = _span()
    depth: int = _depth()
    literal: str = field(default="", kw_only=True, repr=False)


@dataclass(frozen=True, slots=True)
class SizeExpr:
    """`3x3`, `1x7`, `2x3x3`."""

    values: tuple[int, ...]
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Ask:
    """`?`: solve for it."""

    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class ListExpr:
    items: tuple[Expr, ...]
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Attr:
    """`enc.skip`, `ViT.B`, `LeViT."128s"` (then `quoted`)."""

    base: Expr
    name: str
    span: Span = _span()
    depth: int = _depth()
    name_span: Span = field(kw_only=True, compare=False, repr=False)
    quoted: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Item:
    """`depths[s]`, `blocks[-1]`, `weight[0 : C]`."""

    base: Expr
    index: Expr | Slice
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Slice:
    start: Expr | None
    stop: Expr | None
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Arg:
    name: str | None
    value: Expr
    span: Span = _span()

    @property
    def name_span(self) -> Span:
        """The name alone, where there is one."""
        return self.span.first(len(self.name)) if self.name else self.span


@dataclass(frozen=True, slots=True)
class Call:
    func: Expr
    args: tuple[Arg, ...]
    span: Span = _span()
    depth: int = _depth()


UnaryOp: TypeAlias = Literal["-", "not", "~"]
BinaryOp: TypeAlias = Literal["+", "-", "*", "/", "//", "%", "**", "|", "&", "and", "or"]
DimOp: TypeAlias = Literal["+", "-", "*", "/", "**"]
CompareOp: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Unary:
    op: UnaryOp
    value: Expr
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Binary:
    op: BinaryOp
    left: Expr
    right: Expr
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Compare:
    op: CompareOp
    left: Expr
    right: Expr
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class Conditional:
    """`a if test else b`."""

    then: Expr
    test: Expr
    other: Expr
    span: Span = _span()
    depth: int = _depth()


Expr: TypeAlias = (
    Name | Made | Constant | SizeExpr | Ask | ListExpr | Attr | Item | Call | Unary | Binary | Compare | Conditional
)


# ---------------------------------------------------------------------------------------------- shapes
@dataclass(frozen=True, slots=True)
class NameDim:
    name: str
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class ItemDim:
    """`widths[s]`: an element of a constant list."""

    name: str
    index: str | int
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class NumberDim:
    value: int
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class OpDim:
    """`2*hidden`, `H/4`, `n1+n3`, `2**levels`."""

    op: DimOp
    left: Dim
    right: Dim
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class CeilDim:
    """`ceil(H / 2)`."""

    value: Dim
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class PinDim:
    """`H=size`: a letter bound to a size."""

    name: str
    value: Dim
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class GroupDim:
    """`(1 + h w)`: segments; the letters of one segment are its grid."""

    segments: tuple[tuple[Dim, ...], ...]
    signs: tuple[Literal["+", "-"], ...]
    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class AnyDim:
    """`.`: an axis of any size."""

    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class RestDim:
    """`...`: any number of axes."""

    span: Span = _span()
    depth: int = _depth()


@dataclass(frozen=True, slots=True)
class AskDim:
    """`?`: the compiler fills it in."""

    span: Span = _span()
    depth: int = _depth()


Dim: TypeAlias = NameDim | ItemDim | NumberDim | OpDim | CeilDim | PinDim | GroupDim | AnyDim | RestDim | AskDim


@dataclass(frozen=True, slots=True)
class Shape:
    """`B (1 + h w) dim`, with `of int` where the elements are not floats."""

    dims: tuple[Dim, ...]
    span: Span = _span()
    dtype: str | None = field(default=None, kw_only=True)


# ---------------------------------------------------------------------------------------------- statements
@dataclass(frozen=True, slots=True)
class Port:
    name: str
    shape: Shape
    optional: bool
    is_list: bool
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Input:
    ports: tuple[Port, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Result:
    name: str | None
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Return:
    results: tuple[Result, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Assert:
    test: Expr
    text: str | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DefaultCell:
    """`-` in a table: keep the default."""

    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `presets` or `expect`. `name` is None for `-`, the network itself."""

    name: str | None
    cells: tuple[Expr | DefaultCell, ...]
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)


Claim: TypeAlias = Row


@dataclass(frozen=True, slots=True)
class Presets:
    columns: tuple[Name, ...]
    rows: tuple[Row, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Expect:
    columns: tuple[Name, ...]
    rows: tuple[Claim, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Bound:
    """`memory <= 8GB at B=32`: a figure, the most that it may be, and the sizes that it is taken at."""

    figure: Name
    sign: str
    most: Constant
    sizes: tuple[tuple[Name, Constant | SizeExpr], ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Budget:
    """`expect params <= 30M, memory <= 8GB at B=32`."""

    bounds: tuple[Bound, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Shared:
    name: str
    value: Expr
    key: str | None
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Carry:
    name: str
    start: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Index:
    """What a repeat counts with. `scope` is the key it opens (`blocks` in `as blocks[i]`), None when it opens none."""

    scope: Name | Made | None
    names: tuple[str, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Repeat:
    sources: tuple[Expr, ...] | None
    count: Expr
    index: Index | None
    carries: tuple[Carry, ...]
    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class If:
    """`if`, `elif`s and `else` as (test, body) pairs; the test of `else` is None."""

    branches: tuple[tuple[Expr | None, tuple[Stmt, ...]], ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Label:
    """The left of a line: names, or a bullet (`names` is empty then)."""

    names: tuple[Name | Made | Item, ...]
    bullet: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Line:
    """`[label] [sources ->] flow [as key] [require need] [: shape]`, or a container with a `body`."""

    label: Label | None
    sources: tuple[Expr, ...] | None
    flow: Expr
    key: str | None
    require: str | None
    shape: Shape | None
    body: tuple[Stmt, ...] | None
    span: Span = _span()
    key_span: Span | None = field(default=None, kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Scan:
    label: Label | None
    over: tuple[tuple[str, Expr], ...]
    carries: tuple[Carry, ...]
    body: tuple[Stmt, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Next:
    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Emit:
    results: tuple[Result, ...]
    span: Span = _span()


Stmt: TypeAlias = Input | Return | Assert | Presets | Expect | Budget | Shared | Repeat | If | Scan | Next | Emit | Line


# ---------------------------------------------------------------------------------------------- definitions
@dataclass(frozen=True, slots=True)
class TypeRef:
    """`int`, `[int]` (kind `list`), `"cls" | "mean"` (kind `choice`)."""

    kind: Literal["name", "list", "choice"]
    names: tuple[str, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    type: TypeRef | None
    default: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Network:
    name: str
    params: tuple[Param, ...]
    body: tuple[Stmt, ...]
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)
    doc: str = field(default="", kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    name: str
    params: tuple[Param, ...]
    body: tuple[Stmt, ...]
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)
    doc: str = field(default="", kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Derived:
    """`network ViT22K = ViT.B(classes=21841)`, with its own figures where it has some."""

    name: str
    value: Expr
    expects: tuple[Expect | Budget, ...]
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)
    doc: str = field(default="", kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Let:
    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Allow:
    test: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Pattern:
    name: str
    params: tuple[Param, ...]
    body: tuple[Let | Allow, ...]
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)
    doc: str = field(default="", kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ImportName:
    name: str
    alias: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Import:
    """`from ..a.b import X as Y`: `dots` is 2, `module` is ("a", "b")."""

    dots: int
    module: tuple[str, ...]
    names: tuple[ImportName, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class KeyRule:
    """`fuse ["layer.{i}.q", "layer.{i}.k"] -> "blocks.{i}.qk"`: keys there, keys here (empty where no `->` is)."""

    word: str
    args: tuple[Arg, ...]
    theirs: tuple[Constant, ...]
    ours: tuple[Constant, ...]
    span: Span = _span()

    @property
    def word_span(self) -> Span:
        return self.span.first(len(self.word))


@dataclass(frozen=True, slots=True)
class Weights:
    """`weights torchvision of ViT:` and its rules: how another program's checkpoint names the weights of networks."""

    name: str
    networks: tuple[Name, ...]
    rules: tuple[KeyRule, ...]
    span: Span = _span()
    name_span: Span = field(kw_only=True, compare=False, repr=False)
    doc: str = field(default="", kw_only=True, compare=False, repr=False)


Definition: TypeAlias = Network | Block | Derived | Pattern


@dataclass(frozen=True, slots=True)
class File:
    source: Source = field(compare=False, repr=False)
    imports: tuple[Import, ...] = ()
    definitions: tuple[Definition, ...] = ()
    weights: tuple[Weights, ...] = ()
