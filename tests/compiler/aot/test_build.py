"""Builds: what they hold, that cubins and manifest agree to the byte, what is launched, and what damage is seen."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_driver import FakeDriver
from needs_triton import triton
from typer.testing import CliRunner

import ogive
from ogive.cli import app
from ogive.compiler.aot.build import Built, build, write_build
from ogive.compiler.aot.compiled import Facts
from ogive.compiler.aot.cubin import NotCubin, read_cubin
from ogive.compiler.aot.loaded import Loaded
from ogive.compiler.aot.manifest import MANIFEST, Manifest, digest, grid_of, programs, read_build, read_manifest
from ogive.compiler.kernels import attention, ready
from ogive.compiler.kernels.fits import MOST_STACK
from ogive.compiler.kernels.ready import DEVICE, TAKERS
from ogive.compiler.kernels.setting import Setting
from ogive.compiler.precision import precision_of
from ogive.compiler.targets import gpu_named, gpu_of
from ogive.dsl.diagnostics import ArchError


def test_a_build_says_what_is_in_it(small: Built, folder: Path) -> None:
    manifest, text, cubins = read_build(folder)
    assert manifest == small.manifest and cubins == small.cubins
    assert ogive.loads(text).keys() == [
        "table", "near.qkv.weight", "far.qkv.weight", "head.weight", "head.bias",
    ]
    assert sorted(p.name for p in folder.iterdir()) == sorted([MANIFEST, "network.arch", *cubins])
    assert (manifest.target, manifest.arch, manifest.capability) == ("h200", "sm_90a", 90)
    assert manifest.triton == triton.__version__
    assert [node.at for node in manifest.attentions] == [("near.attend",), ("far.attend",)]
    assert {node.kernel for node in manifest.attentions} == {"flash"} and manifest.precision == (("*", "fp16"),)
    for entry in manifest.kernels:
        assert entry.matrix == "wgmma" or entry.setting["block_m"] < 64
        assert entry.shared <= 227 * 1024 and entry.stack <= MOST_STACK
        assert [p.name for p in entry.parameters[-2:]] == ["global_scratch", "profile_scratch"]
        assert [(g.rule, g.value) for g in entry.guards if g.of == "q"] == [("is", "fp16"), ("multiple of", 16)]
        assert not any(g.of in ("seed", "mask") for g in entry.guards), "what a kernel does not read is not guarded"


def test_equal_builds_are_equal_files(small: Built) -> None:
    again = build(ogive.loads(small.source), "h200", gpu_named("h200", "a test"), precision_of("fp16"), "flash")
    assert again.manifest.kernels == small.manifest.kernels and again.cubins == small.cubins
    for cubin in small.cubins.values():
        assert str(Path(__file__).parents[3]).encode() not in cubin, "no path of this machine is in it"


def test_parameters_are_where_the_cubin_looks_for_them(small: Built, folder: Path, tools: Path) -> None:
    """NVIDIA's own tool prints the block of parameters; the manifest says the same."""
    for entry in small.manifest.kernels:
        found = subprocess.run([tools / "cuobjdump", "-elf", folder / entry.file], capture_output=True, check=True)
        section = found.stdout.decode().split(f".nv.info.{entry.symbol}\n")[-1]
        places = re.findall(r"Ordinal : 0x(\w+)\s+Offset  : 0x(\w+)\s+Size    : 0x(\w+)", section)
        told = {int(i, 16): (int(offset, 16), int(size, 16)) for i, offset, size in places}
        assert told == {i: (p.offset, p.size) for i, p in enumerate(entry.parameters)}
        used = subprocess.run([tools / "cuobjdump", "-res-usage", folder / entry.file], capture_output=True, check=True)
        registers, stack = map(int, re.findall(r"REG:(\d+) STACK:(\d+)", used.stdout.decode())[0])
        assert (registers, stack) == (entry.registers, entry.stack)


@pytest.mark.parametrize(("text", "grid", "count"), [
    ("batch * heads * cdiv(nq, BLOCK_M)", ("batch", "heads", ("cdiv", "nq", 64)), 3 * 5 * 4),
    ("batch*cdiv(nq, 7)", ("batch", ("cdiv", "nq", 7)), 3 * 29),
])
def test_a_grid_is_a_product(text: str, grid: tuple[Any, ...], count: int) -> None:
    made = grid_of(text, {"BLOCK_M": 64})
    assert made == grid and programs(made, {"batch": 3, "heads": 5, "nq": 200}) == count
    with pytest.raises(ValueError, match="product"):
        grid_of("batch + heads", {})


# --------------------------------------------------------------------------------------------------------------- launch


@pytest.fixture
def driver() -> Iterator[FakeDriver]:
    """A double of the driver of an H200; what is loaded with it is forgotten afterwards."""
    before, token = list(TAKERS), DEVICE.set(gpu_named("h200", "a test"))
    yield FakeDriver(90)
    TAKERS[:] = before
    DEVICE.reset(token)


class Spy:
    """Writes down what each launch is asked for, and leaves it to the next."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Setting, int, int, dict[str, Any]]] = []

    def __call__(self, kernel: str, setting: Setting, batch: int, count: int, given: Any) -> bool:
        self.seen.append((kernel, setting, batch, count, dict(given)))
        return False


def test_a_module_launches_its_cubins(folder: Path, driver: FakeDriver) -> None:
    """Every launch: the grid by the manifest, each number and address at its offset, on torch's stream."""
    spy = Spy()
    TAKERS.insert(0, spy)
    module = ogive.load_module(folder, device="cpu", driver=driver)
    loaded: Loaded = module.meta["ogive"]["build"]
    assert next(module.parameters()).dtype == torch.float16
    with torch.no_grad():
        module(torch.randn(3, 196, 64, dtype=torch.float16))
    made = driver.library.launches
    assert len(made) == len(spy.seen) == 2 and not loaded.misses
    for call, (kernel, setting, batch, count, given) in zip(made, spy.seen, strict=True):
        entry, = loaded.entries[f"{kernel} {json.dumps(vars_of(setting), sort_keys=True)}"]
        assert call["grid"] == (count, 1, 1) == (programs(entry.grid, {**given, "batch": batch}), 1, 1)
        assert call["block"] == (32 * entry.warps, 1, 1) and call["shared"] == entry.shared and call["stream"] == 77
        assert len(call["parameters"]) == max(p.offset + p.size for p in entry.parameters)
        for p in entry.parameters:
            form = {"i32": "<i", "fp32": "<f"}.get(p.type, "<Q")
            value, = struct.unpack_from(form, call["parameters"], p.offset)
            wanted = 0 if p.scratch is not None else given[p.name]
            if isinstance(wanted, torch.Tensor):
                wanted = wanted.data_ptr()
            assert value == pytest.approx(wanted, rel=1e-7), p.name
    assert len(driver.library.modules) == len(loaded.cubins) and set(driver.library.symbols) == {"attention_forward"}
    with torch.no_grad():
        module(torch.randn(1, 196, 64, dtype=torch.float16))
    assert len(driver.library.launches) == 4 and len(driver.library.modules) == len(loaded.cubins), "loaded once"


def vars_of(setting: Setting) -> dict[str, Any]:
    return {name: getattr(setting, name) for name in Setting.__dataclass_fields__}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_runs_a_build(small: Built, tmp_path: Path) -> None:
    """The build of this machine's GPU, launched by its driver, against the processor in float64."""
    major, minor = torch.cuda.get_device_capability()
    target = gpu_of(10 * major + minor, torch.cuda.get_device_name())
    assert target is not None and target.gpu is not None
    made = build(ogive.loads(small.source), target.name, target.gpu, precision_of("fp16"), "flash")
    write_build(made, tmp_path / "b")
    module = ogive.load_module(tmp_path / "b").eval()
    exact = ogive.compile(ogive.loads(small.source), dtype=torch.float64)
    exact.load_state_dict({key: value.double().cpu() for key, value in module.state_dict().items()})
    x = torch.randn(3, 196, 64, dtype=torch.float16)
    with torch.no_grad():
        answer, truth = module(x.cuda()).cpu().double(), exact(x.double())
    assert not module.meta["ogive"]["build"].misses
    assert float((answer - truth).norm() / truth.norm()) < 5e-3


def test_more_than_48_kb_of_shared_memory_is_asked_for(driver: FakeDriver) -> None:
    driver.function(0, b"a", b"cubin", "kernel", 100_000)
    driver.function(0, b"b", b"cubin", "kernel", 40_000)
    assert driver.library.shared == {1001: 100_000}


def test_what_the_driver_refuses_is_an_error(driver: FakeDriver) -> None:
    driver.library.refuse["cuModuleLoadData"] = 209
    with pytest.raises(ArchError, match="the CUDA driver refuses a kernel: out of something"):
        driver.function(0, b"a", b"cubin", "kernel", 0)


def test_what_no_guard_admits_goes_to_torch_with_the_reason(
    folder: Path, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another type, and no Triton: torch's attention answers, and the build says what it missed."""
    for module_ in (attention, ready):
        monkeypatch.setattr(module_, "has_triton", lambda: False)
    module = ogive.load_module(folder, device="cpu", driver=driver, dtype=torch.float32)
    for node in module.modules():
        if getattr(node, "walked", None) is not None:
            node.walked.known.clear()
    plain = ogive.compile(ogive.loads(read_build(folder)[1]))
    plain.load_state_dict(module.state_dict())
    x = torch.randn(2, 196, 64)
    chosen = [n for n in module.graph.nodes if n.target == "to"]
    for node in chosen:  # as if the precision were that of the weights
        node.args = (node.args[0], torch.float32)
    module.recompile()
    with torch.no_grad():
        answer, wanted = module(x), plain(x)
    torch.testing.assert_close(answer, wanted)
    assert driver.library.launches == []
    assert set(module.meta["ogive"]["build"].misses.values()) == {"it was not built for such tensors"}


def test_a_stride_that_is_no_multiple_is_not_launched(small: Built, driver: FakeDriver) -> None:
    loaded, entry = Loaded(small.manifest, small.cubins, driver), small.manifest.kernels[0]
    guarded = next(g.of for g in entry.guards if g.of == "q_n")
    given: dict[str, Any] = {g.of: 16 for g in entry.guards}
    given |= {g.of: torch.empty(64, dtype=torch.float16) for g in entry.guards if g.rule == "is"}
    for g in entry.guards:
        if g.rule == "is":
            kind = {"fp16": torch.float16, "fp32": torch.float32, "i32": torch.int32}[str(g.value)]
            given[g.of] = torch.empty(64, dtype=kind)
    given |= {p.name: 1 for p in entry.parameters if p.name not in given}
    assert loaded(entry.kernel, Setting(**entry.setting), 1, 1, given)  # type: ignore[arg-type]
    assert not loaded(entry.kernel, Setting(**entry.setting), 1, 1, {**given, guarded: 72})  # type: ignore[arg-type]
    assert list(loaded.misses.values()) == ["`q_n` is not a multiple of 16"]


def test_another_device_is_refused(folder: Path) -> None:
    with pytest.raises(ArchError, match="the device is sm_80, and the build is for sm_90a"):
        ogive.load_module(folder, device="cpu", driver=FakeDriver(80))
    with pytest.raises(ArchError, match="the tensors are on cpu, and the build is for h200"):
        ogive.load_module(folder, device="cpu", driver=FakeDriver(None))


# --------------------------------------------------------------------------------------------------------------- damage


def _edited(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        told = json.loads((folder / MANIFEST).read_text("utf-8"))
        change(told)
        (folder / MANIFEST).write_text(json.dumps(told), "utf-8")
    return damage


def _cubin(folder: Path) -> Path:
    return folder / read_manifest(folder).kernels[0].file


def _cut(folder: Path) -> None:
    path = _cubin(folder)
    path.write_bytes(path.read_bytes()[:1000])


def _swap(folder: Path) -> None:
    """Another file with a hash that fits: no cubin at all."""
    path = _cubin(folder)
    path.write_bytes(b"\x7fELF" + bytes(200))
    _edited(lambda t: t["kernels"][0].update(sha256=digest(path.read_bytes())))(folder)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no folder": (shutil.rmtree, "no such file"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "`manifest.json`: no such file"),
    "no json": (lambda f: (f / MANIFEST).write_text("{", "utf-8") and None, "`manifest.json` is damaged"),
    "deep": (lambda f: (f / MANIFEST).write_text("[" * 100_000, "utf-8") and None, "`manifest.json` is damaged"),
    "no cubin": (lambda f: _cubin(f).unlink(), "cubin`: no such file"),
    "cut": (_cut, "its SHA-256 differs"),
    "a network changed": (lambda f: (f / "network.arch").write_text("network A", "utf-8") and None, "SHA-256"),
    "no elf": (_swap, "no ELF file"),
    "another format": (_edited(lambda t: t.update(format=2)), "its format is another one"),
    "a file outside": (_edited(lambda t: t["kernels"][0].update(file="../../etc/passwd")), "kernels.0.file"),
    "more words": (_edited(lambda t: t.update(run="rm")), "manifest.json` is damaged: run"),
    "another gpu": (_edited(lambda t: t.update(capability=80)), "is for sm_90, and the build for sm_80"),
    "another symbol": (_edited(lambda t: t["kernels"][0].update(symbol="x")), "not `x`"),
    "a parameter moved": (_edited(lambda t: t["kernels"][0]["parameters"][0].update(offset=4)), "other parameters"),
    "a parameter less": (_edited(lambda t: t["kernels"][0]["parameters"].pop()), "other parameters"),
    "a parameter of another type": (_edited(lambda t: t["kernels"][0]["parameters"][0].update(type="i32")), "8 bytes"),
    "a grid that is none": (_edited(lambda t: t["kernels"][0].update(grid=[["eval", "x", 1]])), "kernels.0.grid"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_error(name: str, folder: Path) -> None:
    damage, words = DAMAGE[name]
    damage(folder)
    with pytest.raises(ArchError) as caught:
        ogive.load_module(folder, device="cpu", driver=FakeDriver(90))
    assert [d.code for d in caught.value.diagnostics] == ["A745"] and words in str(caught.value)


def test_a_cubin_is_read_or_refused(small: Built) -> None:
    """Cut anywhere, or with bytes that were changed, it is read or refused, and never anything else."""
    cubin = next(iter(small.cubins.values()))
    for size in range(0, len(cubin), 997):
        with pytest.raises(NotCubin):
            read_cubin(cubin[:size])
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        damaged = bytearray(cubin)
        for place in torch.randint(len(cubin), (8,), generator=generator).tolist():
            damaged[place] ^= 0xFF
        try:
            read_cubin(bytes(damaged))
        except NotCubin:
            continue


def test_a_build_is_written_whole_or_not_at_all(small: Built, tmp_path: Path) -> None:
    write_build(small, tmp_path / "a")
    write_build(small, tmp_path / "a")  # replaced
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and read_manifest(tmp_path / "a") == small.manifest
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for where, words in ((mine, "something that is no build"), (tmp_path / "b" / "c", "no such folder"),
                         (mine / "thesis.txt", "something that is no build")):
        with pytest.raises(ArchError, match=words):
            write_build(small, where)
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "mine"]


def test_what_does_not_fit_is_no_build(monkeypatch: pytest.MonkeyPatch, small: Built) -> None:
    monkeypatch.setattr("ogive.compiler.aot.build.refused", lambda facts, shared: f"{facts.warps} warps of {shared}")
    with pytest.raises(ArchError, match=r"`attention_forward` does not fit sm_90a: 4 warps of 232448"):
        build(ogive.loads(small.source), "h200", gpu_named("h200", "a test"), precision_of("fp16"), "flash")
    assert Facts(1, 2, 3, 4, "fma").warps == 4


WITHOUT_TRITON = """
import importlib.util, sys
plain = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "triton" else plain(name, package)
sys.modules["triton"] = None  # importing it fails, as where it is not installed
sys.path.insert(0, sys.argv[2])

import torch
from fake_driver import FakeDriver

import ogive
from ogive.compiler.kernels.ready import DEVICE
from ogive.compiler.targets import gpu_named, gpu_of

driver = FakeDriver(90)
DEVICE.set(gpu_named("h200", "a test"))
module = ogive.load_module(sys.argv[1], device="cpu", driver=driver)
with torch.no_grad():
    module(torch.randn(1, 196, 64, dtype=torch.float16))
print(len(driver.library.launches))
"""


def test_launches_need_no_triton(folder: Path, tmp_path: Path) -> None:
    """Where Triton is not installed, a build is loaded and launched all the same."""
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRITON, folder, tests], capture_output=True, text=True, cwd=tmp_path,
        check=False,
    )
    assert done.stdout.strip() == "2", done.stderr


def test_the_manifest_is_its_own_schema(small: Built, folder: Path) -> None:
    assert Manifest.model_validate_json((folder / MANIFEST).read_bytes()) == small.manifest


def test_explain_tells_what_was_compiled(small: Built, tmp_path: Path) -> None:
    (tmp_path / "small.arch").write_text(small.source, "utf-8")
    words = ["explain", str(tmp_path / "small.arch"), "--target", "h200", "--precision", "fp16", "--kernel", "flash"]
    told = CliRunner().invoke(app, [*words, "--compiled"])
    entry, other = small.manifest.kernels
    assert told.exit_code == 0
    for one in (entry, other):
        assert f"{one.registers} registers, nothing spilled, {one.shared:,} of 232,448 bytes" in told.stdout
    pages = json.loads(CliRunner().invoke(app, [*words, "--compiled", "--json"]).stdout)["attentions"]
    assert [[x["registers"] for x in page["compiled"]] for page in pages] == [[entry.registers], [other.registers]]
    assert all(page["kernel"]["name"] == "flash" and page["precision"] == "fp16" for page in pages)


def test_the_command_writes_a_build(small: Built, tmp_path: Path) -> None:
    (tmp_path / "small.arch").write_text(small.source, "utf-8")
    words = ["compile", str(tmp_path / "small.arch"), "--target", "h200", "--precision", "fp16", "--kernel", "flash"]
    told = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "build")])
    assert told.exit_code == 0, told.output
    assert read_manifest(tmp_path / "build").kernels == small.manifest.kernels
    for more, words_ in (((), "a build is a folder, and none is named"), (("-o", str(tmp_path)), "no build stands")):
        told = CliRunner().invoke(app, [*words, *more])
        assert told.exit_code == 2 and words_ in told.output
    told = CliRunner().invoke(app, ["compile", "vit", "ViT.S", "--precision", "bf16"])
    assert told.exit_code == 2 and "no target is named" in told.output
