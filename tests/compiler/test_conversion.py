"""A checkpoint for another size, other channels, other classes; and what is refused unless it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peers
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import ogive
from ogive import ArchError
from ogive.cli import app
from ogive.compiler.export.conversion import Conversion, Wishes, convert

SMALL = {"dim": 12, "depth": 1, "heads": 3, "classes": 10}


def vit(**settings: Any) -> Any:
    return ogive.load("vit", "ViT.Ti", **{**SMALL, **settings})


def state(network: Any) -> dict[str, torch.Tensor]:
    return {key: tensor.detach().clone() for key, tensor in ogive.compile(network).state_dict().items()}


def turned(network: Any, found: dict[str, torch.Tensor], **wishes: Any) -> Conversion:
    return convert(network, found, None, Wishes(**wishes), "w.safetensors")


def test_nothing_is_changed_that_need_not_be() -> None:
    found = state(vit(size=64))
    made = turned(vit(size=64), found)
    assert all(made.state[key] is found[key] for key in found)
    assert {line.status for line in made.lines} == {"loaded"} and len(made.lines) == len(found)


def test_positions_are_resampled_as_timm_does() -> None:
    from_timm = peers.timm().layers.resample_abs_pos_embed
    found = state(vit(size=64))
    made = turned(vit(size=96), found, resize=True)
    wanted = from_timm(found["pos_embed"], [6, 6], num_prefix_tokens=1)
    assert torch.allclose(made.state["pos_embed"], wanted, atol=1e-6)
    assert [line.how for line in made.lines if line.status == "reshaped"] == ["4x4 to 6x6, bicubic"]


def test_positions_that_are_no_square() -> None:
    found = state(vit(size=64))
    found["pos_embed"] = torch.cat([found["pos_embed"][:, :1], torch.arange(12.0).repeat(1, 18, 1)], 1)
    with pytest.raises(ArchError, match="18 positions of `pos_embed` are no square"):
        turned(vit(size=64), found, resize=True)
    made = turned(vit(size=64), found, resize=True, grid=(3, 6))
    assert torch.allclose(made.state["pos_embed"][0, 1:], torch.arange(12.0).expand(16, 12), atol=1e-5)


def test_relative_tables_are_resampled_as_timm_does() -> None:
    from_timm = peers.timm().layers.resize_rel_pos_bias_table_simple
    sizes = {"dim": 8, "depths": [1, 1, 1, 1], "heads": [1, 2, 4, 8], "classes": 10}
    small, large = (ogive.load("swin", "Swin.T", **sizes, size=s, window_size=w) for s, w in ((224, 7), (384, 12)))
    found = state(small)
    made = turned(large, found, resize=True)
    key = "layers.1.blocks.0.attn.relative_position_bias_table"
    assert torch.allclose(made.state[key], from_timm(found[key], (12, 12), (23**2, 2)), atol=1e-6)
    ogive.compile(large).load_state_dict(made.state)


def test_a_table_larger_than_it_was_shrinks_back() -> None:
    """A smooth table goes up and down again with little loss: rows and heads are not mixed up."""
    sizes = {"dim": 8, "depths": [1, 1, 1, 1], "heads": [1, 2, 4, 8], "classes": 10}
    small, large = (ogive.load("swin", "Swin.T", **sizes, size=s, window_size=w) for s, w in ((224, 7), (384, 12)))
    found = state(small)
    key = "layers.3.blocks.0.attn.relative_position_bias_table"
    rows, cols = torch.meshgrid(torch.linspace(-1, 1, 13), torch.linspace(-1, 1, 13), indexing="ij")
    found[key] = torch.stack([rows.flatten() * (i + 1) - cols.flatten() for i in range(8)], 1)
    back = turned(small, turned(large, found, resize=True).state, resize=True)
    assert (back.state[key] - found[key]).abs().max() < 0.2 < found[key].std()


def test_one_channel_is_the_sum() -> None:
    """A grey image gives what the same image in three equal channels gave."""
    found = state(ogive.load("resnet", "ResNet.r18"))
    text = (Path(__file__).parents[2] / "library" / "resnet.arch").read_text("utf-8").replace(
        "image: B 3 H W", "image: B 1 H W")
    grey = ogive.loads(text, "ResNet.r18")
    made = turned(grey, found, channels=True)
    assert torch.allclose(made.state["conv1.weight"], found["conv1.weight"].sum(1, keepdim=True), atol=1e-6)
    one, three = ogive.compile(grey).eval(), ogive.compile(ogive.load("resnet", "ResNet.r18")).eval()
    one.load_state_dict(made.state), three.load_state_dict(found)
    image = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(one(image), three(image.expand(-1, 3, -1, -1)), atol=1e-4)


def test_a_fresh_head() -> None:
    found = state(vit(size=64))
    made = turned(vit(size=64, classes=7), found, fresh=["head"], seed=3)
    again = turned(vit(size=64, classes=7), found, fresh=["head"], seed=3)
    assert made.state["head.weight"].shape == (7, 12)
    assert torch.equal(made.state["head.weight"], again.state["head.weight"])
    assert torch.equal(made.state["pos_embed"], found["pos_embed"])
    assert (made.count("fresh"), made.count("loaded")) == (2, len(found) - 2)


@pytest.mark.parametrize(("change", "settings", "code", "help"), [
    (lambda s: s.pop("norm.bias"), {}, "A732", "`--fresh norm`"),
    (lambda s: s.update(extra=torch.zeros(1)), {}, "A732", "`--drop extra`"),
    (lambda s: None, {"size": 96}, "A733", "`--resize`"),
    (lambda s: None, {"classes": 7}, "A733", "`--fresh head`"),
    (lambda s: s["norm.bias"].fill_(float("nan")), {}, "A735", ""),
    (lambda s: s.update({"norm.bias": torch.zeros(12).long()}), {}, "A734", ""),
])
def test_what_is_not_asked_for_is_refused(change: Any, settings: dict[str, int], code: str, help: str) -> None:
    found = state(vit(size=64))
    change(found)
    with pytest.raises(ArchError) as caught:
        turned(vit(**{"size": 64, **settings}), found)
    assert code in caught.value.codes and "nothing was written" in str(caught.value) and help in str(caught.value)


def test_half_precision_is_said() -> None:
    found = {key: tensor.half() for key, tensor in state(vit(size=64)).items()}
    made = turned(vit(size=64), found)
    assert all(tensor.dtype == torch.float32 for tensor in made.state.values())
    assert {line.how for line in made.lines} == {"float16 to float32"}


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's ViT for images of 64, as weights of ours for 96 and 7 classes; and back under their names."""
    monkeypatch.chdir(tmp_path)
    theirs = peers.torchvision().models.VisionTransformer(64, 16, 1, 3, 12, 48, num_classes=10)
    save_file(theirs.state_dict(), "theirs.safetensors")
    same = ["weights", "vit", "ViT.Ti", *(f"--set={k}={v}" for k, v in {"dim": 12, "depth": 1, "heads": 3}.items())]
    done = CliRunner().invoke(app, [
        *same, "--set=classes=7", "--set=size=96", "--from", "theirs.safetensors", "--map", "torchvision", "--resize",
        "--fresh", "head", "-o", "mine.safetensors",
    ])
    assert done.exit_code == 0, done.output
    assert "17 loaded, 1 reshaped, 2 fresh, 0 unused" in done.output
    assert "4x4 to 6x6, bicubic" in done.output and "encoder.pos_embedding" in done.output
    ogive.load_weights(ogive.compile(vit(size=96, classes=7)), "mine.safetensors")
    before = Path("mine.safetensors").read_bytes()
    failed = CliRunner().invoke(app, [
        *same, "--set=classes=10", "--set=size=96", "--from", "mine.safetensors", "-o", "mine.safetensors"])
    assert failed.exit_code == 2 and "A733" in failed.output
    assert Path("mine.safetensors").read_bytes() == before
    back = CliRunner().invoke(app, [
        *same, "--set=classes=7", "--set=size=96", "--from", "mine.safetensors", "--to", "torchvision", "-o",
        "back.safetensors"])
    assert back.exit_code == 0, back.output
    assert {*load_file("back.safetensors")} == {*theirs.state_dict()}


def test_keys_are_compared_by_a_map(tmp_path: Path) -> None:
    """`ogive keys --map`: their keys beside ours; a file of theirs fits, one with a key left out does not."""
    theirs = ogive.load("gpt2", "GPT2.small", dim=12, depth=1, heads=3, vocab=20, length=8)
    path = ogive.save_weights(ogive.compile(theirs), tmp_path / "hf.safetensors", theirs.weight_map("hf"))
    same = ["keys", "gpt2", "GPT2.small", *(f"--set={k}={v}" for k, v in theirs.settings.items() if k != "drop")]
    listed = CliRunner().invoke(app, [*same, "--map", "hf"])
    assert "transpose  transformer.h.0.attn.c_attn.weight" in listed.output
    assert CliRunner().invoke(app, [*same, "--map", "hf", "--against", str(path)]).exit_code == 0
    assert CliRunner().invoke(app, [*same, "--map", "openai", "--against", str(path)]).exit_code == 1
    state = {key: tensor for key, tensor in load_file(path).items() if key != "transformer.h.0.ln_1.bias"}
    save_file(state, path)
    lacking = CliRunner().invoke(app, [*same, "--map", "hf", "--against", str(path)])
    assert lacking.exit_code == 1 and "missing     transformer.h.0.ln_1.bias [12]" in lacking.output
