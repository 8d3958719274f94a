"""What a cubin says of itself: architecture, registers, stack, and its block of parameters. Read, never run.

A cubin is an ELF file. Each kernel has a section `.nv.info.NAME`, a list of attributes: format, kind, size or value.
What is read here is what `cuobjdump -elf` prints, and a test holds the two together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Cubin", "NotCubin", "Parameter", "read_cubin"]

CUDA_MACHINE: Final = 190
SIZED: Final = 4  # an attribute with bytes behind it; all others hold two bytes of value
PARAMETER, PARAMETERS_SIZE, REGISTERS, FRAME = 0x17, 0x19, 0x2F, 0x11


class NotCubin(Exception):
    """Bytes that are no cubin of one kernel; the text says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where a parameter lies in the block that a launch copies to the GPU, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Cubin:
    """One kernel.

    Attributes:
        symbol: its name.
        arch: the architecture that it is made for, as 90.
        registers: of a thread.
        stack: bytes of a thread that lie in memory because they are no registers: spills, and arrays.
        parameters: in order.
        block: bytes of all parameters together.
    """

    symbol: str
    arch: int
    registers: int
    stack: int
    parameters: tuple[Parameter, ...]
    block: int


def read_cubin(data: bytes) -> Cubin:
    """The kernel of a cubin.

    Raises:
        NotCubin: it is damaged, no cubin, or holds another number of kernels than one.
    """
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError) as error:
        raise NotCubin(f"it is cut short or damaged ({error})") from None


def _read(data: bytes) -> Cubin:
    if data[:4] != b"\x7fELF" or data[4] != 2:
        raise NotCubin("it is no ELF file")
    machine, = struct.unpack_from("<H", data, 18)
    if machine != CUDA_MACHINE:
        raise NotCubin(f"it is an ELF file for machine {machine}, and CUDA's is {CUDA_MACHINE}")
    start, flags = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<I", data, 48)[0]
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)]
    strings = headers[names]
    sections: dict[str, bytes] = {}
    for name, kind, _, _, offset, length in headers:
        if kind != 8:  # NOBITS has no bytes in the file
            if offset + length > len(data):
                raise NotCubin("it is cut short")
            sections[_text(data, strings[4] + name)] = data[offset : offset + length]
    kernels = [name.removeprefix(".nv.info.") for name in sections if name.startswith(".nv.info.")]
    if len(kernels) != 1:
        raise NotCubin(f"it holds {len(kernels)} kernels, and here is one a file")
    symbol, = kernels
    arch = flags >> 8 & 0xFF if data[8] >= 8 else flags & 0xFF
    found: dict[int, Parameter] = {}
    block = 0
    for kind, value in _attributes(sections[f".nv.info.{symbol}"]):
        if kind == PARAMETER:
            ordinal, offset, bits = struct.unpack_from("<HHI", value, 4)
            found[ordinal] = Parameter(offset, bits >> 18)
        elif kind == PARAMETERS_SIZE:
            block, = struct.unpack("<H", value)
    shared = dict(_attributes(sections.get(".nv.info", b"")))
    registers, stack = (struct.unpack_from("<II", shared[kind])[1] if kind in shared else 0
                        for kind in (REGISTERS, FRAME))
    if sorted(found) != list(range(len(found))):
        raise NotCubin("parameters are missing from its list")
    return Cubin(symbol, arch, registers, stack, tuple(found[i] for i in range(len(found))), block)


def _attributes(section: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(section):
        form, kind, size = struct.unpack_from("<BBH", section, at)
        at += 4
        if form != SIZED:
            yield kind, struct.pack("<H", size)
            continue
        if at + size > len(section):
            raise NotCubin("an attribute of the kernel is cut short")
        yield kind, section[at : at + size]
        at += size


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
