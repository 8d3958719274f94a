"""The core of attention: softmax(q k^T * scale + bias) v, over a set of (query, key) pairs or by a mechanism."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from ogive.dsl.dims import Dim, divide
from ogive.dsl.ops.biases import Mixing, Products, fits
from ogive.dsl.ops.plane import area, is_image
from ogive.dsl.ops.record import Family, Mismatch, Primitive, Reference, Site, Weight
from ogive.dsl.ops.settings import Count, Rate, floats, shares
from ogive.dsl.patterns import Causal, Dense, Mechanism, Pattern, PatternError
from ogive.dsl.patterns.count import blind, total
from ogive.dsl.patterns.mechanisms import Channels, Kernel, Mixed, Nystrom, Performer, Use
from ogive.dsl.patterns.reach import met
from ogive.dsl.patterns.requires import check
from ogive.dsl.patterns.space import Space
from ogive.dsl.patterns.symbolic import formula
from ogive.dsl.types import Axis, Role, Segment, Tensor

__all__ = ["Attend", "position_axis", "positions"]

ADDED = ("bias", "before_softmax", "after_softmax")


def _over(value: Any) -> Any:
    if isinstance(value, Pattern | Mechanism):
        return value
    raise ValueError("takes an attention pattern or mechanism")


def _data(value: Any) -> Any:
    if value is None or isinstance(value, Reference):
        return value
    raise ValueError("takes a tensor, made on a line of its own")


def _factor(value: Any) -> Any:
    if value is None or isinstance(value, Reference) or (isinstance(value, int | float) and value is not True):
        return float(value) if isinstance(value, int) and value is not False else value
    raise ValueError("takes a number or a tensor of one per head")


Over = Annotated[Pattern | Mechanism, BeforeValidator(_over)]
Data = Annotated[Reference | None, BeforeValidator(_data)]
Factor = Annotated[float | Reference | None, BeforeValidator(_factor)]


class Attend(Primitive):
    """Each query takes the mean of the values, weighted by the softmax of its scores with the keys.

    Shapes: q `B N C`, k `B M C`, v `B M D` -> `B N D`; images count as their positions and answer as images. One source
    is q = k = v. Head i has channels i d .. (i + 1) d - 1. Where k and v are equally wide and narrower than q they have
    fewer heads, as many as C / heads goes into their width, each shared by neighbouring heads of q (grouped queries,
    arXiv:2305.13245).
    `over` is the set of (query, key) pairs, or a mechanism. `bias` is a structure (`relative_bias`, `alibi`, ...) or a
    table `1 heads kh kw` over offsets. `mask` is True where a query may see a key, or is added to the scores: `B M`,
    `B N M` or `B heads N M`, 1 for any; of a mechanism it says which keys take part, `B M`. A query that sees no key
    answers zeros; where that is certain it is an error.
    `score`: "dot" q k; "cosine" q k / (|q| |k|); "additive" v tanh(q + k) (Bahdanau et al. 2014, arXiv:1409.0473);
    "distance" -|q - k|^2 (Hu et al. 2019, arXiv:1904.11491). `scale` multiplies it: a number or one per head; d ** -0.5
    unless given, 1 for "cosine" and "additive". `before_softmax` and `after_softmax` mix heads (`head_mix`). `drop` is
    the rate at which weights are dropped while training. Weights: those of the mechanism; "additive": v [d].
    (Vaswani et al. 2017, arXiv:1706.03762.)
    """

    op: ClassVar[str] = "attend"
    family: ClassVar[Family] = "attention"
    inputs: ClassVar[tuple[str, ...]] = ("*qkv",)
    tensors: ClassVar[tuple[str, ...]] = ("bias", "mask", "scale", "before_softmax", "after_softmax")

    heads: Count
    over: Over = Dense()
    bias: Data = None
    mask: Data = None
    scale: Factor = None
    score: Literal["dot", "cosine", "additive", "distance"] = "dot"
    drop: Rate = 0.0
    before_softmax: Data = None
    after_softmax: Data = None

    # ------------------------------------------------------------------------------------ shapes
    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        q, k, v = self.qkv(inputs)
        for i, x in enumerate((q, k, v) if len(inputs) > 1 else (q,)):
            if x.layout != "tokens" and not is_image(x):
                raise Mismatch(
                    f"`attend` works on tokens `B N C` and on images; here comes `{x}`", input=i,
                    help="`take(..., keep=True)` keeps one position" if x.layout == "vector" else None,
                )
            floats(x, "attend", i)
        shares(q.channels or 0, self.heads, "heads", "heads", 0)
        if self.groups(q, k, v) == 1:
            if v is not q:
                shares(v.channels or 0, self.heads, "heads", "heads", 2)
            _same(at, q.channels, k.channels, "channels of q and k", 1, "q and k are multiplied: project them to one "
                  "width; `attend` shares keys where k and v are both some heads narrower")
        _same(at, positions(k), positions(v), "positions of k and v", 2, "k and v come in pairs, from one sequence")
        for i, x in enumerate((k, v), 1):
            if q.shape[0] != 1 and x.shape[0] != 1:
                _same(at, q.shape[0], x.shape[0], "batches of q and " + "qkv"[i], i, None)
        batch = next((x.axes[0] for x in (q, k, v) if x.shape[0] != 1), q.axes[0])
        self._goes(at, q, k, v, batch.size)
        return (q.with_axis(0, batch).resized(1 if is_image(q) else 2, self.width(q, k, v)),)

    def qkv(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values; `inputs` are what stands left of the arrow.

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

    def groups(self, q: Tensor, k: Tensor, v: Tensor) -> int:
        """How many heads of q share one of k and v."""
        wide, narrow = q.channels, k.channels
        if not isinstance(wide, int) or not isinstance(narrow, int) or wide % self.heads or v.channels != narrow:
            return 1
        each = wide // self.heads
        shared, rest = divmod(narrow, each)
        return self.heads // shared if rest == 0 and shared and self.heads % shared == 0 else 1

    def width(self, q: Tensor, k: Tensor, v: Tensor) -> Dim:
        """Channels of the answer: those of v, for every head of q."""
        return (v.channels or 0) * self.groups(q, k, v)

    def use(self, q: Tensor, k: Tensor, v: Tensor) -> Use:
        """Where a mechanism stands.

        Raises:
            Mismatch: the channels are not known.
        """
        wide, out = q.channels, self.width(q, k, v)
        if not isinstance(wide, int) or not isinstance(out, int):
            raise Mismatch(f"`{self.over}` needs a width that is a number", setting="over", code="A205",
                           help="pin it in `input`, as in `C=64`")
        return Use(position_axis(q), position_axis(k), wide, out, self.heads)

    # ------------------------------------------------------------------------------------ what goes together
    def _goes(self, at: Site, q: Tensor, k: Tensor, v: Tensor, batch: Dim) -> None:
        queries, keys = position_axis(q), position_axis(k)
        problem = check(self.over, queries, keys, self.heads)
        if problem is not None:
            raise Mismatch(problem.title, setting="over", input=0, help=problem.help, notes=problem.notes)
        self._factor_fits()
        for name in ("before_softmax", "after_softmax"):
            _mixes(getattr(self, name), name, self.heads)
        shown = (batch, self.heads, queries.size, keys.size)
        if self.mask is not None:
            _mask(at, self.mask.tensor, shown)
        if isinstance(self.over, Mechanism):
            self._alone(self.over, q, k, v)
            return
        _one_grid(at, self.over, queries, keys)
        self._sees(self.over, q, k)
        if self.bias is not None:
            fits(at, self.bias.tensor, self.heads, self.over, queries, keys)

    def _alone(self, over: Mechanism, q: Tensor, k: Tensor, v: Tensor) -> None:
        """A mechanism takes what pairs take only where it has a meaning."""
        for name in ADDED:
            if getattr(self, name) is not None:
                raise Mismatch(f"`{over}` has no pairs for `{name}=`: {over.why}", setting=name,
                               help=f"leave `{name}` away, or attend over a pattern")
        if self.mask is not None:
            _of_keys(self.mask.tensor, over)
        scores = ("dot", "cosine") if isinstance(over, Channels) else ("dot",)
        if self.score not in scores:
            raise Mismatch(f'`{over}` does not go with the score "{self.score}"', setting="score",
                           help=" or ".join(f'`score="{s}"`' for s in scores))
        parts = over.parts if isinstance(over, Mixed) else (over,)
        for part in parts:
            if self.drop and isinstance(part, Kernel | Performer | Nystrom):
                raise Mismatch(f"`{part}` has no weights of pairs to drop", setting="drop",
                               help="`dropout` behind `attend` drops what it answers")
            if self.scale is not None and isinstance(part, Kernel):
                raise Mismatch(f"`{part}` has no scores to scale", setting="scale", help="leave `scale` away")
        refused = over.refuses(self.use(q, k, v))
        if refused is not None:
            raise Mismatch(refused.title, setting="over", help=refused.help)

    def _sees(self, over: Pattern, q: Tensor, k: Tensor) -> None:
        """Refuse a set in which a query certainly sees no key."""
        queries, keys = positions(q), positions(k)
        if over == Causal() and isinstance(queries, int) and isinstance(keys, int) and queries > keys:
            raise Mismatch(
                f"causal attention of {queries} queries over {keys} keys: the first {queries - keys} see none",
                setting="over", input=0, help="the last query sees the last key; give as many keys as queries",
            )
        try:
            found = blind(over, Space.between(position_axis(q), position_axis(k)), self.heads)
        except PatternError:
            return  # too large to be asked: such a query answers zeros
        if found is not None:
            query, head = found
            which = f"query {query}" + (f" of head {head}" if head else "")
            raise Mismatch(f"`{over}`: {which} sees no key", setting="over", input=0,
                           help=f"`({over}) | self`: it sees itself" if positions(q) == positions(k) else
                           "queries count from 0; allow each of them a key")

    def _factor_fits(self) -> None:
        if not isinstance(self.scale, Reference):
            return
        scale = self.scale.tensor
        if scale.dtype != "float" or tuple(n for n in scale.shape if n != 1) not in ((), (self.heads,)):
            raise Mismatch(f"`scale=` is a number or one per head; here is `{scale}`", setting="scale",
                           help=f"`learned()`, or `learned({self.heads}, 1, 1)`")

    # ------------------------------------------------------------------------------------ weights, costs
    def weights(self, at: Site, *inputs: Tensor) -> tuple[Weight, ...]:
        q, k, v = self.qkv(inputs)
        found: tuple[Weight, ...] = ()
        if self.score == "additive":
            d = at.number(q.channels or 0, "the width of `attend`") // self.heads
            found = (Weight("v", (d,), "normal", std=(3 * d) ** -0.5),)  # the spread of a linear map to one number
        if isinstance(self.over, Mechanism):
            try:
                needed = self.over.weights(self.use(q, k, v))
            except PatternError as error:
                raise Mismatch(error.title, setting="over", help=error.help, code="A205") from None
            found += tuple(Weight(w.name, w.shape, w.init) for w in needed)
        return found

    @property
    def late(self) -> bool:
        return self.over not in (Dense(), Causal())

    def macs(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        q, k, v = self.qkv(inputs)
        batch = outputs[0].shape[0]
        width = (q.channels or 0) + self.width(q, k, v)
        pairs = self.pairs(position_axis(q), position_axis(k))
        count = batch * _share(pairs * width, self.heads)
        if isinstance(self.over, Mechanism):
            count = count + batch * self.over.products(self.use(q, k, v))
        mixes = sum(x is not None for x in (self.before_softmax, self.after_softmax))
        count = count + mixes * batch * pairs * self.heads
        if self.bias is not None and isinstance(self.bias.tensor.structure, Products):
            count = count + batch * area(position_axis(q).grid) * self._rows(position_axis(k)) * (q.channels or 0)
        return count

    def _rows(self, keys: Axis) -> int:
        """With how many rows of the tables of `decomposed_relative` a query is multiplied, all axes together."""
        assert isinstance(self.over, Pattern)
        return sum(met(self.over, tuple(n for n in keys.grid if isinstance(n, int))))

    def macs_dense(self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Dim:
        """The two products over all pairs: what attention costs where nothing is left out."""
        q, k, v = self.qkv(inputs)
        return outputs[0].shape[0] * positions(q) * positions(k) * ((q.channels or 0) + self.width(q, k, v))

    def pairs(self, queries: Axis, keys: Axis) -> Dim:
        """How many (query, key) pairs are in the set, all heads together; those of a mechanism are none.

        With sizes that are not known, the causal set is counted for no fewer keys than queries, and a set without a
        formula as if it were dense (`late`: it is counted once sizes are known).

        Raises:
            Mismatch: arithmetic over q and k on more pairs than can be asked.
        """
        if isinstance(self.over, Mechanism):
            parts = self.over.parts if isinstance(self.over, Mixed) else ()
            share = self.heads // max(len(parts), 1)
            sets = [p for p in parts if isinstance(p, Pattern)]
            return sum((Attend(heads=share, over=p).pairs(queries, keys) for p in sets), start=0)
        try:
            space = Space.between(queries, keys)
            if space is not None:
                return total(self.over, space, self.heads)
            each = formula(self.over, queries, keys)
        except PatternError as error:
            raise Mismatch(error.title, setting="over", help=error.help) from None
        return self.heads * (queries.size * keys.size if each is None else each)

    def density(self, inputs: tuple[Tensor, ...]) -> float | None:
        """The share of all pairs that are in the set, the mean over the heads; None for a mechanism or free sizes."""
        q, k, _ = self.qkv(inputs)
        queries, keys = position_axis(q), position_axis(k)
        if isinstance(self.over, Mechanism) or Space.between(queries, keys) is None:
            return None
        pairs = self.pairs(queries, keys)
        assert isinstance(pairs, int) and isinstance(queries.size, int) and isinstance(keys.size, int)
        return pairs / (self.heads * queries.size * keys.size)


def positions(x: Tensor) -> Dim:
    """How many positions tokens or an image have."""
    axis = x.axis(Role.POSITION)
    return area(x.shape[2:]) if axis is None else axis.size


def position_axis(x: Tensor) -> Axis:
    """The positions of tokens or of an image, whose rows and columns are a grid."""
    axis = x.axis(Role.POSITION)
    if axis is not None:
        return axis
    size = area(x.shape[2:])
    return Axis(Role.POSITION, size, (Segment(size, x.shape[2:]),))


def _share(total: Dim, heads: int) -> Dim:
    """Of a count over all heads, each of which has its part of the channels."""
    exact = divide(total, heads)
    return total // heads if exact is None else exact


def _one_grid(at: Site, over: Pattern, queries: Axis, keys: Axis) -> None:
    """Two grids of free sizes that a pattern compares are one: what `check` cannot decide is left to the call."""
    if over in (Dense(), Causal()) or len(queries.grid) != len(keys.grid):
        return
    for q, k in zip(queries.grid, keys.grid, strict=True):
        numbers = isinstance(q, int) and isinstance(k, int)
        if q != k and not numbers and not at.is_multiple(q, k) and not at.is_multiple(k, q):
            try:
                at.same(q, k, f"the grids of queries and keys, which `{over}` compares")
            except Mismatch as error:
                raise Mismatch(
                    error.title, setting="over", code=error.code,
                    help="one grid is a whole multiple of the other: pin the size, or say so with `assert H % 2 == 0`",
                ) from None


def _mixes(setting: Reference | None, name: str, heads: int) -> None:
    if setting is None:
        return
    structure = setting.tensor.structure
    if not isinstance(structure, Mixing):
        raise Mismatch(f"`{name}=` takes a `head_mix`; here is `{setting.tensor}`", setting=name,
                       help=f"`mix = head_mix({heads})` above, then `{name}=mix`")
    if structure.heads != heads:
        raise Mismatch(f"the mix is made for {structure.heads} heads, and attention has {heads}", setting=name,
                       help=f"`head_mix({heads})`")


def _mask(at: Site, mask: Tensor, wanted: tuple[Dim, ...]) -> None:
    """Demand `B M`, `B N M` or `B heads N M`, 1 for any, of truth values or floats."""
    if mask.dtype == "int":
        raise Mismatch(f"a mask is True where a key may be seen, or is added to the scores; here is `{mask}`",
                       setting="mask", help="declare it `of bool`")
    shapes = {2: (0, 3), 3: (0, 2, 3), 4: (0, 1, 2, 3)}
    if mask.rank not in shapes or mask.structure is not None:
        raise Mismatch(f"a mask is `B M`, `B N M` or `B heads N M`; here is `{mask}`", setting="mask",
                       help="`bias=` takes structures" if mask.structure is not None else None)
    words = ("the batch", "heads", "queries", "keys")
    for size, place in zip(mask.shape, shapes[mask.rank], strict=True):
        if size == 1 or size == wanted[place]:
            continue
        if isinstance(size, int) and isinstance(wanted[place], int):
            raise Mismatch(f"the mask `{mask}` has {size} where there are {wanted[place]} {words[place]}",
                           setting="mask", help="a mask is `B M`, `B N M` or `B heads N M`, 1 for any")
        at.same(size, wanted[place], f"the mask and {words[place]} of `attend`")


def _of_keys(mask: Tensor, over: Mechanism) -> None:
    """Of a mechanism, a mask says which keys take part, whoever asks."""
    if mask.dtype != "bool":
        raise Mismatch(f"`{over}` has no scores of pairs that a mask could be added to", setting="mask",
                       help="declare it `of bool`: it says which keys take part")
    if any(n != 1 for n in mask.shape[1:-1]):
        raise Mismatch(f"a mask of `{over}` says which keys take part, `B M`; here is `{mask}`", setting="mask",
                       help="over a pattern, `attend` takes a mask of pairs")


def _same(at: Site, left: Dim | None, right: Dim | None, what: str, input: int, help: str | None) -> None:
    if left is None or right is None or left == right:
        return
    if isinstance(left, int) and isinstance(right, int):
        raise Mismatch(f"`attend`: the {what} are {left} and {right}", input=input, help=help)
    at.same(left, right, f"the {what} of `attend`")
