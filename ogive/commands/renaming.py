"""`ogive rename`: a name exchanged for another, everywhere it means the same thing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ogive.commands.failure import FINDINGS, tell
from ogive.commands.formatting import change
from ogive.commands.options import AsJson, Root
from ogive.commands.output import as_json, result
from ogive.dsl.diagnostics import fail

__all__ = ["rename"]


def rename(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An .arch file.")],
    old: Annotated[str, typer.Argument(metavar="OLD", help="A name: depth, ViT.depth, node:ViT.norm.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What it is to be called.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")] = False,
    root: Root = None,
    json: AsJson = False,
) -> int:
    """Rename a node, block, network, pattern, parameter, preset, constant or letter of a file.

    Shows the keys of the state_dict that change. The file must be right before and after; files that import what is
    renamed are named, and not changed. Exits with 1 when there are such files.
    """
    from ogive.dsl.load import load_file, root_of
    from ogive.dsl.rename import importers
    from ogive.dsl.rename import rename as renamed
    from ogive.sources import arch_files, check_root

    if file == "-":
        raise fail("A803", "`ogive rename` changes a file, and - is none", help="name a file")
    unit = load_file(file, check_root(root))
    made = renamed(unit, old, new, root)
    folder = Path(root) if root is not None else root_of(Path(file))
    others = importers(unit, made.definition, arch_files(folder))
    text = Path(file).read_bytes().decode("utf-8")
    written = made.text if "\r\n" not in text else made.text.replace("\n", "\r\n")
    if json:
        as_json({
            "file": file, "kind": made.kind, "old": made.address, "new": new, "written": not dry_run,
            "places": [{"line": span.line, "column": span.column} for span in made.spans], "keys": dict(made.keys),
            "importers": [{"file": path, "line": line} for path, line in others],
        })
    else:
        what = "would be" if dry_run else "is now"
        result(f"{made.kind} {made.address} {what} {new}: {len(made.spans)} places")
        for name, changed in made.keys.items():
            for before, after in changed.items():
                result(f"  {name}: {before} -> {after}")
    for path, line in others:
        tell(f"{path}:{line}: imports `{made.definition}` from here, and is not changed")
    if dry_run and not json:
        change(file, text, written, check=False, diff=True)
    elif not dry_run:
        _write(file, written)
    return FINDINGS if others else 0


def _write(file: str, text: str) -> None:
    from ogive.commands.output import write_whole

    with write_whole(file) as draft:
        draft.write_bytes(text.encode())
        draft.chmod(Path(file).stat().st_mode & 0o7777)
