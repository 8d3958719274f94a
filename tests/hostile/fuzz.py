"""The fuzzer: a million inputs, resumable, in as many processes as one likes.

    python -m hostile.fuzz --inputs 1000000 --state build/fuzz [--part 0 --parts 2] [--coverage]

Every input is made from a number, so a failure is repeated by its number alone: `--only 4711` shows the text and what
became of it. How far each part has come is written to the state folder every thousand inputs and read at the start.
The numbers choose among the files of the library as well: with other files there, look at what was written down.
`--coverage` leads the search by what code of `dsl/` is reached (atheris, from the `fuzz` extra); it keeps its corpus
there too.

What may come of an input is a report or an `ArchError`, within a second of processor time. All else is written down as
`failure-NUMBER.arch` and makes the run fail. Not in that second: looking for the cause of figures that do not hold,
which has a bound of its own (`dsl/repairs.py`); here little of it is done.
"""

from __future__ import annotations

import argparse
import gc
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType, FunctionType

from hostile.generator import network
from hostile.texts import texts

from ogive.dsl import repairs
from ogive.dsl.check import check
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.format import format_text
from ogive.dsl.load import load_text
from ogive.dsl.source import Source

__all__ = ["attempt", "made", "run"]

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|\d+(?:\.\d+)?|->|\*\*|//|[^\s\w]| +|\n')
SECONDS = 1.0
STOP = 20  # seconds of processor time after which an input is stopped in its tracks
AGAIN = 3  # times that a slow input is measured: another process may have had the core
SEARCH = 2_000  # nodes built in search of a cause
WORDS = [
    "0", "-1", "1", "2", "7", "99999999999", "1e308", "0.5", "3x5", "None", "True", "False", "_", "H", "?",
    "training", "x", "B", "C", "(", ")", "[", "]", "{", "}", ":", "->", "=", ",", ".", "...", "**", "//", "%",
    "|", "&", "~", "\n    ", "\n", "repeat 3:", "repeat 2 as b[i]:", "residual:", "if H > 3:", "else:",
    "shared", "return", "assert", "input", "presets", "expect", "scan", "next", "emit", "pattern", "allow",
    "network", "block", "from vit import ViT", "with", "in", "as", "require fused", "window(7)", "dense",
    "causal", "conv", "linear", "attend", "concat", "split", "take", "learned", "relu", "layernorm", "q.index",
    "k.row", "len", "max", "9 ** 99", "7 // 0", '"a.b"', '"{i}"', "# note",
]


@cache
def seeds() -> tuple[str, ...]:
    """What inputs are made of: library files, the corpus, and every small hostile text."""
    files = [path for folder in ("library", "tests/dsl/corpus") for path in (ROOT / folder).rglob("*.arch")]
    found = [_small(path.read_text("utf-8")) for path in files]
    found += [text for text in texts().values() if isinstance(text, str) and len(text) < 4000]
    return tuple(sorted(found))


def _small(text: str) -> str:
    """Two presets and two claims of each table, so that checking takes milliseconds."""
    return re.sub(r"((?:presets|expect) .*:\n(?: {8}.*\n){2})(?: {8}.*\n)*", r"\1", text)


@cache
def vocabulary() -> tuple[str, ...]:
    return tuple(sorted({t for text in seeds() for t in TOKEN.findall(text) if t.strip() and len(t) < 40} | set(WORDS)))


def made(number: int) -> bytes:
    """The input of a number: bytes, tokens, a file that was changed, a network that is right, or that one changed."""
    r = random.Random(number)
    kind = number % 10
    if kind == 0:
        return r.randbytes(r.randint(0, 200))
    if kind == 1:
        return " ".join(r.choice(vocabulary()) for _ in range(r.randint(1, 60))).encode("utf-8", "surrogatepass")
    if kind == 2:
        return _bytes_changed(r.choice(seeds()).encode("utf-8", "surrogatepass"), r)
    if kind in (3, 4):
        return _changed(network(r.getrandbits(32), r.randint(2, 12)).text, r).encode("utf-8", "surrogatepass")
    if kind == 5:
        return _body(r).encode("utf-8", "surrogatepass")
    return _changed(r.choice(seeds()), r).encode("utf-8", "surrogatepass")


def _body(r: random.Random) -> str:
    """Lines of random tokens below a head that is right: the builder is reached more often."""
    head = r.choice(["input x: B 8 H W", "input x: B N 8", "input x: B (h=4 w=4) 8, y: B N 8", "input ids: B N of int"])
    lines = [" ".join(r.choice(vocabulary()) for _ in range(r.randint(1, 7))).replace("\n", " ") for _ in range(3)]
    return f"network N:\n    {head}\n    " + "\n    ".join(["a = x -> relu", *lines, "relu"]) + "\n"


def _bytes_changed(data: bytes, r: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(r.randint(1, 6)):
        at = r.randrange(len(changed) + 1)
        match r.randrange(4):
            case 0:
                del changed[at : at + r.randint(1, 8)]
            case 1:
                changed[at:at] = r.randbytes(r.randint(1, 3))
            case 2 if changed:
                changed[at % len(changed)] ^= 1 << r.randrange(8)
            case _:
                changed[at:at] = changed[at : at + r.randint(1, 40)]
    return bytes(changed)


def _changed(text: str, r: random.Random) -> str:
    """One to three tokens or lines deleted, doubled, exchanged, replaced by one of their kind, or put elsewhere."""
    for _ in range(r.randint(1, 3)):
        by_line = r.random() < 0.3
        parts = text.splitlines(keepends=True) if by_line else TOKEN.findall(text)
        if not parts:
            return text
        i, j = r.randrange(len(parts)), r.randrange(len(parts))
        match r.randrange(7):
            case 0:
                del parts[i]
            case 1:
                parts.insert(i, parts[j])
            case 2:
                parts[i] *= r.choice([2, 3, 20])
            case 3 if by_line:
                parts[i] = "    " + parts[i]
            case 4:
                parts[i], parts[j] = parts[j], parts[i]
            case _:
                parts[i] = r.choice(vocabulary())
        text = "".join(parts)
    return text


class _Stopped(BaseException):
    """An input that did not end. Not an `Exception`: nothing on the way may swallow it."""


def _stop(signal_: int, frame: FrameType | None) -> None:
    raise _Stopped


def attempt(data: bytes, seconds: float | None = None) -> str:
    """What is wrong with how an input is answered: "" when nothing is."""
    most = SECONDS if seconds is None else seconds
    times: list[float] = []
    signal.signal(signal.SIGPROF, _stop)
    try:
        text = data.decode("utf-8")
        while not times or (min(times) > most and len(times) < AGAIN):
            signal.setitimer(signal.ITIMER_PROF, STOP)
            started = time.process_time()
            for work in (_checked, _formatted):
                work(text)
            times.append(time.process_time() - started)
    except UnicodeDecodeError:
        return ""
    except _Stopped:
        return f"did not end within {STOP} seconds"
    except (Exception, RecursionError, MemoryError) as error:
        where = _innermost(error)
        return f"{type(error).__name__}: {str(error)[:200]} ({where})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return f"took {min(times):.1f} seconds" if min(times) > most else ""


def _checked(text: str) -> None:
    most, repairs.NODES = repairs.NODES, SEARCH
    try:
        found = check(load_text(text, "fuzz.arch")).mistakes
    except ArchError as error:
        found = error.diagnostics
    finally:
        repairs.NODES = most
    for diagnostic in found:
        diagnostic.render()
        if diagnostic.code == "A599":
            raise RuntimeError(diagnostic.title)


def _formatted(text: str) -> None:
    try:
        once = format_text(Source("fuzz.arch", text))
    except ArchError:
        return
    if format_text(Source("fuzz.arch", once)) != once:
        raise RuntimeError("formatting twice gives another text")


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"


def run(inputs: int, state: Path, part: int = 0, parts: int = 1, seconds: float = float("inf"),
        say: Callable[[str], None] = print) -> list[str]:
    """Try the inputs of one part from where the last run stopped; the failures, one line each."""
    state.mkdir(parents=True, exist_ok=True)
    mark = state / f"part-{part}-of-{parts}"
    number = int(mark.read_text()) if mark.exists() else part
    failures: list[str] = []
    started = time.monotonic()
    say(f"part {part} of {parts}: from input {number:,} to {inputs:,}")
    done = 0
    while number < inputs and time.monotonic() - started < seconds:
        data = made(number)
        if wrong := attempt(data):
            failures.append(f"input {number}: {wrong}")
            (state / f"failure-{number}.arch").write_bytes(data)
            say(failures[-1])
        number += parts
        done += 1
        if done % 1000 == 0:
            mark.write_text(str(number))
    mark.write_text(str(number))
    say(f"part {part} of {parts}: {done:,} inputs, {len(failures)} failures, next is {number:,}")
    return failures


def led_by_coverage(inputs: int, state: Path, seconds: float = float("inf")) -> None:
    """atheris: inputs that reach new code of `dsl/` are kept and changed again. Its own loop ends the process, at the
    first failure too, which lies then in the state folder. Watched code is slow: only what does not end is too slow."""
    import atheris

    corpus = state / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for i, text in enumerate(seeds()):
        (corpus / f"seed-{i}").write_bytes(text.encode("utf-8", "surrogatepass"))

    def one(data: bytes) -> None:
        if wrong := attempt(data, STOP):
            raise RuntimeError(wrong)

    for work in (_checked, _formatted):  # what is made once is made before it is watched
        work("network N:\n    input x: B C\n    relu\n")
    functions = [x for x in gc.get_objects() if isinstance(x, FunctionType)]
    for function in functions:
        if (function.__module__ or "").startswith("ogive.dsl"):
            atheris.instrument_func(function)
    atheris.Setup([sys.argv[0], f"-runs={inputs}", f"-max_total_time={0 if seconds == float('inf') else int(seconds)}",
                   "-max_len=4096", f"-artifact_prefix={state}/", str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    words = argparse.ArgumentParser(description="Throw inputs at the checker and the formatter.")
    words.add_argument("--inputs", type=int, default=1_000_000)
    words.add_argument("--state", type=Path, default=ROOT / "build" / "fuzz")
    words.add_argument("--part", type=int, default=0)
    words.add_argument("--parts", type=int, default=1)
    words.add_argument("--seconds", type=float, default=float("inf"))
    words.add_argument("--only", type=int)
    words.add_argument("--file", type=Path)
    words.add_argument("--coverage", action="store_true")
    chosen = words.parse_args()
    if chosen.only is not None or chosen.file is not None:
        data = made(chosen.only) if chosen.file is None else chosen.file.read_bytes()
        sys.stdout.write(f"{data!r}\n{attempt(data) or 'fine'}\n")
        return 0
    if chosen.coverage:
        led_by_coverage(chosen.inputs, chosen.state, chosen.seconds)
        return 0
    return 1 if run(chosen.inputs, chosen.state, chosen.part, chosen.parts, chosen.seconds) else 0


if __name__ == "__main__":
    raise SystemExit(main())
