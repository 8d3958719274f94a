"""The core of attention: softmax(q k^T * scale) v, over a set of (query, key) pairs."""

from __future__ import annotations

from typing import ClassVar, Literal

from ogive.dsl.dims import Dim
from ogive.dsl.ops.plane import area, is_image
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import Count, Rate, floats, shares
from ogive.dsl.patterns import Causal, Dense
from ogive.dsl.types import Role, Tensor

__all__ = ["Attend", "positions"]


class Attend(Primitive):
    """Each query takes the mean of the values, weighted by the softmax of its scores with the keys.

    Shapes: q `B N C`, k `B M C`, v `B M D` -> `B N D`; images count as their positions and answer as images. One source
    is q = k = v. Head i has channels i d .. (i + 1) d - 1; scores are scaled by `scale`, d ** -0.5 unless given.
    `over` is the set of (query, key) pairs, `drop` the rate at which weights are dropped while training.
    (Vaswani et al. 2017, arXiv:1706.03762.)
    """

    op: ClassVar[str] = "attend"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ("*qkv",)

    heads: Count
    over: Dense | Causal = Dense()
    scale: float | None = None
    score: Literal["dot"] = "dot"
    drop: Rate = 0.0

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        q, k, v = self.qkv(inputs)
        for i, x in enumerate(inputs):
            if x.layout != "tokens" and not is_image(x):
                raise Mismatch(
                    f"`attend` works on tokens `B N C` and on images; here comes `{x}`", input=i,
                    help="`take(..., keep=True)` keeps one position" if x.layout == "vector" else None,
                )
            floats(x, "attend", i)
        self._heads(q, v, len(inputs))
        _same(at, q.channels, k.channels, "channels of q and k", 1, "q and k are multiplied: project them to one width")
        _same(at, positions(k), positions(v), "positions of k and v", 2, "k and v come in pairs, from one sequence")
        self._blind(q, k)
        for i, x in enumerate(inputs[1:], 1):
            if q.shape[0] != 1 and x.shape[0] != 1:
                _same(at, q.shape[0], x.shape[0], "batches of q and " + "qkv"[i], i, None)
        batch = next((x.axes[0] for x in (q, k, v) if x.shape[0] != 1), q.axes[0])
        place = 1 if is_image(q) else 2
        return (q.with_axis(0, batch).resized(place, v.channels or 0),)

    def qkv(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values.

        Raises:
            Mismatch: neither one source nor three.
        """
        if len(inputs) == 1:
            return inputs[0], inputs[0], inputs[0]
        if len(inputs) != 3:
            raise Mismatch(
                f"`attend` takes q, k and v, or one source for all three; here are {len(inputs)}", input=0,
                help="q, k, v -> attend(...)",
            )
        return inputs[0], inputs[1], inputs[2]

    def _heads(self, q: Tensor, v: Tensor, sources: int) -> None:
        shares(q.channels or 0, self.heads, "heads", "heads", 0)
        if v is not q:
            shares(v.channels or 0, self.heads, "heads", "heads", sources - 1)

    def _blind(self, q: Tensor, k: Tensor) -> None:
        queries, keys = positions(q), positions(k)
        if not (isinstance(self.over, Causal) and isinstance(queries, int) and isinstance(keys, int)):
            return
        if queries > keys:
            raise Mismatch(
                f"causal attention of {queries} queries over {keys} keys: the first {queries - keys} see none",
                setting="over", input=0, help="the last query sees the last key; give as many keys as queries",
            )

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        q, k, v = self.qkv(inputs)
        width = (q.channels or 0) + (v.channels or 0)
        return outputs[0].shape[0] * self.pairs(positions(q), positions(k)) * width

    def pairs(self, queries: Dim, keys: Dim) -> Dim:
        """How many (query, key) pairs are in the set, for one head.

        With sizes that are not known, the causal set is counted for no fewer keys than queries.
        """
        if isinstance(self.over, Dense):
            return queries * keys
        if isinstance(queries, int) and isinstance(keys, int):
            return self.over.pairs(queries, keys)
        return queries * (keys - queries) + queries * (queries + 1) // 2


def positions(x: Tensor) -> Dim:
    """How many positions tokens or an image have."""
    axis = x.axis(Role.POSITION)
    return area(x.shape[2:]) if axis is None else axis.size


def _same(at: Site, left: Dim | None, right: Dim | None, what: str, input: int, help: str | None) -> None:
    if left is None or right is None or left == right:
        return
    if isinstance(left, int) and isinstance(right, int):
        raise Mismatch(f"`attend`: the {what} are {left} and {right}", input=input, help=help)
    at.same(left, right, f"the {what} of `attend`")
