"""A build on the machine that it was made for: the network, its attention launched from cubins by the CUDA driver."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ogive.compiler.aot.driver import Driver, open_driver
from ogive.compiler.aot.loaded import Loaded
from ogive.compiler.aot.manifest import Manifest, read_build
from ogive.compiler.choices import Chosen
from ogive.compiler.kernels.ready import TAKERS
from ogive.compiler.module import Network
from ogive.compiler.passes.choose_kernels import DTYPES
from ogive.compiler.pipeline import compile
from ogive.dsl.diagnostics import fail
from ogive.network import loads

__all__ = ["load_module"]


def load_module(
    folder: str | os.PathLike[str], *, device: torch.device | str = "cuda", dtype: torch.dtype | None = None,
    driver: Driver | None = None,
) -> Network:
    """The module of a build that `ogive compile --target` made; neither Triton nor a compiler is needed.

    Hashes are checked first, and that every cubin is what the manifest says. Its weights are initial:
    `load_weights(module, path)` reads others. Whatever the build has no cubin for, another type or stride, is run by
    Triton where it is installed, else by torch's attention; `module.meta["ogive"]["build"].misses` tells which and why.

    Args:
        folder: of the build.
        device: where the module lives: a GPU of the build's architecture.
        dtype: of the weights; what the build was made for when not given.
        driver: the CUDA driver; the machine's own when not given.

    Raises:
        ArchError: A745, the build is damaged or was changed. A746, there is no such GPU here.
    """
    manifest, text, cubins = read_build(Path(folder))
    loaded = Loaded(manifest, cubins, driver or open_driver())
    where = torch.device(device)
    reason = _absent(where) if driver is None else None
    reason = reason or loaded.refuses(where)
    if reason is not None:
        raise fail("A746", f"the build in `{folder}` does not run here: {reason}",
                   help="`ogive compile` with the target at hand, or `ogive.compile` without a build")
    module = compile(loads(text), device=where, dtype=dtype or DTYPES[manifest.precision[0][1]],
                     chosen=_chosen(manifest))
    module.meta["ogive"]["build"] = loaded
    TAKERS.append(loaded)
    return module


def _absent(device: torch.device) -> str | None:
    """Why torch cannot use a device; None where it can."""
    if device.type == "cuda" and not torch.cuda.is_available():
        return "torch finds no GPU"
    return None


def _chosen(manifest: Manifest) -> dict[str, Chosen]:
    """The kernel and the precision of each attention, as the build has them."""
    return {path: Chosen(node.kernel, node.precision, node.reach) for node in manifest.attentions for path in node.at}
