"""Every `.arch` of library/ and examples/ through everything: text, check, claims, drawing, running, training."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import pytest
import torch

import ogive
from ogive.compiler.picture import arrange, to_svg
from ogive.dsl.build import names_of
from ogive.dsl.check import Report, check
from ogive.dsl.dims import evaluate
from ogive.dsl.format import format_text
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_file
from ogive.dsl.parse import parse
from ogive.dsl.source import Source

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("library/**/*.arch"), *ROOT.glob("examples/**/*.arch")])
LARGE = {
    "ViT.H", "ViT.L", "ResNet.r152", "ResNet.r101", "MLPMixer.L16", "Transformer.big", "LRNet.r50", "MViT.B",
    "MViTv2.S", "MViTv2.B", "MViTv2.L", "Swin.S", "Swin.B", "Swin.L", "Swin.B384", "Swin.L384", "SwinV2.T",
    "SwinV2.S", "SwinV2.B", "SwinV2.T16", "SwinV2.S16", "SwinV2.B16", "SwinV2.L16", "Dense", "Strided", "Axial",
    "ShowAttendTell", "ResMLP.r12", "ResMLP.r24", "GMLP.S", "CycleMLP.B2", "CycleMLP.B3", "HybridViT.S", "DeiTS",
    "DistilledDeiT.S", "MixerAsConvolutions.S16", "Local", "Windowed", "Dilated", "Blockwise", "BigBird",
    "RandomBlocks", "Nystrom", "Performer", "Latent",
}
"""Built whole on the meta device only, as are those with more than 40 million parameters; the tests beside this one
hold them, or smaller ones, to their references."""


UNTRAINED = {
    "DINO": ("teacher.",),
    "SAM": ("prompt_encoder.mask_embed.", "prompt_encoder.point_embed.2", "prompt_encoder.point_embed.3"),
}
"""Keys that get no gradient: behind `stop_gradient`, or of inputs that may be left away."""


HEAVY = {"LRNet.r26", "RegNetY.Y4G", "MViTv2.T", "DenseNet.d121", "SAM.B", "UNet"}
"""Those with quick tests of their own that take seconds here."""

SIDES = {"InceptionV3": 75, "DeconvNet": 224}
"""Those that take no image of 64 x 64."""


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def report(path: Path) -> Report:
    return check(load_file(path))


NETWORKS = [
    pytest.param(path, name, id=f"{short(path)}-{name}", marks=[pytest.mark.long] if i or name in HEAVY else [])
    for path in FILES for i, name in enumerate(names_of(load_file(path)))
]
"""Of each file the first network, unless it is heavy; the others in the long suite."""

DRAWN = [x if x.marks or not i % 3 else pytest.param(*x.values, id=x.id, marks=[pytest.mark.long])
         for i, x in enumerate(NETWORKS)]
"""Every third of those is drawn on every run: the gallery of the docs draws each file too, for docs/generate.py."""


def test_there_are_files() -> None:
    assert {"library/vit.arch", "library/std/timm.arch", "examples/01_digits.arch"} <= {short(f) for f in FILES}


@pytest.mark.parametrize("path", FILES, ids=short)
def test_text(path: Path) -> None:
    """Formatted as `ogive fmt` formats, which does not change what it says."""
    text = path.read_text(encoding="utf-8")
    assert format_text(Source(short(path), text)) == text
    assert parse(Source("a", format_text(Source("b", text)))) == parse(Source("c", text))


@pytest.mark.parametrize("path", FILES, ids=short)
def test_check_and_claims(path: Path) -> None:
    found = report(path)
    assert found.ok, "\n".join(m.render() for m in found.mistakes)
    assert all(claim.holds for claim in found.claims)
    assert not found.unreached


@pytest.mark.parametrize(("path", "name"), DRAWN)
def test_drawing(path: Path, name: str) -> None:
    graph = report(path).built[name].graph
    assert ET.fromstring(to_svg(graph)).tag.endswith("svg")
    assert sum(box.kind != "entry" for box in arrange(graph).boxes()) < 120


@pytest.mark.parametrize(("path", "name"), NETWORKS)
def test_forward_and_backward(path: Path, name: str) -> None:
    """The shapes that the checker promises come out, and every weight that is trained gets a gradient."""
    network = ogive.load(str(path), name)
    device = "meta" if name in LARGE or network.parameter_count > 40_000_000 else "cpu"
    with torch.device(device):
        module = ogive.compile(network).train()
        side = SIDES.get(name, 64)
        sizes = {"B": 2, "H": side, "W": side, "K": 3, "N": 5, "M": 7, "P": 3, "S": 3, "T": 4}
        graph = training(network)
        inputs = [given(graph.nodes[i].outputs[0], sizes) for i in graph.inputs]
        outputs = module(*inputs)
    found = list(outputs.values()) if isinstance(outputs, dict) else [outputs] if torch.is_tensor(outputs) else outputs
    for tensor, (_, edge) in zip(found, graph.outputs, strict=True):
        assert tuple(tensor.shape) == tuple(evaluated(graph.tensor(edge).shape, sizes))
    sum(t.square().mean() for t in found if t.is_floating_point()).backward()
    for key, p in module.named_parameters():
        if not p.requires_grad or key.startswith(UNTRAINED.get(name.split(".")[0], ("-",))):
            assert p.grad is None
            continue
        assert p.grad is not None and p.grad.shape == p.shape, key
        assert device == "meta" or torch.isfinite(p.grad).all(), key


def training(network: ogive.network.Network) -> Graph:
    """What a call in training runs that leaves away what it may."""
    found = (graph for case, graph in network.cases if all(on == (flag == "training") for flag, on in case.items()))
    return next(found, network.graph)


def given(tensor: object, sizes: dict[str, int]) -> torch.Tensor:
    shape = evaluated(tensor.shape, sizes)  # type: ignore[attr-defined]
    if tensor.dtype == "float":  # type: ignore[attr-defined]
        return torch.randn(*shape)
    return torch.zeros(*shape, dtype=torch.bool if tensor.dtype == "bool" else torch.long)  # type: ignore[attr-defined]


def evaluated(shape: tuple[object, ...], sizes: dict[str, int]) -> list[int]:
    return [evaluate(n, sizes) for n in shape]  # type: ignore[arg-type]
