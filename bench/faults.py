"""How many planted mistakes `ogive check` finds, where it points, and whether what it says helps.

    python bench/faults.py [--seed 0] [--most 60] [--sample N] [--jobs 2] [--nodes N] [--gate] [--show KIND] [--poor]
                           [--peer]

Mistakes of about thirty kinds (bench/_plant.py) are planted, one at a time, in every file of library/ and examples/.
The file, and every file that imports it, is then checked as `ogive check` does, in a process without torch. Columns:

- *caught*: the text or a published figure contradicts the mistake, and the check says so, before torch is imported.
- *digest*: text and figures hold, and only the digest in the `expect` table differs. A dropped relu is such: it leaves
  another valid network, which nothing that a paper prints tells from the one that was meant.
- *line*: of those two, how many are pointed at: by the carets of a mistake, or by a second place that it labels as the
  cause. Right is the changed line; for a dropped line, those beside the gap, those that read its name, and the
  parameters and imports that only it read; for swapped
  lines, either; for one that is indented, it and those beside it; for a misspelt parameter, its header and its uses.
  *first*: by the carets of the first mistake alone.
- *help*: the words of what was there before (the right spelling, the old number, the lost name or sign) stand in what
  is said; for lines and indentation, what is lost or wrong is named. _plant.py has the words with each kind.
- *harmless*: nothing is said, and every network is proved equal to before: keys, shapes, ops, settings, wiring.
- *leaked*: nothing is said, and some network is not what it was.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from _plant import KINDS, Fault, plant

import ogive.dsl.load
import ogive.dsl.repairs
from ogive.dsl.build import Built
from ogive.dsl.check import Report, check
from ogive.dsl.diagnostics import ArchError, Diagnostic
from ogive.dsl.digest import same
from ogive.dsl.load import load_file
from ogive.dsl.parse import parse
from ogive.dsl.source import Source

ROOT = Path(__file__).resolve().parents[1]
LEAST_LINE = 0.92
LEAST_HELP = 0.87
LEAST_FAULTS = 2000
SEEN = ("caught", "digest")


@dataclass(frozen=True)
class Finding:
    """What became of one fault: caught, digest, harmless or leaked, and what was said."""

    fault: Fault
    outcome: str
    line: bool = False
    first: bool = False
    help: bool = False
    another: bool = False
    """Only a digest differs: keys, shapes, figures and outputs are those of before."""
    words: str = ""

    @property
    def poor(self) -> bool:
        return self.outcome == "leaked" or (self.outcome in SEEN and not (self.line and self.help))


def main() -> int:
    parser = argparse.ArgumentParser(description="planted mistakes: caught, pointed at, helped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=60, help="faults of one kind in one file")
    parser.add_argument("--sample", type=int, metavar="N", help="judge N of these faults, drawn evenly by the seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=ogive.dsl.repairs.NODES,
                        help="nodes built in search of a repair; 0 is quick, and points at fewer lines")
    parser.add_argument("--gate", action="store_true",
                        help=f"exit 1 where one leaks, or below {LEAST_LINE:.0%}% right line, {LEAST_HELP:.0%}% help")
    parser.add_argument("--show", metavar="KIND", help="print what is said of each fault of a kind (`all`)")
    parser.add_argument("--poor", action="store_true", help="print the faults that leak, or miss their line or help")
    parser.add_argument("--peer", action="store_true", help="the same for mlnode, where it is installed")
    settings = parser.parse_args()
    os.chdir(ROOT)  # errors name files as they were asked for

    faults = list(planted(settings.seed, settings.most))
    if settings.sample:
        faults = drawn(faults, settings.seed, settings.sample)
    if settings.show and settings.show != "all":
        faults = [fault for fault in faults if fault.kind == settings.show]
    findings = judged(faults, settings.jobs, settings.nodes)
    for finding in findings:
        if settings.show or (settings.poor and finding.poor):
            show(finding)
    table(findings)
    for name in files():
        if not sealed(name):
            print(f"{name} has a network without a digest: a fault in it may leak")
    if settings.peer:
        from _plant_peer import peer_table  # torch comes with it

        peer_table()
    return gate(findings) if settings.gate else 0


def files() -> dict[str, str]:
    """The texts to plant in, by their path below the repository."""
    found = sorted([*ROOT.glob("library/**/*.arch"), *ROOT.glob("examples/**/*.arch")])
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in found}


def sealed(name: str) -> bool:
    """Whether every network of a file has a digest, or the file has none: then nothing may leak."""
    report = before(name)
    with_digest = {c.network for c in report.claims if c.figure == "digest"} if isinstance(report, Report) else set()
    return isinstance(report, Report) and report.built.keys() <= with_digest


def planted(seed: int, most: int) -> Iterator[Fault]:
    """Every fault of every file; at most `most` of a kind in a file, drawn by `seed`."""
    for name, text in files().items():
        yield from plant(name, text, seed, most)


def drawn(faults: list[Fault], seed: int, count: int) -> list[Fault]:
    """So many of some faults, each as likely as any other; a smaller draw is the beginning of a larger one."""
    order = list(faults)
    random.Random(seed).shuffle(order)
    return order[:count]


# ------------------------------------------------------------------------------------------------ judging
def judged(faults: list[Fault], jobs: int, nodes: int) -> list[Finding]:
    """What becomes of each fault, in order; `jobs` processes that have no torch, and look for repairs with `nodes`."""
    if jobs < 2:
        search(nodes)
        return [judge(fault) for fault in faults]
    with get_context("spawn").Pool(jobs, search, (nodes,)) as pool:
        return pool.map(judge, faults, chunksize=16)


def search(nodes: int) -> None:
    """Bound the search for repairs in this process."""
    ogive.dsl.repairs.NODES = nodes


def judge(fault: Fault) -> Finding:
    """Check the files that a fault reaches.

    Raises:
        SystemExit: torch was imported on the way: what is caught then is not caught before it.
    """
    names = reached(fault.file)
    old = [before(name) for name in names]
    with overlay(fault):
        new = [checked(name) for name in names]
    if "torch" in sys.modules:
        raise SystemExit("checking imported torch")
    known = {said(d) for report in old for d in spoken(report)}
    fresh = list({d.render(): d for report in new for d in spoken(report) if said(d) not in known}.values())
    if not fresh:
        return Finding(fault, "harmless" if equal(old, new) else "leaked")
    words = "\n\n".join(d.render() for d in fresh)
    places = [[x for x in (d.span, *(label.span for label in d.labels)) if x is not None] for d in fresh]
    right = [[x.source.name == fault.file and x.line in fault.lines for x in found] for found in places]
    digest_only = all(d.code == "A404" and "digest" in d.title for d in fresh) and not equal(old, new)
    return Finding(
        fault, "digest" if digest_only else "caught", any(map(any, right)), bool(right[0]) and right[0][0],
        any(word in line for d in fresh for line in said_of(d) for word in fault.words),
        digest_only and kept(old, new), words,
    )


def spoken(report: Report | ArchError) -> tuple[Diagnostic, ...]:
    """Everything that a check says: mistakes and warnings."""
    return report.diagnostics if isinstance(report, ArchError) else (*report.mistakes, *report.warnings)


def said_of(d: Diagnostic) -> Iterator[str]:
    """The words of a diagnostic, without the lines that it quotes."""
    yield from (d.title, d.label, *(label.text for label in d.labels), *d.notes, d.help or "")


def said(d: Diagnostic) -> tuple[str, str]:
    return d.code, d.title


def networks(reports: list[Report | ArchError]) -> dict[str, Built]:
    """Every network of some reports. Two files do not have networks of one name."""
    return {name: built for report in reports if isinstance(report, Report) for name, built in report.built.items()}


def equal(old: list[Report | ArchError], new: list[Report | ArchError]) -> bool:
    """Whether these are the same networks."""
    was, now = networks(old), networks(new)
    return was.keys() == now.keys() and all(same(was[name].graph, now[name].graph) for name in was)


def kept(old: list[Report | ArchError], new: list[Report | ArchError]) -> bool:
    """Whether all networks are still there, with weights, figures and outputs as they were."""
    return {k: outside(b) for k, b in networks(old).items()} == {k: outside(b) for k, b in networks(new).items()}


def outside(built: Built) -> tuple[object, ...]:
    """What can be seen of a network without looking at what it computes."""
    graph = built.graph
    weights = {key: (p.weight.shape, p.tied) for key, p in graph.parameters.items()}
    outputs = [(name, str(graph.tensor(edge))) for name, edge in graph.outputs]
    return weights, outputs, *(graph.macs(dict.fromkeys(graph.free, size)) for size in (64, 96))


# ------------------------------------------------------------------------------------------------ files
@cache
def reached(name: str) -> tuple[str, ...]:
    """A file and those that import it, however far."""
    texts, found, todo = files(), [name], [name]
    while todo:
        module = todo.pop().removeprefix("library/").removesuffix(".arch").replace("/", ".")
        for other, text in texts.items():
            imports = {".".join(x.module) for x in parse(Source(other, text)).imports}
            if module in imports and other not in found:
                found.append(other)
                todo.append(other)
    return tuple(found)


@cache
def before(name: str) -> Report | ArchError:
    """The report of a file as it is.

    Raises:
        SystemExit: it has mistakes already.
    """
    report = checked(name)
    if isinstance(report, ArchError) or not report.ok:
        raise SystemExit(f"{name} has mistakes already")
    return report


def checked(name: str) -> Report | ArchError:
    try:
        return check(load_file(name))
    except ArchError as error:
        return error


@contextmanager
def overlay(fault: Fault) -> Iterator[None]:
    """Files are read as they are, the one with the fault as the fault has it."""
    read, path = ogive.dsl.load.read_text, (ROOT / fault.file).resolve()

    def instead(file: Path, shown: str) -> str:
        return fault.text if Path(file).resolve() == path else read(file, shown)

    ogive.dsl.load.read_text = instead
    try:
        yield
    finally:
        ogive.dsl.load.read_text = read


# ------------------------------------------------------------------------------------------------ printing
def show(finding: Finding) -> None:
    """One fault, what was said of it, and what it missed."""
    fault = finding.fault
    missed = [what for what, has in (("line", finding.line), ("help", finding.help)) if not has]
    about = f"{finding.outcome}{', missed: ' + ' and '.join(missed) if finding.outcome in SEEN and missed else ''}"
    print(f"--- {fault.kind}: {fault} ({about})")
    if finding.words:
        print(textwrap.indent(finding.words, "    "), end="\n\n")


def table(findings: list[Finding]) -> None:
    """A row for each kind, and one for all of them."""
    print(f"{'kind':<24}" + "".join(f"{head:>9}" for head in HEADS))
    for kind in (*KINDS, "all"):
        some = [f for f in findings if kind in ("all", f.fault.kind)]
        if some:
            print(f"{kind:<24}" + "".join(f"{count:>9,}" for count in counts(some).values()))
    every = counts(findings)
    seen = max(every["caught"] + every["digest"], 1)
    print(f"right line {every['line'] / seen:.1%}, on the first carets {every['first'] / seen:.1%}, "
          f"right help {every['help'] / seen:.1%} of what was seen")
    another = sum(f.another for f in findings)
    print(f"another valid network, equal in keys, shapes, figures and outputs, that only its digest tells: {another:,} "
          f"of the {every['digest']:,}")


def counts(findings: list[Finding]) -> dict[str, int]:
    outcomes = Counter(f.outcome for f in findings)
    seen = [f for f in findings if f.outcome in SEEN]
    return {
        "planted": len(findings), "caught": outcomes["caught"], "digest": outcomes["digest"],
        "line": sum(f.line for f in seen), "first": sum(f.first for f in seen), "help": sum(f.help for f in seen),
        "harmless": outcomes["harmless"], "leaked": outcomes["leaked"],
    }


def gate(findings: list[Finding]) -> int:
    """1 where a goal is missed, and which."""
    every = counts(findings)
    seen = max(every["caught"] + every["digest"], 1)
    missed = [
        *([f"{every['planted']:,} faults are fewer than {LEAST_FAULTS:,}"] if every["planted"] < LEAST_FAULTS else []),
        *([f"{every['leaked']} leaked"] if every["leaked"] else []),
        *(["too few on the right line"] if every["line"] < LEAST_LINE * seen else []),
        *(["too few with the right help"] if every["help"] < LEAST_HELP * seen else []),
    ]
    print("\n".join(missed))
    return 1 if missed else 0


HEADS = ("planted", "caught", "digest", "line", "first", "help", "harmless", "leaked")


if __name__ == "__main__":
    sys.exit(main())
