"""The loop over full tiles, as machine code: a set of pairs costs nothing there, only tiles at its border do."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import static_kernels as static

from ogive.compiler.aot.compiled import Compiled, compile_kernel

PRODUCTS = ("HMMA", "HGMMA", "UTCHMMA")
INTEGERS = re.compile(r"V?U?(IADD3?|IMAD|LOP3|ISETP|LEA|SHF|PRMT|IMNMX\w*|IADDMNMX)")


def loops(made: Compiled, tools: Path, folder: Path) -> list[Counter[str]]:
    """The instructions of each innermost loop with matrix products, by their first word, in the order they stand."""
    (folder / "kernel.cubin").write_bytes(made.cubin)
    done = subprocess.run([tools / "cuobjdump", "-sass", folder / "kernel.cubin"], capture_output=True, check=True)
    code = [(int(at, 16), op) for at, op in re.findall(r"/\*([0-9a-f]{4,})\*/\s+(.*?);", done.stdout.decode())]
    found = []
    for at, op in code:
        to = re.search(r"\bBRA\b.*\b0x([0-9a-f]+)", op)
        if to is None or int(to[1], 16) >= at:
            continue
        body = [x for place, x in code if int(to[1], 16) <= place <= at]
        words = Counter(re.sub(r"^@!?U?P\w+\s+", "", x).split()[0].split(".")[0] for x in body)
        if any(words[x] for x in PRODUCTS):
            found.append(words)
    return found


@pytest.mark.parametrize("name", ["band 64", "lists 64"])
def test_full_tiles_do_not_ask_which_pairs_are_seen(name: str, tools: Path, tmp_path: Path) -> None:
    """As many products and exponentials as dense attention in the same tiles; a list looks up its next tile besides,
    which is at most three instructions in a hundred, a band nothing."""
    kernel, setting, made = static.compiled(name, 90)
    dense, _ = loops(compile_kernel(kernel, replace(setting, keep="all"), 90), tools, tmp_path)
    full, border = loops(made, tools, tmp_path)
    for word in (*PRODUCTS, "MUFU"):
        assert full[word] == dense[word] == border[word]
    assert dense["HGMMA"] > 0 and dense["MUFU"] > 30
    integers = [sum(n for word, n in loop.items() if INTEGERS.fullmatch(word)) for loop in (dense, full)]
    assert integers[0] > 0 and abs(integers[1] - integers[0]) <= 0.03 * dense.total()
    assert dense.total() <= full.total() <= 1.03 * dense.total() < border.total()
