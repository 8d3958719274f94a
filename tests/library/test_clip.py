"""CLIP's two towers against transformers: keys, numbers, gradients, cost, first weights."""

from __future__ import annotations

import peers
import pytest
import torch
from parity import Calling, hold, quickly

import ogive

SMALL = {"width": 32, "depth": 2, "heads": 4, "patch": 8, "size": 32, "text_width": 24, "text_depth": 2,
         "text_heads": 3, "vocab": 50, "length": 9, "shared_width": 16}
PARAMS = {"B32": 151_277_313, "B16": 149_620_737, "L14": 427_616_513, "L336": 427_944_193}


def reference(s: dict[str, int]) -> torch.nn.Module:
    tf = peers.transformers()
    vision = {"hidden_size": s["width"], "num_hidden_layers": s["depth"], "num_attention_heads": s["heads"],
              "intermediate_size": 4 * s["width"], "patch_size": s["patch"], "image_size": s["size"]}
    text = {"hidden_size": s["text_width"], "num_hidden_layers": s["text_depth"], "vocab_size": s["vocab"],
            "num_attention_heads": s["text_heads"], "intermediate_size": 4 * s["text_width"],
            "max_position_embeddings": s["length"], "eos_token_id": s["vocab"] - 1, "bos_token_id": 0}
    config = tf.CLIPConfig(vision_config=vision, text_config=text, projection_dim=s["shared_width"],
                           attn_implementation="eager")
    return tf.CLIPModel(config)


def call(module: torch.nn.Module, image: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
    out = module(pixel_values=image, input_ids=ids)
    return out.logits_per_image, out.image_embeds, out.text_embeds


def test_outputs_and_gradients() -> None:
    """Three texts and two images: texts end where the largest id stands, and what follows is not read."""
    ids = torch.tensor([[0, 7, 8, 49, 1, 1], [0, 3, 3, 3, 3, 49], [0, 49, 2, 2, 2, 2]])
    hold(ogive.compile(ogive.load("clip", "CLIP.B32", **SMALL)), Calling(reference(SMALL), call), 32, ids)


@pytest.mark.parametrize("preset", quickly(PARAMS))
def test_keys_shapes_and_cost(preset: str) -> None:
    network = ogive.load("clip", f"CLIP.{preset}")
    with torch.device("meta"):
        ours, theirs = ogive.compile(network).state_dict(), reference(network.settings).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert network.parameter_count == PARAMS[preset]


@pytest.mark.long
def test_first_weights() -> None:
    """Spreads of the first weights, which shrink with width and depth. torch's own reset of biases stays as it is."""
    torch.manual_seed(0)
    ours = ogive.compile(ogive.load("clip", "CLIP.B32", depth=2, text_depth=3)).state_dict()
    theirs = reference(dict(ogive.load("clip", "CLIP.B32", depth=2, text_depth=3).settings)).state_dict()
    for key, value in theirs.items():
        if value.dim() > 1 or key == "logit_scale":
            assert abs(ours[key].std(correction=0) - value.std(correction=0)) <= 0.02 * value.std(correction=0), key
    assert torch.equal(ours["logit_scale"], theirs["logit_scale"])
