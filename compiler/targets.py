"""The devices a network can be compiled for."""

from __future__ import annotations

from typing import Final

from ogive.dsl.diagnostics import fail, offer

__all__ = ["TARGETS", "check_target"]

TARGETS: Final[dict[str, str]] = {
    "auto": "whatever device the weights are on",
    "cpu": "the processor, by torch's own kernels",
}
"""What a network can be compiled for, and what that means."""


def check_target(name: str) -> str:
    """`name`, when there is such a target.

    Raises:
        ArchError: A708, there is none of that name.
    """
    if name not in TARGETS:
        raise fail("A708", f"there is no target `{name}`", help=offer(name, TARGETS, "targets"))
    return name
