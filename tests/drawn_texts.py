"""A small text to draw: a split in three, an attention, and a repeated block with a residual."""

from __future__ import annotations

__all__ = ["SMALL"]

SMALL = """
block Part(w):
    input x: B N C
    residual:
        a = linear(w)
        relu
        b = linear(C)

network N:
    input x: B T 8
    qkv = linear(24)
    split(3)
    attend(2)
    repeat 3 as blocks[i]:
        Part(16)
    end = linear(2)
"""
