"""What the library holds: its networks, their sizes and costs, and the papers they are from. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ogive.compiler.cost import macs
from ogive.dsl import syntax as s
from ogive.dsl.build import Built, build, names_of
from ogive.dsl.claims import FIGURES, claims_of, pinned
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import Definition, Unit
from ogive.dsl.weight_maps import maps_of

__all__ = ["Entry", "Variant", "catalogue", "paper_of"]

NAME: Final = r"[A-Z][\w'-]+"
PAPER: Final = re.compile(rf"({NAME}(?: et al\.| and {NAME})?,? (?:19|20)\d\d)(?:, (arXiv:\d{{4}}\.\d{{4,5}}))?")


@dataclass(frozen=True)
class Variant:
    """A network at one preset. `at` are the sizes its multiply-adds are taken at, where its `expect` names them."""

    name: str
    params: int
    macs: int | None
    at: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "params": self.params, "macs": self.macs, "at": self.at}


@dataclass(frozen=True)
class Entry:
    """A network of the library. `maps` are the checkpoints it can read; `about` is its doc comment."""

    file: str
    network: str
    presets: tuple[str, ...]
    about: str
    paper: str
    maps: tuple[str, ...]
    variants: tuple[Variant, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file, "network": self.network, "presets": list(self.presets), "about": self.about,
            "paper": self.paper, "maps": list(self.maps), "variants": [v.as_json() for v in self.variants],
        }


def catalogue(file: str, unit: Unit) -> Iterator[Entry]:
    """The networks of one file, in order."""
    names = names_of(unit)
    for definition in unit.networks:
        own = [name for name in names if name.partition(".")[0] == definition.name]
        doc = definition.node.doc.strip()
        yield Entry(
            file, definition.name, tuple(name.partition(".")[2] for name in own if "." in name),
            doc.split("\n")[0], paper_of(definition), tuple(maps_of(definition)),
            tuple(_variant(definition, build(unit, name)) for name in own),
        )


def paper_of(definition: Definition) -> str:
    """The first paper that the comment above a network names: `Dosovitskiy et al. 2020, arXiv:2010.11929`; else the
    first that its file names."""
    docs = [definition.node.doc, *(other.doc for other in definition.unit.file.definitions)]
    found = next(filter(None, (PAPER.search(doc.replace("\n", " ")) for doc in docs)), None)
    return ", ".join(filter(None, found.groups())) if found else ""


def _variant(definition: Definition, built: Built) -> Variant:
    sizes, at = _sizes(definition, built)
    try:
        cost: int | None = macs(built.graph, sizes)
    except ArchError:  # a size without a default, or 224 does not fit
        cost = None
    return Variant(built.name, built.graph.parameter_count, cost, at if cost is not None else "")


def _sizes(definition: Definition, built: Built) -> tuple[dict[str, int], str]:
    """The sizes that the row of `expect` for this preset pins, and how it writes them."""
    preset = built.name.partition(".")[2].strip('"') or None
    sizes: dict[str, int] = {}
    words: list[str] = []
    for table in claims_of(definition):
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=False) if row.name == preset else ():
                if column.name not in FIGURES and not isinstance(cell, s.DefaultCell) and column.name not in words:
                    sizes.update(pinned(column, cell, built.graph))
                    words += [column.name, cell.span.text]
    return sizes, ", ".join(f"{name} {text}" for name, text in zip(words[::2], words[1::2], strict=True))
