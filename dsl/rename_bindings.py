"""Names as things: the scopes of a file, what has a name in each, and every place where that name stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.source import Span

__all__ = ["Binding", "Kind", "Places", "Scope"]

Kind: TypeAlias = Literal[
    "network", "block", "pattern", "import", "parameter", "preset", "input", "node", "scope", "constant", "size",
    "index", "shared", "result",
]


@dataclass(eq=False, slots=True)
class Scope:
    """Names that are found from inside; `title` is how it is called in an address."""

    title: str
    parent: Scope | None = None
    lends: bool = False            # nodes named in it belong to its parent: a repeat without a key
    table: dict[str, Binding] = field(default_factory=dict)
    inner: list[Scope] = field(default_factory=list)
    presets: dict[str, Binding] = field(default_factory=dict)
    results: dict[str, Binding] = field(default_factory=dict)
    derives: Scope | None = None

    def find(self, name: str) -> Binding | None:
        at: Scope | None = self
        while at is not None:
            if name in at.table:
                return at.table[name]
            at = at.parent
        return None

    def made(self, name: str) -> Binding | None:
        """`layer3` of a name that is made with a number, `layer{s}`."""
        base = name.rstrip("0123456789")
        return self.find(base + "{}") if base != name else None

    def below(self) -> Iterator[Scope]:
        yield self
        for scope in self.inner:
            yield from scope.below()


@dataclass(eq=False, slots=True)
class Binding:
    """One thing with a name, and every place where the name stands."""

    kind: Kind
    name: str
    scope: Scope
    spans: list[Span] = field(default_factory=list)
    opens: Scope | None = None     # what `.name` looks into
    node: s.Definition | s.ImportName | None = None

    @property
    def address(self) -> str:
        """`ViT.blocks.attn`."""
        titles: list[str] = [self.name.removesuffix("{}")]
        at: Scope | None = self.scope
        while at is not None:
            if at.title:
                titles.append(at.title)
            at = at.parent
        return ".".join(reversed(titles))


@dataclass(slots=True)
class Places:
    """All bindings of a file, and the places that only building it can tell, by the name that stands there."""

    file: Scope
    bindings: list[Binding] = field(default_factory=list)
    attributes: list[s.Attr] = field(default_factory=list)
    settings: list[tuple[s.Call, s.Arg]] = field(default_factory=list)
