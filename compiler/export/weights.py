"""Weights in safetensors files, and nothing else: written whole or not at all, read strictly.

A storage that several keys share is written once, under the first of them; the others stand in the file's metadata as
`shared:KEY -> FIRST`. The file is a plain safetensors file: any other program reads what is in it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ogive.dsl.diagnostics import ArchError, Diagnostic, fail, nearest, printable

__all__ = ["load_weights", "read", "save_weights"]

_SHARED: Final = "shared:"
_MOST_NAMED: Final = 8
"""How many tensors of a kind an error names; it counts the others."""


def save_weights(module: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write the state_dict of `module` to `path`, beside it first and then by a rename: never half a file.

    Raises:
        ArchError: A730, the file cannot be written.
    """
    target = Path(path)
    state = {key: tensor.detach() for key, tensor in module.state_dict().items()}
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


def load_weights(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Copy the weights of a safetensors file into `module`: all of them, or none.

    Raises:
        ArchError: A731 no such file or another format; A732 keys missing or unexpected, with the nearest keys; A733
            another shape; A734 another element type; A735 numbers that are not finite.
    """
    found = read(path)
    wanted = module.state_dict(keep_vars=True)
    _tie(found, wanted)
    problems = [*_keys(found, wanted), *_shapes(found, wanted), *_dtypes(found, wanted), *_finite(found)]
    if problems:
        note = f"`{os.fspath(path)}` has {len(found)} tensors, the network {len(wanted)}; nothing was loaded"
        raise ArchError(tuple(Diagnostic(code, title, notes=(*notes, note)) for code, title, notes in problems))
    module.load_state_dict(found, strict=True)


def _tie(found: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Where the file lists one of two tied weights, as some programs write them, it stands for both."""
    by_object = {id(tensor): found[key] for key, tensor in wanted.items() if key in found}
    for key, tensor in wanted.items():
        if key not in found and id(tensor) in by_object:
            found[key] = by_object[id(tensor)]


_Problem = tuple[str, str, tuple[str, ...]]


def _keys(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[_Problem]:
    missing = [k for k in wanted if k not in found]
    unexpected = [k for k in found if k not in wanted]
    problems: list[_Problem] = []
    if missing:
        lines = [f"{k}{_near(k, unexpected)}" for k in missing[:_MOST_NAMED]]
        problems.append(("A732", f"{_many(missing, 'weight')} not in the file", _some(lines, missing)))
    if unexpected:
        lines = [f"{k}{_near(k, missing or wanted)}" for k in unexpected[:_MOST_NAMED]]
        title = f"{_many(unexpected, 'tensor')} in the file that the network does not have"
        problems.append(("A732", title, _some(lines, unexpected)))
    return problems


def _shapes(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[_Problem]:
    wrong = [k for k in wanted if k in found and found[k].shape != wanted[k].shape]
    lines = [f"{k}: {_size(found[k])} in the file, {_size(wanted[k])} in the network" for k in wrong[:_MOST_NAMED]]
    return [("A733", f"{_many(wrong, 'tensor')} of another shape", _some(lines, wrong))] if wrong else []


def _dtypes(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[_Problem]:
    """Floats of any width go over into each other; a whole number never becomes a float, nor the other way round."""
    wrong = [k for k in wanted if k in found and found[k].is_floating_point() != wanted[k].is_floating_point()]
    lines = [f"{k}: {found[k].dtype} in the file, {wanted[k].dtype} in the network" for k in wrong[:_MOST_NAMED]]
    return [("A734", f"{_many(wrong, 'tensor')} of another element type", _some(lines, wrong))] if wrong else []


def _finite(found: Mapping[str, Tensor]) -> list[_Problem]:
    wrong = [k for k, t in found.items() if t.is_floating_point() and not bool(torch.isfinite(t.float().sum()))]
    wrong = [k for k in wrong if not bool(torch.isfinite(found[k]).all())]  # a sum may overflow by itself
    if not wrong:
        return []
    return [("A735", f"{_many(wrong, 'tensor')} with numbers that are not finite", _some(wrong, wrong))]


def _near(key: str, known: Iterable[str]) -> str:
    near = nearest(key, known)
    return f" (near: {near})" if near else ""


def _many(keys: list[str], word: str) -> str:
    return f"{len(keys)} {word}{'' if len(keys) == 1 else 's'}"


def _some(lines: list[str], of: list[str]) -> tuple[str, ...]:
    shown = lines[:_MOST_NAMED]
    return (*shown, f"and {len(of) - len(shown)} more") if len(of) > len(shown) else tuple(shown)


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


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
