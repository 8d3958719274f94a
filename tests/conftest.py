"""What holds for every test: the cores are shared out between workers, and examples of hypothesis have no deadline."""

from __future__ import annotations

import os

from hypothesis import settings

# Read by torch when it is imported; with a thread per core in each worker, the workers would wait for each other.
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _workers > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _workers)))

settings.register_profile("ogive", deadline=None)
settings.load_profile("ogive")
