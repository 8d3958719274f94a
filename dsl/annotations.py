"""What annotations say beyond sizes: the axis a letter names, the two sides of a `rearrange`, roles of a weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ogive.dsl import syntax as s
from ogive.dsl.diagnostics import ArchError, Label, fail, offer
from ogive.dsl.dims import Dim
from ogive.dsl.graph import Edge
from ogive.dsl.ops.activation import AXES
from ogive.dsl.ops.merge import Arithmetic
from ogive.dsl.ops.record import Primitive
from ogive.dsl.ops.regroup import Atom
from ogive.dsl.ops.source import WORDS
from ogive.dsl.settings import Settings
from ogive.dsl.source import Span
from ogive.dsl.types import Role, Tensor
from ogive.dsl.values import Out, Setting, whole
from ogive.dsl.work import Frame

__all__ = ["Annotations", "states_roles"]

KEEPING: Final = frozenset({"activation", "norm", "regularise"})
"""Families whose results have the axes of their input, where they have its shape."""

Side = list[tuple[list[Atom], Span]]


class Annotations(Settings):
    """Letters, as ops read them."""

    # ------------------------------------------------------------------------------------ what ops are told
    def told(
        self, record: type[Primitive], shape: s.Shape | None, outs: Sequence[Out], frame: Frame, span: Span
    ) -> dict[str, Any]:
        """The fields of a record that the annotations decide: `shape` is the line's own."""
        if "letters" in record.told:
            return {"letters": tuple([self.letters(out, frame) for out in outs])}
        if "roles" in record.told:
            return {"roles": _roles(shape)} if shape is not None and states_roles(shape) else {}
        if "left" in record.told:
            left, right = self._both_sides(shape, outs[0], frame, span)
            return {"left": left, "right": right}
        return {}

    def keep_letters(self, made: Primitive, outs: Sequence[Out], result: Edge, type: Tensor, frame: Frame) -> None:
        """A function of each element has its input's axes, and so their letters."""
        written = frame.body.written
        if not written or (made.family not in KEEPING and not isinstance(made, Arithmetic)):
            return
        for out in outs:
            if out.edge in written and out.type.shape == type.shape:
                written[result] = written[out.edge]
                return

    # ------------------------------------------------------------------------------------ axes by letter
    def letters(self, out: Out, frame: Frame) -> tuple[str, ...]:
        """The letter of each axis in the annotation of a tensor; "" where it names none."""
        written = frame.body.written.get(out.edge)
        names = [""] * out.type.rank
        if written is None:
            return tuple(names)
        dims = list(written.shape.dims)
        rest = next((i for i, d in enumerate(dims) if isinstance(d, s.RestDim)), None)
        places = list(range(len(dims)))
        if rest is not None:
            after = len(dims) - rest - 1
            channel = out.type.find(Role.CHANNEL)
            tail = [channel] if after == 1 and channel is not None else range(len(names) - after, len(names))
            places = [*range(rest), -1, *tail]
        for dim, place in zip(dims, places, strict=True):
            if isinstance(dim, s.NameDim | s.PinDim):
                names[place] = dim.name
        return tuple(names)

    def settle_axis(
        self, record: type[Primitive], wanted: dict[str, Setting], outs: Sequence[Out], frame: Frame
    ) -> None:
        """`softmax(ways)`: a letter of the annotation becomes a place; `C` are the channels, whatever their name."""
        setting = wanted.get("axis")
        if setting is None or not isinstance(setting.value, str) or "letters" in record.told:
            return
        letter = setting.value
        for out in sorted(outs, key=lambda out: -out.type.rank):
            found = [i for i, name in enumerate(self.letters(out, frame)) if name == letter]
            if len(found) > 1:
                raise fail("A202", f"`{letter}` names {len(found)} axes of `{out.type}`", setting.span,
                           labels=self._annotated(out, frame), help="a letter of its own for each axis")
            if found and letter == "C" and out.type.roles[found[0]] is not Role.CHANNEL:
                raise fail("A202", f"`C` are the channels, and here it names the {out.type.roles[found[0]].value} axis",
                           setting.span, labels=self._annotated(out, frame),
                           help="another letter in that annotation, then both can be named")
            if found:
                wanted["axis"] = replace(setting, value=found[0])
                return
        if letter in AXES or not outs:
            return
        number = whole(self.bound(letter, frame))
        if number is not None and not self._is_letter(letter, frame):
            wanted["axis"] = replace(setting, value=number)
            return
        raise self._no_axis(letter, setting.span, outs[0], frame)

    def _is_letter(self, name: str, frame: Frame) -> bool:
        entry = frame.names.find(name)
        return entry is not None and entry.kind == "size"

    def _no_axis(self, letter: str, span: Span, out: Out, frame: Frame) -> ArchError:
        names = [name for name in self.letters(out, frame) if name]
        here = [name for name, role in AXES.items() if out.type.find(role) is not None]
        written = frame.body.written.get(out.edge)
        if written is None:
            where = self.work.nodes[out.edge.node]
            return fail("A202", f"`{out.type}` has no axis `{letter}`: no annotation names its axes", span,
                        labels=self._made_here(out, span), notes=self.trail(frame),
                        help=f"name them on line {where.span.line}, as in `: B {letter} C`; "
                        f"{', '.join(f'`{n}`' for n in here)} go by their roles")
        title, hint = f"`{out.type}` has no axis `{letter}`", offer(letter, dict.fromkeys([*names, *here]), "its axes")
        groups = [d for d in written.shape.dims if isinstance(d, s.GroupDim)]
        if any(_name(part) == letter for d in groups for segment in d.segments for part in segment):
            title = f"`{letter}` is a part of an axis here"
            hint = f"`rearrange` in front makes `{letter}` an axis of its own"
        return fail("A202", title, span, labels=self._annotated(out, frame), notes=self.trail(frame), help=hint)

    def _annotated(self, out: Out, frame: Frame) -> list[Label]:
        written = frame.body.written.get(out.edge)
        return [] if written is None else [Label(written.shape.span, "its annotation")]

    def _made_here(self, out: Out, span: Span) -> list[Label]:
        where = self.work.nodes[out.edge.node].span
        return [Label(where, f"made here: `{out.type}`")] if where.source is span.source else []

    # ------------------------------------------------------------------------------------ rearrange
    def _both_sides(
        self, shape: s.Shape | None, out: Out, frame: Frame, span: Span
    ) -> tuple[tuple[tuple[Atom, ...], ...], tuple[tuple[Atom, ...], ...]]:
        """The two sides of the pattern: the annotation of the input, and the line's own.

        Raises:
            ArchError: A214 an annotation is missing, or the two do not have the same names.
        """
        where = self.work.nodes[out.edge.node].span
        written = frame.body.written.get(out.edge)
        if shape is None:
            other = written.shape.span.text if written is not None else str(out.type)
            raise fail("A214", "`rearrange` makes what the annotation of its line says, and here is none", span,
                       notes=[f"its input is `{other}`", *self.trail(frame)],
                       help="write the result's axes behind it: `rearrange : B (h w) C`")
        if written is None:
            raise fail("A214", "`rearrange` reads the annotation of the line that made its input, and that has none",
                       span, labels=self._made_here(out, span), notes=self.trail(frame),
                       help=f"name the axes of `{out.type}` on line {where.line}: `: {_lettered(out.type)}`")
        left = self._axes_of(written.shape, out, written.frame)
        right = self._axes_of(shape, None, frame)
        self._same_axes(left, right, written.shape, shape, frame)
        sizes = {name: size for atoms, _ in left for name, size in atoms}
        self._bind_letters(shape, sizes, frame)
        return (
            tuple([tuple(atoms) for atoms, _ in left]),
            tuple([tuple([(name, sizes[name]) for name, _ in atoms]) for atoms, _ in right]),
        )

    def _axes_of(self, shape: s.Shape, out: Out | None, frame: Frame) -> Side:
        """The names of one side, axis by axis; the sizes are known on the left alone, where `out` is the tensor."""
        seen: Counter[str] = Counter()
        side: Side = []
        for place, dim in enumerate(shape.dims):
            if isinstance(dim, s.RestDim | s.AnyDim | s.AskDim):
                raise fail("A214", f"`{dim.span.text}` names no axis, and `rearrange` needs the name of each", dim.span,
                           notes=self.trail(frame), help="write all axes out")
            atoms: list[Atom] = []
            for part in _parts(dim):
                name = _name(part)
                if name == "1":
                    continue
                seen[name] += 1
                known: Dim = 0
                if out is not None:
                    known = out.type.shape[place] if part is dim else self.dim(part, frame)
                atoms.append((name if seen[name] == 1 else f"{name}'{seen[name]}", known))
            side.append((atoms, dim.span))
        return side

    def _same_axes(self, left: Side, right: Side, before: s.Shape, after: s.Shape, frame: Frame) -> None:
        have = {name: span for atoms, span in left for name, _ in atoms}
        want = {name: span for atoms, span in right for name, _ in atoms}
        other = [Label(before.span, "the axes of the input")]
        for name, span in want.items():
            if name not in have:
                text, _, again = name.partition("'")
                title = f"`{text}` stands here more often than in the input" if again else (
                    f"`{text}` is no axis of the input"
                )
                raise fail("A214", title, span, labels=other, notes=self.trail(frame),
                           help="every name stands on both sides once" if again else offer(text, _plain(have), "axes"))
        for name in have:
            if name not in want:
                text = name.partition("'")[0]
                raise fail("A214", f"`rearrange` moves every axis, and `{text}` is left out", after.span,
                           label=f"no `{text}` here" if name == text else f"too few `{text}` here", labels=other,
                           notes=self.trail(frame),
                           help="every name stands on both sides once; `take(i)`, `sum_over(N)` and `unstack(N)` drop "
                           "an axis")

    def _bind_letters(self, shape: s.Shape, sizes: dict[str, Dim], frame: Frame) -> None:
        """Letters that the other side knows by another scope are known here from now on."""
        for part in (part for dim in shape.dims for part in _parts(dim)):
            if isinstance(part, s.NameDim | s.PinDim) and frame.names.find(part.name) is None:
                frame.names.bind(part.name, sizes[part.name], part.span, "size")


def _parts(dim: s.Dim) -> tuple[s.Dim, ...]:
    """The names of a group `(h w a)`; of anything else, itself: a sum of segments moves as a whole."""
    if isinstance(dim, s.GroupDim) and len(dim.segments) == 1:
        return dim.segments[0]
    return (dim,)


def _name(dim: s.Dim) -> str:
    return dim.name if isinstance(dim, s.NameDim | s.PinDim) else " ".join(dim.span.text.split())


def _plain(names: dict[str, Span]) -> dict[str, None]:
    """The names as they are written, each once."""
    return dict.fromkeys(name.partition("'")[0] for name in names)


def _lettered(x: Tensor) -> str:
    """An annotation for a tensor that has none: `B C H W`."""
    letters = {role: letter for letter, role in AXES.items()}
    return " ".join(letters.get(role, f"a{i}") for i, role in enumerate(x.roles))


def states_roles(shape: s.Shape) -> bool:
    """Whether an annotation of `learned` says roles in place of sizes: `: head . .`."""
    named = [d for d in shape.dims if isinstance(d, s.NameDim) and d.name in WORDS]
    return bool(named) and all(d in named or isinstance(d, s.AnyDim) for d in shape.dims)


def _roles(shape: s.Shape) -> tuple[str, ...]:
    return tuple([d.name if isinstance(d, s.NameDim) else "" for d in shape.dims])
