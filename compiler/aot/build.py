"""From a network to a folder of cubins and a manifest: what its attentions launch on a GPU, compiled on any machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from ogive.compiler.aot.compiled import Compiled, compile_kernel, refused
from ogive.compiler.aot.cubin import read_cubin
from ogive.compiler.aot.manifest import (
    FORMAT,
    MANIFEST,
    Entry,
    Guard,
    Manifest,
    Node,
    Parameter,
    digest,
    grid_of,
)
from ogive.compiler.aot.record import Launched, launches
from ogive.compiler.choices import chosen_of
from ogive.compiler.cost import sizes_of
from ogive.compiler.explain import Account, On, accounts
from ogive.compiler.kernels.registry import KERNELS, Kernel
from ogive.compiler.kernels.setting import Setting
from ogive.compiler.lower.attention import unfused
from ogive.compiler.passes.choose_kernels import DTYPES
from ogive.compiler.pipeline import Checked, compile
from ogive.compiler.precision import Precision
from ogive.compiler.targets import Gpu
from ogive.dsl.diagnostics import fail
from ogive.dsl.dims import evaluate
from ogive.dsl.types import sized

__all__ = ["Built", "build", "entry_of", "write_build"]

HIDDEN: Final = ("global_scratch", "profile_scratch")
"""Pointers that Triton adds behind a kernel's own parameters."""

SOURCE: Final = "network.arch"

Step = Callable[..., None]


class Expandable(Checked, Protocol):
    """A checked network that can be written as a text of its own."""

    @property
    def name(self) -> str: ...

    def expand(self) -> str: ...


@dataclass(frozen=True)
class Built:
    """A build in memory: its manifest, the text of its network, cubins by file name."""

    manifest: Manifest
    source: str
    cubins: Mapping[str, bytes]


def build(net: Expandable, target: str, gpu: Gpu, precision: Precision, kernel: str | None = None,
          sizes: Mapping[str, int] | None = None, step: Step = lambda *_: None) -> Built:
    """Compile the kernels that a network's attentions launch on a GPU at the sizes given.

    A kernel does not depend on how many samples there are, and hardly on how many positions: other sizes run on the
    same cubins where these are chosen for them too.

    Raises:
        ArchError: A744, a kernel does not fit the GPU; what `explain` raises; A314 a network that has no text.
    """
    source = net.expand()
    told = accounts(net.graph, sizes, unfused, On(gpu, precision, kernel))
    those = _launches(net, told, gpu, precision, sizes)
    made: dict[tuple[Any, ...], tuple[Entry, bytes]] = {}
    asked = {_key(one): one for each in those.values() for one in each}
    for i, (key, one) in enumerate(asked.items()):
        step(f"compiling {one.kernel} for {gpu.arch}", i, len(asked))
        made[key] = entry_of(KERNELS[one.kernel], one, gpu)
    files = {name: [made[_key(one)][0].file for one in each] for name, each in those.items()}
    manifest = Manifest(
        format=FORMAT, ogive=_version("ogive"), torch=torch.__version__, triton=_version("triton"), target=target,
        arch=gpu.arch, capability=gpu.capability, network=net.name, source=SOURCE,
        source_sha256=digest(source.encode()), precision=(("*", precision.plain), *precision.rules),
        sizes=sizes_of(net.graph, sizes), attentions=tuple(_node(one, files) for one in told),
        kernels=tuple(entry for entry, _ in made.values()),
    )
    return Built(manifest, source, {entry.file: cubin for entry, cubin in made.values()})


def _launches(
    net: Expandable, told: tuple[Account, ...], gpu: Gpu, precision: Precision, sizes: Mapping[str, int] | None
) -> dict[str, list[Launched]]:
    """What each attention launches, by its path."""
    dtype = DTYPES[precision.plain]
    module = compile(net, device="meta", dtype=dtype, chosen=chosen_of(told)).eval()
    values = sizes_of(net.graph, sizes)
    inputs = []
    for name in net.graph.inputs:
        port = sized(net.graph.nodes[name].outputs[0], values)
        kind = {"int": torch.int64, "bool": torch.bool}.get(port.dtype, dtype)
        inputs.append(torch.empty(tuple(evaluate(n, values) for n in port.shape), dtype=kind, device="meta"))
    return launches(module, net.graph, inputs, gpu)


def _key(one: Launched) -> tuple[Any, ...]:
    """What makes one compiled kernel differ from another."""
    return one.kernel, one.setting, frozenset(_loose(one))


def _loose(one: Launched) -> set[str]:
    """The strides that are no multiples of 16, although kernels are usually compiled for those."""
    arguments = KERNELS[one.kernel].arguments(one.setting)
    return {x.name for x in arguments if x.aligned and one.numbers.get(x.name, 0) % 16}


def entry_of(kernel: Kernel, launched: Launched, gpu: Gpu) -> tuple[Entry, bytes]:
    """A launch as a cubin, with what the manifest says of it.

    Raises:
        ArchError: A744, it does not fit the GPU.
    """
    setting = launched.setting
    loose = _loose(launched)
    made = compile_kernel(kernel, setting, gpu.capability, loose)
    reason = refused(made.facts, gpu.shared)
    if reason is not None:
        raise fail("A744", f"`{kernel.name}` does not fit {gpu.arch}: {reason}",
                   notes=(f"compiled for {setting}",), help="another precision, or another kernel by `--kernel`")
    parameters = _parameters(kernel, setting, made)
    facts = made.facts
    entry = Entry(
        file=f"{kernel.name}-{digest(made.cubin)[:16]}.cubin", sha256=digest(made.cubin), kernel=kernel.name,
        symbol=made.symbol, setting=asdict(setting), parameters=parameters, guards=_guards(kernel, setting, loose),
        grid=grid_of(kernel.grid, kernel.constants(setting)), warps=facts.warps, shared=facts.shared,
        registers=facts.registers, stack=facts.stack, matrix=facts.matrix,
    )
    return entry, made.cubin


def _parameters(kernel: Kernel, setting: Setting, made: Compiled) -> tuple[Parameter, ...]:
    """The block of parameters: the kernel's own, then the pointers that Triton adds."""
    names: list[tuple[str, str, int | None]] = [(x.name, x.type, None) for x in kernel.arguments(setting)]
    names += [(name, "*u8", size) for name, size in zip(HIDDEN, made.scratch, strict=True)]
    places = read_cubin(made.cubin).parameters
    return tuple(
        Parameter(name=name, type=type, offset=place.offset, size=place.size, scratch=scratch)
        for (name, type, scratch), place in zip(names, places, strict=True)
    )


def _guards(kernel: Kernel, setting: Setting, loose: set[str]) -> tuple[Guard, ...]:
    """What arguments must be: the element type of each pointer that is read, and multiples of 16 as compiled."""
    idle = {name for name, on in (("mask", setting.mask != "none"), ("bias", setting.bias != "none"),
                                  ("seed", setting.dropout)) if not on}
    found = []
    for x in kernel.arguments(setting):
        if x.name in idle:
            continue
        if x.type.startswith("*"):
            found.append(Guard(of=x.name, rule="is", value=x.type[1:]))
        if x.aligned and x.name not in loose:
            found.append(Guard(of=x.name, rule="multiple of", value=16))
    return tuple(found)


def _node(one: Account, files: Mapping[str, list[str]]) -> Node:
    assert one.choice is not None
    used = dict.fromkeys(file for name in one.names for file in files.get(name, ()))
    return Node(at=one.names, precision=one.precision, kernel=one.choice.kernel, reason=one.choice.reason,
                files=tuple(used), reach=one.reach)


def write_build(built: Built, folder: Path) -> None:
    """Write a build: all of it, or nothing. A build that stands there is replaced, anything else is left alone.

    Raises:
        ArchError: A804, something else stands there, or it cannot be written.
    """
    if folder.exists() and not (folder.is_dir() and _is_build(folder)):
        raise fail("A804", f"cannot write `{folder}`: something that is no build stands there",
                   help="an empty folder, or one that is not there yet")
    if not folder.parent.is_dir():
        raise fail("A804", f"cannot write `{folder}`: there is no such folder", help=f"make `{folder.parent}` first")
    draft = Path(tempfile.mkdtemp(prefix=".ogive-", dir=folder.parent))
    try:
        for name, data in built.cubins.items():
            (draft / name).write_bytes(data)
        (draft / SOURCE).write_text(built.source, "utf-8", newline="\n")
        (draft / MANIFEST).write_text(_json(built.manifest), "utf-8", newline="\n")
        draft.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=".ogive-", dir=folder.parent))
            os.replace(folder, old / "old")
            os.replace(draft, folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(draft, folder)
    except OSError as error:
        raise fail("A804", f"cannot write `{folder}`: {(error.strerror or str(error)).lower()}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_build(folder: Path) -> bool:
    """A folder of a build, or an empty one."""
    names = [path.name for path in folder.iterdir()]
    return not names or MANIFEST in names


def _json(manifest: Manifest) -> str:
    told: dict[str, Any] = manifest.model_dump(mode="json", exclude_none=True)
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _version(package: str) -> str:
    return importlib.metadata.version(package)
