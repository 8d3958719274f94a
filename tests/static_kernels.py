"""The kernels of attention that the static table holds, by architecture: registers, stack, shared memory.

    OGIVE_UPDATE=1 python -m pytest tests/compiler/aot/test_table.py -m "long or not long"

compiles all of them, in two processes, and writes the table. Triton keeps what it compiled by a hash of the source.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from needs_triton import triton

from ogive.compiler.aot.compiled import Compiled, Facts, compile_kernel, refused
from ogive.compiler.kernels.choice import Use, codes
from ogive.compiler.kernels.int8_operator import FORMS
from ogive.compiler.kernels.registry import KERNELS, Kernel
from ogive.compiler.kernels.setting import Int8, Setting, tiled
from ogive.compiler.policy import no_form
from ogive.compiler.targets import TARGETS, Gpu

__all__ = ["ARCHES", "ASKED", "CASES", "TABLE", "Facts", "NO_PRODUCTS", "compiled", "lacking", "of_arch", "read",
           "row", "write"]

TABLE: Final = Path(__file__).parent / "compiler" / "aot" / "kernels.json"

ARCHES: Final = (80, 86, 89, 90, 100, 120)

FORWARD, QUERIES, KEYS = "attention_forward", "attention_backward_queries", "attention_backward_keys"
DELTA, SCORES = "attention_delta", "attention_backward_scores"
INT8, MEANS, CODES = "attention_int8_forward", "attention_int8_means", "attention_int8_codes"


def _plain(width: int, dtype: str = "bf16", **more: Any) -> Setting:
    return Setting(dtype, width, width, **more)  # type: ignore[arg-type]


def _use(width: int, int8: Int8) -> Use:
    return Use("fp16", width, width, int8=int8)


_LONG: Final = (4096, 4096)
_WINDOW: Final = (49, 49)
_SWIN: Final = {"q_map": "split", "k_map": "split", "bias": "table"}
_SHIFTED: Final = {"q_map": "table", "k_map": "table", "bias": "table", "keep": "list"}

CASES: Final[dict[str, tuple[str, Setting, tuple[int, int]]]] = {
    **{f"dense {d}": (FORWARD, _plain(d), _LONG) for d in (32, 64, 72, 80, 96, 128, 256)},
    "dense 64 fp16": (FORWARD, _plain(64, "fp16"), _LONG),
    "dense 64 float32": (FORWARD, _plain(64, "fp32"), _LONG),
    "dense 64 tf32": (FORWARD, _plain(64, "fp32", precision="tf32"), _LONG),
    "dense 64 of 197": (FORWARD, _plain(64), (197, 197)),
    "band 64": (FORWARD, _plain(64, keep="band"), _LONG),
    "band 128": (FORWARD, _plain(128, keep="band"), _LONG),
    "lists 64": (FORWARD, _plain(64, keep="list"), _LONG),
    "lists 128": (FORWARD, _plain(128, keep="list"), _LONG),
    "lists 64 of some heads": (FORWARD, _plain(64, keep="list", heads_listed=True), _LONG),
    "window 32": (FORWARD, _plain(32, q_map="split", k_map="split"), _WINDOW),
    "window 32 with a table": (FORWARD, _plain(32, **_SWIN), _WINDOW),
    "shifted window 32 with a table": (FORWARD, _plain(32, **_SHIFTED), _WINDOW),
    "window 32 with a table, float32": (FORWARD, _plain(32, "fp32", **_SWIN), _WINDOW),
    "written out 32 with a table": (FORWARD, _plain(32, q_map="table", k_map="table", bias="table"), _WINDOW),
    "lists 32 with a table": (FORWARD, _plain(32, keep="list", bias="table"), (196, 196)),
    "decomposed 64": (FORWARD, _plain(64, bias="places", axes=2), _LONG),
    "decomposed 80": (FORWARD, _plain(80, bias="places", axes=2), _LONG),
    "decomposed 80 in windows": (FORWARD, _plain(80, bias="places", axes=2, q_map="split", k_map="split"), (196, 196)),
    "slopes 64": (FORWARD, _plain(64, bias="slopes", keep="band"), _LONG),
    "padding 64": (FORWARD, _plain(64, mask="bool", mask_rows=True), _LONG),
    "mask of pairs 64": (FORWARD, _plain(64, mask="bool"), _LONG),
    "added 64": (FORWARD, _plain(64, mask="float"), _LONG),
    "dropout 64": (FORWARD, _plain(64, dropout=True), _LONG),
    "merged 64": (FORWARD, _plain(64, merge=True, wide=True, q_map="split", k_map="split"), (197, 197)),
    **{f"dq {d}": (QUERIES, _plain(d, merge=True), _LONG) for d in (32, 64, 80, 128, 256)},
    **{f"dk, dv {d}": (KEYS, _plain(d, merge=True), _LONG) for d in (32, 64, 80, 128, 256)},
    "dq 32 with a table": (QUERIES, _plain(32, merge=True, **_SWIN), _WINDOW),
    "dk, dv 32 with a table": (KEYS, _plain(32, merge=True, **_SWIN), _WINDOW),
    "dq 32 shifted, with a table": (QUERIES, _plain(32, **_SHIFTED), _WINDOW),
    "dk, dv 32 shifted, with a table": (KEYS, _plain(32, **_SHIFTED), _WINDOW),
    "dq 64 lists": (QUERIES, _plain(64, merge=True, keep="list"), _LONG),
    "dk, dv 64 lists": (KEYS, _plain(64, merge=True, keep="list"), _LONG),
    "delta 64": (DELTA, _plain(64), _LONG),
    "gradient of a table 32": (SCORES, _plain(32, **_SWIN), _WINDOW),
    "gradient of slopes 64": (SCORES, _plain(64, bias="slopes"), _LONG),
    "gradient of a mask 64": (SCORES, _plain(64, mask="float"), _LONG),
    "dq 64 float32": (QUERIES, _plain(64, "fp32", merge=True), _LONG),
    "dk, dv 64 float32": (KEYS, _plain(64, "fp32", merge=True), _LONG),
    **{f"int8 means {d}": (MEANS, codes(_use(d, "token")), _LONG) for d in (64, 128)},
    **{f"{form} codes {d}": (CODES, codes(_use(d, kind)), _LONG)
       for form, kind in FORMS.items() for d in (64, 80, 128)},
    **{f"{form} {d}": (INT8, _plain(d, "fp16", int8=kind), _LONG)
       for form, kind in FORMS.items() for d in (32, 64, 80, 128)},
    "int8 80 decomposed": (INT8, _plain(80, "fp16", bias="places", axes=2, int8="block"), _LONG),
    "int8 64 lists": (INT8, _plain(64, "fp16", keep="list", int8="block"), _LONG),
    "int8 32 in windows with a table": (INT8, _plain(32, "fp16", int8="block", **_SWIN), _WINDOW),
}
"""By name: the kernel, its setting without tiles, and how many queries and keys an entry has."""

NO_PRODUCTS: Final = (DELTA, MEANS, CODES)
"""Kernels without products of matrices; their tiles are the same everywhere."""

ASKED: Final = tuple((name, arch) for name in CASES for arch in ARCHES)
"""The rows of the table."""


def of_arch(arch: int) -> Gpu:
    """A GPU of an architecture."""
    return next(t.gpu for t in TARGETS.values() if t.gpu is not None and t.gpu.capability == arch)


def compiled(name: str, arch: int) -> tuple[Kernel, Setting, Compiled]:
    """A case on an architecture, with the tiles that it gets there."""
    kernel, made, size = CASES[name]
    if kernel not in NO_PRODUCTS:
        made = tiled(made, of_arch(arch), *size, backward=kernel not in (FORWARD, INT8), by_keys=kernel == KEYS)
    return KERNELS[kernel], made, compile_kernel(KERNELS[kernel], made, arch)


def lacking(name: str, arch: int) -> str | None:
    """Why an architecture does not have a kernel; None where it does."""
    kind = CASES[name][1].int8
    return next((no_form(word, of_arch(arch)) for word, of in FORMS.items() if of == kind), None)


def row(name: str, arch: int) -> dict[str, Any]:
    """What the table says of a case on an architecture: what it takes, and why it is refused if it is."""
    if (reason := lacking(name, arch)) is not None:
        return {"refused": reason}
    _, setting, made = compiled(name, arch)
    found = {**asdict(made.facts), "tiles": f"{setting.block_m} x {setting.block_n}, {setting.stages} stages"}
    reason = refused(made.facts, of_arch(arch).shared)
    return found if reason is None else {**found, "refused": reason}


def read() -> dict[str, Any]:
    """The table, as it is checked in."""
    return json.loads(TABLE.read_text("utf-8"))  # type: ignore[no-any-return]


def write() -> None:
    """Compile all cases and write the table."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        rows = list(pool.map(row, *zip(*ASKED, strict=True)))
    found: dict[str, Any] = {}
    for (name, arch), made in zip(ASKED, rows, strict=True):
        found.setdefault(name, {})[f"sm_{arch}"] = made
    lines = []
    for name, of in found.items():
        rows_of = ",\n".join(f"    {json.dumps(arch)}: {json.dumps(made)}" for arch, made in of.items())
        lines.append(f"  {json.dumps(name)}: {{\n{rows_of}\n  }}")
    lines.insert(0, f'  "triton": {json.dumps(triton.__version__)}')
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
