"""Checking a file: every network at every preset, every definition that none of them reaches, every claim."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from ogive.dsl import syntax as s
from ogive.dsl.broken import Claim, broken
from ogive.dsl.budgets import Held, check_budgets, exceeded
from ogive.dsl.build import Built, build, names_of
from ogive.dsl.claims import caused, check_claims
from ogive.dsl.diagnostics import ArchError, Diagnostic, Label
from ogive.dsl.lints import lint
from ogive.dsl.load import Definition, Unit
from ogive.dsl.meter import exhausted, metered
from ogive.dsl.pattern_values import definition_of_pattern
from ogive.dsl.resolve import resolve
from ogive.dsl.values import Silent
from ogive.dsl.weight_maps import check_maps
from ogive.dsl.work import Mistakes

__all__ = ["Report", "check"]


@dataclass(frozen=True, eq=False)
class Report:
    """What checking a file found: the networks that stand, the claims, the mistakes, and what to know besides."""

    unit: Unit
    built: dict[str, Built]
    claims: list[Claim]
    budgets: list[Held]
    mistakes: tuple[Diagnostic, ...]
    unreached: list[str] = field(default_factory=list)
    """Networks that cannot be built without a setting: only their names were checked."""
    warnings: list[Diagnostic] = field(default_factory=list)
    """What builds and is hardly meant (`dsl/lints.py`); looked for where every network builds."""

    @property
    def ok(self) -> bool:
        return not self.mistakes


def check(unit: Unit, claims: bool = True) -> Report:
    """Check everything in a file; nothing is raised, every mistake stands in the report, one cause once."""
    mistakes = Mistakes()
    mistakes.add(*unit.mistakes)
    built: dict[str, Built] = {}
    names = list(dict.fromkeys(names_of(unit)))
    found: list[Claim] = []
    budgets: list[Held] = []
    with metered():
        runaway: set[str] = set()
        for name in names:
            network = name.partition(".")[0]
            if mistakes.full or exhausted():
                break
            if network in runaway:  # its presets run the same lines, and each takes its time to find out
                continue
            try:
                built[name] = build(unit, name)
            except ArchError as error:
                mistakes.add(*error.diagnostics)
                runaway |= {network} if any(d.code in ("A511", "A513") for d in error.diagnostics) else set()
        for definition in unit.names.values():
            if definition is not None and definition.unit is unit and not mistakes.full:
                _lexical(definition, mistakes)
        maps = [] if mistakes.full else list(check_maps(unit, built))
        if mistakes:
            mistakes.add(*maps)
        elif claims:
            for definition in unit.networks:
                found += check_claims(definition, built, mistakes)
                budgets += check_budgets(definition, built, mistakes)
    warnings = [] if mistakes else lint(unit, built)
    if claims:
        with metered():  # looking for causes has a count of its own, one for the whole file
            _broken(unit, found, built, mistakes)
    if not mistakes:  # else the weights are others because the network is
        mistakes.add(*maps)
    mistakes.add(*exceeded(budgets))
    reachable = {name.partition(".")[0] for name in names}
    unreached = [d.name for d in unit.networks if d.name not in reachable]
    ordered = tuple(sorted(mistakes.found.values(), key=lambda d: d.order))
    return Report(unit, built, found, budgets, ordered, unreached, warnings)


def _broken(unit: Unit, claims: list[Claim], built: dict[str, Built], mistakes: Mistakes) -> None:
    """Figures that do not hold; and where sizes do not agree, the place that a digest tells is the cause."""
    if not mistakes:
        for definition in unit.networks:
            own = [c for c in claims if c.network.partition(".")[0] == definition.name]
            mistakes.add(*broken(own, unit, built))
        return
    found = mistakes.found
    if any(not d.code.startswith(("A2", "A309", "A14")) for d in found.values()):
        return
    near = [span for d in found.values() for span in (d.span, *(x.span for x in d.labels)) if span is not None]
    for definition in unit.networks:
        changes = caused(definition, built, near)
        labels = tuple(Label(r.span, f"{r.words} every digest of `expect` holds") for r in changes)
        if labels:
            key, first = min(found.items(), key=lambda item: item[1].order)
            found[key] = replace(first, labels=(*first.labels, *labels))
            return


def _lexical(definition: Definition, mistakes: Mistakes) -> None:
    """Names, ops and settings that are wrong whatever the sizes: met in blocks that no network uses, too."""
    if isinstance(definition.node, s.Pattern):
        with suppress(Silent):
            mistakes.add(*definition_of_pattern(definition).check())
    elif isinstance(definition.node, s.Network | s.Block):
        mistakes.add(*resolve(definition))
