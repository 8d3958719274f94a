"""Dense prediction and detection against torchvision and transformers: keys, numbers, gradients, cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
import pytest
import torch
from parity import Calling, close, hold, hold_first_weights, quickly, stirred
from safetensors.torch import load_file, save_file

import ogive

Tensors = tuple[torch.Tensor, ...]


def detection(name: str, norm: Callable[..., torch.nn.Module], **settings: Any) -> torch.nn.Module:
    """torchvision's detector of this name on a ResNet-50 without trained weights, with this norm in the backbone."""
    models = peers.torchvision().models
    resnet = models.resnet50(weights=None, norm_layer=norm)
    utils, parts = models.detection.backbone_utils, models.detection
    if name == "fcos":
        extra = peers.torchvision().ops.feature_pyramid_network.LastLevelP6P7(256, 256)
        backbone = utils._resnet_fpn_extractor(resnet, 5, returned_layers=[2, 3, 4], extra_blocks=extra)
        return parts.FCOS(backbone, 91, **settings)
    return getattr(parts, name)(utils._resnet_fpn_extractor(resnet, 5), 91, **settings)


def regions(model: torch.nn.Module, image: torch.Tensor, *boxes: torch.Tensor) -> Tensors:
    """The parts of torchvision's R-CNN in the order of ours: boxes come in, nothing is ranked or suppressed."""
    flatten = peers.torchvision().models.detection.rpn.concat_box_prediction_layers
    maps, sizes = model.backbone(image), [tuple(image.shape[2:])] * len(image)
    objectness, deltas = (x.view(len(image), -1, x.shape[-1]) for x in flatten(*model.rpn.head(list(maps.values()))))
    heads = model.roi_heads
    scores, moved = heads.box_predictor(heads.box_head(heads.box_roi_pool(maps, list(boxes[0]), sizes)))
    answers = (scores, moved, objectness, deltas)
    if len(boxes) == 1:
        return answers
    return (*answers, heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(maps, list(boxes[1]), sizes))))


def some_boxes(batch: int, count: int, side: int) -> torch.Tensor:
    """Of all sizes, from a few pixels to the image: every level of the pyramid is asked."""
    corner = torch.rand(batch, count, 2) * side / 2
    size = torch.rand(batch, count, 2) ** 3 * (side / 2 - 4) + 4
    return torch.cat([corner, corner + size], dim=-1)


@pytest.mark.long
@pytest.mark.parametrize("name", ["FasterRCNN", "MaskRCNN"])
def test_rcnn(name: str) -> None:
    """On an image that is wide enough for every level of the pyramid."""
    model = Calling(detection(name, peers.torchvision().ops.misc.FrozenBatchNorm2d), regions)
    boxes = [some_boxes(1, 8, 512) for _ in range(2 if name == "MaskRCNN" else 1)]
    hold(ogive.compile(ogive.load("rcnn", name)), model, torch.randn(1, 3, 512, 512), *boxes)


@pytest.mark.parametrize(("preset", "name"), [("faster", "FasterRCNN"), ("mask", "MaskRCNN")])
@pytest.mark.parametrize("norm", ["BatchNorm2d", "FrozenBatchNorm2d"])
def test_rcnn_keys(preset: str, name: str, norm: str) -> None:
    """Whether the backbone is trained or stands still."""
    frozen = norm == "FrozenBatchNorm2d"
    with torch.device("meta"):
        ours = ogive.compile(ogive.load("rcnn", name if frozen else f"PyramidRCNN.{preset}"))
        theirs = detection(name, peers.torchvision().ops.misc.FrozenBatchNorm2d if frozen else torch.nn.BatchNorm2d)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert {k for k, _ in ours.named_parameters()} == {k for k, _ in theirs.named_parameters()}


def levels(model: torch.nn.Module, image: torch.Tensor) -> Tensors:
    """FCOS before its answers are decoded."""
    answers = model.head(list(model.backbone(image).values()))
    return answers["cls_logits"], answers["bbox_regression"], answers["bbox_ctrness"]


@pytest.mark.long
def test_fcos() -> None:
    model = Calling(detection("fcos", peers.torchvision().ops.misc.FrozenBatchNorm2d), levels)
    hold(ogive.compile(ogive.load("fcos", "FCOS")), model, 96, batch=1)


def test_fcos_starts_at_a_probability_of_one_in_a_hundred() -> None:
    bias = ogive.compile(ogive.load("fcos", "FCOS")).get_parameter("head.classification_head.cls_logits.bias")
    assert torch.allclose(bias.sigmoid(), torch.full((91,), 0.01))


@pytest.mark.long
@pytest.mark.parametrize("preset", ["plain", "aux"])
def test_fcn(preset: str) -> None:
    aux = preset == "aux"
    theirs = peers.create("torchvision.fcn_resnet50", weights_backbone=None, aux_loss=aux)
    hold(ogive.compile(ogive.load("fcn", f"FCN.{preset}")), theirs, 72, batch=1)


DRAWN = {
    "fcos FCOS": lambda: detection("fcos", peers.torchvision().ops.misc.FrozenBatchNorm2d),
    "rcnn FasterRCNN": lambda: detection("FasterRCNN", peers.torchvision().ops.misc.FrozenBatchNorm2d),
    "rcnn MaskRCNN": lambda: detection("MaskRCNN", peers.torchvision().ops.misc.FrozenBatchNorm2d),
    "fcn FCN.aux": lambda: peers.create("torchvision.fcn_resnet50", weights_backbone=None, aux_loss=True),
}


@pytest.mark.parametrize("name", quickly(DRAWN))
def test_first_weights(name: str) -> None:
    """Those of the backbone, the pyramid and the heads. torch's own reset of one bias is zeros here."""
    but = r"conv5_mask\.bias$" if name.endswith("MaskRCNN") else "^$"
    hold_first_weights(lambda: ogive.compile(ogive.load(*name.split())), DRAWN[name], but=but)


def published(theirs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of transformers' DETR under the names, and in the pieces, of the published code."""
    named: dict[str, torch.Tensor] = {}
    for key, tensor in theirs.items():
        for pattern, name in NAMES.items():
            key = re.sub(pattern, name, key)
        named[key] = tensor
    for key in [key for key in named if ".q_proj." in key]:
        whole = torch.cat([named.pop(key.replace("q_proj", f"{part}_proj")) for part in "qkv"])
        named[key.replace("q_proj.", "in_proj_")] = whole
    return named


NAMES = {
    r"^model\.backbone\.model\.": "backbone.0.body.",
    r"^model\.(encoder|decoder)\.": r"transformer.\1.",
    r"^model\.query_position_embeddings": "query_embed",
    r"^model\.input_projection": "input_proj",
    r"decoder\.layernorm": "decoder.norm",
    r"(self_attn|encoder_attn)\.o_proj": r"\1.out_proj",
    r"self_attn_layer_norm": "norm1",
    r"encoder_attn_layer_norm": "norm2",
    r"(encoder\.layers\.\d)\.final_layer_norm": r"\1.norm2",
    r"(decoder\.layers\.\d)\.final_layer_norm": r"\1.norm3",
    r"encoder_attn\.": "multihead_attn.",
    r"mlp\.fc": "linear",
    r"^class_labels_classifier": "class_embed",
    r"^bbox_predictor": "bbox_embed",
}


def test_detr(tmp_path: Path) -> None:
    """A file of the published code: each weight finds its place, and its way back; classes and boxes are those of
    transformers, in float64."""
    hf = peers.transformers()
    peers.timm()
    config = hf.DetrConfig(use_timm_backbone=True, backbone="resnet50", use_pretrained_backbone=False, num_labels=91)
    theirs = stirred(hf.DetrForObjectDetection(config).double().eval())
    network = ogive.load("detr", "DETR")
    ours, plan = ogive.compile(network).double().eval(), network.weight_map("facebook")
    files = tmp_path / "published.safetensors", tmp_path / "back.safetensors"
    save_file(published(theirs.state_dict()), files[0])
    ogive.load_weights(ours, files[0], plan)
    image = torch.randn(1, 3, 96, 160, dtype=torch.float64)
    with torch.inference_mode():
        mine, reference = ours(image), theirs(pixel_values=image)
    close(mine["pred_logits"], reference.logits, 1e-6)
    close(mine["pred_boxes"], reference.pred_boxes, 1e-6)
    ogive.save_weights(ours, files[1], plan)
    there, back = (load_file(path) for path in files)
    assert set(back) == set(there) and all(torch.equal(back[key], there[key]) for key in there)
