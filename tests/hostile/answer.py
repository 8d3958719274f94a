"""Run as a program, in a process of its own: check a part of the hostile texts and say what became of each.

`answer.py FOLDER PART PARTS` writes each text to FOLDER, checks it under a limit on memory, and prints a line of JSON:
its name, what was said, and the seconds of processor time. Anything but an answer is printed as what it is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from hostile.texts import texts

from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.dsl.load import load_file

MEMORY = 512 << 20


def answer(path: Path) -> list[str]:
    """What checking a file says, as `code line:column`."""
    try:
        found: tuple[Diagnostic, ...] = check(load_file(path, path.parent)).mistakes
    except ArchError as error:
        found = error.diagnostics
    said = [f"{d.code} {d.span.line}:{d.span.column}" if d.span else d.code for d in found]
    for d in found:
        d.render()
    return said if len(said) <= 3 else [*said[:3], f"and {len(said) - 3} more"]


def main(folder: Path, part: int, parts: int) -> None:
    warm = folder / f"warm{part}.arch"
    warm.write_text("network N:\n    input x: B C\n    relu\n")
    answer(warm)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for i, (name, text) in enumerate(texts().items()):
        if i % parts != part:
            continue
        path = folder / f"case{i}.arch"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        started = time.process_time()
        try:
            said = answer(path)
        except (Exception, RecursionError, MemoryError) as error:
            said = [f"{type(error).__name__}: {str(error)[:200]}"]
        print(json.dumps([name, said, round(time.process_time() - started, 3)]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
