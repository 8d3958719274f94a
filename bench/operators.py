"""How long each operator of a transformer layer takes against the length: 32 heads of 64, so a width of 2,048.

    python bench/operators.py [--lengths 64 128 256 512 1024 2048] [--rounds 9] [--clock wall]

Batch 1, float32, on this processor. Plain PyTorch is written out, as in the slides: scores, softmax and the weighted
sum are three operators, with a matrix of all pairs between them. Ours are the same operators of an `.arch` file, each
compiled and frozen by itself; its attention is one fused operator, told beside the sum of the three. The layer is the
library's ViT block, fused by `freeze`, and the plain operators in a row. Weights are the same, answers are compared.
Rounds are interleaved, figures are medians in milliseconds; the last line is the exponent over the last doubling: 1 is
linear, 2 quadratic.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from math import log2

import torch
import torch.nn.functional as F
from forward import CLOCKS, clocked, interleaved
from torch import Tensor

import ogive

HEADS, SIZE = 32, 64
WIDTH = HEADS * SIZE
TEXT = f"""
from vit import Encoder

network Norm:
    input x: B N {WIDTH}
    norm1 = layernorm(eps=1e-6)

network Qkv:
    input x: B N {WIDTH}
    qkv = linear({3 * WIDTH})

network Attention:
    input x: B N {3 * WIDTH}
    q, k, v = split(3)
    q, k, v -> attend({HEADS})

network Proj:
    input x: B N {WIDTH}
    proj = linear({WIDTH})

network Fc1:
    input x: B N {WIDTH}
    fc1 = linear({4 * WIDTH})

network Gelu:
    input x: B N {4 * WIDTH}
    gelu

network Fc2:
    input x: B N {4 * WIDTH}
    fc2 = linear({WIDTH})

network Layer:
    input x: B N {WIDTH}
    block = Encoder({HEADS})
"""
KEYS = {"Norm": "norm1", "Qkv": "attn.qkv", "Proj": "attn.proj", "Fc1": "mlp.fc1", "Fc2": "mlp.fc2"}
"""Which weights of the layer an operator has."""
Run = Callable[[], Tensor]


def heads(x: Tensor) -> Tensor:
    """`B N (heads size)` -> `B heads N size`."""
    return x.unflatten(2, (HEADS, SIZE)).transpose(1, 2)


def plain(w: dict[str, Tensor], x: Tensor, qkv: Tensor, wide: Tensor, matrix: Tensor) -> dict[str, Run]:
    """The operators in plain PyTorch, on data of their shapes."""
    q, k, v = map(heads, qkv.chunk(3, -1))

    def linear(name: str, y: Tensor) -> Tensor:
        return F.linear(y, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(name: str, y: Tensor) -> Tensor:
        return F.layer_norm(y, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    def attention(y: Tensor) -> Tensor:
        a, b, c = map(heads, y.chunk(3, -1))
        return ((a @ b.mT * SIZE**-0.5).softmax(-1) @ c).transpose(1, 2).flatten(2)

    def layer(y: Tensor) -> Tensor:
        y = y + linear("attn.proj", attention(linear("attn.qkv", norm("norm1", y))))
        return y + linear("mlp.fc2", F.gelu(linear("mlp.fc1", norm("norm2", y))))

    return {
        "Norm": lambda: norm("norm1", x), "Qkv": lambda: linear("attn.qkv", x), "scores": lambda: q @ k.mT * SIZE**-0.5,
        "softmax": lambda: matrix.softmax(-1), "sum": lambda: matrix @ v, "Attention": lambda: attention(qkv),
        "Proj": lambda: linear("attn.proj", x), "Fc1": lambda: linear("mlp.fc1", x), "Gelu": lambda: F.gelu(wide),
        "Fc2": lambda: linear("mlp.fc2", wide), "Layer": lambda: layer(x),
    }


def ours() -> tuple[dict[str, torch.nn.Module], dict[str, Tensor]]:
    """The operators compiled and frozen, and the weights of the layer."""
    torch.manual_seed(0)
    layer = ogive.compile(ogive.loads(TEXT, "Layer")).eval()
    weights = {key.removeprefix("block."): x for key, x in layer.state_dict().items()}
    made: dict[str, torch.nn.Module] = {}
    for name in ("Norm", "Qkv", "Attention", "Proj", "Fc1", "Gelu", "Fc2"):
        model = ogive.compile(ogive.loads(TEXT, name)).eval()
        if name in KEYS:
            own = KEYS[name].split(".")[-1]
            model.load_state_dict({f"{own}.{part}": weights[f"{KEYS[name]}.{part}"] for part in ("weight", "bias")})
        made[name] = ogive.freeze(model)
    return {**made, "Layer": ogive.freeze(layer)}, weights


@torch.inference_mode()
def measured(
    n: int, rounds: int, clock: Callable[[], float], models: dict[str, torch.nn.Module], weights: dict[str, Tensor]
) -> dict[str, float]:
    """Milliseconds of each operator at a length, `torch Norm` and `ours Norm`.

    Raises:
        SystemExit: two answers differ.
    """
    torch.manual_seed(n)
    x, qkv, wide = (torch.randn(1, n, k * WIDTH) for k in (1, 3, 4))
    inputs = {"Attention": qkv, "Gelu": wide, "Fc2": wide}
    runs = {f"torch {name}": run for name, run in plain(weights, x, qkv, wide, torch.rand(1, HEADS, n, n)).items()}
    for name, model in models.items():
        given = inputs.get(name, x)
        runs[f"ours {name}"] = lambda m=model, y=given: m(y)
        wanted = runs[f"torch {name}"]()
        error = float((runs[f"ours {name}"]() - wanted).abs().max() / wanted.abs().max())
        if not error < 1e-4:
            raise SystemExit(f"{name} at {n}: answers differ by {error:.1e}")
    return interleaved(runs, rounds, clock)


def main() -> int:
    parser = argparse.ArgumentParser(description="operators of a transformer layer against length")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    settings = parser.parse_args()

    clock = clocked(settings.clock)
    models, weights = ours()
    names = [f"{whose} {name}" for name in plain(weights, *[torch.zeros(1, 1, k * WIDTH) for k in (1, 3, 4)],
                                                 torch.zeros(1)) for whose in ("torch", "ours")
             if whose == "torch" or name in models]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; milliseconds, torch | ours")
    heads_ = [name.split()[1] for name in names if name.startswith("torch")]
    print(f"{'length':>8}" + "".join(f"{name:>17}" for name in heads_))
    found = []
    for n in settings.lengths:
        found.append(measured(n, settings.rounds, clock, models, weights))
        print(f"{n:>8}" + "".join(_cell(found[-1], name, "{:.2f}") for name in heads_), flush=True)
    if len(found) > 1:
        doublings = log2(settings.lengths[-1] / settings.lengths[-2])
        slopes = {name: log2(found[-1][name] / found[-2][name]) / doublings for name in names}
        print(f"{'exponent':>8}" + "".join(_cell(slopes, name, "{:.1f}") for name in heads_))
    return 0


def _cell(values: dict[str, float], name: str, form: str) -> str:
    told = [form.format(values[key]) for key in (f"torch {name}", f"ours {name}") if key in values]
    return f"{' | '.join(told):>17}"


if __name__ == "__main__":
    sys.exit(main())
