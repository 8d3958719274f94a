"""Gradients of what is added to scores: dS of a few rows at a time, summed up where one number serves many scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import torch
from torch import Tensor

from ogive.compiler.kernels import choice
from ogive.compiler.kernels.launch import Call, launch
from ogive.compiler.kernels.spec import Piece, Places

__all__ = ["gradients"]

BUFFER: Final = 1 << 26
"""Numbers of dS that are kept at a time, about."""

PROGRAMS: Final = 1024
"""Programs that a sum over samples is shared between, about."""

Known: TypeAlias = dict[str, Tensor]


def gradients(
    call: Call, known: Known, bias: bool, mask: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of the bias and of the mask, where they are wanted.

    Args:
        known: `grad`, `total` and `delta`, as `launch.backward` has them.
    """
    of_bias = torch.zeros_like(call.bias, dtype=torch.float32) if bias and call.bias is not None else None
    of_mask = torch.zeros(call.mask.shape, device=call.device) if mask and call.mask is not None else None
    for piece in call.spec.pieces:
        heads = None
        if piece.heads is not None:
            heads = call.tables[piece.heads[0] : piece.heads[0] + piece.heads[1]].long()
        if of_bias is not None:
            {"table": _to_table, "slopes": _to_slopes, "places": _to_places}[call.spec.bias.kind](
                call, piece, known, of_bias, heads)
        if of_mask is not None:
            _to_mask(call, piece, known, of_mask, heads)
    return (None if of_bias is None or call.bias is None else of_bias.to(call.bias.dtype),
            None if of_mask is None or call.mask is None else of_mask.to(call.mask.dtype))


def _chunks(call: Call, piece: Piece, known: Known, outer: int) -> Iterator[tuple[slice, Tensor]]:
    """dS of some queries of a piece, `outer heads rows nk`: of all samples and entries (outer 1), of each entry, or of
    each entry of each sample."""
    setting = choice.backward_scores(call.spec, piece, call.use, call.target)
    batch = call.q.shape[0]
    heads = call.spec.heads if piece.heads is None else piece.heads[1]
    m, n = setting.block_m, setting.block_n
    inner = batch * piece.entries // outer
    across = outer * heads * -(-piece.k.count // n)
    fit = max(1, BUFFER // (outer * heads * piece.k.count) // m) * m
    for first in range(0, piece.q.count, fit):
        rows = min(fit, piece.q.count - first)
        programs = across * -(-rows // m)
        shares = max(1, min(inner, PROGRAMS // programs))
        ds = torch.empty(shares, outer, heads, rows, piece.k.count, device=call.device)
        launch("attention_backward_scores", setting, piece, call, programs * shares, False, **known, ds=ds,
               first=first, rows=rows, outer=outer, inner=inner, shares=shares)
        yield slice(first, first + rows), ds.sum(0) if shares > 1 else ds[0]


def _positions(call: Call, places: Places, entries: int) -> Tensor:
    """The positions of the queries or keys of a piece, `entries count`."""
    a, b, c = places.numbers
    count, device = places.count, call.device
    if places.map == "line":
        return a + b * torch.arange(entries, device=device)[:, None] + torch.arange(count, device=device)
    if places.map == "table":
        return call.tables[a : a + entries * count].long().view(entries, count)
    base = call.tables[a : a + entries].long()[:, None]
    own = torch.arange(count, device=device) < c
    return base * own + call.tables[b : b + count].long()


def _outer(piece: Piece) -> int:
    """How many sums over samples there are, where all samples share what is added."""
    return 1 if piece.alike else piece.entries


def _add(into: Tensor, heads: Tensor | None, axis: int, at: Tensor, given: Tensor) -> None:
    """Add to `into`, whose first axis are heads: to those named, along another axis, what stands at the same place."""
    some = into if heads is None else into.index_select(0, heads)
    some.index_add_(axis, at, given)
    if heads is not None:
        into.index_copy_(0, heads, some)


def _to_table(call: Call, piece: Piece, known: Known, into: Tensor, heads: Tensor | None) -> None:
    bias, outer = call.spec.bias, _outer(piece)
    q, k = (_positions(call, x, piece.entries)[:outer] for x in (piece.q, piece.k))
    a, b = call.tables[bias.b0 + q].long(), call.tables[bias.b1 + k].long()
    for rows, ds in _chunks(call, piece, known, outer):
        left, right = a[:, rows, None], b[:, None]
        at = left - right
        if bias.prefix:
            gap = bias.gap
            at = torch.where(left < 0, torch.where(right < 0, gap + 2, gap), torch.where(right < 0, gap + 1, at))
        at = at.clamp(0, bias.size - 1).flatten()  # outside lie pairs that are not seen: 0 is added
        _add(into, heads, 1, at, ds.transpose(0, 1).flatten(1))


def _to_slopes(call: Call, piece: Piece, known: Known, into: Tensor, heads: Tensor | None) -> None:
    outer = _outer(piece)
    q, k = (_positions(call, x, piece.entries)[:outer] for x in (piece.q, piece.k))
    for rows, ds in _chunks(call, piece, known, outer):
        away = (q[:, rows, None] + call.spec.bias.b0 - k[:, None]).abs()
        given = -(ds * away[:, None]).sum((0, 2, 3))[:, None]
        _add(into, heads, 1, torch.zeros(1, dtype=torch.long, device=call.device), given)


def _to_places(call: Call, piece: Piece, known: Known, into: Tensor, heads: Tensor | None) -> None:
    bias, batch = call.spec.bias, call.q.shape[0]
    q, k = (_positions(call, x, piece.entries) for x in (piece.q, piece.k))
    width = bias.size + 1  # the last for keys that have no place
    target = into.transpose(0, 1)
    for rows, ds in _chunks(call, piece, known, batch * piece.entries):
        given = ds.unflatten(0, (batch, piece.entries)).permute(2, 0, 3, 1, 4).flatten(3)  # heads B rows (entries keys)
        made = ds.new_zeros(*given.shape[:3], piece.entries * width)
        for axis in range(bias.axes):
            at = call.tables[bias.b1 + axis * call.spec.keys + k].long()
            at = torch.where(at < 0, bias.size, at) + width * torch.arange(piece.entries, device=call.device)[:, None]
            made.index_add_(3, at.flatten(), given)
        found = made.unflatten(3, (piece.entries, width))[..., :-1].transpose(2, 3).flatten(2, 3)
        _add(target, heads, 2, q[:, rows].flatten(), found)


def _to_mask(call: Call, piece: Piece, known: Known, into: Tensor, heads: Tensor | None) -> None:
    batch = call.q.shape[0]
    q, k = (_positions(call, x, piece.entries) for x in (piece.q, piece.k))
    outer = piece.entries * (batch if into.shape[0] > 1 else 1)
    for rows, ds in _chunks(call, piece, known, outer):
        given = ds.unflatten(0, (-1, piece.entries)).transpose(0, 2)  # heads entries B rows keys
        if into.shape[1] == 1:
            given = given.sum(0, keepdim=True)
        at, to = q[:, rows], k
        if into.shape[2] == 1:
            given, at = given.sum(3, keepdim=True), torch.zeros_like(at[:, :1])
        if into.shape[3] == 1:
            given, to = given.sum(4, keepdim=True), torch.zeros_like(to[:, :1])
        place = (at[:, :, None] * into.shape[3] + to[:, None]).flatten()
        flat = into.view(*into.shape[:2], -1).transpose(0, 1)
        _add(flat, None if into.shape[1] == 1 else heads, 2, place, given.transpose(1, 2).flatten(2))
