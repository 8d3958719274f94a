"""What the hostile texts are made with."""

from __future__ import annotations

__all__ = ["net"]


def net(body: str, head: str = "input x: B 8 H W", above: str = "") -> str:
    """A network with this body."""
    lines = "\n".join("    " + line if line else "" for line in body.split("\n"))
    return f"{above}network N:\n    {head}\n{lines}\n"
