"""The static table: what kernels take on each architecture is what is checked in, fits, and uses its matrix units."""

from __future__ import annotations

import os
import re

import pytest
import static_kernels as static
from needs_triton import triton

from ogive.compiler.aot.compiled import refused

QUICK = [
    ("dense 64", 90), ("dense 64", 80), ("dense 80", 90), ("band 64", 89), ("lists 64", 90), ("lists 64", 120),
    ("window 32 with a table", 90), ("window 32 with a table", 86), ("decomposed 80", 90), ("dense 64 float32", 80),
    ("dq 64", 90), ("dk, dv 64", 90), ("gradient of a table 32", 80), ("int8 codes 64", 90), ("int8 80", 90),
    ("int8-token 64", 80), ("int8-fp8 64", 89),
]
REST = [case for case in static.ASKED if case not in QUICK]

TENSOR_CORES = {80: "mma", 86: "mma", 89: "mma", 90: "wgmma", 100: "tcgen05", 120: "mma"}


@pytest.fixture(scope="module", autouse=True)
def _update() -> None:
    if os.environ.get("OGIVE_UPDATE"):
        static.write()


def _holds(name: str, arch: int) -> None:
    made, told = static.row(name, arch), static.read()
    assert made.keys() == told[name][f"sm_{arch}"].keys()
    if told["triton"] == triton.__version__:  # another compiler takes other registers
        assert made == told[name][f"sm_{arch}"]
    elif static.lacking(name, arch) is None:
        assert made["matrix"] == told[name][f"sm_{arch}"]["matrix"]
        assert made["shared"] <= static.of_arch(arch).shared


@pytest.mark.parametrize(("name", "arch"), QUICK)
def test_a_kernel_takes_what_the_table_says(name: str, arch: int) -> None:
    _holds(name, arch)


@pytest.mark.long
@pytest.mark.parametrize(("name", "arch"), REST)
def test_every_kernel_takes_what_the_table_says(name: str, arch: int) -> None:
    _holds(name, arch)


def test_the_table_is_whole() -> None:
    told = static.read()
    assert set(told) == {"triton", *static.CASES} and len(static.CASES) >= 79 and set(QUICK) < set(static.ASKED)
    assert {(name, arch) for name in static.CASES for arch in told[name]} == {(n, f"sm_{a}") for n, a in static.ASKED}


@pytest.mark.parametrize("arch", static.ARCHES)
def test_everything_fits_and_uses_tensor_cores(arch: int) -> None:
    """Shared memory within the limit, few bytes spilled, and the matrix instruction of the generation; or a reason."""
    told = static.read()
    for name, (kernel, setting, _) in static.CASES.items():
        row = told[name][f"sm_{arch}"]
        lacking = static.lacking(name, arch)
        assert row.get("refused") == lacking, name
        if lacking is not None:
            continue
        facts = static.Facts(row["registers"], row["stack"], row["shared"], row["warps"], row["matrix"])
        assert refused(facts, static.of_arch(arch).shared) is None, name
        plain = kernel in static.NO_PRODUCTS or (setting.dtype == "fp32" and setting.precision == "ieee")
        assert row["matrix"] == ("fma" if plain else TENSOR_CORES[arch]), name


def test_what_an_architecture_lacks_is_refused() -> None:
    """FP8 before 8.9, and nothing else."""
    lacking = {(name, arch) for name, arch in static.ASKED if static.lacking(name, arch) is not None}
    assert lacking == {(name, arch) for name in static.CASES for arch in (80, 86) if name.startswith("int8-fp8")}
    assert len(lacking) == 14 and len(static.ASKED) == 6 * len(static.CASES)


def test_float32_is_no_tf32() -> None:
    """Products of a float32 kernel are float32's; only who asks by name gets TF32."""
    _, _, exact = static.compiled("dense 64 float32", 80)
    assert "tf32" not in exact.ptx and re.search(r"\bfma\.rn", exact.ptx)
    _, _, rounded = static.compiled("dense 64 tf32", 80)
    assert "tf32" in rounded.ptx and rounded.facts.matrix == "mma"


@pytest.mark.parametrize("name", ["int8 80", "int8-token 64"])
def test_codes_are_multiplied_as_integers(name: str) -> None:
    """By the warp-group instruction on 9.0; on 10.0 Triton has none but the old one, which the policy knows."""
    _, _, hopper = static.compiled(name, 90)
    assert re.search(r"wgmma\.mma_async\.sync\.aligned\.m64n\d+k32\.s32\.s8\.s8", hopper.ptx)
    _, _, ampere = static.compiled(name, 80)
    assert re.search(r"\bmma\.sync\.aligned\.m16n8k32\.[\w.]*s32\.s8\.s8", ampere.ptx)


def test_fp8_is_multiplied_as_fp8() -> None:
    _, _, hopper = static.compiled("int8-fp8 64", 90)
    assert re.search(r"wgmma\.mma_async\.sync\.aligned\.m64n\d+k32\.f32\.e4m3\.e4m3", hopper.ptx)
    assert re.search(r"wgmma\.mma_async\.sync\.aligned\.m64n\d+k32\.s32\.s8\.s8", hopper.ptx)
    _, _, ada = static.compiled("int8-fp8 64", 89)
    assert re.search(r"\bmma\.sync\.aligned\.m16n8k32\.[\w.]*f32\.e4m3\.e4m3", ada.ptx)


def test_what_does_not_fit_is_refused() -> None:
    facts = static.Facts(255, 0, 163_840, 8, "mma")
    assert "163,840 bytes of shared memory" in (refused(facts, static.of_arch(89).shared) or "")
    assert refused(facts, static.of_arch(90).shared) is None
    assert "744 bytes of each thread" in (refused(static.Facts(255, 744, 1024, 4, "fma"), 1 << 17) or "")
