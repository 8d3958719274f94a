"""Networks without a public reference that read or write maps, each against its paper written out in torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import ogive

State = dict[str, torch.Tensor]


def compiled(*key: str, **settings: object) -> torch.nn.Module:
    """In float64, with biases and norms that are not those of the start."""
    torch.manual_seed(0)
    module = ogive.compile(ogive.load(*key, **settings)).double().eval()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("running_mean") or (tensor.dim() == 1 and name.endswith("bias")):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.8, 1.2)
    return module


def unit(x: torch.Tensor, state: State, key: str, transpose: bool = False, **more: int) -> torch.Tensor:
    """Convolution, batch norm, relu."""
    convolve = F.conv_transpose2d if transpose else F.conv2d
    return activated(convolve(x, state[f"{key}.conv.weight"], state[f"{key}.conv.bias"], padding=1), state, f"{key}.bn")


def activated(x: torch.Tensor, state: State, key: str) -> torch.Tensor:
    mean, var, weight, bias = (state[f"{key}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias).relu()


def mirrored(state: State, x: torch.Tensor, middle: bool) -> torch.Tensor:
    """SegNet, or with a `middle` DeconvNet: what each unpooling is fed with is what its own pooling found."""
    counts, found = [2, 2, 3, 3, 3], []
    for s, count in enumerate(counts):
        for j in range(count):
            x = unit(x, state, f"enc.{s}.convs.{j}")
        size = x.shape
        x, places = F.max_pool2d(x, 2, return_indices=True)
        found.append((places, size))
    if middle:
        for convolve, name, norm in (
            (F.conv2d, "fc6", "bn6"), (F.conv2d, "fc7", "bn7"), (F.conv_transpose2d, "deconv6", "bn8"),
        ):
            x = activated(convolve(x, state[f"{name}.weight"], state[f"{name}.bias"]), state, norm)
    for t, count in enumerate(reversed(counts)):
        places, size = found[4 - t]
        x = F.max_unpool2d(x, places, 2, output_size=size)
        for j in range(count):
            x = unit(x, state, f"dec.{t}.convs.{j}", transpose=middle)
    return F.conv2d(x, state["head.weight"], state["head.bias"], padding=0)


def test_segnet() -> None:
    """On an image that no level divides: the unpooling knows the size."""
    module = compiled("segnet", "SegNet", widths=[4, 6, 8, 10, 12])
    image = torch.randn(2, 3, 45, 58, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.allclose(module(image), mirrored(module.state_dict(), image, False), rtol=1e-9, atol=1e-11)


def test_deconvnet() -> None:
    module = compiled("segnet", "DeconvNet", widths=[4, 6, 8, 10, 12], hidden=16)
    image = torch.randn(1, 3, 224, 256, dtype=torch.float64)
    with torch.inference_mode():
        answer = module(image)
        assert answer.shape == (1, 21, 224, 256)
        assert torch.allclose(answer, mirrored(module.state_dict(), image, True), rtol=1e-9, atol=1e-11)


def test_the_weights_of_deconvnet() -> None:
    """251,770,880 without norms and without the classifier, by formula."""
    network = ogive.load("segnet", "DeconvNet")
    with torch.device("meta"):
        module = ogive.compile(network)
    norms = sum(p.numel() for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters())
    head = sum(p.numel() for p in module.get_submodule("head").parameters())
    assert network.parameter_count - norms - head == 251_770_880


@pytest.mark.parametrize(
    ("boxes", "background", "channels"), [(2, False, 30), (3, False, 35), (3, True, 36)]
)
def test_the_channels_of_yolo(boxes: int, background: bool, channels: int) -> None:
    """7 x 7 cells of 5 numbers for each box and one for each of 20 classes: 30 for two boxes, 35 for three, one more
    where the background is a class."""
    network = ogive.load("yolo", "YOLOv1", boxes=boxes, background=background)
    with torch.device("meta"):
        assert ogive.compile(network)(torch.empty(2, 3, 448, 448)).shape == (2, channels, 7, 7)


def test_a_cell_of_yolo() -> None:
    """What the last layer says stands together cell by cell, row by row; in the answer it is the channels."""
    module = ogive.compile(ogive.load("yolo", "YOLOv1", grid=2)).eval()
    image = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        said, answer = ogive.features(module, image, ["detect"])["detect"], module(image)
    assert answer.shape == (1, 30, 2, 2)
    for row in range(2):
        for col in range(2):
            cell = row * 2 + col
            assert torch.equal(answer[0, :, row, col], said[0, 30 * cell : 30 * cell + 30])


@pytest.mark.parametrize(("preset", "wide"), [("paper", 512 * 4), ("released", 64 * 4)])
def test_what_passes_through_in_yolo_9000(preset: str, wide: int) -> None:
    """The map of 26 x 26 joins that of 13 x 13 with 4 times its channels; each cell has 5 boxes of 5 + 20 numbers."""
    network = ogive.load("yolo", f"YOLOv2.{preset}")
    with torch.device("meta"):
        module = ogive.compile(network)
        answers = ogive.features(module, torch.empty(1, 3, 416, 416), ["through", "late", "fuse"])
        assert module(torch.empty(1, 3, 416, 416)).shape == (1, 13 * 13 * 5, 25)
    assert answers["through"].shape == (1, wide, 13, 13)
    assert module.get_parameter("fuse.conv.weight").shape == (1024, wide + 1024, 3, 3)


def test_fast_rcnn_on_one_region_is_vgg() -> None:
    """A region whose 14 x 14 cells fall into 7 x 7 bins of four: what VGG-16's last pooling does."""
    torch.manual_seed(0)
    ours = ogive.compile(ogive.load("rcnn", "FastRCNN", hidden=32, classes=5)).eval()
    vgg = ogive.compile(ogive.load("vgg", "VGG.v16", hidden=32, classes=5)).eval()
    state = ours.state_dict()
    names = {"fc6": "classifier.0", "fc7": "classifier.3", "cls_score": "classifier.6"}
    taken = {names.get(k.split(".")[0], k.rpartition(".")[0]) + "." + k.split(".")[-1]: v for k, v in state.items()}
    vgg.load_state_dict({k: v for k, v in taken.items() if not k.startswith("bbox_pred")}, strict=True)
    image = torch.randn(1, 3, 224, 224)
    whole = torch.tensor([[[0.0, 0.0, 208.0, 208.0]]])
    with torch.inference_mode():
        answer = ours(image, whole)
        assert answer["boxes"].shape == (1, 20)
        assert torch.allclose(answer["classes"], vgg(image), rtol=1e-4, atol=1e-6)


def test_rcnn_looks_at_each_region_by_itself() -> None:
    """Two regions of an image, warped: the same as AlexNet on the two crops."""
    torch.manual_seed(0)
    with torch.device("meta"):
        module = ogive.compile(ogive.load("rcnn", "RCNN"))
        answer = module(torch.empty(2, 3, 300, 400), torch.empty(2, 3, 4))
    assert answer["classes"].shape == (6, 21) and answer["boxes"].shape == (6, 84)
    text = "network N:\n    input x: B 3 H W, r: B K 4\n    x, r -> roi_align(8, strides=1, samples=1)\n"
    image = torch.randn(1, 3, 40, 50)
    boxes = torch.tensor([[[4.0, 6.0, 12.0, 14.0], [0.0, 0.0, 16.0, 32.0]]])
    crops = ogive.compile(ogive.loads(text, "N"))(image, boxes)
    cells = torch.arange(8) + 0.5  # samples lie in the middles of cells, of 4 x 2 pixels in the second region
    assert torch.allclose(crops[1], bilinear(image[0], 4 * cells, 2 * cells), atol=1e-5)
    assert torch.allclose(crops[0], bilinear(image[0], cells + 6, cells + 4), atol=1e-5)


def bilinear(image: torch.Tensor, rows: torch.Tensor, cols: torch.Tensor) -> torch.Tensor:
    """The image at these rows and columns, whole numbers being the middles of pixels."""
    r, c = rows.floor().long(), cols.floor().long()
    y, x = (rows - r)[:, None], (cols - c)[None]
    top = image[:, r][:, :, c] * (1 - x) + image[:, r][:, :, c + 1] * x
    low = image[:, r + 1][:, :, c] * (1 - x) + image[:, r + 1][:, :, c + 1] * x
    return top * (1 - y) + low * y


def test_the_classifier_of_vgg_as_convolutions() -> None:
    """fc6 as 7x7, fc7 and fc8 as 1x1: on a larger image the numbers of the crops one by one, at a stride of 32.

    What the crops share is computed once. Padding makes the borders of a crop other than its surroundings, so the
    crops here are of the map in front of the classifier.
    """
    small = ogive.load("vgg", "VGG.v11", hidden=32, classes=5)
    crops = ogive.compile(small).eval()
    slide = ogive.compile(ogive.load("vgg", "VGG.v11", hidden=32, classes=5, sliding=True)).eval()
    shapes = {k: v.shape for k, v in slide.state_dict().items()}
    slide.load_state_dict({k: v.view(shapes[k]) for k, v in crops.state_dict().items()}, strict=True)
    image = torch.randn(1, 3, 224 + 32, 224 + 64)
    with torch.inference_mode():
        answer = slide(image)
        assert answer.shape == (1, 5, 2, 3)
        maps = ogive.features(slide, image, ["features"])["features"]
        for i in range(2):
            for j in range(3):
                window = maps[:, :, i : i + 7, j : j + 7].flatten(1)
                for k in ("0", "3", "6"):
                    window = crops.get_submodule(f"classifier.{k}")(window)
                    window = window.relu() if k != "6" else window
                assert torch.allclose(answer[:, :, i, j], window, rtol=1e-4, atol=1e-6)


def test_what_sliding_saves() -> None:
    """At 448 x 448 an 8 x 8 grid of answers costs a 14th of 64 crops; on one crop it costs the same."""
    crop, slide = (ogive.load("vgg", "VGG.v16", sliding=s) for s in (False, True))
    assert slide.macs(H=224, W=224) == crop.macs(H=224, W=224)
    assert 64 * crop.macs(H=224, W=224) / slide.macs(H=448, W=448) > 14
