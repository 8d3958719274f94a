"""Masked autoencoders against transformers: what is hidden, shuffled, put back and painted."""

from __future__ import annotations

import importlib

import peers
import pytest
import torch
from parity import Calling, hold, quickly

import ogive

SMALL = {"dim": 32, "depth": 2, "heads": 4, "patch": 8, "size": 32, "decoder_dim": 16, "decoder_depth": 1,
         "decoder_heads": 2}
THEIRS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
          "patch_size": 8, "image_size": 32, "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1,
          "decoder_num_attention_heads": 2, "decoder_intermediate_size": 64}
PARAMS = {"B": 111_907_840, "L": 329_541_888, "H": 657_074_508}


def reference(**settings: int) -> torch.nn.Module:
    tf = peers.transformers()
    return tf.ViTMAEForPreTraining(tf.ViTMAEConfig(**settings, attn_implementation="eager"))


def test_outputs_and_gradients() -> None:
    ours = Calling(ogive.compile(ogive.load("mae", "MAE.B", **SMALL)), lambda m, x, noise: m(x, noise)["logits"])
    theirs = Calling(reference(**THEIRS), lambda m, x, noise: m(x, noise=noise).logits)
    hold(ours, theirs, 32, torch.rand(2, 16))


def test_what_is_hidden() -> None:
    """The same noise hides the same patches; without it they are drawn anew."""
    ours, theirs = ogive.compile(ogive.load("mae", "MAE.B", **SMALL)), reference(**THEIRS)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    image, noise = torch.randn(2, 3, 32, 32), torch.rand(2, 16)
    with torch.inference_mode():
        mine, answer = ours(image, noise), theirs(image, noise=noise)
        assert torch.equal(mine["mask"], answer.mask.bool())
        assert torch.equal(mine["restore"], answer.ids_restore)
        assert mine["mask"].sum(1).tolist() == [12, 12]
        drawn = {tuple(ours(image)["mask"].flatten().tolist()) for _ in range(6)}
    assert len(drawn) > 1


def test_hidden_patches_are_not_seen() -> None:
    """What lies under the mask changes nothing; a patch that is left does."""
    module = ogive.compile(ogive.load("mae", "MAE.B", **SMALL)).eval()
    image, noise = torch.randn(1, 3, 32, 32), torch.arange(16).flip(0)[None] / 16
    with torch.inference_mode():
        before = module(image, noise)
        assert before["mask"][0].tolist() == [True] * 12 + [False] * 4  # the last four have the smallest numbers
        covered, seen = image.clone(), image.clone()
        covered[..., :8, :8] += 1
        seen[..., 24:, 24:] += 1
        assert torch.equal(module(covered, noise)["logits"], before["logits"])
        assert not torch.allclose(module(seen, noise)["logits"], before["logits"], atol=1e-4)


@pytest.mark.parametrize("preset", quickly(PARAMS))
def test_keys_shapes_and_cost(preset: str) -> None:
    network = ogive.load("mae", f"MAE.{preset}")
    dim, depth, heads, patch = (network.settings[k] for k in ("dim", "depth", "heads", "patch"))
    with torch.device("meta"):
        ours = ogive.compile(network).state_dict()
        theirs = reference(hidden_size=dim, num_hidden_layers=depth, num_attention_heads=heads,
                           intermediate_size=4 * dim, patch_size=patch).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert network.parameter_count == PARAMS[preset]


def test_positions_are_fixed() -> None:
    """The sine and cosine code of the reference, columns in front of rows as published weights have it, not trained."""
    code = importlib.import_module(peers.transformers().ViTMAEModel.__module__).build_2d_sinusoidal_position_embedding
    ours = ogive.compile(ogive.load("mae", "MAE.B", **SMALL))
    for key, width in (("vit.embeddings.position_embeddings", 32), ("decoder.decoder_pos_embed", 16)):
        rows, cols = code(height=4, width=4, embed_dim=width, cls_token=True).chunk(2, -1)
        assert torch.allclose(ours.get_parameter(key)[0], torch.cat([cols, rows], -1).float(), atol=1e-6), key
        assert not ours.get_parameter(key).requires_grad
