"""A checkpoint's keys and shapes, from the header of its file, and how they differ from a network's. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from safetensors import SafetensorError, safe_open

from ogive.dsl.diagnostics import ArchError, fail, nearest
from ogive.dsl.weight_maps import WeightMap
from ogive.network import Network

__all__ = ["Difference", "read_header", "renamed"]

Shape = tuple[int, ...]

SHARED = "shared:"
"""Metadata that `ogive` writes for tied weights: `shared:KEY` is the key that has the numbers."""

SHOWN = 8
"""How many keys an error names; the others stand in the listing."""


def read_header(path: str) -> dict[str, Shape]:
    """Keys and shapes of a `.safetensors` file; the weights are not read.

    Raises:
        ArchError: A805, the file cannot be read or is no safetensors file.
    """
    if os.path.isdir(path):
        raise fail("A805", f"`{path}` is a folder, a `.safetensors` file is needed")
    try:
        with safe_open(path, framework="numpy") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            about = file.metadata() or {}
    except FileNotFoundError:
        raise fail("A805", f"cannot read `{path}`: no such file") from None
    except OSError as error:
        raise fail("A805", f"cannot read `{path}`: {(error.strerror or str(error)).lower()}") from None
    except SafetensorError as error:
        what = str(error).partition(":")[2].strip() or str(error)
        raise fail(
            "A805", f"`{path}` is no safetensors file: {what}",
            help="a `.pt` or `.pth` file becomes one with `safetensors.torch.save_file(state_dict, path)`",
        ) from None
    for name, first in about.items():  # a storage of several keys is written once, under the first of them
        if name.startswith(SHARED) and first in found:
            found.setdefault(name.removeprefix(SHARED), found[first])
    return found


def renamed(found: Mapping[str, Shape], names: WeightMap) -> dict[str, Shape]:
    """A header without the second names of a map, and without what it skips."""
    kept = {key: shape for key, shape in found.items() if not names.skipped(key)}
    first = {key: move.theirs[0] for move in names.moves for key in move.ours}
    for second, key in names.second.items():
        if second in kept:
            kept.setdefault(first[key], kept[second])
            del kept[second]
    return kept


@dataclass(frozen=True)
class Difference:
    """What a checkpoint has otherwise than a network: truthy when there is something."""

    of: Network
    path: str
    found: Mapping[str, Shape]
    names: WeightMap | None = None
    """The map whose keys the checkpoint has; else it has the network's own."""

    @property
    def network(self) -> str:
        return self.of.name

    @cached_property
    def wanted(self) -> dict[str, Shape]:
        return self.of.parameters if self.names is None else self.names.shapes

    @cached_property
    def missing(self) -> list[str]:
        """Keys that are not there; of tied ones it takes one, as some programs write them."""
        there = {} if self.names is None else {key: move.theirs for move in self.names.moves for key in move.ours}
        groups: dict[tuple[str, int], list[str]] = {}
        for key, parameter in self.of.graph.parameters.items():
            for part, name in enumerate(there.get(key, (key,))):
                groups.setdefault((parameter.tied or key, part), []).append(name)
        known = {key for group in groups.values() if any(k in self.found for k in group) for key in group}
        return [key for key in self.wanted if key not in known]

    @cached_property
    def unexpected(self) -> list[str]:
        return sorted(key for key in self.found if key not in self.wanted)

    @cached_property
    def reshaped(self) -> list[str]:
        return [key for key, shape in self.wanted.items() if key in self.found and self.found[key] != shape]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped)

    def lines(self) -> Iterator[str]:
        """One line for each difference, or one that says that there is none."""
        if not self:
            yield f"{self.path} fits {self.network}: {len(self.wanted)} keys of equal shapes"
        for key in self.missing:
            near = self._near(key)
            yield f"missing     {key} {list(self.wanted[key])}{f'   nearest there: {near}' if near else ''}"
        for key in self.unexpected:
            yield f"unexpected  {key} {list(self.found[key])}"
        for key in self.reshaped:
            yield f"shape       {key} {list(self.found[key])}, the network has {list(self.wanted[key])}"

    def as_json(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "checkpoint": self.path,
            "same": not self,
            "missing": [{"key": k, "shape": list(self.wanted[k]), "nearest": self._near(k)} for k in self.missing],
            "unexpected": [{"key": k, "shape": list(self.found[k])} for k in self.unexpected],
            "shape": [
                {"key": k, "shape": list(self.found[k]), "wanted": list(self.wanted[k])} for k in self.reshaped
            ],
        }

    def error(self) -> ArchError:
        """The difference as an error: how much, the first of each kind, and what would help."""
        counts = [
            f"{len(keys)} {what}" for keys, what in (
                (self.missing, "missing"), (self.unexpected, "unexpected"), (self.reshaped, "of another shape")
            ) if keys
        ]
        notes = [*self._note("missing", self.missing), *self._note("unexpected", self.unexpected)]
        for key in self.reshaped[:SHOWN]:
            notes.append(f"`{key}` is {list(self.found[key])} there, {list(self.wanted[key])} in the network")
        title = f"the keys of `{self.path}` are not those of `{self.network}`: {', '.join(counts)}"
        return fail("A806", title, notes=notes, help=self._help())

    def _note(self, what: str, keys: list[str]) -> list[str]:
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        return [f"{what}: {', '.join(keys[:SHOWN])}{more}"] if keys else []

    def _help(self) -> str:
        prefix = self._prefix()
        if prefix:
            return f"the keys there begin with `{prefix}`: take it off"
        for key in self.missing[:SHOWN]:
            near = self._near(key)
            if near:
                return f"`{key}` may be `{near}` there: name it in the file, or rename it in the checkpoint"
        if self.reshaped and not self.missing:
            return "another preset, or another `--set`: the names agree, the sizes do not"
        return f"`ogive keys FILE {self.network}` lists what the network wants"

    def _prefix(self) -> str:
        """What stands in front of every wanted key there (`module.`, `model.`), or ""."""
        if not self.missing or not self.wanted:
            return ""
        first = next(iter(self.wanted))
        for key in self.unexpected:
            prefix = key.removesuffix(first)
            if prefix != key and prefix.endswith(".") and all(prefix + k in self.found for k in self.wanted):
                return prefix
        return ""

    def _near(self, key: str) -> str | None:
        """The nearest unexpected key; not looked for when there are very many."""
        if len(self.missing) * len(self.unexpected) > 40_000:
            return None
        same = [k for k in self.unexpected if self.found[k] == self.wanted[key]]
        return nearest(key, same)
