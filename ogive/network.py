"""What `load` returns: a network that stands, with its names, shapes and figures, and no torch."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Any

from ogive.compiler.cost import macs
from ogive.compiler.picture import to_svg
from ogive.dsl.build import Built, build
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.expand import expand
from ogive.dsl.graph import Graph, Guard, Node
from ogive.dsl.load import Unit, load_text
from ogive.dsl.ops.record import Size, show_setting
from ogive.dsl.values import OpValue
from ogive.dsl.weight_maps import WeightMap, map_of, maps_of
from ogive.dsl.when import Case
from ogive.sources import open_source

__all__ = ["Network", "load", "loads", "network_of", "show_value"]


class Network:
    """A checked network. `ogive.compile` makes a module of it, `ogive.draw` a picture."""

    __slots__ = ("_built",)

    def __init__(self, built: Built) -> None:
        self._built = built

    @property
    def name(self) -> str:
        """The name with its preset: `ViT.B`."""
        return self._built.name

    @property
    def graph(self) -> Graph:
        """The graph: nodes in the order they run, regions, parameters."""
        return self._built.graph

    @property
    def cases(self) -> tuple[tuple[Case, Graph], ...]:
        """The graph of each kind of call, where calls decide something: `training`, an optional input. Else empty."""
        return self._built.cases

    @property
    def doc(self) -> str:
        """The comment above the definition."""
        return self._built.doc

    @property
    def caption(self) -> str:
        """The first sentence of `doc`."""
        text = " ".join(self.doc.strip().partition("\n\n")[0].split())
        end = re.search(r"\.(?=\s+[A-Z])", text)
        return text[: end.end()] if end else text

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every parameter of the definition with the value that it has here."""
        return self._built.settings

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """The shape of every entry of the state_dict, buffers included, by key."""
        return {key: p.weight.shape for key, p in self.graph.parameters.items()}

    @property
    def parameter_count(self) -> int:
        """How many numbers are learned or frozen: tied weights once, no buffers."""
        return self.graph.parameter_count

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What the file assumes about input sizes; the compiled module checks it once per call."""
        return self.graph.guards

    @property
    def dropped(self) -> tuple[Node, ...]:
        """Nodes that no result needs: they are not in the graph."""
        return self._built.dropped

    def keys(self) -> list[str]:
        """The keys of the state_dict, in order."""
        return list(self.graph.parameters)

    @property
    def weight_maps(self) -> list[str]:
        """Names of the maps of weights that the file declares for it: `torchvision`, `hf`."""
        return list(maps_of(self._built.definition))

    def weight_map(self, name: str) -> WeightMap:
        """How another program's checkpoints name its weights: for `load_weights` and `save_weights`.

        Raises:
            ArchError: A153, it has no map of that name; A150 to A152, the map is wrong.
        """
        return map_of(self._built, name)

    def macs(self, **sizes: int) -> int:
        """Multiply-adds of one forward; `H=384` sets a free size. Else B = 1 and H = W = 224.

        Raises:
            ArchError: A802, a size that the network does not have, or one that must be given.
        """
        return macs(self.graph, sizes)

    def expand(self, *, keep_repeats: bool = False) -> str:
        """The network as a text of its own: presets, imports, blocks and repeats resolved, numbers computed.

        With `keep_repeats`, iterations that are alike stay one `repeat`.

        Raises:
            ArchError: A314, it holds what only a block or a statement can say.
        """
        return expand(self._built, keep_repeats)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """For notebooks: the picture, where there is a Graphviz, and the summary as text."""
        bundle = {"text/plain": str(self)}
        with contextlib.suppress(ArchError):
            bundle["image/svg+xml"] = to_svg(self.graph, caption=self.caption or None)
        return bundle

    def __repr__(self) -> str:
        return f"<ogive.Network {self.name}: {self.parameter_count:,} parameters, {len(self.graph)} nodes>"

    def __str__(self) -> str:
        graph = self.graph
        lines = [f"network {self.name}"]
        lines += [f"  input   {name}: {graph.nodes[name].outputs[0]}" for name in graph.inputs]
        lines += [f"  output  {name + ': ' if name else ''}{graph.tensor(edge)}" for name, edge in graph.outputs]
        given = ", ".join(f"{name}={show_value(value)}" for name, value in self.settings.items())
        if given:
            lines.append(f"  with    {given}")
        lines.append(f"  params  {self.parameter_count:,}")
        return "\n".join(lines)


def load(source: str | os.PathLike[str], network: str | None = None, /, **settings: Any) -> Network:
    """Read, build and check one network of a file or of the library.

    Args:
        source: a path, or a bare name such as `vit` or `std.timm` for the library's file.
        network: `ViT`, or `ViT.B` for a preset; may be left out where the file has one choice.
        settings: parameters of the network. A number, a bool, a list of them, or a string that holds an `.arch`
            expression: `over="window(7) | prefix"`, `norm="layernorm(eps=1e-6)"`. Where the parameter is itself a
            string, the expression has quotes of its own: `pool='"cls"'`.

    Raises:
        ArchError: everything that is wrong with the file, the name or the settings, at once.
    """
    return Network(build(open_source(source), network, settings))


def loads(text: str, network: str | None = None, /, **settings: Any) -> Network:
    """`load` for a text: it may import the library, not files beside it. Quoted as `<text>` in errors."""
    if not isinstance(text, str):
        raise fail("A800", f"`loads` takes the text of a network; here is a {type(text).__name__}")
    return Network(build(load_text(text), network, settings))


def network_of(unit: Unit, name: str | None, settings: Mapping[str, Any]) -> Network:
    """One network of a file that is open already."""
    return Network(build(unit, name, settings))


def show_value(value: Any) -> str:
    """The value of a parameter as it would be typed: `16`, `[3, 4, 6, 3]`, `layernorm(eps=1e-06)`."""
    if isinstance(value, OpValue):
        given = [f"{x.name}={show_value(x.value)}" if x.name else show_value(x.value) for x in value.settings]
        return f"{value.name}({', '.join(given)})" if given else value.name
    if isinstance(value, tuple) and not isinstance(value, Size):
        return f"[{', '.join(map(show_value, value))}]"
    return show_setting(value)
