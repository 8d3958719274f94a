"""Containers: `scope:` prefixes keys; `residual:`, `gate:` and `append:` join what their body makes to what it took."""

from __future__ import annotations

from typing import Final

from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import fail, nearest
from ogive.dsl.graph import RegionKind
from ogive.dsl.lines import Lines
from ogive.dsl.names import Keys, Names
from ogive.dsl.values import POISON, Bundle, Poison, Setting, Silent, flat
from ogive.dsl.work import Frame

__all__ = ["CONTAINERS", "Containers"]

CONTAINERS: Final[dict[RegionKind, str]] = {"residual": "add", "gate": "mul", "append": "concat"}
"""Containers with a meaning, and the primitive that joins x and f(x)."""

RATES: Final = {"drop": "dropout", "drop_path": "drop_path"}


class Containers(Lines):
    """Lines with a body."""

    def container(self, line: s.Line, frame: Frame) -> None:
        flow = line.flow
        name = flow.func if isinstance(flow, s.Call) else flow
        word = name.name if isinstance(name, s.Name) else ""
        if isinstance(flow, s.Call) and word not in CONTAINERS:
            close = nearest(word, CONTAINERS)
            raise fail("A122", f"`{flow.span.text}` takes no body", flow.span,
                       help=f"did you mean `{close}`?" if close else "a scope is a name alone: `name:`")
        if not isinstance(name, s.Name | s.Made):
            raise fail("A122", "only a name opens a scope", flow.span, help="`name:`, and its body on the next lines")
        start = self.start(line.sources, line, frame)
        assert line.body is not None
        if word in CONTAINERS:
            self._combine(word, line, line.body, start, frame)
        else:
            self._scope(line, name, line.body, start, frame)

    def start(self, sources: tuple[s.Expr, ...] | None, at: s.Line | s.Repeat, frame: Frame) -> Bundle | Poison | None:
        """The flow at the head of a container: the sources, else the flow outside."""
        if sources is None:
            return frame.flow
        outs = self.sources([self.operand(x, frame) for x in sources], sources[0].span.to(sources[-1].span))
        if any(isinstance(x, Poison) for out in outs for x in flat(out)):
            return POISON
        return Bundle(tuple(outs), parts=len(outs) > 1)

    # ------------------------------------------------------------------------------------ residual, gate, append
    def _combine(
        self, word: RegionKind, line: s.Line, body: tuple[s.Stmt, ...], start: Bundle | Poison | None, frame: Frame
    ) -> None:
        """`residual` x + f(x), `gate` x * f(x), `append` concat(x, f(x))."""
        if line.key is not None:
            raise fail("A117", f"`{word}` adds no key", line.key_span or line.span, help="leave the `as` away")
        if line.label is not None and line.label.bullet:
            raise fail("A117", f"`{word}` adds no key, so it has no number", line.span, help="leave the `-` away")
        if start is None:
            raise fail("A119", f"nothing flows into `{word}` here", line.flow.span, help=f"`x -> {word}:`")
        rates = self._rates(word, line, frame)
        region = self.work.open_region(frame.region, word, "", "", word, line.span)
        inner = frame.inner(region=region)
        inner.flow = start
        self.suite(body, inner)
        result = inner.flow
        if isinstance(start, Poison) or isinstance(result, Poison) or result is None:
            raise Silent
        span = line.flow.span
        whole = Bundle(start.outs[:1]) if line.sources is not None else start
        branch: Bundle | Poison = result
        for op, setting in rates:
            branch = self.primitive(op, [branch], (setting,), inner, span)
        made = self.primitive(CONTAINERS[word], [whole, branch], (), inner, span)
        self.label(line.label.names if line.label else (), made, frame)
        frame.flow = made

    def _rates(self, word: RegionKind, line: s.Line, frame: Frame) -> list[tuple[str, Setting]]:
        """The drops of `residual(drop=, drop_path=)`, in the order they act."""
        if not isinstance(line.flow, s.Call):
            return []
        found: dict[str, Setting] = {}
        for arg in line.flow.args:
            if word != "residual" or arg.name not in RATES:
                takes = "`drop=` and `drop_path=`" if word == "residual" else "no settings"
                near = nearest(arg.name or "", RATES) if word == "residual" else None
                raise fail("A301", f"`{word}` takes {takes}", arg.name_span, notes=self.trail(frame),
                           help=f"did you mean `{near}`?" if near else None)
            setting = self.setting(arg, frame)
            if isinstance(setting.value, Poison):
                raise Silent
            found[arg.name] = Setting("p", setting.value, setting.span, setting.origin)
        return [(RATES[name], found[name]) for name in RATES if name in found]

    # ------------------------------------------------------------------------------------ scopes
    def _scope(
        self, line: s.Line, name: s.Name | s.Made, body: tuple[s.Stmt, ...], start: Bundle | Poison | None, frame: Frame
    ) -> None:
        title = self.made_name(name, frame)
        close = next((word for word in CONTAINERS if title[0] == word[0] and _one_edit(title, word)), None)
        if close is not None:
            raise fail("A122", f"`{title}` is too close to `{close}` for a scope", name.span,
                       help=f"did you mean `{close}:`? else another name")
        bullet = line.label is not None and line.label.bullet
        number = frame.keys.bullet() if bullet else frame.keys.under(title)
        path = number if line.key is None else self.as_key(line.key, line.key_span or line.span, frame)
        self.work.open_scope(path, line.span, frame.body.shared is not None)
        region = self.work.open_region(frame.region, "scope", path.rsplit(".", 1)[-1], path, title, line.span)
        names = Names(frame.names)
        inner = frame.inner(names, Keys(path + "."), region)
        inner.flow = start
        self.suite(body, inner)
        value = self._closed(inner, names, title, line)
        self.result(path, value)
        if line.label is not None and not bullet:
            self.label(line.label.names, value, frame)
        if not bullet:
            frame.names.bind(title, value, name.span, "node")
        frame.flow = POISON if isinstance(inner.flow, Poison) else value

    def _closed(self, inner: Frame, names: Names, title: str, line: s.Line) -> Bundle:
        """What a scope's name stands for after it."""
        if inner.flow is None:
            raise fail("A119", f"nothing flows out of `{title}`", line.flow.span)
        if isinstance(inner.flow, Poison):
            return Bundle((POISON,), inner=names, title=title)
        return Bundle(inner.flow.outs, inner.flow.labels, inner.flow.parts, names, title=title)


def _one_edit(a: str, b: str) -> bool:
    """Whether one letter more, less, other or exchanged makes `a` of `b`."""
    if a == b:
        return False
    if len(a) > len(b):
        a, b = b, a
    if len(a) == len(b):
        different = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
        swapped = len(different) == 2 and different[1] == different[0] + 1 and sorted(a) == sorted(b)
        return len(different) == 1 or swapped
    return any(a == b[:i] + b[i + 1 :] for i in range(len(b)))
