"""Segment anything against transformers: points, boxes, masks and what is drawn from them."""

from __future__ import annotations

import peers
import pytest
import torch
from parity import Calling, counted, hold, quickly

import ogive
from ogive.compiler.cost import tree

SMALL = {"dim": 32, "depth": 8, "heads": 2, "window": 3, "width": 32, "size": 128}
PARAMS = {"B": 93_735_728, "L": 312_343_088, "H": 641_090_864}


def reference(s: dict[str, int]) -> torch.nn.Module:
    tf = peers.transformers()
    every = s["depth"] // 4
    vision = tf.SamVisionConfig(
        hidden_size=s["dim"], num_hidden_layers=s["depth"], num_attention_heads=s["heads"], mlp_dim=4 * s["dim"],
        image_size=s["size"], window_size=s["window"], output_channels=s["width"], num_pos_feats=s["width"] // 2,
        global_attn_indexes=list(range(every - 1, s["depth"], every)),
    )
    prompt = tf.SamPromptEncoderConfig(hidden_size=s["width"], image_size=s["size"])
    decoder = tf.SamMaskDecoderConfig(hidden_size=s["width"], iou_head_hidden_dim=s["width"])
    model = tf.SamModel(tf.SamConfig(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder, attn_implementation="eager"))
    model.shared_image_embedding.positional_embedding.requires_grad_(False)  # a buffer in the published code
    return model


def call(module: torch.nn.Module, image: torch.Tensor, points: torch.Tensor, labels: torch.Tensor,
         corners: torch.Tensor | None = None, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
    """One object per image. The reference answers with the first mask or with the other three."""
    found = [
        module(pixel_values=image, input_points=points[:, None], input_labels=labels[:, None], input_masks=mask,
               input_boxes=None if corners is None else corners.flatten(1)[:, None], multimask_output=several)
        for several in (False, True)
    ]
    return (torch.cat([out.pred_masks[:, 0] for out in found], 1),
            torch.cat([out.iou_scores[:, 0] for out in found], 1))


@pytest.mark.parametrize("given", quickly(["all", "points", "box", "mask"]))
def test_outputs_and_gradients(given: str) -> None:
    points = torch.tensor([[[20.0, 30.0], [100.0, 64.0], [0.0, 0.0]], [[5.0, 120.0], [70.0, 11.0], [33.0, 90.0]]])
    labels = torch.tensor([[1, 0, -1], [0, 1, 1]])
    corners = torch.tensor([[[10.0, 12.0], [60.0, 70.0]], [[0.0, 5.0], [127.0, 99.0]]])
    extra = {"corners": corners} if given in ("box", "all") else {}
    if given in ("mask", "all"):
        extra["mask"] = torch.randn(2, 1, 32, 32)

    def named(module: torch.nn.Module, *inputs: torch.Tensor) -> object:
        return module(*inputs[:3], **dict(zip(extra, inputs[3:], strict=True)))

    def theirs(module: torch.nn.Module, *inputs: torch.Tensor) -> object:
        return call(module, *inputs[:3], **dict(zip(extra, inputs[3:], strict=True)))

    network = ogive.load("sam", "SAM.B", **SMALL)
    ours = Calling(ogive.compile(network), named)
    hold(ours, Calling(reference(SMALL), theirs), 128, points, labels, *extra.values())


@pytest.mark.parametrize("preset", quickly(PARAMS))
def test_keys_shapes_and_cost(preset: str) -> None:
    network = ogive.load("sam", f"SAM.{preset}")
    with torch.device("meta"):
        ours = ogive.compile(network)
        theirs = reference({"masks": 4, **network.settings})
    mine, keys = ours.state_dict(), theirs.state_dict()
    assert {k: v.shape for k, v in mine.items()} == {k: v.shape for k, v in keys.items()}
    assert network.parameter_count == PARAMS[preset] == sum(p.numel() for p in theirs.parameters())


@pytest.mark.long
def test_what_the_image_encoder_costs() -> None:
    """As much as timm's, which is the encoder alone: 486.0 G at 1024."""
    rows = tree(ogive.load("sam", "SAM.B").graph, {"P": 1}).children
    encoder = next(row for row in rows if row.path == "vision_encoder")
    with torch.device("meta"):
        theirs = peers.create("samvit_base_patch16")
    assert encoder.params == sum(p.numel() for p in theirs.parameters())
    assert encoder.macs == counted(theirs, (1, 3, 1024, 1024))
    assert round(encoder.macs / 1e9, 1) == 486.0
