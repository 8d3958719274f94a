"""Places along a sequence: the fixed code of each, and scores by how far two of them are apart."""

from __future__ import annotations

from typing import ClassVar, Literal

from ogive.dsl.ops.layout import expect_tokens
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import Positive, floats
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["RelativeShift", "SineCode"]


class SineCode(Primitive):
    """The fixed sine and cosine code of the places of a sequence (Vaswani et al. 2017, arXiv:1706.03762).

    Shapes: `B N C` -> `1 N C`, of the places 0, 1, 2, ...; with `offsets=True` `1 2N-1 C`, of the offsets N-1, ..., 0,
    ..., 1-N of one place from another (Dai et al. 2019, arXiv:1901.02860). The values that come in are not read. Pair i
    of channels turns by place / temperature ** (2 i / C): `layout="pairs"` has sine and cosine in turn, "half" all
    sines first.
    """

    op: ClassVar[str] = "sine_code"
    family: ClassVar[Family] = "embedding"

    temperature: Positive = 10000.0
    layout: Literal["pairs", "half"] = "pairs"
    offsets: bool = False

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        floats(x, self.op)
        expect_tokens(x, self.op)
        width = at.number(x.shape[2], f"the width of `{self.op}`")
        if width % 2:
            raise Mismatch(f"`{self.op}` needs channels in pairs, a sine and a cosine; here are {width}", input=0,
                           code="A203", help=f"`linear({width + 1})` in front")
        places = x.axes[1]
        if self.offsets:
            count = 2 * places.size - 1
            places = Axis(Role.POSITION, count, (Segment(count, (), at.node),))
        return (Tensor((Axis(Role.BATCH, 1), places, x.axes[2])),)


class RelativeShift(Primitive):
    """Products with offsets as scores of places: y[i, j] = x[i, N - 1 - i + j], the entry of the offset i - j.

    Shapes: `B heads N (2N-1)` -> `B heads N N`. The last axis has the offsets N-1, ..., 0, ..., 1-N, as the code of
    `sine_code(offsets=True)` has them (Dai et al. 2019, arXiv:1901.02860; Huang et al. 2018, arXiv:1809.04281).
    """

    op: ClassVar[str] = "relative_shift"
    family: ClassVar[Family] = "layout"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        x = inputs[0]
        floats(x, self.op)
        if x.roles[:3] != (Role.BATCH, Role.HEAD, Role.POSITION) or x.rank != 4:
            raise Mismatch(f"`{self.op}` takes scores with offsets, `B heads N (2N-1)`; here comes `{x}`", input=0,
                           help="`split_heads(heads)` of both, and `dot`")
        n = x.shape[2]
        at.same(x.shape[3], 2 * n - 1, f"the offsets of `{self.op}` and 2 N - 1")
        return (x.with_axis(3, Axis(x.roles[3], n)),)
