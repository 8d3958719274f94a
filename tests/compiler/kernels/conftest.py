"""Triton reads TRITON_INTERPRET when it is imported, so these tests have a process of their own: `test_kernels.py`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

if os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob = ["test_*.py"]
else:
    import triton.language as tl
    from triton.runtime import interpreter

    own = interpreter._patch_lang

    def _patched_once(fn: Any) -> Any:
        """Words of the language are replaced where they are not yet. The interpreter does it anew whenever a kernel
        calls a function, which is half of its time."""
        if all(not tl.core.is_builtin(x.load) for x in _languages(fn)):
            return interpreter._LangPatchScope()
        return own(fn)

    @cache
    def _languages(fn: Any) -> list[Any]:
        return [x for x in fn.__globals__.values() if inspect.ismodule(x) and x in (tl, tl.core)]

    interpreter._patch_lang = _patched_once

    @pytest.fixture
    def unchecked() -> Iterator[None]:
        """Whether sums of 32 bits run over is not looked at, which is a third of the interpreter's time: GPUs do not
        look either."""
        builder = interpreter.interpreter_builder
        before = builder.options
        builder.options = replace(before, sanitize_overflow=False)
        yield
        builder.options = before
