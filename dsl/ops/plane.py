"""The plane that windows slide over: rows and columns of an image (frames too), or the grid of tokens."""

from __future__ import annotations

from math import prod

from ogive.dsl.dims import Dim, ceil_div
from ogive.dsl.ops.record import Mismatch, Site
from ogive.dsl.types import SPATIAL, Axis, Role, Segment, Tensor

__all__ = [
    "area", "expect_image", "grid_axis", "is_image", "is_sequence", "laid", "plane", "slid", "tokens_of",
]


def is_image(x: Tensor) -> bool:
    """`B C` and one to three axes to slide over."""
    return x.roles[:2] == (Role.BATCH, Role.CHANNEL) and x.rank > 2 and all(r in SPATIAL for r in x.roles[2:])


def is_sequence(x: Tensor) -> bool:
    """Tokens that never had a grid: words, samples of a signal."""
    return x.layout == "tokens" and not x.axes[1].lost and not any(s.grid for s in x.axes[1].segments)


def expect_image(x: Tensor, op: str) -> tuple[Dim, ...]:
    """The sizes of the plane of an image.

    Raises:
        Mismatch: it is none; the help depends on what it is.
    """
    if is_image(x):
        return x.shape[2:]
    axis = x.axis(Role.POSITION)
    help = None
    if x.layout == "tokens" and axis is not None:
        help = "`to_image` turns tokens with a grid into an image" if axis.grid else "make a grid with `patchify`"
    if x.layout == "vector":
        help = "a vector has no rows and columns: `linear` works on it"
    raise Mismatch(f"`{op}` works on an image `B C H W`; here comes `{x}`", input=0, help=help, notes=_lost(axis))


def grid_axis(x: Tensor, op: str) -> Axis:
    """The position axis of tokens, which has one grid.

    Raises:
        Mismatch: no tokens, or no grid; a note says who lost it.
    """
    axis = x.axis(Role.POSITION)
    if axis is None or x.layout != "tokens":
        raise Mismatch(
            f"`{op}` works on tokens with a grid, `B (h w) C`; here comes `{x}`", input=0,
            help="`to_tokens` turns an image into tokens" if is_image(x) else None,
        )
    if axis.grid:
        return axis
    if sum(1 for s in axis.segments if s.grid) > 1:
        raise Mismatch(
            f"`{op}` needs one grid; the positions of `{x}` hold several", input=0,
            help="`take(node)` picks the positions that one node made",
        )
    raise Mismatch(
        f"`{op}` needs a grid; the positions of `{x}` have none", input=0, notes=_lost(axis),
        help="name the grid in the annotation, as in `: B (h w) C`, or make one with `patchify` or `to_tokens`",
    )


def _lost(axis: Axis | None) -> tuple[str, ...]:
    return (f"the grid was lost at `{axis.lost}`",) if axis is not None and axis.lost else ()


def plane(x: Tensor, op: str, beside: bool = False) -> tuple[Dim, ...]:
    """The sizes to slide over: of an image, or of the grid of tokens.

    Raises:
        Mismatch: there is no plane, or there are tokens beside the grid and `beside` does not allow them.
    """
    if x.layout != "tokens":
        return expect_image(x, op)
    axis = grid_axis(x, op)
    if len(axis.segments) > 1 and not beside:
        others = [s.origin or "an input" for s in axis.segments if not s.grid]
        raise Mismatch(
            f"`{op}` works on a grid alone; `{x}` holds tokens beside it", input=0,
            notes=(f"beside the grid: {', '.join(others)}",), help="`drop_prefix` leaves the grid alone",
        )
    return axis.grid


def laid(x: Tensor, sizes: tuple[Dim, ...], origin: str, channels: Dim | None = None) -> Tensor:
    """The same image or tokens with a plane of other sizes, made by `origin`; tokens beside the grid stay."""
    if x.layout == "tokens":
        segments = tuple(Segment(area(sizes), sizes, origin) if s.grid else s for s in x.axes[1].segments)
        position = Axis(Role.POSITION, sum((s.size for s in segments), start=0), segments)
        channel = x.axes[2] if channels is None else Axis(Role.CHANNEL, channels)
        return Tensor((x.axes[0], position, channel), x.dtype)
    channel = x.axes[1] if channels is None else Axis(Role.CHANNEL, channels)
    axes = (Axis(axis.role, size) for axis, size in zip(x.axes[2:], sizes, strict=True))
    return Tensor((x.axes[0], channel, *axes), x.dtype)


def tokens_of(batch: Axis, sizes: tuple[Dim, ...], channels: Dim, origin: str) -> Tensor:
    """Tokens that are one grid, made by `origin`."""
    position = Axis(Role.POSITION, area(sizes), (Segment(area(sizes), sizes, origin),))
    return Tensor((batch, position, Axis(Role.CHANNEL, channels)))


def area(sizes: tuple[Dim, ...]) -> Dim:
    """How many positions a plane has."""
    return prod(sizes, start=1)


def slid(
    at: Site, op: str, sizes: tuple[Dim, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    pad: tuple[int, ...] | None, dilation: tuple[int, ...], ceil: bool = False,
) -> tuple[Dim, ...]:
    """How many places a window has along each axis: `floor((n + 2*pad - dilation*(k - 1) - 1) / stride) + 1`.

    `pad` None is "same": `ceil(n / stride)`. With `ceil` the last window may hang over, but starts inside the input or
    the padding before it, as in torch.

    Raises:
        Mismatch: the window is larger than the padded input; of a free size, it is demanded of the call.
    """
    if pad is None:
        return tuple(ceil_div(n, s) for n, s in zip(sizes, stride, strict=True))
    out: list[Dim] = []
    for n, k, s, p, d in zip(sizes, kernel, stride, pad, dilation, strict=True):
        reach = d * (k - 1) + 1
        if isinstance(n, int) and n + 2 * p < reach:
            shown = "x".join(map(str, sizes))
            wide = f"{'x'.join(map(str, kernel))}" + (f", {reach} wide with its dilation," if d > 1 else "")
            raise Mismatch(
                f"the window {wide} of `{op}` does not fit: the input is {shown}"
                + (f", padded by {'x'.join(map(str, pad))}" if any(pad) else ""),
                setting="size", input=0, help=f"a window of {n + 2 * p} fits, or more padding",
            )
        if not isinstance(n, int):
            over = s - 1 if ceil and p + s <= reach else reach - 1 if ceil else 0
            at.fits(reach - 2 * p - over, n, f"the window {'x'.join(map(str, kernel))} of `{op}`")
        if not ceil:
            out.append(n if s == 1 and reach == 2 * p + 1 else (n + (2 * p - reach)) // s + 1)
        elif p + s <= reach:
            out.append(ceil_div(n + 2 * p - reach, s) + 1)
        else:
            out.append((n + p - 1) // s + 1)
    return tuple(out)
