"""What Python does while hostile files are checked and formatted, as its audit hooks tell.

No text of a file is compiled or run, nothing outside the folder and the package is opened, no program is started, no
socket is made, no foreign library is called.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
PROGRAM = '''
import json, os, sys
from contextlib import suppress
from pathlib import Path

import ogive.library
from hostile.texts import texts
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.format import format_text
from ogive.dsl.load import load_file
from ogive.dsl.ops import RECORDS
from ogive.dsl.source import Source

here = Path(sys.argv[1])
package = [str(Path(sys.modules[name].__path__[0]).resolve()) for name in ("ogive.dsl", "ogive.library")]
paths = []
for i, (name, text) in enumerate(texts().items()):
    if len(text) < 2_000:  # what is large is slow, and is heard no better
        path = here / f"case{i}.arch"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        paths.append(path)
good = here / "good.arch"
good.write_text("from vit import ViT\\nnetwork N = ViT.Ti(depth=2)\\n")


def work(path):
    with suppress(ArchError):
        check(load_file(path, here))
    with suppress(ArchError):
        format_text(Source(path.name, path.read_bytes().decode("utf-8", "replace")))


work(good)  # what is imported at the first call is the package's, not the file's; so are the records' annotations,
for record in RECORDS.values():  # which pydantic compiles when a record is first used
    record.model_rebuild()
seen = []
CODE = {"exec", "compile", "marshal.loads", "pickle.find_class", "import"}
WORLD = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "socket.__new__",
         "socket.connect", "ctypes.dlopen", "ctypes.dlsym", "urllib.Request", "os.remove", "os.rename", "os.mkdir",
         "shutil.rmtree", "os.putenv", "os.chmod", "os.symlink", "tempfile.mkstemp", "webbrowser.open"}


def hook(event, args):
    if not watching:
        return
    if event in CODE or event in WORLD:
        seen.append([event, repr(args)[:300]])
    elif event == "open":
        name, mode = str(args[0]), args[1]
        real = name if isinstance(args[0], int) else os.path.realpath(name)
        inside = isinstance(args[0], int) or any(real.startswith(p) for p in [str(here), *package])
        if not inside or (mode is not None and set(str(mode)) & set("wax+")):
            seen.append([event, name])


watching = False
sys.addaudithook(hook)
watching = True
for path in [*paths, good]:
    work(path)
if len(sys.argv) > 2:
    exec("1 + 1")
    open("/etc/hostname").close()
watching = False
print(json.dumps([len(paths), seen]))
'''


def watched(folder: Path, *more: str) -> tuple[int, list[list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), *more], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}, cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count, seen = json.loads(done.stdout)
    return count, seen


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    count, seen = watched(tmp_path)
    assert count > 350
    assert seen == []


def test_the_hook_sees(tmp_path: Path) -> None:
    _, seen = watched(tmp_path, "planted")
    assert {"compile", "exec", "open"} <= {event for event, _ in seen}
