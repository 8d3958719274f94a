"""`ogive run`: one forward, to see that a network works and what it answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.commands.failure import tell
from ogive.commands.options import AsJson, File, Net, Root, Set, SizeOf, open_network, sizes_from
from ogive.commands.output import as_json, progress, result
from ogive.dsl.diagnostics import fail

if TYPE_CHECKING:
    from ogive.dsl.graph import Graph

__all__ = ["run"]

TOP = 5


def run(
    file: File,
    net: Net = None,
    input_: Annotated[
        str, typer.Option("--input", metavar="IMAGE|random", help="A picture file, or `random`.")
    ] = "random",
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="FILE", help="A .safetensors file; else random weights.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="What random weights and inputs are drawn from.")] = 0,
    size: SizeOf = None,
    set_: Set = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Run a network once: shapes of the results, largest classes.

    A picture is not resized; its values are divided by 255, and nothing else is done to them.
    """
    from ogive.images import read_image

    network = open_network(file, net, set_, root)
    sizes = sizes_from(size)
    if input_ != "random" and sizes:
        raise fail("A803", "`--size` is for `--input random`: a picture has its own size", help="leave one of them out")
    image = None if input_ == "random" else read_image(input_, network.graph)
    if weights is not None:
        _check_keys(network, weights)
    with progress(f"building {network.name}") as step:
        import torch

        from ogive.compiler.export.weights import load_weights
        from ogive.compiler.pipeline import compile

        generator = torch.Generator().manual_seed(seed)
        start = time.perf_counter()
        model = compile(network, generator=generator).eval()
        if weights is not None:
            step(f"reading {weights}")
            load_weights(model, weights)
        inputs = [torch.from_numpy(image)] if image is not None else _random(network.graph, sizes, generator)
        step(f"running {network.name}")
        built = time.perf_counter()
        with torch.inference_mode():
            answer = model(*inputs)
        ended = time.perf_counter()
    if weights is None:
        tell(f"note: random weights (seed {seed}); --weights FILE loads trained ones")
    tell(f"{network.name}: built in {built - start:.2f} s, ran in {ended - built:.2f} s")
    found = [_described(name, value) for name, value in _named(answer)]
    if json:
        as_json({"network": network.name, "seed": seed, "weights": weights, "input": input_, "outputs": found})
        return
    for output in found:
        _show(output)


def _check_keys(network: Any, weights: str) -> None:
    """Refuse a checkpoint with other keys before anything is built.

    Raises:
        ArchError: A805, A806.
    """
    from ogive.checkpoint import Difference, read_header

    difference = Difference(network, weights, read_header(weights))
    if difference:
        raise difference.error()


def _random(graph: Graph, sizes: dict[str, int], generator: Any) -> list[Any]:
    """An input of every port: normal numbers, ids below the smallest table that they are looked up in."""
    import torch

    from ogive.compiler.cost import sizes_of
    from ogive.dsl.dims import evaluate

    values = sizes_of(graph, sizes)
    found = []
    for name in graph.inputs:
        tensor = graph.nodes[name].outputs[0]
        shape = [evaluate(n, values) for n in tensor.shape]
        if tensor.dtype == "int":
            found.append(torch.randint(_ids(graph, name), shape, generator=generator))
        elif tensor.dtype == "bool":
            found.append(torch.rand(shape, generator=generator) < 0.5)
        else:
            found.append(torch.randn(shape, generator=generator))
    return found


def _ids(graph: Graph, name: str) -> int:
    """How many ids are valid: the rows of the smallest table that the input is looked up in."""
    tables = [
        node.own[0].shape[0] for node in graph
        if node.op == "embedding" and node.own and any(edge.node == name for edge in node.inputs)
    ]
    return min(tables, default=2)


def _named(answer: Any) -> list[tuple[str, Any]]:
    if isinstance(answer, Mapping):
        return list(answer.items())
    if isinstance(answer, tuple | list):
        return [(f"output {i}", value) for i, value in enumerate(answer)]
    return [("output", answer)]


def _described(name: str, value: Any) -> dict[str, Any]:
    """Shape and figures of one result; the largest entries when it is a vector per image."""
    numbers = value.float()
    found: dict[str, Any] = {
        "name": name, "shape": list(value.shape), "min": numbers.min().item(), "max": numbers.max().item(),
        "mean": numbers.mean().item(), "finite": bool(numbers.isfinite().all()),
    }
    if value.dim() == 2 and value.is_floating_point():
        shares = numbers[0].softmax(0)
        best = numbers[0].topk(min(TOP, value.shape[1]))
        found["top"] = [
            {"index": i, "value": v, "softmax": shares[i].item()}
            for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
    return found


def _show(output: dict[str, Any]) -> None:
    shape = " x ".join(map(str, output["shape"]))
    wrong = "" if output["finite"] else "   NOT FINITE"
    figures = f"from {output['min']:.4g} to {output['max']:.4g}, mean {output['mean']:.4g}"
    result(f"{output['name']}: {shape}   {figures}{wrong}")
    for entry in output.get("top", []):
        result(f"  {entry['index']:>6}  {entry['value']:>9.4f}  {100 * entry['softmax']:>6.2f} %")
