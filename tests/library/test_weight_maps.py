"""Maps of weights, each held against its reference: read through the map the answers are the same, and written back
the reference takes them."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import peers
import pytest
import torch
from parity import close, several, stirred
from safetensors.torch import load_file, save_file

import ogive
from ogive.compiler.export.weight_maps import depart
from ogive.dsl.load import library_names, load_library

IDS = torch.tensor([[2, 7, 49, 3, 3, 11], [5, 6, 8, 30, 1, 1]])
SEGMENT = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
IMAGE = torch.randn(2, 3, 64, 64, dtype=torch.float64)
LARGE = torch.randn(1, 3, 224, 224, dtype=torch.float64)  # windows of 7 divide 56, 28, 14 and 7 places
TEXT = {"dim": 32, "depth": 2, "heads": 4, "vocab": 50, "length": 20, "drop": 0.0}


def hf_vit() -> torch.nn.Module:
    tf = peers.transformers()
    return tf.ViTForImageClassification(tf.ViTConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=192, image_size=64, num_labels=10,
        layer_norm_eps=1e-6, attn_implementation="eager",
    ))


def bert(kind: str) -> torch.nn.Module:
    tf = peers.transformers()
    return getattr(tf, kind)(tf.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, vocab_size=50,
        max_position_embeddings=20, attn_implementation="eager",
    ))


def gpt2() -> torch.nn.Module:
    tf = peers.transformers()
    return tf.GPT2LMHeadModel(tf.GPT2Config(
        n_embd=32, n_layer=2, n_head=4, vocab_size=50, n_positions=20, bos_token_id=0, eos_token_id=0,
        attn_implementation="eager",
    ))


def vit() -> torch.nn.Module:
    return peers.torchvision().models.VisionTransformer(64, 16, 2, 3, 48, 192, num_classes=10)


def swin() -> torch.nn.Module:
    return peers.torchvision().models.SwinTransformer(
        [4, 4], 16, [2, 2, 2, 2], [1, 2, 4, 8], [7, 7], stochastic_depth_prob=0.0, num_classes=10)


def detr() -> torch.nn.Module:
    tf = peers.transformers()
    peers.timm()
    return tf.DetrForObjectDetection(tf.DetrConfig(
        use_timm_backbone=True, backbone="resnet50", use_pretrained_backbone=False, num_labels=5, num_queries=7,
        d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=64, decoder_layers=2,
        decoder_attention_heads=4, decoder_ffn_dim=64, attn_implementation="eager",
    ))


Call = Callable[[Any], Any]
VIT = {"dim": 48, "depth": 2, "heads": 3, "size": 64, "classes": 10}
DETR = {"dim": 32, "heads": 4, "hidden": 64, "encoders": 2, "decoders": 2, "queries": 7, "classes": 5, "drop": 0.0}
SWIN = {"depths": [2, 2, 2, 2], "heads": [1, 2, 4, 8], "dim": 16, "classes": 10, "path": 0.0}
CASES: dict[str, tuple[str, dict[str, Any], Callable[[], torch.nn.Module], Call, tuple[torch.Tensor, ...]]] = {
    "vit torchvision": ("ViT.Ti", VIT, vit, lambda m: m(IMAGE), (IMAGE,)),
    "vit hf": ("ViT.Ti", VIT, hf_vit, lambda m: m(IMAGE).logits, (IMAGE,)),
    "swin torchvision": ("Swin.T", SWIN, swin, lambda m: m(LARGE), (LARGE,)),
    "gpt2 hf": ("GPT2.small", TEXT, gpt2, lambda m: m(IDS).logits, (IDS,)),
    "gpt2 openai": ("GPT2.small", TEXT, gpt2, lambda m: m(IDS).logits, (IDS,)),
    "detr hf": ("DETR", DETR, detr, lambda m: itemgetter("logits", "pred_boxes")(m(pixel_values=IMAGE)), (IMAGE,)),
    "bert hf": (
        "PretrainedBERT.base", TEXT, lambda: bert("BertForPreTraining"),
        lambda m: m(IDS, token_type_ids=SEGMENT).to_tuple(), (IDS, SEGMENT),
    ),
}


def written(case: str, module: torch.nn.Module, folder: Path) -> Path:
    """The reference's weights as a file that it would publish, and of OpenAI's as they lie at Hugging Face."""
    if hasattr(module, "save_pretrained"):
        module.save_pretrained(folder)
    else:
        state = {key: tensor.contiguous() for key, tensor in module.state_dict().items()}
        save_file(state, folder / "model.safetensors")
    path = folder / "model.safetensors"
    if case == "gpt2 openai":
        state = {key.removeprefix("transformer."): tensor for key, tensor in load_file(path).items()}
        save_file({**state, "h.0.attn.bias": torch.ones(1, 1, 20, 20)}, path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case: str, tmp_path: Path) -> None:
    """A file of the reference, loaded by the map, gives its answers; saved by it, the reference takes the file."""
    file, _, name = case.partition(" ")
    preset, settings, make, call, inputs = CASES[case]
    theirs = stirred(make().double().eval())
    network = ogive.load(file, preset, **settings)
    plan = network.weight_map(name)
    model = ogive.compile(network).double().eval()
    ogive.load_weights(model, written(case, theirs, tmp_path), plan)
    with torch.inference_mode():
        for mine, reference in zip(several(model(*inputs)), several(call(theirs)), strict=True):
            close(mine, reference, 1e-6)
    back = ogive.save_weights(model, tmp_path / "back.safetensors", plan)
    fresh = load_file(tmp_path / "model.safetensors")
    kept = {key: tensor for key, tensor in load_file(back).items()}
    skipped = {key for key in fresh if plan.skipped(key)}
    assert set(kept) == set(fresh) - skipped
    assert all(torch.equal(kept[key], fresh[key]) for key in kept)


def test_every_weight_is_a_rule_of_its_own() -> None:
    """Each map of the library names keys that others have: no weight is left with ours by accident."""
    for file in library_names():
        unit = load_library(file)
        for node in unit.file.weights:
            assert len({rule.theirs for rule in node.rules}) == len(node.rules), (file, node.name)


def test_second_names(tmp_path: Path) -> None:
    """BERT's head lists the table of words again: taken when it is equal, and refused when it is not."""
    network = ogive.load("bert", "MaskedBERT.base", **TEXT)
    plan = network.weight_map("hf")
    model = ogive.compile(network)
    state = depart(plan, model.state_dict())
    assert state["cls.predictions.decoder.weight"] is state["bert.embeddings.word_embeddings.weight"]
    path = ogive.save_weights(model, tmp_path / "a.safetensors", plan)
    assert "cls.predictions.decoder.weight" not in load_file(path)
    apart = {key: tensor.clone() for key, tensor in state.items()}
    save_file(apart, path)
    ogive.load_weights(model, path, plan)
    first = apart.pop("bert.embeddings.word_embeddings.weight")
    save_file(apart, path)
    ogive.load_weights(model, path, plan)
    save_file({**apart, "bert.embeddings.word_embeddings.weight": first + 1}, path)
    with pytest.raises(ogive.ArchError, match="A736"):
        ogive.load_weights(model, path, plan)
