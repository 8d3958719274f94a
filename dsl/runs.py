"""Running a block: its parameters and ports are bound, its body is built under the key of the line that runs it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.apply import poisoned
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.inputs import Naming
from ogive.dsl.load import Definition
from ogive.dsl.lookup import unlisted
from ogive.dsl.names import Keys, Names
from ogive.dsl.params import Parametrised
from ogive.dsl.source import Span
from ogive.dsl.types import Axis, Role, Tensor
from ogive.dsl.values import (
    POISON,
    Bundle,
    Module,
    OpValue,
    Out,
    Poison,
    Result,
    Run,
    Setting,
    Silent,
    flat,
)
from ogive.dsl.when import ALWAYS, NEVER, Partial
from ogive.dsl.work import Body, Frame, Runaway

__all__ = ["Call", "Runs", "has_inputs", "split_at_input"]


@dataclass(slots=True)
class Call:
    """A run of a block: what is run on what, the line and the frame that it stands in, and where it is put."""

    definition: Definition
    settings: tuple[Setting, ...]
    preset: str | None
    inputs: Sequence[Result | Partial]
    line: s.Line
    frame: Frame
    path: str
    trail: tuple[str, ...]
    region: int
    shared: Module | None


class Runs(Parametrised):
    """Blocks, and networks as blocks."""

    @abstractmethod
    def suite(self, body: Sequence[s.Stmt], frame: Frame) -> None:
        """Run statements in order (`body.py`)."""

    def run(
        self, op: OpValue, inputs: Sequence[Result | Partial], naming: Naming, frame: Frame, line: s.Line
    ) -> Bundle | Poison:
        """Run a block: its body, with its ports bound to `inputs`."""
        definition, settings, preset = self.definition_of(op)
        node = definition.node
        assert isinstance(node, s.Network | s.Block)
        if poisoned(inputs, op):
            return POISON
        span = line.flow.span
        self._depth(definition, frame, span)
        shared = op.module
        path, claims = self._path(op, naming, frame, node.name)
        label = naming.label or (path.rsplit(".", 1)[-1] if naming.key is not None else "")
        trail = (*frame.body.trail, *self._steps(frame, label, op.name))
        own = "" if claims else path.rsplit(".", 1)[-1]
        region = self.work.open_region(frame.region, "block", own, path, node.name, line.span)
        if naming.key is not None and shared is None:
            self.work.open_scope(path, line.span, frame.body.shared is not None)
        if shared is not None:
            given = [x for r in inputs if not isinstance(r, Partial) for x in flat(r)]
            self.begin(shared, Run(span, tuple(x.type for x in given if isinstance(x, Out))))
        before = len(self.work.parameters)
        call = Call(definition, settings, preset, inputs, line, frame, path, trail, region, op.module)
        try:
            value = self.inside(call)
        except Silent:
            return POISON
        if claims and self.work.added(before, path):
            self.claim(frame, span, f"`{node.name}` has weights")
        if value is None:
            raise fail("A120", f"`{node.name}` has no result", node.name_span,
                       help="its last line, or `return`, is its result")
        if isinstance(value, Poison):
            return POISON
        value.title = label or node.name
        self.result(path, value)
        if shared is not None:
            self.finish(shared, value)
        return value

    def inside(self, call: Call) -> Bundle | Poison | None:
        """Build the body of a run: what it came to.

        Raises:
            Silent: something in it is reported already.
        """
        definition, around, span = call.definition, call.frame.body, call.line.flow.span
        node = definition.node
        assert isinstance(node, s.Network | s.Block)
        body = Body(
            definition.unit, call.trail, around.facts, (*around.chain, node), around.trail,
            call.shared or around.shared, (*around.calls, (node.name, span)),
        )
        inner = Frame(body, Names(), Keys(call.path + "." if call.path else ""), call.region)
        when = self.work.when
        try:
            self.bind_params(definition, call.settings, call.preset, inner, span)
            head, rest = split_at_input(node)
            self.suite(head, inner)
            self._ports(node, call.inputs, inner, span)
            self.suite(rest, inner)
            self.work.when = when  # what a call decided, and a side returned, meets here
            result = self._result(node, inner, call.line)
        finally:
            self.work.when = when
        if not isinstance(result, Bundle):
            return result
        if any(isinstance(x, Poison) for r in result.outs for x in flat(r)):
            return POISON
        return Bundle(result.outs, result.labels, result.parts and body.returned is None, inner.names)

    def _depth(self, definition: Definition, frame: Frame, span: Span) -> None:
        node = definition.node
        self.work.calls += 1
        if any(node is other for other in frame.body.chain):
            path = " > ".join([*(other.name for other in frame.body.chain), node.name])
            label = Label(node.name_span, "defined here")
            raise fail("A113", f"`{node.name}` uses itself: {path}", span, labels=[label],
                       help="a block cannot be its own part; `repeat` runs one several times")
        if len(frame.body.chain) > limits.CALL_DEPTH:
            raise fail("A512", f"blocks stand more than {limits.CALL_DEPTH} deep here", span,
                       help="a `repeat` runs a block several times, one behind the other")
        if self.work.calls > limits.CALLS:
            raise Runaway(fail("A512", f"more than {limits.CALLS:,} blocks run here", span))

    def _path(self, op: OpValue, naming: Naming, frame: Frame, name: str) -> tuple[str, bool]:
        """The key path of a run, and whether it takes the iteration's own key if it has weights."""
        if op.module is not None:
            return op.module.key, False
        if naming.key is not None:
            return naming.key, False
        if frame.keys.iteration:
            return frame.keys.prefix.removesuffix("."), True
        return frame.keys.under(name), True

    def _steps(self, frame: Frame, label: str, name: str) -> tuple[str, ...]:
        """The steps of the call path from one body to the next: iterations around, the label, the block's name."""
        steps: list[str] = []
        at: int | None = frame.region
        while at is not None:
            region = self.work.regions[at]
            if region.kind in ("block", "network"):
                break
            if region.kind == "iteration" and region.name:
                steps.append(region.path.rpartition(".")[0].rsplit(".", 1)[-1] + f"[{region.index}]")
            elif region.kind == "scope":
                steps.append(region.title)
            at = region.parent
        steps.reverse()
        return (*steps, *([label] if label and label != name else []), name)

    def _result(self, node: s.Network | s.Block, inner: Frame, line: s.Line) -> Bundle | Poison | None:
        """What the body came to: its `return`, or the flow after its last line; joined where calls choose."""
        result = inner.body.returned or inner.flow
        if not inner.body.pending or not isinstance(result, Bundle):
            return result
        returns = [*inner.body.pending, (ALWAYS, result)]
        first = returns[0][1]
        for _, other in returns[1:]:
            if len(other.outs) != len(first.outs) or other.labels != first.labels:
                same = len(other.outs) == len(first.outs)
                shown = [_names(x) if same else _results(x) for x in (first, other)]
                raise fail(
                    "A145", f"`{node.name}` returns {shown[0]} or {shown[1]}, as the call decides",
                    node.name_span, labels=[Label(line.flow.span, "run here")],
                    help="only the network that is called itself may return other results at each kind of call",
                )
        return self.joined(returns, f"the result of `{node.name}`", line.flow.span, inner)  # type: ignore[no-any-return]

    def result(self, path: str, value: Bundle) -> None:
        """What a key path stands for: `blocks.3`, `head`."""
        if isinstance(value.first, Out) and path:
            self.work.stands_for(path, value.first.edge)

    # ------------------------------------------------------------------------------------ ports
    def _ports(
        self, node: s.Network | s.Block, inputs: Sequence[Result | Partial], frame: Frame, span: Span
    ) -> None:
        ports = self.open_ports(node, frame)
        needed = sum(not port.optional for port in ports)
        if not needed <= len(inputs) <= len(ports):
            raise self._count(node, ports, inputs, frame, span)
        for port in ports[len(inputs) :]:
            frame.names.bind(port.name, Partial(None, NEVER, port.name, port.name_span, True), port.name_span, "input")
        late: list[tuple[s.Port, Out]] = []
        for port, given in zip(ports, inputs, strict=False):
            if port.optional and isinstance(given, Partial) and given.value is None:  # handed on, and not given here
                frame.names.bind(port.name, replace(given, name=port.name), port.name_span, "input")
                continue
            value = self._lifted(port, self._given_to(port, given, frame, span), frame, span)
            bundle = Bundle((value,), title=port.name)
            bound = unlisted(bundle)
            if port.optional:
                when = given.when if isinstance(given, Partial) else ALWAYS
                bound = Partial(bound, when, port.name, port.name_span, True)
            frame.names.bind(port.name, bound, port.name_span, "input")
            if frame.flow is None and not port.optional:
                frame.flow = bundle
            if port.is_list:
                self._fit_each(port, value, frame, span)
            elif isinstance(value, Out) and _one_row(port, value.type):
                late.append((port, value))
            else:
                self._fit(port, value, frame, span)
        for port, value in late:  # one row stands for the batch that the others show
            self._fit(port, Out(value.edge, self._in_batch(port, value.type, frame)), frame, span)

    def _lifted(self, port: s.Port, value: Result, frame: Frame, span: Span) -> Result:
        """Positions without a batch, `learned(n, C)`, where a batch of them is asked for: a batch of one."""
        dims = port.shape.dims
        bare = isinstance(value, Out) and value.type.roles == (Role.POSITION, Role.CHANNEL)
        if not bare or len(dims) != 3 or not isinstance(dims[0], s.NameDim):
            return value
        made = self.primitive("one_row", [value], (), frame, span)
        return made.first if isinstance(made, Bundle) else made

    def _in_batch(self, port: s.Port, given: Tensor, frame: Frame) -> Tensor:
        """The type that one row stands for, where the letter of its batch is known."""
        first = port.shape.dims[0]
        entry = frame.names.find(first.name) if isinstance(first, s.NameDim) else None
        if entry is None or entry.kind != "size" or isinstance(entry.value, Poison):
            return given
        return given.with_axis(0, Axis(Role.BATCH, entry.value))

    def open_ports(self, node: s.Network | s.Block, frame: Frame) -> list[s.Port]:
        """The inputs that a run has: those under an `if` on parameters when it holds.

        Raises:
            ArchError: A116 an input that must be given stands after one that a call may leave away.
        """
        ports: list[s.Port] = []
        todo = [x for x in node.body if isinstance(x, s.Input) or _of_inputs(x)]
        while todo:
            st = todo.pop(0)
            if isinstance(st, s.Input):
                ports += st.ports
            elif isinstance(st, s.If):
                for test, body in st.branches:
                    truth = True if test is None else self.truth(test, frame)
                    if isinstance(truth, Poison):
                        raise Silent
                    if truth:
                        todo[:0] = body
                        break
        maybe = next((port for port in ports if port.optional), None)
        for port in ports[ports.index(maybe) :] if maybe else ():
            if not port.optional and maybe is not None:
                raise fail("A116", f"`{port.name}` must be given, and stands after `{maybe.name}`, which need not",
                           port.span, labels=[Label(maybe.span, "may be left away")],
                           help="inputs that a call may leave away stand last")
        return ports

    def _given_to(self, port: s.Port, given: Result | Partial, frame: Frame, span: Span) -> Result:
        """The tensor that a port is given; one that not every call has goes to an optional port alone."""
        if not isinstance(given, Partial):
            return given
        if not port.optional:
            raise self.missing(given, span)
        return self.sources([given.value], span)[0]

    def _count(
        self, node: s.Network | s.Block, ports: list[s.Port], inputs: Sequence[Result | Partial], frame: Frame,
        span: Span,
    ) -> ArchError:
        names = ", ".join(p.name for p in ports)
        fewest = sum(not p.optional for p in ports)
        number = str(len(ports)) if fewest == len(ports) else f"{fewest} to {len(ports)}"
        takes = "no data" if not ports else f"{number} input{'s' if len(ports) > 1 else ''} ({names})"
        return fail(
            "A207", f"`{node.name}` takes {takes}; here {'are' if len(inputs) > 1 else 'is'} {len(inputs) or 'none'}",
            span, labels=[Label(ports[0].span.to(ports[-1].span), "its inputs")] if ports else [],
            notes=[*[_described(x) for x in inputs][:6], *self.call_trail(frame)],
            help=f"data stands left of the arrow: `{names} -> {node.name}(...)`" if ports else None,
        )

    def _fit_each(self, port: s.Port, value: Result, frame: Frame, span: Span) -> None:
        """A list: its annotation holds for each item. A letter that is one size in all of them is known below."""
        if not isinstance(value, tuple):
            raise fail("A140", f"`{port.name}` takes a list, and is given {_described(value)}", span,
                       labels=[Label(port.span, "a list")], notes=self.call_trail(frame),
                       help="a list stands in brackets: `[a, b] -> " + span.text.partition("(")[0].strip() + "`")
        found: list[Names] = []
        for item in value:
            inner = frame.inner(names=Names(frame.names))
            found.append(inner.names)
            self._fit(port, item, inner, span)
        for name, entry in found[0].table.items():
            if all(x.table[name].value == entry.value for x in found if name in x.table):
                frame.names.table[name] = entry

    def _fit(self, port: s.Port, value: Result, frame: Frame, span: Span) -> None:
        if isinstance(value, tuple):
            raise fail("A140", f"`{port.name}` takes one tensor, and is given {_described(value)}", span,
                       labels=[Label(port.span, f"a list is `{port.name}: [{port.shape.span.text}]`")],
                       notes=self.call_trail(frame), help="take one of them: `list[0]`")
        if isinstance(value, Poison):
            raise Silent
        try:
            self.promise(port.shape, value, frame, "A213")
        except ArchError as error:
            first = error.diagnostics[0]
            where = self.work.nodes[value.edge.node]
            raise fail(
                first.code, f"`{port.name}` is given `{value.type}`, and takes `{port.shape.span.text}`", span,
                labels=[Label(first.span or port.span, first.label)],
                notes=[f"it comes from line {where.span.line}", *self.call_trail(frame)], help=first.help,
            ) from None


def _one_row(port: s.Port, given: Tensor) -> bool:
    """Whether a batch of one is given where the file names the batch by a letter."""
    first = port.shape.dims[0] if port.shape.dims else None
    return isinstance(first, s.NameDim) and given.roles[:1] == (Role.BATCH,) and given.shape[0] == 1


def _names(value: Bundle) -> str:
    return ", ".join(f"`{label}`" for label in value.labels if label) or "results without names"


def _results(value: Bundle) -> str:
    names = [label for label in value.labels if label]
    return f"{len(value.outs)} result{'s' if len(value.outs) > 1 else ''}{f' ({chr(44).join(names)})' if names else ''}"


def _of_inputs(st: s.Stmt) -> bool:
    """An `if` that holds nothing but inputs: it stands at the head with them."""
    return isinstance(st, s.If) and all(
        body and all(isinstance(x, s.Input) or _of_inputs(x) for x in body) for _, body in st.branches
    )


def _described(value: Result | Partial) -> str:
    """An input in a few words."""
    if isinstance(value, tuple):
        return f"a list of {len(value)}: " + ", ".join(f"`{x.type}`" for x in flat(value)[:4] if isinstance(x, Out))
    return f"`{value.type}`" if isinstance(value, Out) else "a tensor"


def has_inputs(node: s.Network | s.Block) -> bool:
    """Whether a definition takes data."""
    return any(isinstance(x, s.Input) or _of_inputs(x) for x in node.body)


def split_at_input(node: s.Network | s.Block) -> tuple[list[s.Stmt], list[s.Stmt]]:
    """What stands above `input` (constants: a port may be pinned with them) and what stands below."""
    places = [i for i, x in enumerate(node.body) if isinstance(x, s.Input) or _of_inputs(x)]
    if not places:
        return [], list(node.body)
    rest: list[s.Stmt] = [x for x in node.body[places[0] :] if not isinstance(x, s.Input) and not _of_inputs(x)]
    return list(node.body[: places[0]]), rest
