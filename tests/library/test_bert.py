"""BERT and RoBERTa against transformers: keys, numbers, gradients; the cost of a layer row by row."""

from __future__ import annotations

import peers
import pytest
import torch
from mapped import Mapped, ours
from parity import hold, hold_first_weights, quickly

import ogive
from ogive.compiler.cost import Row, tree

SMALL = {"dim": 32, "depth": 2, "heads": 4, "vocab": 50, "length": 20}
THEIRS = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 50,
    "max_position_embeddings": 20,
}
PUBLISHED = {
    "BERT.base": ("BertModel", 109_482_240), "BERT.large": ("BertModel", 335_141_888),
    "MaskedBERT.base": ("BertForMaskedLM", 109_514_298), "MaskedBERT.large": ("BertForMaskedLM", 335_174_458),
    "PretrainedBERT.base": ("BertForPreTraining", 110_106_428),
    "PretrainedBERT.large": ("BertForPreTraining", 336_226_108),
    "RoBERTa.base": ("RobertaModel", 124_645_632), "RoBERTa.large": ("RobertaModel", 355_359_744),
}
IDS = torch.tensor([[2, 7, 49, 3, 3, 11, 0], [5, 6, 8, 30, 1, 1, 1]])
SEGMENT = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1]])
MASK = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])


def reference(kind: str, **settings: object) -> torch.nn.Module:
    tf = peers.transformers()
    if kind == "RobertaModel":
        settings = {"type_vocab_size": 1, "layer_norm_eps": 1e-5, **settings}
        config = tf.RobertaConfig(**settings, attn_implementation="eager")
    else:
        config = tf.BertConfig(**settings, attn_implementation="eager")
    return getattr(tf, kind)(config)


def call(module: torch.nn.Module, *inputs: torch.Tensor) -> object:
    names = ("input_ids", "attention_mask") if len(inputs) == 2 and inputs[1].dtype == torch.bool else (
        "input_ids", "token_type_ids", "attention_mask")
    out = module(**dict(zip(names, inputs, strict=False)))
    return tuple(out.to_tuple())


@pytest.mark.parametrize("masked", quickly([True, False]))
@pytest.mark.parametrize(("name", "kind"), [
    ("BERT.base", "BertModel"), ("MaskedBERT.base", "BertForMaskedLM"), ("PretrainedBERT.base", "BertForPreTraining"),
    ("RoBERTa.base", "RobertaModel"),
])
def test_outputs_and_gradients(name: str, kind: str, masked: bool) -> None:
    given = (IDS,) if name.startswith("RoBERTa") else (IDS, SEGMENT)
    network = ogive.load("bert", name, **SMALL)
    theirs = Mapped(network.weight_map("hf"), reference(kind, **THEIRS), call)
    hold(ogive.compile(network), theirs, *given, *((MASK,) if masked else ()))


@pytest.mark.parametrize(("name", "kind"), [("PretrainedBERT.base", "BertForPreTraining"),
                                            ("RoBERTa.base", "RobertaModel")])
def test_first_weights(name: str, kind: str) -> None:
    network = ogive.load("bert", name, **SMALL)
    theirs = Mapped(network.weight_map("hf"), reference(kind, **THEIRS), call)
    hold_first_weights(lambda: ogive.compile(network), lambda: theirs)


def test_padding_has_no_place() -> None:
    """RoBERTa counts the words that are there: padding in front moves nothing but itself."""
    module = ogive.compile(ogive.load("bert", "RoBERTa.base", **SMALL)).double().eval()
    plain, padded = torch.tensor([[5, 6, 8, 30]]), torch.tensor([[1, 1, 5, 6, 8, 30]])
    with torch.inference_mode():
        alone = module(plain)["features"]
        behind = module(padded, mask=padded != 1)["features"][:, 2:]
    assert torch.allclose(alone, behind, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", quickly(PUBLISHED, "MaskedBERT.base"))
def test_keys_shapes_and_cost(name: str) -> None:
    kind, params = PUBLISHED[name]
    network = ogive.load("bert", name)
    width, depth, heads = (network.settings[k] for k in ("dim", "depth", "heads"))
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads,
             "intermediate_size": 4 * width}
    with torch.device("meta"):
        theirs = reference(kind, **sizes, **(
            {"vocab_size": 50265, "max_position_embeddings": 514} if kind == "RobertaModel" else {}))
        model = ogive.compile(network)
        mine, reference_keys = model.state_dict(), ours(network.weight_map("hf"), theirs.state_dict())
    assert {k: v.shape for k, v in mine.items()} == {k: v.shape for k, v in reference_keys.items()}
    assert network.parameter_count == params == sum(p.numel() for p in theirs.parameters())
    assert len(list(model.parameters())) == len(list(theirs.parameters()))  # the table is tied on both sides


H, A, S, INNER, V, PLACES, KINDS = 768, 12, 64, 3072, 50265, 514, 1
"""The sizes that the lecture's table of costs goes by: RoBERTa-base's, under the name of BERT."""


@pytest.mark.parametrize(("length", "layer", "layers"), [
    (128, 931_135_488, 11_173_625_856), (512, 4_026_531_840, 48_318_382_080),
])
def test_the_table_of_costs(length: int, layer: int, layers: int) -> None:
    """Row by row. A summary slide of the lecture has FC-in and FC-out the wrong way round."""
    whole = tree(ogive.load("bert", "RoBERTa.base").graph, {"N": length})
    rows = {row.path: row for row in flat(whole)}

    def cost(path: str) -> tuple[int, int]:
        return rows[path].params, rows[path].macs

    e, l0 = "embeddings", "layers.0"
    assert cost(f"{e}.words") == (V * H, 0) == (38_603_520, 0)
    assert cost(f"{e}.places") == (PLACES * H, 0) == (394_752, 0)
    assert cost(f"{e}.segments") == (KINDS * H, 0) == (768, 0)
    for norm in (f"{e}.norm", f"{l0}.norm1", f"{l0}.norm2"):
        assert cost(norm) == (2 * H, 0) == (1_536, 0)
    three = [cost(f"{l0}.attn.{name}") for name in "qkv"]
    assert three == [((1 + H) * H, length * H * H)] * 3
    assert sum(params for params, _ in three) == 1_771_776
    core = next(p for p in rows if p.startswith(f"{l0}.attn.") and "attend" in rows[p].text)
    assert cost(core) == (0, 2 * A * length * length * S)  # q k, and the weights with v
    assert cost(f"{l0}.attn.proj") == ((1 + H) * H, length * H * H) == (590_592, length * 589_824)
    assert cost(f"{l0}.mlp.fc1") == ((1 + H) * INNER, length * H * INNER)
    assert cost(f"{l0}.mlp.fc2") == ((1 + INNER) * H, length * H * INNER)
    assert ((1 + H) * INNER, (1 + INNER) * H) == (2_362_368, 2_360_064)
    assert cost("layers") == (7_087_872, layer)
    pooler = (1 + H) * H, H * H
    embedding = cost(e)[0]
    assert (embedding, 12 * cost("layers")[0]) == (39_000_576, 85_054_464)
    assert whole.params == 124_055_040 + pooler[0] == 124_645_632
    assert whole.macs == layers + pooler[1]
    # with a multiply-add for each number that a norm touches, which ours leave out
    assert layers + 25 * length * H == {128: 11_176_083_456, 512: 48_328_212_480}[length]


def flat(row: Row) -> list[Row]:
    return [row, *(below for child in row.children for below in flat(child))]
