"""Parameters of networks and blocks: explicit arguments, then the preset's row, then the default; each of its type."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.apply import Applier
from ogive.dsl.diagnostics import ArchError, Label, fail, nearest, offer
from ogive.dsl.dims import Poly
from ogive.dsl.load import Definition
from ogive.dsl.operators import is_tensor
from ogive.dsl.ops.record import Size
from ogive.dsl.pattern_values import is_over
from ogive.dsl.settings import fields_of
from ogive.dsl.source import Span
from ogive.dsl.trees import names_read
from ogive.dsl.values import POISON, OpValue, Poison, Setting, Silent, describe
from ogive.dsl.work import Frame, Work

__all__ = ["Parametrised", "presets_of"]

TYPES: Final = ("int", "float", "bool", "op", "pattern", "size", "string")


def presets_of(node: s.Network | s.Block) -> s.Presets | None:
    """The table of a network, if it has one."""
    return next((x for x in node.body if isinstance(x, s.Presets)), None)


class Parametrised(Applier):
    """Binding of parameters."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.deriving: list[s.Derived] = []

    def bind_params(
        self, definition: Definition, settings: tuple[Setting, ...], preset: str | None, frame: Frame, span: Span
    ) -> None:
        """Bind every parameter in `frame.names`.

        Raises:
            ArchError: A301 to A308; a parameter whose value is already reported is bound to POISON.
        """
        node = definition.node
        assert isinstance(node, s.Network | s.Block)
        explicit = self._explicit(node, settings, span, frame)
        row = self._row(node, preset, frame, span)
        missing = [p for p in node.params if p.default is None and p.name not in explicit and p.name not in row]
        if missing:
            raise self._missing(node, missing, preset, span, frame)
        for param in node.params:
            self.work.step(param.span)
            try:
                self._bind_param(param, explicit.get(param.name) or row.get(param.name), frame)
            except ArchError as error:
                self.work.mistakes.add(*error.diagnostics)
                frame.names.table[param.name] = frame.names.entry(POISON, param.span, "parameter")

    def _bind_param(self, param: s.Param, setting: Setting | None, frame: Frame) -> None:
        default: Any = 0  # a `?` that something else stands for: a whole number
        if setting is None or not isinstance(param.default, s.Ask):
            default = None if param.default is None else self._worded(param, param.default, frame)
        at = origin = param.span if param.default is None else param.default.span
        value = default
        if setting is not None:
            value, at, origin = setting.value, setting.span, setting.origin
        value = self._typed(param, value, default, at, origin)
        frame.names.bind(param.name, value, param.span, "parameter", origin)

    def _worded(self, param: s.Param, expr: s.Expr, frame: Frame) -> Any:
        """The value of a default or a cell; a bare word where a string is meant is told so."""
        kind = param.type
        worded = kind is not None and (kind.kind == "choice" or kind.names == ("string",))
        if worded and isinstance(expr, s.Name) and self.bound(expr.name, frame) is None:
            raise fail("A302", f"`{param.name}` takes a string; here is the name `{expr.name}`", expr.span,
                       help=f'a string stands in quotes: `"{expr.name}"`')
        return self.value(expr, frame)

    def _explicit(
        self, node: s.Network | s.Block, settings: tuple[Setting, ...], span: Span, frame: Frame
    ) -> dict[str, Setting]:
        names = [p.name for p in node.params]
        found: dict[str, Setting] = {}
        positional = [x for x in settings if x.name is None]
        if len(positional) > len(names):
            takes = f"at most {len(names)} parameter{'s' if len(names) > 1 else ''}: {', '.join(names)}"
            takes = takes if names else "no parameters"
            extra = positional[len(names)]
            raise fail("A304", f"`{node.name}` takes {takes}", extra.span, notes=self.call_trail(frame),
                       help="data stands left of the arrow, as in `x -> Block`" if is_tensor(extra.value) else None)
        for name, setting in zip(names, positional, strict=False):
            found[name] = setting
        for setting in settings:
            if setting.name is None:
                continue
            if setting.name not in names:
                raise fail("A301", f"`{node.name}` has no parameter `{setting.name}`", setting.place,
                           labels=_header(node, setting.name), notes=self.call_trail(frame),
                           help=offer(setting.name, names, "its parameters"))
            if setting.name in found:
                raise fail("A308", f"`{setting.name}` is set twice", setting.span,
                           labels=[Label(found[setting.name].span, "first here")])
            found[setting.name] = setting
        return found

    def _row(self, node: s.Network | s.Block, preset: str | None, frame: Frame, span: Span) -> dict[str, Setting]:
        if preset is None:
            return {}
        table = presets_of(node)
        rows = {row.name: row for row in table.rows if row.name} if table else {}
        if table is None or preset not in rows:
            names = [name for name in rows if name]
            hint = offer(preset, names, "its presets") if names else f"`{node.name}` has no table of presets"
            raise fail("A307", f"`{node.name}` has no preset `{preset}`", span, help=hint)
        self._check_table(node, table, rows[preset])
        found: dict[str, Setting] = {}
        for column, cell in zip(table.columns, rows[preset].cells, strict=True):
            if isinstance(cell, s.DefaultCell):
                continue
            param = next(p for p in node.params if p.name == column.name)
            found[column.name] = Setting(column.name, self._worded(param, cell, frame), cell.span, cell.span)
            self.work.cells[cell.span] = f"row {preset} sets {column.name}"
        return found

    def _check_table(self, node: s.Network | s.Block, table: s.Presets, chosen: s.Row) -> None:
        params = [p.name for p in node.params]
        for i, column in enumerate(table.columns):
            if column.name not in params:
                joined = next((name for name in params if _with_number(column.name, name)), None)
                hint = None if joined is None else f"`{joined}` in the header: is `{column.name}=" \
                    f"{joined.removeprefix(column.name)}` meant?"
                raise fail("A305", f"`{node.name}` has no parameter `{column.name}`", column.span,
                           labels=_header(node, column.name), help=hint or offer(column.name, params, "its parameters"))
            if column.name in [c.name for c in table.columns[:i]]:
                raise fail("A305", f"the column `{column.name}` stands twice", column.span)
        seen: dict[str, Span] = {}
        for row in table.rows:
            if row.name in seen:
                raise fail("A306", f"the preset `{row.name}` stands twice", row.name_span,
                           labels=[Label(seen[row.name], "first here")])
            if row.name:
                seen[row.name] = row.name_span
        cells, columns = len(chosen.cells), len(table.columns)
        if cells != columns:
            wrong = f"{cells} cell{'s' if cells != 1 else ''}"
            raise fail(
                "A306", f"row `{chosen.name}` has {wrong}, and the table {columns} column{'s' if columns != 1 else ''}",
                chosen.span, labels=[Label(table.columns[0].span.to(table.columns[-1].span), "the columns")],
                help="`-` keeps a default" if cells < columns else "a value with blanks in it stands in brackets",
            )

    def _missing(
        self, node: s.Network | s.Block, params: list[s.Param], preset: str | None, span: Span, frame: Frame
    ) -> ArchError:
        table = presets_of(node)
        names = " and ".join(f"`{p.name}`" for p in params) if len(params) < 3 else (
            ", ".join(f"`{p.name}`" for p in params[:-1]) + f" and `{params[-1].name}`"
        )
        labels = [Label(p.span, "no default") for p in params[:4]]
        if isinstance(node, s.Network) and preset is None and table is not None:
            shown = ", ".join([f"`{node.name}.{row.name}`" for row in table.rows if row.name][:8])
            title = f"`{node.name}` needs {names}: choose a preset, or set {'it' if len(params) == 1 else 'them'}"
            return fail("A303", title, span, labels=labels, notes=self.call_trail(frame), help=f"there are {shown}")
        what = f"preset `{preset}` of `{node.name}`" if preset else f"`{node.name}`"
        settings = ", ".join(f"{p.name}=..." for p in params)
        glued = re.fullmatch(r"(\w*[A-Za-z_])(\d+)", params[0].name)
        if glued is not None and any(name == glued[1] for name, _ in names_read(node)):
            return fail("A303", f"{what} needs {names}", span, labels=labels, notes=self.call_trail(frame),
                        help=f"`=` stands between a parameter and its default: `{glued[1]}={glued[2]}`")
        return fail("A303", f"{what} needs {names}", span, labels=labels, notes=self.call_trail(frame),
                    help=f"a column of the table, or a default: `{params[0].name}=1`" if preset
                    else f"`--set {params[0].name}=...`, or a default" if span == node.name_span
                    else f"`{node.name}({settings})`")

    # ------------------------------------------------------------------------------------ types
    def _typed(self, param: s.Param, value: Any, default: Any, at: Span, origin: Span) -> Any:
        if isinstance(value, Poison):
            return POISON
        kind = param.type
        if kind is None:
            word = _kind_of(default) if param.default is not None else "int"
            return self._one(word, value, param, at, origin)
        if kind.kind == "choice":
            if value not in kind.names:
                shown = " or ".join(f'"{n}"' for n in kind.names)
                raise fail("A302", f"`{param.name}` is {shown}; here is {describe(value)}", at,
                           label=self.work.cells.get(origin, ""))
            return value
        if kind.names[0] not in TYPES:
            raise fail("A311", f"there is no type `{kind.names[0]}`", kind.span,
                       help=offer(kind.names[0], TYPES, "there are"))
        if kind.kind == "name":
            return self._one(kind.names[0], value, param, at, origin)
        if not isinstance(value, tuple) or isinstance(value, Size):
            raise fail("A302", f"`{param.name}` takes a list; here is {describe(value)}", at,
                       label=self.work.cells.get(origin, ""), help="`[2, 2, 6, 2]`")
        return tuple(self._one(kind.names[0], item, param, at, origin) for item in value)

    def _one(self, kind: str, value: Any, param: s.Param, at: Span, origin: Span) -> Any:
        good = _fits(kind, value)
        if good is not None:
            return good[0]
        words = {
            "int": "a whole number", "float": "a number", "bool": "True or False", "string": "a string",
            "op": "an op", "pattern": "an attention pattern", "size": "a size such as 7 or 7x14", "list": "a list",
        }
        title = f"`{param.name}` takes {words.get(kind, kind)}; here is {describe(value)}"
        quoted = kind == "string" and isinstance(value, OpValue)
        hint = f'a string stands in quotes: `"{value.name}"`' if quoted else None
        if param.type is None and param.default is None and not is_tensor(value):
            meant = _kind_of(value)
            hint = f"`{param.name}: {meant}` in the header, if that is meant" if meant in TYPES else None
        said = self.work.cells.get(origin, "")
        if origin.start == at.start:
            raise fail("A302", title, at, label=said, help=hint)
        raise fail("A302", title, origin, label=said, labels=[Label(at, f"`{param.name}` here")], help=hint)

    def definition_of(self, op: OpValue) -> tuple[Definition, tuple[Setting, ...], str | None]:
        """A block or network with its settings, derived networks followed to what they derive from."""
        definition = op.target
        assert isinstance(definition, Definition)
        settings, preset = op.settings, op.preset
        seen: list[s.Definition] = []
        for _ in range(limits.CALL_DEPTH):
            node = definition.node
            if not isinstance(node, s.Derived):
                return definition, settings, preset
            if any(node is other for other in seen):
                raise self._circle(definition)
            seen.append(node)
            if preset is not None:
                raise fail("A307", f"`{node.name}` is derived and has no presets of its own", op.span)
            base = self.derived(definition)
            settings = self.on_top(settings, base, self.order_of(base))
            assert isinstance(base.target, Definition)
            definition, preset = base.target, base.preset
        raise fail("A512", f"networks are derived from each other more than {limits.CALL_DEPTH} deep here", op.span,
                   help="derive from the first of them")

    def _circle(self, definition: Definition) -> ArchError:
        return fail("A113", f"`{definition.name}` is derived from itself", definition.node.name_span,
                    help="a derived network starts from another: `network X = ViT.S(depth=6)`")

    def order_of(self, op: OpValue) -> Sequence[str]:
        if isinstance(op.target, type):
            record = op.target
            return () if record.spread is not None else fields_of(record)
        definition: Definition = op.target
        for _ in range(limits.CALL_DEPTH):
            node = definition.node
            if isinstance(node, s.Network | s.Block):
                return tuple(p.name for p in node.params)
            base = self.derived(definition)
            assert isinstance(base.target, Definition)
            definition = base.target
        return ()

    def derived(self, definition: Definition) -> OpValue:
        """What a derived network derives from: `ViT.S(over=causal)` as an op with settings."""
        node = definition.node
        assert isinstance(node, s.Derived)
        if any(node is other for other in self.deriving):
            raise self._circle(definition)
        self.deriving.append(node)
        try:
            value = self.value(node.value, self.file_frame(definition))
        finally:
            self.deriving.pop()
        if isinstance(value, Poison):
            raise Silent
        if (
            isinstance(value, OpValue) and isinstance(value.target, Definition)
            and isinstance(value.target.node, s.Network | s.Derived)
        ):
            return value
        raise fail("A114", f"`{node.name}` must derive from a network; here is {describe(value)}", node.value.span,
                   help=f"`network {node.name} = ViT.S(depth=6)`")

    @abstractmethod
    def file_frame(self, definition: Definition) -> Frame:
        """A frame with nothing but the names of a file (`body.py`)."""


def _header(node: s.Network | s.Block, missing: str) -> list[Label]:
    """The parameters that a definition has: the one that may be meant, else all of them."""
    close = nearest(missing, [p.name for p in node.params])
    one = next((p for p in node.params if p.name == close or _with_number(missing, p.name)), None)
    if one is not None:
        return [Label(one.span, "the parameter here")]
    return [Label(node.params[0].span.to(node.params[-1].span), "its parameters")] if node.params else []


def _with_number(name: str, other: str) -> bool:
    """Whether one name is the other with a number behind it: `patch16`, where `patch=16` may have stood."""
    return other.startswith(name) and other[len(name) :].isdigit()


def _kind_of(default: Any) -> str:
    if isinstance(default, bool):
        return "bool"
    if isinstance(default, int | Poly):
        return "int"
    if isinstance(default, float):
        return "float"
    if isinstance(default, str):
        return "string"
    if isinstance(default, Size):
        return "size"
    if isinstance(default, tuple):
        return "list"
    if is_over(default):
        return "pattern"
    return "op" if isinstance(default, OpValue) else "any"


def _fits(kind: str, value: Any) -> tuple[Any] | None:
    """The value as `kind`, in a tuple; None when it is none."""
    truth = isinstance(value, bool)
    match kind:
        case "int":
            if isinstance(value, float) and value.is_integer():
                return (int(value),)
            return (value,) if isinstance(value, int | Poly) and not truth else None
        case "float":
            return (value,) if isinstance(value, int | float) and not truth else None
        case "bool":
            return (value,) if truth else None
        case "string":
            return (value,) if isinstance(value, str) else None
        case "size":
            if isinstance(value, Size):
                return (value,)
            return (Size((value,)),) if isinstance(value, int) and not truth else None
        case "list":
            return (value,) if isinstance(value, tuple) and not isinstance(value, Size) else None
        case "op":
            return (value,) if isinstance(value, OpValue) else None
        case "pattern":
            return (value,) if is_over(value) else None
    return (value,)
