"""What the page knows -> one HTML file that asks the network for nothing.

Scripts and styles are the files of this folder, named by their digests in the page's policy, so nothing that comes
from an `.arch` file can run. What does come from one stands in one JSON text, in which no `<`, `>` or `&` is written
out, and is put on the page as text only; pictures are taken apart and made again of a few known elements.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ogive.compiler.picture.style import THEMES, Theme

__all__ = ["embedded", "html_of"]

SCRIPTS: Final = (
    "vendor/svg-pan-zoom.min.js", "assemble.js", "search.js", "highlight.js", "source.js", "about.js", "picture.js",
    "layout.js", "live.js", "page.js",
)
ICON: Final = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><path d='M3 14V8a5 5 0 0 1 10 0v6' fill='none' "
    "stroke='#4477aa' stroke-width='2'/></svg>"
)


def html_of(model: Mapping[str, Any], *, live: str = "") -> str:
    """The page of a network.

    Args:
        model: what `model_of` found.
        live: the path that changes are told at, of a page that is served.
    """
    script, style = _script(), _style()
    policy = [
        "default-src 'none'", f"script-src '{_digest(script)}' 'wasm-unsafe-eval'", "worker-src blob:",
        f"style-src-elem '{_digest(style)}'", "style-src-attr 'unsafe-inline'", "img-src data:", "base-uri 'none'",
        "form-action 'none'", *(["connect-src 'self'"] if live else []),
    ]
    filled = {
        "policy": html.escape("; ".join(policy), quote=False),
        "title": html.escape(str(model["name"])),
        "icon": "data:image/svg+xml;base64," + base64.b64encode(ICON.encode()).decode(),
        "style": style,
        "model": embedded({**model, "live": live}),
        "worker": embedded(_read("worker.js")),
        "viz": _viz(),
        "licences": html.escape(_read("vendor/LICENSES.txt")),
        "script": script,
    }
    return re.sub(r"@(\w+)@", lambda found: filled[found[1]], _read("page.html"))


def embedded(value: Any) -> str:
    """JSON for the inside of a `<script>`: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath(*name.split("/")).read_text("utf-8")


@cache
def _script() -> str:
    return "\n" + "\n".join(_read(name) for name in SCRIPTS)


@cache
def _viz() -> str:
    """Graphviz for the browser, packed: it is unpacked when something opens."""
    return base64.b64encode(gzip.compress(_read("vendor/viz-global.js").encode("utf-8"), 9, mtime=0)).decode("ascii")


@cache
def _style() -> str:
    rules = "\n".join(f"  {line}" for line in _darkened(THEMES["light"], THEMES["dark"]))
    return f"{_read('page.css')}\n@media (prefers-color-scheme: dark) {{\n{rules}\n}}\n"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _darkened(light: Theme, dark: Theme) -> list[str]:
    """Rules that draw a picture of the light theme in the colours of the dark one."""
    fills, strokes, texts = {}, {}, {light.text: dark.text}
    for family, look in light.families.items():
        fills[look.fill], strokes[look.border] = dark.look(family).fill, dark.look(family).border
        texts[look.text] = dark.look(family).text
    fills[light.other.fill], strokes[light.other.border] = dark.other.fill, dark.other.border
    for name, colour in light.lines.items():
        if name.endswith("_fill"):
            fills.setdefault(colour, dark.lines[name])
        else:
            strokes.setdefault(colour, dark.lines[name])
            texts.setdefault(colour, dark.lines[name])
    for here, there in zip(light.motif, dark.motif, strict=True):
        fills.setdefault(here, there)
    return [
        *(f'#picture [fill="{a}"] {{ fill: {b}; }}' for a, b in {**strokes, **fills}.items()),
        *(f'#picture [stroke="{a}"] {{ stroke: {b}; }}' for a, b in strokes.items()),
        *(f'#picture text[fill="{a}"] {{ fill: {b}; }}' for a, b in texts.items()),
        f"#picture text:not([fill]) {{ fill: {dark.text}; }}",
    ]
