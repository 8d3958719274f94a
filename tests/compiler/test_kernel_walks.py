"""What kernels walk through is the set, each pair once: decoded from the spec and its tables as kernels read them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from attention_cases import SPACES, named, pattern_of, seen, user_cases

from ogive.compiler.kernels.biases import Looked
from ogive.compiler.kernels.joined import joined
from ogive.compiler.kernels.setting import halves
from ogive.compiler.kernels.spec import Piece, Places, parse
from ogive.compiler.kernels.tables import Tables
from ogive.compiler.kernels.walk import walk
from ogive.compiler.kernels.ways import NO_BITS, Way
from ogive.compiler.lower.attention_biases import OffsetBias
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.parts import plan
from ogive.dsl.patterns.space import Space

HEADS = 2


def positions(tables: np.ndarray, places: Places, entry: int) -> list[int]:
    a, b, c = places.numbers
    match places.map:
        case "line":
            return [a + entry * b + i for i in range(places.count)]
        case "split":
            return [int((tables[a + entry] if i < c else 0) + tables[b + i]) for i in range(places.count)]
    return [int(x) for x in tables[a + entry * places.count : a + (entry + 1) * places.count]]


def pairs(tables: np.ndarray, piece: Piece, by_keys: bool = False) -> Iterator[tuple[int, int]]:
    """The pairs of a piece, from the lists of queries or from those of keys."""
    for entry in range(piece.entries):
        q, k = (positions(tables, x, entry) for x in (piece.q, piece.k))
        if piece.keep != "list":
            yield from ((a, b) for i, a in enumerate(q) for j, b in enumerate(k) if piece.lower <= j - i <= piece.upper)
            continue
        lists = piece.lists
        assert lists is not None
        m, n = lists.block_m, lists.block_n
        starts, items = (lists.columns, lists.column_items) if by_keys else (lists.rows, lists.row_items)
        mine = -(-len(k) // n) if by_keys else -(-len(q) // m)
        for tile in range(mine):
            at = starts + 4 * (entry * lists.each * mine + tile)
            ends = [int(x) for x in tables[at : at + 4]]
            for t in (*range(ends[0], ends[1]), *range(ends[2], ends[3])):
                other, block = (int(x) for x in tables[items + 2 * t : items + 2 * t + 2])
                i0, j0 = (other * m, tile * n) if by_keys else (tile * m, other * n)
                for i in range(i0, min(i0 + m, len(q))):
                    for j in range(j0, min(j0 + n, len(k))):
                        if t < ends[1] or _bit(tables, lists.bits, block, i - i0, j - j0, m, n):
                            yield q[i], k[j]


def _bit(tables: np.ndarray, bits: int, block: int, i: int, j: int, m: int, n: int) -> bool:
    if block == NO_BITS:
        return True
    words = -(-n // 32)
    return bool(int(tables[bits + (block * m + i) * words + j // 32]) >> (j % 32) & 1)


def held(p: Pattern, space: Space, way: Way, tile: int) -> None:
    tables = Tables()
    spec = parse(walk(p, space, range(HEADS), tables, tile, way=way).text())
    numbers = tables.tensor().numpy()
    for by_keys in (False, True):
        found: list[Counter[tuple[int, int]]] = [Counter() for _ in range(HEADS)]
        for piece in spec.pieces:
            there = Counter(pairs(numbers, piece, by_keys))
            mine = range(HEADS) if piece.heads is None else numbers[piece.heads[0] : sum(piece.heads)]
            for head in mine:
                if not by_keys:
                    merged = {q for q, _ in there} & {q for q, _ in found[head]}
                    assert piece.merge or not merged
                found[head] += there
        for head in range(HEADS):
            assert max(found[head].values(), default=1) == 1
            assert set(found[head]) == seen(p, space, head)


@pytest.mark.parametrize(("way", "first"), [("parts", 0), ("list", 1), ("cheapest", 2)])
@pytest.mark.parametrize("name", SPACES)
def test_each_pair_is_walked_once(name: str, way: Way, first: int) -> None:
    """Some of the patterns by each way; all of them at length."""
    for text in named(SPACES[name])[first::9]:
        held(pattern_of(text), SPACES[name], way, 16)


@pytest.mark.long
@pytest.mark.parametrize("way", ["parts", "list", "cheapest"])
@pytest.mark.parametrize("name", SPACES)
def test_each_pair_of_all_patterns_is_walked_once(name: str, way: Way) -> None:
    for text in named(SPACES[name]):
        held(pattern_of(text), SPACES[name], way, 16)


@pytest.mark.parametrize(("size", "shift", "grid", "prefix"), [
    ((7, 7), 3, (14, 21), 0), ((8, 8), 4, (16, 16), 0),
    *(pytest.param(*x, marks=pytest.mark.long) for x in (
        ((7, 7), 3, (21, 21), 2), ((7, 7), 2, (21, 14), 0), ((2, 7, 7), 1, (4, 14, 14), 0))),
])
def test_shifted_windows_are_one_launch(
    size: tuple[int, ...], shift: int, grid: tuple[int, ...], prefix: int
) -> None:
    """Pieces at the borders stand in the places of a window, a table is looked up alike; whole windows have no bits.

    Tokens before the grid are keys of every window; their own answers are another launch.
    """
    p = pattern_of(f"window({'x'.join(map(str, size))}, shift={shift})" + " | prefix" * bool(prefix))
    space, tables, ends, one = Space.of(*grid, prefix=prefix), Tables(), (prefix, 0, *grid), (1,) * len(grid)
    spec = walk(p, space, (0,), tables, 128, Looked(OffsetBias(1, size, "swin", prefix, one, one), ends, ends))
    piece = spec.pieces[0]
    assert len(spec.pieces) == 1 + bool(prefix) and spec.once and piece.alike and piece.lists is not None
    assert (piece.entries, piece.q.count) == (math.prod(grid) // math.prod(size), math.prod(size))
    assert max(piece.lists.block_m, piece.lists.block_n) <= 128 and piece.k.count <= 128
    numbers = tables.tensor().numpy()
    ends = numbers[piece.lists.rows :][: 4 * piece.entries].reshape(-1, 4)
    asked = [t for row in ends for t in range(row[2], row[3]) if numbers[piece.lists.row_items + 2 * t + 1] != NO_BITS]
    whole = math.prod(n // w - 1 for n, w in zip(grid, size, strict=True))
    assert 0 < len(asked) == piece.entries - whole < piece.entries
    held(p, space, "cheapest", 64)


def test_pieces_that_fill_no_window_stay_as_they_are() -> None:
    made = plan(pattern_of("window(7, shift=3)"), Space.of(40, 7)).parts
    assert len(made) > 1 and joined(made) == list(made)


def test_arithmetic_becomes_bits() -> None:
    for text, name in user_cases(40):
        held(pattern_of("drawn", text), SPACES[name], "cheapest", 16)


@pytest.mark.parametrize("over", [
    "sliding(9)", "block(16) | global_tokens(2) | random(2, of=16)", "window(7, shift=3) | prefix", "causal",
])
def test_full_tiles_are_not_asked(over: str) -> None:
    """Lists hold as many full tiles as there are, and tiles with bits are few."""
    space = Space.of(14, 14, prefix=1)
    tables = Tables()
    spec = walk(pattern_of(over), space, (0,), tables, 16, way="list")
    (piece,) = spec.pieces
    assert piece.lists is not None
    numbers, tiles = tables.tensor().numpy(), -(-197 // 16)
    allowed = np.zeros((tiles * 16, tiles * 16), dtype=bool)
    for q, k in seen(pattern_of(over), space, 0):
        allowed[q, k] = True
    blocks = allowed.reshape(tiles, 16, tiles, 16).transpose(0, 2, 1, 3)
    rows = np.arange(tiles * 16).reshape(tiles, 1, 16, 1) < 197
    full = (blocks | ~rows).all((2, 3)).sum()
    some = blocks.any((2, 3)).sum()
    ends = numbers[piece.lists.rows : piece.lists.rows + 4 * tiles].reshape(tiles, 4)
    assert (ends[:, 1] - ends[:, 0]).sum() == full
    assert (ends[:, 3] - ends[:, 2]).sum() == some - full


@pytest.mark.parametrize(("width", "pieces"), [
    (1, (16, 0)), (16, (16, 0)), (20, (32, 0)), (24, (32, 0)), (32, (32, 0)), (40, (32, 16)), (64, (64, 0)),
    (72, (64, 16)), (80, (64, 16)), (96, (64, 32)), (112, (128, 0)), (128, (128, 0)), (160, (128, 32)), (256, (256, 0)),
])
def test_heads_in_two_pieces(width: int, pieces: tuple[int, int]) -> None:
    assert halves(width) == pieces
