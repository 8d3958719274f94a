"""`ogive draw`."""

__all__ = ["draw"]


def draw() -> None:
    """Not here yet."""
