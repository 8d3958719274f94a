"""Triton, for tests that compile kernels; who imports this file is skipped where it is not installed."""

from __future__ import annotations

import pytest

__all__ = ["INSTALL", "triton"]

INSTALL = "Triton is not installed: pip install -e .[gpu], on Linux"

triton = pytest.importorskip("triton", reason=INSTALL)
