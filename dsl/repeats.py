"""Repeats: written out iteration by iteration, each with its names, its keys and its number."""

from __future__ import annotations

from typing import Any

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.carried import Loop
from ogive.dsl.diagnostics import Label, fail
from ogive.dsl.either import Eithers
from ogive.dsl.lookup import list_of
from ogive.dsl.names import Keys, Names
from ogive.dsl.ops.record import Size
from ogive.dsl.values import POISON, Bundle, Poison, Silent, describe, whole
from ogive.dsl.when import When
from ogive.dsl.work import Frame

__all__ = ["Repeats"]


class Repeats(Eithers):
    """`repeat n`, `repeat list as t, c`, `repeat n as blocks[i]`, `repeat n with y = start`."""

    def repeat(self, st: s.Repeat, frame: Frame) -> None:
        count, items = self._times(st, frame)
        index = st.index
        flow = self.start(st.sources, st, frame)
        known = self.work.mistakes.count
        scope = index.scope if index else None
        base, outer = self._base(index, scope, frame)
        region = self.work.open_region(
            frame.region, "repeat", base or "", "" if base is None else frame.keys.under(base), "", st.span, count=count
        )
        loop = self.loop("repeat", st.carries, frame)
        done: dict[int, Bundle] = {}
        for i in range(count):
            flow = self._iteration(st, i, items, base, region, flow, done, loop, frame)
            loop.turn()
        if count and self.work.mistakes.count == known:
            self.unchanged(loop, frame)
        if base is not None and scope is not None:
            self._bind(scope, outer, done, flow, frame)
            if done:
                self.result(frame.keys.under(base), done[count - 1])
        carried = self.after_loop(loop, frame)
        frame.flow = flow if carried is None else carried

    def _times(self, st: s.Repeat, frame: Frame) -> tuple[int, tuple[Any, ...] | None]:
        value = list_of(self.value(st.count, frame))
        if isinstance(value, Poison):
            raise Silent
        if isinstance(value, tuple) and not isinstance(value, Size):
            return len(value), value
        if isinstance(value, When):
            raise self.not_yet(st.count, frame)
        count = whole(value)
        if count is None or count < 0:
            raise fail("A310", f"`repeat` takes a whole number or a list; here is {describe(value)}", st.count.span,
                       notes=self.trail(frame),
                       help="`//` divides whole numbers" if isinstance(value, float)
                       else f"the list of its elements: `{st.count.span.text}[:]`"
                       if isinstance(value, Bundle) and value.items is not None else None)
        if count > limits.NODES:
            raise fail("A511", f"`repeat {count}` runs more than {limits.NODES:,} times", st.count.span)
        return count, None

    def _base(
        self, index: s.Index | None, scope: s.Name | s.Made | None, frame: Frame
    ) -> tuple[str | None, list[int]]:
        """`blocks[s][j]` with `s` an enclosing index is the key `blocks.<s>`."""
        if index is None or scope is None:
            return None, []
        outer: list[int] = []
        for name in index.names[:-1]:
            entry = frame.names.find(name)
            if entry is not None and isinstance(entry.value, Poison):
                raise Silent
            number = None if entry is None else whole(entry.value)
            if number is None or number < 0:
                raise fail("A310", f"`{name}` is no index of a repeat around this one", index.span,
                           help="`repeat n as s:` around it, then `repeat m as blocks[s][j]:`")
            outer.append(number)
        return ".".join([self.made_name(scope, frame), *map(str, outer)]), outer

    def _iteration(
        self, st: s.Repeat, i: int, items: tuple[Any, ...] | None, base: str | None, region: int,
        flow: Bundle | Poison | None, done: dict[int, Bundle], loop: Loop, frame: Frame,
    ) -> Bundle | Poison | None:
        self.work.step(st.span)
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
        inner.loop = loop
        self.begin_iteration(loop, names)
        if st.index is not None:
            self._bind_index(st.index, i, items, names)
        before = len(self.work.parameters)
        self.suite(st.body, inner)
        if base is None:
            self._hand_out(names, st.index, frame)
            return inner.flow
        if keys.claimed is not None and self.work.added(before, path) > keys.lent:
            raise fail("A106", "this op has weights and no name, beside others of this iteration that have one",
                       keys.claimed, labels=[Label(keys.named, "this one has")] if keys.named else [],
                       notes=self.trail(frame), help=f"`name = {keys.claimed.text.strip()}`")
        value = inner.flow
        made = Bundle((POISON,), inner=names) if not isinstance(value, Bundle) else Bundle(
            value.outs, value.labels, value.parts, names, title=path
        )
        done[i] = made
        self.result(path, made)
        return inner.flow

    def _bind_index(self, index: s.Index, i: int, items: tuple[Any, ...] | None, names: Names) -> None:
        bound = index.names[-1:] if index.scope is not None else index.names
        if items is None:
            if len(bound) > 1:
                raise fail("A310", "a count binds one index", index.span, help="a list of lists binds several names")
            names.bind(bound[0], i, index.span, "index")
            return
        item = items[i]
        if len(bound) == 1:
            names.bind(bound[0], item, index.span, "index")
            return
        if not isinstance(item, tuple) or isinstance(item, Size) or len(item) != len(bound):
            raise fail("A310", f"{len(bound)} names stand here for item {i}, which is {describe(item)}", index.span,
                       help="each item is a list with one value for each name")
        for name, value in zip(bound, item, strict=True):
            names.bind(name, value, index.span, "index")

    def _hand_out(self, names: Names, index: s.Index | None, frame: Frame) -> None:
        """A repeat that adds no key opens no scope: what it named stays readable after it, the last time's value."""
        own = set(index.names) if index else set()
        for name, entry in names.table.items():
            if name in own or entry.kind in ("size", "index", "carried"):
                continue
            frame.names.hand_out(name, entry)

    def _bind(
        self, scope: s.Name | s.Made, outer: list[int], done: dict[int, Bundle], flow: Bundle | Poison | None,
        frame: Frame,
    ) -> None:
        """`blocks` is the last iteration's result, `blocks[i]` that of one; of no iteration, what flowed in."""
        name = self.made_name(scope, frame)
        last = done[max(done)] if done else flow if isinstance(flow, Bundle) else Bundle((POISON,))
        made = Bundle(last.outs, last.labels, last.parts, last.inner, dict(done), title=name)
        for place in reversed(outer):
            made = Bundle(made.outs, made.labels, made.parts, items={place: made}, title=name)
        known = frame.names.find(name)
        if known is not None and known.span == scope.span and isinstance(known.value, Bundle):
            made.items = _joined(known.value.items or {}, made.items or {})
        frame.names.bind(name, made, scope.span, "node")


def _joined(old: dict[int, Bundle], new: dict[int, Bundle]) -> dict[int, Bundle]:
    """The elements of both, those inside them as well: `blocks[0][1]` stays when `blocks[0][2]` comes."""
    found = {**old, **new}
    for place in old.keys() & new.keys():
        before, after = old[place], new[place]
        if before.items is not None and after.items is not None and before is not after:
            items = _joined(before.items, after.items)
            found[place] = Bundle(after.outs, after.labels, after.parts, after.inner, items, title=after.title)
    return found
