"""`ogive draw --stages` and `--field`: charts of a network that are drawn over its input and its resolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ogive.commands.failure import tell
from ogive.commands.output import progress
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.network import Network

__all__ = ["draw_chart"]


def draw_chart(
    network: Network, output: str, field: str | None, at: str | None, sizes: Mapping[str, int]
) -> None:
    """Draw the receptive field of the node `field`; where it is None, the stages.

    Raises:
        ArchError: A803 `at` is no position; else as `draw_field` and `draw_stages`.
    """
    from ogive.pictures import draw_field, draw_stages

    if field is None:
        if at is not None:
            raise fail("A803", "`--at` is for receptive fields", help="as in `--field layer2 --at 3,5`")
        with progress(f"drawing {network.name}"):
            place = draw_stages(network, output, sizes=sizes)
        tell(f"wrote {place}: the stages of {network.name}")
        return
    position = None if at is None else _position(at)
    with progress(f"drawing {network.name}"):
        place = draw_field(network, field, output, sizes=sizes, at=position)
    tell(f"wrote {place}: the receptive field of {field} in {network.name}")


def _position(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        raise fail("A803", f"`--at {text}` is no position", help="as in `--at 3,5`, row and column from 0")
    return tuple(map(int, words))
