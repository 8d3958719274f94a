"""The cost of a network summed over its ops, or over its block definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from ogive.compiler.cost.tree import SUMS, Row, leaves

__all__ = ["grouped"]


def grouped(whole: Row, by: Literal["op", "block"] | str) -> list[Row]:
    """One row for each op, or for each block definition with all that is in it. `nodes` counts how often it runs."""
    found: dict[str, Row] = {}
    for row, runs in leaves(whole) if by == "op" else _blocks(whole):
        name = row.op if by == "op" else row.text
        if by == "op" and not name:
            continue
        have = found.get(name) or Row(name, "", name, "", 0, 0, 0, kind=by)
        sums = {what: getattr(have, what) + runs * getattr(row, what) for what in SUMS if what != "nodes"}
        spent = None if row.seconds is None else (have.seconds or 0.0) + runs * row.seconds
        found[name] = replace(
            have, **sums, nodes=have.nodes + runs * min(row.nodes, 1), live=max(have.live, row.live), seconds=spent,
        )
    return list(found.values())


def _blocks(row: Row, runs: int = 1) -> Iterator[tuple[Row, int]]:
    """The runs of blocks, those inside others too."""
    runs *= row.times
    if row.kind != "node" and row.text:
        yield row, runs
    for child in row.children:
        yield from _blocks(child, runs)
