"""A picture file as the input of a network: held against the sizes that the network takes, never resized."""

from __future__ import annotations

import os
import warnings
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ogive.compiler.cost import sizes_of
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.dims import evaluate, symbols
from ogive.dsl.graph import Graph, Node

__all__ = ["read_image"]

MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels -> what the picture is converted to."""


def read_image(path: str, graph: Graph) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The picture as `1 C H W`, float32 in 0..1, no mean or deviation taken off.

    Raises:
        ArchError: A807, the file is no picture, or the network takes none; A808, the picture is of a wrong size.
    """
    node = _port(graph)
    channels = evaluate(node.outputs[0].axes[1].size, {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                _check_size(path, _turned(file), node, graph)
                image = ImageOps.exif_transpose(file).convert(MODES[channels])
    except ArchError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise fail("A807", f"`{path}` has more points than any picture should", help="make it smaller") from None
    except UnidentifiedImageError:
        raise fail("A807", f"`{path}` is no picture that can be read", help="a PNG or JPEG file") from None
    except (OSError, ValueError, SyntaxError) as error:
        what = "it is a folder" if os.path.isdir(path) else getattr(error, "strerror", None) or f"damaged ({error})"
        raise fail("A807", f"cannot read `{path}`: {what.lower()}") from None
    values = np.asarray(image, dtype=np.float32).reshape(image.height, image.width, channels) / np.float32(255)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def _port(graph: Graph) -> Node:
    """The one input, when it is an image."""
    ports = [graph.nodes[name] for name in graph.inputs]
    if len(ports) != 1:
        names = ", ".join(f"`{p.name}`" for p in ports)
        raise fail("A807", f"`{graph.name}` takes {len(ports)} inputs, {names}: one picture does not fill them",
                   help="`--input random` fills them all")
    tensor = ports[0].outputs[0]
    if tensor.layout != "image" or tensor.rank != 4 or tensor.dtype != "float" or tensor.channels not in MODES:
        raise fail("A807", f"`{graph.name}` takes `{ports[0].name}: {tensor}`, which is no picture", ports[0].span,
                   help="`--input random`")
    return ports[0]


def _turned(image: Image.Image) -> tuple[int, int]:
    """Height and width as the picture is looked at: cameras write how it is turned beside it."""
    width, height = image.size
    return (width, height) if image.getexif().get(0x0112, 1) in {5, 6, 7, 8} else (height, width)


def _check_size(path: str, size: tuple[int, int], node: Node, graph: Graph) -> None:
    axes = node.outputs[0].axes[2:]
    values = {"B": 1}
    for axis, n in zip(axes, size, strict=True):
        for name in symbols(axis.size):
            values.setdefault(name, n)
    shown = f"`{path}` is {size[0]} high and {size[1]} wide"
    wanted = tuple(evaluate(axis.size, values) for axis in axes)
    if wanted != size:
        high, wide = wanted
        raise fail(
            "A808", f"{shown}, `{graph.name}` takes {high} x {wide}", node.span, label=f"`{node.outputs[0]}`",
            help=f"crop or resize it to {high} x {wide}, or set another size of the network where it has one",
        )
    try:
        sizes_of(graph, {name: n for name, n in values.items() if name in graph.free})
    except ArchError as error:
        guard = error.diagnostics[0]
        raise fail(
            "A808", f"{shown}, which does not fit `{graph.name}`", guard.span, label=guard.label,
            help="crop or resize it so that this holds",
        ) from None
