"""Broken files: whatever stands in a file, checking it answers, and answers with diagnostics."""

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_text

LIBRARY = Path(__file__).parents[2] / "library"
TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|->|\*\*|//|[^\s\w]| +|\n")

EXTRA = """
block Part(width, act: op = relu, over: pattern = dense):
    input x: B N C
    assert C % width == 0, "no"
    shared g = linear(C)
    residual(drop_path=0.1):
        norm = layernorm(eps=1e-6)
        a, b, c = split(3)
        g
    y = x * 2 + 1
    y, x -> concat
    take(0, count=width)                 : B width C
    return _, rest=y

network Net(dim, sizes: [int] = [1, 2], kind: "a" | "b" = "a"):
    presets  dim  sizes:
        S    12   -
        M    24   [2, 2]
    expect params:
        S 10
    input image: B 3 H W, ids: B N of int
    side = max(2, len(sizes)) // 2
    image -> conv1 = conv(dim, 3x3, stride=2) as "stem.{side}"
    repeat sizes as t, i:
        max_pool(2)                      : B C H/4 W/4
    to_tokens                            : B (h w) C
    cls = learned(1, 1, dim)
    cls, _ -> concat                     : B (cls + h w) C
    repeat side as s:
        repeat 2 as blocks[s][j]:
            part, rest = Part(2 if kind == "a" else 3)
    wte = embedding(10, dim)
    if side > 1:
        head = linear(10, weight=wte.weight, bias=False)
    elif side == 1 and not kind == "b":
        scope:
            - linear(4)
            - relu
    else:
        m = blocks[0][1].part
    return head, tokens=blocks[0]

network Derived = Net.S(dim=3 * 4)
"""


def texts() -> list[str]:
    """The library's files, imports written out, with two small presets each, and one file with everything else."""
    parts = {path.stem: path.read_text(encoding="utf-8") for path in (LIBRARY / "std").glob("*.arch")}
    found = [EXTRA, EXTRA]
    for path in sorted(LIBRARY.glob("*.arch")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"^from std\.(\w+) import .*\n", lambda m: parts[m[1]], text, flags=re.M)
        text = re.sub(r"(?<= )(12|24|32|8)(?=  )", "2", re.sub(r"#.*", "", text))
        text = re.sub(r"\[3, (8|4), (6|23|36), 3\]|\[2, 2, 2, 2\]", "[1, 1, 1, 1]", text)
        text = re.sub(r"((?:presets|expect) .*:\n(?: {8}.*\n){2})(?: {8}.*\n)*", r"\1", text)
        found.append(text)
    return found


def kind_of(token: str) -> str:
    """Exchanging tokens of one kind mostly gives a file that still parses: so the builder is reached."""
    if token[0].isalpha():
        return "name"
    return "number" if token[0].isdigit() else "operator" if token in "+-*/%" else token


def mutated(text: str, random_: random.Random, words: list[str]) -> str:
    """One to three tokens or lines deleted, doubled, exchanged, replaced."""
    for _ in range(random_.randint(1, 3)):
        by_line = random_.random() < 0.3
        parts = text.splitlines(keepends=True) if by_line else TOKEN.findall(text)
        if not parts:
            return text
        i, j = random_.randrange(len(parts)), random_.randrange(len(parts))
        choice = random_.randrange(12)
        if choice == 0:
            del parts[i]
        elif choice == 1:
            parts.insert(i, parts[j])
        elif choice == 2:
            parts[i] *= 2
        elif by_line:
            parts[i], parts[j] = parts[j], parts[i]
        else:
            i = next((k for k in range(i, len(parts)) if parts[k].strip()), i)
            like = [word for word in words if kind_of(word) == kind_of(parts[i])]
            parts[i] = random_.choice(words if choice == 3 else like or words)
        text = "".join(parts)
    return text


def vocabulary(found: list[str]) -> list[str]:
    words = {token for text in found for token in TOKEN.findall(text) if token.strip()}
    return sorted(words | {
        "0", "-1", "99999999999", "1e308", "0.5", "3x5", "7 // 0", "7 % 0", "9 ** 99", "None", "True", "x.y", "x[0]",
        "_", "H", "?", "training", "(relu)", "[relu]", "[]", "repeat", "window(7)", "max", "x", "a + b", "x * 2",
    })


def answered(text: str) -> None:
    with suppress(ArchError):
        check(load_text(text))


@pytest.mark.parametrize(("seed", "variants"), [(0, 60), *(
    pytest.param(seed, 400, marks=[pytest.mark.long]) for seed in range(1, 5)
)])
def test_mutated_files_answer(seed: int, variants: int) -> None:
    found = texts()
    words = vocabulary(found)
    random_ = random.Random(seed)
    for i in range(variants):
        text = mutated(random_.choice(found), random_, words)
        started = time.process_time()
        try:
            answered(text)
        except Exception as error:
            pytest.fail(f"seed {seed}, variant {i}: {type(error).__name__}: {error}\n{text}")
        assert time.process_time() - started < 30, f"seed {seed}, variant {i} takes long:\n{text}"
