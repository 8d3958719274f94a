"""Weights in safetensors files, and nothing else: written whole or not at all, read strictly.

A storage that several keys share is written once, under the first of them; the others stand in the file's metadata as
`shared:KEY -> FIRST`. The file is a plain safetensors file: any other program reads what is in it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import safetensors
import safetensors.torch
from torch import Tensor, nn

from ogive.compiler.export.weight_checks import (
    Problem,
    check_dtypes,
    check_finite,
    check_keys,
    check_map,
    check_shapes,
    check_ties,
    of_one_weight,
    refused,
)
from ogive.compiler.export.weight_maps import Arrived, arrive, depart
from ogive.dsl.diagnostics import fail, printable
from ogive.dsl.weight_maps import WeightMap

__all__ = ["load_weights", "read", "save_weights", "write"]

_SHARED: Final = "shared:"


def save_weights(module: nn.Module, path: str | os.PathLike[str], names: WeightMap | None = None) -> Path:
    """Write the state_dict of `module` to `path`, beside it first and then by a rename: never half a file.

    With `names`, from `Network.weight_map`, the file has the keys and shapes of that map.

    Raises:
        ArchError: A730, the file cannot be written; A737, the map cannot be gone backwards.
    """
    state = {key: tensor.detach() for key, tensor in module.state_dict().items()}
    return write(state if names is None else depart(names, state), path)


def write(state: Mapping[str, Tensor], path: str | os.PathLike[str]) -> Path:
    """Write tensors by key: one that stands under several keys once, under the first, the others in the metadata.

    Raises:
        ArchError: A730, the file cannot be written.
    """
    target = Path(path)
    first: dict[object, str] = {}
    kept: dict[str, Tensor] = {}
    shared: dict[str, str] = {}
    for key, tensor in state.items():
        at = _place(tensor)
        if at is not None and at in first:
            shared[_SHARED + key] = first[at]
        else:
            if at is not None:
                first[at] = key
            kept[key] = tensor.to("cpu").contiguous()
    beside = None
    try:
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
        # Tensors that only overlap (views of one buffer) are cloned: safetensors takes none that share a storage.
        safetensors.torch.save_file(_apart(kept), beside, metadata={"format": "pt", **shared})
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, target)
    except OSError as error:
        raise fail("A730", f"cannot write `{target}`: {error.strerror or error}") from None
    finally:
        if beside is not None and os.path.exists(beside):
            os.unlink(beside)
    return target


def read(path: str | os.PathLike[str], device: str = "cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file by key, shared ones under every key they have.

    Raises:
        ArchError: A731, there is no such file or it is no safetensors file.
    """
    try:
        with safetensors.safe_open(os.fspath(path), framework="pt", device=device) as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict
            about: Mapping[str, str] = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        missing = isinstance(error, FileNotFoundError)
        cause = "there is no such file" if missing else printable(getattr(error, "strerror", None) or str(error))
        help = None if missing else "it must be a safetensors file; a pickled checkpoint is not read"
        raise fail("A731", f"cannot read `{os.fspath(path)}`: {cause}", help=help) from None
    for name, first in about.items():
        key = name.removeprefix(_SHARED)
        if key != name and first in state:
            state.setdefault(key, state[first])
    return state


def load_weights(module: nn.Module, path: str | os.PathLike[str], names: WeightMap | None = None) -> None:
    """Copy the weights of a safetensors file into `module`: all of them, or none.

    A weight with several keys may stand under any of them. With `names`, from `Network.weight_map`, the file has the
    keys and shapes of that map.

    Raises:
        ArchError: A731 no such file or another format; A732 keys missing or unexpected, with the nearest keys; A733
            another shape; A734 another element type; A735 numbers that are not finite; A736 two keys of one weight
            with different numbers; A737 what the map says cannot be done with the tensors of the file.
    """
    found = read(path)
    count = len(found)
    wanted = module.state_dict(keep_vars=True)
    problems: list[Problem] = []
    arrived = Arrived()
    if names is not None:
        arrived = arrive(names, found)
        problems += check_map(arrived)
        found = {**arrived.state, **{key: found[key] for key in arrived.unused}}
    problems += check_ties(found, of_one_weight(wanted))
    for group in of_one_weight(wanted):  # where the file has one of several keys, it stands for all
        there = next((key for key in group if key in found), None)
        for key in group if there else ():
            found.setdefault(key, found[there or key])
    problems += check_keys(found, [key for key in wanted if key not in arrived.wrong], arrived.lacking)
    problems += check_shapes(found, {key: tensor.shape for key, tensor in wanted.items()})
    problems += check_dtypes(found, {key: tensor.dtype for key, tensor in wanted.items()})
    problems += check_finite(found)
    if problems:
        sizes = f"`{os.fspath(path)}` has {count} tensors, the network {len(wanted)}"
        raise refused(problems, f"{sizes}; nothing was loaded")
    module.load_state_dict(found, strict=True)


def _place(tensor: Tensor) -> object | None:
    """What two tensors have in common when they are one; None for tensors without memory."""
    if tensor.is_meta or tensor.numel() == 0:
        return None
    return tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    seen: set[int] = set()
    apart = {}
    for key, tensor in state.items():
        at = tensor.untyped_storage().data_ptr()
        apart[key] = tensor.clone() if at in seen or tensor.untyped_storage().nbytes() != tensor.nbytes else tensor
        seen.add(at)
    return apart


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
