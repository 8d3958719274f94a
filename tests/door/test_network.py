"""`load` and `loads`: what a checked network says about itself, and how a source, a name and settings go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from door.command import SMALL

import ogive
from ogive.compiler.picture.render import is_available
from ogive.network import Network


@pytest.fixture
def small() -> Network:
    return ogive.loads(SMALL, "Small.S")


def _refused(code: str, *args: object, **settings: object) -> str:
    with pytest.raises(ogive.ArchError) as caught:
        ogive.load(*args, **settings)
    assert caught.value.codes == (code,)
    return str(caught.value)


def test_a_network_says_what_it_is(small: Network) -> None:
    assert small.name == "Small.S"
    assert small.settings == {"dim": 8, "depth": 3, "classes": 10}
    assert small.keys()[:2] == ["stem.proj.weight", "stem.proj.bias"]
    assert small.parameters["blocks.2.fc1.weight"] == (16, 8)
    assert list(small.parameters) == small.keys()
    assert small.parameter_count == 1_370
    assert [guard.condition.show() for guard in small.guards] == ["H % 4 == 0", "W % 4 == 0"]
    assert [node.id for node in small.dropped] == ["spare"]


def test_multiply_adds_are_taken_at_sizes(small: Network) -> None:
    stem, part, head = 3 * 16 * 8, 2 * 8 * 16, 80
    assert small.macs() == 56 * 56 * (stem + 3 * part) + head
    assert small.macs(H=8, W=4) == 2 * (stem + 3 * part) + head
    assert small.macs(H=8, W=4, B=5) == 5 * small.macs(H=8, W=4)


@pytest.mark.parametrize(
    ("sizes", "title"),
    [
        ({"Q": 1}, "`Small.S` has no free size `Q`"),
        ({"H": 0}, "the size `H` is a whole number from 1; here is 0"),
        ({"H": True}, "the size `H` is a whole number from 1; here is True"),
        ({"H": 6}, "`Small.S` does not work at H = 6"),
    ],
)
def test_sizes_that_are_none(small: Network, sizes: dict[str, int], title: str) -> None:
    with pytest.raises(ogive.ArchError) as caught:
        small.macs(**sizes)
    assert title in str(caught.value)


def test_a_size_without_a_default_is_asked_for() -> None:
    net = ogive.loads("network Text:\n    input ids: B N of int\n    emb = embedding(10, 4)\n    fc = linear(4)\n")
    with pytest.raises(ogive.ArchError, match="depend on `N`"):
        net.macs()
    assert net.macs(N=3) == 3 * 16


def test_it_prints(small: Network) -> None:
    assert repr(small) == f"<ogive.Network Small.S: 1,370 parameters, {len(small.graph)} nodes>"
    assert str(small).splitlines() == [
        "network Small.S", "  input   image: B 3 H W", "  output  B 10", "  with    dim=8, depth=3, classes=10",
        "  params  1,370",
    ]
    assert "unit=Bottleneck, depths=[3, 4, 6, 3]" in str(ogive.load("resnet", "ResNet.r50"))


def test_a_notebook_shows_the_picture(small: Network) -> None:
    bundle = small._repr_mimebundle_()
    assert bundle["text/plain"] == str(small)
    if is_available():
        assert "<svg" in bundle["image/svg+xml"]


def test_a_notebook_without_graphviz_shows_text(small: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise ogive.ArchError(())

    monkeypatch.setattr("ogive.network.to_svg", missing)
    assert list(small._repr_mimebundle_()) == ["text/plain"]


def test_settings_are_values_or_expressions() -> None:
    assert ogive.load("vit", "ViT.S", depth=2).settings["depth"] == 2
    assert ogive.load("vit", "ViT.S", depth="1 + 1").settings["depth"] == 2
    assert ogive.load("resnet", "ResNet.r50", depths=[1, 1, 1, 1]).settings["depths"] == (1, 1, 1, 1)
    net = ogive.load("resnet", "ResNet.r18", norm="batchnorm(eps=1e-3)")
    assert "norm=batchnorm(eps=0.001)" in str(net)


def test_a_file_a_folder_up_and_a_library_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL)
    assert ogive.load("small.arch", "Small.L").name == "Small.L"
    assert ogive.load(tmp_path / "small.arch").name == "Small"
    assert ogive.load("vit", "ViT.B").parameter_count == 86_567_656
    Path("vit").mkdir()  # a folder of the user's own does not hide the library
    assert ogive.load("vit", "ViT.Ti").name == "ViT.Ti"


def test_sources_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    assert "did you mean `vit`?" in _refused("A109", "vitt")
    assert "cannot read `vit.arch`" in _refused("A800", "vit.arch")
    assert "is a folder" in _refused("A800", "models")
    assert "here is a int" in _refused("A800", 3)
    with pytest.raises(ogive.ArchError, match="`loads` takes the text"):
        ogive.loads(Path("a"))  # type: ignore[arg-type]


def test_names_that_are_none() -> None:
    assert "did you mean `ViT.B`?" in _refused("A801", "vit", "B")
    assert "choose one of ViT.Ti, ViT.S" in _refused("A801", "vit")
    assert "its presets: Ti, S, B, L, H" in _refused("A307", "vit", "ViT.X")
    assert "did you mean `depth`?" in _refused("A301", "vit", "ViT.S", dpth=3)
    assert "takes a whole number" in _refused("A302", "vit", "ViT.S", depth="[1]")


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ogive.ArchError) as caught:
        ogive.loads("network A:\n    input x: B C\n    rellu\n    x -> linaer(3)\n")
    assert caught.value.codes == ("A101", "A102")


def test_the_caption_is_the_first_sentence_above() -> None:
    """Whole, over the ends of lines and the dot of `et al.`"""
    body = "network N:\n    input x: B 8\n    relu\n"
    assert ogive.loads("# Wide, Zagoruyko et al. 2016,\n# arXiv:1605.07146. Deep.\n" + body).caption == (
        "Wide, Zagoruyko et al. 2016, arXiv:1605.07146."
    )
    assert ogive.loads("# No dot\n# at all\n" + body).caption == "No dot at all"
    assert ogive.loads(body).caption == ""
