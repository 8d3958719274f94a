"""The docs are true: their code runs, their outputs are what is printed, their links lead somewhere.

With OGIVE_UPDATE=1 in the environment, outputs that differ are written into the page instead, for a person to read.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from docs.document import Page, blocks, matches
from house.plan import ROOT

import ogive
from ogive.compiler.picture.render import is_available
from ogive.dsl import limits
from ogive.dsl.codes import CODES
from ogive.dsl.ops import RECORDS
from ogive.dsl.patterns.names import CONSTRUCTORS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """The networks of the pages are small: threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one; no colours, no terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.name)
def test_a_page_is_true(place: Path, folder: Path) -> None:
    page = Page(place.read_text("utf-8")).run()
    if os.environ.get("OGIVE_UPDATE") and page.texts:
        place.write_text(page.updated(), encoding="utf-8")
    assert not page.wrong, f"{place.name}\n" + "\n\n".join(page.wrong)


@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.name)
def test_links_lead_somewhere(place: Path) -> None:
    lost = []
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)", place.read_text("utf-8")):
        link = "".join(target)
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        file = (place.parent / path).resolve() if path else place
        if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8"))):
            lost.append(link)
    assert lost == []


def test_the_picture_is_of_the_text_beside_it(folder: Path) -> None:
    """Where Graphviz places things may differ from version to version; what stands in the picture may not."""
    if not is_available():
        pytest.skip("there is no Graphviz here")
    block = next(b for b in blocks((ROOT / "README.md").read_text("utf-8")) if b.word("title") == "vit.arch")
    Path("vit.arch").write_text(block.text, encoding="utf-8")
    ogive.draw(ogive.load("vit.arch", "ViT.B"), "vit.svg")
    drawn, kept = (words(path.read_text("utf-8")) for path in (Path("vit.svg"), ROOT / "docs" / "pictures" / "vit.svg"))
    assert kept == drawn, "draw ViT.B of the README again: ogive draw vit.arch ViT.B -o docs/pictures/vit.svg"


def words(svg: str) -> list[str]:
    """What is written in a picture."""
    return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ +(.+)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.parametrize("name", ["docs/primitives.md", "docs/errors.md", "docs/library.md", "ogive/data/errors.json"])
def test_a_page_is_what_the_script_writes(name: str, generate: ModuleType) -> None:
    assert (ROOT / name).read_text("utf-8") == generate.WRITTEN[name](), f"`python docs/generate.py {name}` writes it"


def test_every_primitive_has_an_example_and_every_page_a_test(generate: ModuleType) -> None:
    assert set(generate.EXAMPLES) == set(RECORDS), "docs/generate.py has an example for each primitive"
    pictures = {f"docs/pictures/patterns/{name}.svg" for name in generate.PICTURES}
    assert set(generate.WRITTEN) == {
        "docs/primitives.md", "docs/errors.md", "docs/library.md", "ogive/data/errors.json", *pictures,
        "dsl/grammar.json",  # tests/dsl/test_grammar.py
        "docs/gallery.md", "docs/systems.md", *networks(generate),
    }


def networks(generate: ModuleType) -> set[str]:
    """The pictures of networks, by their places."""
    figures = {f"docs/pictures/figures/{name}.svg" for name in generate.FIGURES}
    return figures | {f"docs/pictures/gallery/{place.stem}.svg" for place in (ROOT / "library").glob("*.arch")}


def test_every_network_has_its_picture(generate: ModuleType) -> None:
    """Each is on its page, and none is of a network that is gone."""
    figures, gallery = ((ROOT / "docs" / page).read_text("utf-8") for page in ("pictures.md", "gallery.md"))
    assert gallery == generate.WRITTEN["docs/gallery.md"](), "`python docs/generate.py docs/gallery.md` writes it"
    there = [*(ROOT / "docs/pictures/figures").iterdir(), *(ROOT / "docs/pictures/gallery").iterdir()]
    assert {str(place.relative_to(ROOT)) for place in there} == networks(generate)
    for name in sorted(networks(generate)):
        assert f"({name.removeprefix('docs/')})" in (figures if "/figures/" in name else gallery)


@pytest.mark.parametrize(
    "name", ["figures/vit", *(pytest.param(f"{a}/{b}", marks=pytest.mark.long) for a, b in (
        ("figures", "swin"), ("figures", "unet"), ("figures", "detr"), ("figures", "googlenet"), ("gallery", "")))],
)
def test_pictures_of_networks_say_what_the_library_says(name: str, generate: ModuleType) -> None:
    if not is_available():
        pytest.skip("there is no Graphviz here")
    for place in sorted(networks(generate)):
        if place.startswith(f"docs/pictures/{name}"):
            kept, made = (ROOT / place).read_text("utf-8"), generate.WRITTEN[place]()
            assert words(kept) == words(made), f"`python docs/generate.py {place}` draws it anew"


def test_every_pattern_has_its_picture(generate: ModuleType) -> None:
    """Those of the language stand in a drawn text; each picture is of its text, and is shown on the page."""
    page, sets = (ROOT / "docs/attention.md").read_text("utf-8"), {n for n, c in CONSTRUCTORS.items() if c.why is None}
    drawn = " ".join(text for text, _ in generate.PICTURES.values())
    assert sets <= set(re.findall(r"\w+", drawn))
    for name in generate.PICTURES:
        place = ROOT / f"docs/pictures/patterns/{name}.svg"
        write = f"`python docs/generate.py docs/pictures/patterns/{name}.svg` writes it"
        assert place.read_text("utf-8") == generate.WRITTEN[f"docs/pictures/patterns/{name}.svg"](), write
        assert f"(pictures/patterns/{name}.svg)" in page
    assert {p.stem for p in (ROOT / "docs/pictures/patterns").iterdir()} == set(generate.PICTURES)


def test_every_code_is_explained_and_shown(generate: ModuleType) -> None:
    found = generate.errors()  # it refuses a code without a paragraph, or without a case and a reason
    assert list(found) == sorted(CODES)
    assert all(entry["about"].endswith(".") for entry in found.values())
    assert all(entry["cases"] or entry["without"].endswith(".") for entry in found.values())


def test_a_code_without_a_case_or_a_paragraph_is_seen(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(generate.CODES, "A298", "a code of nobody")
    with pytest.raises(ValueError, match="A298"):
        generate.errors()
    meanings = generate._meanings()
    monkeypatch.setattr(generate, "_meanings", lambda: {**meanings, "A298": "Words."})
    with pytest.raises(ValueError, match="A298 has a case in tests/, or a line"):
        generate.errors()


def test_every_limit_stands_in_the_reference() -> None:
    text = (ROOT / "docs" / "language.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([\d,]+) \|", text, re.MULTILINE))
    assert rows == {name: f"{getattr(limits, name):,}" for name in limits.__all__}


def test_every_code_of_an_error_stands_in_the_reference() -> None:
    text = (ROOT / "docs" / "language.md").read_text("utf-8")
    spans = [(a, b or a) for a, b in re.findall(r"^\| (A\d{3})(?: to (A\d{3}))? \|", text, re.MULTILINE)]
    texts = [p.read_text("utf-8") for room in ("dsl", "compiler", "ogive") for p in (ROOT / room).rglob("*.py")]
    codes = {code for source in texts for code in re.findall(r"\"(A\d{3})\"", source)}
    assert sorted(code for code in codes if not any(a <= code <= b for a, b in spans)) == []


# -------------------------------------------------------------------------------------------- the test can fail
GOOD = "network N:\n    input x: B 3\n    a = linear(4)\n"


def wrong(text: str) -> list[str]:
    return Page(text).run().wrong


def test_a_true_page_passes(folder: Path) -> None:
    assert wrong(f"```arch\n{GOOD}```\n\n```python\nprint(6 * 7)\n```\n```text\n42\n```\n") == []
    shown = "$ ogive check a.arch\na.arch: ok, ...\n...\n"
    assert wrong(f"```arch title=a.arch\n{GOOD}```\n```console\n{shown}```\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "```arch\nnetwork N:\n    input x: B 3\n    a = linear(4\n```\n",
        f"```arch error=A203\n{GOOD}```\n",
        "```arch error=A203\nnetwork N:\n    input x: B 3\n    linear(4)\n```\n",
        "```arch\nblock N:\n    input x: B 3\n    a = linear(4)\n```\n",
        "```python\n1 / 0\n```\n",
        "```python\nprint(1)\n```\n",
        "```python\nprint(1)\n```\n```text\n2\n```\n",
        f"```arch title=a.arch\n{GOOD}```\n```console\n$ ogive check a.arch\nfine\n```\n",
        f"```arch title=a.arch\n{GOOD}```\n```console\n$ ogive check a.arch\n```\n",
        "```console\n$ ogive check none.arch\n```\n",
        "```console\n$ rm -r x\n```\n",
    ],
)
def test_an_untrue_page_is_seen(text: str, folder: Path) -> None:
    assert len(wrong(text)) >= 1


def test_an_update_writes_what_is_real(folder: Path) -> None:
    text = "# A page\n```python\nprint(1)\n```\n```text\n2\n```\nend\n"
    assert Page(text).run().updated() == text.replace("2", "1")


def test_wildcards() -> None:
    assert matches("a ... c\n", "a b c\n")
    assert matches("a\n...\nd\n", "a\nb\nc\nd\n")
    assert matches("...\nd\n", "d\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a ... c\n", "a b d\n")
    assert not matches("a.c\n", "abc\n")


def test_blocks_know_their_place() -> None:
    [block] = blocks("x\n\n```arch title=a.arch error=A203\nbody\n```\n")
    assert (block.kind, block.word("title"), block.word("error"), block.text, block.line) == (
        "arch", "a.arch", "A203", "body\n", 4,
    )
