"""`ogive calibrate`: what INT8 makes of a network's attentions on real inputs, and the plan that follows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.commands.failure import tell
from ogive.commands.options import AsJson, File, Net, Root, Set, open_network
from ogive.commands.output import progress, result, table, write_whole
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.compiler.calibrate.plan import Error, Plan

__all__ = ["calibrate"]

RANDOM = "random"


def calibrate(
    file: File,
    net: Net = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH", help="A folder of pictures or .npy files, or an .npz: real inputs."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="FILE", help="Trained weights, .safetensors; or `random`.")
    ] = None,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="PLAN.json", help="Write the plan.")] = None,
    plot: Annotated[str | None, typer.Option("--plot", metavar="FILE.svg", help="Draw the errors, as SVG.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many samples.")] = 64,
    set_: Set = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Measure INT8 at each attention on real inputs, and plan which attentions may have it.

    Each attention is computed in every form of INT8 beside float32; the plan takes the form that is least off, and bf16
    where all are too far off. `--precision PLAN.json` of compile and explain takes the plan. Pictures are not resized;
    their values are divided by 255. What is scaled otherwise comes as arrays: .npy, a sample each, or an .npz with an
    array for each input, a sample a row.
    """
    for path, end, option in ((output, ".json", "-o"), (plot, ".svg", "--plot")):
        if path is not None and not path.endswith(end):
            raise fail("A803", f"`{path}` is no name for what `{option}` writes", help=f"as in `{option} plan{end}`")
    if data is None:
        raise fail("A803", "there is nothing to calibrate on", help="`--data FOLDER`, or an .npz")
    network = open_network(file, net, set_, root)
    if weights is None:
        raise fail("A803", f"`{network.name}` is calibrated with its trained weights, and none are given",
                   help="`--weights FILE.safetensors`; `--weights random` to try")
    with progress(f"reading {data}") as step:
        from ogive.compiler.calibrate.measure import calibrate as measured
        from ogive.compiler.calibrate.measure import to_calibrate
        from ogive.compiler.calibrate.plot import svg
        from ogive.compiler.export.weights import load_weights
        from ogive.samples import read_samples

        samples = read_samples(data, network, limit)
        step(f"building {network.name}")
        module = to_calibrate(network)
        if weights != RANDOM:
            load_weights(module, weights)
        name = RANDOM if weights == RANDOM else _sha256(weights)
        plan = measured(network, network.name, module, samples, name, step)
    if output is not None:
        with write_whole(output) as draft:
            draft.write_text(plan.as_json(), "utf-8")
    if plot is not None:
        with write_whole(plot) as draft:
            draft.write_text(svg(plan), "utf-8")
    if json:
        print(plan.as_json(), end="")
    else:
        _show(plan)
    for path in (output, plot):
        if path is not None:
            tell(f"wrote {path}")


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _show(plan: Plan) -> None:
    from ogive.compiler.calibrate.plan import KEPT, MEASURED

    rows = [
        [path, *(_percent(layer.errors.get(form)) for form in MEASURED), layer.form,
         layer.why if layer.form == KEPT else ""] for path, layer in plan.attentions.items()
    ]
    table(["attention", *MEASURED, "plan", "why"], rows, right=(1, 2, 3, 4), wrap=6)
    taken = sum(layer.form != KEPT for layer in plan.attentions.values())
    result(f"{plan.network}: INT8 at {taken} of {len(rows)} attentions, worst of {plan.samples:,} "
           f"sample{'s' if plan.samples > 1 else ''}; its outputs are {_percent(plan.outputs)} off with this plan")


def _percent(error: Error | None) -> str:
    if error is None:
        return "-"
    return "not finite" if error.l2 is None else f"{100 * error.l2:.2g} %"
