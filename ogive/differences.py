"""What is different between two networks, however they are named: files, presets, revisions, or networks loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ogive.compiler.difference import Difference, compare
from ogive.dsl.diagnostics import fail
from ogive.dsl.load import Unit
from ogive.network import Network, network_of
from ogive.revisions import open_revision
from ogive.sources import open_source

__all__ = ["Side", "between", "diff", "shared", "side_of"]

NETWORK: Final = re.compile(r"[^\W\da-z_]\w*(\.(\w+|\"[^\"]*\"))?")


@dataclass(frozen=True)
class Side:
    """`[REVISION:]FILE[:NET]`, taken apart."""

    text: str
    revision: str | None
    file: str
    network: str | None

    def open(self, root: str | os.PathLike[str] | None = None) -> Unit:
        """The parsed file.

        Raises:
            ArchError: A830 there is no such revision or it has no such file; else as `ogive.load`.
        """
        if self.revision is not None:
            return open_revision(self.revision, self.file)
        return open_source(self.file, root)


def side_of(text: str) -> Side:
    """What one side of a difference names: `vit`, `vit:ViT.S`, `net.arch`, `HEAD~1:net.arch`, `v1:net.arch:Net.S`.

    Raises:
        ArchError: A803, it names nothing.
    """
    rest, network = text, None
    if ":" in text and not Path(text).exists():
        before, _, last = text.rpartition(":")
        if NETWORK.fullmatch(last) and not last.endswith(".arch") and before:
            rest, network = before, last
    revision = None
    if ":" in rest and not Path(rest).exists():
        revision, _, rest = rest.partition(":")
    if not rest or revision == "" or (revision is not None and ":" in rest):
        raise fail("A803", f"`{text}` names no network", help="as in `vit:ViT.S`, `net.arch`, `HEAD~1:net.arch:Net`")
    return Side(text, revision, rest, network)


def diff(
    before: str | os.PathLike[str] | Network, after: str | os.PathLike[str] | Network, *,
    sizes: Mapping[str, int] | None = None, root: str | os.PathLike[str] | None = None, **settings: Any,
) -> Difference:
    """What `after` has otherwise than `before`: nodes, settings, wiring, keys of weights, parameters, multiply-adds.

    The answer is truthy when there is a difference; `print` tells it, `.draw("diff.svg")` draws it, `.as_json()` has it
    whole.

    Args:
        before, after: a network that `ogive.load` returned, or its name: `vit:ViT.S`, `net.arch`, `HEAD~1:net.arch`,
            `HEAD~1:net.arch:Net.S`. Where one of them names its network, that is meant for the other too.
        sizes: free sizes at which multiply-adds are taken; else B = 1 and H = W = 224.
        root: the folder that imports may not leave, of files on the disk.
        settings: parameters of networks that are named, as `ogive.load` takes them.

    Raises:
        ArchError: A830 a revision or its file is not there, A803 a name that names nothing, A802 a size; else as
            `ogive.load`.
    """
    left, right = _sides(before, after)
    one, other = (_network(side, root, settings) for side in (left, right))
    names = tuple(side.text if isinstance(side, Side) else side.name for side in (left, right))
    return between(one, other, (names[0], names[1]), sizes)


def between(before: Network, after: Network, names: tuple[str, str], sizes: Mapping[str, int] | None) -> Difference:
    """The difference of two networks.

    Raises:
        ArchError: A802, as `compare`.
    """
    return compare(before.graph, after.graph, names=names, sizes=sizes, cases=(before.cases, after.cases))


def _sides(
    before: str | os.PathLike[str] | Network, after: str | os.PathLike[str] | Network
) -> tuple[Side | Network, Side | Network]:
    sides = [x if isinstance(x, Network) else side_of(os.fspath(x)) for x in (before, after)]
    left, right = shared(sides[0], sides[1])
    return left, right


def shared(left: Side | Network, right: Side | Network) -> tuple[Side | Network, Side | Network]:
    """Two sides; the network that one names is meant for the other too, where that names none."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Side) and isinstance(other, Side) and one.network is None and other.network is not None:
            named = Side(one.text, one.revision, one.file, other.network)
            return (named, other) if one is left else (other, named)
    return left, right


def _network(side: Side | Network, root: str | os.PathLike[str] | None, settings: Mapping[str, Any]) -> Network:
    return side if isinstance(side, Network) else network_of(side.open(root), side.network, settings)
