"""`manifest.json`: what a build holds, as data. Whatever is read is checked before anything of it is used.

A grid is a product of factors: a number, the name of a size, or ["cdiv", size, number], a division rounded up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ogive.compiler.aot.cubin import NotCubin, read_cubin
from ogive.compiler.int8 import WIDEST, Reach
from ogive.dsl.diagnostics import ArchError, fail

__all__ = [
    "FORMAT", "MANIFEST", "Entry", "Factor", "Guard", "Manifest", "Node", "Parameter", "digest", "grid_of", "programs",
    "read_build", "read_manifest",
]

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
LARGEST: Final = 64 << 20
"""Bytes of a manifest, and of any other file of a build."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
FileName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}$")]
Sha256: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Size: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 31)]
Factor: TypeAlias = Size | Name | tuple[Literal["cdiv"], Name, Annotated[int, Field(ge=1, lt=1 << 31)]]

TYPES: Final = {"i32": 4, "i64": 8, "fp32": 4}


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Parameter(_Data):
    """A parameter in the block of a launch: "*bf16" points to numbers of that type; `scratch` points to bytes that a
    launch must provide for each program, and which no caller gives."""

    name: Name
    type: Annotated[str, StringConstraints(pattern=r"^\*?(bf16|fp16|fp32|i8|i32|i64|u8|fp8e4nv)$")]
    offset: Size
    size: Size
    scratch: Size | None = None


class Guard(_Data):
    """What must hold for a launch: `of` is a parameter, whose element type, value or address `rule` is about."""

    of: Name
    rule: Literal["is", "multiple of"]
    value: str | int


class Entry(_Data):
    """One cubin.

    Attributes:
        kernel, setting: what it was compiled of, and for; a launch asks for both.
        guards: what its arguments must be besides. grid: how many programs a launch has.
        registers, stack, matrix: what the compiler made of it.
    """

    file: FileName
    sha256: Sha256
    kernel: Name
    symbol: Name
    setting: dict[str, str | int | bool]
    parameters: tuple[Parameter, ...]
    guards: tuple[Guard, ...]
    grid: tuple[Factor, ...]
    warps: Annotated[int, Field(ge=1, le=32)]
    shared: Size
    registers: Size
    stack: Size
    matrix: Literal["wgmma", "tcgen05", "mma", "fma"]


class Node(_Data):
    """An attention of the network: where it stands, its precision, the kernel that was chosen with why, its cubins; of
    INT8 which numbers get codes."""

    at: tuple[str, ...]
    precision: str
    kernel: str | None
    reason: str
    files: tuple[FileName, ...]
    reach: Reach = WIDEST


class Manifest(_Data):
    """A build: for which GPU, of which network, and its cubins."""

    format: Literal[1]
    ogive: str
    torch: str
    triton: str
    target: Name
    arch: Annotated[str, StringConstraints(pattern=r"^sm_\d{2,3}a?$")]
    capability: Annotated[int, Field(ge=80, le=200)]
    network: str
    source: FileName
    source_sha256: Sha256
    precision: tuple[tuple[str, str], ...]
    sizes: dict[Name, Size]
    attentions: tuple[Node, ...]
    kernels: tuple[Entry, ...]


def digest(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def grid_of(text: str, constants: Mapping[str, Any]) -> tuple[Factor, ...]:
    """A grid as data, of "batch * heads * cdiv(nq, BLOCK_M)"; `constants` are the numbers of names like BLOCK_M."""
    found: list[Factor] = []
    for word in text.split("*"):
        parts = re.fullmatch(r"\s*(?:(\w+)|cdiv\(\s*(\w+)\s*,\s*(\w+)\s*\))\s*", word)
        if parts is None:
            raise ValueError(f"a grid is a product of sizes and cdiv(size, number): {text!r}")
        plain, size, step = parts.groups()
        found.append(plain if plain else ("cdiv", size, int(constants.get(step, step))))
    return tuple(found)


def programs(grid: Sequence[Factor], sizes: Mapping[str, int]) -> int:
    """How many programs a grid is at these sizes."""
    def number(factor: Factor) -> int:
        if isinstance(factor, tuple):
            return -(-sizes[factor[1]] // factor[2])
        return sizes[factor] if isinstance(factor, str) else factor

    return prod(map(number, grid))


def read_build(folder: Path) -> tuple[Manifest, str, dict[str, bytes]]:
    """The manifest of a build, its network as text, and its cubins by file name.

    Raises:
        ArchError: A745, a file is missing, was changed, or is not what the manifest says.
    """
    manifest = read_manifest(folder)
    text = _file(folder, manifest.source, manifest.source_sha256)
    cubins = {entry.file: _file(folder, entry.file, entry.sha256) for entry in manifest.kernels}
    for entry in manifest.kernels:
        _agrees(folder, entry, cubins[entry.file], manifest.capability)
    try:
        return manifest, text.decode(), cubins
    except UnicodeDecodeError:
        raise _wrong(folder, f"`{manifest.source}` is no text") from None


def read_manifest(folder: Path) -> Manifest:
    """What a build says of itself.

    Raises:
        ArchError: A745, there is no manifest, or it is none.
    """
    data = _bytes(folder, MANIFEST)
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        if place == "format":
            raise _wrong(folder, "its format is another one than this version of ogive reads") from None
        raise _wrong(folder, f"`{MANIFEST}` is damaged: {place}: {first['msg'].lower()}") from None
    except RecursionError:
        raise _wrong(folder, f"`{MANIFEST}` is damaged: brackets too deep in each other") from None


def _file(folder: Path, name: str, sha256: str) -> bytes:
    data = _bytes(folder, name)
    if digest(data) != sha256:
        raise _wrong(folder, f"`{name}` is not the file that was written: its SHA-256 differs from the manifest's")
    return data


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.stat().st_size > LARGEST:
            raise _wrong(folder, f"`{name}` is larger than any file of a build")
        return path.read_bytes()
    except OSError as error:
        raise _wrong(folder, f"`{name}`: {(error.strerror or str(error)).lower()}") from None


def _agrees(folder: Path, entry: Entry, cubin: bytes, capability: int) -> None:
    """The manifest and the cubin say the same: what a launch copies lands where the kernel looks for it."""
    try:
        read = read_cubin(cubin)
    except NotCubin as error:
        raise _wrong(folder, f"`{entry.file}`: {error}") from None
    if read.arch != capability:
        raise _wrong(folder, f"`{entry.file}` is for sm_{read.arch}, and the build for sm_{capability}")
    if read.symbol != entry.symbol:
        raise _wrong(folder, f"`{entry.file}` holds the kernel `{read.symbol}`, not `{entry.symbol}`")
    told = [(p.offset, p.size) for p in entry.parameters]
    if told != [(p.offset, p.size) for p in read.parameters]:
        raise _wrong(folder, f"`{entry.file}` takes other parameters than the manifest says")
    for p in entry.parameters:
        if p.size != (8 if p.type.startswith("*") else TYPES.get(p.type)):
            raise _wrong(folder, f"`{entry.file}`: the parameter `{p.name}` of type {p.type} has {p.size} bytes")


def _wrong(folder: Path, what: str) -> ArchError:
    return fail("A745", f"the build in `{folder}` cannot be read: {what}", help="make it anew with `ogive compile`")
