"""A page of the docs as something that runs: its fenced blocks, in order, in one folder and one Python namespace.

```arch                        a whole file: it checks, at least one network of it is built, and it is in the one layout
```arch title=mine.arch        the same, and it is written into the folder under that name
```arch error=A203             a file that has exactly this mistake (may have a title too)
```arch parts                  a file without networks: it checks
```console                     `$ ogive ...` and `$ python ...` with what they print (stdout and stderr) below each
```python                      run; what it prints stands in the ```text block that follows directly, if one does
```python needs=timm           the same, left out where that package is missing
Other blocks are left alone. `...` in an output stands for anything; a line that is `...` alone for any lines.
A command whose output shows an `error[` exits with 1 or 2, every other one with 0.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
import pytest

from ogive.checking import check
from ogive.cli import app
from ogive.dsl.format import format_text
from ogive.dsl.source import Source

__all__ = ["Block", "Page", "blocks", "matches"]

FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: the language of its fence, the words behind it, its text, and where the text stands."""

    kind: str
    words: tuple[str, ...]
    text: str
    line: int
    start: int
    end: int

    def word(self, name: str) -> str | None:
        """The value of `name=value` behind the fence."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(name + "=")), None)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for match in FENCE.finditer(text):
        kind, *words = match["info"].split() or [""]
        line = text.count("\n", 0, match.start("body")) + 1
        yield Block(kind, tuple(words), match["body"], line, match.start("body"), match.end("body"))


def matches(shown: str, real: str) -> bool:
    """Whether an output is what the page shows."""
    pattern = ""
    for line in shown.strip("\n").split("\n"):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(piece) for piece in line.rstrip().split("...")) + r"[ ]*\n"
    lines = [line.rstrip() for line in real.strip("\n").split("\n")]
    return re.fullmatch(pattern, "\n".join(lines) + "\n") is not None


@dataclass
class Page:
    """A page that runs in the current folder. `wrong` says where it is not true, `texts` what would be, by place."""

    text: str
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__docs__"})
    wrong: list[str] = field(default_factory=list)
    texts: dict[tuple[int, int], str] = field(default_factory=dict)

    def run(self) -> Page:
        """Run every block."""
        found = list(blocks(self.text))
        for block, after in zip(found, [*found[1:], None], strict=False):
            match block.kind:
                case "arch":
                    self._arch(block)
                case "console":
                    self._console(block)
                case "python":
                    self._python(block, after if after and after.kind == "text" and self._next(block, after) else None)
        return self

    def updated(self) -> str:
        """The page with the outputs that are real."""
        text = self.text
        for (start, end), real in sorted(self.texts.items(), reverse=True):
            text = text[:start] + real + text[end:]
        return text

    def _next(self, block: Block, after: Block) -> bool:
        return self.text[block.end : after.start].count("\n") <= 3 and "```text" in self.text[block.end : after.start]

    def _say(self, line: int, what: str) -> None:
        self.wrong.append(f"line {line}: {what}")

    # ---------------------------------------------------------------------------------------- arch
    def _arch(self, block: Block) -> None:
        place = Path(block.word("title") or "page.arch")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(block.text, encoding="utf-8")
        [report] = check(str(place))
        if block.word("title") is None:
            place.unlink()
        codes = [mistake.code for mistake in report.mistakes]
        wanted = [] if block.word("error") is None else [block.word("error")]
        if codes != wanted:
            self._say(block.line, f"gives {codes}, not {wanted}\n{report.render()}")
        elif not wanted:
            if not report.networks and "parts" not in block.words:
                self._say(block.line, "no network of it is built")
            layout = format_text(Source(place.name, block.text))
            if layout != block.text:
                self._say(block.line, f"`ogive fmt` would write\n{layout}")
                self.texts[block.start, block.end] = layout

    # ---------------------------------------------------------------------------------------- console
    def _console(self, block: Block) -> None:
        pieces = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        if pieces[0].strip():
            self._say(block.line, "a console block begins with `$ `")
            return
        real_pieces = [pieces[0]]
        for piece in pieces[1:]:
            command, _, shown = piece.partition("\n")
            code, real = self._command(command)
            failed = "error[" in real or "would change" in real
            if bool(code) != failed:
                self._say(block.line, f"`{command}` exits with {code}:\n{real}")
            gap = shown[len(shown.rstrip("\n")) :] if real.strip() else ""
            if not matches(shown, real) and (shown.strip() or real.strip()):
                self._say(block.line, f"`{command}` prints\n{real}")
                real_pieces.append(f"{command}\n{real.rstrip()}\n" if real.strip() else f"{command}\n{gap}")
            else:
                real_pieces.append(piece)
        self.texts[block.start, block.end] = "$ ".join(real_pieces)

    def _command(self, command: str) -> tuple[int, str]:
        program, *words = shlex.split(command, comments=True)
        if program == "python":
            done = subprocess.run(
                [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100
            )
            return done.returncode, done.stdout
        if program != "ogive":
            return 127, f"a page runs `ogive` and `python`, not `{program}`"
        out = io.StringIO()
        code: Any = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                app(words)
            except SystemExit as end:
                code = end.code
        return code or 0, out.getvalue()

    # ---------------------------------------------------------------------------------------- python
    def _python(self, block: Block, output: Block | None) -> None:
        needs = block.word("needs")
        if needs is not None and not _is_there(needs):
            return
        out = io.StringIO()
        source = "\n" * (block.line - 1) + block.text  # so that a traceback names the line of the page
        try:
            with contextlib.redirect_stdout(out):
                exec(compile(source, "<page>", "exec"), self.names)
        except Exception:
            self._say(block.line, traceback.format_exc())
            return
        real = out.getvalue()
        if output is None:
            if real.strip():
                self._say(block.line, f"prints what the page does not show:\n{real}")
        elif not matches(output.text, real):
            self._say(output.line, f"the real output is\n{real}")
            self.texts[output.start, output.end] = real.rstrip() + "\n"


def _is_there(package: str) -> bool:
    """Whether a peer can be imported, as the tests that compare with it do."""
    try:
        getattr(peers, package)()
    except pytest.skip.Exception:
        return False
    return True
