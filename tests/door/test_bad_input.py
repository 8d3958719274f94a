"""Whatever is wrong: one error with place, cause and help, the right exit code, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from door.command import SMALL, ogive, process, refused
from PIL import Image
from safetensors.numpy import save_file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL)
    return tmp_path


# ------------------------------------------------------------------------------------------------ files
@pytest.mark.parametrize("command", ["check", "summary", "keys", "draw", "compile", "run", "fmt"])
def test_every_command_says_what_is_wrong_with_a_file(command: str) -> None:
    Path("broken.arch").write_text("network A:\n    input x: B C\n    y = = x\n")
    more = ["-o", "a.svg"] if command == "draw" else []
    refused(ogive(command, "broken.arch", *more), 1, "error[A0", "--> broken.arch:3:7", "help:")
    refused(ogive(command, "none.arch", *more), 2, "cannot read `none.arch`")
    assert sorted(p.name for p in Path().iterdir()) == ["broken.arch", "small.arch"]


def test_an_unknown_name() -> None:
    Path("a.arch").write_text(SMALL.replace("gelu", "gleu"))
    refused(ogive("summary", "a.arch", "Small.S"), 1, "`gleu`", "--> a.arch:6:9", "help: did you mean `gelu`?")


def test_wrong_shapes() -> None:
    Path("a.arch").write_text(SMALL.replace("fc2 = linear(C)", "fc2 = linear(C + 1)"))
    refused(ogive("check", "a.arch"), 1, "error[A2", "--> a.arch:", "8", "9")


def test_a_folder_and_a_binary_file() -> None:
    Path("dir.arch").mkdir()
    Path("bin.arch").write_bytes(bytes(range(256)))
    refused(ogive("summary", "dir.arch"), 2, "`dir.arch` is a folder")
    refused(ogive("check", "dir.arch"), 2, "there is no `.arch` file in `dir.arch`")
    refused(ogive("summary", "bin.arch"), 2, "is not UTF-8 text: byte 128 in line 2")
    refused(ogive("check", "-", input=b"\xff\xfe"), 2, "standard input is not UTF-8 text")
    refused(ogive("check", "small.arch", "--root", "none"), 2, "`--root none` is no folder")


def test_a_missing_or_unknown_preset() -> None:
    refused(ogive("summary", "vit"), 2, "holds several networks", "help: choose one of ViT.Ti, ViT.S")
    refused(ogive("summary", "vit", "B"), 2, "has no network `B`", "did you mean `ViT.B`?")
    refused(ogive("summary", "vit", "ViT"), 2, "`ViT` needs `dim`: choose a preset", "ViT.Ti, ViT.S")
    refused(ogive("summary", "vit", "ViT.Q"), 2, "`ViT` has no preset `Q`", "its presets: Ti, S, B, L, H")
    refused(ogive("summary", "unet", "UNet.B"), 2, "`UNet` has no preset `B`", "it has none")
    refused(ogive("summary", "std.timm"), 2, "holds no network")
    refused(ogive("summary", "vitt"), 2, "no file `vitt`", "did you mean `vit`?")


@pytest.mark.parametrize(
    ("setting", "title", "more"),
    [
        ("depth", "`--set depth` is no setting", "--set depth=6"),
        ("=3", "`--set =3` is no setting", "help:"),
        ("dpeth=3", "has no parameter `dpeth`", "did you mean `depth`?"),
        ("depth=[1]", "`depth` takes a whole number", "depth="),
        ("depth=1 +", "a value is missing", "depth=1 +"),
        ("depth=(1", "is never closed", "depth="),
        ("depth=what", "`what`", "depth="),
        ("depth=__import__('os')", "error[A", "depth=__import__"),
    ],
)
def test_a_wrong_setting(setting: str, title: str, more: str) -> None:
    refused(ogive("summary", "small.arch", "Small.S", "--set", setting), 2, title, more)


def test_settings_that_do_not_fit_the_network() -> None:
    refused(ogive("summary", "vit", "ViT.S", "--set", "heads=5"), 2, "heads", "384", "help:")
    twice = ogive("summary", "small.arch", "Small.S", "--set", "depth=1", "--set", "depth=2")
    refused(twice, 2, "`depth` is set twice")


def test_wrong_sizes() -> None:
    refused(ogive("summary", "small.arch", "Small.S", "--size", "H"), 2, "`--size H` is no size", "--size H=384")
    refused(ogive("summary", "small.arch", "Small.S", "--size", "Q=3"), 2, "no free size `Q`", "its free sizes")
    refused(ogive("summary", "vit", "ViT.S", "--size", "H=3"), 2, "no free size `H`", "help:")
    refused(ogive("summary", "small.arch", "Small.S", "--size", "H=6"), 2, "does not work at H = 6", "H % 4 == 0")


# ------------------------------------------------------------------------------------------------ words
@pytest.mark.parametrize(
    ("words", "title"),
    [
        (["chekc"], "no such command `chekc`. Did you mean `check`?"),
        (["check"], "missing argument `FILE...`"),
        (["check", "--clams", "vit"], "no such option: --clams"),
        (["summary", "vit", "ViT.S", "--depth", "x"], "--depth"),
        (["draw", "vit", "ViT.S"], "missing option"),
        (["run", "vit", "ViT.S", "--seed", "-1"], "--seed"),
        (["summary", "vit", "ViT.S", "more"], "unexpected extra argument"),
        (["--nonsense"], "no such option: --nonsense"),
    ],
)
def test_wrong_words(words: list[str], title: str) -> None:
    refused(ogive(*words), 2, title, "--help` says what it takes")


def test_no_words_at_all() -> None:
    answer = ogive()
    assert answer.code == 2 and "Commands:" in answer.err and answer.out == ""


# ------------------------------------------------------------------------------------------------ what is written
def test_places_that_cannot_be_written() -> None:
    Path("keep.py").write_text("kept")
    Path("folder.py").mkdir()
    refused(ogive("compile", "vit", "ViT.Ti", "-o", "no/out.py"), 2, "cannot write `no/out.py`", "make `no` first")
    refused(ogive("compile", "vit", "ViT.Ti", "-o", "folder.py"), 2, "it is a folder")
    refused(ogive("compile", "vit", "ViT.Ti", "-o", "out.svg"), 2, "no name for Python source", "`out.py`")
    refused(ogive("compile", "vit", "ViT.Q", "-o", "keep.py"), 2, "no preset `Q`")
    refused(ogive("draw", "vit", "ViT.Ti", "-o", "no/a.svg"), 2, "`no`")
    refused(ogive("draw", "vit", "ViT.Ti", "-o", "a.jpg"), 2, "`.jpg`")
    assert Path("keep.py").read_text() == "kept"
    assert sorted(p.name for p in Path().iterdir()) == ["folder.py", "keep.py", "small.arch"]


def test_fmt_leaves_a_file_with_a_mistake_alone() -> None:
    Path("b.arch").write_text("network A:\n  input x: B C\n  y = = x\n")
    Path("c.arch").write_text(SMALL.replace("fc1  =", "fc1="))
    answer = ogive("fmt", "b.arch", "c.arch")
    refused(answer, 1, "error[A0", "b.arch:3")
    assert answer.out == "changed c.arch\n"
    assert Path("b.arch").read_text() == "network A:\n  input x: B C\n  y = = x\n"


# ------------------------------------------------------------------------------------------------ pictures
def test_pictures_that_do_not_fit() -> None:
    Image.new("RGB", (100, 50)).save("p.png")
    refused(
        ogive("run", "vit", "ViT.Ti", "--input", "p.png"), 2,
        "`p.png` is 50 high and 100 wide, `ViT.Ti` takes 224 x 224", "vit.arch:", "resize it to 224 x 224",
    )
    refused(ogive("run", "small.arch", "Small.S", "--input", "p.png"), 2, "50 high and 100 wide", "H % 4 == 0")
    words = ("run", "small.arch", "Small.S", "--input", "p.png", "--size", "H=4")
    refused(ogive(*words), 2, "a picture has its own size")


def test_files_that_are_no_pictures() -> None:
    Image.new("RGB", (64, 64), "red").save("p.png")
    Path("cut.png").write_bytes(Path("p.png").read_bytes()[:60])
    Path("dir.png").mkdir()
    for name, title in [
        ("small.arch", "is no picture that can be read"), ("none.png", "cannot read `none.png`"),
        ("cut.png", "`cut.png`"), ("dir.png", "it is a folder"), ("radnom", "cannot read `radnom`"),
    ]:
        refused(ogive("run", "small.arch", "Small.S", "--input", name), 2, title)


def test_networks_that_take_no_picture() -> None:
    Image.new("RGB", (8, 8)).save("p.png")
    Path("t.arch").write_text("network T:\n    input x: B N 4\n    relu\n")
    refused(ogive("run", "t.arch", "--input", "p.png"), 2, "takes `x: B N 4`, which is no picture", "random")
    Path("t.arch").write_text("network T:\n    input x: B 3 H W, y: B 3 H W\n    x, y -> concat\n")
    refused(ogive("run", "t.arch", "--input", "p.png"), 2, "takes 2 inputs, `x`, `y`", "random")


# ------------------------------------------------------------------------------------------------ checkpoints
def _checkpoint(name: str, **shapes: tuple[int, ...]) -> None:
    save_file({key.replace("__", "."): np.zeros(shape, "f4") for key, shape in shapes.items()}, name)


def test_a_checkpoint_with_other_keys() -> None:
    Path("one.arch").write_text("network One:\n    input x: B 4\n    fc = linear(3)\n")
    _checkpoint("w.safetensors", fc1__weight=(3, 4), fc__bias=(3,))
    _checkpoint("shape.safetensors", fc__weight=(4, 3), fc__bias=(3,))
    _checkpoint("prefix.safetensors", module__fc__weight=(3, 4), module__fc__bias=(3,))
    answer = ogive("keys", "one.arch", "--against", "w.safetensors")
    refused(
        answer, 1, "the keys of `w.safetensors` are not those of `One`: 1 missing, 1 unexpected",
        "missing: fc.weight", "unexpected: fc1.weight", "help: `fc.weight` may be `fc1.weight` there",
    )
    assert answer.out == "missing     fc.weight [3, 4]   nearest there: fc1.weight\nunexpected  fc1.weight [3, 4]\n"
    shape = ogive("keys", "one.arch", "--against", "shape.safetensors")
    refused(shape, 1, "1 of another shape", "`fc.weight` is [4, 3] there, [3, 4] in the network")
    prefix = ogive("keys", "one.arch", "--against", "prefix.safetensors")
    refused(prefix, 1, "2 missing, 2 unexpected", "begin with `module.`: take it off")
    refused(ogive("run", "one.arch", "--weights", "w.safetensors"), 2, "1 missing, 1 unexpected")


def test_files_that_are_no_checkpoints() -> None:
    Path("empty.safetensors").write_bytes(b"")
    Path("long.safetensors").write_bytes(b"\xff" * 64)
    for name in ("empty.safetensors", "long.safetensors", "small.arch"):
        refused(ogive("keys", "small.arch", "Small.S", "--against", name), 2, "is no safetensors file", "help:")
    refused(ogive("keys", "small.arch", "Small.S", "--against", "none"), 2, "cannot read `none`: no such file")
    refused(ogive("keys", "small.arch", "Small.S", "--against", "."), 2, "is a folder")


def test_tied_weights_may_be_there_once() -> None:
    Path("tied.arch").write_text(
        "network Tied:\n    input ids: B N of int\n    wte = embedding(6, 4)\n"
        "    head = linear(6, weight=wte.weight, bias=False)\n"
    )
    _checkpoint("w.safetensors", wte__weight=(6, 4))
    assert ogive("keys", "tied.arch", "--against", "w.safetensors").code == 0


# ------------------------------------------------------------------------------------------------ ends
def test_a_bug_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("some\nthing")

    monkeypatch.setattr("ogive.sources.open_source", broken)
    answer = ogive("summary", "vit", "ViT.S")
    assert answer.code == 70
    assert answer.err == (
        "this is a bug in ogive: please report it, with `ogive summary vit ViT.S` and this: ValueError: some thing "
        "(OGIVE_TRACEBACK=1 shows where)\n"
    )
    monkeypatch.setenv("OGIVE_TRACEBACK", "1")
    assert "Traceback" in ogive("summary", "vit", "ViT.S").err


def test_colours_only_where_they_are_welcome(folder: Path) -> None:
    env = {"NO_COLOR": "", "FORCE_COLOR": ""}
    assert "\033[" not in process("check", "none", cwd=folder, **env).err
    assert "\033[1;31merror[A109]:" in process("check", "none", cwd=folder, **{**env, "FORCE_COLOR": "1"}).err
    assert "\033[" not in process("check", "none", cwd=folder, FORCE_COLOR="1", NO_COLOR="1").err


def test_control_characters_do_not_reach_the_terminal() -> None:
    answer = ogive("check", "a\033[31m.arch")
    assert "\033" not in answer.err + answer.out


def test_a_closed_pipe_is_quiet(folder: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "ogive", "keys", "vit", "ViT.H"], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert command.stdout is not None and command.stderr is not None
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait(60) in {0, 141}


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupt_is_130(folder: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "ogive", "check", "-"], cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs behind a shell ignores it
    )
    assert command.stdin is not None and command.stderr is not None
    command.stdin.write(b"#" * 200_000)  # more than a pipe holds: once it is written, the command waits for the rest
    command.stdin.flush()
    time.sleep(0.5)  # until it waits: Python hears nothing between two reads of one call
    command.send_signal(signal.SIGINT)
    assert command.wait(60) == 130
    assert command.stderr.read() == b"interrupted\n"


def test_a_process_of_its_own(folder: Path) -> None:
    assert process("check", "small.arch", cwd=folder).code == 0
    refused(process("check", "none.arch", cwd=folder), 2, "cannot read `none.arch`")
    refused(process("summary", "vit", "B", cwd=folder), 2, "no network `B`")
