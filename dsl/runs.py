"""Running a block: its parameters and ports are bound, its body is built under the key of the line that runs it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.apply import Naming, poisoned
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.load import Definition
from ogive.dsl.names import Keys, Names
from ogive.dsl.params import Parametrised
from ogive.dsl.source import Span
from ogive.dsl.values import POISON, Bundle, OpValue, Out, Poison, Run, Silent
from ogive.dsl.work import Body, Frame

__all__ = ["Runs", "split_at_input"]


class Runs(Parametrised):
    """Blocks, and networks as blocks."""

    @abstractmethod
    def suite(self, body: Sequence[s.Stmt], frame: Frame) -> None:
        """Run statements in order (`body.py`)."""

    def run(
        self, op: OpValue, inputs: list[Out | Poison], naming: Naming, frame: Frame, line: s.Line
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
        body = Body(
            definition.unit, trail, frame.body.facts, (*frame.body.chain, definition.node), frame.body.trail,
            shared or frame.body.shared,
        )
        own = "" if claims else path.rsplit(".", 1)[-1]
        region = self.work.open_region(frame.region, "block", own, path, node.name, line.span)
        if naming.key is not None and shared is None:
            self.work.open_scope(path, line.span, frame.body.shared is not None)
        if shared is not None:
            self.begin(shared, Run(span, tuple(x.type for x in inputs if isinstance(x, Out))))
        inner = Frame(body, Names(), Keys(path + "." if path else ""), region)
        before = len(self.work.parameters)
        try:
            self.bind_params(definition, settings, preset, inner, span)
            head, rest = split_at_input(node)
            self.suite(head, inner)
            self._ports(node, inputs, inner, span)
            self.suite(rest, inner)
        except Silent:
            return POISON
        if claims and len(self.work.parameters) > before:
            self.claim(frame, span, f"`{node.name}` has weights")
        value = self._outcome(node, inner, path, label or node.name)
        if shared is not None and isinstance(value, Bundle):
            self.finish(shared, value)
        return value

    def _depth(self, definition: Definition, frame: Frame, span: Span) -> None:
        node = definition.node
        self.work.calls += 1
        if any(node is other for other in frame.body.chain):
            path = " > ".join([*(other.name for other in frame.body.chain), node.name])
            label = Label(node.name_span, "defined here")
            raise fail("A113", f"`{node.name}` uses itself: {path}", span, labels=[label],
                       help="a block cannot be its own part; `repeat` runs one several times")
        if len(frame.body.chain) > limits.CALL_DEPTH:
            raise fail("A512", f"blocks stand more than {limits.CALL_DEPTH} deep here", span)
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

    def _outcome(self, node: s.Network | s.Block, inner: Frame, path: str, title: str) -> Bundle | Poison:
        result = inner.body.returned or inner.flow
        if result is None:
            raise fail("A120", f"`{node.name}` has no result", node.name_span,
                       help="its last line, or `return`, is its result")
        if isinstance(result, Poison) or any(isinstance(x, Poison) for x in result.outs):
            return POISON
        parts = result.parts and inner.body.returned is None
        made = Bundle(result.outs, result.labels, parts, inner.names, title=title)
        self.result(path, made)
        return made

    def result(self, path: str, value: Bundle) -> None:
        """What a key path stands for: `blocks.3`, `head`."""
        if isinstance(value.first, Out) and path:
            self.work.results[path] = value.first.edge

    # ------------------------------------------------------------------------------------ ports
    def _ports(self, node: s.Network | s.Block, inputs: list[Out | Poison], frame: Frame, span: Span) -> None:
        ports = [p for x in node.body if isinstance(x, s.Input) for p in x.ports]
        for port in ports:
            self.refuse_port(port)
        if len(ports) != len(inputs):
            raise self._count(node, ports, inputs, frame, span)
        for port, value in zip(ports, inputs, strict=True):
            assert isinstance(value, Out)
            frame.names.bind(port.name, Bundle((value,), title=port.name), port.name_span, "input")
            self._fit(port, value, frame, span)
        if ports:
            frame.flow = frame.names.table[ports[0].name].value

    def _count(
        self, node: s.Network | s.Block, ports: list[s.Port], inputs: list[Out | Poison], frame: Frame, span: Span
    ) -> ArchError:
        names = ", ".join(p.name for p in ports)
        takes = "no data" if not ports else f"{len(ports)} input{'s' if len(ports) > 1 else ''} ({names})"
        return fail(
            "A207", f"`{node.name}` takes {takes}; here {'are' if len(inputs) > 1 else 'is'} {len(inputs) or 'none'}",
            span, labels=[Label(ports[0].span.to(ports[-1].span), "its inputs")] if ports else [],
            notes=[*[f"`{x.type}`" for x in inputs if isinstance(x, Out)][:6], *self.call_trail(frame)],
            help=f"data stands left of the arrow: `{names} -> {node.name}(...)`" if ports else None,
        )

    def _fit(self, port: s.Port, value: Out, frame: Frame, span: Span) -> None:
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


def split_at_input(node: s.Network | s.Block) -> tuple[list[s.Stmt], list[s.Stmt]]:
    """What stands above `input` (constants: a port may be pinned with them) and what stands below."""
    places = [i for i, x in enumerate(node.body) if isinstance(x, s.Input)]
    if not places:
        return [], list(node.body)
    rest: list[s.Stmt] = [x for x in node.body[places[0] :] if not isinstance(x, s.Input)]
    return list(node.body[: places[0]]), rest
