"""The fuzzer itself (`hostile/fuzz.py`): inputs by number, going on where it stopped, and failures that are seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import fuzz


def test_an_input_is_its_number() -> None:
    assert [fuzz.made(n) for n in range(60)] == [fuzz.made(n) for n in range(60)]
    assert len({fuzz.made(n) for n in range(60)}) > 50


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    monkeypatch.setattr(fuzz, "attempt", lambda data: tried.append(data) or "")
    fuzz.run(10, tmp_path, 0, 2, say=lambda line: None)
    fuzz.run(20, tmp_path, 0, 2, say=lambda line: None)
    fuzz.run(20, tmp_path, 1, 2, say=lambda line: None)
    assert sorted(tried) == sorted(fuzz.made(n) for n in range(20))


def test_failures_are_seen_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(fuzz, "_formatted", broken)
    monkeypatch.setattr(fuzz, "made", lambda number: b"network N:\n")
    (found,) = fuzz.run(1, tmp_path, say=lambda line: None)
    assert "input 0: KeyError: 'planted' (test_fuzz.py:" in found
    assert (tmp_path / "failure-0.arch").read_bytes() == b"network N:\n"


def test_what_takes_long_and_what_does_not_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", -1.0)
    assert "seconds" in fuzz.attempt(b"network N:\n    input x: B C\n    relu\n")
    monkeypatch.setattr(fuzz, "STOP", 1)

    def endless(text: str) -> None:
        while True:
            pass

    monkeypatch.setattr(fuzz, "_checked", endless)
    monkeypatch.setattr(fuzz, "made", lambda number: b"network N:\n")
    (found,) = fuzz.run(1, tmp_path, say=lambda line: None)
    assert "did not end" in found
    assert (tmp_path / "failure-0.arch").read_bytes() == b"network N:\n"


def test_some_inputs(tmp_path: Path) -> None:
    assert fuzz.run(200, tmp_path, say=lambda line: None) == []
