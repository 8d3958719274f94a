"""The names of the language and their settings, the joins, and pictures as text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ogive.dsl.patterns.algebra import Flat, PerHead
from ogive.dsl.patterns.draw import matrix, picture
from ogive.dsl.patterns.mechanisms import Channels, Kernel, Latent, Linformer, Mixed, Nystrom, Performer, Pooled
from ogive.dsl.patterns.named import (
    Axial,
    Block,
    Causal,
    Dense,
    Dilated,
    GlobalTokens,
    Prefix,
    Random,
    Self,
    Sliding,
    Strided,
    Window,
)
from ogive.dsl.patterns.names import CONSTRUCTORS, Over, complement, join
from ogive.dsl.patterns.space import PatternError, Sequence, Space


def test_every_name_is_there() -> None:
    patterns = {"dense", "causal", "self", "prefix", "window", "sliding", "axial", "strided", "dilated", "block",
                "global_tokens", "random", "per_head", "flat"}
    mechanisms = {"linformer", "kernel", "performer", "nystrom", "pooled", "latent", "channels"}
    assert set(CONSTRUCTORS) == patterns | mechanisms
    assert {name for name, c in CONSTRUCTORS.items() if c.why is not None} == mechanisms
    assert all(c.name == name and c.doc for name, c in CONSTRUCTORS.items())


@pytest.mark.parametrize(("name", "signature"), [
    ("dense", "dense"), ("causal", "causal(offset: int = None)"), ("window", "window(n: size, shift: size = 0)"),
    ("sliding", "sliding(n: size, clamp: bool = False)"), ("axial", 'axial(axis: "row" | "col" | "time")'),
    ("dilated", "dilated(n: size, step: size)"), ("block", "block(n: int, near: int = 1)"),
    ("random", "random(n: int, of: int = 64, seed: int = 0, per_head: bool = False)"),
    ("per_head", "per_head(patterns: [pattern])"), ("flat", "flat(pattern: pattern)"),
    ("kernel", 'kernel(name: "elu" | "relu" = "elu", causal: bool = False)'),
    ("performer", "performer(features: int = 256, seed: int = 0, redraw: int = 0)"),
])
def test_signatures(name: str, signature: str) -> None:
    assert CONSTRUCTORS[name].signature == signature


@pytest.mark.parametrize(("name", "positional", "keyword", "made"), [
    ("dense", [], {}, Dense()), ("causal", [], {}, Causal()), ("causal", [2], {}, Causal(2)),
    ("causal", [], {"offset": None}, Causal()), ("self", [], {}, Self()), ("prefix", [], {}, Prefix()),
    ("window", [7], {}, Window(7)), ("window", [(7, 14)], {"shift": 3.0}, Window((7, 14), 3)),
    ("window", [], {"shift": 3, "n": (7,)}, Window(7, 3)), ("sliding", [5, True], {}, Sliding(5, True)),
    ("axial", ["col"], {}, Axial("col")), ("strided", [8.0], {}, Strided(8)),
    ("dilated", [7], {"step": 2}, Dilated(7, 2)),
    ("block", [64], {"near": 0}, Block(64, 0)), ("global_tokens", [2], {}, GlobalTokens(2)),
    ("random", [3], {}, Random(3)), ("random", [3, 16], {"per_head": True}, Random(3, 16, 0, True)),
    ("flat", [Sliding(3)], {}, Flat(Sliding(3))), ("per_head", [[Dense(), Causal()]], {}, PerHead((Dense(), Causal()))),
    ("per_head", [(Dense(), Performer())], {}, Mixed((Dense(), Performer()))),
    ("linformer", [64], {"share": True}, Linformer(64, True)), ("performer", [], {}, Performer()),
    ("nystrom", [49], {"conv": 33}, Nystrom(49, 6, 33)), ("kernel", ["relu"], {}, Kernel("relu")),
    ("pooled", [(2, 2)], {}, Pooled((2, 2))), ("latent", [32], {}, Latent(32)), ("channels", [], {}, Channels()),
])
def test_a_name_makes_its_pattern(name: str, positional: list[object], keyword: dict[str, object], made: Over) -> None:
    assert CONSTRUCTORS[name].make(positional, keyword) == made


@pytest.mark.parametrize(("name", "positional", "keyword", "title", "setting", "help"), [
    ("dense", [1], {}, "`dense` takes no settings, here are 1", None, "`dense`"),
    ("window", [], {}, "`window` needs `n`", "n", "`window(n: size, shift: size = 0)`"),
    ("window", [7], {"sift": 3}, "`window` has no setting `sift`", "sift", "did you mean `shift`?"),
    ("window", ["7"], {}, '`n` of `window` is a size such as 7 or 7x14; here is "7"', "n", None),
    ("window", [None], {}, "`n` of `window` cannot be None", "n", None),
    ("axial", ["rows"], {}, '`axis` of `axial` is "row" or "col" or "time"; here is "rows"', "axis", None),
    ("kernel", ["gelu"], {}, '`name` of `kernel` is "elu" or "relu"; here is "gelu"', "name", None),
    ("random", [3], {"of": Block(16)}, "`of` of `random` is a whole number; here is `block(16)`", "of", "`of=16`"),
    ("flat", [Performer()], {}, "`pattern` of `flat` is an attention pattern; here is `performer(features=256)`",
     "pattern", "a mechanism is no set of pairs"),
    ("per_head", [Dense()], {}, "`patterns` of `per_head` is a list of attention patterns; here is `dense`", "patterns",
     None),
    ("sliding", [7], {"clamp": 1}, "`clamp` of `sliding` is True or False; here is 1", "clamp", None),
])
def test_settings_that_do_not_fit(
    name: str, positional: list[object], keyword: dict[str, object], title: str, setting: str | None, help: str | None
) -> None:
    with pytest.raises(PatternError) as caught:
        CONSTRUCTORS[name].make(positional, keyword)
    assert (caught.value.title, caught.value.setting, caught.value.help) == (title, setting, help)


def test_joins() -> None:
    assert join("|", Window(7), Prefix()) == Window(7) | Prefix()
    assert join("&", Window(7), Prefix()) == Window(7) & Prefix()
    assert join("-", Window(7), Prefix()) == Window(7) - Prefix()
    assert complement(Window(7)) == ~Window(7)


@pytest.mark.parametrize(("make", "title"), [
    (lambda: join("|", Window(7), Linformer(64)),
     "`linformer(64)` is no set of pairs and does not join with others: it mixes the keys before any query sees them"),
    (lambda: join("-", Latent(8), Window(7)),
     "`latent(8)` is no set of pairs and does not join with others: every query sees every key through the latents"),
    (lambda: complement(Channels()),
     "`channels` is no set of pairs and does not join with others: it relates channels, not positions"),
    (lambda: join("|", Window(7), 3), "`|` joins attention patterns; here is 3"),
    (lambda: complement(True), "`~` takes an attention pattern; here is True"),
])
def test_what_does_not_join(make: Callable[[], object], title: str) -> None:
    with pytest.raises(PatternError) as caught:
        make()
    assert caught.value.title == title


@pytest.mark.parametrize(
    "mechanism", [Linformer(4), Kernel(), Performer(), Nystrom(4), Pooled(2), Latent(4), Channels()], ids=str
)
def test_mechanisms_refuse_the_operators_of_python_too(mechanism: object) -> None:
    for make in (
        lambda: mechanism | Dense(), lambda: Dense() | mechanism, lambda: mechanism & Dense(),
        lambda: Dense() & mechanism, lambda: mechanism - Dense(), lambda: Dense() - mechanism, lambda: ~mechanism,
    ):
        with pytest.raises(PatternError, match="is no set of pairs"):
            make()


# ------------------------------------------------------------------------------------------------------------- pictures


def test_a_matrix() -> None:
    assert matrix(Window(3, 1), Space.of(6)) == "\n".join(["#.....", ".###..", ".###..", ".###..", "....##", "....##"])
    assert matrix(Causal(), Space(Sequence((2,)), Sequence((4,)))) == "###.\n####"


def test_a_picture_of_what_one_query_sees() -> None:
    space = Space.of(3, 5, prefix=1)
    assert picture(Sliding(3), space, 8) == ".\n.###.\n.#O#.\n.###."
    assert picture(Sliding(3) | Prefix(), space, 8) == "#\n.###.\n.#O#.\n.###."
    assert picture(Prefix(), space, 0) == "O\n#####\n#####\n#####"
    assert picture(Sliding(3) - Self(), space, 1) == ".\no#...\n##...\n....."
    assert picture(Axial("time"), Space.of(2, 2, 2), 1) == ".O\n..\n\n.#\n.."
    assert picture(Prefix(), Space.of(2, prefix=1, suffix=1), 1) == "#\no.\n#"
    assert picture(Sliding(3), Space(Sequence((2, 2)), Sequence((4, 4))), 3) == "....\n.###\n.###\n.###"


def test_what_is_no_picture() -> None:
    with pytest.raises(PatternError, match="a matrix of 66,049 pairs is no picture"):
        matrix(Dense(), Space.of(257))
    with pytest.raises(PatternError, match="there is no query 4; they run from 0 to 3"):
        picture(Dense(), Space.of(4), 4)
