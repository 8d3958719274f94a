"""Triton reads TRITON_INTERPRET when it is imported, so these tests have a process of their own: `test_kernels.py`."""

import os

if os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob = ["test_*.py"]
