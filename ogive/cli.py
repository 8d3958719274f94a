"""The command `ogive`. Each command is a function in `ogive/commands/`; here they come together."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ogive import __version__
from ogive.commands import (
    calibrating,
    checking,
    compiling,
    costing,
    diff,
    drawing,
    expanding,
    explaining,
    explaining_attention,
    figures,
    formatting,
    listing,
    renaming,
    running,
    sweeping,
    viewing,
    weighing,
)
from ogive.commands.failure import BROKEN_PIPE, INTERRUPTED, WRONG_USE, bug, exit_code, say, tell
from ogive.dsl.diagnostics import ArchError, fail

__all__ = ["app", "main"]


class Ogive(TyperGroup):
    """The group of all commands: whatever happens in one ends here, as an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            tell("interrupted")
            return INTERRUPTED
        except BrokenPipeError:  # the reader has seen enough: `ogive list | head -1`
            _close_quietly()
            return BROKEN_PIPE

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
        standalone_mode: bool = True, windows_expand_args: bool = True, **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        code = self._guarded(words, prog_name=prog_name or "ogive", complete_var=complete_var, **extra)
        if standalone_mode:
            sys.exit(code)
        return code

    def _guarded(self, words: list[str], **extra: Any) -> int:
        try:
            code = super().main(words, standalone_mode=False, **extra)
            return code if isinstance(code, int) else 0
        except ArchError as error:
            say(error)
            return exit_code(error.diagnostics)
        except OSError as error:  # a full disk, a closed descriptor
            say(fail("A804", f"the system refused: {(error.strerror or str(error)).lower()}"))
            return WRONG_USE
        except Exception as error:
            if type(error).__name__ == "Abort":
                return INTERRUPTED
            if not hasattr(error, "format_message"):
                return bug(error, words)
            if type(error).__name__ == "NoArgsIsHelpError":
                tell(error.format_message())
                return WRONG_USE
            say(_usage(error))
            return WRONG_USE


def _usage(error: Any) -> ArchError:
    """What typer has to say about the words of the command, as one of our errors."""
    title = error.format_message().strip().rstrip(".").replace("'", "`")
    context = getattr(error, "ctx", None)
    words = context.command_path if context is not None else "ogive"
    return fail("A803", title[:1].lower() + title[1:], help=f"`{words} --help` says what it takes")


def _close_quietly() -> None:
    """Nothing more can be written: let the interpreter not try when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    name="ogive", cls=Ogive, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Neural networks as text: checked without torch, compiled to torch.fx, drawn.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(listing.list_library)
app.command("check")(checking.check)
app.command("summary")(costing.summary)
app.command("sweep")(sweeping.sweep)
app.command("keys")(figures.keys)
app.command("draw")(drawing.draw)
app.command("view")(viewing.view)
app.command("diff")(diff.diff)
app.command("compile")(compiling.compile)
app.command("calibrate")(calibrating.calibrate)
app.command("run")(running.run)
app.command("weights")(weighing.weights)
app.command("fmt")(formatting.fmt)
app.command("expand")(expanding.expand)
app.command("rename")(renaming.rename)
app.command("explain")(explaining_attention.explain)
app.command("explain-error")(explaining.explain_error)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ogive {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version, and nothing else.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The entry point: runs the words on the command line and exits."""
    gc.set_threshold(checking.KEPT, 20, 20)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # else pydantic looks through every installed package
    app()
