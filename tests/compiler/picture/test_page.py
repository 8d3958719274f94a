"""The page of a network: what it knows, how it is written, and that its scripts put pictures together as we do here."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from drawn_texts import SMALL
from hostile_names import HOSTILE, hostile

from ogive.compiler.picture import draw, render, to_dot
from ogive.compiler.picture.fold import fold
from ogive.compiler.picture.layout import MOST_BOXES, whole
from ogive.compiler.picture.model import Drawing
from ogive.compiler.picture.page import html_of, model_of
from ogive.compiler.picture.page.closing import closed
from ogive.compiler.picture.page.details import pattern
from ogive.compiler.picture.page.write import embedded
from ogive.compiler.picture.render import is_available
from ogive.dsl.build import build, names_of
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph
from ogive.dsl.load import library_names, load_library

Make = Callable[[str], Graph]
SCRIPTS = Path(draw.__code__.co_filename).parent / "page"

NET = SMALL.replace("attend(2)", "attend(2, over=window(4))")


class Parts(HTMLParser):
    """The scripts of a page by their id, and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._in: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = dict(attrs).get("id") or "script" if tag == "script" else "style" if tag == "style" else None

    def handle_endtag(self, tag: str) -> None:
        self._in = None

    def handle_data(self, data: str) -> None:
        if self._in:
            self.scripts[self._in] = self.scripts.get(self._in, "") + data


def items_of(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every part of the folded view by its id."""
    found = {}
    stack = list(model["folded"]["items"])
    while stack:
        item = stack.pop()
        found[item["id"]] = item
        stack += item.get("items", [])
    return found


@pytest.fixture
def small(network: Make) -> Graph:
    return network(NET)


def test_it_knows_what_a_hover_says(library: Make) -> None:
    model = model_of(library("ViT.B"), picture=False)
    qkv = items_of(model)["blocks.0.attn.qkv"]["rows"][0]
    assert qkv["key"] == "blocks.0–11.attn.qkv"
    assert qkv["weights"] == [["weight", "2304×768", False], ["bias", "2304", False]]
    assert (qkv["params"], qkv["times"]) == (12 * (2304 * 768 + 2304), 12)
    assert qkv["macs"] == 12 * 197 * 768 * 2304
    assert (qkv["in"], qkv["out"]) == (["(1 + 14·14) × 768"], ["(1 + 14·14) × 2304"])
    assert (model["params"], model["macs"]) == ("86.6M", "17.6G")


def test_places_lead_from_the_op_to_the_network(library: Make) -> None:
    model = model_of(library("ViT.B"), picture=False)
    files = model["files"]
    assert [file["name"].rsplit("/")[-1] for file in files] == ["vit.arch", "timm.arch"]
    (file, line, start, last, end, _), *way = items_of(model)["blocks.0.attn.qkv"]["rows"][0]["places"]
    text = files[file]["text"].splitlines()[line]
    assert (last, text[start:end]) == (line, 'linear(3 * C, bias=qkv_bias, init="trunc_normal")')
    words = [(place[5], files[place[0]]["text"].splitlines()[place[1]].strip()) for place in way]
    assert [word for word, _ in words] == ["Attention", "residual", "Encoder", "blocks"]
    assert words[0][1].startswith("attn  = Attention(")
    assert words[3][1].startswith("repeat depth as blocks[i]:")
    first = items_of(model)["blocks.0"]["rows"][0]["places"][0]
    assert files[first[0]]["text"].splitlines()[first[1]].startswith("block Encoder(")


def test_a_part_says_what_varies(network: Make) -> None:
    text = NET.replace("relu", "drop_path(p)").replace("Part(w)", "Part(w, p=0.0)").replace("(16)", "(16, i / 9)")
    graph = network(text)
    rows = items_of(model_of(graph, picture=False))["blocks.1"]["rows"]
    assert rows[0]["varies"] == ["drop path 0 .. 0.222"]


def test_the_sizes_that_figures_are_for(library: Make) -> None:
    assert model_of(library("UNet"), picture=False)["at"] == "B = 1, H = 224, W = 224"


def test_a_size_without_a_default_leaves_figures_out(small: Graph) -> None:
    model = model_of(small, picture=False)
    assert (model["macs"], model["at"]) == ("", "")
    assert "macs" not in items_of(model)["end"]["rows"][0]


@pytest.mark.parametrize(
    ("names", "one"),
    [
        (["a.0.b", "a.1.b", "a.2.b"], "a.0–2.b"),
        (["a.0.b", "a.2.b"], "a.{0,2}.b"),
        (["a.0.b.0", "a.0.b.1", "a.1.b.0", "a.1.b.1"], "a.0–1.b.0–1"),
        (["x"], "x"),
        (["a.b", "c"], "a.b, c"),
    ],
)
def test_keys_as_one(names: list[str], one: str) -> None:
    assert pattern(names) == one


def test_one_file_and_no_requests(small: Graph, tmp_path: Path) -> None:
    place = draw(small, tmp_path / "net.HTML", caption="A <b>caption</b> & more")
    text = place.read_text("utf-8")
    parts = Parts(text)
    for tag, attributes in parts.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form") or attributes.get("method") == "dialog"
        for name in ("src", "href", "action", "data", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.findall(r"url\(|@import", parts.scripts["style"])
    assert len(text) < 3_000_000


def test_only_our_scripts_run(small: Graph) -> None:
    parts = Parts(html_of(model_of(small)))
    policy = next(a["content"] for tag, a in parts.elements if tag == "meta" and a.get("http-equiv")) or ""
    allowed = dict(rule.partition(" ")[::2] for rule in policy.split("; "))
    for name, rule in (("script", "script-src"), ("style", "style-src-elem")):
        digest = base64.b64encode(hashlib.sha256(parts.scripts[name].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed[rule]
        assert "unsafe-inline" not in allowed[rule]
    assert allowed["default-src"] == "'none'"
    assert "connect-src" not in allowed
    assert "connect-src 'self'" in html_of(model_of(small), live="/x/news")


def test_the_layouts_are_those_that_are_vendored(small: Graph) -> None:
    packed = Parts(html_of(model_of(small))).scripts["viz"]
    ours = (SCRIPTS / "vendor" / "viz-global.js").read_bytes()
    assert gzip.decompress(base64.b64decode(packed)) == ours
    licences = (SCRIPTS / "vendor" / "LICENSES.txt").read_text("utf-8")
    assert re.search(rb"Viz\.js ([\d.]+)", ours)[1].decode() in licences  # type: ignore[index]
    assert "svg-pan-zoom 3.6.2" in licences
    assert "v3.6.2" in (SCRIPTS / "vendor" / "svg-pan-zoom.min.js").read_text("utf-8")[:40]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_text(small: Graph, text: str) -> None:
    plain = Parts(html_of(model_of(small, picture=False)))
    evil = Parts(html_of(model_of(hostile(small, text), caption=text, picture=False)))
    assert [tag for tag, _ in plain.elements] == [tag for tag, _ in evil.elements]
    assert plain.scripts["script"] == evil.scripts["script"]
    model = json.loads(evil.scripts["model"])
    assert model["caption"] == text
    assert not re.search("[<>&]", evil.scripts["model"])


def test_sizes_stand_in_shapes_and_figures(library: Make, tmp_path: Path) -> None:
    graph = library("UNet")
    model = model_of(graph, sizes={"H": 384, "W": 384}, picture=False)
    assert model["at"] == "B = 1, H = 384, W = 384"
    assert items_of(model)["head"]["rows"][0]["out"] == ["2 × 384 × 384"]
    assert items_of(model)["head"]["rows"][0]["macs"] == 384 * 384 * 64 * 2
    text = draw(graph, tmp_path / "net.html", sizes={"H": 384}).read_text("utf-8")
    assert json.loads(Parts(text).scripts["model"])["at"] == "B = 1, H = 384, W = 224"


def test_what_is_asked_for_is_open_at_first(library: Make, tmp_path: Path) -> None:
    def opened(**options: Any) -> set[str]:
        text = draw(library("ViT.B"), tmp_path / "net.html", **options).read_text("utf-8")
        return set(json.loads(Parts(text).scripts["model"])["opened"])

    assert opened(depth=0) == set()
    assert opened(depth=1) == {"blocks.0"}
    assert opened(depth=1, expand=["blocks.*.mlp"]) == {"blocks.0", "blocks.0.mlp"}
    assert opened(collapse=["blocks.*.attn"]) == {"blocks.0", "blocks.0.mlp"}


@pytest.mark.parametrize(
    ("name", "options", "code", "words"),
    [
        ("a.htm", {}, "A810", "a.html"), ("a.html", {"direction": "right"}, "A803", "`direction` says nothing"),
        ("a.html", {"theme": "dark"}, "A803", "`theme` says nothing"), ("none/a.html", {}, "A811", "make it first"),
    ],
)
def test_what_a_page_is_not(
    small: Graph, tmp_path: Path, name: str, options: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ArchError, match=words) as caught:
        draw(small, tmp_path / name, **options)
    assert caught.value.codes == (code,)
    assert list(tmp_path.iterdir()) == []


def test_json_in_a_script() -> None:
    text = "</script><!--\u2028\u2029'\"\\"
    assert json.loads(embedded(text)) == text
    assert not re.search("[<>&\u2028\u2029]", embedded(text))


def test_the_same_network_gives_the_same_page(network: Make) -> None:
    assert html_of(model_of(network(NET))) == html_of(model_of(network(NET)))


@pytest.mark.long
def test_a_network_that_is_too_large_is_cut_where_it_is_deep(network: Make) -> None:
    body = "\n".join(f"    p{i} = Part({8 + i})" for i in range(900))
    graph = network(NET.split("network N")[0] + f"network Large:\n    input x: B T 8\n{body}\n")
    model = model_of(graph, picture=False)
    assert model["cut"] == 0
    assert model["folded"]["boxes"] <= MOST_BOXES
    assert model["unfolded"] is None


@pytest.mark.long
def test_what_cannot_be_unfolded_says_how_much_it_is(network: Make) -> None:
    graph = network(NET.replace("repeat 3", "repeat 900"))
    model = model_of(graph, picture=False)
    assert model["folded"]["boxes"] < 20
    assert model["unfolded"] == {"boxes": len(graph)}


# ------------------------------------------------------------------------------------------- the scripts, in node

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no node here to run the page's scripts in: `apt install nodejs`")

RUN = """
const read = require("fs").readFileSync, vm = require("vm"), input = JSON.parse(read(0, "utf8"));
const text = ["assemble", "search", "highlight"].map((name) => read(`${input.folder}/${name}.js`, "utf8")).join("\\n");
const {Assemble, Search, Highlight} = vm.runInThisContext(`(() => {${text}; return {Assemble, Search, Highlight}})()`);
const view = input.model.folded, parts = Assemble.index(view);
const drawings = (input.opened ?? []).map((opened) => {
  const made = Assemble.assemble(input.model, view, parts, new Set(opened));
  return {...made, shown: [...made.shown].map(([dom, item]) => [dom, item.id]), rising: [...made.rising].sort()};
});
const entries = Search.entries(parts);
const found = (input.queries ?? []).map((query) => Search.find(entries, query).map(({row}) => row.key ?? row.path));
const words = (input.lines ?? []).map((line) => Highlight.words(line));
process.stdout.write(JSON.stringify({drawings, found, words}));
"""


def run(model: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the page's scripts make of a model."""
    assert NODE is not None
    given = json.dumps({"folder": str(SCRIPTS), "model": model, **more})
    done = subprocess.run([NODE, "-e", RUN], input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@needs_node
@pytest.mark.parametrize("name", ["ViT.B", "UNet", "ResNet.r50"])
def test_the_page_closes_frames_as_we_do(library: Make, name: str) -> None:
    graph = library(name)
    drawing = whole(graph, fold(graph), 64)
    frames = [frame.id for frame in drawing.frames()]
    states = [frames, [], frames[:1], frames[: len(frames) // 2], frames[1::2], frames[:-1]]
    made = run(model_of(graph, picture=False), opened=states)["drawings"]
    for opened, theirs in zip(states, made, strict=True):
        assert alike(closed(drawing, opened), theirs), opened
    assert not alike(closed(drawing, []), made[0])


@needs_node
@pytest.mark.long
@pytest.mark.parametrize("file", library_names())
def test_every_network_of_the_library_is_a_page(file: str) -> None:
    unit = load_library(file)
    for name in {name.partition(".")[0]: name for name in reversed(names_of(unit))}.values():
        graph = build(unit, name).graph
        model = model_of(graph, picture=False)
        assert model["cut"] is None
        assert len(html_of(model)) < 3_000_000
        drawing = whole(graph, fold(graph), 64)
        frames = [frame.id for frame in drawing.frames()]
        states = [frames, [], frames[::2], model["opened"]]
        for opened, theirs in zip(states, run(model, opened=states)["drawings"], strict=True):
            assert alike(closed(drawing, opened), theirs), (name, opened)


def alike(ours: Drawing, theirs: dict[str, Any]) -> bool:
    """Whether the page shows the same parts, joined in the same way."""
    ids = [frame.id for frame in ours.frames()] + [box.id for box in ours.boxes()]
    links = [(x.source, x.target, x.kind, x.label, x.tail, x.head, list(x.frames)) for x in ours.links]
    fields = ("source", "target", "kind", "label", "tail", "head", "frames")
    return (
        sorted(id for _, id in theirs["shown"]) == sorted(ids)
        and theirs["count"] == sum(box.kind != "entry" for box in ours.boxes())
        and [tuple(x[name] for name in fields) for x in theirs["links"]] == links
        and theirs["rising"] == sorted(ours.rising)
        and [tuple(pair) for pair in theirs["levels"]] == list(ours.levels)
    )


@needs_node
def test_search(library: Make) -> None:
    queries = [
        "qkv", "blocks.7.attn.qkv", "blocks.7.attn.qkv.weight", "blocks.12.attn.qkv", "LAYERNORM norm2", "attend",
        "no such thing", "", "blocks.0-11",
    ]
    found = dict(zip(queries, run(model_of(library("ViT.B"), picture=False), queries=queries)["found"], strict=True))
    assert found["qkv"] == ["blocks.0–11.attn.qkv"]
    assert found["blocks.7.attn.qkv"] == ["blocks.0–11.attn.qkv"]
    assert found["blocks.7.attn.qkv.weight"] == ["blocks.0–11.attn.qkv"]
    assert found["blocks.12.attn.qkv"] == []
    assert found["LAYERNORM norm2"] == ["blocks.0–11.norm2"]
    assert found["attend"] == ["blocks.0–11.attn.core"]
    assert found["no such thing"] == found[""] == found["blocks.0-11"] == []


LAY_OUT = """
const read = require("fs").readFileSync, answer = (viz) => viz.renderString(read(0, "utf8"), {format: "json"});
require(process.argv[1]).instance().then((viz) => process.stdout.write(answer(viz)));
"""


@needs_node
@pytest.mark.skipif(not is_available(), reason="no Graphviz here")
@pytest.mark.parametrize("name", ["ViT.B", "ResNet.r50"])
def test_skips_go_round_at_the_right_in_the_page_and_on_paper(library: Make, name: str) -> None:
    """Whichever Graphviz lays them out, and straight: the two that are at hand disagree about what is not said."""
    text = to_dot(library(name))
    script = str(SCRIPTS / "vendor" / "viz-global.js")
    theirs = subprocess.run([str(NODE), "-e", LAY_OUT, script], input=text, capture_output=True, text=True, timeout=60)
    for found in (json.loads(theirs.stdout), json.loads(render.run(text, "json"))):
        names = {thing["_gvid"]: thing["name"] for thing in found["objects"]}
        across = {t["name"]: float(t["pos"].partition(",")[0]) for t in found["objects"] if "pos" in t}
        ends = [(names[edge["tail"]], names[edge["head"]]) for edge in found["edges"]]
        bends = [(a, b) for a, b in ends if b.endswith(("_from", "_to"))]
        assert len(bends) >= 3
        for a, b in bends:
            if a.endswith("_from"):
                assert across[a] == pytest.approx(across[b], abs=1), name
            else:
                assert across[a] + 20 < across[b], name


@needs_node
def test_colours_lose_no_letter(library: Make) -> None:
    model = model_of(library("ViT.B"), picture=False)
    lines = [line for file in model["files"] for line in file["text"].splitlines()]
    lines += ['x = "open', "é🙂 ` \t%", '"\\"" # c']
    for line, words in zip(lines, run(model, lines=lines)["words"], strict=True):
        assert "".join(text for _, text in words) == line
    (words,) = run(model, lines=['    qkv = linear(3 * C, bias=True, init="zeros")  # why'])["words"]
    kinds = {text.strip(): kind for kind, text in words if text.strip()}
    assert kinds["linear"] == "op"
    assert (kinds["3"], kinds["True"], kinds['"zeros"'], kinds["# why"]) == ("number", "keyword", "string", "comment")
    assert (kinds["qkv"], kinds["bias"]) == ("", "")
