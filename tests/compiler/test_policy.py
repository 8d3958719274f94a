"""Targets, the least time of attention on them, and which kernel is chosen: against figures worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest

import ogive
from ogive.compiler.explain import On, accounts
from ogive.compiler.lower.attention import unfused
from ogive.compiler.policy import KERNELS, PACES, Case, choose, refusal
from ogive.compiler.precision import precision_of
from ogive.compiler.roofline import Work, covered, floor
from ogive.compiler.targets import PRECISIONS, TARGETS, Gpu, gpu_named, gpu_of
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.pattern_text import pattern_of
from ogive.dsl.patterns.costs import GPU
from ogive.dsl.patterns.parts import parts, plan
from ogive.dsl.patterns.space import Space
from ogive.dsl.patterns.tiles import kind

GPUS = [t.name for t in TARGETS.values() if t.gpu is not None]
H200 = gpu_named("h200", "this test")


def dense(batch: int, heads: int, n: int, width: int) -> Work:
    return Work(batch, heads, heads, n, n, width, width, heads * n * n)


def case(over: str, space: Space, heads: int = 8, width: int = 64, batch: int = 8, **more: object) -> Case:
    made = plan(pattern_of(over), space, heads, GPU).parts
    pairs = sum(len(p.heads) * p.pairs for p in made)
    n, m = space.queries.size, space.keys.size
    work = Work(batch, heads, heads, n, m, width, width, pairs)
    return dataclasses.replace(Case(work, made, "bf16"), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", GPUS)
def test_a_target_is_whole(name: str) -> None:
    gpu = gpu_named(name, "this test")
    assert set(PRECISIONS) < set(gpu.matrix) and gpu.arch.startswith(f"sm_{gpu.capability}")
    figures = [gpu.shared_limit, gpu.bandwidth, gpu.exp, gpu.launch, *gpu.matrix.values(), *gpu.sustained.values()]
    assert all(figure.value > 0 and figure.source for figure in figures)
    rate = {word: gpu.matrix[word].value for word in PRECISIONS}
    assert rate["float32"] <= rate["tf32"] < rate["bf16"] == rate["fp16"]
    assert all(0 < table[gpu.capability // 10][d].value < 1 for table in PACES.values() for d in (64, 128))
    assert gpu_of(gpu.capability, TARGETS[name].about) is TARGETS[name]


def test_rates_are_what_the_clock_gives() -> None:
    """A100: 108 SM x 4 tensor cores x 512 FLOP x 1.41 GHz; H200: 3.71 T exponentials a second."""
    a100 = gpu_named("a100", "this test")
    assert a100.matrix["bf16"].value == pytest.approx(108 * 4 * 512 * 1.41e9, rel=2e-3)
    assert H200.exp.value == pytest.approx(3.71e12, rel=1e-3)


@pytest.mark.parametrize(("work", "products", "exponentials", "memory", "bound"), [
    (dense(1, 16, 577, 64), 1.73, 1.44, 1.10, "products"),  # ViT-L/16-384
    (dense(32, 16, 577, 64), 55.2, 46.0, 35.2, "products"),
    (dense(64, 12, 197, 64), 9.7, 8.0, 18.0, "memory"),  # ViT-B/16-224
    (Work(64, 4, 4, 3136, 3136, 32, 32, 4 * 64 * 49**2), 6.4, 10.6, 47.9, "memory"),  # Swin-B, stage 1
    (Work(16, 4, 4, 9216, 9216, 32, 32, 4 * 16 * 576**2), 55.1, 91.7, 35.7, "exponentials"),  # Swin v2, 24 x 24
    (dense(1, 16, 16384, 128), 2784, 1159, 62, "products"),
])
def test_the_floor_is_the_one_by_hand(
    work: Work, products: float, exponentials: float, memory: float, bound: str
) -> None:
    found = floor(work, H200, "bf16")
    assert found.products * 1e6 == pytest.approx(products, rel=0.02)
    assert found.exponentials * 1e6 == pytest.approx(exponentials, rel=0.02)
    assert found.memory * 1e6 == pytest.approx(memory, rel=0.02)
    assert found.bound == bound and found.seconds == max(found.products, found.exponentials, found.memory)


@pytest.mark.parametrize("over", ["dense", "causal", "sliding(33)", "window(5)", "random(2, of=16) | sliding(9)"])
@pytest.mark.parametrize("tile", [(16, 16), (64, 32)])
def test_covered_counts_the_tiles_that_hold_a_pair(over: str, tile: tuple[int, int]) -> None:
    """Asked of every tile of every part one by one."""
    for part in parts(pattern_of(over), Space.of(150)):
        by_hand = 0
        for entry in range(part.batch):
            for i in range(0, part.q.count, tile[0]):
                for j in range(0, part.k.count, tile[1]):
                    rows = [part.seen(entry, a) for a in range(i, min(i + tile[0], part.q.count))]
                    by_hand += any(row >> j & ((1 << tile[1]) - 1) for row in rows)
        assert covered(part, tile) == by_hand * tile[0] * tile[1]


def test_covered_is_what_the_pattern_says_of_its_tiles() -> None:
    over, space = pattern_of("causal"), Space.of(192)
    part, = parts(over, space)
    tiles = [kind(over, space, range(i, i + 64), range(j, j + 64)) for i in (0, 64, 128) for j in (0, 64, 128)]
    assert covered(part, (64, 64)) == 64 * 64 * sum(k != "empty" for k in tiles) == 6 * 64 * 64


@pytest.mark.parametrize("name", GPUS)
def test_nothing_is_predicted_below_its_floor(name: str) -> None:
    gpu = gpu_named(name, "this test")
    for over in ("dense", "causal", "window(7)", "sliding(7)"):
        for precision in PRECISIONS:
            told = choose(case(over, Space.of(28, 28), precision=precision), gpu)
            assert told.kernel is not None and told.seconds is not None
            assert told.seconds > told.floor.seconds
            assert {told.kernel, *(p.kernel for p in told.others), *(r.way for r in told.refused)} == set(KERNELS)


def test_a_shifted_window_costs_what_a_window_does() -> None:
    """One launch of our kernel, where other kernels are called for each kind of piece."""
    text = "network N:\n    t = relative_bias(2, 7)\n    input x: B (h=28 w=28) 64\n"
    net = ogive.loads(text + "".join(f"    attend(2, over=window(7, shift={s}), bias=t)\n" for s in (0, 3)))
    told = accounts(net.graph, {"B": 64}, unfused, On(H200, precision_of("bf16")))
    plain, shifted = (one.choice for one in told)
    assert plain is not None and shifted is not None and told[1].calls == 9
    assert (shifted.kernel, shifted.launches, shifted.seconds) == (plain.kernel, 1, plain.seconds)
    assert shifted.others[0].launches == 9 and shifted.as_json()["launches"] == 1


def test_what_is_chosen_where() -> None:
    """cuDNN at 128 channels of an H200; ours for windows, bias and sets; ours alone in TF32."""
    long = Space.of(4096)
    assert choose(case("dense", long, width=128), H200).kernel == "sdpa-cudnn"
    assert choose(case("dense", long), gpu_named("a100", "this test")).kernel == "sdpa-flash"
    for told in (case("sliding(257)", long), case("window(7)", Space.of(56, 56), bias="a table over offsets")):
        assert choose(told, H200).kernel == "flash"
    alone = choose(case("dense", long, precision="tf32"), H200)
    assert alone.kernel == "flash" and alone.reason == "no other kernel takes it"
    assert choose(case("dense", long, width=80), H200).kernel is not None


def test_each_refusal_has_its_reason() -> None:
    space = Space.of(64)
    told = {
        "sdpa-flash": [
            (case("dense", space, precision="float32"), "bf16 and fp16"),
            (case("dense", space, width=20), "multiple of 8"),
            (case("dense", space, bias="slopes"), "slopes"), (case("dense", space, mask=True), "no mask"),
            (case("sliding(9)", space), "no set of pairs"), (case("dense", space, width=512), "512"),
        ],
        "sdpa-efficient": [(case("dense", space, precision="tf32"), "TF32"),
                           (case("sliding(9)", Space.of(32768), heads=16, width=64), "GiB")],
        "flash": [(case("dense", space, own="it is too wide"), "it is too wide")],
    }
    for kernel, those in told.items():
        for one, words in those:
            assert words in (refusal(one, H200, kernel) or "")
            with pytest.raises(ArchError, match=words):
                choose(one, H200, kernel)
    narrow = case("dense", space, width=256)
    assert "128" in (refusal(narrow, gpu_named("a100", "this test"), "sdpa-cudnn") or "")
    assert refusal(narrow, H200, "sdpa-cudnn") is None


def test_what_nothing_takes_is_written_out() -> None:
    told = choose(case("dense", Space.of(64), unfused="heads are mixed"), H200)
    assert told.kernel is None and told.reason == "heads are mixed" and len(told.refused) == len(KERNELS)


def test_the_last_rule_that_matches_holds() -> None:
    rules = precision_of(["fp16", "blocks.*.attn=bf16", "blocks.1*=tf32"])
    assert [rules.at(path) for path in ("stem", "blocks.0.attn.core", "blocks.1.attn.core", "blocks.10.x")] == [
        "fp16", "bf16", "tf32", "tf32",
    ]
    assert precision_of(None).at("anything") == "bf16" and precision_of({"a": "fp16"}).at("a.b") == "fp16"
    rules.covers(["blocks.10.attn.core"])
    with pytest.raises(ArchError, match=r"no attention stands at `blocks\.1`"):
        precision_of("blocks.1=bf16").covers(["blocks.10.attn"])


def test_a_device_stands_for_the_target_of_its_name() -> None:
    assert gpu_of(90, "NVIDIA H100 80GB HBM3") is TARGETS["h100"]
    assert gpu_of(90, "NVIDIA H200") is TARGETS["h200"]
    assert gpu_of(89, "NVIDIA L40S") is TARGETS["rtx4090"]
    assert gpu_of(75, "NVIDIA T4") is None
    assert isinstance(TARGETS["h100"].gpu, Gpu)


def test_a_head_that_is_too_wide_is_not_for_our_kernel() -> None:
    net = ogive.loads("network Net():\n    input x: B (h=8 w=8) C=640\n    attend(2, over=window(4))\n")
    told, = accounts(net.graph, None, unfused, On(H200, precision_of("bf16")))
    assert told.choice is not None
    assert {r.way: r.reason for r in told.choice.refused}["flash"] == "a head of 320 channels is wider than 256"
