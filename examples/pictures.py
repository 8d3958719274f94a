"""Pictures of results: images beside each other with words and boxes, as an SVG that needs nothing to be written."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from torch import Tensor

__all__ = ["Figure"]

GAP, LINE = 12, 18

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd")


def png(image: Tensor) -> bytes:
    """An image `H W` or `3 H W` in 0..1 as a PNG."""
    values = (image.clamp(0, 1) * 255).byte()
    colour = values if values.dim() == 3 else values.expand(3, *values.shape)
    rows = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in colour.permute(1, 2, 0))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", colour.shape[2], colour.shape[1], 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@dataclass
class Figure:
    """Rows of cells, each an image that is drawn `side` wide, a line of words, and boxes (x y w h, shares)."""

    side: int = 96
    parts: list[str] = field(default_factory=list)
    x: int = GAP
    y: int = GAP
    width: int = 0

    def cell(self, image: Tensor, words: str = "", boxes: list[tuple[list[float], str]] | None = None) -> None:
        """Add an image `H W` or `3 H W` in 0..1 to the row; its largest side is `side`."""
        scale = self.side / max(image.shape[-2:])
        height, width = (round(n * scale) for n in image.shape[-2:])
        data = b64encode(png(image)).decode()
        self.parts.append(
            f'<image x="{self.x}" y="{self.y}" width="{width}" height="{height}" style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/>')
        for i, ((cx, cy, w, h), name) in enumerate(boxes or []):
            left, top = self.x + (cx - w / 2) * width, self.y + (cy - h / 2) * height
            colour = COLOURS[i % len(COLOURS)]
            self.parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{w * width:.1f}" height="{h * height:.1f}" '
                              f'fill="none" stroke="{colour}" stroke-width="1.5"/>')
            self.parts.append(f'<text x="{left + 1:.1f}" y="{top - 2:.1f}" fill="{colour}">{escape(name)}</text>')
        self.parts.append(f'<text x="{self.x}" y="{self.y + self.side + LINE - 5}">{escape(words)}</text>')
        self.x += self.side + GAP
        self.width = max(self.width, self.x)

    def line(self, words: list[tuple[str, str]]) -> None:
        """Add a line of words, each with its colour, below what is there."""
        text = " ".join(f'<tspan fill="{colour}">{escape(word)}</tspan>' for word, colour in words)
        self.parts.append(f'<text x="{GAP}" y="{self.y + LINE - 5}" font-family="monospace">{text}</text>')
        self.y += LINE
        self.width = max(self.width, 2 * GAP + 7 * sum(len(word) + 1 for word, _ in words))

    def row(self) -> None:
        """Begin a new row."""
        self.x, self.y = GAP, self.y + self.side + LINE + GAP

    def save(self, path: Path) -> Path:
        """Write the picture."""
        height = self.y + (self.side + LINE + GAP if self.x > GAP else 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height}" '
            f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
            + "".join(self.parts) + "</svg>\n", encoding="utf-8")
        print(f"picture: {path}", flush=True)
        return path
