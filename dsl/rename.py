"""A name exchanged for another, everywhere it means the same thing: the text keeps its layout and its comments.

A text in canonical layout is in canonical layout afterwards; any other keeps every blank. A `digest` of `expect`
follows the keys; every other figure must still hold.

The new text is checked and must be the same network before anything is handed back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ogive.dsl import syntax as s
from ogive.dsl.alike import difference
from ogive.dsl.broken import Claim
from ogive.dsl.build import Built
from ogive.dsl.check import Report, check
from ogive.dsl.diagnostics import ArchError, Label, fail
from ogive.dsl.format import format_text
from ogive.dsl.load import Unit, load_changed
from ogive.dsl.names import RESERVED
from ogive.dsl.parse import parse
from ogive.dsl.rename_bindings import Binding, Places, Scope
from ogive.dsl.rename_look import Looked, look
from ogive.dsl.rename_maps import followed, looks_elsewhere
from ogive.dsl.rename_scopes import places
from ogive.dsl.source import Source, Span

__all__ = ["Renamed", "importers", "rename"]

@dataclass(frozen=True, slots=True)
class Renamed:
    """A renaming that stands: the text, what was renamed, where, and the keys of each network that change."""

    text: str
    kind: str
    address: str
    spans: tuple[Span, ...]
    keys: Mapping[str, Mapping[str, str]]
    definition: str
    """The definition that it is, or stands in: what another file may import."""


def rename(unit: Unit, old: str, new: str, root: str | None = None) -> Renamed:
    """`old` is a name, or one with what it stands in: `ViT.depth`, `Encoder.attn`, `node:ViT.norm`.

    Raises:
        ArchError: A816 no such name, or several; A817 the new one cannot be given; everything that is wrong with the
            file before or after.
    """
    before = check(unit)
    if before.mistakes:
        raise ArchError(before.mistakes)
    found = places(unit.file)
    binding = _chosen(found, old)
    _refuse(binding, new)
    spans = [*binding.spans, *_unsure(found, binding, look(unit, before.built))]
    spans = sorted(set(spans), key=lambda span: span.start)
    text = _exchanged(unit.source.text, binding, spans, new)
    if format_text(unit.source) == unit.source.text:
        text = format_text(Source(unit.source.name, text))
    report = check(load_changed(unit, text, root))
    follow = followed(report.unit, before.built, report.built)
    if follow != text:
        text = follow
        if format_text(unit.source) == unit.source.text:
            text = format_text(Source(unit.source.name, text))
        report = check(load_changed(unit, text, root))
    if any(_stale(claim) for claim in report.claims):
        text = _digested(text, report.claims)
        report = check(load_changed(unit, text, root))
    keys = _held(report, before.built, binding, new)
    top = binding.address.partition(".")[0]
    return Renamed(text, binding.kind, binding.address, tuple(spans), keys, top)


# ---------------------------------------------------------------------------------------------- what is meant
def _chosen(found: Places, old: str) -> Binding:
    kind, colon, path = old.rpartition(":")
    named = [b for b in found.bindings if not colon or b.kind == kind]
    exact = [b for b in named if b.address == path]
    fit = exact or [b for b in named if b.address.endswith("." + path)]
    if len(fit) == 1:
        return fit[0]
    if fit:
        labels = [Label(b.spans[0], f"`{_full(b, fit)}`") for b in fit[1:8]]
        raise fail("A816", f"`{old}` may be {len(fit)} names", fit[0].spans[0], label=f"`{_full(fit[0], fit)}`",
                   labels=labels, help="say which: " + ", ".join(f"`{_full(b, fit)}`" for b in fit[:8]))
    known = sorted({b.address for b in named} | {b.name for b in named})
    near = get_close_matches(path, known, 1)
    raise fail("A816", f"nothing in this file is called `{old}`",
               help=f"did you mean `{near[0]}`?" if near else "as in `depth`, `ViT.depth`, `node:ViT.norm`")


def _full(binding: Binding, among: list[Binding]) -> str:
    twins = [b for b in among if b.address == binding.address]
    return f"{binding.kind}:{binding.address}" if len(twins) > 1 else binding.address


def _refuse(binding: Binding, new: str) -> None:
    """Refuse a name that cannot be given here."""
    at = binding.spans[0]
    if not new.isidentifier() or not new.isascii():
        raise fail("A817", f"`{new}` is no name", at, help="a name is made of letters, digits and `_`")
    if new == binding.name:
        raise fail("A817", f"it is called `{new}` already", at, help="another name")
    if new in RESERVED:
        raise fail("A817", f"`{new}` is a word of the language and cannot be a name", at,
                   help=f"a word that says more, or `{new}_`")
    for other in _beside(binding, new):
        raise fail("A817", f"`{new}` has a meaning here already", other.spans[0], label=f"the {other.kind}",
                   labels=[Label(at, "this would get the same name")], help="another name, or rename that one first")


def _beside(binding: Binding, new: str) -> Iterable[Binding]:
    """What is called `new` where the binding is seen, or is seen where the binding stands."""
    if binding.kind in ("preset", "result"):
        own = binding.scope.presets if binding.kind == "preset" else binding.scope.results
        yield from [own[new]] if new in own else []
        return
    around: Scope | None = binding.scope
    while around is not None and (around.parent is not None or around is binding.scope):
        yield from [around.table[new]] if new in around.table else []
        around = around.parent
    if binding.scope.parent is not None:
        for scope in binding.scope.below():
            yield from [scope.table[new]] if new in scope.table else []


def _unsure(found: Places, binding: Binding, looked: Looked) -> list[Span]:
    """Places that building decides: settings of an op parameter, attributes of what is passed around."""
    spans: list[Span] = []
    lone = sum(b.kind == "result" and b.name == binding.name for b in found.bindings) == 1
    for attr in found.attributes:
        if attr.name != binding.name:
            continue
        if binding.kind == "result" and lone and attr.name_span in looked.results:
            spans.append(attr.name_span)
        elif binding.kind != "result" and attr.name_span in looked.read:
            spans += _all_or_none(attr.name_span, {x in binding.spans for x in looked.read[attr.name_span]}, binding)
    owner = binding.scope
    node = next((b.node for b in found.bindings if b.opens is owner and isinstance(b.node, s.Network | s.Block)), None)
    for call, arg in found.settings:
        if binding.kind == "parameter" and arg.name == binding.name:
            place = Span(arg.span.source, arg.span.start, arg.span.start + len(binding.name))
            called = looked.called.get(call.span)
            if called is None:
                raise _unclear(place, binding, "no network of this file reaches this line")
            spans += _all_or_none(place, {x == id(node) for x in called}, binding)
    return spans


def _all_or_none(span: Span, verdicts: set[bool], binding: Binding) -> list[Span]:
    if verdicts == {True, False}:
        raise _unclear(span, binding, "it means this in one run and something else in another")
    return [span] if True in verdicts else []


def _unclear(span: Span, binding: Binding, why: str) -> ArchError:
    return fail("A816", f"whether this is `{binding.address}` cannot be told", span, label=why,
                labels=[Label(binding.spans[0], "this is renamed")], help="change this line by hand first")


# ---------------------------------------------------------------------------------------------- the new text
def _exchanged(text: str, binding: Binding, spans: list[Span], new: str) -> str:
    for span in reversed(spans):
        word = new
        if isinstance(binding.node, s.ImportName) and span == binding.node.span:
            word = new if new == binding.node.name else f"{binding.node.name} as {new}"
        text = text[: span.start] + word + text[span.end :]
    return text


def _stale(claim: Claim) -> bool:
    return claim.figure == "digest" and not claim.holds


def _digested(text: str, claims: list[Claim]) -> str:
    """The text with the digests of its `expect` rows as they are now: keys are part of them."""
    for claim in sorted(filter(_stale, claims), key=lambda c: c.span.start, reverse=True):
        text = f'{text[: claim.span.start]}"{claim.actual}"{text[claim.span.end :]}'
    return text


def _held(report: Report, before: Mapping[str, Built], binding: Binding, new: str) -> dict[str, dict[str, str]]:
    """The keys that change in each network; refuse a text that is wrong or another network."""
    why, help = next((d.title for d in report.mistakes), None), "another name"
    pairs = list(zip(before.items(), report.built.items(), strict=False))
    if why is None and len(report.built) != len(before):
        why = "another number of networks"
    for (_, old), (name, made) in pairs if why is None else ():
        what = difference(old.graph, made.graph, keys=False)
        why = why or (None if what is None else f"`{name}` would be another network: {what}")
        lost = looks_elsewhere(old, made)
        why, help = (why, help) if lost is None or why else (lost, "a rule of its own keeps its key there")
    if why is not None:
        raise fail("A817", f"`{binding.address}` cannot be called `{new}`", binding.spans[0], notes=[why], help=help)
    keys: dict[str, dict[str, str]] = {}
    for (_, old), (name, made) in pairs:
        moved = zip(old.graph.parameters, made.graph.parameters, strict=True)
        keys[name] = {a: b for a, b in moved if a != b}
    return {name: changed for name, changed in keys.items() if changed}


def importers(unit: Unit, definition: str, files: Iterable[Path]) -> list[tuple[str, int]]:
    """The files among `files` that import a definition of this file, each with the line; unreadable ones are left."""
    found: list[tuple[str, int]] = []
    for path in files:
        if unit.path is None or path.resolve() == unit.path:
            continue
        try:
            tree = parse(Source(str(path), path.read_text(encoding="utf-8")))
        except (ArchError, OSError, UnicodeDecodeError):
            continue
        for statement in tree.imports:
            folder = path.resolve().parent
            for _ in range(statement.dots - 1):
                folder = folder.parent
            target = folder.joinpath(*statement.module).with_suffix(".arch")
            if statement.dots and target == unit.path and any(n.name == definition for n in statement.names):
                found.append((os.path.relpath(path), statement.span.line))
    return found
