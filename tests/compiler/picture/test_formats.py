"""Mermaid and Model Explorer: networks of the library, hostile names, limits; and what reads them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from ogive.compiler.picture.layout import arrange
from ogive.compiler.picture.mermaid import MOST_LETTERS, mermaid, to_mermaid
from ogive.compiler.picture.model import Drawing, Frame, Item, Row
from ogive.compiler.picture.model_explorer import collection, to_model_explorer
from ogive.compiler.picture.style import THEMES
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.graph import Graph
from ogive.pictures import draw

Make = Callable[[str], Graph]

LABEL = r'"(?:[A-Za-z0-9_ ×·,+/.=()\[\]:|–…⌈⌉⌊⌋−÷‖≡~%^\'-]|#\d+;|</?b>|<br/>)*"'
NODE = rf"n\d+(?:\[{LABEL}\]|\[\[{LABEL}\]\]|\(\({LABEL}\)\)|\(\[{LABEL}\]\))"
LINK = rf"n\d+ (?:-->|-\.-)(?:\|{LABEL}\|)? n\d+"
COLOR = r"#[0-9a-f]{6}"
LINES = re.compile("|".join((
    rf"subgraph f\d+\[{LABEL}\]", "end", NODE, LINK,
    rf"classDef \w+_ fill:{COLOR},stroke:{COLOR},color:{COLOR}", r"class n\d+(,n\d+)* \w+_", r"%% [^{}]*",
)))
"""What we write of Mermaid, line by line: a strict part of its grammar."""

HOSTILE = ('end', '"]', '<script>alert(1)</script>', '1. list', '- list', '`code`', '#quot;', '&lt;', '%%{init}%%',
           'a-->b', 'x|y', 'ü\n\u202e\x00', '*bold* _it_', 'click n0 "javascript:alert(1)"', '$$x$$', '\\', ';', '')
"""What may stand in names, settings and captions once some other program writes them."""


def hostile(graph: Graph) -> Drawing:
    """A drawing whose every text is hostile, round and round."""
    words = cycle(HOSTILE)

    def row(row: Row) -> Row:
        return replace(row, name=next(words), op=next(words), detail=next(words))

    def item(it: Item) -> Item:
        if isinstance(it, Frame):
            return replace(it, name=next(words), title=next(words), items=tuple(map(item, it.items)))
        return replace(it, rows=tuple(map(row, it.rows)), note=next(words))

    drawing = arrange(graph, depth=9)
    links = tuple(replace(link, label=next(words)) for link in drawing.links)
    items = tuple(map(item, drawing.items))
    return replace(drawing, title="".join(HOSTILE), caption="a {b} %%{init: x}%%\nend", items=items, links=links)


def well_formed(text: str) -> None:
    lines = text.splitlines()
    assert lines[0] == "---" and lines[2] == "---"
    assert isinstance(json.loads(lines[1].removeprefix("title: ")), str)
    assert re.fullmatch("flowchart (TB|BT|LR|RL)", lines[3])
    depth = 0
    known: set[str] = set()
    for line in lines[4:]:
        bare = line.strip()
        assert LINES.fullmatch(bare), bare
        depth += bare.startswith("subgraph ") - (bare == "end")
        assert depth >= 0
        names = re.findall(r"\bn\d+\b", re.sub(r'"[^"]*"', "", bare))
        if re.match(r"n\d+[\[(]", bare):
            known.add(names[0])
        else:
            assert known.issuperset(names)
    assert depth == 0


def test_mermaid_is_well_formed(drawn: Graph) -> None:
    text = to_mermaid(drawn)
    well_formed(text)
    drawing = arrange(drawn)
    assert len(re.findall(NODE, text)) == sum(1 for _ in drawing.boxes())
    assert len(re.findall(LINK, text)) == len(drawing.links)
    assert text.count("subgraph ") == sum(1 for _ in drawing.frames())
    assert text == to_mermaid(drawn)


def test_mermaid_has_directions_themes_and_no_title(library: Make) -> None:
    graph = library("ViT.Ti")
    assert to_mermaid(graph, direction="right", title="").startswith("flowchart LR\n")
    assert to_mermaid(graph, theme="dark") != to_mermaid(graph)
    with pytest.raises(ArchError, match="A803"):
        to_mermaid(graph, theme="drak")


def test_hostile_names_are_text(library: Make) -> None:
    text = mermaid(hostile(library("ViT.Ti")), THEMES["light"])
    well_formed(text)
    assert "<script" not in text and "\nclick" not in text and "%%{" not in text and "\u202e" not in text
    data = to_model_explorer(library("ViT.Ti"), title="a\u202eb", caption="a\nb")
    assert json.loads(data)["label"] == "a\\u202eb"


def test_mermaid_refuses_what_pages_do_not_draw(library: Make, network: Make) -> None:
    graph = library("ResNet.r50")
    flat = arrange(graph, depth=0)
    assert len(mermaid(flat, THEMES["light"])) < MOST_LETTERS
    with pytest.raises(ArchError) as caught:
        to_mermaid(network("network Long:\n    input x: B N C=8\n" + "".join(
            f"    residual:\n        n{i} = linear(8)\n" for i in range(200)
        )))
    assert caught.value.codes == ("A815",) and "arrows" in caught.value.render()


@pytest.mark.long
def test_mermaid_reads_it(tmp_path: Path, library: Make) -> None:
    """The parser of Mermaid itself, where node and the npm packages `mermaid` and `jsdom` are (in $NODE_PATH)."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    script = tmp_path / "check.cjs"
    script.write_text(CHECK)
    texts = {name: to_mermaid(library(name)) for name in ("ViT.B", "ResNet.r50", "UNet", "MLPMixer.B16")}
    texts["hostile"] = mermaid(hostile(library("ViT.Ti")), THEMES["light"])
    for name, text in texts.items():
        (tmp_path / f"{name}.mmd").write_text(text, "utf-8")
    done = subprocess.run([node, script, *(tmp_path / f"{name}.mmd" for name in texts)], capture_output=True, text=True,
                          timeout=120, check=False)
    if done.returncode == 3:
        pytest.skip("no npm packages `mermaid` and `jsdom` in $NODE_PATH")
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(json.loads(done.stdout))
    for name, text in texts.items():
        counts = [len(re.findall(NODE, text)), len(re.findall(LINK, text)), text.count("subgraph ")]
        assert found[f"{name}.mmd"] == counts


CHECK = """
const fs = require('fs'), path = require('path');
(async () => {
  let JSDOM, mermaid;
  try {
    ({ JSDOM } = require('jsdom'));
    const dom = new JSDOM('<!DOCTYPE html><body></body>');
    Object.assign(globalThis, { window: dom.window, document: dom.window.document });
    mermaid = (await import(require.resolve('mermaid').replace('mermaid.core.mjs', 'mermaid.core.mjs'))).default;
  } catch (error) { process.exit(error.code === 'MODULE_NOT_FOUND' ? 3 : 1); }
  const found = [];
  for (const file of process.argv.slice(2)) {
    const text = fs.readFileSync(file, 'utf8');
    await mermaid.parse(text);
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    found.push([path.basename(file), [db.getVertices().size, db.getEdges().length, db.getSubGraphs().length]]);
  }
  console.log(JSON.stringify(found));
})().catch((error) => { console.error(String(error)); process.exit(1); });
"""

FIELDS = {
    "graph": {"id", "nodes", "groupNodeAttributes", "groupNodeConfigs", "nodeLabelsToHide", "tasksData",
              "layoutConfigs"},
    "node": {"id", "label", "namespace", "subgraphIds", "attrs", "incomingEdges", "outputsMetadata", "inputsMetadata",
             "style", "config"},
    "edge": {"sourceNodeId", "sourceNodeOutputId", "targetNodeInputId"},
}
"""The fields of `model_explorer/graph_builder.py`, ai-edge-model-explorer 0.1.34."""


def texts(pairs: list[dict[str, str]]) -> None:
    assert all(set(pair) == {"key", "value"} and all(isinstance(v, str) for v in pair.values()) for pair in pairs)


def test_model_explorer_has_the_fields_of_its_schema(drawn: Graph) -> None:
    data = collection(drawn)
    assert set(data) == {"label", "graphs"} and len(data["graphs"]) == 1
    (graph,) = data["graphs"]
    assert set(graph) <= FIELDS["graph"]
    ids = [node["id"] for node in graph["nodes"]]
    assert len(set(ids)) == len(ids) == len(drawn) + 1
    outputs = {node["id"]: {m["id"] for m in node["outputsMetadata"]} for node in graph["nodes"]}
    for node in graph["nodes"]:
        assert set(node) <= FIELDS["node"]
        assert node["label"] and not node["namespace"].startswith("/") and "//" not in node["namespace"]
        texts(node["attrs"])
        for edge in node["incomingEdges"]:
            assert set(edge) == FIELDS["edge"]
            assert edge["sourceNodeOutputId"] in outputs[edge["sourceNodeId"]]
        for item in [*node["outputsMetadata"], *node.get("inputsMetadata", [])]:
            assert set(item) == {"id", "attrs"}
            texts(item["attrs"])
    layers = {"/".join(n["namespace"].split("/")[:i]) for n in graph["nodes"] for i in range(9)}
    assert set(graph["groupNodeAttributes"]) <= layers | {""}
    assert sum(len(node["incomingEdges"]) for node in graph["nodes"]) == sum(
        len(node.inputs) for node in drawn
    ) + len(drawn.outputs)


def test_model_explorer_nests_and_counts(library: Make) -> None:
    (graph,) = collection(library("ViT.B"))["graphs"]
    nodes = {node["id"]: node for node in graph["nodes"]}
    qkv = nodes["blocks.3.attn.qkv"]
    assert (qkv["label"], qkv["namespace"]) == ("qkv", "blocks/3/attn")
    attrs = {pair["key"]: pair["value"] for pair in qkv["attrs"]}
    assert attrs["weight weight"] == "2304 × 768" and attrs["parameters"] == "1,771,776"
    groups = graph["groupNodeAttributes"]
    assert groups["blocks/3/attn"]["block"] == "Attention"
    assert groups[""]["parameters"] == "86,567,656"
    assert groups[""]["multiply-adds"].startswith("17,563,828,224")


def test_files(library: Make, tmp_path: Path) -> None:
    graph = library("ViT.Ti")
    assert draw(graph, tmp_path / "a.mmd").read_text("utf-8") == to_mermaid(graph)
    place = draw(graph, tmp_path / "a.model-explorer.json", title="T", caption="c")
    data = json.loads(place.read_text("utf-8"))
    assert data["label"] == "T" and data["graphs"][0]["groupNodeAttributes"][""]["about"] == "c"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mmd", "a.model-explorer.json"]


@pytest.mark.parametrize(("name", "options", "code", "help"), [
    ("a.json", {}, "A810", "a.model-explorer.json"), ("a.md", {}, "A810", "a.mmd"), ("no/a.mmd", {}, "A811", "make it"),
    ("a.mmd", {"inset": "Encoder"}, "A803", ".svg"), ("a.model-explorer.json", {"depth": 2}, "A803", "leave it out"),
    ("a.mmd", {"expand": ["blcks"]}, "A818", "blocks"), ("a.model-explorer.json", {"sizes": {"K": 2}}, "A802", "B"),
])
def test_what_is_refused(
    library: Make, tmp_path: Path, name: str, options: dict[str, object], code: str, help: str
) -> None:
    with pytest.raises(ArchError) as caught:
        draw(library("ViT.Ti"), tmp_path / name, **options)  # type: ignore[arg-type]
    assert caught.value.codes == (code,) and help in caught.value.render()
