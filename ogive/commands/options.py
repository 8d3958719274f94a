"""The words that several commands share: FILE, NET, `--set`, `--size`, `--root`, `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ogive.dsl.diagnostics import fail, offer

if TYPE_CHECKING:
    from ogive.dsl.load import Unit
    from ogive.network import Network

__all__ = [
    "AsJson", "File", "Kernel", "Net", "PrecisionOf", "Root", "Set", "SizeOf", "library_files", "network_in",
    "open_network", "settings_of", "sizes_from",
]


def library_files(incomplete: str) -> list[str]:
    """The names of the library's files that begin so."""
    from ogive.dsl.load import library_names

    return [name for name in library_names() if name.startswith(incomplete)]


def _networks(ctx: typer.Context, incomplete: str) -> list[str]:
    from ogive.dsl.build import names_of
    from ogive.dsl.diagnostics import ArchError
    from ogive.sources import open_source

    try:
        return [name for name in names_of(open_source(ctx.params["file"])) if name.startswith(incomplete)]
    except (ArchError, KeyError):
        return []


File: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="An .arch file, a name of the library such as `vit`, or - for standard input.",
        autocompletion=library_files,
    ),
]
Net: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="NET", help="The network, with its preset: ViT.B. Not needed where the file has one choice.",
        autocompletion=_networks,
    ),
]
Set: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the network; the value is an .arch expression."),
]
SizeOf: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--size", metavar="NAME=N", help="A free size of the input, as H=384. Else B=1 and H=W=224."),
]
PrecisionOf: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--precision", metavar="[PATH=]WORD",
        help="float32, tf32, bf16, fp16, int8, int8-token, int8-fp8 or auto, of all attention or, as "
             "blocks.*.attn=int8, of some; or a plan of `ogive calibrate`. On a GPU; else bf16.",
    ),
]
Kernel: TypeAlias = Annotated[
    str | None, typer.Option("--kernel", metavar="NAME", help="The kernel of attention; else the compiler's choice.")
]
Root: TypeAlias = Annotated[
    str | None, typer.Option("--root", metavar="FOLDER", help="The folder that imports may not leave.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


def settings_of(words: list[str] | None) -> dict[str, str]:
    """`--set` words by name.

    Raises:
        ArchError: A803, a word that is no `name=value`, or a name that stands twice.
    """
    found: dict[str, str] = {}
    for word in words or []:
        name, sign, value = word.partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not name.isidentifier() or not value:
            shown = "as in `--set depth=6` or `--set norm='layernorm(eps=1e-6)'`"
            raise fail("A803", f"`--set {word}` is no setting", help=shown)
        if name in found:
            raise fail("A803", f"`{name}` is set twice: to `{found[name]}` and to `{value}`", help="once is enough")
        found[name] = value
    return found


def sizes_from(words: list[str] | None) -> dict[str, int]:
    """`--size` words by name.

    Raises:
        ArchError: A803, a word that is no `name=number`.
    """
    found: dict[str, int] = {}
    for word in words or []:
        name, _, value = word.partition("=")
        if not name.strip().isidentifier() or not value.strip().isdecimal() or len(value) > 10:
            raise fail("A803", f"`--size {word}` is no size", help="as in `--size H=384`")
        found[name.strip()] = int(value)
    return found


def open_network(file: str, net: str | None, words: list[str] | None, root: str | None) -> Network:
    """The network that FILE, NET and `--set` name.

    Raises:
        ArchError: what is wrong with any of them.
    """
    from ogive.sources import check_root, open_source

    settings = settings_of(words)
    return network_in(open_source(file, check_root(root)), net, settings)


def network_in(unit: Unit, net: str | None, settings: dict[str, str]) -> Network:
    """The network of a file that NET names.

    Raises:
        ArchError: A801 no such network or preset, or one must be chosen; else what is wrong with it or a setting.
    """
    from ogive.dsl import syntax
    from ogive.dsl.build import names_of
    from ogive.dsl.params import presets_of
    from ogive.network import network_of

    base, dot, preset = (net or "").partition(".")
    node = next((d.node for d in unit.networks if d.name == base), None)
    if isinstance(node, syntax.Network):
        table = presets_of(node)
        rows = [row.name for row in table.rows if row.name] if table else []
        if dot and preset.strip('"') not in rows:
            shown = offer(preset, rows, "its presets") if rows else f"it has none: `{base}`"
            raise fail("A801", f"`{base}` has no preset `{preset}`", help=shown)
        unset = [p.name for p in node.params if p.default is None and p.name not in settings]
        if not dot and unset and rows and base not in names_of(unit):
            names = ", ".join(f"{base}.{row}" for row in rows[:12])
            raise fail("A801", f"`{base}` needs `{unset[0]}`: choose a preset, or set it", help=f"there are {names}")
    return network_of(unit, net, settings)
