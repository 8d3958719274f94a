"""The devices a network can be compiled for: what they hold, how fast they are, where each figure is from. No torch.

Rates are peaks as the maker states them; `sustained` says what share of them a large product or copy really gets.
FLOP are counted as two for each multiply-add, as makers do. A KB of shared memory is 1,024 bytes; GB/s are 10^9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ogive.compiler.int8 import WORDS
from ogive.dsl.diagnostics import fail, offer

__all__ = [
    "AUTO", "CPU", "IN_ATTENTION", "PRECISIONS", "TARGETS", "Figure", "Gpu", "Target", "check_target", "gpu_named",
    "gpu_of",
]

PRECISIONS: Final[Mapping[str, int]] = MappingProxyType({"float32": 4, "tf32": 4, "bf16": 2, "fp16": 2})
"""What products may be computed in, and how many bytes a number then has."""

IN_ATTENTION: Final[Mapping[str, int]] = MappingProxyType({**PRECISIONS, **dict.fromkeys(WORDS, 2)})
"""What the products of attention may be computed in, and how many bytes a number of q, k and v has as it arrives."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and where it is from."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a GPU is, as far as a kernel must know.

    Attributes:
        capability: CUDA's compute capability, 90 for 9.0.
        arch: the exact architecture that a cubin is made for: `sm_90a` runs on 9.0 and nowhere else.
        sms: streaming multiprocessors.
        shared_limit: bytes of shared memory that one block may ask for.
        bandwidth: bytes a second between the GPU and its memory.
        matrix: FLOP a second of dense matrix products, by precision; "float32" without tensor cores, "fp8" where it has
            that.
        exp: exponentials a second.
        launch: seconds that a kernel costs at least, however little it does.
        sustained: the share of `matrix` and of `bandwidth` that real work reaches.
    """

    capability: int
    arch: str
    sms: int
    shared_limit: Figure
    bandwidth: Figure
    matrix: Mapping[str, Figure]
    exp: Figure
    launch: Figure
    sustained: Mapping[str, Figure]

    @property
    def shared(self) -> int:
        """Bytes of shared memory that one block may ask for."""
        return int(self.shared_limit.value)

    def rate(self, precision: str) -> float:
        """FLOP a second of a large matrix product."""
        share = 1.0 if precision == "float32" else self.sustained["matrix"].value
        return self.matrix[precision].value * share

    @property
    def bytes_a_second(self) -> float:
        """Bytes a second of a large copy."""
        return self.bandwidth.value * self.sustained["bandwidth"].value


@dataclass(frozen=True, slots=True)
class Target:
    """A name that `--target` takes; `gpu` is None for what runs torch's own kernels on whatever is there."""

    name: str
    about: str
    gpu: Gpu | None = field(default=None, repr=False)


GUIDE: Final = "CUDA C++ Programming Guide, technical specifications for each compute capability"
RESULTS: Final = "CUDA C++ Programming Guide, 16 results a clock and SM of the special function units"

SHARED: Final = MappingProxyType({
    80: Figure(163 * 1024, GUIDE), 86: Figure(99 * 1024, GUIDE), 89: Figure(99 * 1024, GUIDE),
    90: Figure(227 * 1024, GUIDE), 100: Figure(227 * 1024, GUIDE), 120: Figure(99 * 1024, GUIDE),
})
LAUNCH: Final = Figure(4e-6, "assumed; between kernels that follow each other in a stream, not measured here")
H200_MEASURED: Final = MappingProxyType({
    "matrix": Figure(790 / 989.4, "790 TFLOP/s of bf16, measured on an H200"),
    "bandwidth": Figure(4.3 / 4.8, "4.3 TB/s of a copy, measured on an H200"),
})
AS_H200: Final = MappingProxyType({
    "matrix": Figure(0.80, "assumed to be that of the H200, which was measured"),
    "bandwidth": Figure(0.90, "assumed to be that of the H200, which was measured"),
})


def _gpu(
    capability: int, arch: str, sms: int, clock: float, sheet: str, bandwidth: float,
    teraflops: Mapping[str, float], sustained: Mapping[str, Figure] = AS_H200,
) -> Gpu:
    """A GPU by its data sheet; `clock` in GHz, `bandwidth` in GB/s."""
    return Gpu(
        capability, arch, sms, SHARED[capability], Figure(bandwidth * 1e9, sheet),
        MappingProxyType({name: Figure(value * 1e12, sheet) for name, value in teraflops.items()}),
        Figure(16 * sms * clock * 1e9, f"{RESULTS}, x {sms} SM x {clock} GHz"), LAUNCH, sustained,
    )


def _by_sheet(tf32: float, half: float, int8: float, float32: float, fp8: float | None = None) -> dict[str, float]:
    """TFLOP/s without sparsity, fp16 and FP8 with sums in float32."""
    found = {"float32": float32, "tf32": tf32, "bf16": half, "fp16": half, "int8": int8}
    return found if fp8 is None else {**found, "fp8": fp8}


HOPPER: Final = _by_sheet(tf32=494.7, half=989.4, int8=1978.9, float32=66.9, fp8=1978.9)

AUTO: Final = Target("auto", "whatever device the weights are on")
CPU: Final = Target("cpu", "the processor, by torch's own kernels")

TARGETS: Final[Mapping[str, Target]] = MappingProxyType({target.name: target for target in (
    AUTO,
    CPU,
    Target("a100", "NVIDIA A100, 80 GB, SXM", _gpu(
        80, "sm_80", 108, 1.41, "NVIDIA A100 data sheet, 80 GB SXM", 2039, _by_sheet(156, 312, 624, 19.5),
    )),
    Target("rtx3090", "NVIDIA GeForce RTX 3090", _gpu(
        86, "sm_86", 82, 1.695, "NVIDIA GA102 white paper, RTX 3090", 936, _by_sheet(35.6, 71, 284, 35.6),
    )),
    Target("rtx4090", "NVIDIA GeForce RTX 4090", _gpu(
        89, "sm_89", 128, 2.52, "NVIDIA Ada white paper, RTX 4090", 1008, _by_sheet(82.6, 165.2, 660.6, 82.6, 330.3),
    )),
    Target("h100", "NVIDIA H100, 80 GB, SXM", _gpu(
        90, "sm_90a", 132, 1.755, "NVIDIA H100 data sheet, SXM", 3350, HOPPER,
    )),
    Target("h200", "NVIDIA H200, 141 GB, SXM", _gpu(
        90, "sm_90a", 132, 1.755, "NVIDIA H200 data sheet, SXM", 4800, HOPPER, H200_MEASURED,
    )),
    Target("b200", "NVIDIA B200, 180 GB", _gpu(
        100, "sm_100a", 148, 1.85, "NVIDIA DGX B200 data sheet, one GPU of eight", 8000,
        _by_sheet(1100, 2250, 4500, 75, 4500),
    )),
    Target("rtx5090", "NVIDIA GeForce RTX 5090", _gpu(
        120, "sm_120a", 170, 2.41, "NVIDIA RTX Blackwell white paper, RTX 5090", 1792,
        _by_sheet(104.8, 209.5, 838, 104.8, 419),
    )),
)})
"""What a network can be compiled for."""


def check_target(name: str) -> Target:
    """The target of that name.

    Raises:
        ArchError: A708, there is none of that name.
    """
    if name not in TARGETS:
        raise fail("A708", f"there is no target `{name}`", help=offer(name, TARGETS, "targets"))
    return TARGETS[name]


def gpu_named(name: str, what: str) -> Gpu:
    """The GPU of a target; `what` is what needs one.

    Raises:
        ArchError: A708, there is no such target, or it is no GPU.
    """
    gpu = check_target(name).gpu
    if gpu is None:
        gpus = ", ".join(t.name for t in TARGETS.values() if t.gpu is not None)
        raise fail("A708", f"{what} is for a GPU, and the target `{name}` is none", help=f"one of {gpus}")
    return gpu


def gpu_of(capability: int, name: str = "") -> Target | None:
    """The target that stands for a device of this capability and product name; None where none does."""
    same = [t for t in TARGETS.values() if t.gpu is not None and t.gpu.capability == capability]
    squeezed = name.lower().replace(" ", "")
    return next((t for t in same if t.name in squeezed), same[0] if same else None)
