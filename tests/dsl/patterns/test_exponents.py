"""How the pair count grows with the number of positions: the exponents that `bench/pairs.py` prints."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from house.plan import ROOT


def _bench() -> Any:
    spec = importlib.util.spec_from_file_location("bench_pairs", ROOT / "bench" / "pairs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCH = _bench()
BY_ROWS = {name for name in BENCH.KINDS if "|" in name}


@pytest.mark.parametrize("name", BENCH.KINDS)
def test_exponents(name: str) -> None:
    pattern, wanted, room = BENCH.KINDS[name]
    sides = BENCH.SIDES[:3] if name in BY_ROWS else BENCH.SIDES  # a union is counted row by row
    assert BENCH.exponent(pattern, sides) == pytest.approx(wanted, abs=room + 1e-9)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(BY_ROWS))
def test_exponents_of_unions(name: str) -> None:
    pattern, wanted, room = BENCH.KINDS[name]
    assert BENCH.exponent(pattern) == pytest.approx(wanted, abs=room)


def test_another_exponent_is_seen() -> None:
    window, dense = (BENCH.KINDS[name][0] for name in ("window(8)", "dense"))
    assert BENCH.exponent(lambda side: window(side) if side < 256 else dense(side)) > 1.5
