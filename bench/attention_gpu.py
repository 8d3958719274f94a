"""Attention on a GPU: our kernels beside torch's and FlexAttention's, with the share of what is possible.

    python bench/attention_gpu.py [--budget 480] [--out table.json] [--only NAME ...] [--tune 10]
    python bench/attention_gpu.py --check      every row at a small size against float64; where there is no GPU, in
                                               Triton's interpreter (float16)

Each row is a network of one attention, q, k and v in bf16 as linear maps leave them. Columns: ours forwards and with
gradients; ours in each form of INT8 that the GPU has, casts to fp16 and the making of codes counted; SageAttention
where it is installed and takes the shape, its quantisation counted too; torch's attention (its flash and cuDNN
kernels on plain sets; parts of the set and a bias as a matrix elsewhere); compiled FlexAttention with hand-written
predicates; flash-attn where it is installed; the least possible time (compiler/roofline.py) and our share of it.
`--tune` measures other tiles first, so many seconds a kernel, and keeps what was best (`--cache`). Medians of CUDA
events behind a warm-up. The table is written after each row, fast rows first, and rows that stand there already, of
this device, are not measured again.

Without a GPU it says so, and prints what it would measure with the predictions of the policy.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

if "--check" in sys.argv and not Path("/dev/nvidia0").exists():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

import ogive
from ogive.compiler.explain import On, accounts
from ogive.compiler.int8 import BOUNDS, WORDS
from ogive.compiler.kernels.ready import TAKERS
from ogive.compiler.kernels.setting import Setting
from ogive.compiler.kernels.tuned import BEST, Tuned, tune
from ogive.compiler.lower.attention import unfused
from ogive.compiler.policy import no_form
from ogive.compiler.precision import precision_of
from ogive.compiler.targets import CPU, Gpu, gpu_named, gpu_of

ROUNDS = 30
DECOMPOSED = "decomposed_relative"
Mask = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One shape: `positions` as a file writes them, and what FlexAttention is given for the same set.

    `small` are positions for the check.
    """

    name: str
    batch: int
    heads: int
    width: int
    positions: str
    small: str
    over: str
    bias: str = ""
    mask: str = ""

    def text(self, small: bool) -> str:
        """The network of one attention."""
        at, c = (self.small if small else self.positions), self.heads * self.width
        ports = "".join(f"    input {x}: B {at} C={c}\n" for x in "qkv")
        made = f"    table = {self.bias.format(heads=self.heads)}\n" if self.bias else ""
        if self.bias == DECOMPOSED:
            side = int(at.split("=")[1].split()[0])
            made = "".join(f"    {x} = learned({2 * side - 1}, {self.width})\n" for x in ("rows", "cols"))
            made += f"    table = q, rows, cols -> {DECOMPOSED}({self.heads})\n"
        told = ", bias=table" if self.bias else ""
        return f"network Row():\n{ports}{made}    q, k, v -> attend({self.heads}, over={self.over}{told})\n"


def _rows() -> Iterator[Row]:
    yield Row("ViT-B/16-224", 64, 12, 64, "(n=197)", "(n=50)", "dense")
    for i, (side, heads) in enumerate(((56, 4), (28, 8), (14, 16), (7, 32))):
        at, small = f"(h={side} w={side})", f"(h={min(side, 14)} w={min(side, 14)})"
        for shift in (0, 3) if side > 7 else (0,):
            yield Row(f"Swin-B stage {i + 1}" + (", shifted" if shift else ""), 64, heads, 32, at, small,
                      f"window(7, shift={shift})", "relative_bias({heads}, 7)", f"window {side} 7 {shift}")
    yield Row("ViT-L/16-384", 32, 16, 64, "(n=577)", "(n=77)", "dense")
    yield Row("SAM-H window", 25, 16, 80, "(h=14 w=14)", "(h=7 w=7)", "dense", DECOMPOSED)
    yield Row("SAM-H global", 1, 16, 80, "(h=64 w=64)", "(h=9 w=9)", "dense", DECOMPOSED)
    for n in (1024, 4096, 16384):
        for width in (64, 128):
            batch = max(1, 16384 // n)
            yield Row(f"dense {n:,}, D = {width}", batch, 2048 // width, width, f"(n={n})", "(n=130)", "dense")
            yield Row(f"causal {n:,}, D = {width}", batch, 2048 // width, width, f"(n={n})", "(n=130)", "causal",
                      mask="causal")
    yield Row("sliding +-128 of 4,096", 4, 16, 64, "(n=4096)", "(n=300)", "sliding(257)", mask="sliding 128")
    yield Row("sliding +-128 of 16,384", 1, 16, 64, "(n=16384)", "(n=300)", "sliding(257)", mask="sliding 128")
    yield Row("sliding +-1,024 of 16,384", 1, 16, 64, "(n=16384)", "(n=300)", "sliding(2049)", mask="sliding 1024")
    yield Row("13 x 13 of 128 x 128", 1, 16, 64, "(h=128 w=128)", "(h=16 w=16)", "sliding(13)", mask="grid 128 6")
    yield Row("BigBird of 4,096", 4, 16, 64, "(n=4096)", "(n=256)", "block(64) | global_tokens(64) | random(3, of=64)")


ROWS = list(_rows())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--budget", type=float, default=480, help="seconds")
    parser.add_argument("--out", type=Path, default=Path("attention_gpu.json"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--tune", type=float, default=0, help="seconds for each kernel")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "ogive" / "tuned")
    told = parser.parse_args()
    rows = [row for row in ROWS if not told.only or any(word in row.name for word in told.only)]
    if told.check:
        sys.exit(_check(rows))
    if not torch.cuda.is_available():
        _would(rows)
        return
    _measure(rows, told.budget, told.out, told.tune, told.cache)


# ---------------------------------------------------------------------------------------------------------------- check


def _check(rows: list[Row]) -> int:
    """Every row at a small size against float64; how many are further off than twice torch's own error."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"against float64, fp16, {'on ' + torch.cuda.get_device_name() if device == 'cuda' else 'interpreted'}")
    failed = 0
    for row in {row.text(True): row for row in rows}.values():
        start = time.perf_counter()
        net = ogive.loads(row.text(True))
        q, k, v = (_given(net, name, 2, torch.Generator().manual_seed(i)) for i, name in enumerate("qkv"))
        exact, plain, ours = (_module(net, d, w) for d, w in (("cpu", False), ("cpu", False), (device, True)))
        for made in (plain, ours):
            made.load_state_dict(exact.state_dict())
        with torch.no_grad():
            truth = exact.double()(*(x.double() for x in (q, k, v)))
            peer = plain.half()(*(x.half() for x in (q, k, v)))
            answer = ours.half()(*(x.half().to(device) for x in (q, k, v))).cpu()
        walked = [m.walked.declined for m in ours.modules() if getattr(m, "walked", None) is not None]
        off, allowed = _error(answer, truth), 2 * _error(peer, truth)
        good = off <= allowed and walked == [None]
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {row.name:<26} {off:.1e} of at most {allowed:.1e}, "
              f"{time.perf_counter() - start:5.1f} s {'' if walked == [None] else walked}", flush=True)
        failed += _check_int8(row, net, exact.state_dict(), (q, k, v), truth, device)
    print(f"{failed} failed")
    return min(failed, 1)


def _check_int8(row: Row, net: Any, weights: Any, given: tuple[Tensor, ...], truth: Tensor, device: str) -> int:
    """How many forms of INT8 are further off than calibration would let them be."""
    failed = 0
    for form in WORDS:
        if device == "cuda" and _no_form(form) is not None:
            continue
        start = time.perf_counter()
        made = _module(net, device, True, form)
        made.load_state_dict(weights)
        with torch.no_grad():
            answer = made.half()(*(x.half().to(device) for x in given)).cpu()
        declined = [m.walked.declined for m in made.modules() if getattr(m, "walked", None) is not None]
        off, allowed = _error(answer, truth), BOUNDS[form].l2
        good = off <= allowed and declined == [None]
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {row.name + ', ' + form:<40} {off:.1e} of at most {allowed:.1e}, "
              f"{time.perf_counter() - start:5.1f} s {'' if declined == [None] else declined}", flush=True)
    return failed


def _no_form(form: str) -> str | None:
    """Why the GPU at hand has no such form of INT8."""
    major, minor = torch.cuda.get_device_capability()
    target = gpu_of(10 * major + minor)
    return "it is none that this package knows" if target is None or target.gpu is None else no_form(form, target.gpu)


def _module(net: Any, device: str, own: bool, precision: str | None = None) -> Any:
    """A row's network, by our kernels or by torch's attention alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # INT8 is measured where it should not pay too
        module = ogive.compile(net, target="h200", kernel="flash", precision=precision) if own else ogive.compile(net)
    for one in module.modules():
        if not own and getattr(one, "walked", None) is not None:
            one.walked = None
    return module.to(device).eval()


def _given(net: Any, name: str, batch: int, generator: torch.Generator) -> Tensor:
    shape = [batch, *(n for n in net.graph.nodes[name].outputs[0].shape[1:])]
    return torch.randn(*shape, generator=generator)


def _error(x: Tensor, truth: Tensor) -> float:
    return float((x.double() - truth).norm() / truth.norm())


# -------------------------------------------------------------------------------------------------------------- measure


def _would(rows: list[Row]) -> None:
    """What would be measured, and what the policy expects of an H200."""
    print("There is no GPU here: nothing is measured. These rows would be; times are predictions for an H200.\n")
    gpu = gpu_named("h200", "this")
    print(f"{'':<28}{'kernel':<16}{'launches':>8}{'predicted':>12}{'least':>12}" + "".join(
        f"{form:>12}" for form in WORDS))
    for row in rows:
        told, = accounts(ogive.loads(row.text(False)).graph, {"B": row.batch}, unfused, On(gpu, precision_of(None)))
        assert told.choice is not None and told.choice.seconds is not None
        choice = told.choice
        coded = [_predicted(row, gpu, form) for form in WORDS]
        times = "".join(map(_us, (choice.seconds, choice.floor.seconds, *coded)))
        print(f"{row.name:<28}{choice.kernel or '-':<16}{choice.launches:>8}{times}")


def _predicted(row: Row, gpu: Gpu, form: str) -> float | None:
    """Seconds of a form of INT8, codes made on the way."""
    told, = accounts(ogive.loads(row.text(False)).graph, {"B": row.batch}, unfused, On(gpu, precision_of(form)))
    return None if told.choice is None else told.choice.seconds


def _us(seconds: float | None) -> str:
    return f"{'-':>12}" if seconds is None else f"{seconds * 1e6:>9.1f} us"


def _measure(rows: list[Row], budget: float, out: Path, tuning: float, cache: Path) -> None:
    name = torch.cuda.get_device_name()
    major, minor = torch.cuda.get_device_capability()
    target = gpu_of(10 * major + minor, name) or CPU
    end = time.monotonic() + budget
    done: dict[str, Any] = _known(out, name)
    print(f"{name}, torch {torch.__version__}\n")
    columns = ("ours", "with gradients", *WORDS, "sageattention", "torch flash", "torch cudnn", "torch", "flex",
               "flash-attn")
    print(f"{'':<28}" + "".join(f"{c:>15}" for c in columns) + f"{'least':>12}{'share':>8}")
    for row in rows:
        if row.name not in done:
            if time.monotonic() > end:
                print(f"{row.name:<28}not measured: the {budget:.0f} s are over")
                continue
            if tuning and target.gpu is not None:
                _tune(row, target.gpu, tuning, cache)
            done[row.name] = _row(row, target.gpu)
            draft = out.with_suffix(".draft")
            draft.write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": done}, indent=1), "utf-8")
            draft.replace(out)
        told = done[row.name]
        cells = "".join(f"{'':>3}{_us(told[c] if isinstance(told.get(c), float) else None)}" for c in columns)
        share = f"{told['least'] / told['ours']:>8.0%}" if told.get("least") and told.get("ours") else ""
        print(f"{row.name:<28}{cells}{_us(told.get('least'))}{share}", flush=True)


def _tune(row: Row, gpu: Gpu, seconds: float, cache: Path) -> None:
    """Look for faster settings of the kernels that a row launches, forwards and backwards."""
    about = torch.cuda.get_device_properties(0)
    kept = Tuned(cache, {
        "torch": torch.__version__, "triton": importlib.metadata.version("triton"), "device": about.name,
        "driver": str(getattr(torch._C, "_cuda_getDriverVersion", lambda: "")()),
    })
    net, asked = ogive.loads(row.text(False)), dict[tuple[str, Setting], None]()
    q, k, v = (_given(net, x, row.batch, torch.Generator().manual_seed(0)).to("cuda", torch.bfloat16) for x in "qkv")
    module = _module(net, "cuda", True).bfloat16()

    def spy(kernel: str, setting: Setting, batch: int, programs: int, given: Any) -> bool:
        asked[kernel, setting] = None
        return False

    TAKERS.insert(0, spy)
    try:
        _gradients(module, q, k, v)
    finally:
        TAKERS.remove(spy)
    for kernel, setting in asked:
        def measure(candidate: Setting, kernel: str = kernel, setting: Setting = setting) -> float:
            BEST[kernel, setting] = candidate
            try:
                back = kernel != "attention_forward"
                return _time((lambda: _gradients(module, q, k, v)) if back else (lambda: module(q, k, v)), back)
            except Exception:  # it does not fit the device after all
                return float("inf")

        tune(kernel, setting, gpu, measure, kept, seconds,
             lambda what, i, of: print(f"\r{row.name}: {what} {i}/{of}  ", end="", file=sys.stderr, flush=True))


def _known(out: Path, device: str) -> dict[str, Any]:
    """The rows that were measured on this device; a damaged table has none."""
    try:
        told = json.loads(out.read_text("utf-8"))
        return dict(told["rows"]) if told["device"] == device and told["torch"] == torch.__version__ else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _row(row: Row, gpu: Gpu | None) -> dict[str, Any]:
    """Seconds by column; a column that fails says how."""
    net = ogive.loads(row.text(False))
    generator = torch.Generator().manual_seed(0)
    q, k, v = (_given(net, x, row.batch, generator).to("cuda", torch.bfloat16) for x in "qkv")
    heads = [x.unflatten(2, (row.heads, row.width)).transpose(1, 2) for x in (q, k, v)]
    ours, plain = (_module(net, "cuda", own).bfloat16() for own in (True, False))
    found: dict[str, Any] = {}
    if gpu is not None:
        told, = accounts(net.graph, {"B": row.batch}, unfused, On(gpu, precision_of("bf16")))
        found["least"] = None if told.choice is None else told.choice.floor.seconds
    for column, run in {
        "ours": lambda: ours(q, k, v), "with gradients": lambda: _gradients(ours, q, k, v),
        "torch": lambda: plain(q, k, v), **_coded(net, (q, k, v)), **_peers(row, heads),
    }.items():
        try:
            found[column] = _time(run, grad=column == "with gradients")
        except Exception as error:  # a peer that does not take the shape is told, and the row goes on
            found[column] = f"{type(error).__name__}: {error}"[:300]
    return found


def _coded(net: Any, given: tuple[Tensor, ...]) -> dict[str, Callable[[], Any]]:
    """Ours in each form of INT8 that this GPU has; casts and codes are part of a call."""
    made = {form: _module(net, "cuda", True, form).bfloat16() for form in WORDS if _no_form(form) is None}
    return {form: lambda one=one: one(*given) for form, one in made.items()}


def _gradients(module: Any, *inputs: Tensor) -> None:
    given = [x.detach().requires_grad_() for x in inputs]
    torch.autograd.grad(module(*given).sum(), given)


def _peers(row: Row, heads: list[Tensor]) -> dict[str, Callable[[], Any]]:
    q, k, v = heads
    found: dict[str, Callable[[], Any]] = {}
    if row.over in ("dense", "causal") and not row.bias:
        backends = {"torch flash": SDPBackend.FLASH_ATTENTION, "torch cudnn": SDPBackend.CUDNN_ATTENTION}
        for column, backend in backends.items():
            found[column] = lambda backend=backend: _sdpa(backend, q, k, v, row.over == "causal")
        if importlib.util.find_spec("flash_attn") is not None:
            attend = importlib.import_module("flash_attn").flash_attn_func
            flat = [x.transpose(1, 2) for x in heads]
            found["flash-attn"] = lambda: attend(*flat, causal=row.over == "causal")
    if row.over in ("dense", "causal") and not row.bias and importlib.util.find_spec("sageattention") is not None:
        sage = importlib.import_module("sageattention").sageattn  # takes a mask and drops it: plain rows alone
        found["sageattention"] = lambda: sage(q, k, v, is_causal=row.over == "causal")
    mask = _flex_mask(row)
    if mask is not None or row.over == "dense":
        n = q.shape[2]
        block = None if mask is None else create_block_mask(mask, None, None, n, n, device="cuda")
        score = _flex_bias(row)
        compiled = torch.compile(flex_attention)
        found["flex"] = lambda: compiled(q, k, v, score_mod=score, block_mask=block)
    return found


def _sdpa(backend: SDPBackend, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    with sdpa_kernel(backend):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def _flex_mask(row: Row) -> Mask | None:
    """The set of a row as FlexAttention takes it."""
    kind, *numbers = row.mask.split() or [""]
    a, b, c = ([*map(int, numbers), 0, 0, 0])[:3]
    if kind == "causal":
        return lambda _b, _h, q, k: k <= q
    if kind == "sliding":
        return lambda _b, _h, q, k: (q - k).abs() <= a
    if kind == "grid":
        return lambda _b, _h, q, k: ((q // a - k // a).abs() <= b) & ((q % a - k % a).abs() <= b)
    if kind == "window":
        return lambda _b, _h, q, k: ((q // a + b - c) // b == (k // a + b - c) // b) & (
            (q % a + b - c) // b == (k % a + b - c) // b)
    return None


def _flex_bias(row: Row) -> Any:
    """A table over offsets of a window, looked up by arithmetic."""
    if not row.bias:
        return None
    if row.bias == DECOMPOSED:
        side = int(row.positions.split("=")[1].split()[0])
        near = torch.randn(2, row.batch, row.heads, side * side, side, device="cuda", dtype=torch.bfloat16)
        return lambda s, b, h, q, k: s + near[0, b, h, q, k // side] + near[1, b, h, q, k % side]
    side, n, _ = map(int, row.mask.split()[1:])
    table = torch.randn(row.heads, (2 * n - 1) ** 2, device="cuda", dtype=torch.bfloat16)

    def score(s: Tensor, _b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        dy = (q // side - k // side).clamp(1 - n, n - 1)
        dx = (q % side - k % side).clamp(1 - n, n - 1)
        return s + table[h, (dy + n - 1) * (2 * n - 1) + dx + n - 1]

    return score


def _time(run: Callable[[], Any], grad: bool) -> float:
    """Seconds of a run: the median of `ROUNDS`, each between two events."""
    with torch.set_grad_enabled(grad):
        for _ in range(5):
            run()
        torch.cuda.synchronize()
        found = []
        for _ in range(ROUNDS):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) / 1e3)
    return median(found)


if __name__ == "__main__":
    main()
