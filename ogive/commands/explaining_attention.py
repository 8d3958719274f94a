"""`ogive explain`: what each attention of a network comes to on a target, in the writer's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ogive.commands.options import (
    AsJson,
    File,
    Kernel,
    Net,
    PrecisionOf,
    Root,
    Set,
    SizeOf,
    open_network,
    sizes_from,
)
from ogive.commands.output import as_json, human, progress, result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ogive.compiler.aot.manifest import Entry
    from ogive.compiler.explain import Account, On
    from ogive.network import Network

__all__ = ["explain"]

LONG: Final = {"parameters", "guards", "grid"}
"""What the manifest of a build tells of a kernel, and `explain` does not."""


def explain(
    file: File,
    net: Net = None,
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="What it is compiled for.")] = "cpu",
    precision: PrecisionOf = None,
    kernel: Kernel = None,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Compile the kernels, and tell registers and shared memory. On a GPU.")
    ] = False,
    size: SizeOf = None,
    set_: Set = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Explain each attention: its pairs, what they cost, how they are walked, and why not otherwise.

    Attentions that are alike are told once. Multiply-adds are those of the two products, at B=1 and H=W=224 unless
    --size says otherwise. For a GPU also the kernel, the time it should take, and the least time that any can take.
    """
    from ogive.compiler.targets import gpu_named

    on = _on(target, precision, kernel)
    if compiled and (on is None or on.gpu is None):
        gpu_named(target, "`--compiled`")
    network = open_network(file, net, set_, root)
    sizes = sizes_from(size)
    with progress(f"compiling {network.name}"):
        from ogive.compiler.explain import accounts
        from ogive.compiler.lower.attention import unfused

        told = accounts(network.graph, sizes, unfused, on)
        moved = _gathers(network) if told else (0, 0)
        made = _compiled(network, target, on, sizes) if compiled and on is not None and on.gpu is not None else {}
    if json:
        counts = {"before": moved[0], "after": moved[1]} if isinstance(moved, tuple) else moved
        pages = [one.as_json() for one in told]
        for page in pages if compiled else ():
            page["compiled"] = [entry.model_dump(exclude=set(LONG)) for entry in made.get(page["names"][0], ())]
        as_json({"network": network.name, "target": target, "attentions": pages, "gathers": counts})
        return
    if not told:
        result(f"{network.name}: no attention")
        return
    for one in told:
        for line in _page(one):
            result(line)
        for entry in made.get(one.names[0], ()):
            result(_fact("compiled", _resources(entry, on)))
        result("")
    result(_sum(network.name, target, told))
    if not isinstance(moved, tuple):
        result(f"gathers of tokens: not counted, {moved}")
    elif any(moved):
        less = f"{moved[1]} where it is frozen: tokens stay in the order of windows" if moved[1] < moved[0] else (
            "and as many where it is frozen"
        )
        result(f"gathers of tokens: {moved[0]} a forward, {less}")


def _on(target: str, precision: list[str] | None, kernel: str | None) -> On | None:
    """What a GPU is told for, or INT8 on a processor; None where the target is no GPU and nothing is asked for."""
    from ogive.compiler.explain import On
    from ogive.compiler.int8 import WORDS
    from ogive.compiler.precision import AUTO, precision_of
    from ogive.compiler.targets import check_target, gpu_named

    chosen = check_target(target)
    if chosen.gpu is None:
        told = precision_of(precision, "")
        others = told.words - {"", AUTO, *WORDS}
        if kernel or others:
            gpu_named(target, "`--kernel`" if kernel else f"`--precision {min(others)}`")
        return On(None, told) if precision else None
    return On(chosen.gpu, precision_of(precision), kernel)


def _compiled(network: Network, target: str, on: On, sizes: dict[str, int]) -> dict[str, list[Entry]]:
    """The compiled kernels of each attention, by its path."""
    from ogive.compiler.aot import need_triton

    need_triton()
    from ogive.compiler.aot.build import build

    assert on.gpu is not None
    manifest = build(network, target, on.gpu, on.precision, on.kernel, sizes).manifest
    entries = {entry.file: entry for entry in manifest.kernels}
    return {path: [entries[file] for file in node.files] for node in manifest.attentions for path in node.at}


def _resources(entry: Entry, on: On | None) -> str:
    """What a compiled kernel takes of the GPU."""
    limit = 0 if on is None or on.gpu is None else on.gpu.shared
    tiles = f"{entry.setting['block_m']} x {entry.setting['block_n']}"
    stack = f"{entry.stack} bytes spilled" if entry.stack else "nothing spilled"
    return (f"{entry.kernel}, tiles of {tiles}: {entry.registers} registers, {stack}, {entry.shared:,} of {limit:,} "
            f"bytes of shared memory, {entry.warps} warps, {entry.matrix}")


def _gathers(network: Network) -> tuple[int, int] | str:
    """How often a forward brings tokens into another order, without the pass `order` and with it."""
    from ogive.compiler.freeze import for_evaluation
    from ogive.compiler.passes.bake_eval import bake_eval
    from ogive.compiler.passes.order import gathers_saved
    from ogive.compiler.pipeline import compile

    return gathers_saved(bake_eval(for_evaluation(compile(network, until="allocate"), ())))


def _page(one: Account) -> Iterator[str]:
    """The lines about one attention."""
    yield f"{one.place}: {one.line}"
    more = f" and {len(one.names) - 1} more" if len(one.names) > 1 else ""
    places = f"{one.queries:,} positions" if one.queries == one.keys else f"{one.queries:,} queries, {one.keys:,} keys"
    yield _fact("at", f"{one.names[0]}{more}, {one.heads} head{'s' if one.heads > 1 else ''}, {places}")
    yield _fact("over", one.over)
    if one.normal and one.normal != one.over:
        yield _fact("that is", one.normal)
    if one.density is not None and one.pairs is not None:
        computed = "" if one.computed in (one.pairs, None) else f", {one.computed:,} computed"
        yield _fact("pairs", f"{one.pairs:,} of {one.dense:,}: {one.density:.2%}{computed}")
    ratio = f", {one.macs_dense / one.macs:.3g} times fewer" if 0 < one.macs < one.macs_dense else ""
    yield _fact("MACs", f"{human(one.macs)} done, {human(one.macs_dense)} dense{ratio}")
    calls = "" if one.calls in (None, 1) else f", {one.calls} calls"
    yield _fact("chosen", one.way + calls)
    for refusal in one.refused:
        yield _fact("refused", f"{refusal.way}: {refusal.reason}")
    yield from _on_gpu(one)
    if one.measured:
        yield _fact("measured", f"off by {one.measured}")
    for note in one.notes:
        yield _fact("note", note)


def _on_gpu(one: Account) -> Iterator[str]:
    """The lines about the kernel on a GPU."""
    choice = one.choice
    if choice is None:
        if one.precision:
            yield _fact("kernel", f"torch's own, from codes: {one.precision}")
        return
    least = f"at least {_us(choice.floor.seconds)} ({choice.floor.bound})"
    if choice.kernel is None or choice.seconds is None:
        yield _fact("kernel", f"none: {choice.reason}; {least}")
        return
    share = choice.floor.seconds / choice.seconds
    yield _fact("kernel", f"{choice.kernel} in {one.precision}: {choice.reason}")
    launches = "1 launch" if choice.launches == 1 else f"{choice.launches} launches"
    yield _fact("time", f"{_us(choice.seconds)} predicted in {launches}, {least}: {share:.0%} of what is possible")
    for other in choice.others:
        yield _fact("slower", f"{other.kernel}: {_us(other.seconds)} predicted")
    for refusal in choice.refused:
        yield _fact("refused", f"{refusal.way}: {refusal.reason}")


def _us(seconds: float) -> str:
    """A time in microseconds, to three digits."""
    return f"{seconds * 1e6:,.3g} us" if seconds < 1e-3 else f"{seconds * 1e3:,.3g} ms"


def _fact(name: str, text: str) -> str:
    return f"  {name:<8} {text}"


def _sum(name: str, target: str, told: Any) -> str:
    count = sum(len(one.names) for one in told)
    done, dense = (sum(len(one.names) * n for one, n in pairs) for pairs in (
        [(one, one.macs) for one in told], [(one, one.macs_dense) for one in told],
    ))
    what = f"{count} attention{'s' if count > 1 else ''}"
    return f"{name} on {target}: {what}, {human(done)} multiply-adds done, {human(dense)} if all were dense"
