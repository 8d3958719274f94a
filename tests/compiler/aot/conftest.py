"""A build of a small network, made once for all tests of builds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ogive
from ogive.compiler.precision import precision_of
from ogive.compiler.targets import gpu_named

if TYPE_CHECKING:  # it takes Triton, and without it the tests of this folder are to say so
    from ogive.compiler.aot.build import Built

SMALL = """
network Small(dim=64):
    input x: B (h=14 w=14) C=dim
    table = relative_bias(2, 7)
    near:
        qkv = linear(3 * dim, bias=False)
        q, k, v = split(3)
        q, k, v -> attend(2, over=window(7), bias=table)
    far:
        qkv = linear(3 * dim, bias=False)
        q, k, v = split(3)
        q, k, v -> attend(2, over=axial("row"))
    head = linear(10)
"""


@pytest.fixture(scope="session")
def small() -> Built:
    from ogive.compiler.aot.build import build

    net = ogive.loads(SMALL)
    return build(net, "h200", gpu_named("h200", "a test"), precision_of("fp16"), "flash")


@pytest.fixture
def folder(small: Built, tmp_path: Path) -> Path:
    """The build on disk, for a test to damage."""
    from ogive.compiler.aot.build import write_build

    write_build(small, tmp_path / "build")
    return tmp_path / "build"


@pytest.fixture(scope="session")
def tools() -> Path:
    """NVIDIA's tools as Triton brings them."""
    from needs_triton import triton

    found = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    assert shutil.which("cuobjdump", path=str(found))
    return found
