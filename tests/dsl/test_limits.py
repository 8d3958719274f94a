"""Every limit from both sides: at the limit a file passes, one above it is refused with the limit's own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from building import mistakes, network

from ogive.dsl import limits
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.load import load_file, load_text


def rows(form: str, count: int, joint: str = "\n") -> str:
    return joint.join(form.format(i=i, j=i + 1) for i in range(count))


def nested(line: str, depth: int) -> str:
    return "\n".join("    " * i + line for i in range(depth)) + "\n" + "    " * depth + "relu"


def padded(size: int) -> str:
    text = network("relu") + "#"
    return text + "x" * (size - len(text))


def words(count: int) -> str:
    """A file of so many words and signs: each comment is one, with its line break."""
    text = network("relu")
    here = 1 + 4 + 8 + 2  # an empty line, `network N :`, `input x : B 8 H W`, `relu`, each with its line break
    return text + "#\n" * ((count - here) // 2) + "#" * ((count - here) % 2)


def key(parts: int, last: int = 1) -> str:
    return network(f'a = conv(8) as "{".".join(["a"] * (parts - 1) + ["a" * last])}"')


def blocks(depth: int) -> str:
    above = "".join(f"block B{i}:\n    input x: B C H W\n    B{i + 1}\n" for i in range(1, depth))
    return network("B1", above=above + f"block B{depth}:\n    input x: B C H W\n    relu\n")


def calls(count: int) -> str:
    return network(f"repeat {count}:\n    P", above="block P:\n    input x: B C H W\n    relu\n")


def steps(count: int) -> str:
    """A network's line counts one, `repeat` one, each time one, and each of its lines one."""
    each = 10
    inner = rows("k{i} = 1", each - 1)
    times, rest = divmod(count - 2, each)
    body = f"repeat {times}:\n" + "\n".join("    " + line for line in inner.split("\n"))
    return network("relu\n" + body + "\n" + rows("r{i} = 1", rest))


def presets(nodes: int, count: int) -> str:
    table = "".join(f"        p{i} {i + 1}\n" for i in range(count))
    return (f"network N(w):\n    presets w:\n{table}    input x: B 8 H W\n    repeat {nodes - 1}:\n        relu\n")


CASES: dict[str, tuple[str, Callable[[int], str]]] = {
    "FILE_BYTES": ("A501", padded),
    "TOKENS": ("A502", words),
    "BRACKET_DEPTH": ("A503", lambda n: network("k = " + "(" * n + "1" + ")" * n + "\nrelu")),
    "INDENT_DEPTH": ("A514", lambda n: "network N:\n    input x: B C\n" + "\n".join(
        "    " + line for line in nested("if True:", n - 1).split("\n")) + "\n"),
    "EXPRESSION_DEPTH": ("A504", lambda n: network("k = " + "-" * (n - 1) + "1\nrelu")),
    "NAME_LENGTH": ("A505", lambda n: network("a" * n + " = relu")),
    "KEY_LENGTH": ("A505", lambda n: key(8, n - 14 - len(".weight"))),
    "KEY_PARTS": ("A505", lambda n: key(n - 1)),
    "STRING_LENGTH": ("A506", lambda n: network(f'assert 1 == 1, "{"a" * (n - 2)}"\nrelu')),
    "LITERAL_DIGITS": ("A507", lambda n: network(f"k = {'9' * n}\nrelu")),
    "SIZE_PARTS": ("A507", lambda n: network(f"k = {'x'.join(['1'] * n)}\nrelu")),
    "INTEGER": ("A509", lambda n: network(f"k = 2 ** 62 + (2 ** 62 - 1) + {n - limits.INTEGER}\nrelu")),
    "DIM": ("A204", lambda n: f"network N:\n    input x: B {n}\n    relu\n"),
    "LIST": ("A509", lambda n: network(f"k = [{', '.join(['1'] * n)}]\nrelu")),
    "CALL_DEPTH": ("A512", blocks),
    "CALLS": ("A512", calls),
    "REGION_DEPTH": ("A510", lambda n: network(nested("s:", n))),
    "NODES": ("A511", lambda n: network(f"repeat {n - 1}:\n    relu")),
    "SEGMENTS": ("A509", lambda n: network(rows("t{i} = learned(1, 1, C)", n - 1) + "\n" + rows("t{i}", n - 1, ", ")
                                           + ", x -> concat", "input x: B N C=8")),
    "GUARDS": ("A513", lambda n: network(rows("assert H > {j}", n) + "\nrelu")),
    "STEPS": ("A513", steps),
    "RULES": ("A517", lambda n: network("relu") + "\nweights other of N:\n" + rows('    skip "a{i}"', n) + "\n"),
}
ELSEWHERE = {
    "IMPORT_FILES", "IMPORT_DEPTH", "DIAGNOSTICS", "FILE_STEPS", "NODE_STEPS", "MISTAKE_STEPS", "REREAD",  # below
    "FLAGS", "TRIES", "TRIED",  # tests of what calls decide, and of `?`
}


def codes(text: str) -> list[str]:
    return [d.code for d in mistakes(text)]


@pytest.mark.parametrize("name", CASES)
def test_both_sides(name: str) -> None:
    code, text = CASES[name]
    limit = getattr(limits, name)
    assert codes(text(limit)) == []
    assert codes(text(limit + 1)) == [code]


def test_every_limit_is_tested() -> None:
    assert set(limits.__all__) == set(CASES) | ELSEWHERE


def imported(folder: Path, links: dict[str, list[str]]) -> list[str]:
    """The codes of the file `a`, where each file imports others."""
    folder.mkdir()
    for name, others in links.items():
        lines = [f"from .{other} import P_{other}" for other in others]
        text = "\n".join([*lines, f"block P_{name}:", "    input x: B C", "    relu", ""])
        (folder / f"{name}.arch").write_text(text, encoding="utf-8")
    try:
        return [d.code for d in check(load_file(folder / "a.arch", folder)).mistakes]
    except ArchError as error:
        return list(error.codes)


def test_imports_deep(tmp_path: Path) -> None:
    def chain(length: int) -> dict[str, list[str]]:
        names = ["a", *(f"f{i}" for i in range(length - 1))]
        return {name: names[i + 1 : i + 2] for i, name in enumerate(names)}

    assert imported(tmp_path / "at", chain(limits.IMPORT_DEPTH)) == []
    assert imported(tmp_path / "above", chain(limits.IMPORT_DEPTH + 1)) == ["A508"]


def test_imports_many(tmp_path: Path) -> None:
    def star(count: int) -> dict[str, list[str]]:
        others = [f"f{i}" for i in range(count - 1)]
        return {"a": others, **{name: [] for name in others}}

    assert imported(tmp_path / "at", star(limits.IMPORT_FILES)) == []
    assert imported(tmp_path / "above", star(limits.IMPORT_FILES + 1)) == ["A508"]


def test_mistakes_shown() -> None:
    assert len(codes(network(rows("a{i} = b{i} + 1", limits.DIAGNOSTICS)))) == limits.DIAGNOSTICS
    assert len(codes(network(rows("a{i} = b{i} + 1", limits.DIAGNOSTICS + 50)))) == limits.DIAGNOSTICS
    broken = "".join(f"network N{i}:\n    input x: = B\n" for i in range(limits.DIAGNOSTICS + 50))
    assert len(codes(broken)) == limits.DIAGNOSTICS


@pytest.mark.long
def test_presets_of_a_file_count_together() -> None:
    """A node counts for `NODE_STEPS` and for the line that makes it, and each time of a repeat for one."""
    nodes = 1000
    each = nodes * (limits.NODE_STEPS + 2)
    assert codes(presets(nodes, limits.FILE_STEPS // each - 1)) == []
    assert codes(presets(nodes, limits.FILE_STEPS // each + 1)) == ["A515"]


def test_a_mistake_that_repeats_counts() -> None:
    times = limits.STEPS // limits.MISTAKE_STEPS
    assert codes(network(f"repeat {times // 2}:\n    y = nothing + 1")) == ["A101"]
    assert codes(network(f"repeat {times + 1}:\n    y = nothing + 1")) == ["A513", "A101"]


def test_mistakes_of_syntax_are_looked_for_as_long_as_there_is_time() -> None:
    line = "c{i} = conv(8, 3x3)"
    small, large = (rows(line, n) + "\na = = 3\nb = = 3\nc = = 3" for n in (20, limits.REREAD // 10))
    assert codes(network(small)) == ["A027"] * 3
    assert 1 <= len(codes(network(large))) < 3


def test_one_network_that_is_too_large_is_said_once() -> None:
    rows = "".join(f"        p{i}  {i}\n" for i in range(20))
    text = f"network N(n):\n    presets  n:\n{rows}    input x: B 8\n    repeat 200 as i:\n        repeat 200 as j:\n"
    text += "            dropout(n / 100)\n"
    found = check(load_text(text)).mistakes
    assert [d.code for d in found] == ["A511"]
