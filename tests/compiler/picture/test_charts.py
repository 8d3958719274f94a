"""Stage charts and receptive fields: their numbers, their pictures, and what is refused."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from door.command import ogive, refused

from ogive.compiler.picture.field import draw_field, field_page, seen
from ogive.compiler.picture.pattern_page import Area, Words, width_of
from ogive.compiler.picture.render import has_fonts, is_available
from ogive.compiler.picture.stages import draw_stages, stages, stages_page
from ogive.dsl.build import build
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph
from ogive.dsl.load import load_library

Make = Callable[[str], Graph]


def graph_of(file: str, name: str) -> Graph:
    return build(load_library(file), name).graph


@pytest.mark.parametrize(("file", "name", "grids"), [
    ("resnet", "ResNet.r34", [(224, 3), (112, 64), (56, 64), (28, 128), (14, 256), (7, 512), (0, 1000)]),
    ("swin", "Swin.T", [(224, 3), (56, 96), (28, 192), (14, 384), (7, 768), (0, 1000)]),
    ("unet", "UNet", [(224, 64), (112, 128), (56, 256), (28, 512), (14, 1024), (28, 512), (56, 256), (112, 128),
                      (224, 2)]),
    ("vit", "ViT.B", [(224, 3), (14, 768), (0, 1000)]),
])
def test_stages_as_the_lectures_show_them(file: str, name: str, grids: list[tuple[int, int]]) -> None:
    graph = graph_of(file, name)
    found = stages(graph)
    assert [(s.grid[0] if s.grid else 0, s.width) for s in found] == grids
    assert sum(s.macs for s in found) == graph.macs()
    assert sum(s.params for s in found) == graph.parameter_count
    assert len([n for s in found for n in s.nodes]) == len(graph)


@pytest.mark.parametrize(("file", "name"), [("detr", "DETR"), ("deit", "DeiTTi"), ("bert", "BERT.base")])
def test_stages_count_everything_once(file: str, name: str) -> None:
    graph = graph_of(file, name)
    sizes = {"N": 64} if "N" in graph.free else {}
    found = stages(graph, sizes)
    assert sum(s.macs for s in found) == graph.macs(sizes)
    assert sum(s.params for s in found) == graph.parameter_count
    assert len(found) <= 8
    assert all(a.grid != b.grid for a, b in pairwise(found))


@pytest.mark.parametrize(("file", "name"), [("resnet", "ResNet.r50"), ("unet", "UNet")])
def test_a_chart_has_nothing_outside_and_no_words_on_words(file: str, name: str) -> None:
    page = stages_page(graph_of(file, name))
    boxes = []
    for mark in page.marks:
        if isinstance(mark, Area):
            assert mark.x >= 0 and mark.x + mark.width <= page.width and 0 <= mark.y <= page.height - mark.height
        elif isinstance(mark, Words) and mark.text:
            wide = width_of(mark.text, mark.size, mark.bold)
            left = mark.x - {"start": 0, "middle": wide / 2, "end": wide}[mark.anchor]
            assert left >= 0 and left + wide <= page.width and mark.y < page.height, mark.text
            boxes.append((left, left + wide, mark.y - mark.size * 0.7, mark.y, mark.text))
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2], (a, b)


@pytest.mark.parametrize(("file", "name", "path", "field", "stride"), [
    ("resnet", "ResNet.r18", "layer4", 435, 32), ("resnet", "ResNet.r50", "layer4", 427, 32),
    ("vgg", "VGG.v16", "features", 212, 32), ("vit", "ViT.B", "patch_embed", 16, 16),
])
def test_fields_of_the_lectures(file: str, name: str, path: str, field: int, stride: int) -> None:
    found = seen(graph_of(file, name), path)
    assert found.size == (field, field) and found.stride == (stride, stride)
    assert all(b - a + 1 == field for a, b in zip(found.first, found.last, strict=True))


def test_where_a_field_lies() -> None:
    graph = graph_of("resnet", "ResNet.r18")
    assert seen(graph, "conv1", at=(0, 0)).first == (-3, -3)  # 7x7, pad 3
    assert seen(graph, "max_pool", at=(1, 2)).shown == ((0, 9), (3, 13))  # 4 i - 5 .. 4 i + 5
    assert seen(graph, "layer1", {"H": 96, "W": 128}, (3, 4)).shown == ((0, 33), (0, 37))
    patch = seen(graph_of("vit", "ViT.B"), "patch_embed", at=(2, 13))
    assert patch.shown == ((32, 47), (208, 223))
    whole = seen(graph_of("vit", "ViT.B"), "blocks.3")
    assert whole.whole and whole.size == (None, None)


@pytest.mark.long
@pytest.mark.parametrize(("file", "name", "path", "sizes"), [
    ("resnet", "ResNet.r18", "layer1", {"H": 96, "W": 128}),
    ("resnet", "ResNet.r50", "layer2.0.conv2", {"H": 96, "W": 96}),
    ("unet", "UNet", "enc.1.skip", {"H": 64, "W": 64}), ("mobilenet", "MobileNetV2", "features.3", {"H": 96, "W": 96}),
])
def test_a_field_is_where_gradients_reach(file: str, name: str, path: str, sizes: dict[str, int]) -> None:
    """The pixels with a gradient are those that are drawn, at three positions of the node."""
    import torch

    import ogive as door

    net = door.load(file, name)
    model = door.compile(net).double().eval()
    x = torch.rand(1, 3, sizes["H"], sizes["W"], dtype=torch.float64, requires_grad=True)
    value = door.features(model, x, [path])[path]
    h, w = value.shape[-2:]
    for at in ((0, 0), (h // 2, w // 2), (h - 1, w // 3)):
        (gradient,) = torch.autograd.grad(value[0, :, at[0], at[1]].sum(), x, retain_graph=True)
        rows, columns = (gradient[0].abs().sum(0).sum(axis).nonzero().flatten() for axis in (1, 0))
        reached = (int(rows.min()), int(rows.max())), (int(columns.min()), int(columns.max()))
        drawn = seen(net.graph, path, sizes, at).shown
        assert all(a <= c <= d <= b for (a, b), (c, d) in zip(drawn, reached, strict=True)), (drawn, reached)
        assert reached == drawn


def test_the_picture_of_a_field() -> None:
    graph = graph_of("resnet", "ResNet.r18")
    page = field_page(graph, "layer1")
    words = [mark.text for mark in page.marks if isinstance(mark, Words)]
    assert words[:3] == ["ResNet.r18: layer1", "field 43, stride 4", "position 28, 28 of 56 × 56"]
    areas = [mark for mark in page.marks if isinstance(mark, Area)]
    scale = areas[0].width / 224
    assert math.isclose(areas[1].width, 43 * scale) and math.isclose(areas[1].x, areas[0].x + 91 * scale)
    assert math.isclose(areas[2].x - areas[1].x, 4 * scale)
    whole = field_page(graph_of("vit", "ViT.B"), "blocks.3")
    assert "sees the whole input, stride 16" in [mark.text for mark in whole.marks if isinstance(mark, Words)]
    assert any("larger than the input" in m.text for m in field_page(graph, "layer4").marks if isinstance(m, Words))


def test_files(tmp_path: Path) -> None:
    graph = graph_of("unet", "UNet")
    suffixes = ["svg", "dot", *(["png"] if is_available() and has_fonts() else [])]
    for suffix in suffixes:
        draw_stages(graph, tmp_path / f"s.{suffix}")
        draw_field(graph, "middle", tmp_path / f"f.{suffix}", sizes={"H": 64, "W": 64})
    for name in ("s", "f"):
        assert ET.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")
        if "png" in suffixes:
            assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ogive("draw", "unet", "--stages", "-o", "s.svg").err == "wrote s.svg: the stages of UNet\n"
    answer = ogive("draw", "unet", "--field", "middle", "--at", "1,2", "--size", "H=64", "-o", "f.svg")
    assert answer.code == 0 and "of middle in UNet" in answer.err
    assert Path("s.svg").exists() and Path("f.svg").exists()


@pytest.mark.parametrize(("words", "title", "help"), [
    (("unet", "--field", "midle"), "`UNet` has no node or part `midle`", "did you mean `middle`?"),
    (("unet", "--field", "middle", "--at", "x"), "`--at x` is no position", "--at 3,5"),
    (("unet", "--field", "middle", "--at", "99,0"), "`middle` has no position 99, 0", "14×14"),
    (("unet", "--at", "1,1"), "`--at` is for receptive fields", "--field"),
    (("unet", "--stages", "--field", "middle"), "`--stages` is for drawings of another kind", "at a time"),
    (("unet", "--stages", "--depth", "2"), "`--depth` is for drawings of another kind", "at a time"),
    (("--stages",), "there is nothing to draw", "name a FILE"),
    (("unet", "--stages", "--size", "K=2"), "has no free size `K`", "H"),
    (("gpt2", "GPT2.small", "--stages"), "depend on `N`", "give it a size"),
    (("vit", "ViT.Ti", "--field", "cls_token"), "`cls_token` has no receptive field", "behind the image"),
])
def test_what_is_refused(
    words: tuple[str, ...], title: str, help: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(ogive("draw", *words, "-o", "x.svg"), 2, title, help)
    assert not list(tmp_path.iterdir())


def test_too_many_stages(tmp_path: Path, network: Make) -> None:
    ups = "".join("    max_pool(2x2)\n    upsample(2)\n" for _ in range(25))
    with pytest.raises(ArchError, match="A815"):
        draw_stages(network(f"network N:\n    input x: B 3 H=64 W=64\n{ups}"), tmp_path / "x.svg")
