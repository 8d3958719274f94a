"""Lines: `name = a, b -> op(args) as "key" : shape`, one node and one name each; aliases and constants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ogive.dsl import syntax as s
from ogive.dsl.annotations import states_roles
from ogive.dsl.diagnostics import Label, fail
from ogive.dsl.inputs import Naming
from ogive.dsl.load import Definition
from ogive.dsl.lookup import unlisted
from ogive.dsl.names import Kind, check_key
from ogive.dsl.pattern_values import maker_of
from ogive.dsl.runs import Runs, has_inputs
from ogive.dsl.source import Span
from ogive.dsl.values import POISON, Bundle, OpValue, Out, Poison, Result, Silent, describe, flat, whole
from ogive.dsl.when import Partial
from ogive.dsl.work import Frame

__all__ = ["Lines"]

QUIET: Final = frozenset({"learned", "relative_bias", "alibi", "t5_bias", "head_mix"})
"""Ops that make parameters or biases from nothing: they do not move the flow."""

BIASES: Final = frozenset({"decomposed_relative"})
"""Ops that make a bias of data: nothing could flow on from it either."""


class Lines(Runs):
    """Lines without a body."""

    def line(self, line: s.Line, frame: Frame) -> None:
        names = line.label.names if line.label else ()
        for name in names:
            if isinstance(name, s.Name):
                frame.names.refuse(name.name, name.span)
        value = self._flow(line, frame)
        if line.require is not None:
            self._required(line, value)
        if not isinstance(value, Bundle | Poison):
            self._constant(line, names, value, frame)
            return
        self.label(names, value, frame)
        if isinstance(value, Poison):
            raise Silent
        if not self._is_quiet(line):
            frame.flow = value
        if line.shape is not None:
            self._hold(line.shape, value, line, frame)

    def _hold(self, shape: s.Shape, value: Bundle, line: s.Line, frame: Frame) -> None:
        """Hold a line's result against its annotation, all parts of it where it has several."""
        if self._is_quiet(line) and states_roles(shape):
            return
        for result in value.outs if value.parts else value.outs[:1]:
            for out in flat(result):
                if isinstance(out, Out):
                    self.promise(shape, out, frame)

    def _is_quiet(self, line: s.Line) -> bool:
        func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
        if not isinstance(func, s.Name):
            return False
        return func.name in BIASES or (func.name in QUIET and line.sources is None)

    def _required(self, line: s.Line, value: Any) -> None:
        """`require fused` on the line of an `attend`: compiling fails where it would not be fused."""
        if line.require != "fused":
            raise fail("A302", f"there is no `require {line.require}`", line.span, help="`require fused`")
        out = value.first if isinstance(value, Bundle) else None
        if isinstance(value, Poison) or isinstance(out, Poison):
            return
        node = self.work.nodes[out.edge.node] if isinstance(out, Out) else None
        if node is None or node.op != "attend" or node.span != line.flow.span:
            raise fail("A302", "`require fused` is about attention, and stands on the line of an `attend`", line.span,
                       help="leave it away here")
        self.work.nodes[node.id] = replace(node, require="fused")

    # ------------------------------------------------------------------------------------ names
    def _constant(self, line: s.Line, names: Sequence[s.Name | s.Made | s.Item], value: Any, frame: Frame) -> None:
        if not names:
            raise fail("A117", f"this line makes {describe(value)} and does nothing with it", line.flow.span,
                       help="name it: `name = ...`")
        if line.shape is not None or line.key is not None:
            raise fail("A117", f"{describe(value)} has no shape and no key", line.span)
        if len(names) > 1:
            self._unpack(names, value, frame, line)
            return
        self.bind(names[0], value, frame, "constant", _origin(line.flow, frame))

    def _unpack(self, names: Sequence[s.Name | s.Made | s.Item], value: Any, frame: Frame, line: s.Line) -> None:
        if not isinstance(value, tuple) or len(value) != len(names):
            raise fail("A118", f"{len(names)} names stand here for {describe(value)}", names[0].span.to(names[-1].span),
                       help="as many names as items")
        for name, item in zip(names, value, strict=True):
            self.bind(name, item, frame, "constant", None)

    def label(self, names: Sequence[s.Name | s.Made | s.Item], value: Bundle | Poison, frame: Frame) -> None:
        """Give a line's result its name, or each of several results one."""
        if len(names) == 1:
            self.bind(names[0], value, frame, "node", None)
        elif names and isinstance(value, Bundle):
            if len(value.outs) != len(names):
                results = "1 result" if len(value.outs) == 1 else f"{len(value.outs)} results"
                raise fail("A118", f"{len(names)} names stand here for {results}", names[0].span.to(names[-1].span),
                           notes=[f"`{o.type}`" for o in value.outs[:6] if isinstance(o, Out)], help="a name for each")
            for name, out in zip(names, value.outs, strict=True):
                self.bind(name, unlisted(Bundle((out,), title=name.span.text)), frame, "node", None)
        else:
            for name in names:
                self.bind(name, POISON, frame, "node", None)

    def bind(self, name: s.Name | s.Made | s.Item, value: Any, frame: Frame, kind: Kind, origin: Span | None) -> None:
        """Bind a name, a name made with a number, or an element of a list."""
        if not isinstance(name, s.Item):
            frame.names.bind(self.made_name(name, frame), value, name.span, kind, origin)
            return
        base, index = self._element(name, frame)
        entry = frame.names.find(base)
        known = entry.value if entry is not None else None
        if isinstance(known, Poison):
            return
        if entry is not None and (not isinstance(known, Bundle) or known.items is None or known.outs):
            raise fail("A103", f"`{base}` has a meaning here already, and is no list of elements", name.span,
                       labels=[Label(entry.span, f"the {entry.kind}")])
        items = known.items if isinstance(known, Bundle) and known.items is not None else {}
        if index in items and entry is not None and entry.span != name.base.span:
            raise fail("A103", f"`{base}[{index}]` stands here already", name.span, labels=[Label(entry.span, "above")])
        made = value if isinstance(value, Bundle) else Bundle((POISON,))
        frame.names.table[base] = frame.names.entry(
            Bundle((), items={**items, index: made}, title=base), name.base.span, "node"
        )

    def _element(self, name: s.Item, frame: Frame) -> tuple[str, int]:
        if not isinstance(name.base, s.Name) or isinstance(name.index, s.Slice):
            raise fail("A014", "an element is named `name[i]`", name.span)
        return name.base.name, self.natural(name.index, frame, "an element is named by")

    # ------------------------------------------------------------------------------------ ops
    def _flow(self, line: s.Line, frame: Frame) -> Any:
        """The value of a line: an op applied to its data, or an expression."""
        target = line.flow
        func = target.func if isinstance(target, s.Call) else target
        op = self._op_of(line, func, frame)
        if op is None:
            if line.sources is not None:
                raise self.unknown_op(func, frame)
            value = self.value(target, frame)
            if isinstance(value, OpValue):  # `relu if act else gelu`, `acts[i]`
                op = value
            elif line.key is not None:
                raise fail("A117", "only an op has a key", line.key_span or line.span)
            else:
                return self._plain(line, value, frame)
        elif isinstance(target, s.Call):
            op = self.with_settings(op, target, frame)
        inputs = self._inputs(line, op, frame)
        naming = self._naming(line, op, frame)
        naming.shape = line.shape
        before = len(self.work.parameters)
        if isinstance(op.target, Definition):
            made = self.run(op, inputs, naming, frame, line)
        else:
            made = self.use(op, [x for x in inputs if not isinstance(x, Partial)], naming, frame, target.span)
        if frame.keys.iteration:
            frame.keys.count(target.span, self.work.added(before, frame.keys.prefix.removesuffix(".")))
        return made

    def _plain(self, line: s.Line, value: Any, frame: Frame) -> Any:
        """An alias, a constant or arithmetic; a bullet before it counts nothing."""
        if line.label is not None and line.label.bullet:
            raise fail("A117", f"`-` numbers an op; here is {describe(value)}", line.span, help="leave the `-` away")
        return Bundle((value,)) if isinstance(value, Out) else value

    def _op_of(self, line: s.Line, func: s.Expr, frame: Frame) -> OpValue | None:
        """The op of a line; None where it is an expression."""
        called = isinstance(line.flow, s.Call)
        if line.sources is None and called and (
            self._is_pattern(func, frame) or self.is_function(line.flow, frame)
        ):
            return None
        if not called and line.sources is None and not isinstance(func, s.Name | s.Attr):
            return None
        op = self.op(func, frame)
        if op is None and called:
            raise self.unknown_op(func, frame)
        if op is not None and not called and line.sources is None and isinstance(func, s.Name):
            self._refuse_ambiguity(func, frame)
        return op

    def _is_pattern(self, func: s.Expr, frame: Frame) -> bool:
        if not isinstance(func, s.Name) or isinstance(self.bound(func.name, frame), OpValue):
            return False
        return maker_of(func.name, func.span, frame) is not None

    def _refuse_ambiguity(self, name: s.Name, frame: Frame) -> None:
        entry = frame.names.find(name.name)
        if entry is None or entry.kind == "size" or isinstance(entry.value, OpValue):
            return
        if isinstance(entry.value, Poison):
            raise Silent
        raise fail(
            "A105", f"`{name.name}` is a {entry.kind} here and an op as well", name.span,
            labels=[Label(entry.span, f"the {entry.kind}")],
            help=f"`_ -> {name.name}` is the op; another name for the {entry.kind} would be clearer",
        )

    def _inputs(self, line: s.Line, op: OpValue, frame: Frame) -> Sequence[Result | Partial]:
        if line.sources is not None:
            values = [self.operand(x, frame) for x in line.sources]
            if isinstance(op.target, Definition) and any(isinstance(x, Partial) for x in values):
                span = line.flow.span
                return [y for x in values for y in ([x] if isinstance(x, Partial) else self.sources([x], span))]
            return self.sources(values, line.sources[0].span.to(line.sources[-1].span))
        if self._takes_nothing(op):
            return []
        if frame.flow is None:
            raise fail("A119", f"nothing flows into `{op.name}` here", line.flow.span,
                       help=f"name its data: `x -> {line.flow.span.text}`")
        return self.sources([frame.flow], line.flow.span)

    def _takes_nothing(self, op: OpValue) -> bool:
        if isinstance(op.target, type):
            return op.target.inputs == ()
        definition, _, _ = self.definition_of(op)
        assert isinstance(definition.node, s.Network | s.Block)
        return not has_inputs(definition.node)

    # ------------------------------------------------------------------------------------ keys
    def _naming(self, line: s.Line, op: OpValue, frame: Frame) -> Naming:
        label = line.label
        if line.key is not None:
            if op.module is not None:
                raise fail("A121", f"`{op.module.name}` is shared: its key stands where it is declared",
                           line.key_span or line.span, help=f'`shared {op.module.name} = {op.name} as "{line.key}"`')
            if label is not None and label.bullet:
                frame.keys.bullet()
            key = self.as_key(line.key, line.key_span or line.span, frame)
            return Naming(self._first_name(label, frame), key, line.span)
        if label is None or len(label.names) > 1:
            return Naming(span=line.flow.span)
        if label.bullet:
            return Naming("", frame.keys.bullet(), line.span)
        name = label.names[0]
        if isinstance(name, s.Item):
            base, index = self._element(name, frame)
            return Naming(f"{base}[{index}]", frame.keys.under(f"{base}.{index}"), line.span)
        made = self.made_name(name, frame)
        return Naming(made, frame.keys.under(made), line.span)

    def _first_name(self, label: s.Label | None, frame: Frame) -> str:
        if label is None or not label.names or isinstance(label.names[0], s.Item):
            return ""
        return self.made_name(label.names[0], frame)

    def as_key(self, key: str, span: Span, frame: Frame) -> str:
        """`as "a.b"` under the prefix, `as "/a.b"` from the root; `{s}` is a whole number."""

        def number(found: re.Match[str]) -> str:
            entry = frame.names.find(found[1])
            if entry is not None and isinstance(entry.value, Poison):
                raise Silent
            value = None if entry is None else whole(entry.value)
            if value is None or value < 0:
                here = "nothing" if entry is None else describe(entry.value)
                raise fail("A112", f"`{{{found[1]}}}` in a key is a whole number; here is {here}", span,
                           help="the index of a repeat around it, or a constant above it")
            return str(value)

        made = re.sub(r"\{\s*([A-Za-z_]\w*)\s*\}", number, key)
        if "{" in made:
            raise fail("A112", f"`{key}` is no state_dict key", span,
                       help="braces hold the name of a number: `k = s + 1` above, then `{k}`")
        if made in ("", "/"):
            raise fail("A112", "this key is empty", span, help='a key, as in `as "a.b"`, or no `as`')
        whole_key = made[1:] if made.startswith("/") else frame.keys.under(made)
        check_key(whole_key, span)
        return whole_key


def _origin(expr: s.Expr, frame: Frame) -> Span | None:
    entry = frame.names.find(expr.name) if isinstance(expr, s.Name) else None
    return entry.origin if entry else None
