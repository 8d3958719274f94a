"""Real inputs of a network from a folder or an .npz file, one sample after the other; checked before they are used."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ogive.compiler.calibrate.measure import Sample
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.graph import Graph
from ogive.images import read_image
from ogive.network import Network

__all__ = ["PICTURES", "Arrays", "Folder", "read_samples"]

PICTURES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
"""How the names of picture files end."""

Array = np.ndarray[Any, Any]


def read_samples(path: str, network: Network, limit: int) -> Folder | Arrays:
    """At most `limit` samples of a folder of pictures and .npy files, or of an .npz with an array for each input.

    Raises:
        ArchError: A751, there is none, or it is damaged, of the wrong elements or number of axes, or not finite.
    """
    place = Path(path)
    if place.is_dir():
        return Folder.of(place, network, limit)
    if place.suffix != ".npz":
        what = "no such file or folder" if not place.exists() else "neither a folder nor an .npz file"
        raise fail("A751", f"cannot calibrate on `{path}`: {what}",
                   help="a folder of pictures or .npy files, or an .npz with an array for each input")
    return Arrays.of(place, network, limit)


@dataclass(frozen=True)
class Folder:
    """Files of a folder by name, each one sample of a network with one input: a picture, or an array without batch."""

    files: tuple[Path, ...]
    graph: Graph

    @staticmethod
    def of(place: Path, network: Network, limit: int) -> Folder:
        graph = _largest(network)
        files = sorted(x for x in place.iterdir() if x.suffix.lower() in (*PICTURES, ".npy") and x.is_file())
        if not files:
            raise fail("A751", f"`{place}` holds no picture and no .npy file",
                       help=f"files that end in .npy or {', '.join(PICTURES)}")
        if len(network.graph.inputs) != 1:
            names = ", ".join(f"`{name}`" for name in graph.inputs)
            raise fail("A751", f"`{network.name}` takes {len(graph.inputs)} inputs, {names}: a folder has one for each",
                       help="an .npz with an array for each input")
        return Folder(tuple(files[:limit]), graph)

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Sample]:
        name = self.graph.inputs[0]
        for file in self.files:
            if file.suffix.lower() != ".npy":
                yield Sample(file.name, {name: torch.from_numpy(_picture(file, self.graph))})
                continue
            try:
                array = np.load(file, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise _damaged(file.name, error) from None
            wanted = self.graph.nodes[name].outputs[0]
            batched = not isinstance(wanted.shape[0], int)
            if batched and array.ndim == wanted.rank - 1:
                array = array[None]
            yield Sample(file.name, {name: _checked(file.name, name, array, self.graph)})


@dataclass(frozen=True)
class Arrays:
    """Arrays by the names of a network's inputs, one sample a row."""

    name: str
    arrays: Mapping[str, torch.Tensor]
    rows: frozenset[str]
    count: int

    @staticmethod
    def of(place: Path, network: Network, limit: int) -> Arrays:
        graph = _largest(network)
        try:
            with np.load(place, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            raise _damaged(place.name, error) from None
        missing = [name for name in network.graph.inputs if name not in found]
        extra = [name for name in found if name not in graph.inputs]
        if missing or extra:
            what = f"has no array `{missing[0]}`" if missing else f"has an array `{extra[0]}`, which is no input"
            names = ", ".join(f"`{name}`" for name in graph.inputs)
            raise fail("A751", f"`{place.name}` {what}", help=f"an array for each input of `{network.name}`: {names}")
        arrays = {name: _checked(place.name, name, array, graph) for name, array in found.items()}
        rows = frozenset(name for name in arrays if not isinstance(graph.nodes[name].outputs[0].shape[0], int))
        counts = {name: len(arrays[name]) for name in rows}
        if len(set(counts.values())) > 1 or 0 in counts.values():
            told = ", ".join(f"`{name}` {n}" for name, n in counts.items())
            raise fail("A751", f"the arrays of `{place.name}` have other numbers of samples: {told}",
                       help="a row of each for every sample, and at least one")
        count = min([limit, *counts.values()]) if counts else 1
        return Arrays(place.name, arrays, rows, count)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        for i in range(self.count):
            inputs = {name: x[i : i + 1] if name in self.rows else x for name, x in self.arrays.items()}
            yield Sample(f"{self.name}, row {i}", inputs)


def _largest(network: Network) -> Graph:
    """The graph with every input, optional ones too."""
    return network.cases[-1][1] if network.cases else network.graph


def _picture(file: Path, graph: Graph) -> Array:
    try:
        return read_image(str(file), graph)
    except ArchError as error:
        told = error.diagnostics[0]
        raise fail("A751", told.title, told.span, label=told.label, notes=told.notes, help=told.help) from None


def _checked(source: str, name: str, array: Array, graph: Graph) -> torch.Tensor:
    """An array as the input takes it: integers as int64, floats as float32.

    Raises:
        ArchError: A751, other elements or axes, or a number that is not finite.
    """
    port = graph.nodes[name].outputs[0]
    kinds = {"float": "f", "int": "iu", "bool": "b"}
    if array.dtype.kind not in kinds.get(port.dtype, "c"):
        help = f"floats, scaled as in training: `{port}`" if port.dtype == "float" else f"`{name}` is `{port}`"
        raise fail("A751", f"`{source}` has {array.dtype} for the input `{name}`, which is of {port.dtype}", help=help)
    if array.ndim != port.rank:
        raise fail("A751", f"`{source}` has {array.ndim} axes for the input `{name}`, which has {port.rank}: {port}",
                   notes=(f"its shape is {' '.join(map(str, array.shape))}",),
                   help="one sample a row" if array.ndim == port.rank - 1 else None)
    if array.dtype.kind == "f":
        bad = int(array.size - np.isfinite(array).sum())
        if bad:
            what = f"{bad:,} numbers that are" if bad > 1 else "a number that is"
            raise fail("A751", f"`{source}` has {what} not finite, for `{name}`",
                       help="NaN and infinities tell nothing of scales")
    kind = {"float": np.float32, "int": np.int64, "bool": np.bool_}.get(port.dtype, np.complex64)
    return torch.from_numpy(np.ascontiguousarray(array.astype(kind)))


def _damaged(name: str, error: Exception) -> ArchError:
    told = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    what = "it holds Python objects" if "allow_pickle" in told or "pickle" in told else told.lower()
    return fail("A751", f"cannot read `{name}`: {what}", help="arrays of numbers, as `numpy.save` writes them")
