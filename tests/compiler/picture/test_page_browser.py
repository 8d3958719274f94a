"""The page in a browser: it opens without a complaint or a request, and does what a hand asks of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import INSTALL, Page, browser, find_browser
from drawn_texts import SMALL
from hostile_names import HOSTILE, hostile

from ogive.compiler.picture import draw
from ogive.compiler.picture.page import html_of, model_of
from ogive.dsl.graph import Graph

Make = Callable[[str], Graph]
pytestmark = pytest.mark.skipif(find_browser() is None, reason=INSTALL)

ENTER, ESCAPE, DOWN = ("Enter", 13), ("Escape", 27), ("ArrowDown", 40)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Page]]:
    with browser(tmp_path_factory.mktemp("browser")) as new:
        yield new


@pytest.fixture
def vit(tab: Callable[[], Page], library: Make, tmp_path: Path) -> Page:
    """A page with ViT.B."""
    return opened(tab, library("ViT.B"), tmp_path)


def opened(tab: Callable[[], Page], graph: Graph, folder: Path) -> Page:
    found = tab()
    found.open(draw(graph, folder / "net.html").as_uri())
    return found


def drawn(tab: Page) -> int:
    return int(tab.ask("document.documentElement.dataset.drawn"))


def after(tab: Page, act: Callable[[], object]) -> None:
    """Do something and wait for the picture that follows."""
    before = drawn(tab)
    act()
    tab.wait(f"document.documentElement.dataset.drawn > {before}")


def has(tab: Page, id: str) -> bool:
    return bool(tab.ask(f"Boolean(document.querySelector('[data-id=' + JSON.stringify({json.dumps(id)}) + ']'))"))


def text(tab: Page, selector: str) -> str:
    return str(tab.ask(f"document.querySelector({json.dumps(selector)}).innerText"))


def quiet(tab: Page) -> None:
    """No complaint, and nothing asked for but the page and its own worker."""
    assert tab.errors == []
    assert all(address.startswith(("file://", "blob:null/", "data:")) for address in tab.requests), tab.requests


def test_it_opens_and_its_blocks_do(vit: Page) -> None:
    assert has(vit, "blocks.0.attn.qkv")
    assert vit.ask("document.title") == "ViT.B"
    after(vit, lambda: vit.click('[data-id="blocks.0.attn"] .toggle'))
    assert not has(vit, "blocks.0.attn.qkv")
    assert has(vit, "blocks.0.mlp.fc1")
    after(vit, lambda: vit.click('[data-id="blocks.0.attn"]', times=2))
    assert has(vit, "blocks.0.attn.qkv")
    vit.wait("document.getAnimations().length === 0")
    scales = []
    for _ in range(3):
        vit.click("#fit")
        vit.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        scales.append(vit.ask("document.querySelector('.svg-pan-zoom_viewport').getCTM().a"))
    assert scales[1:] == pytest.approx(scales[:1] * 2, rel=1e-4), "all is seen: once more changes nothing"
    quiet(vit)


@pytest.mark.long
def test_what_is_opened_stays_where_it_is(vit: Page) -> None:
    after(vit, lambda: vit.click('[data-id="blocks.0.mlp"] .toggle'))
    x, y = vit.centre('[data-id="blocks.0.mlp"]')
    after(vit, lambda: vit.click('[data-id="blocks.0.mlp"] .toggle'))
    vit.wait("document.getAnimations().length === 0")
    left, top, wide = vit.ask("(() => { const r = document.querySelector('[data-id=\"blocks.0.mlp\"]')"
                              ".getBoundingClientRect(); return [r.x, r.y, r.width]; })()")
    assert abs(left + wide / 2 - x) < 2
    assert 0 < y - top < 30


@pytest.mark.long
def test_a_click_shows_the_lines(vit: Page) -> None:
    vit.click('[data-id="blocks.0.attn.core"]')
    assert text(vit, "#about .title-line b") == "attend"
    assert text(vit, "#tabs .here") == "timm.arch"
    own = vit.ask("[...document.querySelectorAll('.line.own')].map((line) => line.innerText)")
    assert len(own) == 1
    assert "core = attend(heads, over=over)" in own[0]
    assert vit.ask("document.querySelector('.line.own .exact') !== null")
    assert vit.ask("[...document.querySelectorAll('.path-line button')].map((b) => b.innerText.split(':')[0])") == [
        "blocks", "Encoder", "residual", "Attention", "attend",
    ]
    vit.click(".path-line button:nth-of-type(2)")
    assert text(vit, "#tabs .here") == "vit.arch"
    marked = vit.ask("[...document.querySelectorAll('.line.way')].map((line) => line.innerText)")
    assert any("Encoder(heads, ratio" in line for line in marked)
    assert any("Attention(heads, over)" in line for line in marked)
    quiet(vit)


@pytest.mark.long
def test_a_row_of_a_box_is_told_from_the_others(vit: Page) -> None:
    rect = vit.ask("(() => { const r = document.querySelector('[data-id=\"blocks.0.attn.qkv\"]')"
                   ".getBoundingClientRect(); return [r.x + r.width / 2, r.y, r.height]; })()")
    for share, name in ((0.25, "linear"), (0.88, "split")):
        x, y = rect[0], rect[1] + share * rect[2]
        vit.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            vit.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        assert text(vit, "#about .title-line b") == name


@pytest.mark.long
def test_hover(vit: Page) -> None:
    vit.move(*vit.centre('[data-id="blocks.0.mlp.fc2"]'))
    vit.wait("!document.getElementById('card').hidden")
    words = text(vit, "#card")
    for word in ("linear", "(1 + 14·14) × 768", "2.36M each, 28.3M in all", "465M each, 5.58G in all",
                 "blocks.0–11.mlp.fc2", "timm.arch:19"):
        assert word in words, words
    vit.move(5, 400)
    vit.wait("document.getElementById('card').hidden")


@pytest.mark.long
def test_search_opens_what_it_finds(vit: Page) -> None:
    after(vit, lambda: vit.key("c"))
    assert not has(vit, "blocks.0.mlp.fc1")
    vit.key("/")
    vit.type("blocks.3.mlp.fc1")
    vit.wait("document.querySelector('.ring.inside')")
    assert vit.ask("document.querySelector('.ring.inside').closest('[data-id]').dataset.id") == "blocks.0"
    assert "blocks.0–11.mlp.fc1" in text(vit, "#found")
    after(vit, lambda: vit.key(*ENTER))
    vit.wait("document.querySelector('.ring.selected')")
    assert vit.ask("document.querySelector('.ring.selected').closest('[data-id]').dataset.id") == "blocks.0.mlp.fc1"
    x, y = vit.centre('[data-id="blocks.0.mlp.fc1"]')
    assert 0 < x < vit.ask("document.getElementById('picture').clientWidth")
    assert 44 < y < 900
    vit.key(*ESCAPE)
    assert vit.ask("document.querySelector('#query').value") == ""
    quiet(vit)


@pytest.mark.long
def test_keys(vit: Page) -> None:
    vit.click('[data-id="patch_embed"]')
    vit.key(*DOWN)
    first = vit.ask("document.querySelector('.ring.selected').closest('[data-id]').dataset.id")
    vit.key(*DOWN)
    second = vit.ask("document.querySelector('.ring.selected').closest('[data-id]').dataset.id")
    assert len({"patch_embed", first, second}) == 3
    vit.key("t")
    assert vit.ask("getComputedStyle(document.getElementById('side')).display") == "none"
    vit.key("?")
    assert vit.ask("document.getElementById('keys').open")
    vit.key(*ESCAPE)
    scale = "document.querySelector('.svg-pan-zoom_viewport').getCTM().a"
    before = vit.ask(scale)
    vit.wait("!document.getElementById('keys').open")
    vit.key("+")
    vit.wait(f"{scale} > {before} * 1.1")
    vit.key("f")
    vit.wait(f"{scale} < {before} * 1.1")
    vit.click('[data-id="blocks.0.attn"] text')
    after(vit, lambda: vit.key(*ENTER))
    assert not has(vit, "blocks.0.attn.qkv")
    quiet(vit)


@pytest.mark.long
def test_unfolded(vit: Page) -> None:
    after(vit, lambda: vit.key("u"))
    after(vit, lambda: vit.key("e"))
    assert has(vit, "blocks.11.attn.qkv")
    assert "blocks.11.attn.qkv" in vit.ask("document.querySelector('[data-id=\"blocks.11.attn.qkv\"]').ariaLabel")
    after(vit, lambda: vit.key("u"))
    assert not has(vit, "blocks.11.attn.qkv")
    quiet(vit)


@pytest.mark.long
def test_a_picture_laid_out_here_is_the_one_that_came(vit: Page) -> None:
    ids = "[...document.querySelectorAll('[data-id]')].map((e) => e.dataset.id + e.getAttribute('class')).sort()"
    words = "[...document.querySelectorAll('#picture text')].map((e) => e.textContent.trim()).filter(Boolean).sort()"
    came = vit.ask(ids), vit.ask(words)
    for _ in range(2):
        after(vit, lambda: vit.click('[data-id="blocks.0.attn"] .toggle'))
    assert (vit.ask(ids), vit.ask(words)) == came


@pytest.mark.long
def test_a_line_shows_its_boxes(vit: Page) -> None:
    vit.ask("[...document.querySelectorAll('.line')].find((l) => l.innerText.includes('norm2 = layernorm')).click()")
    assert vit.ask("[...document.querySelectorAll('.ring.hit')].map((r) => r.closest('[data-id]').dataset.id)") == [
        "blocks.0.norm2",
    ]


@pytest.mark.long
def test_dark(vit: Page) -> None:
    fill = "getComputedStyle(document.querySelector('[data-id=\"blocks.0.attn.core\"] path')).fill"
    ground = "getComputedStyle(document.body).backgroundColor"
    light = vit.ask(fill), vit.ask(ground)
    vit.dark()
    dark = vit.ask(fill), vit.ask(ground)
    assert light[0] != dark[0]
    assert light[1] == "rgb(255, 255, 255)"
    assert dark[1] == "rgb(20, 24, 29)"
    left = vit.ask("[...document.querySelectorAll('#picture text')].filter((t) => { const c = getComputedStyle(t).fill"
                   ".match(/\\d+/g).map(Number); return Math.max(...c) < 130; }).map((t) => t.textContent)")
    assert left == [], "dark words on a dark ground"


@pytest.mark.long
@pytest.mark.parametrize("text", [HOSTILE[i] for i in (0, 2, 6, 7, 10, 13, 14)], ids=str)
def test_hostile_names_do_nothing(tab: Callable[[], Page], network: Make, tmp_path: Path, text: str) -> None:
    graph = hostile(network(SMALL), text)
    place = tmp_path / "evil.html"
    place.write_text(html_of(model_of(graph, caption=text)), "utf-8")
    found = tab()
    found.open(place.as_uri())
    after(found, lambda: found.key("c"))
    after(found, lambda: found.key("e"))
    found.key("/")
    found.type(text[:20].replace("\n", " "))
    found.click('[data-id]')
    found.move(*found.centre('[data-id]'))
    tags = set(found.ask("[...document.querySelectorAll('#picture *')].map((e) => e.localName)"))
    assert tags <= {"g", "path", "polygon", "polyline", "ellipse", "text", "rect", "circle"}
    assert found.ask("document.querySelectorAll('script').length") == 4
    assert found.ask("document.querySelectorAll('img, iframe, a[href], b b').length") == 0
    quiet(found)


@pytest.mark.long
def test_a_script_that_gets_in_does_not_run(tab: Callable[[], Page], library: Make, tmp_path: Path) -> None:
    """The policy by itself: even markup that came in as it is would ask for nothing and run nothing."""
    place = tmp_path / "evil.html"
    evil = "<script>document.title = 'ran'</script><img src='http://127.0.0.1:9/x' onerror=\"document.title = 'ran'\">"
    place.write_text(html_of(model_of(library("UNet"))).replace("<main>", f"<main>{evil}", 1), "utf-8")
    found = tab()
    found.open(place.as_uri())
    time.sleep(0.2)
    assert found.ask("document.title") == "UNet"
    assert any("Content Security Policy" in error for error in found.errors)


@pytest.mark.long
def test_a_thousand_nodes_do_not_freeze_it(tab: Callable[[], Page], network: Make, tmp_path: Path) -> None:
    body = "".join(f"    p{i} = Part({8 + i})\n" for i in range(340))
    found = opened(tab, network(SMALL.split("network N")[0] + f"network Large:\n    input x: B T 8\n{body}"), tmp_path)
    found.ask("window.longest = 0; window.last = performance.now(); (function beat() { const now = performance.now();"
              " longest = Math.max(longest, now - last); last = now; setTimeout(beat, 10); })()")
    after(found, lambda: found.key("e"))
    assert int(text(found, "#hints").split()[0]) >= 1_000
    assert found.ask("longest") < 4_000  # of laying out for many seconds, the page sees only the result
    found.key(*ESCAPE)
    quiet(found)


@pytest.mark.long
def test_too_many_boxes_are_refused_with_a_reason(tab: Callable[[], Page], network: Make, tmp_path: Path) -> None:
    found = opened(tab, network(SMALL.replace("repeat 3", "repeat 900")), tmp_path)
    found.key("u")
    found.wait("!document.getElementById('notice').hidden")
    assert "at most 2,000 boxes are drawn" in text(found, "#notice")
    quiet(found)


@pytest.mark.long
def test_a_layout_can_be_stopped(tab: Callable[[], Page], network: Make, tmp_path: Path) -> None:
    body = "".join(f"    p{i} = Part({8 + i})\n" for i in range(300))
    found = opened(tab, network(SMALL.split("network N")[0] + f"network Large:\n    input x: B T 8\n{body}"), tmp_path)
    before = drawn(found)
    found.key("e")
    found.wait("document.getElementById('notice').innerText.startsWith('laying out')")
    found.key(*ESCAPE)
    found.wait("document.getElementById('notice').hidden")
    assert drawn(found) == before
    after(found, lambda: found.click('[data-id="p0"] .toggle'))
    assert has(found, "p0.a")


@pytest.mark.long
def test_without_graphviz_the_page_draws_itself(
    tab: Callable[[], Page], library: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ogive.compiler.picture.page.model.is_available", lambda: False)
    found = opened(tab, library("ViT.B"), tmp_path)
    assert has(found, "blocks.0.attn.qkv")
    quiet(found)
