"""`ogive compile`: a network as a Python file in plain PyTorch, or its attention kernels for a GPU that is not here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.commands.failure import tell
from ogive.commands.options import File, Kernel, Net, PrecisionOf, Root, Set, SizeOf, open_network, sizes_from
from ogive.commands.output import human, progress, write_whole
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.network import Network

__all__ = ["compile"]


def compile(
    file: File,
    net: Net = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="TARGET", help="The GPU to compile attention kernels for: h200.")
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="A Python file, or - for stdout; a folder of a build.")
    ] = "-",
    precision: PrecisionOf = None,
    kernel: Kernel = None,
    size: SizeOf = None,
    set_: Set = None,
    root: Root = None,
) -> None:
    """Write a network as a Python file in plain PyTorch, or, with --target, its attention kernels for a GPU.

    The file needs torch alone, not ogive, and its state_dict has the same keys. A build is a folder of cubins and a
    manifest.json: `ogive.load_module` launches them on that GPU, where neither Triton nor a compiler is needed.
    """
    if target is not None:
        _build(open_network(file, net, set_, root), target, output, precision, kernel, sizes_from(size))
        return
    for name, given in (("--precision", precision), ("--kernel", kernel), ("--size", size)):
        if given:
            raise fail("A803", f"`{name}` is about kernels for a GPU, and no target is named", help="`--target h200`")
    if output != "-" and Path(output).suffix != ".py":
        raise fail("A804", f"`{output}` is no name for Python source", help=f"`{Path(output).stem or 'out'}.py`")
    network = open_network(file, net, set_, root)
    with progress(f"writing {network.name}"):
        from ogive.compiler.export.source import to_source

        text = to_source(network)
    if output == "-":
        sys.stdout.write(text)
        return
    with write_whole(output) as draft:
        draft.write_text(text, encoding="utf-8")
    tell(f"wrote {output}: {network.name}, {text.count(chr(10)):,} lines")


def _build(
    network: Network, target: str, output: str, precision: list[str] | None, kernel: str | None, sizes: dict[str, int]
) -> None:
    """Compile what the network's attentions launch on a GPU."""
    from ogive.compiler.precision import precision_of
    from ogive.compiler.targets import gpu_named

    gpu = gpu_named(target, "a build")
    if output == "-":
        raise fail("A804", "a build is a folder, and none is named", help=f"`-o build/{target}`")
    told = precision_of(precision)
    with progress(f"compiling {network.name} for {target}") as step:
        from ogive.compiler.aot import need_triton

        need_triton()
        from ogive.compiler.aot.build import build, write_build

        built = build(network, target, gpu, told, kernel, sizes, step)
        write_build(built, Path(output))
    kernels = built.manifest.kernels
    size = sum(map(len, built.cubins.values()))
    count = sum(len(node.at) for node in built.manifest.attentions if node.files)
    tell(f"wrote {output}: {network.name} for {target} ({gpu.arch}), {len(kernels)} "
         f"kernel{'' if len(kernels) == 1 else 's'} of {count} attention{'' if count == 1 else 's'}, {human(size)}B")
