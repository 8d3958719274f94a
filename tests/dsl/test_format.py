"""The canonical text: the same tree, every comment, and nothing left to do the second time."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogive.dsl import parse as parsing
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.format import format_text
from ogive.dsl.parse import parse
from ogive.dsl.source import Source

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = sorted((HERE / "corpus").glob("*.arch"))
FILES = [*CORPUS, *sorted((ROOT / "library").rglob("*.arch")), *sorted((ROOT / "examples").rglob("*.arch"))]
PIECES = re.compile(r'("[^"\n]*"|#[^\n]*| +)')


def formatted(text: str) -> str:
    return format_text(Source("x", text))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_same_tree_same_comments_and_nothing_left_to_do(path):
    text = read(path)
    once = formatted(text)
    assert parse(Source("x", once)) == parse(Source("x", text))
    assert comments(once) == comments(text)
    assert formatted(once) == once
    assert all(line == line.rstrip() for line in once.split("\n"))
    assert once.endswith("\n") and not once.endswith("\n\n") and "\n\n\n" not in once


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_is_canonical(path):
    assert formatted(read(path)) == read(path)


def test_the_corpus_has_every_construct():
    parser, layout = parsing._parser()
    wanted = {rule.alias or str(rule.origin.name) for rule in parser.rules if not rule.options.expand1 or rule.alias}
    found = set()
    for path in CORPUS:
        layout.source = Source(path.name, read(path))
        found |= {str(tree.data) for tree in parser.parse(read(path), start="start").iter_subtrees()}
    assert {name for name in wanted if not name.startswith("_")} <= found


def comments(text: str) -> list[str]:
    return [piece.strip() for piece in PIECES.findall(text.replace("\r", "")) if piece.startswith("#")]


@given(st.data())
@settings(max_examples=20)
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_blanks_do_not_matter(path, data):
    """Other indentation, other spaces, CRLF, trailing blanks, more blank lines: the same canonical text."""
    step = data.draw(st.sampled_from(["  ", "   ", "     ", "\t"]), "step")
    seed = data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8), "spaces")
    end = data.draw(st.sampled_from(["\n", " \n", "\r\n", "\t\r\n"]), "end")
    assert formatted(perturbed(read(path), step, seed, end)) == read(path)


def perturbed(text: str, step: str, seed: list[int], end: str) -> str:
    out = []
    for number, line in enumerate(text.split("\n")[:-1]):
        depth = len(line) - len(line.lstrip())
        code = "".join(_other(piece, seed[(number + i) % 8]) for i, piece in enumerate(PIECES.split(line.strip())))
        out.append(step * (depth // 4) + " " * (depth % 4) + code)
        if not line:
            out += [""] * seed[number % 8]
    return end.join([*out, ""])


def _other(piece: str, count: int) -> str:
    return " " * (count + 1) if piece.isspace() else piece


@given(st.sampled_from(CORPUS), st.sampled_from(["->", "=", ",", "+", "*", "/", "|", "=="]))
def test_spaces_around_signs_do_not_matter(path, sign):
    text = read(path)
    lines = [line if '"' in line or "#" in line else _tight(line, sign) for line in text.split("\n")]
    assert formatted("\n".join(lines)) == text


def _tight(line: str, sign: str) -> str:
    start = len(line) - len(line.lstrip())
    return line[:start] + re.sub(rf" *(?<=[\w )\]]){re.escape(sign)}(?=[\w (\[]) *", sign, line[start:])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # names and arrows over neighbouring lines
        ("a=relu\nlonger=a->gelu\nb=longer->relu", "a      = relu\nlonger = a      -> gelu\nb      = longer -> relu"),
        ("a = 1\n\nlonger = 2", "a = 1\n\nlonger = 2"),
        ("a = 1\n# why\nlonger = 2", "a = 1\n# why\nlonger = 2"),
        ("a = relu\nrelu\nlonger = relu", "a = relu\nrelu\nlonger = relu"),
        ("a = 1\na_name_that_is_far_longer = 2", "a = 1\na_name_that_is_far_longer = 2"),
        # settings, operators, signs
        ("conv( 64,3x3,stride = 2,groups=C//8,bias = - 1 )", "conv(64, 3x3, stride=2, groups = C // 8, bias=-1)"),
        ("f(a if b else c,x=not y)", "f(a if b else c, x = not y)"),
        ("y=2**n+(n+1)**2", "y = 2**n + (n + 1) ** 2"),
        ("y=x[ :s ]+x[0:C]", "y = x[:s] + x[0 : C]"),
        ("if(a)and not(b):\n    relu", "if (a) and not (b):\n    relu"),
        ("-  relu\n- -x\n-x", "- relu\n- -x\n-x"),
        # loops, lists, and what calls decide
        ("repeat 3 as i with y=x,z = [ x,y ] :\n    next y=y*2\n    next   z=z[ 1: ]+[y]",
         "repeat 3 as i with y = x, z = [x, y]:\n    next y = y * 2\n    next z = z[1:] + [y]"),
        ("s=scan a in xs,b in ys with h=zeros( 8 ):\n    next h=a+b\n    emit h,weight=b",
         "s = scan a in xs, b in ys with h = zeros(8):\n    next h = a + b\n    emit h, weight=b"),
        ("[a,b]->concat\nc=blocks[ : ].fc", "[a, b] -> concat\nc = blocks[:].fc"),
        ("repeat   reversed(maps) as  heads[m]:\n    - m->linear(2)\nreturn maps = heads[:],last=_",
         "repeat reversed(maps) as heads[m]:\n    - m -> linear(2)\nreturn maps=heads[:], last=_"),
        ("if  training:\n    relu\nelif not  mask:\n    tanh", "if training:\n    relu\nelif not mask:\n    tanh"),
        ("y=mask or  zeros(8)\nz = a  if training else b", "y = mask or zeros(8)\nz = a if training else b"),
        # the margin
        ("relu:B 2 * C H / 2 (1+h w)", f"{'relu':56}: B 2*C H/2 (1 + h w)"),
        ('relu as "a"# why', f"{'relu':56}as \"a\"{'':13} # why"),
        (f"relu  # {'a' * 90}", f"{'relu':56}# {'a' * 90}"),
        (f"{'x' * 60}:B\nrelu:B", f"{'x' * 60}    : B\n{'relu':64}: B"),
        (f"{'x' * 90}:B\nrelu:B", f"{'x' * 90}  : B\n{'relu':56}: B"),
        # lines of one statement
        ("f(a,\n  b,\n  c)", "f(a,\n  b,\n  c)"),
        ("rows = [[1,2],\n  [10,20]]", "rows = [[ 1,  2],\n        [10, 20]]"),
        ("f(\n      a,# one\n      # two\n      b\n)", f"f(\n    a,{'':50}# one\n    # two\n    b\n)"),
    ],
)
def test_rules(before, after):
    inside = "".join(f"    {line}\n" if line else "\n" for line in before.split("\n"))
    wanted = "".join(f"    {line}\n" if line else "\n" for line in after.split("\n"))
    head = "block X:\n    input x: B C\n\n"
    assert formatted(head + inside) == head + wanted


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\n\n", ""),
        ("# only words", "# only words\n"),
        ("\n\n# words\n\n\n\nblock X:\n\n    relu\n\n\n    gelu\n\n\n", "# words\n\nblock X:\n    relu\n\n    gelu\n"),
        ("block X:\n relu\n# Y's\nblock Y:\n relu", "block X:\n    relu\n\n# Y's\nblock Y:\n    relu\n"),
        ("block X:\n input maps:[B C h w],mask ? : B N of  bool\n if deep:\n  input y:B C",
         "block X:\n    input maps: [B C h w], mask?: B N of bool\n    if deep:\n        input y: B C\n"),
        ("from a import B\nblock Y:\n relu", "from a import B\n\nblock Y:\n    relu\n"),
        ("block X:\n  if a:\n    relu\n    # in\n  # out\n# top", None),
        (
            "network X(a, long_name):\n  presets a long_name:\n    Small 1 -\n    B 100 [1,2]\n"
            "  expect params:\n    B 1M\n  relu",
            "network X(a, long_name):\n    presets    a    long_name:\n        Small  1    -\n"
            "        B      100  [1, 2]\n    expect     params:\n        B      1M\n    relu\n",
        ),
    ],
)
def test_whole_files(before, after):
    if after is None:
        after = "block X:\n    if a:\n        relu\n        # in\n    # out\n\n# top\n"
    assert formatted(before) == after
    assert formatted(after) == after


def test_tabs_and_crlf():
    assert formatted("block X:\r\n\tinput x: B C\r\n\tif a:\r\n\t\trelu # why\r\n") == (
        f"block X:\n    input x: B C\n    if a:\n        {'relu':52}# why\n"
    )


def test_what_does_not_parse_is_refused():
    with pytest.raises(ArchError) as caught:
        formatted("block X:\n    y = x +\n")
    assert caught.value.codes == ("A002",)


def test_a_fault_of_the_formatter_writes_nothing(monkeypatch):
    monkeypatch.setattr("ogive.dsl.format_spaces._gap", lambda *_: 0)
    with pytest.raises(AssertionError):
        formatted("block X:\n    input x: B C\n    a if b else c\n")


def test_bodies_as_deep_as_they_may_stand():
    deep = "block X:\n" + "".join(f"{'  ' * (i + 1)}a:\n" for i in range(63)) + "  " * 64 + "relu\n"
    once = formatted(deep)
    assert formatted(once) == once


def test_time_is_linear():
    part = read(HERE / "corpus" / "statements.arch")  # 48 of them are 80 KB
    small, large = seconds(part * 12), seconds(part * 48)
    assert large < 12 * small + 1.0


def seconds(text: str) -> float:
    start = time.perf_counter()
    formatted(text)
    return time.perf_counter() - start
