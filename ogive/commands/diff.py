"""`ogive diff`: what one network has otherwise than another."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ogive.commands.failure import FINDINGS, coloured, tell
from ogive.commands.options import AsJson, Root, Set, SizeOf, library_files, network_in, settings_of, sizes_from
from ogive.commands.output import as_json, progress, result
from ogive.dsl.diagnostics import fail, printable

__all__ = ["diff"]

NAMED = "[REVISION:]FILE[:NET]"
GREEN, RED, AMBER, BLUE = "32", "31", "33", "34"
COLOURS = {
    "added": GREEN, "new": GREEN, "removed": RED, "gone": RED, "changed": AMBER, "reshaped": AMBER, "rewired": AMBER,
    "renamed": BLUE,
}


def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="A", help=f"{NAMED}: net.arch, vit:ViT.S, HEAD~1:net.arch, v1:nets/vit.arch:ViT.S.",
            autocompletion=library_files,
        ),
    ],
    after: Annotated[
        str, typer.Argument(metavar="B", help="The same. A network that one side names is meant for both.",
                            autocompletion=library_files)
    ],
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="OUT", help="Draw it: a .svg, .png, .pdf or .dot file.")
    ] = None,
    size: SizeOf = None,
    set_: Set = None,
    set_a: Annotated[
        list[str] | None, typer.Option("--set-a", metavar="NAME=VALUE", help="A parameter of A alone.")
    ] = None,
    set_b: Annotated[
        list[str] | None, typer.Option("--set-b", metavar="NAME=VALUE", help="A parameter of B alone.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 also where they differ.")] = False,
    root: Root = None,
    json: AsJson = False,
) -> int:
    """Show what B has otherwise than A: nodes, settings, wiring, keys of weights, parameters, multiply-adds.

    A revision is one of git's: what it holds is read, and nothing is checked out. Exits with 0 where they are the same
    and with 1 where they differ, as `diff` does.
    """
    from ogive.differences import Side, between, shared, side_of
    from ogive.sources import check_root

    check_root(root)
    left, right = shared(side_of(before), side_of(after))
    assert isinstance(left, Side) and isinstance(right, Side)
    if left.file == right.file == "-":
        raise fail("A803", "`-` stands twice, and standard input is read once", help="name a file for one of them")
    both, sizes = settings_of(set_), sizes_from(size)
    settings = [_more(both, settings_of(words), option) for words, option in ((set_a, "--set-a"), (set_b, "--set-b"))]
    with progress(f"comparing {before} and {after}", after=0.5):
        one, other = (
            network_in(side.open(root), side.network, own) for side, own in zip((left, right), settings, strict=True)
        )
        found = between(one, other, (before, after), sizes)
    if output is not None:
        tell(f"wrote {found.draw(output)}: {before} -> {after}")
    if json:
        as_json(found.as_json())
    else:
        for line in found.lines():
            _print(line)
    return FINDINGS if found and not exit_zero else 0


def _print(line: str) -> None:
    """A line of the result; on a terminal what happened has a colour, which the word says too."""
    word = line.split(maxsplit=1)[0] if line.startswith("  ") and line.strip() else ""
    if word in COLOURS and coloured(sys.stdout):
        print(f"  \033[{COLOURS[word]}m{word}\033[0m{printable(line[2 + len(word) :])}")
    else:
        result(line)


def _more(both: dict[str, str], own: dict[str, str], option: str) -> dict[str, str]:
    """Settings of one side.

    Raises:
        ArchError: A803, a parameter that `--set` sets too.
    """
    twice = next((name for name in own if name in both), None)
    if twice is not None:
        raise fail("A803", f"`{twice}` is set by `--set` and by `{option}`", help="`--set` is for both networks")
    return {**both, **own}
