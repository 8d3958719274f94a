"""What a compiled network was made of, kept to draw it: shared by copies, left behind where the module is written."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from ogive.compiler.picture import to_svg
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph

__all__ = ["Drawn"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A checked graph, or nothing after a way through a file."""

    graph: Graph | None

    def svg(self) -> str | None:
        """The picture; None where there is nothing to draw, or nothing to draw with."""
        with contextlib.suppress(ArchError):
            return None if self.graph is None else to_svg(self.graph)
        return None

    def __deepcopy__(self, memo: dict[int, Any]) -> Drawn:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Drawn, (None,)
