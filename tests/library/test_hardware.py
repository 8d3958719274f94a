"""The lectures' figures of GPUs, misprints included, beside the data sheets that targets go by."""

from __future__ import annotations

import pytest

from ogive.compiler.targets import gpu_named

TERA = 1e12
A100, H100 = (gpu_named(name, "this test") for name in ("a100", "h100"))


def test_a100() -> None:
    """Four tensor cores an SM, 512 operations a clock each; printed rates and memories, and what they come to."""
    assert pytest.approx(312 * TERA, rel=1e-3) == 108 * 4 * 512 * 1.41e9
    printed = {"float32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312}
    assert {word: A100.matrix[word].value / TERA for word in printed} == pytest.approx(printed)
    assert A100.sms == 108
    assert (round(312 / 1.5), round(312 / 2.0)) == (208, 156)  # operations per byte, with 40 and with 80 GB
    assert A100.matrix["bf16"].value / A100.bandwidth.value == pytest.approx(156, rel=0.02)


def test_h100() -> None:
    """As announced: 132 SM of 128 lanes at 1.775 GHz are 60 TFLOP/s, not "60 x 10^9"; four tensor cores an SM are 960,
    printed as 1000, and four in each of its four parts would be 3,839. Targets go by the data sheet instead."""
    assert H100.sms == 132
    announced = 132 * 128 * 2 * 1.775e9
    assert announced == pytest.approx(59.98 * TERA, rel=1e-3) and announced / 60e9 > 999
    products = 132 * 4 * 1024 * 1.775e9
    assert products == pytest.approx(960 * TERA, rel=1e-3) and round(4 * products / TERA) in (3838, 3839)
    assert round(1000 / 3.0) == 333  # operations per byte, as announced
    assert H100.matrix["bf16"].value == pytest.approx(132 * 4 * 1024 * 1.83e9, rel=1e-3)  # as it shipped, 1.83 GHz
    assert announced < H100.matrix["float32"].value < H100.matrix["tf32"].value < products
    assert H100.bandwidth.value > 3.0e12


def test_what_a_block_may_ask_for() -> None:
    """256 KB of an SM are cache and shared memory together: a block gets at most 227."""
    assert H100.shared_limit.value == 227 * 1024 < 256 * 1024
    assert A100.shared_limit.value == 163 * 1024
