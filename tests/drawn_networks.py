"""The twelve networks whose pictures are looked at, and what Graphviz makes of a picture, measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from ogive.compiler.picture.render import run
from ogive.dsl.build import build
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_library

__all__ = ["TWELVE", "Measured", "graph_of", "measure"]

TWELVE: Final = {
    "vit": "ViT.B", "swin": "Swin.T", "resnet": "ResNet.r50", "unet": "UNet", "detr": "DETR", "inception": "GoogLeNet",
    "densenet": "DenseNet.d121", "bert": "BERT.base", "gpt2": "GPT2.small", "efficientnet": "EfficientNet.B0",
    "sam": "SAM.B", "lrnet": "LRNet.r50",
}
"""By the file of the library."""

Edges: TypeAlias = tuple[float, float, float, float]
"""Left, lower, right and upper edge, in points."""


@cache
def graph_of(file: str) -> Graph:
    """The graph of one of the twelve."""
    return build(load_library(file), TWELVE[file]).graph


@dataclass(frozen=True)
class Measured:
    """Boxes and frames by their names in the DOT text; `texts` are (box, words, edges) and `shapes` what is filled."""

    page: Edges
    boxes: dict[str, Edges]
    frames: dict[str, Edges]
    inside: dict[str, set[str]]
    texts: list[tuple[str, str, Edges]]
    shapes: dict[str, list[Edges]]
    labels: list[tuple[str, Edges]]


def measure(dot: str) -> Measured:
    """What stands where in the picture of a DOT text."""
    found = json.loads(run(dot, "json"))
    objects = found.get("objects", [])
    boxes: dict[str, Edges] = {}
    frames: dict[str, Edges] = {}
    inside: dict[str, set[str]] = {}
    texts: list[tuple[str, str, Edges]] = []
    shapes: dict[str, list[Edges]] = {}
    for thing in objects:
        name = thing["name"]
        if "pos" in thing and thing.get("shape") != "point":
            x, y = map(float, thing["pos"].split(","))
            w, h = float(thing["width"]) * 36, float(thing["height"]) * 36
            boxes[name] = (x - w, y - h, x + w, y + h)
            drawn = [*thing.get("_draw_", []), *thing.get("_ldraw_", [])]
            shapes[name] = [_around(op["points"]) for op in drawn if op["op"] in "PpbB"]
            rounds = [op["rect"] for op in drawn if op["op"] in "eE"]
            shapes[name] += [(x - w, y - h, x + w, y + h) for x, y, w, h in rounds]
            texts += [(name, words, edges) for words, edges in _texts(drawn)]
        elif name.startswith("cluster") and thing.get("style") != "invis" and thing.get("label"):
            frames[name] = tuple(map(float, thing["bb"].split(",")))
            inside[name] = {objects[i]["name"] for i in thing.get("nodes", [])}
    labels = [item for edge in found.get("edges", []) for item in _texts(edge.get("_ldraw_", []))]
    return Measured(tuple(map(float, found["bb"].split(","))), boxes, frames, inside, texts, shapes, labels)


def _around(points: list[list[float]]) -> Edges:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def _texts(drawn: list[dict[str, Any]]) -> list[tuple[str, Edges]]:
    size, found = 10.0, []
    for op in drawn:
        if op["op"] == "F":
            size = op["size"]
        elif op["op"] == "T" and op["text"].strip():
            x, y = op["pt"]
            left = x - {"l": 0.0, "c": 0.5, "r": 1.0}[op["align"]] * op["width"]
            found.append((op["text"], (left, y - 0.25 * size, left + op["width"], y + 0.75 * size)))
    return found
