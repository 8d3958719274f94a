"""What Triton compiles at a call is asked for what it takes before it is launched, once for each kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import static_kernels as static
import torch

from ogive.compiler.kernels import fits, launch
from ogive.compiler.kernels.attention import Walked
from ogive.compiler.kernels.ready import DEVICE, NoKernel
from ogive.dsl.pattern_text import pattern_of

ENDS = (0, 0, 40), (0, 0, 40)


class Function:
    """In place of a Triton function: what it is compiled to is given, and launches are counted."""

    def __init__(self, names: list[str], made: Any) -> None:
        self.arg_names, self.made = names, made
        self.compiled = self.launched = 0

    def warmup(self, **told: Any) -> Any:
        self.compiled += 1
        return self.made

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def run(**told: Any) -> None:
            self.launched += 1

        return run


@pytest.fixture
def spilled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    """A kernel of which each thread keeps some bytes in memory, in place of all."""
    kernel, _, made = static.compiled("shifted window 32 with a table", 80)
    assert 0 < made.facts.stack <= fits.MOST_STACK
    function = Function(kernel.function.arg_names, SimpleNamespace(
        asm={"cubin": made.cubin}, metadata=SimpleNamespace(shared=made.facts.shared)))
    monkeypatch.setattr(launch, "_function", lambda name: function)
    monkeypatch.setattr(launch, "FIT", set())
    token = DEVICE.set(static.of_arch(80))
    yield function
    DEVICE.reset(token)


def _answer() -> tuple[Walked, torch.Tensor | None]:
    walked = Walked(pattern_of("window(8)"), (0, 1), None)
    q = torch.zeros(1, 2, 40, 32, dtype=torch.float16)
    return walked, walked.tried(q, q, q, *ENDS, None, None, None, 0.0)


def test_what_fits_is_asked_once(spilled: Function) -> None:
    for _ in range(3):
        walked, out = _answer()
        assert out is not None and walked.declined is None
    assert (spilled.compiled, spilled.launched) == (1, 3)


def test_what_spills_too_much_is_not_launched(spilled: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "MOST_STACK", 16)
    walked, out = _answer()
    assert out is None and spilled.launched == 0
    assert "`attention_forward` does not fit this GPU" in str(walked.declined) and "at most 16" in str(walked.declined)
    with pytest.raises(NoKernel) as caught:
        walked.attend(*torch.zeros(3, 1, 2, 40, 32, dtype=torch.float16), *ENDS, None, None, None, 0.0)
    assert caught.value.codes == ("A744",)


def test_shared_memory_that_a_block_has_not(spilled: Function) -> None:
    spilled.made.metadata.shared = 1 << 20
    walked, out = _answer()
    assert out is None and "1,048,576 bytes of shared memory" in str(walked.declined)
