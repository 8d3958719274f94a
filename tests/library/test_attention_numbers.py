"""Worked numbers of a lecture on attention. Where the slide is wrong, what it prints is said beside what is right."""

from __future__ import annotations

import math

import pytest
import torch

import ogive

TEXT = """
network Plain:
    input x: B N D=2
    attend(1)

network Softmax:
    input scores: B N
    softmax(N)

network Similarity:
    input x: B N D=2, y: B M D
    x, y -> dot

network Mean:
    input weight: B N, x: B N D=2
    weight, x -> dot(N)
"""


def run(name: str, *inputs: list[list[float]] | list[list[list[float]]]) -> list:
    module = ogive.compile(ogive.loads(TEXT, name)).double().eval()
    return module(*(torch.tensor(x, dtype=torch.float64) for x in inputs))[0].tolist()


def test_how_alike_patches_are() -> None:
    a, b, c = [4, 1], [3, 0], [0, 4]
    assert run("Similarity", [[a, b, c]], [[a, b, c]]) == [[17, 12, 4], [12, 9, 0], [4, 0, 16]]


def test_scaled_scores() -> None:
    """Over sqrt 2: 5.657 and 8.485, cut to 5.65 and 8.48 on the slide. Its score of a patch with itself, 0.7, is
    1 / sqrt 2; x x / sqrt 2 would be 5.657 as well."""
    x = [2, 2]
    (to_a, to_b, own), = run("Similarity", [[x]], [[[0, 4], [3, 3], x]])
    assert (to_a, to_b, own) == (8, 12, 8)
    assert (round(to_a / math.sqrt(2), 3), round(to_b / math.sqrt(2), 3)) == (5.657, 8.485)
    assert round(1 / math.sqrt(2), 3) == 0.707 and round(own / math.sqrt(2), 3) == 5.657


@pytest.mark.parametrize(("scores", "weights", "other", "mean"), [
    # printed: [0.1400, 3.9850]
    ([0.7, 5.65], [0.00703, 0.99297], [0, 4], [0.0141, 3.9859]),
    # printed: 0.9958, a 9 dropped, and [0.0008, 3.9840], the mean with [0, 4] in place of [3, 3]
    ([0.7, 8.48], [0.00042, 0.99958], [3, 3], [2.9996, 2.9996]),
])
def test_softmax_and_weighted_sum(
    scores: list[float], weights: list[float], other: list[int], mean: list[float]
) -> None:
    found = run("Softmax", [scores])
    assert [round(w, 5) for w in found] == weights
    assert [round(x, 4) for x in run("Mean", [found], [[[2, 2], other]])] == mean


def test_what_self_attention_makes_of_it() -> None:
    """q = k = v on [2, 2] and [0, 4]: the first patch is as near to itself as to the other, 8 and 8."""
    rows = run("Plain", [[[2, 2], [0, 4]]])
    assert rows[0] == pytest.approx([1, 3], abs=1e-12)
    assert [round(x, 4) for x in rows[1]] == [0.0070, 3.9930]


def test_nine_patches() -> None:
    """The slide cuts where it says it rounds; the sum is 1."""
    weights = run("Softmax", [[0.90, 0.70, 0.80, 0.50, 0.20, 0.60, 0.15, 0.10, 0.20]])
    right = [0.1653, 0.1353, 0.1496, 0.1108, 0.0821, 0.1225, 0.0781, 0.0743, 0.0821]
    assert [round(w, 4) for w in weights] == right
    assert sum(weights) == pytest.approx(1, abs=1e-12)


def test_a_running_maximum_starts_below_everything() -> None:
    """Flash attention as it is printed starts its maximum at 0: below about -104 every weight is 0 in float32, and the
    row 0 / 0. Started at -inf, and here, the row is right."""
    scores = torch.full((1, 4), -105.0)
    started_at_zero = (scores - scores.amax(1, keepdim=True).clamp_min(0)).exp()
    assert (started_at_zero / started_at_zero.sum(1, keepdim=True)).isnan().all()
    text = "network N:\n    input q: B N 1, k: B M 1, v: B M 1\n    q, k, v -> attend(1, scale=1)\n"
    module = ogive.compile(ogive.loads(text, "N")).eval()
    value = torch.tensor([1.0, 2.0, 3.0, 6.0])[None, :, None]
    answer = module(torch.full((1, 1, 1), -105.0), torch.ones(1, 4, 1), value)
    assert answer.item() == pytest.approx(3, abs=1e-5)
