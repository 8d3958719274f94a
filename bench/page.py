"""The page of a network: how large it is, how soon it opens, how soon what is saved is shown.

    python bench/page.py [--rounds 7] [--gate]

ViT-L, which is folded, and beside it what plain Graphviz makes of the same network with every block of every iteration
open: no page, and no picture that a reader could open a part of, but the nearest that there is without one. Openings
are taken in a headless Chromium, from the start of the navigation to the picture (`performance.mark`), in a new tab
each; the SVG of Graphviz is opened in the same way, until it was painted. Saves are taken from the write of the file to
the next frame that shows it, beside `dot -Tsvg` alone on the unfolded network. Figures are medians.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from browser import INSTALL, Page, browser, find_browser

import ogive
from ogive.compiler.picture.dot import dot_text
from ogive.compiler.picture.layout import whole
from ogive.compiler.picture.page.model import unfolded
from ogive.compiler.picture.render import picture_of
from ogive.network import network_of
from ogive.sources import open_source
from ogive.viewer import Viewer

LIMITS = {"open": 0.3, "save": 0.5, "size": 3e6}
DRAWN = "document.documentElement?.dataset.drawn >= 1"
PAINTED = "performance.getEntriesByName('first-contentful-paint').length"


def main() -> int:
    parser = argparse.ArgumentParser(description="opening and saving, in a browser")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gate", action="store_true", help="exit 1 where a figure is above its limit")
    settings = parser.parse_args()
    if find_browser() is None:
        print(f"Nothing is measured: {INSTALL}.")
        return 0
    with tempfile.TemporaryDirectory() as name, browser(Path(name)) as new:
        folder = Path(name)
        net = ogive.load("vit", "ViT.L")
        page, flat = ogive.draw(net, folder / "net.html"), folder / "flat.svg"
        text = dot_text(whole(net.graph, unfolded(net.graph), 99))
        start = time.perf_counter()
        flat.write_bytes(picture_of(text, "svg"))
        drawn = time.perf_counter() - start
        size = page.stat().st_size
        print(f"{'':<34}{'page':>10}{'dot -Tsvg, all open':>22}")
        print(f"{'size of the file':<34}{size / 1e6:>8.2f}MB{flat.stat().st_size / 1e6:>20.2f}MB")
        ours = [opening(new(), page, DRAWN, "drawn") for _ in range(settings.rounds)]
        theirs = [opening(new(), flat, PAINTED, "first-contentful-paint") for _ in range(settings.rounds)]
        opened = median(ours)
        print(f"{'opening ViT-L':<34}{opened * 1e3:>8.0f}ms{median(theirs) * 1e3:>20.0f}ms")
        blocks = median(toggling(new(), page, settings.rounds))
        print(f"{'opening a block':<34}{blocks * 1e3:>8.0f}ms{'-':>22}")
        saved = median(saving(new, folder, settings.rounds))
        print(f"{'from a save to the picture':<34}{saved * 1e3:>8.0f}ms{drawn * 1e3:>14.0f}ms alone")
    over = [name for name, value in (("open", opened), ("save", saved), ("size", size)) if value > LIMITS[name]]
    print(f"above its limit: {', '.join(over)}" if over else "within the limits: open 300 ms, save 500 ms, size 3 MB")
    return 1 if over and settings.gate else 0


def opening(tab: Page, place: Path, until: str, mark: str) -> float:
    """Seconds from the start of the navigation to a mark of the page."""
    tab.open(place.as_uri(), until)
    return float(tab.ask(f"performance.getEntriesByName('{mark}')[0].startTime")) / 1e3


def toggling(tab: Page, place: Path, rounds: int) -> list[float]:
    """Seconds from a click to the picture, a block closed and opened in turn; the first starts the worker: left out."""
    tab.open(place.as_uri())
    found = []
    for i in range(rounds + 1):
        before = tab.ask("performance.getEntriesByName('drawn').length")
        start = tab.ask("(document.querySelector('[data-id=\"blocks.0.attn\"] .toggle').dispatchEvent("
                        "new MouseEvent('click', {bubbles: true})), performance.now())")
        tab.wait(f"performance.getEntriesByName('drawn').length > {before}")
        if i:
            found.append((tab.ask("performance.getEntriesByName('drawn').at(-1).startTime") - start) / 1e3)
    return found


def saving(new: Callable[[], Page], folder: Path, rounds: int) -> list[float]:
    """Seconds from the write of a file to the picture of it; the first left out, as it starts the worker."""
    unit = open_source("vit")
    text, file = unit.source.text, folder / "mine.arch"
    file.write_text(text, "utf-8")

    def look() -> tuple[object, object]:
        unit = open_source(str(file))
        return unit, network_of(unit, "ViT.L", {})

    found = []
    with Viewer(str(file), look) as viewer:  # type: ignore[arg-type]
        tab = new()
        tab.open(viewer.address)
        for i in range(rounds + 1):
            file.write_text(text.replace("    head =", f"    extra{i} = linear(dim)\n    head ="), "utf-8")
            start = time.perf_counter()
            tab.wait(f"document.querySelector('[data-id=\"extra{i}\"]')")
            if i:
                found.append(time.perf_counter() - start)
    return found


if __name__ == "__main__":
    sys.exit(main())
