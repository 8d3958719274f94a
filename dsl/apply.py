"""Using an op: a primitive becomes a node, with its settings checked, its shapes inferred and its weights declared."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from math import inf, prod
from typing import Any, Final

from ogive.dsl import limits
from ogive.dsl.diagnostics import Label, fail, offer
from ogive.dsl.dims import TooLarge
from ogive.dsl.dims_text import show
from ogive.dsl.facts import Facts
from ogive.dsl.graph import Edge, Given, Node
from ogive.dsl.inputs import ANONYMOUS, Inputs, Naming
from ogive.dsl.meter import aside
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.merge import Concat
from ogive.dsl.ops.record import Mismatch, Primitive, Reference, Weight
from ogive.dsl.source import Span
from ogive.dsl.types import Axis, Tensor
from ogive.dsl.values import (
    POISON,
    Bundle,
    Module,
    OpValue,
    Out,
    ParamValue,
    Poison,
    Result,
    Run,
    Setting,
    Silent,
    flat,
)
from ogive.dsl.when import Partial, When
from ogive.dsl.work import Frame, Place

__all__ = ["Applier", "poisoned"]

WEIGHT: Final = 2
"""Steps that a weight takes the time of, where an op has more than `FEW`."""
FEW: Final = 8


class Applier(Inputs):
    """Primitives."""

    def primitive(
        self, op: str, inputs: list[Any], settings: tuple[Setting, ...], frame: Frame, span: Span
    ) -> Bundle | Poison:
        return self.use(OpValue(RECORDS[op], settings, span), self.tensors(inputs, span), ANONYMOUS, frame, span)

    # ------------------------------------------------------------------------------------ primitives
    def use(
        self, op: OpValue, inputs: Sequence[Result], naming: Naming, frame: Frame, span: Span
    ) -> Bundle | Poison:
        """Make the node of a primitive. Lists among the inputs stand for their tensors.

        Raises:
            ArchError: A2xx inputs that do not fit, A3xx settings that do not, A104 weights without a name.
        """
        record = op.target
        assert isinstance(record, type)
        if poisoned(inputs, op):
            return POISON
        maybe = next((x for x in op.settings if x.name in record.tensors and isinstance(x.value, Partial)), None)
        if maybe is not None:
            return self._with_or_without(maybe, op, inputs, naming, frame, span)
        outs = [x for result in inputs for x in flat(result) if isinstance(x, Out)]
        self._arity(record, outs, frame, span)
        if record is Concat and len(outs) == 1 and any(isinstance(x, tuple) for x in inputs):
            return Bundle((outs[0],), title=naming.label or record.op)  # a list that has grown to one only
        wanted, given = self.sorted(record, op.settings, frame, span)
        self.settle_axis(record, wanted, outs, frame)
        told = self.told(record, naming.shape, outs, frame, span) if record.told else {}
        made = self.settings(record, wanted, op, frame, span, told)
        if made.vanishes() and len(outs) == 1:
            return Bundle((outs[0],), title=naming.label or record.op)
        module = op.module
        if module is None:
            return self._node(made, outs, given, wanted, naming, frame, span)
        self.begin(module, Run(span, tuple(o.type for o in outs)))
        own = Naming(naming.label, module.key, naming.span)
        value = self._node(made, outs, given, wanted, own, frame, span, module)
        self.finish(module, value)
        return value

    def _with_or_without(
        self, maybe: Setting, op: OpValue, inputs: Sequence[Result], naming: Naming, frame: Frame, span: Span
    ) -> Bundle | Poison:
        """`attend(mask=mask)` where not every call has the mask: the op with it, or without."""
        partial: Partial = maybe.value
        rest = tuple(x for x in op.settings if x is not maybe)
        before, when = self.work.when, partial.when.given(self.work.when)
        module = op.module
        if not when.never:
            for name in when.flags:
                self.work.ask(name, maybe.span)
            if module is None and naming.key is not None:  # one set of weights serves both
                module = Module(naming.label, naming.key, span, outer=frame.body.shared)
        without = OpValue(op.target, rest, op.span, op.preset, module)
        if when.never:
            return self.use(without, inputs, naming, frame, span)
        given = Setting(maybe.name, partial.value, maybe.span, maybe.origin, maybe.whole)
        made: list[tuple[When, Bundle | Poison]] = []
        for side, value in ((when, OpValue(op.target, (*rest, given), op.span, op.preset, module)), (~when, without)):
            self.work.when = before & side
            try:
                made.append((side, self.use(value, inputs, naming, frame, span)))
            finally:
                self.work.when = before
        return self.joined(made, f"`{naming.label or op.name}`", span, frame)  # type: ignore[no-any-return]

    @abstractmethod
    def joined(self, pairs: Sequence[tuple[When, Any]], what: str, span: Span, frame: Frame) -> Any:
        """One value for several sides (`either.py`)."""

    # ------------------------------------------------------------------------------------ shared modules
    def begin(self, module: Module, run: Run) -> None:
        """A run of a shared module starts: the first one binds its sizes."""
        module.current = run
        module.first = module.first or run

    def finish(self, module: Module, value: Bundle) -> None:
        """It ended: its weights are known, and are listed under its other keys as well."""
        module.value = value
        for key, span in module.aliases:
            self.listed_again(module, key, span)

    def listed_again(self, module: Module, alias: str, span: Span) -> None:
        """`shared h = g`: the weights of `g` stand under `h` too."""
        for key in module.keys:
            other = alias + key.removeprefix(module.key)
            known, taken = self.work.parameters[key], self.work.parameters.get(other)
            tied = known.tied or key
            if taken is None or taken.tied != tied:
                self.work.add_parameter(other, known.weight, known.node, span, None, tied=tied)

    # ------------------------------------------------------------------------------------ nodes
    def _arity(self, record: type[Primitive], outs: list[Out], frame: Frame, span: Span) -> None:
        names = record.inputs
        least, most = _takes(names)
        if least <= len(outs) <= most:
            return
        hint = None
        if len(outs) > len(names) == 1:
            hint = "join them first (`concat`, `+`), or take one: `parts[0]`"
        elif names and len(outs) < len(names):
            hint = f"`{', '.join(n.removeprefix('*') for n in names if not n.endswith('?'))} -> {record.op}`"
        here = "1 tensor" if len(outs) == 1 else f"{len(outs)} tensors" if outs else "none"
        made = list(dict.fromkeys(self.work.nodes[o.edge.node].span for o in outs))
        several = len(made) == 1 < len(outs) and made[0] != span
        labels = [Label(made[0], "they are the parts of this")] if several else []
        raise fail("A207", f"`{record.op}` takes {_takes_data(names)}; here {'are' if len(outs) > 1 else 'is'} {here}",
                   span, labels=labels, notes=[*(f"`{o.type}`" for o in outs[:6]), *self.trail(frame)], help=hint)

    def _node(
        self, made: Primitive, outs: list[Out], given: dict[str, Setting], wanted: dict[str, Setting],
        naming: Naming, frame: Frame, span: Span, module: Module | None = None,
    ) -> Bundle:
        types = tuple([o.type for o in outs])
        path = naming.key if naming.key is not None else frame.keys.under(naming.label or made.op)
        node_id = self.work.new_id(path)
        place = Place(self.work, frame, node_id, span)
        try:
            outputs = self._simplest_shapes(made.shape(place, *types), frame)
            weights = made.weights(place, *types)
            macs = made.macs(types, outputs)
        except Mismatch as error:
            raise self.mismatch(error, wanted, outs, frame, span) from None
        except TooLarge:
            raise fail("A509", "the sizes here grow beyond what can be followed", span,
                       notes=self.trail(frame)) from None
        self._bounded(outputs, span, frame)
        supplied = self._given(weights, given, frame, made.op)
        own = tuple(w for w in weights if w.name not in supplied) if supplied else weights
        key = self._key(made, own, supplied, naming, frame, span)
        told = [x for name in made.tensors if isinstance(x := getattr(made, name), Reference)]
        edges = tuple([
            *(o.edge for o in outs), *(Edge(x.node, x.result) for x in told),
            *(g.edge for g in supplied.values() if g.edge is not None),
        ])
        node = Node(
            node_id, made.op, naming.label, made, edges, outputs, frame.region, span, key, own, supplied,
            macs * self.work.times, frame.body.trail,
        )
        self.work.add_node(node)
        self._declare(node, weights, module or frame.body.shared)
        self.keep_letters(made, outs, Edge(node_id), outputs[0], frame)
        made_here = tuple([Out(Edge(node_id, i), t) for i, t in enumerate(outputs)])
        self.work.stands_for(path, made_here[0].edge)
        results, labels = _grouped(made_here, made.results)
        return Bundle(results, labels, made.parts and len(outputs) > 1, key=key, title=naming.label or made.op)

    def _simplest_shapes(self, outputs: tuple[Tensor, ...], frame: Frame) -> tuple[Tensor, ...]:
        """Shapes in the simplest words that the facts here allow: `H/4`, not `floor((H + 3)/4)`, where 4 divides H."""
        facts = frame.body.facts
        if not facts.rewrites:
            return outputs
        return tuple(replace(x, axes=tuple(_simplest(axis, facts) for axis in x.axes)) for x in outputs)

    def _bounded(self, outputs: tuple[Tensor, ...], span: Span, frame: Frame) -> None:
        for tensor in outputs:
            if prod(x.size for x in tensor.axes if isinstance(x.size, int)) > limits.INTEGER:
                raise fail("A208", f"this tensor has more elements than any memory: `{tensor}`", span,
                           notes=self.trail(frame), help=f"a tensor has at most {limits.INTEGER:,} elements")
            for axis in tensor.axes:
                size = axis.size
                if isinstance(size, int) and not 1 <= size <= limits.DIM:
                    what = "vanishes" if size < 1 else "is larger than any tensor"
                    raise fail("A208", f"an axis {what} here: the shape is `{tensor}`", span, notes=self.trail(frame),
                               help="a smaller kernel or stride, or a larger input" if size < 1
                               else f"an axis has at most {limits.DIM:,} elements")

    def _given(
        self, weights: tuple[Weight, ...], given: dict[str, Setting], frame: Frame, op: str
    ) -> dict[str, Given]:
        if not given:
            return {}
        by_name = {w.name: w for w in weights}
        supplied: dict[str, Given] = {}
        for name, setting in given.items():
            if name not in by_name:
                raise fail("A302", f"this use of `{op}` has no weight `{name}`", setting.span, notes=self.trail(frame),
                           help=offer(name, by_name, "its weights"))
            value = setting.value
            shape: tuple[Any, ...]
            if isinstance(value, ParamValue):
                supplied[name], shape = Given(key=value.key), value.shape
            else:
                out = self.one(value, setting.span) if isinstance(value, Bundle) else value
                if not isinstance(out, Out):
                    raise Silent
                node = self.work.nodes[out.edge.node]
                whole = _whole(node)
                supplied[name] = Given(edge=out.edge) if whole is None else Given(key=whole)
                shape = out.type.shape
            if shape != by_name[name].shape:
                given_shape = ", ".join(map(show, shape))
                turned = op == "linear" and shape == by_name[name].shape[::-1]
                raise fail(
                    "A212", f"`{name}` of `{op}` is {list(by_name[name].shape)}; the given one is [{given_shape}]",
                    setting.span, notes=self.trail(frame),
                    help="`transposed=True` takes it the other way round" if turned else "a given weight has its shape",
                )
        return supplied

    def _key(
        self, made: Primitive, own: tuple[Weight, ...], supplied: dict[str, Given], naming: Naming, frame: Frame,
        span: Span,
    ) -> str:
        if not own and not (supplied and naming.key is not None):
            return ""
        if naming.key is not None:
            return naming.key
        return self.claim(frame, naming.span or span, f"`{made.op}` has weights")

    def claim(self, frame: Frame, span: Span, what: str) -> str:
        """The iteration's own key, for its only weighted op.

        Raises:
            ArchError: A104 there is no iteration to lend one, A106 another op has it.
        """
        keys = frame.keys
        line = span.text.strip().partition("\n")[0]
        if not keys.iteration:
            raise fail("A104", f"{what} and needs a name", span, notes=self.trail(frame),
                       help=f'`name = {line}`, or `{line} as "name"`: the name is its key in the state_dict')
        if keys.claimed is not None and keys.claimed != span:
            raise fail("A106", f"{what} and needs a name: another op of this iteration has none either", span,
                       labels=[Label(keys.claimed, "this one")], help=f"`name = {line}`")
        keys.claimed = span
        return keys.prefix.removesuffix(".")

    def _declare(self, node: Node, weights: tuple[Weight, ...], shared: Module | None) -> None:
        if not node.key:
            return
        aside(WEIGHT * max(len(weights) - FEW, 0))
        for weight in weights:
            key = f"{node.key}.{weight.name}" if weight.name else node.key
            given = node.given.get(weight.name)
            if given is None:
                self.work.add_parameter(key, weight, node.id, node.span, shared)
            elif given.key is not None and given.key != key:  # else it stands there already, by a line of its own
                self.work.add_parameter(key, weight, node.id, node.span, shared, tied=given.key)


def _simplest(axis: Axis, facts: Facts) -> Axis:
    size = facts.simplify(axis.size)
    if size == axis.size:
        return axis
    segments = tuple(
        replace(x, size=facts.simplify(x.size), grid=tuple(map(facts.simplify, x.grid))) for x in axis.segments
    )
    return replace(axis, size=size, segments=segments)


def poisoned(inputs: Sequence[Result | Partial], op: OpValue) -> bool:
    """Whether something here is reported as wrong already."""
    if any(not isinstance(x, Partial) and POISON in flat(x) for x in inputs):
        return True
    for setting in op.settings:
        value = setting.value
        if isinstance(value, Poison) or (isinstance(value, OpValue) and poisoned((), value)):
            return True
    return False


def _whole(node: Node) -> str | None:
    """The key of the parameter that this node is, whole: a `learned`, or a weight read by name."""
    if node.op != "learned":
        return None
    return node.key if node.own else node.given[""].key


def _grouped(outs: tuple[Out, ...], names: tuple[str, ...]) -> tuple[tuple[Result, ...], tuple[str, ...]]:
    """The results of a node and their labels: the names that start with `*` share what the others leave, as lists."""
    lists = sum(n.startswith("*") for n in names)
    if not lists:
        return outs, names if len(names) == len(outs) else ()
    each = (len(outs) - len(names) + lists) // lists
    rest = iter(outs)
    grouped = [tuple(islice(rest, each)) if n.startswith("*") else next(rest) for n in names]
    return tuple(grouped), tuple([n.removeprefix("*") for n in names])


@cache
def _takes(names: tuple[str, ...]) -> tuple[int, float]:
    """How many tensors inputs of these names are, at least and at most."""
    return sum(not n.endswith("?") for n in names), inf if any(n.startswith("*") for n in names) else len(names)


def _takes_data(names: Sequence[str]) -> str:
    if not names:
        return "no data"
    if len(names) == 1:
        return "one tensor or more" if names[0].startswith("*") else "one tensor"
    if names[-1].startswith("*"):
        return "one tensor or more"
    shown = ", ".join(f"one or more {n[1:]}" if n.startswith("*") else n for n in names if not n.endswith("?"))
    more = "".join(f", and {n[:-1]} if wanted" for n in names if n.endswith("?"))
    if any(n.startswith("*") for n in names):
        return shown.replace(", ", " and ")
    return f"{sum(not n.endswith('?') for n in names)} tensors ({shown}{more})"
