"""Settings that were measured: the fastest is found and kept, damage is a miss, and processes share the cache."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from ogive.compiler.kernels import tuned
from ogive.compiler.kernels.setting import Setting, shared_bytes
from ogive.compiler.kernels.tuned import BEST, Tuned, best, candidates, tune
from ogive.compiler.targets import gpu_named

PLAIN = Setting("bf16", 64, 64, 128, 64, 8, 3)
FAST = replace(PLAIN, block_m=64, block_n=128, warps=4, stages=2)
ABOUT = {"device": "a test", "torch": "1", "triton": "2", "driver": "3"}
GPU = gpu_named("h200", "a test")


def cost(setting: Setting) -> float:
    """Seconds of a device on which one setting is best."""
    return 1.0 if setting == FAST else 2.0 + setting.stages


@pytest.fixture(autouse=True)
def _forget() -> None:
    BEST.clear()


def test_the_fastest_is_found_kept_and_used(tmp_path: Path) -> None:
    kept, asked = Tuned(tmp_path / "cache", ABOUT), []

    def measure(setting: Setting) -> float:
        asked.append(setting)
        return cost(setting)

    assert tune("attention_forward", PLAIN, GPU, measure, kept, 60) == FAST == best("attention_forward", PLAIN)
    assert best("attention_backward_keys", PLAIN) == PLAIN and len(asked) > 20
    BEST.clear()
    asked.clear()
    assert tune("attention_forward", PLAIN, GPU, measure, kept, 60) == FAST and not asked
    other = Tuned(tmp_path / "cache", {**ABOUT, "driver": "4"})
    assert other.get("attention_forward", PLAIN) is None, "another driver is another measurement"


def test_time_that_is_over_ends_it_and_nothing_is_kept(tmp_path: Path) -> None:
    clock = iter(range(1000))
    kept = Tuned(tmp_path, ABOUT)
    tune("attention_forward", PLAIN, GPU, cost, kept, 3, clock=lambda: float(next(clock)))
    assert next(clock) < 8 and kept.get("attention_forward", PLAIN) is None


def test_candidates_fit_the_device() -> None:
    small = gpu_named("rtx4090", "a test")
    made = list(candidates(replace(PLAIN, width=128, values=128), small))
    assert made and all(shared_bytes(x) <= small.shared for x in made)
    lists = list(candidates(replace(PLAIN, keep="list", block_m=64), GPU))
    assert lists and {(x.block_m, x.block_n) for x in lists} == {(64, 64)}, "tiles of lists are those of the tables"


@pytest.mark.parametrize("damage", [
    b"", b"{", b"[1]", b"\xff\xfe", b'{"block_m": 64}', b'{"block_m": true, "block_n": 64, "warps": 4, "stages": 2}',
    b'{"block_m": 65, "block_n": 64, "warps": 4, "stages": 2}', b"[" * 50_000, b" " * 70_000,
])
def test_a_damaged_entry_is_a_miss(damage: bytes, tmp_path: Path) -> None:
    kept = Tuned(tmp_path, ABOUT)
    kept.put("attention_forward", PLAIN, FAST, 1.0)
    assert kept.get("attention_forward", PLAIN) == FAST
    path, = tmp_path.iterdir()
    path.write_bytes(damage)
    assert kept.get("attention_forward", PLAIN) is None
    assert tune("attention_forward", PLAIN, GPU, cost, kept, 60) == FAST == kept.get("attention_forward", PLAIN)


def test_tiles_of_lists_cannot_be_changed_by_an_entry(tmp_path: Path) -> None:
    kept, lists = Tuned(tmp_path, ABOUT), replace(PLAIN, keep="list", block_m=64)
    kept.put("attention_forward", lists, replace(lists, block_m=128), 1.0)
    assert kept.get("attention_forward", lists) is None


def test_another_source_is_another_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Tuned(tmp_path, ABOUT)
    kept.put("attention_forward", PLAIN, FAST, 1.0)
    monkeypatch.setattr(tuned, "source_hash", lambda: "changed")
    assert kept.get("attention_forward", PLAIN) is None


def _write(folder: str) -> bool:
    kept = Tuned(Path(folder), ABOUT)
    for _ in range(50):
        kept.put("attention_forward", PLAIN, FAST, 1.0)
        if kept.get("attention_forward", PLAIN) != FAST:
            return False
    return True


def test_sixteen_processes_share_it(tmp_path: Path) -> None:
    with ProcessPoolExecutor(16, get_context("fork")) as pool:
        assert all(pool.map(_write, [str(tmp_path)] * 16))
    assert len(list(tmp_path.iterdir())) == 1, "no drafts are left"
