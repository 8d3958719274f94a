"""Checking a file: every network at every preset, every definition that none of them reaches, every claim."""

from __future__ import annotations

from dataclasses import dataclass, field

from ogive.dsl import syntax as s
from ogive.dsl.build import Built, build, names_of
from ogive.dsl.claims import Claim, check_claims
from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.dsl.load import Definition, Unit
from ogive.dsl.resolve import resolve
from ogive.dsl.work import Mistakes

__all__ = ["Report", "check"]


@dataclass(frozen=True, eq=False)
class Report:
    """What checking a file found: the networks that stand, the claims, the mistakes, and what to know besides."""

    unit: Unit
    built: dict[str, Built]
    claims: list[Claim]
    mistakes: tuple[Diagnostic, ...]
    unreached: list[str] = field(default_factory=list)
    """Networks that cannot be built without a setting: only their names were checked."""

    @property
    def ok(self) -> bool:
        return not self.mistakes


def check(unit: Unit, claims: bool = True) -> Report:
    """Check everything in a file; nothing is raised, every mistake stands in the report, one cause once."""
    mistakes = Mistakes()
    mistakes.add(*unit.mistakes)
    built: dict[str, Built] = {}
    for name in names_of(unit):
        try:
            built[name] = build(unit, name)
        except ArchError as error:
            mistakes.add(*error.diagnostics)
    for definition in unit.names.values():
        if definition is not None and definition.unit is unit:
            _lexical(definition, mistakes)
    found: list[Claim] = []
    if claims and not mistakes:
        for definition in unit.networks:
            found += check_claims(definition, built, mistakes)
    reachable = {name.partition(".")[0] for name in names_of(unit)}
    unreached = [d.name for d in unit.networks if d.name not in reachable]
    ordered = tuple(sorted(mistakes.found.values(), key=lambda d: d.order))
    return Report(unit, built, found, ordered, unreached)


def _lexical(definition: Definition, mistakes: Mistakes) -> None:
    """Names, ops and settings that are wrong whatever the sizes: met in blocks that no network uses, too."""
    if isinstance(definition.node, s.Network | s.Block):
        known = {(d.code, d.span) for d in mistakes.found.values()}
        for found in resolve(definition):
            if (found.code, found.span) not in known:
                mistakes.add(found)
