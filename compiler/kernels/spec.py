"""What crosses the operator besides tensors: how a set of pairs is walked, in numbers, as one canonical JSON string.

Numbers that are many (positions, lists of tiles, bits) stand in one int32 tensor, `tables`; the spec says where.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from ogive.compiler.kernels.setting import Added, Keep, Map

__all__ = ["ANY", "BiasSpec", "Lists", "Piece", "Places", "Spec", "parse"]

ANY: Final = 1 << 29
"""A bound of a band that bounds nothing."""


@dataclass(frozen=True)
class Places:
    """Positions of the queries or keys of each entry: `map` and its three numbers, as in tiles.py; how many each."""

    map: Map
    count: int
    numbers: tuple[int, int, int]


@dataclass(frozen=True)
class Lists:
    """Places in `tables` of the lists of tiles, of queries (`rows`) and of keys (`columns`), and of the bits.

    `each` is 1 where every entry has lists of its own, else 0; tiles are `block_m` queries and `block_n` keys.
    """

    block_m: int
    block_n: int
    each: int
    rows: int
    row_items: int
    columns: int
    column_items: int
    bits: int


@dataclass(frozen=True)
class Piece:
    """One part: a batch of `entries` attentions.

    Attributes:
        heads: place in `tables` of its heads, and how many; None for all.
        lower, upper: of a band.
        merge: a piece before it answers some of its queries.
        alike: the bias is looked up at the same places in every entry.
        keys_shared: a key stands in several entries; `key_rows` is where the keys of all entries are written out, -1
            where nobody asks.
    """

    entries: int
    q: Places
    k: Places
    keep: Keep
    heads: tuple[int, int] | None = None
    lower: int = -ANY
    upper: int = ANY
    lists: Lists | None = None
    merge: bool = False
    alike: bool = True
    keys_shared: bool = False
    key_rows: int = -1


@dataclass(frozen=True)
class BiasSpec:
    """What a bias is to a kernel: its kind and numbers, as in tiles.py; `size` numbers a head, or a query's row."""

    kind: Added = "none"
    b0: int = 0
    b1: int = 0
    gap: int = 0
    axes: int = 0
    prefix: bool = False
    size: int = 0


@dataclass(frozen=True)
class Spec:
    """A walk: `queries` and `keys` are how many there are, `complete` that every query is answered.

    `drop_at` is the place of the numbers that heads have for dropout.
    """

    heads: int
    queries: int
    keys: int
    pieces: tuple[Piece, ...]
    bias: BiasSpec = BiasSpec()
    complete: bool = True
    drop_at: int = 0

    @property
    def once(self) -> bool:
        """No query is answered twice."""
        return not any(piece.merge for piece in self.pieces)

    def text(self) -> str:
        """The canonical string: `parse` makes the same spec of it."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


@lru_cache(512)
def parse(text: str) -> Spec:
    """The spec of a string."""
    told = json.loads(text)
    told["pieces"] = tuple(_piece(piece) for piece in told["pieces"])
    told["bias"] = BiasSpec(**told["bias"])
    return Spec(**told)


def _piece(told: dict[str, Any]) -> Piece:
    for side in ("q", "k"):
        places = told[side]
        told[side] = Places(places["map"], places["count"], tuple(places["numbers"]))
    told["lists"] = None if told["lists"] is None else Lists(**told["lists"])
    told["heads"] = None if told["heads"] is None else tuple(told["heads"])
    return Piece(**told)
