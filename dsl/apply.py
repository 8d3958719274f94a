"""Using an op: a primitive becomes a node, with its settings checked, its shapes inferred and its weights declared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ogive.dsl import limits
from ogive.dsl.annotate import Annotator
from ogive.dsl.diagnostics import ArchError, Label, fail, offer
from ogive.dsl.dims import Poly, TooLarge
from ogive.dsl.dims_text import show
from ogive.dsl.graph import Edge, Given, Node
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.record import Mismatch, Primitive, Reference, Size, Weight
from ogive.dsl.source import Span
from ogive.dsl.types import Tensor
from ogive.dsl.values import POISON, Bundle, OpValue, Out, ParamValue, Poison, Setting, describe
from ogive.dsl.work import Frame, Place

__all__ = ["Applier", "Naming"]


@dataclass(frozen=True, slots=True)
class Naming:
    """What a line calls its op: `label` in the picture, `key` in the state_dict (None: it may have no weights).

    `listed` is False for an unnamed op, whose given weights are listed nowhere.
    """

    label: str = ""
    key: str | None = None
    listed: bool = True
    span: Span | None = None


ANONYMOUS = Naming(listed=False)


class Applier(Annotator):
    """Primitives."""

    def primitive(
        self, op: str, inputs: list[Any], settings: tuple[Setting, ...], frame: Frame, span: Span
    ) -> Bundle | Poison:
        return self.use(OpValue(RECORDS[op], settings, span), self.tensors(inputs, span), ANONYMOUS, frame, span)

    # ------------------------------------------------------------------------------------ inputs
    def tensors(self, values: Sequence[Any], span: Span) -> list[Out | Poison]:
        """The data of a line: one tensor per source; a lone node of several parts is all of them."""
        outs: list[Out | Poison] = []
        for value in values:
            if isinstance(value, Poison):
                outs.append(POISON)
            elif isinstance(value, Out):
                outs.append(value)
            elif isinstance(value, Bundle):
                outs += value.outs if value.parts and len(values) == 1 else [value.first]
            elif isinstance(value, tuple) and not isinstance(value, Size):
                outs += self.tensors(value, span)
            else:
                raise fail("A207", f"data is a tensor; here is {describe(value)}", span,
                           help="settings stand in the parentheses: `x -> linear(64)`")
        return outs

    # ------------------------------------------------------------------------------------ primitives
    def use(
        self, op: OpValue, inputs: list[Out | Poison], naming: Naming, frame: Frame, span: Span
    ) -> Bundle | Poison:
        """Make the node of a primitive.

        Raises:
            ArchError: A2xx inputs that do not fit, A3xx settings that do not, A104 weights without a name.
        """
        record = op.target
        assert isinstance(record, type)
        if any(isinstance(x, Poison) for x in inputs) or any(isinstance(x.value, Poison) for x in op.settings):
            return POISON
        outs = [x for x in inputs if isinstance(x, Out)]
        self._arity(record, outs, frame, span)
        wanted, given = self._sorted(record, op.settings, frame, span)
        made = self._settings(record, wanted, op, frame, span)
        if made.vanishes() and len(outs) == 1:
            return Bundle((outs[0],), title=naming.label or record.op)
        return self._node(made, outs, given, wanted, op, naming, frame, span)

    def _arity(self, record: type[Primitive], outs: list[Out], frame: Frame, span: Span) -> None:
        names = record.inputs
        many = bool(names) and names[-1].startswith("*")
        if many and len(outs) >= len(names):
            return
        if len(outs) == len(names):
            return
        takes = " and ".join(n.removeprefix("*") for n in names) or "no data"
        hint = None
        if len(outs) > len(names) == 1:
            hint = "join them first (`concat`, `+`), or take one: `parts[0]`"
        raise fail("A207", f"`{record.op}` takes {takes}; here are {len(outs)} tensors", span,
                   notes=[*(f"`{o.type}`" for o in outs[:6]), *self.trail(frame)], help=hint)

    def _sorted(
        self, record: type[Primitive], settings: tuple[Setting, ...], frame: Frame, span: Span
    ) -> tuple[dict[str, Setting], dict[str, Setting]]:
        """Settings by name, and apart from them the weights that are supplied."""
        fields = list(record.model_fields)
        wanted: dict[str, Setting] = {}
        given: dict[str, Setting] = {}
        positional = [x for x in settings if x.name is None]
        if record.spread is not None and positional:
            whole = tuple(x.value for x in positional)
            joined = positional[0].span.to(positional[-1].span)
            wanted[record.spread] = Setting(record.spread, whole, joined, joined)
            positional = []
        order = [f for f in fields if f != record.spread]
        if len(positional) > len(order):
            takes = f"at most {len(order)}: {', '.join(order)}" if order else "no settings"
            raise fail("A304", f"`{record.op}` takes {takes}", positional[len(order)].span, notes=self.trail(frame))
        for field, setting in zip(order, positional, strict=False):
            wanted[field] = setting
        for setting in settings:
            name = setting.name
            if name is None:
                continue
            if name in wanted and wanted[name].name is None:
                raise fail("A308", f"`{name}` is set twice", setting.span, labels=[Label(wanted[name].span, "first here")])
            if name in record.given and isinstance(setting.value, Bundle | Out | ParamValue):
                given[name] = setting
            elif name in fields:
                wanted[name] = setting
            else:
                known = [*fields, *record.given]
                raise fail("A301", f"`{record.op}` has no setting `{name}`", setting.span, label=f"`{name}=` stands here",
                           notes=self.trail(frame), help=offer(name, known, "its settings"))
        return wanted, given

    def _settings(
        self, record: type[Primitive], wanted: dict[str, Setting], op: OpValue, frame: Frame, span: Span
    ) -> Primitive:
        values = {name: self._converted(record, name, x, frame) for name, x in wanted.items()}
        try:
            return record(**values)
        except ValidationError as error:
            raise self._refused(record, error, wanted, op, frame) from None
        except Mismatch as error:
            raise self.mismatch(error, wanted, [], frame, span) from None

    def _converted(self, record: type[Primitive], name: str, setting: Setting, frame: Frame) -> Any:
        value = setting.value
        if isinstance(value, Bundle | Out):
            if name not in record.references:
                raise fail("A302", f"`{name}` is a setting, and a tensor stands here", setting.span, notes=self.trail(frame),
                           help=f"data stands left of the arrow: `a, b -> {record.op}`")
            out = value.first if isinstance(value, Bundle) else value
            return Reference(out.edge.node, out.type) if isinstance(out, Out) else None
        if isinstance(value, OpValue):
            return self._nested(value, name, frame)
        if isinstance(value, ParamValue):
            raise fail("A302", f"`{name}` is no weight of `{record.op}`", setting.span,
                       help=offer(name, record.given, "weights that can be given"))
        if isinstance(value, Poly):
            settled = frame.body.facts.simplify(value)
            if isinstance(settled, int):
                return settled
            raise fail("A205", f"`{name}` is `{show(value)}`, which depends on the input's size", setting.span,
                       notes=self.trail(frame), help="pin the size in the network's input, as in `image: B 3 H=224 W=224`")
        annotation = str(record.model_fields[name].annotation)
        if isinstance(value, float) and value.is_integer() and "float" not in annotation:
            return int(value)
        return value

    def _nested(self, value: OpValue, name: str, frame: Frame) -> Primitive:
        """An op as a setting: `patchify(dim, 4, norm=layernorm)`."""
        if not isinstance(value.target, type):
            raise fail("A302", f"`{name}` takes a primitive; `{value.name}` is a block", value.span)
        wanted, _ = self._sorted(value.target, value.settings, frame, value.span)
        return self._settings(value.target, wanted, value, frame, value.span)

    def _refused(
        self, record: type[Primitive], error: ValidationError, wanted: dict[str, Setting], op: OpValue, frame: Frame
    ) -> ArchError:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        trail = self.trail(frame)
        if first["type"] == "missing":
            return fail("A303", f"`{record.op}` needs `{name}`", op.span, notes=trail,
                        help=f"`{record.op}({name})`" if len(record.model_fields) == 1 else f"set it: `{name}=...`")
        setting = wanted.get(name)
        takes = _takes(first)
        span = setting.span if setting else op.span
        labels = [Label(setting.origin, "set here")] if setting and setting.origin is not setting.span else []
        return fail("A302", f"`{name}` of `{record.op}` {takes}; here is {describe(first['input'])}", span,
                    labels=labels, notes=trail)

    def _node(
        self, made: Primitive, outs: list[Out], given: dict[str, Setting], wanted: dict[str, Setting], op: OpValue,
        naming: Naming, frame: Frame, span: Span,
    ) -> Bundle:
        types = tuple(o.type for o in outs)
        path = naming.key if naming.key is not None else frame.keys.under(naming.label or made.op)
        node_id = self.work.new_id(path)
        place = Place(self.work, frame, node_id, span)
        try:
            outputs = made.shape(place, *types)
            weights = made.weights(place, *types)
            macs = made.macs(types, outputs)
        except Mismatch as error:
            raise self.mismatch(error, wanted, outs, frame, span) from None
        except TooLarge:
            raise fail("A509", "the sizes here grow beyond what can be followed", span) from None
        self._bounded(outputs, span, frame)
        supplied = self._given(weights, given, frame, made.op)
        own = tuple(w for w in weights if w.name not in supplied)
        key = self._key(made, own, supplied, naming, frame, span)
        edges = tuple(o.edge for o in outs) + tuple(g.edge for g in supplied.values() if g.edge is not None)
        node = Node(
            node_id, made.op, naming.label, made, edges, outputs, frame.region, span, key, own, supplied, macs,
            frame.body.trail,
        )
        self.work.add_node(node)
        self._declare(node, weights, frame)
        result = Edge(node_id)
        self.work.results[path] = result
        return Bundle(
            tuple(Out(Edge(node_id, i), t) for i, t in enumerate(outputs)),
            made.results if len(made.results) == len(outputs) else (), made.parts,
            weights=self._readable(node, weights), title=naming.label or made.op,
        )

    def _bounded(self, outputs: tuple[Tensor, ...], span: Span, frame: Frame) -> None:
        for tensor in outputs:
            for size in tensor.shape:
                if isinstance(size, int) and not 1 <= size <= limits.DIM:
                    what = "vanishes" if size < 1 else "is larger than any tensor"
                    raise fail("A208", f"an axis {what} here: the shape is `{tensor}`", span, notes=self.trail(frame),
                               help="a smaller kernel or stride, or a larger input" if size < 1 else None)

    def _given(
        self, weights: tuple[Weight, ...], given: dict[str, Setting], frame: Frame, op: str
    ) -> dict[str, Given]:
        by_name = {w.name: w for w in weights}
        supplied: dict[str, Given] = {}
        for name, setting in given.items():
            if name not in by_name:
                raise fail("A302", f"this use of `{op}` has no weight `{name}`", setting.span)
            value = setting.value
            shape: tuple[Any, ...]
            if isinstance(value, ParamValue):
                supplied[name], shape = Given(key=value.key), value.shape
            else:
                out = value.first if isinstance(value, Bundle) else value
                if not isinstance(out, Out):
                    continue
                node = self.work.nodes[out.edge.node]
                bare = len(node.own) == 1 and node.own[0].name == "" and node.op == "learned"
                supplied[name] = Given(key=node.key) if bare else Given(edge=out.edge)
                shape = out.type.shape
            if shape != by_name[name].shape:
                raise fail("A212", f"`{name}` of `{op}` is {list(by_name[name].shape)}; the given one is "
                           f"[{', '.join(map(show, shape))}]", setting.span, notes=self.trail(frame))
        return supplied

    def _key(
        self, made: Primitive, own: tuple[Weight, ...], supplied: dict[str, Given], naming: Naming, frame: Frame,
        span: Span,
    ) -> str:
        listed = bool(own) or (bool(supplied) and naming.listed)
        if not listed:
            return ""
        if naming.key is not None:
            return naming.key
        if not own:
            return ""
        return self.claim(frame, naming.span or span, f"`{made.op}` has weights")

    def claim(self, frame: Frame, span: Span, what: str) -> str:
        """The iteration's own key, for its only weighted op.

        Raises:
            ArchError: A104 there is no iteration to lend one, A106 another op has it.
        """
        keys = frame.keys
        if not keys.iteration:
            raise fail("A104", f"{what} and needs a name", span, notes=self.trail(frame),
                       help=f"`name = {span.text.strip()}`; the name is its key in the state_dict")
        if keys.claimed is not None and keys.claimed != span:
            raise fail("A106", f"{what} and needs a name: another op of this iteration has none either", span,
                       labels=[Label(keys.claimed, "this one")], help=f"`name = {span.text.strip()}`")
        keys.claimed = span
        return keys.prefix.removesuffix(".")

    def _declare(self, node: Node, weights: tuple[Weight, ...], frame: Frame) -> None:
        if not node.key:
            return
        shared = frame.body.shared
        for weight in weights:
            key = f"{node.key}.{weight.name}" if weight.name else node.key
            given = node.given.get(weight.name)
            if given is None:
                self.work.add_parameter(key, weight, node.id, node.span, shared)
            elif given.key is not None:
                self.work.add_parameter(key, weight, node.id, node.span, shared, tied=given.key)

    def _readable(self, node: Node, weights: tuple[Weight, ...]) -> dict[str, ParamValue]:
        if not node.key:
            return {}
        return {w.name: ParamValue(f"{node.key}.{w.name}" if w.name else node.key, w.shape) for w in weights}

    # ------------------------------------------------------------------------------------ errors
    def trail(self, frame: Frame) -> list[str]:
        """How this line was reached, when it stands in a block: `ViT.S > blocks[0] > Encoder`."""
        return [f"in {' > '.join(frame.body.trail)}"] if len(frame.body.trail) > 1 else []

    def mismatch(
        self, error: Mismatch, wanted: dict[str, Setting], outs: list[Out], frame: Frame, span: Span
    ) -> ArchError:
        """A record's complaint, at the place in the file."""
        setting = wanted.get(error.setting) if error.setting else None
        at = setting.span if setting else span
        labels = []
        if setting is not None and setting.origin.start != setting.span.start:
            labels.append(Label(setting.origin, f"`{error.setting}` is {describe(setting.value)} here"))
        notes = [*error.notes]
        for i, out in enumerate(outs):
            where = self.work.nodes[out.edge.node]
            notes.append(f"input {i + 1}: `{out.type}`, from line {where.span.line}" if len(outs) > 1
                         else f"the input is `{out.type}`")
        return fail(error.code, error.title, at, labels=labels, notes=[*notes, *self.trail(frame)], help=error.help)


def _takes(error: Any) -> str:
    kind = error["type"]
    context = error.get("ctx", {})
    words = {
        "int_type": "takes a whole number", "int_from_float": "takes a whole number", "float_type": "takes a number",
        "bool_type": "takes True or False", "string_type": "takes a string", "tuple_type": "takes a list",
        "is_instance_of": "takes another kind of value",
    }
    if kind in words:
        return words[kind]
    if kind == "literal_error":
        return f"takes {context['expected']}"
    if kind == "value_error":
        return re.sub(r"^Value error, ", "", str(error["msg"]))
    limit = next((str(v) for k, v in context.items() if k in ("gt", "ge", "lt", "le")), "")
    bounds = {"greater_than": "is more than", "greater_than_equal": "is at least", "less_than": "is less than",
              "less_than_equal": "is at most"}
    return f"{bounds[kind]} {limit}" if kind in bounds else "takes another kind of value"
