"""What an attention kernel is compiled for, and which tiles and warps it gets on a target. No Triton here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol, TypeAlias

from ogive.compiler.int8 import GROUP

__all__ = [
    "LARGEST_HEAD", "ROWS", "SPLITS", "Device", "Int8", "Setting", "halves", "power", "shared_bytes", "tiled",
]

Map: TypeAlias = Literal["line", "split", "table"]
Keep: TypeAlias = Literal["all", "band", "list"]
Added: TypeAlias = Literal["none", "table", "slopes", "places"]
Given: TypeAlias = Literal["none", "bool", "float"]
Int8: TypeAlias = Literal["none", "block", "token", "fp8"]

MAPS: Final[dict[Map, int]] = {"line": 0, "split": 1, "table": 2}
KEEPS: Final[dict[Keep, int]] = {"all": 0, "band": 1, "list": 2}
BIASES: Final[dict[Added, int]] = {"none": 0, "table": 1, "slopes": 2, "places": 3}
MASKS: Final[dict[Given, int]] = {"none": 0, "bool": 1, "float": 2}
LARGEST_HEAD: Final = 256
"""Channels of a head, at most."""

SPLITS: Final = 16
"""Parts of the keys that are summed by a program each, before codes are made: at most."""

ROWS: Final = 64
"""Rows of q, k or v that a program makes codes of: whole groups of neighbours."""

BYTES: Final = {"fp16": 2, "bf16": 2, "fp32": 4}


class Device(Protocol):
    """What of a target decides about tiles."""

    @property
    def capability(self) -> int:
        """90 for sm_90."""

    @property
    def shared(self) -> int:
        """Bytes of shared memory that a block may have."""


@dataclass(frozen=True)
class Setting:
    """All that makes one compiled kernel differ from another.

    Attributes:
        dtype: of q, k, v and the answers: "fp16", "bf16" or "fp32".
        width, values: channels of a head of q and k, and of v; any number from 1 to 256.
        block_m, block_n: queries and keys of a tile, powers of two of at least 16.
        warps, stages: `num_warps` and `num_stages` of Triton.
        q_map, k_map: how positions are told. "line": start + entry step + i; "split": base[entry] + local[i];
            "table": written out.
        keep: which pairs of an entry are seen: "all", "band" (two numbers), "list" (full tiles, and partial with bits).
        bias: "table" over offsets, "slopes" times a distance, "places": a number for each query and place on an axis.
        axes: of "places". prefix: "table" has three numbers more, for tokens outside the grid.
        mask: a mask that is given: "bool" or "float" (added). mask_rows: it is the same for all queries.
        dropout: weights are dropped by Philox.
        heads_listed: the part belongs to some of the heads.
        merge: earlier parts answered some of these queries; gradients are added to what is there.
        slots: of the backward kernel of keys: each entry writes into rows of its own, since entries share keys.
        wide: answers are written in float32, to be merged.
        precision: of products of float32: "ieee", "tf32" or "tf32x3".
        int8: q and k are INT8 codes with a scale for "block"s of 32 neighbours, or each "token"; then v is too, or
            with "fp8" is FP8.
    """

    dtype: Literal["fp16", "bf16", "fp32"]
    width: int
    values: int
    block_m: int = 64
    block_n: int = 64
    warps: int = 4
    stages: int = 2
    q_map: Map = "line"
    k_map: Map = "line"
    keep: Keep = "all"
    bias: Added = "none"
    axes: int = 0
    prefix: bool = False
    mask: Given = "none"
    mask_rows: bool = False
    dropout: bool = False
    heads_listed: bool = False
    merge: bool = False
    slots: bool = False
    wide: bool = False
    precision: Literal["ieee", "tf32", "tf32x3"] = "ieee"
    int8: Int8 = "none"

    def constants(self) -> dict[str, Any]:
        """The values of the constexpr parameters, by name."""
        d1, d2 = halves(self.width, 16 if self.int8 == "none" else 32)
        e1, e2 = halves(self.values)
        return {
            "D": self.width, "D1": d1, "D2": d2, "E": self.values, "E1": e1, "E2": e2,
            "BLOCK_M": self.block_m, "BLOCK_N": self.block_n,
            "Q_MAP": MAPS[self.q_map], "K_MAP": MAPS[self.k_map], "KEEP": KEEPS[self.keep],
            "BIAS": BIASES[self.bias], "AXES": self.axes, "PREFIX": self.prefix,
            "MASK": MASKS[self.mask], "MASK_ROWS": self.mask_rows, "DROPOUT": self.dropout,
            "HEADS_LISTED": self.heads_listed, "MERGE": self.merge, "SLOTS": self.slots, "PRECISION": self.precision,
            "D0": power(self.width), "E0": power(self.values), "TOKEN": self.int8 in ("token", "fp8"),
            "FP8": self.int8 == "fp8", "GROUP": 1 if self.int8 in ("token", "fp8") else GROUP,
        }


def halves(width: int, least: int = 16) -> tuple[int, int]:
    """A head's channels as two powers of two, the second 0 where one does: 80 = 64 + 16, 72 = 64 + 16, 128 = 128 + 0.

    A matrix instruction takes at least 16 channels, one of INT8 32; those too many are zeros.
    """
    whole = max(least, power(width))
    first = whole // 2
    second = max(least, 1 << max(width - first - 1, 0).bit_length())
    return (whole, 0) if width <= least or first + second >= whole else (first, second)


def tiled(
    setting: Setting, device: Device, rows: int, columns: int, backward: bool = False, by_keys: bool = False
) -> Setting:
    """The setting with tiles, warps and stages for a part of so many queries and keys an entry.

    Tiles are no larger than a part; they shrink until what a block keeps in shared memory fits the device. The tiles of
    "list" are those of its lists and stay. `by_keys` is the kernel of dk and dv, which sums both in registers.
    """
    exact = setting.dtype == "fp32" and setting.precision == "ieee"
    fixed = setting.keep == "list"
    large, broad = _exact(setting, backward) if exact else (
        64 if setting.dtype == "fp32" or backward or setting.width > 128 or device.capability < 80 else 128, 64)
    m = setting.block_m if fixed else min(large, power(rows))
    n = setting.block_n if fixed else min(broad, power(columns))
    made = replace(setting, block_m=m, block_n=n, stages=3 if device.capability >= 90 and not exact else 2)
    while shared_bytes(made, backward) > device.shared:
        if made.stages > 1:
            made = replace(made, stages=made.stages - 1)
        elif not fixed and made.block_n > 16 and made.block_n >= made.block_m:
            made = replace(made, block_n=made.block_n // 2)
        elif not fixed and made.block_m > 16:
            made = replace(made, block_m=made.block_m // 2)
        else:
            break  # the compiled kernel says how much it takes, and is refused then
    wide = made.width > 64 or made.values > 64
    warps = 8 if exact or made.block_m >= 128 or (made.block_m >= 64 and (wide or backward)) else 4
    made = replace(made, warps=warps if made.block_m > 16 else 4)
    if by_keys and not exact and not fixed and max(made.width, made.values) > 128:  # 600 bytes would be spilled
        made = replace(made, block_m=min(made.block_m, 32))
    return made


def _exact(setting: Setting, backward: bool) -> tuple[int, int]:
    """Queries and keys of a tile of float32: without tensor cores all of it lies in registers, and must fit them."""
    width = max(setting.width, setting.values)
    if width <= 96:
        return (32 if backward else 64), 32
    return (16 if backward and width > 128 else 32), (32 if not backward and width <= 128 else 16)


def shared_bytes(setting: Setting, backward: bool = False) -> int:
    """About how much shared memory a block of a kernel takes, in bytes."""
    d, e = (sum(halves(n)) for n in (setting.width, setting.values))
    each = BYTES[setting.dtype]
    still = setting.block_m * (d + (e if backward else 0)) + setting.block_m * setting.block_n
    return each * (still + max(setting.stages, 1) * setting.block_n * (d + e))


def power(n: int) -> int:
    """The next power of two, of at least 16."""
    return max(16, 1 << (n - 1).bit_length())
