"""Which kernel computes an attention on a GPU, how long that should take, and why the others were not taken. No torch.

A kernel is predicted from what it would really compute: whole tiles, channels rounded up where it must round, copies
and calls where it needs several, at the share of the floor that it reached where somebody measured it (`PACES`).
Predictions rank kernels; they are no measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from ogive.compiler.int8 import LEVELS, WORDS, Form
from ogive.compiler.roofline import Floor, Tile, Work, covered, floor, multiplied
from ogive.compiler.targets import Figure, Gpu
from ogive.dsl.diagnostics import ArchError, fail, offer
from ogive.dsl.patterns.part import ALL, TRIANGLE, Part, Refusal
from ogive.dsl.source import Span

__all__ = [
    "KERNELS", "PACES", "TILES", "Case", "Choice", "Prediction", "automatic", "choose", "no_form", "no_gain", "no_int8",
    "refusal",
]

KERNELS: Final[Mapping[str, str]] = MappingProxyType({
    "flash": "this package's own kernel, in Triton",
    "sdpa-flash": "FlashAttention-2, as torch has it",
    "sdpa-cudnn": "cuDNN's attention, as torch calls it",
    "sdpa-efficient": "torch's attention that reads a mask or a bias as a matrix",
})
"""The kernels of attention that may be chosen, and what they are."""

TILES: Final[Mapping[str, Tile]] = MappingProxyType({
    "flash": (64, 64), "sdpa-flash": (128, 64), "sdpa-cudnn": (128, 128), "sdpa-efficient": (64, 64),
})
"""How many queries and keys each takes at once; of `flash` the smallest that it is compiled for."""

HALVES: Final = ("bf16", "fp16")
FEW_KEYS: Final = 1024
"""With fewer keys for a query, making codes costs about what they save: from figures of SageAttention's users."""

CLOSE: Final = 1.05
"""Predictions that are nearer to each other say nothing."""

MOST_CALLS: Final = 8
MOST_MASK: Final = 4 << 30


def _same(value: float, source: str) -> Mapping[int, Figure]:
    return MappingProxyType({64: Figure(value, source), 128: Figure(value, source)})


_H100 = "of 790 TFLOP/s; figures of SageAttention's benchmark on an H100 at 16,384 positions"
_A100 = "of 250 TFLOP/s; figures of SageAttention's benchmark on an A100"
PACES: Final[Mapping[str, Mapping[int, Mapping[int, Figure]]]] = MappingProxyType({
    "sdpa-flash": MappingProxyType({
        8: MappingProxyType({64: Figure(0.76, _A100), 128: Figure(0.82, _A100)}),
        9: MappingProxyType({64: Figure(0.38, f"303 {_H100}"), 128: Figure(0.46, "assumed from D = 64")}),
        10: _same(0.20, "assumed: FlashAttention-2 does not use the tensor cores of this generation"),
        12: _same(0.75, "assumed to be that of 8.x"),
    }),
    "sdpa-cudnn": MappingProxyType({
        8: _same(0.74, "assumed"),
        9: MappingProxyType({64: Figure(0.52, f"413 {_H100}"), 128: Figure(0.76, "assumed: as FlashAttention-3")}),
        10: _same(0.65, "assumed"),
        12: _same(0.74, "assumed to be that of 8.x"),
    }),
    "flash": MappingProxyType({
        8: _same(0.66, "assumed: Triton's own example on an A100"),
        9: MappingProxyType({64: Figure(0.51, f"403 {_H100}, Triton"), 128: Figure(0.50, f"395 {_H100}, Triton")}),
        10: _same(0.40, "assumed"),
        12: _same(0.66, "assumed to be that of 8.x"),
    }),
    "sdpa-efficient": MappingProxyType({major: _same(0.25, "assumed") for major in (8, 9, 10, 12)}),
})
"""The share of the floor of products and exponentials that a kernel reaches at many positions, by the first number of
the compute capability and the channels of a head."""

OLDER: Final = Figure(0.10, "assumed: of 10.0 Triton multiplies INT8 by `mma.sync`, not by the tensor core's own")
"""The share of the floor that INT8 reaches on 10.0."""

FLOAT32: Final[Mapping[str, float]] = MappingProxyType({"flash": 0.5, "sdpa-efficient": 0.6})
"""The same share of plain float32 arithmetic: assumed."""


@dataclass(frozen=True, slots=True)
class Case:
    """An attention as the policy sees it.

    Attributes:
        work: its pairs, sizes and traffic.
        parts: how its set is walked; empty where it is not walked at all.
        precision: what q, k and v are in.
        unfused: why no fused kernel computes it; None where one could.
        bias, mask: what is added to the scores: the kind of the bias, and whether a mask is given.
        drop: whether weights are dropped while training.
        own: why this package's own kernel does not take it; None where it does.
        walked: the parts as this package's own kernel goes through them, a launch each; empty where these are `parts`.
    """

    work: Work
    parts: tuple[Part, ...]
    precision: str
    unfused: str | None = None
    bias: str | None = None
    mask: bool = False
    drop: bool = False
    own: str | None = None
    walked: tuple[Part, ...] = ()

    def parts_of(self, kernel: str) -> tuple[Part, ...]:
        """The parts that a kernel is called for, one after the other."""
        return self.walked or self.parts if kernel == "flash" else self.parts


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a kernel would take: seconds, the share of the floor that this is, how often it is launched."""

    kernel: str
    seconds: float
    share: float
    launches: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The kernel of an attention, with why.

    Attributes:
        kernel: its name in `KERNELS`; None where nothing fused computes this, and it is written out.
        seconds: predicted for one run; None of what is written out. `launches` are counted in it.
        floor: what no kernel can be faster than.
        reason: why this one.
        others: the predictions of the kernels that could do it too.
        refused: the kernels that cannot, each with its reason.
        doubt: why the precision that was asked for does not pay; None where it does.
    """

    kernel: str | None
    seconds: float | None
    floor: Floor
    reason: str
    others: tuple[Prediction, ...] = ()
    refused: tuple[Refusal, ...] = ()
    doubt: str | None = None
    launches: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.kernel, "reason": self.reason, "predicted_us": _us(self.seconds), "launches": self.launches,
            "floor_us": {
                "products": _us(self.floor.products), "exponentials": _us(self.floor.exponentials),
                "memory": _us(self.floor.memory),
            },
            "bound": self.floor.bound,
            "others": [{"name": p.kernel, "predicted_us": _us(p.seconds)} for p in self.others],
            "refused": [{"name": r.way, "reason": r.reason} for r in self.refused],
        }


def _us(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e6, 3)


def choose(case: Case, gpu: Gpu, forced: str | None = None, span: Span | None = None) -> Choice:
    """The kernel that should be fastest, or the one that is `forced`.

    Raises:
        ArchError: A740, there is no kernel of that name; A741, it does not take this attention; A749, INT8 does not.
    """
    if forced is not None and forced not in KERNELS:
        raise fail("A740", f"there is no kernel `{forced}`", help=offer(forced, KERNELS, "kernels"))
    if case.precision in WORDS:
        reason = case.unfused or case.own
        if reason is not None:
            raise no_int8(reason, span)
        if (missing := no_form(case.precision, gpu)) is not None:
            raise fail("A749", missing, span, help="`int8` and `int8-token` go on every GPU")
    least = floor(case.work, gpu, case.precision)
    refused = tuple(Refusal(k, reason) for k in KERNELS if (reason := refusal(case, gpu, k)) is not None)
    those = {r.way for r in refused}
    able = sorted((_predict(case, gpu, k, least) for k in KERNELS if k not in those), key=lambda p: p.seconds)
    if forced in those:
        reason = next(r.reason for r in refused if r.way == forced)
        names = " or ".join(f"`{p.kernel}`" for p in able)
        raise fail("A741", f"the kernel `{forced}` does not take this attention: {reason}", span,
                   help=f"{names} takes it" if names else "leave the choice to the compiler: this one is written out")
    if not able:
        return Choice(None, None, least, case.unfused or "no kernel takes it: it is written out", (), refused)
    best = next((p for p in able if p.kernel == forced), able[0])
    if forced is None and best.kernel == "flash":  # as good as equal: what needs no compiler
        best = next((p for p in able[1:] if p.seconds < CLOSE * best.seconds), best)
    others = tuple(p for p in able if p is not best)
    if case.precision in WORDS:
        gain, doubt = _gain(case, gpu, best)
        return Choice(best.kernel, best.seconds, least, gain, others, refused, doubt, best.launches)
    return Choice(best.kernel, best.seconds, least, _why(best, others, forced), others, refused,
                  launches=best.launches)


def no_form(form: str, gpu: Gpu) -> str | None:
    """Why a GPU has no such form of INT8; None where it does."""
    if form == "int8-fp8" and "fp8" not in gpu.matrix:
        return f"`int8-fp8` multiplies FP8, which GPUs do from 8.9 on, and {gpu.arch} is {gpu.capability / 10:.1f}"
    return None


def automatic(
    case: Case, gpu: Gpu, forms: Sequence[Form], kernel: str | None, span: Span | None
) -> tuple[Case, Choice]:
    """The case in the precision that should be fastest, of 16 bits and the `forms` of INT8, with its kernel.

    INT8 is taken where it pays by `no_gain` and by the predictions.

    Raises:
        ArchError: as `choose`.
    """
    plain = replace(case, precision="bf16")
    best = plain, choose(plain, gpu, kernel, span)
    if case.unfused is not None or case.own is not None or kernel not in (None, "flash") or no_gain(case, gpu):
        return best
    for form in (form for form in forms if no_form(form, gpu) is None):
        other = replace(case, precision=form)
        choice = choose(other, gpu, kernel, span)
        if choice.doubt is None and (choice.seconds or 0.0) < (best[1].seconds or float("inf")):
            best = other, choice
    return best


def no_int8(reason: str, span: Span | None) -> ArchError:
    """A749 of an attention that INT8 does not compute."""
    return fail("A749", f"INT8 does not compute this attention: {reason}", span,
                help='say where INT8 is meant, by path: `--precision "blocks.*.attn=int8"`')


def no_gain(case: Case, gpu: Gpu) -> str | None:
    """Why INT8 is not faster than 16 bits; None where it should be."""
    if gpu.capability // 10 == 10:
        return "Triton multiplies INT8 by the instructions of older GPUs there"
    if floor(case.work, gpu, "bf16").bound == "memory":
        return "it waits for memory, and codes are to be written and read besides"
    if gpu.capability // 10 == 9 and case.work.width < 80:
        return "exponentials are its limit there with heads of fewer than 80 channels"
    seen = case.work.pairs // max(1, case.work.heads * case.work.queries)
    if seen < FEW_KEYS:
        return f"a query sees {seen} keys; making codes is worth it from about {FEW_KEYS:,}"
    return None


def _gain(case: Case, gpu: Gpu, best: Prediction) -> tuple[str, str | None]:
    """What INT8 gains over the kernel that is best in bf16, and why it does not pay; None where it does."""
    doubt, plain = no_gain(case, gpu), choose(replace(case, precision="bf16"), gpu)
    ratio = (plain.seconds or 0.0) / best.seconds
    if doubt is None and ratio < CLOSE:
        doubt = f"`{plain.kernel}` in bf16 should be {'about as fast' if ratio > 1 / CLOSE else 'faster'}"
    if doubt is not None:
        return "it was asked for", doubt
    return f"{ratio:.2f} times as fast as `{plain.kernel}` in bf16 should be", None


def _why(best: Prediction, others: Sequence[Prediction], forced: str | None) -> str:
    if forced is not None:
        return "it was asked for"
    if not others:
        return "no other kernel takes it"
    ratio = others[0].seconds / best.seconds
    if ratio < CLOSE:
        return f"about as fast as `{others[0].kernel}`" + (", and compiled already" if best.kernel != "flash" else "")
    return f"{ratio:.2f} times as fast as `{others[0].kernel}` should be"


# ------------------------------------------------------------------------------------------------------------- refusals


def refusal(case: Case, gpu: Gpu, kernel: str) -> str | None:
    """Why a kernel does not take an attention; None where it does."""
    if case.unfused is not None:
        return case.unfused
    if kernel == "flash":
        return case.own
    if case.precision in WORDS:
        return "it knows no INT8"
    if case.precision == "tf32":
        return "torch decides by itself whether float32 is computed in TF32"
    if kernel == "sdpa-efficient":
        return _no_matrix(case)
    return _not_halves(case) or _not_plain(case) or _not_wide(case, gpu, kernel)


def _not_halves(case: Case) -> str | None:
    return None if case.precision in HALVES else "it takes bf16 and fp16 alone"


def _not_plain(case: Case) -> str | None:
    if case.bias is not None:
        return f"it takes no bias, and here is {case.bias}"
    if case.mask:
        return "it takes no mask"
    if any(part.keep not in (ALL, TRIANGLE) for part in case.parts):
        return "it knows no set of pairs but all of them and the causal triangle"
    if len(case.parts) > MOST_CALLS:
        return f"the set would be {len(case.parts)} calls of it"
    return None


def _not_wide(case: Case, gpu: Gpu, kernel: str) -> str | None:
    width, values = case.work.width, case.work.values
    most = 128 if kernel == "sdpa-cudnn" and gpu.capability < 90 else 256
    if width != values:
        return f"q and k have {width} channels a head, v has {values}"
    if width % 8 or width > most:
        return f"it takes heads of a multiple of 8 channels, {most} at most; here are {width}"
    return None


def _no_matrix(case: Case) -> str | None:
    if any(part.keep not in (ALL, TRIANGLE) for part in case.parts) or case.bias or case.mask:
        size = case.work.heads * case.work.queries * case.work.keys * 4
        if size > MOST_MASK:
            return f"it would read a matrix of {size / 2**30:.0f} GiB"
    return None


# ---------------------------------------------------------------------------------------------------------- predictions


def _predict(case: Case, gpu: Gpu, kernel: str, least: Floor) -> Prediction:
    work, width = case.work, _rounded(kernel, case.work.width)
    pairs = _pairs(case, kernel)
    rounded = replace(work, width=width, values=_rounded(kernel, work.values))
    products = multiplied(rounded, gpu, case.precision, pairs)
    busy = max(products, work.batch * pairs / gpu.exp.value) / _pace(kernel, gpu, case)
    moved = (work.traffic(case.precision) + _copies(case, kernel)) / gpu.bytes_a_second
    calls = max(1, len(case.parts_of(kernel))) + (2 if case.precision in WORDS else 0)
    programs = _programs(case, kernel)
    waves = -(-programs // gpu.sms) * gpu.sms / programs  # what stands still while the last programs run
    seconds = calls * gpu.launch.value + max(busy * min(waves, gpu.sms), moved)
    return Prediction(kernel, seconds, least.seconds / seconds, calls)


def _rounded(kernel: str, width: int) -> int:
    """Channels that a kernel computes: ours splits them into powers of two, others round up to 32 or 64."""
    if kernel == "flash":
        high = 1 << (width.bit_length() - 1)
        rest = width - high
        return width if rest == 0 else high + max(16, 1 << (rest - 1).bit_length())
    step = 32 if width <= 128 else 64
    return -(-width // step) * step


def _pairs(case: Case, kernel: str) -> int:
    """The pairs of a sample that a kernel computes."""
    if not case.parts:
        return case.work.pairs
    if kernel == "sdpa-efficient" and any(part.keep not in (ALL, TRIANGLE) for part in case.parts):
        return sum(len(p.heads) * p.batch * p.q.count * p.k.count for p in case.parts)
    return sum(len(p.heads) * covered(p, TILES[kernel]) for p in case.parts_of(kernel))


def _programs(case: Case, kernel: str) -> int:
    rows = TILES[kernel][0]
    tiles = sum(len(p.heads) * p.batch * -(-p.q.count // rows) for p in case.parts_of(kernel))
    return max(1, case.work.batch * tiles)


def _pace(kernel: str, gpu: Gpu, case: Case) -> float:
    if case.precision == "float32":
        return FLOAT32.get(kernel, 0.5)
    if case.precision in WORDS and gpu.capability // 10 == 10:
        return OLDER.value
    table = PACES[kernel][gpu.capability // 10]
    return table[64 if case.work.width <= 64 else 128].value


def _copies(case: Case, kernel: str) -> int:
    """Bytes that a kernel moves besides: q, k, v and answers brought into order, matrices of a bias, merged answers."""
    work, found = case.work, 0
    if case.precision in WORDS:  # 16 bits are read, k of them twice, codes written and read
        q, k, v = (work.heads * work.queries * work.width, work.kv_heads * work.keys * work.width,
                   work.kv_heads * work.keys * work.values)
        return work.batch * (2 * q + 4 * k + (4 * v if case.precision in LEVELS else 0))
    if kernel == "flash":
        return 0
    each = work.batch * (work.width + work.values) * (4 if case.precision == "float32" else 2)
    for part in case.parts:
        share, rows = len(part.heads) * part.batch, part.q.count + part.k.count
        if not (part.q.is_view and part.k.is_view):
            found += 2 * each * share * rows
        if kernel == "sdpa-efficient" and (case.bias or case.mask or part.keep not in (ALL, TRIANGLE)):
            found += 4 * share * part.q.count * part.k.count * (work.batch if case.mask else 1)
    return found + (3 * each * work.heads * work.queries if len(case.parts) > 1 else 0)
