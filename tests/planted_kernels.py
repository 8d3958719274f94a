"""Kernels with a fault: copies of the files, some words of them others, as a package of their own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import ogive.compiler.kernels

__all__ = ["planted"]

FILES = ("int8_forward.py", "int8_quantise.py", "forward.py", "tiles.py", "setting.py")


def planted(folder: Path, name: str, faults: Sequence[tuple[str, str, str]]) -> ModuleType:
    """The package `name`, in a folder: the kernels' files, in each of `faults` (file, words, others) put in place."""
    kernels = Path(next(iter(ogive.compiler.kernels.__path__)))
    made = folder / name
    made.mkdir()
    texts = {file: (kernels / file).read_text("utf-8") for file in FILES}
    for file, words, others in faults:
        assert texts[file].count(words) == 1, f"{words!r} stands {texts[file].count(words)} times in {file}"
        texts[file] = texts[file].replace(words, others)
    for file, text in texts.items():
        text = text.replace("from ogive.compiler.kernels import", f"from {name} import")
        (made / file).write_text(text.replace("ogive.compiler.kernels.", f"{name}."), "utf-8")
    (made / "__init__.py").write_text("", "utf-8")
    sys.path.insert(0, str(folder))
    try:
        for file in FILES:
            importlib.import_module(f"{name}.{Path(file).stem}")
        return sys.modules[name]
    finally:
        sys.path.remove(str(folder))
