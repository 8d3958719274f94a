"""What flows into an op: tensors and lists of them, weights read by name, what not every call has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ogive.dsl import syntax as s
from ogive.dsl.annotations import Annotations
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.graph import Edge, Given, Node
from ogive.dsl.ops.source import Learned, learned_type
from ogive.dsl.source import Span
from ogive.dsl.values import Bundle, OpValue, Out, ParamValue, Poison, Result, Unanswered, describe, flat, is_list
from ogive.dsl.when import Partial
from ogive.dsl.work import Frame

__all__ = ["ANONYMOUS", "Inputs", "Naming"]


@dataclass(slots=True)
class Naming:
    """What a line calls its op: `label` in the picture, `key` in the state_dict (None: it may have no weights).

    `shape` is the line's annotation.
    """

    label: str = ""
    key: str | None = None
    span: Span | None = None
    shape: s.Shape | None = None


ANONYMOUS: Final = Naming()


class Inputs(Annotations):
    """The data of a line."""

    @abstractmethod
    def use(
        self, op: OpValue, inputs: Sequence[Result], naming: Naming, frame: Frame, span: Span
    ) -> Bundle | Poison:
        """Make the node of a primitive (`apply.py`)."""

    def tensors(self, values: Sequence[Any], span: Span) -> list[Out | Poison]:
        """The data of a line: one tensor per source; a lone node of several parts is all of them.

        Raises:
            ArchError: A207 no tensor, or several parts where one is meant.
        """
        return [x for result in self.sources(values, span) for x in flat(result)]

    def sources(self, values: Sequence[Any], span: Span) -> list[Result]:
        """The data of a line, its lists whole: what a block with a list among its inputs takes."""
        outs: list[Result] = []
        for value in values:
            self.tensor_meant(value, span)
            if isinstance(value, (Poison, Out)):
                outs.append(value)
            elif isinstance(value, ParamValue):
                outs.append(self.read(value, span))
            elif isinstance(value, Bundle):
                outs += self.results(value, span) if len(values) == 1 else (self.result_of(value, span),)
            elif is_list(value):
                outs.append(self.listed(value, span))
            elif isinstance(value, Partial):
                raise self.missing(value, span)
            elif isinstance(value, OpValue):
                raise fail("A207", f"data is a tensor; here is {describe(value)}", span,
                           help=f"an op runs on a line of its own: `y = x -> {value.name}`, then `y`")
            else:
                raise fail("A207", f"data is a tensor; here is {describe(value)}", span,
                           help="settings stand in the parentheses: `x -> linear(64)`")
        return outs

    def tensor_meant(self, value: Any, span: Span) -> None:
        """Refuse `?` where a tensor is meant, there or under a name: no number that stands for it would do.

        Raises:
            ArchError: A207.
        """
        if isinstance(value, Unanswered):
            here = value.span.source is span.source and span.start <= value.span.start < span.end
            labels = [] if here else [Label(span, "a tensor is meant here")]
            raise fail("A207", "`?` stands for a number, and a tensor is meant", value.span, labels=labels,
                       help="the name of the tensor; `?` stands in place of a number: `linear(?)`")

    def operand(self, expr: s.Expr, frame: Frame) -> Any:
        """The value of an expression where data is meant: an op that makes data from nothing is run."""
        return self.as_data(self.value(expr, frame), frame, expr.span)

    def as_data(self, value: Any, frame: Frame, span: Span) -> Any:
        """A source op run, and those in a list of nothing else: `zeros(8)`, `[zeros(8), ones(8)]`."""
        if _makes_data(value):
            return self.use(value, [], ANONYMOUS, frame, span)
        if isinstance(value, tuple) and value and all(map(_makes_data, value)):
            return tuple([self.use(x, [], ANONYMOUS, frame, span) for x in value])
        return value

    def missing(self, value: Partial, span: Span) -> ArchError:
        """Data that not every call has."""
        if value.clash is not None:
            first = value.clash.diagnostics[0]
            return fail(first.code, first.title, span, labels=[Label(value.span, "given here")], notes=first.notes,
                        help=first.help)
        what = f"`{value.name}` is an input that a call may leave away" if value.optional else (
            f"`{value.name}` is there only when `{value.when}`"
        )
        if value.value is None:
            what = f"`{value.name}` is not given here"
        label = "may be left away" if value.optional else "given here"
        return fail("A143", what, span, labels=[Label(value.span, label)],
                    help=f"inside `if {value.name if value.optional else value.when}:` it is there"
                    + (f"; `{value.name} or other` takes another tensor instead" if value.optional else ""))

    def listed(self, values: Sequence[Any], span: Span) -> tuple[Result, ...]:
        """The tensors of a list."""
        return tuple([r for value in values for r in self.sources([value], span)])

    def results(self, value: Bundle, span: Span) -> tuple[Result, ...]:
        """All parts of a node of several, else its value."""
        return value.outs if value.parts and value.outs else (self.result_of(value, span),)

    def one(self, value: Bundle, span: Span) -> Out | Poison:
        """The value of a node, which must be one tensor."""
        first = self.result_of(value, span)
        if isinstance(first, tuple):
            name = value.title or "list"
            raise fail("A207", f"here is {describe(first)}, and one is meant", span,
                       help=f"take one: `{name}[0]`; or join them: `{name} -> concat`")
        return first

    def result_of(self, value: Bundle, span: Span) -> Result:
        """The value of a node, which must not be one of several parts."""
        if value.parts and len(value.outs) > 1:
            name = value.title or "parts"
            raise fail(
                "A207", f"here are {len(value.outs)} parts, and one tensor is meant", span,
                notes=[f"`{o.type}`" for o in value.outs[:6] if isinstance(o, Out)],
                help=f"name them, `a, b = {name}(...)`, or take one: `{name}[0]`",
            )
        if not value.outs and value.items is not None:
            name = value.title or "name"
            raise fail("A207", f"`{name}` is named element by element, and one tensor is meant", span,
                       help=f"take one, `{name}[{min(value.items)}]`, or all as a list, `{name}[:]`")
        return value.first

    def read(self, value: ParamValue, span: Span) -> Out:
        """A weight read by name as a tensor: a node that owns nothing. Its axes have the roles of `learned`."""
        record = Learned(dims=value.shape)
        node_id = self.work.new_id(value.key)
        made = learned_type(value.shape, node_id).of(self.work.parameters[value.key].weight.dtype)
        self.work.add_node(Node(
            node_id, record.op, value.key.rpartition(".")[2], record, (), (made,), value.region, span,
            given={"": Given(key=value.key)}, path=value.path,
        ))
        return Out(Edge(node_id), made)


def _makes_data(value: Any) -> bool:
    """Whether this is an op that makes data from nothing."""
    return isinstance(value, OpValue) and isinstance(value.target, type) and value.target.inputs == ()
