"""Writes the files that are made of others.

    python docs/generate.py                     all of them
    python docs/generate.py docs/errors.md      one of them

docs/primitives.md from the records: signatures, meanings, and what an example of each comes to. docs/errors.md and
ogive/data/errors.json, which `ogive explain-error` reads, from docs/meanings.md and the cases of the tests.
dsl/grammar.json, the parser's table, from dsl/grammar.lark. docs/library.md, the table of `ogive list`, from library/.
docs/gallery.md and docs/pictures/: pictures of patterns and of networks; those of networks need Graphviz.
docs/systems.md from tests/library/systems.toml, library/, and what `bench/parity.py` reached, docs/parity.json.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
import types
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import ogive
from ogive.catalogue import Entry, Variant, catalogue
from ogive.commands.listing import cells, spans
from ogive.compiler.picture import pattern_svg, to_svg
from ogive.dsl import grammar
from ogive.dsl.build import names_of
from ogive.dsl.codes import CODES, RANGES
from ogive.dsl.dims import Poly
from ogive.dsl.load import library_names, load_library
from ogive.dsl.ops import RECORDS
from ogive.dsl.ops.merge import Arithmetic
from ogive.dsl.ops.record import Family, Primitive, Reference, Size, show_setting
from ogive.dsl.pattern_text import pattern_of
from ogive.dsl.patterns import Mechanism, Pattern
from ogive.dsl.patterns.space import Space

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))  # for error_cases, systems

IMAGE = "x: B 64 56 56"
TOKENS = "x: B N 64"
VECTOR = "x: B 64"
FIELD = "x: B (h=14 w=14) 64"
GRID = "tokens = patchify(64, 16)"

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "linear": (TOKENS, "y = linear(128)"),
    "scale": (TOKENS, "y = scale(init=1e-5)"),
    "conv": (IMAGE, "y = conv(128, 3x3, stride=2)"),
    "transpose_conv": (IMAGE, "y = transpose_conv(32, 2x2, stride=2)"),
    "batchnorm": (IMAGE, "y = batchnorm"),
    "frozen_batchnorm": (IMAGE, "y = frozen_batchnorm"),
    "layernorm": (TOKENS, "y = layernorm(eps=1e-6)"),
    "rmsnorm": (TOKENS, "y = rmsnorm"),
    "groupnorm": (IMAGE, "y = groupnorm(32)"),
    "instancenorm": (IMAGE, "instancenorm"),
    "relu": (IMAGE, "relu"),
    "relu6": (IMAGE, "relu6"),
    "leaky_relu": (IMAGE, "leaky_relu(0.1)"),
    "gelu": (TOKENS, "gelu"),
    "quick_gelu": (TOKENS, "quick_gelu"),
    "silu": (IMAGE, "silu"),
    "hard_swish": (IMAGE, "hard_swish"),
    "hard_sigmoid": (IMAGE, "hard_sigmoid"),
    "sigmoid": (IMAGE, "sigmoid"),
    "tanh": (IMAGE, "tanh"),
    "softplus": (IMAGE, "softplus"),
    "elu": (IMAGE, "elu"),
    "softmax": (VECTOR, "softmax"),
    "identity": (TOKENS, "identity"),
    "exp": (TOKENS, "exp"),
    "log": (TOKENS, "log"),
    "sqrt": (TOKENS, "sqrt"),
    "abs": (TOKENS, "abs"),
    "sin": (TOKENS, "sin"),
    "cos": (TOKENS, "cos"),
    "log2": (TOKENS, "log2"),
    "sign": (TOKENS, "sign"),
    "maxout": (TOKENS, "maxout(2)"),
    "sum_over": (TOKENS, "sum_over(N)"),
    "cumsum": (TOKENS, "cumsum"),
    "mean_over": (IMAGE, "mean_over(C, keep=True)"),
    "max_over": (IMAGE, "max_over(C, keep=True)"),
    "norm": (TOKENS, "norm"),
    "l2_normalize": (TOKENS, "l2_normalize"),
    "rearrange": (IMAGE, "y = conv(12) : B (a 4) h w", "rearrange : B (h w a) 4"),
    "unstack": ("x: B (C=64 ways=2)", "rearrange : B ways C", "a, b = unstack(ways)", "a + b"),
    "repeat_to": ("x: B 1 64", "repeat_to(49)"),
    "subsample": (IMAGE, "subsample(2)"),
    "gather": ("x: B N 64, ids: B K of int", "x, ids -> gather"),
    "argsort": ("x: B N", "argsort"),
    "argmax": ("ids: B N of int", "argmax(N)"),
    "top_k": ("x: B 100 64", "top_k(8)"),
    "where": ("x: B N 64, y: B N 64", "x > 0, x, y -> where"),
    "masked_fill": ("x: B N 64, m: B N of bool", "x, m -> masked_fill(0)"),
    "dot": ("x: B N 64, y: B M 64", "x, y -> dot"),
    "matmul": ("x: B N 64, y: B 64 M", "x, y -> matmul"),
    "uniform": (TOKENS, "uniform(like=x)"),
    "less": (TOKENS, "x < 1"),
    "less_equal": (TOKENS, "x <= 1"),
    "greater": (TOKENS, "x > 0"),
    "greater_equal": (TOKENS, "x >= 0"),
    "equal": ("ids: B N of int", "ids == 3"),
    "not_equal": ("ids: B N of int", "ids != 3"),
    "min": (TOKENS, "min(x, 1)"),
    "max": (TOKENS, "max(0, x)"),
    "attend": (TOKENS, "qkv = linear(192)", "split(3)", "attend(4, over=causal)"),
    "relative_bias": (FIELD, "table = relative_bias(4, 7)", "x -> attend(4, over=window(7), bias=table)"),
    "alibi": (TOKENS, "slopes = alibi(4)", "x -> attend(4, over=causal, bias=slopes)"),
    "t5_bias": (TOKENS, "near = t5_bias(4)", "x -> attend(4, bias=near)"),
    "decomposed_relative": (FIELD, "rows = learned(27, 16)", "cols = learned(27, 16)",
                            "near = x, rows, cols -> decomposed_relative(4)", "x -> attend(4, bias=near)"),
    "head_mix": (TOKENS, "mix = head_mix(4)", "x -> attend(4, before_softmax=mix)"),
    "rope": (TOKENS, "q, k = x, x -> rope(4)", "q, k, x -> attend(4)"),
    "max_pool": (IMAGE, "max_pool(3x3, stride=2, pad=1)"),
    "avg_pool": (IMAGE, "avg_pool(2x2)"),
    "global_pool": (IMAGE, "global_pool"),
    "global_max_pool": (IMAGE, "global_max_pool"),
    "adaptive_pool": (IMAGE, "adaptive_pool(7)"),
    "upsample": (IMAGE, 'upsample(by=2, mode="bilinear")'),
    "to_tokens": (IMAGE, "to_tokens"),
    "to_image": ("x: B 3 224 224", GRID, "to_image"),
    "transpose": ("x: B 196 64", "transpose"),
    "space_to_depth": (IMAGE, "space_to_depth(2)"),
    "depth_to_space": (IMAGE, "depth_to_space(2)"),
    "channel_shuffle": (IMAGE, "channel_shuffle(4)"),
    "split_heads": (TOKENS, "split_heads(4)"),
    "merge_heads": (TOKENS, "split_heads(4)", "merge_heads"),
    "drop_prefix": ("x: B 3 224 224", GRID, "cls = learned(1, 1, 64)", "cls, tokens -> concat", "drop_prefix"),
    "take": ("x: B 3 224 224", GRID, "cls = learned(1, 1, 64)", "cls, tokens -> concat", "take(cls)"),
    "split": (TOKENS, "a, b = split([16, 48])", "b -> identity"),
    "add": (TOKENS, "f = linear(64)", "x + f"),
    "sub": (TOKENS, "f = linear(64)", "x - f"),
    "mul": (TOKENS, "f = linear(64)", "x * f"),
    "div": (TOKENS, "x / 2"),
    "pow": (TOKENS, "x ** 2"),
    "neg": (TOKENS, "-x"),
    "concat": (IMAGE, "a = conv(32, 3x3)", "x, a -> concat"),
    "stack": (VECTOR, "a = linear(64)", "x, a -> stack"),
    "embedding": ("ids: B N of int", "y = embedding(50_257, 768)"),
    "patchify": ("x: B 3 224 224", "y = patchify(768, 16)"),
    "position": ("x: B 3 224 224", GRID, "y = position(14)"),
    "dropout": (TOKENS, "dropout(0.1)"),
    "drop_path": (TOKENS, "drop_path(0.1)"),
    "stop_gradient": (TOKENS, "stop_gradient"),
    "learned": (TOKENS, "q = learned(1, 100, 64)", "q, x -> concat"),
    "arange": ("ids: B N of int", "arange", "y = embedding(1024, 64)"),
    "zeros_like": (TOKENS, "zeros_like"),
    "zeros": (TOKENS, "none = zeros(64)", "x + none"),
    "ones": (TOKENS, "one = ones(64)", "x + one"),
    "slice": (TOKENS, "w = learned(192, 64)", "q = x -> linear(64, weight=w[0:64], bias=False)"),
    "one_row": (TOKENS, "q = learned(8, 64)", "q -> one_row", "_, x, x -> attend(4)"),
    "sine_position": (IMAGE, "sine_position"),
    "sine_code": (TOKENS, "sine_code"),
    "relative_shift": (
        TOKENS, "q = split_heads(4)  : B heads N d", "x -> sine_code(offsets=True)",
        "r = split_heads(4)  : 1 heads R d", "q, r -> dot  : B heads N R", "relative_shift",
    ),
    "coordinates": (IMAGE, "coordinates(like=x)"),
    "offsets": (IMAGE, "offsets(7)"),
    "shift": (IMAGE, 'shift(cols=1, border="edge")'),
    "pad_grid": ("x: B (h=14 w=14) 64", "pad_grid(8)"),
    "crop_grid": ("x: B (h=14 w=14) 64", "pad_grid(8)", "crop_grid(like=x)"),
    "regrid": ("x: B (h=14 w=14) 64, kept: B 196 64", "kept -> regrid(like=x)"),
    "rnn": (TOKENS, "y = rnn(128)"),
    "gru": (TOKENS, "y = gru(128, bidirectional=True)"),
    "lstm": (TOKENS, "y = lstm(128)", "y.h[0] + y.c[0]"),
    "rnn_cell": ("x: B 64, h: B 128", "y = x, h -> rnn_cell(128)"),
    "gru_cell": ("x: B 64, h: B 128", "y = x, h -> gru_cell(128)"),
    "lstm_cell": ("x: B 64, h: B 128, c: B 128", "y = x, h, c -> lstm_cell(128)"),
    "roi_align": ("x: B 64 56 56, boxes: B K 4", "x, boxes -> roi_align(7, strides=4)"),
    "roi_pool": ("x: B 64 14 14, boxes: B K 4", "x, boxes -> roi_pool(7, strides=16)"),
    "deform_conv": (IMAGE, 'o = conv(18, init="zeros")', "y = x, o -> deform_conv(64)"),
    "max_unpool": (IMAGE, "pool = max_pool(2, indices=True)", "max_unpool(2, indices=pool.indices, like=x)"),
}
"""For each primitive the input of a small network, and its lines."""

SIGNS: Final = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}
"""What is written with a sign."""

TITLES: Final[dict[str, str]] = {
    "linear": "Linear", "conv": "Convolution", "norm": "Norms", "activation": "Functions of each element",
    "attention": "Attention", "pool": "Pooling and resampling", "layout": "Layout and choice",
    "merge": "Joining and arithmetic", "embedding": "Embeddings", "regularise": "Regularisation", "data": "Sources",
}

OPENING: Final = """\
# Primitives

The ops that are built in. This page is written by `python docs/generate.py` from the records in `dsl/ops/`; the shapes
and keys of the examples are those that `ogive` infers.

Settings stand in parentheses, by place or by name; one without a default in the signature must be given. Data stands
left of the arrow. `B C H W` is an image, `B N C` are tokens, `B C` is a vector, `B N of int`
are ids. A `size` is `3` or `3x5`.

**Weights** lie under the name of the line: `y = conv(128)` has the keys `y.weight` and `y.bias`. *May be given* lists
the weights that a keyword may supply (`weight=wte.weight`).

**`init`** of a weight is one of `"torch"` (torch's own reset), `"trunc_normal"` (`std`, cut at two deviations),
`"normal"` (`std`), `"kaiming"` (normal, fan out, for relu), `"kaiming_in"` (the same with fan in), `"xavier"`
(uniform), `"lecun"` (normal, fan in, cut), `"zeros"`, `"ones"`, `"identity"`, or a number. Except with `"torch"`, the
bias beside it starts at zero.
"""


def page() -> str:
    """The whole page."""
    families = [f for f in get_args(Family) if any(r.family == f for r in RECORDS.values())]
    out = [OPENING]
    for family in families:
        names = [f"[`{r.op}`](#{r.op})" for r in RECORDS.values() if r.family == family]
        out.append(f"- **{TITLES[family]}**: {', '.join(names)}")
    for family in families:
        out.append(f"\n## {TITLES[family]}")
        out += [entry(record) for record in RECORDS.values() if record.family == family]
    return "\n".join(out) + "\n"


def entry(record: type[Primitive]) -> str:
    """One primitive: signature, meaning, facts, example."""
    meaning, _, rest = inspect.cleandoc(record.__doc__ or "").partition("\n")
    facts = [f"Inputs: {inputs(record)}."] if record.inputs else ["Takes no data."]
    if record.given:
        facts.append(f"May be given: {', '.join(f'`{name}`' for name in sorted(record.given, reverse=True))}.")
    counts = record.macs is not Primitive.macs
    facts.append("Its multiply-adds are counted." if counts else "No multiply-adds are counted.")
    parts = [f"\n### {record.op}\n", f"```text\n{signature(record)}\n```\n", meaning + "\n"]
    if rest.strip():
        parts.append(rest.strip() + "\n")
    return "\n".join([*parts, " ".join(facts) + "\n", example(record.op)])


def inputs(record: type[Primitive]) -> str:
    names = {
        "*xs": "one or more", "*qkv": "`q`, `k`, `v`, or one source for all three", "*maps": "one or more `maps`",
        "mask?": "`mask` if wanted",
    }
    if issubclass(record, Arithmetic):
        return "two tensors, or a tensor and a number"
    return ", ".join(names.get(name, f"`{name}`") for name in record.inputs)


def signature(record: type[Primitive]) -> str:
    """`conv(out: int, size: size = 3x3, ...)`, folded."""
    settings = []
    for name, field in record.model_fields.items():
        if name in record.told:
            continue
        default = "" if field.is_required() else f" = {shown(field.default)}"
        words = kind(field.annotation)
        words = words.replace("node", "tensor") if name in record.tensors else words
        settings.append(f"{name}: {words}{default}")
    if record.spread:
        settings[0] = f"...{settings[0].partition(':')[0]}: int"
    if record.op in SIGNS:
        return f"a {SIGNS[record.op]} b"
    if issubclass(record, Arithmetic):
        return f"{record.op}(a, b)"
    if record.op == "neg":
        return "-x"
    if not settings:
        return record.op
    lines = [f"{record.op}("]
    for setting in settings:
        last = setting is settings[-1]
        piece = setting + (")" if last else ", ")
        if len(lines[-1]) + len(piece.rstrip()) > 110:
            lines.append(" " * (len(record.op) + 1))
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def shown(value: Any) -> str:
    return "[]" if value == () else show_setting(value)


def kind(annotation: Any) -> str:
    """A type in the words of the language."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kind(get_args(annotation)[0])
    if origin is Literal:
        return " | ".join(f'"{word}"' for word in get_args(annotation))
    if origin is Union or origin is types.UnionType:
        kinds = [kind(x) for x in get_args(annotation) if x not in (type(None), Poly)]
        if kinds == ["string", "float"] or kinds == ["float", "int"]:
            return "string | float" if "string" in kinds else "float"
        return " | ".join(dict.fromkeys(kinds))
    if origin is tuple:
        return f"[{kind(get_args(annotation)[0])}]"
    if annotation in (Pattern, Mechanism):
        return "pattern"
    names = {int: "int", float: "float", bool: "bool", str: "string", Size: "size", Reference: "node", Primitive: "op"}
    return names[annotation]


def example(op: str) -> str:
    """The lines of the example, and what they come to."""
    port, *lines = EXAMPLES[op]
    text = "network Example:\n    input " + port + "\n" + "".join(f"    {line}\n" for line in lines)
    graph = ogive.loads(text).graph
    answer = graph.tensor(graph.outputs[0][1])
    keys = [f"`{key} {list(p.weight.shape)}`" for key, p in graph.parameters.items()]
    facts = [f"- Example: `input {port}`, {', '.join(f'`{line}`' for line in lines)}", f"- Answer: `{answer}`"]
    return "\n".join([*facts, *([f"- Keys: {', '.join(keys)}"] if keys else [])])


# ---------------------------------------------------------------------------------------------- errors
ERRORS: Final = """\
# Errors

Every error has a code that keeps its meaning for good. Here is each with an example: what is wrong, what is said, and
the repaired program. `ogive explain-error A203` shows the same in a terminal, `ogive explain-error` lists all codes.

This page is written by `python docs/generate.py` from [meanings](meanings.md) and the cases of the tests, so that
every word of it is checked.
"""


def errors() -> dict[str, dict[str, Any]]:
    """Every code with its title, what it means, and its cases; `without` says why there is none."""
    from error_cases import every_case

    cases, meanings = every_case(), _meanings()
    if differ := set(meanings) ^ set(CODES):
        raise ValueError(f"docs/meanings.md has a paragraph for each code of dsl/codes.py, and no other: {differ}")
    if strange := {code for code in CODES if code[:2] not in RANGES}:
        raise ValueError(f"codes without a range in dsl/codes.py: {strange}")
    if set(cases) - set(CODES):
        raise ValueError(f"cases of codes that are not in dsl/codes.py: {set(cases) - set(CODES)}")
    found = {}
    for code in sorted(CODES):
        about, _, without = meanings[code].partition("\n\nWithout: ")
        if bool(without) == (code in cases):
            raise ValueError(f"{code} has a case in tests/, or a line `Without: ...` in docs/meanings.md")
        entry: dict[str, Any] = {"title": CODES[code], "about": about.replace("\n", " ")}
        if without:
            entry["without"] = without.replace("\n", " ")
        entry["cases"] = [
            {"title": case.title, "kind": case.kind, "wrong": case.wrong, "words": case.words,
             "repaired": case.repaired, "beside": case.beside}
            for case in cases.get(code, [])
        ]
        found[code] = entry
    return found


def _meanings() -> dict[str, str]:
    text = (ROOT / "docs" / "meanings.md").read_text(encoding="utf-8")
    return {code: body.strip() for code, body in re.findall(r"^## (A\d{3})\n(.*?)(?=^## |\Z)", text, re.M | re.S)}


def errors_page() -> str:
    """docs/errors.md."""
    found = errors()
    out = [ERRORS]
    for start, about in RANGES.items():
        out.append(f"- [{start}xx](#{start.lower()}xx): {about}")
    for start, about in RANGES.items():
        out.append(f"\n## {start}xx\n\nAbout {about}.")
        for code, entry in found.items():
            if code.startswith(start):
                out += _entry(code, entry)
    return "\n".join(out) + "\n"


def _entry(code: str, entry: dict[str, Any]) -> list[str]:
    out = [f"\n### {code}\n", _wrapped(f"**{entry['title'][:1].upper()}{entry['title'][1:]}.** {entry['about']}")]
    if not entry["cases"]:
        out.append("\n" + _wrapped(f"No example: {entry['without']}"))
    for case in entry["cases"]:
        out.append(f"\n#### {case['title']}")
        for file, text in case["beside"].items():
            out += [f"\n`{file}`:", _fenced(text)]
        out += [_fenced(case["wrong"]), "\nWhat is said:", _fenced(case["words"])]
        out += ["\nRepaired:", _fenced(case["repaired"])]
    return out


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _fenced(text: str) -> str:
    """A block of text: an example that is wrong is not to be run as one of this page."""
    return f"\n```text\n{text.rstrip()}\n```"


def errors_data() -> str:
    """ogive/data/errors.json, which `ogive explain-error` reads."""
    return json.dumps(errors(), indent=1, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------------------------------------- the library
LIBRARY: Final = """# The library

Every network that comes with ogive: `ogive list` prints this table, `ogive list vit` a line for each preset.
Multiply-adds (MACs) are taken at the sizes that the network's `expect` table names, else at one image of 224 x 224;
`-` where a size is free. [Maps](weights.md) say whose checkpoints a network reads besides files with its own keys; the
[gallery](gallery.md) has a picture of each file.

| file | network | presets | params | MACs | paper | maps |
|---|---|---|---|---|---|---|
"""


def library_page() -> str:
    """docs/library.md."""
    rows = []
    for found in entries():
        file, *middle, paper = cells(found)
        number = re.search(r"arXiv:(\S+)", paper)
        linked = paper if number is None else paper.replace(
            number[0], f"[{number[0]}](https://arxiv.org/abs/{number[1]})")
        rows.append(f"| [{file}](../library/{file}.arch) | {' | '.join([*middle, linked, ' '.join(found.maps)])} |")
    return LIBRARY + "\n".join(rows) + "\n"


@cache
def entries() -> list[Entry]:
    """Every network of the library."""
    return [found for name in library_names() for found in catalogue(name, load_library(name))]


# ---------------------------------------------------------------------------------------------- systems and tests
SYSTEMS: Final = """# Systems

Every network, layer and property that the library holds, the reference it is held against, and the tests that hold it.
Parameters and multiply-adds (MACs) are those of the networks named, as in [the library](library.md). The errors are
the largest that the tests reach, relative to the largest value of the reference: answers and gradients in float64,
usually at a small size with every tensor stirred, and answers in float32 at full size. `0` is equality, bit by bit;
`-` where tests compare in another way: by hand, exactly, or by a property. Keys, shapes, parameters and MACs are equal
wherever a reference is named.

This page is written by `python docs/generate.py`; `bench/parity.py` runs the tests and writes down the errors.
"""

KINDS: Final = {"float64": "float64", "gradients": "gradients", "float32": "float32"}


def systems_page() -> str:
    """docs/systems.md."""
    from systems import sections

    reached = json.loads((ROOT / "docs" / "parity.json").read_text("utf-8"))
    known = {(entry.file, entry.network): entry for entry in entries()}
    out = [SYSTEMS]
    for title, rows in sections().items():
        out += [f"## {title}\n", f"| system | networks | params | MACs | reference | {' | '.join(KINDS)} | tests |",
                "|---" * (6 + len(KINDS)) + "|"]
        for row in rows:
            chosen = [v for file, name in row.networks for v in _variants(known, file, name)]
            errors = [_error(reached.get(row.system, {}).get(kind)) for kind in KINDS]
            words = [row.system, ", ".join(f"[{name}](../library/{file}.arch)" for file, name in row.networks) or "-",
                     *spans(chosen), row.reference, *errors, _tests(row.tests)]
            out.append(f"| {' | '.join(words)} |")
        out.append("")
    return "\n".join(out)


def _variants(known: dict[tuple[str, str], Entry], file: str, name: str) -> list[Variant]:
    network, _, preset = name.partition(".")
    return [v for v in known[file, network].variants if v.name == name or not preset]


def _error(error: float | None) -> str:
    return "-" if error is None else "0" if error == 0 else f"{error:.0e}".replace("e-0", "e-")


def _tests(tests: Sequence[tuple[str, str, str]]) -> str:
    files = dict.fromkeys(file for file, _, _ in tests)
    return ", ".join(f"[{Path(file).stem.removeprefix('test_')}](../{file})" for file in files)


# ---------------------------------------------------------------------------------------------- pictures of patterns
PICTURES: Final[dict[str, tuple[str, Space]]] = {
    "dense": ("dense", Space.of(8, 8)),
    "self": ("self", Space.of(8, 8)),
    "causal": ("causal", Space.of(24)),
    "prefix": ("prefix", Space.of(8, 8, prefix=2)),
    "window": ("window(4)", Space.of(8, 8)),
    "window_shifted": ("window(4, shift=2)", Space.of(8, 8)),
    "window_prefix": ("window(4) | prefix", Space.of(8, 8, prefix=1)),
    "sliding": ("sliding(5)", Space.of(8, 8)),
    "sliding_clamp": ("sliding(5, clamp=True)", Space.of(8, 8)),
    "axial": ('axial("row") | axial("col")', Space.of(8, 8)),
    "axial_time": ('axial("time")', Space.of(3, 5, 5)),
    "strided": ("strided(6) | sliding(7)", Space.of(36)),
    "dilated": ("dilated(5, step=2)", Space.of(9, 9)),
    "block": ("block(4)", Space.of(32)),
    "global_tokens": ("global_tokens(3) | self", Space.of(24)),
    "bigbird": ("block(2) | global_tokens(2) | random(2, of=2)", Space.of(32)),
    "random": ("random(2, of=4)", Space.of(32)),
    "flat": ("flat(window(6))", Space.of(8, 8)),
    "per_head": ('per_head([axial("row"), axial("col")])', Space.of(8, 8)),
}
"""Each pattern that docs/attention.md shows, and where it is drawn."""


def _picture(name: str) -> Callable[[], str]:
    text, space = PICTURES[name]
    return lambda: pattern_svg(pattern_of(text), space)


# ---------------------------------------------------------------------------------------------- pictures of networks
FIGURES: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "vit": ("vit", "ViT.B", {"inset": "Encoder", "direction": "up"}),
    "swin": ("swin", "Swin.T", {"inset": "SwinBlock", "direction": "right"}),
    "unet": ("unet", "UNet", {"depth": 0, "sizes": {"H": 512, "W": 512}}),
    "detr": ("detr", "DETR", {"direction": "right", "collapse": ["backbone"], "expand": ["transformer.*"]}),
    "googlenet": ("inception", "GoogLeNet", {"inset": "Inception", "sizes": {"H": 224, "W": 224}}),
}
"""The figures of docs/pictures.md: file, network, and how each is drawn."""

GALLERY: Final = """# Gallery

The first network of each file of the [library](library.md), closed to its outline (`ogive draw FILE NET --depth 0
--no-legend -o OUT`). [Pictures](pictures.md) says how to open, turn and colour them.
"""


def _figure(name: str) -> Callable[[], str]:
    def drawn() -> str:
        file, network, options = FIGURES[name]
        found = ogive.load(file, network)
        return to_svg(found.graph, caption=found.caption, **options)

    return drawn


def _outline(file: str) -> Callable[[], str]:
    return lambda: to_svg(ogive.load(file, _first(file)).graph, depth=0, legend=False)


def _first(file: str) -> str:
    """The first network of a file, at its first preset."""
    return names_of(load_library(file))[0]


def gallery_page() -> str:
    """docs/gallery.md."""
    out = [GALLERY]
    for file in _drawn():
        out.append(f"\n## {file}\n\n[{_first(file)}](../library/{file}.arch)\n\n![{file}](pictures/gallery/{file}.svg)")
    return "\n".join(out) + "\n"


def _drawn() -> list[str]:
    """The files of the library; parts alone are in `std`."""
    return sorted(place.stem for place in (ROOT / "library").glob("*.arch"))


WRITTEN: Final[dict[str, Callable[[], str]]] = {
    "docs/primitives.md": page, "docs/errors.md": errors_page, "ogive/data/errors.json": errors_data,
    "dsl/grammar.json": grammar.data, "docs/library.md": library_page,
    "docs/systems.md": systems_page,
    **{f"docs/pictures/patterns/{name}.svg": _picture(name) for name in PICTURES},
    "docs/gallery.md": gallery_page,
    **{f"docs/pictures/figures/{name}.svg": _figure(name) for name in FIGURES},
    **{f"docs/pictures/gallery/{file}.svg": _outline(file) for file in _drawn()},
}
"""The files that this writes, with what is in them."""


def main(names: Sequence[str]) -> None:
    """Write the files of these names, all without names."""
    for name in names or WRITTEN:
        place = ROOT / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(WRITTEN[name](), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
