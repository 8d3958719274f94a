"""Bodies of networks and blocks, statement by statement: flow, names, keys, containers, repeats, block runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.apply import Naming
from ogive.dsl.conditions import Condition, Contradiction
from ogive.dsl.diagnostics import ArchError, Label, fail, nearest
from ogive.dsl.evaluate import PoisonedName
from ogive.dsl.facts import Facts
from ogive.dsl.later import later
from ogive.dsl.load import Definition
from ogive.dsl.names import Keys, Names
from ogive.dsl.params import Parametrised
from ogive.dsl.source import Span
from ogive.dsl.values import POISON, Bundle, Module, OpValue, Out, Poison, Setting, describe
from ogive.dsl.work import Body, Frame

__all__ = ["CONTAINERS", "Bodies"]

CONTAINERS = ("residual", "gate", "append")
SILENT = frozenset({"learned"})
"""Ops that make parameters from nothing: they do not move the flow."""


class Bodies(Parametrised):
    """Statements."""

    # ------------------------------------------------------------------------------------ suites
    def suite(self, body: Sequence[s.Stmt], frame: Frame) -> None:
        """Run statements in order. A mistake is kept, its line's names and the flow become POISON, and work goes on."""
        for statement in body:
            try:
                if frame.body.returned is not None:
                    at = frame.body.return_span
                    raise fail("A115", "nothing follows a `return`", statement.span,
                               labels=[Label(at, "the return")] if at else [])
                self.statement(statement, frame)
            except ArchError as error:
                self.work.mistakes.add(*error.diagnostics)
                self._poison(statement, frame)
            except PoisonedName:
                self._poison(statement, frame)

    def _poison(self, statement: s.Stmt, frame: Frame) -> None:
        frame.flow = POISON
        if isinstance(statement, s.Return):
            frame.body.returned = Bundle((POISON,))
        names: list[s.Name | s.Made | s.Item] = []
        if isinstance(statement, s.Line) and statement.label:
            names += statement.label.names
        elif isinstance(statement, s.Line) and statement.body is not None and isinstance(statement.flow, s.Name):
            names.append(statement.flow)
        elif isinstance(statement, s.Repeat) and statement.index and statement.index.scope:
            names.append(statement.index.scope)
        elif isinstance(statement, s.Shared):
            names.append(s.Name(statement.name, statement.name_span))
        elif isinstance(statement, s.Input):
            names += [s.Name(p.name, p.name_span) for p in statement.ports]
        for name in names:
            if isinstance(name, s.Name) and name.name not in frame.names.table:
                try:
                    frame.names.bind(name.name, POISON, name.span, "node")
                except ArchError:
                    continue

    def statement(self, st: s.Stmt, frame: Frame) -> None:
        match st:
            case s.Line(body=None):
                self._line(st, frame)
            case s.Line():
                self._container(st, frame)
            case s.Repeat():
                self._repeat(st, frame)
            case s.If():
                self._if(st, frame)
            case s.Return():
                self._return(st, frame)
            case s.Assert():
                self._assert(st, frame)
            case s.Shared():
                self._shared(st, frame)
            case s.Scan() | s.Next() | s.Emit():
                raise later("recurrence (`scan`, `next`, `emit`)", st.span)
            case s.Input():
                raise fail("A116", "`input` stands at the head of a body", st.span)
            case s.Presets() | s.Expect():
                pass

    # ------------------------------------------------------------------------------------ lines
    def _line(self, line: s.Line, frame: Frame) -> None:
        if line.require is not None:
            raise later("`require`", line.span)
        if line.label is None and line.sources is None and isinstance(line.flow, s.Name) and line.flow.name == "pass":
            raise fail("A102", "there is no `pass`; an empty container is not written", line.span)
        value = self._flow(line, frame)
        names = line.label.names if line.label else ()
        if not isinstance(value, Bundle | Poison):
            self._constant(line, names, value, frame)
            return
        self._label(names, value, frame)
        if isinstance(value, Poison):
            frame.flow = POISON
            return
        if not self._is_silent(line, frame):
            frame.flow = value
        if line.shape is not None and isinstance(value.first, Out):
            self.promise(line.shape, value.first, frame)

    def _is_silent(self, line: s.Line, frame: Frame) -> bool:
        func = line.flow.func if isinstance(line.flow, s.Call) else line.flow
        return isinstance(func, s.Name) and func.name in SILENT and line.sources is None

    def _constant(self, line: s.Line, names: Sequence[s.Name | s.Made | s.Item], value: Any, frame: Frame) -> None:
        if line.sources is not None:
            raise fail("A102", f"an op stands right of `->`; here is {describe(value)}", line.flow.span)
        if not names:
            raise fail("A117", f"this line makes {describe(value)} and does nothing with it", line.flow.span,
                       help="name it: `name = ...`")
        if line.shape is not None or line.key is not None:
            raise fail("A117", f"{describe(value)} has no shape and no key", line.span)
        if len(names) > 1:
            self._unpack(names, value, frame, line)
            return
        self._bind(names[0], value, frame, "constant", _origin(line.flow, frame))

    def _unpack(self, names: Sequence[s.Name | s.Made | s.Item], value: Any, frame: Frame, line: s.Line) -> None:
        if not isinstance(value, tuple) or len(value) != len(names):
            raise fail("A118", f"{len(names)} names stand here for {describe(value)}", line.span)
        for name, item in zip(names, value, strict=True):
            self._bind(name, item, frame, "constant", None)

    def _label(self, names: Sequence[s.Name | s.Made | s.Item], value: Bundle | Poison, frame: Frame) -> None:
        if len(names) == 1:
            self._bind(names[0], value, frame, "node", None)
        elif names and isinstance(value, Bundle):
            if len(value.outs) != len(names):
                raise fail("A118", f"{len(names)} names stand here for {len(value.outs)} results",
                           names[0].span.to(names[-1].span))
            for name, out in zip(names, value.outs, strict=True):
                self._bind(name, Bundle((out,)), frame, "node", None)
        else:
            for name in names:
                self._bind(name, POISON, frame, "node", None)

    def _bind(self, name: s.Name | s.Made | s.Item, value: Any, frame: Frame, kind: Any, origin: Span | None) -> None:
        if isinstance(name, s.Item):
            base, index = self._element(name, frame)
            entry = frame.names.table.get(base)
            whole = entry.value if entry and isinstance(entry.value, Bundle) else Bundle((), items={})
            if whole.items is None:
                raise fail("A103", f"`{base}` is no list of elements", name.span)
            whole.items[index] = value if isinstance(value, Bundle) else Bundle((POISON,))
            frame.names.table.pop(base, None)
            frame.names.bind(base, whole, name.base.span, "node")
            return
        frame.names.bind(self.made_name(name, frame), value, name.span, kind, origin)

    def _element(self, name: s.Item, frame: Frame) -> tuple[str, int]:
        if not isinstance(name.base, s.Name) or isinstance(name.index, s.Slice):
            raise fail("A014", "an element is named `name[i]`", name.span)
        index = self.value(name.index, frame)
        if isinstance(index, bool) or not isinstance(index, int) or index < 0:
            raise fail("A309", f"a place in a list is a whole number; here is {describe(index)}", name.index.span)
        return name.base.name, index

    def _flow(self, line: s.Line, frame: Frame) -> Any:
        """The value of a line: an op applied to its data, or an expression."""
        target = line.flow
        func = target.func if isinstance(target, s.Call) else target
        op = self._op_of(line, func, frame)
        if op is None:
            if line.sources is not None:
                raise self.unknown_op(func, frame)
            if line.key is not None:
                raise fail("A117", "only an op has a key", line.key_span or line.span)
            value = self.value(target, frame)
            return Bundle((value,)) if isinstance(value, Out) else value
        if isinstance(target, s.Call):
            op = self.with_settings(op, target, frame)
        inputs = self._inputs(line, op, frame)
        naming = self._naming(line, op, frame)
        if isinstance(op.target, Definition):
            return self._run(op, inputs, naming, frame, line)
        return self.use(op, inputs, naming, frame, target.span)

    def _op_of(self, line: s.Line, func: s.Expr, frame: Frame) -> OpValue | None:
        alone = func is line.flow and line.sources is None
        if not isinstance(func, s.Name | s.Attr):
            return None
        if isinstance(func, s.Name) and isinstance(line.flow, s.Call):
            from_number = func.name in NUMBER_FUNCTIONS and line.sources is None
            if from_number and not isinstance(self._bound(func.name, frame), OpValue) and line.flow.args:
                return None
        op = self.op(func, frame)
        if op is None and isinstance(line.flow, s.Call):
            if isinstance(func, s.Name) and func.name in (*NUMBER_FUNCTIONS, "dense", "causal") and line.sources is None:
                return None
            raise self.unknown_op(func, frame)
        if alone and op is not None and isinstance(func, s.Name):
            entry = frame.names.find(func.name)
            if entry is not None and not isinstance(entry.value, OpValue):
                raise fail(
                    "A105", f"`{func.name}` is a {entry.kind} here and an op as well", func.span,
                    labels=[Label(entry.span, f"the {entry.kind}")],
                    help=f"`_ -> {func.name}` is the op; another name for the {entry.kind} would be clearer",
                )
        return op

    def _inputs(self, line: s.Line, op: OpValue, frame: Frame) -> list[Out | Poison]:
        if line.sources is not None:
            values = [self.value(x, frame) for x in line.sources]
            return self.tensors(values, line.sources[0].span.to(line.sources[-1].span))
        if self._takes_nothing(op):
            return []
        if frame.flow is None:
            raise fail("A119", f"nothing flows into `{op.name}` here", line.span, help=f"`x -> {line.flow.span.text}`")
        return self.tensors([frame.flow], line.span)

    def _takes_nothing(self, op: OpValue) -> bool:
        if isinstance(op.target, type):
            return op.target.inputs == ()
        definition, _, _ = self.definition_of(op)
        assert isinstance(definition.node, s.Network | s.Block)
        return not any(isinstance(x, s.Input) for x in definition.node.body)

    def _naming(self, line: s.Line, op: OpValue, frame: Frame) -> Naming:
        label = line.label
        if line.key is not None:
            key = self._as_key(line.key, line.key_span or line.span, frame)
            return Naming(self._first_name(label, frame), key, span=line.span)
        if label is None:
            return Naming(listed=False, span=line.flow.span)
        if label.bullet:
            return Naming("", frame.keys.bullet(), span=line.span)
        if len(label.names) > 1:
            return Naming(listed=False, span=line.flow.span)
        name = label.names[0]
        if isinstance(name, s.Item):
            base, index = self._element(name, frame)
            return Naming(f"{base}[{index}]", frame.keys.under(f"{base}.{index}"), span=line.span)
        made = self.made_name(name, frame)
        return Naming(made, frame.keys.under(made), span=line.span)

    def _first_name(self, label: s.Label | None, frame: Frame) -> str:
        if label is None or not label.names or isinstance(label.names[0], s.Item):
            return ""
        return self.made_name(label.names[0], frame)

    def _as_key(self, key: str, span: Span, frame: Frame) -> str:
        """`as "a.b"` under the prefix, `as "/a.b"` from the root; `{s}` is a whole number."""

        def number(found: re.Match[str]) -> str:
            entry = frame.names.find(found[1])
            value = None if entry is None else entry.value
            if isinstance(value, bool) or not isinstance(value, int):
                raise fail("A112", f"`{{{found[1]}}}` in a key is a whole number of the file", span)
            return str(value)

        made = re.sub(r"\{([A-Za-z_]\w*)\}", number, key)
        return made[1:] if made.startswith("/") else frame.keys.under(made)

    # ------------------------------------------------------------------------------------ other statements
    def _return(self, st: s.Return, frame: Frame) -> None:
        outs: list[Out | Poison] = []
        labels: list[str] = []
        for result in st.results:
            value = self.value(result.value, frame)
            if not isinstance(value, Bundle | Out | Poison):
                raise fail("A120", f"a result is a tensor; here is {describe(value)}", result.span)
            outs.append(value.first if isinstance(value, Bundle) else value)
            if result.name and result.name in labels:
                raise fail("A103", f"two results are called `{result.name}`", result.span)
            labels.append(result.name or "")
        frame.body.returned = Bundle(tuple(outs), tuple(labels))
        frame.body.return_span = st.span

    def _assert(self, st: s.Assert, frame: Frame) -> None:
        for part in _conjuncts(st.test):
            verdict = self.comparison(part, frame) if isinstance(part, s.Compare) else self.truth(part, frame)
            if isinstance(verdict, Condition):
                self.work.guard(verdict, st.text or part.span.text, part.span)
                try:
                    frame.body.facts = frame.body.facts.with_condition(verdict)
                except Contradiction:
                    raise fail("A203", f"no size makes `{part.span.text}` true here", part.span) from None
            elif verdict is False:
                raise self._refuted(st, part, frame)

    def _refuted(self, st: s.Assert, part: s.Expr, frame: Frame) -> ArchError:
        labels, values = [], []
        for name in _names_in(part):
            entry = frame.names.find(name)
            if entry is None or isinstance(entry.value, Bundle):
                continue
            values.append(f"{name} = {frame.body.facts.show(entry.value) if entry.kind == 'size' else entry.value}")
            if entry.kind == "parameter" and entry.origin != entry.span:
                labels.append(Label(entry.origin, f"sets {name} = {entry.value}"))
        title = f"{st.text}: `{part.span.text}` does not hold" if st.text else f"`{part.span.text}` does not hold"
        notes = [f"here {', '.join(values)}"] if values else []
        return fail("A203", title, part.span, labels=labels, notes=[*notes, *self.trail(frame)],
                    help=self._fitting(part, frame))

    def _fitting(self, part: s.Expr, frame: Frame) -> str | None:
        """For `C % heads == 0`: the numbers that divide."""
        if not (isinstance(part, s.Compare) and part.op == "==" and isinstance(part.left, s.Binary)
                and part.left.op == "%" and isinstance(part.left.right, s.Name)):
            return None
        whole = self.value(part.left.left, frame)
        if isinstance(whole, bool) or not isinstance(whole, int) or not 0 < whole <= 1 << 20:
            return None
        divisors = [n for n in range(1, min(whole, 4096) + 1) if whole % n == 0][:10]
        return f"{part.left.right.name} that divide {whole}: {', '.join(map(str, divisors))}, ..."

    def _shared(self, st: s.Shared, frame: Frame) -> None:
        value = self.value(st.value, frame)
        if isinstance(value, Poison):
            raise PoisonedName
        if not isinstance(value, OpValue):
            raise fail("A121", f"`shared` declares a module; here is {describe(value)}", st.value.span)
        if value.module is not None:
            raise later("a second name for a shared module", st.span)
        key = frame.keys.under(st.name) if st.key is None else self._as_key(st.key, st.span, frame)
        module = Module(st.name, key, st.span)
        made = OpValue(value.target, value.settings, value.span, value.preset, module)
        frame.names.bind(st.name, made, st.name_span, "shared")

    def _if(self, st: s.If, frame: Frame) -> None:
        for test, body in st.branches:
            truth = True if test is None else self.truth(test, frame)
            if isinstance(truth, Poison):
                raise PoisonedName
            if truth:
                self.suite(body, frame)
                return

    # ------------------------------------------------------------------------------------ containers
    def _container(self, line: s.Line, frame: Frame) -> None:
        flow = line.flow
        name = flow.func if isinstance(flow, s.Call) else flow
        word = name.name if isinstance(name, s.Name) else None
        if isinstance(flow, s.Call) and word not in CONTAINERS:
            close = nearest(word or "", CONTAINERS)
            raise fail("A122", f"`{flow.span.text}` takes no body", flow.span,
                       help=f"did you mean `{close}`?" if close else "a scope is a name alone: `name:`")
        if not isinstance(name, s.Name | s.Made):
            raise fail("A122", "only a name opens a scope", flow.span)
        start = self._start(line, frame)
        if word in CONTAINERS:
            self._combine(word, line, start, frame)
        else:
            self._scope(line, name, start, frame)

    def _start(self, line: s.Line, frame: Frame) -> Bundle | Poison | None:
        """The flow at the head of a container: the sources, else the flow outside."""
        if line.sources is None:
            return frame.flow
        outs = self.tensors([self.value(x, frame) for x in line.sources], line.span)
        return Bundle(tuple(outs), parts=len(outs) > 1)

    def _combine(self, word: str, line: s.Line, start: Bundle | Poison | None, frame: Frame) -> None:
        """`residual` x + f(x), `gate` x * f(x), `append` concat(x, f(x))."""
        if line.key is not None:
            raise fail("A117", f"`{word}` adds no key", line.key_span or line.span)
        if start is None:
            raise fail("A119", f"nothing flows into `{word}` here", line.span)
        rates = self._rates(word, line, frame)
        region = self.work.open_region(frame.region, word, "", "", word, line.span)  # type: ignore[arg-type]
        inner = frame.inner(region=region)
        inner.flow = start
        assert line.body is not None
        self.suite(line.body, inner)
        result = inner.flow
        if isinstance(start, Poison) or isinstance(result, Poison) or result is None:
            raise PoisonedName
        span = line.flow.span
        branch: Bundle | Poison = result
        for op, setting in rates:
            branch = self.primitive(op, [branch], (setting,), inner, span)
        whole = Bundle((start.first,))
        made = self.primitive({"residual": "add", "gate": "mul", "append": "concat"}[word], [whole, branch], (), inner, span)
        self._label(line.label.names if line.label else (), made, frame)
        frame.flow = made

    def _rates(self, word: str, line: s.Line, frame: Frame) -> list[tuple[str, Setting]]:
        if not isinstance(line.flow, s.Call):
            return []
        found: list[tuple[str, Setting]] = []
        ops = {"drop": "dropout", "drop_path": "drop_path"} if word == "residual" else {}
        for arg in line.flow.args:
            if arg.name not in ops:
                takes = "`drop=` and `drop_path=`" if ops else "no settings"
                raise fail("A301", f"`{word}` takes {takes}", arg.span)
            setting = self.setting(arg, frame)
            if isinstance(setting.value, Poison):
                raise PoisonedName
            found.append((ops[arg.name], Setting("p", setting.value, setting.span, setting.origin)))
        return sorted(found, key=lambda pair: pair[0] != "dropout")

    def _scope(self, line: s.Line, name: s.Name | s.Made, start: Bundle | Poison | None, frame: Frame) -> None:
        title = self.made_name(name, frame)
        close = nearest(title, CONTAINERS)
        if close is not None and abs(len(close) - len(title)) <= 1 and _one_edit(title, close):
            raise fail("A122", f"`{title}` is too close to `{close}` for a scope", name.span, help=f"did you mean `{close}:`?")
        bullet = line.label is not None and line.label.bullet
        if line.key is not None:
            path = self._as_key(line.key, line.key_span or line.span, frame)
        else:
            path = frame.keys.bullet() if bullet else frame.keys.under(title)
        shared = frame.body.shared is not None
        self.work.open_scope(path, line.span, shared)
        own = path.rsplit(".", 1)[-1]
        region = self.work.open_region(frame.region, "scope", own, path, title, line.span)
        names = Names(frame.names)
        inner = frame.inner(names, Keys(path + "."), region)
        inner.flow = start
        assert line.body is not None
        self.suite(line.body, inner)
        if inner.flow is None:
            raise fail("A119", f"nothing flows out of `{title}`", line.span)
        if isinstance(inner.flow, Poison):
            value: Bundle | Poison = Bundle((POISON,), inner=names, title=title)
        else:
            value = Bundle(inner.flow.outs, inner.flow.labels, inner.flow.parts, names, title=title)
            self._result(path, value)
        if line.label is not None and not bullet:
            self._label(line.label.names, value, frame)
        if not bullet:
            frame.names.bind(title, value, name.span, "node")
        frame.flow = POISON if isinstance(inner.flow, Poison) else value

    def _result(self, path: str, value: Bundle) -> None:
        if isinstance(value.first, Out) and path:
            self.work.results[path] = value.first.edge

    # ------------------------------------------------------------------------------------ repeats
    def _repeat(self, st: s.Repeat, frame: Frame) -> None:
        if st.carries:
            raise later("carried values (`repeat ... with`)", st.span)
        count, items = self._times(st, frame)
        index = st.index
        flow = frame.flow
        if st.sources is not None:
            outs = self.tensors([self.value(x, frame) for x in st.sources], st.span)
            flow = Bundle(tuple(outs), parts=len(outs) > 1)
        scope = index.scope if index else None
        base, outer = self._scope_base(index, scope, frame)
        region = self.work.open_region(
            frame.region, "repeat", base or "", "" if base is None else frame.keys.under(base), "", st.span, count=count
        )
        done: dict[int, Bundle] = {}
        for i in range(count):
            flow = self._iteration(st, i, items, base, region, flow, done, frame)
        if base is not None and scope is not None:
            self._bind_repeat(scope, base, outer, done, frame)
            if done:
                self._result(frame.keys.under(base), done[max(done)])
        frame.flow = flow

    def _times(self, st: s.Repeat, frame: Frame) -> tuple[int, tuple[Any, ...] | None]:
        value = self.value(st.count, frame)
        if isinstance(value, Poison):
            raise PoisonedName
        if isinstance(value, tuple):
            return len(value), value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise fail("A310", f"`repeat` takes a whole number or a list; here is {describe(value)}", st.count.span)
        if value > limits.NODES:
            raise fail("A511", f"`repeat {value}` makes more than {limits.NODES:,} nodes", st.count.span)
        return value, None

    def _scope_base(
        self, index: s.Index | None, scope: s.Name | s.Made | None, frame: Frame
    ) -> tuple[str | None, list[int]]:
        """`blocks[s][j]` with `s` an enclosing index is the key `blocks.<s>`."""
        if index is None or scope is None:
            return None, []
        outer: list[int] = []
        for name in index.names[:-1]:
            entry = frame.names.find(name)
            if entry is None or isinstance(entry.value, bool) or not isinstance(entry.value, int):
                raise fail("A310", f"`{name}` is no index of a repeat around this one", index.span)
            outer.append(entry.value)
        return ".".join([self.made_name(scope, frame), *map(str, outer)]), outer

    def _iteration(
        self, st: s.Repeat, i: int, items: tuple[Any, ...] | None, base: str | None, region: int,
        flow: Bundle | Poison | None, done: dict[int, Bundle], frame: Frame,
    ) -> Bundle | Poison | None:
        names = Names(frame.names)
        keys = frame.keys
        path = ""
        if base is not None:
            path = frame.keys.under(f"{base}.{i}")
            self.work.open_scope(path, st.span, frame.body.shared is not None)
            keys = Keys(path + ".", iteration=True)
        inside = self.work.open_region(region, "iteration", "" if base is None else str(i), path, "", st.span, index=i)
        inner = frame.inner(names, keys, inside)
        inner.flow = flow
        if st.index is not None:
            self._bind_index(st.index, i, items, names)
        before = len(self.work.parameters)
        self.suite(st.body, inner)
        if base is not None:
            self._check_claim(keys, before)
            value = inner.flow
            made = Bundle((POISON,), inner=names) if not isinstance(value, Bundle) else Bundle(
                value.outs, value.labels, value.parts, names, title=path
            )
            done[i] = made
            if isinstance(value, Bundle):
                self._result(path, made)
        else:
            self._hand_out(names, st.index, frame)
        return inner.flow

    def _bind_index(self, index: s.Index, i: int, items: tuple[Any, ...] | None, names: Names) -> None:
        if items is None:
            if index.scope is None and len(index.names) > 1:
                raise fail("A310", "a count binds one index", index.span)
            names.bind(index.names[-1], i, index.span, "index")
            return
        item = items[i]
        bound = index.names[-1:] if index.scope is not None else index.names
        if len(bound) == 1:
            names.bind(bound[0], item, index.span, "index")
            return
        if not isinstance(item, tuple) or len(item) != len(bound):
            raise fail("A310", f"item {i} is {describe(item)}, and {len(bound)} names stand for it", index.span)
        for name, value in zip(bound, item, strict=True):
            names.bind(name, value, index.span, "index")

    def _check_claim(self, keys: Keys, before: int) -> None:
        """An unnamed op that took the iteration's own key must be the only one with weights."""
        if keys.claimed is None or keys.named is None:
            return
        raise fail("A106", "this op has weights and no name, beside others that have one", keys.claimed,
                   labels=[Label(keys.named, "this one has")], help=f"`name = {keys.claimed.text.strip()}`")

    def _hand_out(self, names: Names, index: s.Index | None, frame: Frame) -> None:
        """A repeat that adds no key opens no scope: what it named stays readable after it, the last time's value."""
        own = set(index.names) if index else set()
        for name, entry in names.table.items():
            if name in own or entry.kind in ("size", "index"):
                continue
            known = frame.names.table.get(name)
            if known is not None and isinstance(known.value, Bundle) and isinstance(entry.value, Bundle):
                if known.value.items is not None and entry.value.items is not None:
                    entry.value.items = {**known.value.items, **entry.value.items}
            frame.names.table[name] = entry

    def _bind_repeat(
        self, scope: s.Name | s.Made, base: str, outer: list[int], done: dict[int, Bundle], frame: Frame
    ) -> None:
        name = self.made_name(scope, frame)
        last = done[max(done)] if done else Bundle(())
        made = Bundle(last.outs, last.labels, last.parts, last.inner, dict(done), title=name)
        for place in reversed(outer):
            made = Bundle(made.outs, items={place: made}, title=name)
        known = frame.names.find(name)
        if known is not None and known.span == scope.span and isinstance(known.value, Bundle):
            made.items = {**(known.value.items or {}), **(made.items or {})}
        frame.names.bind(name, made, scope.span, "node")

    # ------------------------------------------------------------------------------------ block runs
    def _run(self, op: OpValue, inputs: list[Out | Poison], naming: Naming, frame: Frame, line: s.Line) -> Bundle | Poison:
        """Run a block (or a network as one): its body, with its ports bound to `inputs`."""
        definition, settings, preset = self.definition_of(op)
        node = definition.node
        assert isinstance(node, s.Network | s.Block)
        if any(isinstance(x, Poison) for x in inputs) or any(isinstance(x.value, Poison) for x in settings):
            return POISON
        span = line.flow.span
        self._depth(frame, node.name, span)
        shared = op.module
        path, claims = self._path(op, naming, frame, node.name)
        label = naming.label or (path.rsplit(".", 1)[-1] if naming.key is not None else "")
        trail = (*frame.body.trail, *_steps(frame, self, label, op.name))
        body = Body(definition.unit, trail, frame.body.facts, frame.body.depth + 1, shared or frame.body.shared)
        own = "" if claims else path.rsplit(".", 1)[-1]
        region = self.work.open_region(frame.region, "block", own, path, node.name, line.span)
        if naming.key is not None and shared is None:
            self.work.open_scope(path, line.span, frame.body.shared is not None)
        inner = Frame(body, Names(), Keys(path + "." if path else ""), region)
        before = len(self.work.parameters)
        try:
            self.bind_params(definition, settings, preset, inner, span)
            self._ports(node, inputs, inner, span)
            self.suite([x for x in node.body if not isinstance(x, s.Input)], inner)
        except PoisonedName:
            return POISON
        if len(self.work.parameters) > before and shared is None:
            self._claim_run(claims, naming, node.name, frame, line)
        return self._outcome(node, inner, path, label or node.name)

    def _depth(self, frame: Frame, name: str, span: Span) -> None:
        self.work.calls += 1
        if frame.body.depth >= limits.CALL_DEPTH:
            raise fail("A512", f"blocks stand more than {limits.CALL_DEPTH} deep here", span,
                       help=f"does `{name}` use itself? a block cannot")
        if self.work.calls > limits.CALLS:
            raise fail("A512", f"more than {limits.CALLS:,} blocks run here", span)

    def _path(self, op: OpValue, naming: Naming, frame: Frame, name: str) -> tuple[str, bool]:
        """The key path of a run, and whether it takes the iteration's own key if it has weights."""
        if op.module is not None:
            return op.module.key, False
        if naming.key is not None:
            return naming.key, False
        if frame.keys.iteration:
            return frame.keys.prefix.removesuffix("."), True
        return frame.keys.under(name), True

    def _claim_run(self, claims: bool, naming: Naming, name: str, frame: Frame, line: s.Line) -> None:
        if claims:
            self.claim(frame, line.flow.span, f"`{name}` has weights")
        elif naming.key is not None:
            frame.keys.named = line.span

    def _outcome(self, node: s.Network | s.Block, inner: Frame, path: str, title: str) -> Bundle | Poison:
        result = inner.body.returned or inner.flow
        if result is None:
            raise fail("A120", f"`{node.name}` has no result", node.name_span, help="its last line, or `return`, is its result")
        if isinstance(result, Poison) or any(isinstance(x, Poison) for x in result.outs):
            return POISON
        made = Bundle(result.outs, result.labels, False if inner.body.returned else result.parts, inner.names, title=title)
        self._result(path, made)
        return made

    def _ports(self, node: s.Network | s.Block, inputs: list[Out | Poison], frame: Frame, span: Span) -> None:
        ports = [p for x in node.body if isinstance(x, s.Input) for p in x.ports]
        if len(ports) != len(inputs):
            names = ", ".join(p.name for p in ports) or "nothing"
            raise fail(
                "A207", f"`{node.name}` takes {len(ports)} inputs ({names}); here are {len(inputs)}", span,
                labels=[Label(ports[0].span.to(ports[-1].span), "its inputs")] if ports else [],
                notes=[f"`{x.type}`" for x in inputs if isinstance(x, Out)][:6],
                help="data stands left of the arrow: `a, b -> " + node.name + "(...)`",
            )
        for port, value in zip(ports, inputs, strict=True):
            self.refuse_port(port)
            assert isinstance(value, Out)
            frame.names.bind(port.name, Bundle((value,), title=port.name), port.name_span, "input")
            self._fit(port, value, frame, span)
        if ports:
            entry = frame.names.table[ports[0].name]
            frame.flow = entry.value

    def refuse_port(self, port: s.Port) -> None:
        if port.optional:
            raise later("an optional input", port.span)
        if port.is_list:
            raise later("a list of tensors as input", port.span)

    def _fit(self, port: s.Port, value: Out, frame: Frame, span: Span) -> None:
        try:
            self.promise(port.shape, value, frame, "A213")
        except ArchError as error:
            first = error.diagnostics[0]
            where = self.work.nodes[value.edge.node]
            raise fail(
                first.code, f"`{port.name}` is given `{value.type}`, and takes `{port.shape.span.text}`", span,
                labels=[Label(first.span or port.span, first.label)],
                notes=[f"it comes from line {where.span.line}", *self.trail(frame)], help=first.help,
            ) from None

    def file_frame(self, definition: Definition) -> Frame:
        """A frame with nothing but the names of a file."""
        body = Body(definition.unit, (definition.name,), Facts())
        return Frame(body, Names(), Keys(), 0)


NUMBER_FUNCTIONS = ("len", "sum", "min", "max", "abs", "sign", "int", "ceil", "floor", "round_to", "sqrt", "exp", "log",
                    "log2", "sin", "cos", "reversed")


def _steps(frame: Frame, bodies: Bodies, label: str, name: str) -> tuple[str, ...]:
    """The steps of the call path from one body to the next: iterations around, the label, the block's name."""
    steps: list[str] = []
    at: int | None = frame.region
    while at is not None:
        region = bodies.work.regions[at]
        if region.kind in ("block", "network"):
            break
        if region.kind == "iteration" and region.name:
            steps.append(region.path.rpartition(".")[0].rsplit(".", 1)[-1] + f"[{region.index}]")
        elif region.kind == "scope":
            steps.append(region.title)
        at = region.parent
    steps.reverse()
    return (*steps, *([label] if label and label != name else []), name)


def _conjuncts(expr: s.Expr) -> list[s.Expr]:
    if isinstance(expr, s.Binary) and expr.op == "and":
        return [*_conjuncts(expr.left), *_conjuncts(expr.right)]
    return [expr]


def _names_in(expr: s.Expr) -> list[str]:
    match expr:
        case s.Name():
            return [expr.name]
        case s.Binary() | s.Compare():
            return list(dict.fromkeys([*_names_in(expr.left), *_names_in(expr.right)]))
        case s.Unary():
            return _names_in(expr.value)
    return []


def _origin(expr: s.Expr, frame: Frame) -> Span | None:
    entry = frame.names.find(expr.name) if isinstance(expr, s.Name) else None
    return entry.origin if entry else None


def _one_edit(a: str, b: str) -> bool:
    if a == b:
        return False
    if len(a) > len(b):
        a, b = b, a
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) <= 1 or sorted(a) == sorted(b)
    return any(a == b[:i] + b[i + 1 :] for i in range(len(b)))
