"""DOT text -> SVG, PNG, PDF. The only place that starts other programs: `dot`, or a Python that runs pygraphviz.

Graphviz comes from the system (`dot` on the PATH) or from the wheel of pygraphviz, which bundles it. The wheel is run
in an interpreter of its own: it writes its complaints to the C library's standard error, it cannot be stopped after a
time from inside, and a crash of it must not be ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Final

from ogive.dsl.diagnostics import fail, nearest

__all__ = [
    "INSTALL", "SECONDS", "SUFFIXES", "has_fonts", "is_available", "picture_of", "place_for", "run", "suffix_of",
    "write",
]

SUFFIXES: Final = ("svg", "png", "pdf", "dot")
SECONDS: Final = 30
DPI: Final = 200
INSTALL: Final = '`pip install "ogive[picture]"` brings Graphviz along; or install Graphviz from your system'

# Draws stdin to stdout. -P keeps the current folder off the path: nothing that lies there is imported.
DRAW: Final = """
import sys, pygraphviz
text = sys.stdin.buffer.read().decode("utf-8")
sys.stdout.buffer.write(pygraphviz.AGraph(string=text).draw(format=sys.argv[1], prog="dot", args=sys.argv[2]))
"""

FONT_FILES: Final = (".ttf", ".otf", ".ttc", ".pfb", ".pcf", ".pcf.gz")


def suffix_of(path: Path) -> str:
    """`svg`, `png`, `pdf` or `dot`.

    Raises:
        ArchError: A810, the path ends in something else.
    """
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        shown = f"`{path.suffix}`" if path.suffix else "nothing"
        near = nearest(suffix, SUFFIXES) if suffix else None
        raise fail(
            "A810", f"a picture's name ends in .svg, .png, .pdf or .dot; here it ends in {shown}",
            help=f"did you mean `{path.with_suffix('.' + near).name}`?" if near else "`.svg` fits pages, `.pdf` papers",
        )
    return suffix


def is_available() -> bool:
    """Whether there is a Graphviz to render with."""
    return shutil.which("dot") is not None or _has_wheel()


def has_fonts() -> bool:
    """Whether the machine has any font: without one every letter of a PNG or PDF is an empty box."""
    if sys.platform in ("win32", "darwin") or any(os.environ.get(n) for n in ("FONTCONFIG_FILE", "FONTCONFIG_PATH")):
        return True  # there they are, or only fontconfig knows where
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    roots = [Path(data) / "fonts", Path.home() / ".fonts", *(Path(d) / "fonts" for d in shared if d)]
    return any(
        name.lower().endswith(FONT_FILES)
        for root in roots for _, _, names in os.walk(root, followlinks=False) for name in names
    )


def picture_of(dot: str, suffix: str, dpi: int = DPI) -> bytes:
    """The picture of a DOT text; a PNG has so many dots to the inch.

    Raises:
        ArchError: A812 there is no Graphviz, A813 it failed or took longer than 30 s, A814 there is no font.
    """
    return dot.encode("utf-8") if suffix == "dot" else run(dot, suffix, dpi)


def run(dot: str, suffix: str, dpi: int = DPI) -> bytes:
    """What Graphviz makes of a DOT text: a picture; with `dot`, the text with the place of everything in it, with
    `json0` the places alone.

    Raises:
        ArchError: as `picture_of`.
    """
    if suffix in ("png", "pdf") and not has_fonts():
        raise fail(
            "A814", f"this machine has no fonts, so every letter of a .{suffix} would be an empty box",
            help="install a font (`apt install fonts-dejavu`), or draw to .svg, which brings its text as text",
        )
    setting = f"-Gdpi={dpi}" if suffix == "png" else ""
    found = [engine for engine in (_system, _wheel) if engine(suffix, setting) is not None]
    if not found:
        raise fail("A812", f"there is no Graphviz here to draw a .{suffix} with", help=INSTALL)
    reasons = []
    for engine in found:
        command = engine(suffix, setting)
        assert command is not None
        try:
            done = subprocess.run(command, input=dot.encode("utf-8"), capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise fail(
                "A813", f"Graphviz was not done after {SECONDS} s", help="draw fewer boxes: a smaller `depth`",
            ) from None
        except OSError as error:
            reasons.append(str(error.strerror or error))
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        reasons.append(_last(done.stderr) or f"it ended with {done.returncode}")
    raise fail("A813", f"Graphviz could not draw a .{suffix}", notes=dict.fromkeys(reasons), help=INSTALL)


def write(data: bytes, path: Path) -> Path:
    """Write a file whole or not at all: beside its place, to the disk, then under its name.

    Raises:
        ArchError: A811, there is no such folder, the path is a folder, or it cannot be written.
    """
    place_for(path)
    try:
        beside = path.parent / f".{path.name[:40]}.{token_hex(4)}.part"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise fail("A811", f"`{path}` cannot be written: {error.strerror or error}") from None
    return path


def place_for(path: Path) -> None:
    """Make sure that a picture can stand at `path`, before the work of drawing it.

    Raises:
        ArchError: A811, there is no such folder, or the path is a folder.
    """
    if path.is_dir():
        raise fail("A811", f"`{path}` is a folder", help="name a file in it")
    if not path.parent.is_dir():
        what = "is a file, not a folder" if path.parent.exists() else "does not exist"
        raise fail("A811", f"the folder `{path.parent}` {what}", help="make it first, or choose another place")


def _system(suffix: str, setting: str = "") -> list[str] | None:
    dot = shutil.which("dot")
    if dot is None:
        return None
    return [dot, f"-T{suffix}", *([setting] if setting else [])]


def _wheel(suffix: str, setting: str = "") -> list[str] | None:
    if not _has_wheel():
        return None
    return [sys.executable, "-P", "-c", DRAW, suffix, setting]


def _has_wheel() -> bool:
    return bool(sys.executable) and find_spec("pygraphviz") is not None


def _last(stderr: bytes) -> str:
    """The last thing Graphviz complained about, without fontconfig's chatter."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith("Fontconfig")), "")[:200]
