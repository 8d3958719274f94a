"""What holds for every test: cores shared out between workers, no deadline for examples of hypothesis, one seed."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import settings

# Read by torch when it is imported; with a thread per core in each worker, the workers would wait for each other.
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _workers > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _workers)))

settings.register_profile("ogive", deadline=None)
settings.load_profile("ogive")


@pytest.fixture(autouse=True)
def _drawn_alike() -> None:
    """What a test draws is drawn again the next time; a test that needs no torch does not load it for this."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
