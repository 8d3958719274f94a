"""Files of a revision, as git has them: `HEAD~1:nets/vit.arch`. Nothing is checked out, and nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from ogive.dsl import limits
from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.load import Unit, load_tree

__all__ = ["Revision", "open_revision"]

SECONDS: Final = 30
QUIET: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}


@dataclass(frozen=True)
class Revision:
    """The files of one revision of the repository around the current folder; see `ogive.dsl.load.Tree`."""

    name: str
    commit: str

    def text(self, path: PurePosixPath) -> str | None:
        """The text of a file; None where the revision has none of that path.

        Raises:
            ArchError: A501 it is too large, A800 it is no UTF-8 text, or git cannot read it.
        """
        place = f"{self.commit}:{path.as_posix()}"
        kind = _git("cat-file", "-t", place)
        if kind is None or kind.strip() != b"blob":
            return None
        size = _git("cat-file", "-s", place)
        if size is not None and int(size) > limits.FILE_BYTES:
            raise fail("A501", f"`{self.shown(path)}` is larger than {limits.FILE_BYTES:,} bytes")
        data = _git("cat-file", "blob", place)
        if data is None:
            raise fail("A800", f"git cannot read `{self.shown(path)}`")
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise fail("A800", f"`{self.shown(path)}` is not UTF-8 text: byte {error.start} in line {line}") from None

    def shown(self, path: PurePosixPath) -> str:
        """What a file is called in errors."""
        return f"{self.name}:{path.as_posix()}"


def open_revision(name: str, path: str) -> Unit:
    """The parsed file of a revision, what it imports beside it included.

    Args:
        name: what git takes for a revision: `HEAD~1`, a branch, a tag, the letters of a commit.
        path: from the root of the repository, as git has it; from the current folder where it begins with `./`.

    Raises:
        ArchError: A830 there is no git, no repository or no such revision, or it has no such file; else as
            `open_source`.
    """
    revision = Revision(name, _commit(name))
    place = _place(path)
    unit = load_tree(revision, place)
    if unit is None:
        raise fail("A830", f"`{name}` has no file `{place}`", help=_elsewhere(revision, place))
    return unit


def _commit(name: str) -> str:
    """The letters of the commit.

    Raises:
        ArchError: A830.
    """
    if shutil.which("git") is None:
        raise fail("A830", f"`{name}` is a revision, and there is no git here to read it with", help="install git")
    if _git("rev-parse", "--git-dir") is None:
        raise fail("A830", f"`{name}` is a revision, and this folder is in no git repository",
                   help="go where the repository is; a file as it lies here has no colon in front of its name")
    commit = None if name.startswith("-") else _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if commit is None:
        raise fail("A830", f"there is no revision `{name}`",
                   help="`git log --oneline` lists them: HEAD~1, a branch, a tag")
    return commit.decode("ascii").strip()


def _place(path: str) -> PurePosixPath:
    """The path from the root of the repository.

    Raises:
        ArchError: A830, it leads out of the repository.
    """
    words = path
    if path.startswith(("./", "../")):
        prefix = (_git("rev-parse", "--show-prefix") or b"").decode("utf-8", "replace").strip()
        words = os.path.normpath(prefix + path).replace(os.sep, "/")
    place = PurePosixPath(words)
    if not path or place.is_absolute() or ".." in place.parts:
        raise fail("A830", f"`{path}` is no path in the repository",
                   help="paths are from its root, as in `HEAD~1:nets/vit.arch`; `HEAD~1:./vit.arch` is beside you")
    return place


def _elsewhere(revision: Revision, place: PurePosixPath) -> str:
    """Where files of that name are in the revision."""
    listed = _git("ls-tree", "-r", "-z", "--name-only", "--full-tree", revision.commit) or b""
    same = [name for name in listed.decode("utf-8", "replace").split("\0") if PurePosixPath(name).name == place.name]
    if same:
        return f"it has `{revision.name}:{same[0]}`"
    return f"`git ls-tree -r {revision.name}` lists its files"


def _git(*words: str) -> bytes | None:
    """What git prints; None where it refuses.

    Raises:
        ArchError: A830, it cannot be run, or is not done in time.
    """
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, timeout=SECONDS, check=False, env={**os.environ, **QUIET},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise _unusable(error) from None
    return done.stdout if done.returncode == 0 else None


def _unusable(error: Exception) -> ArchError:
    if isinstance(error, subprocess.TimeoutExpired):
        return fail("A830", f"git was not done after {SECONDS} s")
    return fail("A830", f"git cannot be run: {str(getattr(error, 'strerror', None) or error).lower()}")
