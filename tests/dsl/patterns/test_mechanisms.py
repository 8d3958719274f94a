"""Mechanisms: their texts, their weights, and the products they cost against the shapes of their matrix products."""

from __future__ import annotations

import pytest

from ogive.dsl.dims import evaluate, symbol
from ogive.dsl.patterns.mechanisms import (
    Channels,
    Kernel,
    Latent,
    Linformer,
    Mechanism,
    Mixed,
    Needed,
    Nystrom,
    Performer,
    Pooled,
    Use,
)
from ogive.dsl.patterns.named import Window
from ogive.dsl.patterns.space import PatternError
from ogive.dsl.types import Axis, Role, Segment

N, M, C, D, HEADS = 60, 40, 48, 24, 4
c, d = C // HEADS, D // HEADS


def plain(n: object) -> Axis:
    return Axis(Role.POSITION, n)  # type: ignore[arg-type]


USE = Use(plain(N), plain(M), C, D, HEADS)


def product(a: int, b: int, inner: int) -> int:
    """The multiply-adds of (a x inner) (inner x b) in every head."""
    return HEADS * a * b * inner


@pytest.mark.parametrize(("mechanism", "products"), [
    (Linformer(8), product(8, c, M) + product(8, d, M) + product(N, 8, c) + product(N, d, 8)),
    (Kernel(), product(c, d, M) + product(N, d, c)),
    (Performer(32), product(M, 32, c) + product(N, 32, c) + product(32, d, M) + product(N, d, 32)),
    (Nystrom(6, 3), product(N, 6, c) + product(6, 6, c) + product(6, M, c) + 3 * 4 * product(6, 6, 6)
     + product(6, d, M) + product(6, d, 6) + product(N, d, 6)),
    (Nystrom(6, 3, conv=5), product(N, 6, c) + product(6, 6, c) + product(6, M, c) + 3 * 4 * product(6, 6, 6)
     + product(6, d, M) + product(6, d, 6) + product(N, d, 6) + 5 * M * D),
    (Pooled(7), product(N, 6, c) + product(N, d, 6)),
    (Latent(8), product(8, M, c) + product(8, c, M) + product(8, d, M) + product(N, 8, c) + product(N, d, 8)),
])
def test_products(mechanism: Mechanism, products: int) -> None:
    assert mechanism.products(USE) == products


def test_linear_attention_is_eight_times_cheaper_in_the_lecture() -> None:
    use = Use(plain(512), plain(512), 64, 64, 1)
    assert Kernel().products(use) == 2 * 512 * 64**2 and 8 * Kernel().products(use) == 2 * 512**2 * 64


def test_channels_relate_channels() -> None:
    use = Use(plain(N), plain(N), C, C, HEADS)
    assert Channels().products(use) == 2 * product(c, c, N) and Channels().refuses(use) is None
    assert str(Channels().refuses(USE)) == "`channels` needs v as wide as q and k; here are 48 and 24"
    apart = Use(plain(N), plain(M), C, C, HEADS)
    assert str(Channels().refuses(apart)) == "`channels` needs as many queries as keys; here are 60 and 40"


def test_products_where_sizes_are_free() -> None:
    n = symbol("N")
    use = Use(plain(n), plain(n), C, C, HEADS)
    for mechanism in (Linformer(8), Kernel(), Performer(32), Nystrom(6), Latent(8), Channels(), Pooled(5)):
        found = mechanism.products(use)
        known = mechanism.products(Use(plain(50), plain(50), C, C, HEADS))
        assert evaluate(found, {"N": 50}) == known


def test_pooled_keys_of_a_grid() -> None:
    keys = Axis(Role.POSITION, 1 + 7 * 9, (Segment(1), Segment(63, (7, 9))))
    assert Pooled(2).kept(keys) == 4 * 5 + 1 and Pooled((7, 3)).kept(keys) == 3 + 1
    assert Pooled(2).refuses(Use(keys, keys, C, D, HEADS)) is None
    refused = Pooled((2, 2, 2)).refuses(Use(keys, keys, C, D, HEADS))
    assert refused is not None and refused.setting == "stride"
    assert refused.title == "`pooled(2x2x2)` names 3 axes; the grid has two axes"


@pytest.mark.parametrize(("mechanism", "weights"), [
    (Linformer(8), (Needed("E", (8, M)), Needed("F", (8, M)))), (Linformer(8, share=True), (Needed("E", (8, M)),)),
    (Nystrom(6), ()), (Nystrom(6, conv=5), (Needed("conv.weight", (HEADS, 1, 5, 1)),)),
    (Latent(8), (Needed("latent", (8, C), "trunc_normal"),)), (Performer(), ()), (Kernel(), ()), (Pooled(2), ()),
    (Channels(), ()),
])
def test_weights(mechanism: Mechanism, weights: tuple[Needed, ...]) -> None:
    assert mechanism.weights(USE) == weights


def test_a_weight_for_each_key_needs_their_number() -> None:
    with pytest.raises(PatternError, match="has a weight for each of the keys, and their number `N` is free"):
        Linformer(8).weights(Use(plain(N), plain(symbol("N")), C, D, HEADS))


def test_some_heads_may_take_a_mechanism() -> None:
    mixed = Mixed((Window(7), Linformer(8)))
    half = Use(plain(N), plain(M), C // 2, D // 2, HEADS // 2)
    assert mixed.weights(USE) == (Needed("1.E", (8, M)), Needed("1.F", (8, M)))
    assert mixed.products(USE) == Linformer(8).products(half)
    assert [mixed.of(head) for head in range(3)] == [Window(7), Linformer(8), Window(7)]
    assert str(mixed) == "per_head([window(7), linformer(8)])" and mixed.refuses(USE) is None
    uneven = Mixed((Window(7), Linformer(8), Kernel()))
    assert str(uneven.refuses(USE)) == "`per_head` has 3 parts, which do not divide 4 heads"


@pytest.mark.parametrize(("mechanism", "text"), [
    (Linformer(64), "linformer(64)"), (Linformer(64, True), "linformer(64, share=True)"),
    (Performer(), "performer(features=256)"), (Performer(64, 1, 100), "performer(features=64, seed=1, redraw=100)"),
    (Nystrom(49), "nystrom(49)"), (Nystrom(49, 3, 33), "nystrom(49, iterations=3, conv=33)"),
    (Kernel("relu"), 'kernel("relu")'), (Pooled((2, 4)), "pooled(2x4)"), (Latent(8), "latent(8)"),
    (Channels(), "channels"),
])
def test_texts(mechanism: Mechanism, text: str) -> None:
    assert str(mechanism) == text


def test_settings_are_checked() -> None:
    for make, title in (
        (lambda: Linformer(0), "`rank` of `linformer` is at least 1; here is 0"),
        (lambda: Nystrom(4, conv=4), "`conv` of `nystrom` is odd, here is 4: a value stands in the middle"),
        (lambda: Kernel("gelu"), "`kernel` is \"elu\" or \"relu\", here is 'gelu'"),  # type: ignore[arg-type]
        (lambda: Pooled(0), "`stride` of `pooled` is at least 1; here is 0"),
        (lambda: Mixed(()), "`per_head` takes a list of patterns and mechanisms"),
    ):
        with pytest.raises(PatternError) as caught:
            make()
        assert caught.value.title == title
