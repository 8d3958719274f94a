"""`ogive check --format`: the same findings as text, JSON, SARIF and annotations of a workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from door.command import SMALL, ogive, process, refused

from ogive.dsl.codes import meaning
from ogive.dsl.diagnostics import Diagnostic, Label
from ogive.dsl.github import annotation
from ogive.dsl.sarif import sarif
from ogive.dsl.source import Source

WRONG = """\
network A(n=3):
    input x: B 4
    a = linear(m)
    a = linear(4)
    b = linaer(4)
    y = x +

network B(dim=8):
    input x: B 4
    presets  dim  heads:
        S    8    2
    c = concat(x, 100%)
"""
NAMES = """\
network A(n=3):
    input x: B 4
    a = linear(m)
    a = linear(4)
    b = linaer(4)
    c = linear(4, bais=False)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("syntax.arch").write_text(WRONG)
    Path("names, of.arch").write_text(NAMES)
    Path("small.arch").write_text(SMALL)
    return tmp_path


# ------------------------------------------------------------------------------------------------ JSON
def test_json_has_a_version_and_every_mistake_in_order() -> None:
    data = json.loads(ogive("check", "syntax.arch", "names, of.arch", "--format", "json").out)
    assert (data["version"], data["ok"]) == (1, False)
    assert [[m["code"] for m in file["mistakes"]] for file in data["files"]] == [
        ["A002", "A002"], ["A101", "A103", "A102", "A301"],
    ]
    for file in data["files"]:
        for mistake in file["mistakes"]:
            assert set(mistake) == {"code", "severity", "title", "span", "label", "labels", "notes", "help"}
            assert set(mistake["span"]) == {"file", "line", "column", "end_line", "end_column"}
    twice = data["files"][1]["mistakes"][1]
    assert twice["labels"][0]["span"]["line"] == 3


def test_json_is_the_switch_of_every_command() -> None:
    assert ogive("check", "syntax.arch", "--json").out == ogive("check", "syntax.arch", "--format", "json").out
    assert ogive("check", "syntax.arch", "--json", "--format", "json").code == 1
    refused(ogive("check", "syntax.arch", "--json", "--format", "sarif"), 2, "ask for two outputs", "leave one of them")


def test_an_unknown_format_is_refused_and_the_known_ones_are_told() -> None:
    refused(ogive("check", "small.arch", "--format", "xml"), 2, "`xml`", "sarif")


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_the_exit_code_does_not_depend_on_the_format(form: str) -> None:
    assert ogive("check", "small.arch", "--format", form).code == 0
    assert ogive("check", "small.arch", "syntax.arch", "--format", form).code == 1
    assert ogive("check", "small.arch", "nothing.arch", "--format", form).code == 2


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_the_output_does_not_depend_on_the_hash_seed(form: str, folder: Path) -> None:
    words = ("check", "syntax.arch", "names, of.arch", "small.arch", "--format", form)
    first, second = (process(*words, cwd=folder, PYTHONHASHSEED=seed) for seed in ("0", "4711"))
    assert first == second
    assert "A103" in first.out + first.err and first.code == 1


# ------------------------------------------------------------------------------------------------ SARIF
REQUIRED: dict[str, set[str]] = {
    "log": {"version", "runs"}, "run": {"tool"}, "tool": {"driver"}, "driver": {"name"}, "rule": {"id"},
    "result": {"message"}, "location": set(), "message": {"text"},
}
ALLOWED: dict[str, set[str]] = {
    "log": {"$schema", "version", "runs"},
    "run": {"tool", "columnKind", "results"},
    "tool": {"driver"},
    "driver": {"name", "version", "rules"},
    "rule": {"id", "shortDescription", "help"},
    "result": {"ruleId", "ruleIndex", "level", "message", "locations", "relatedLocations"},
    "location": {"id", "physicalLocation", "message"},
    "physical": {"artifactLocation", "region"},
    "region": {"startLine", "startColumn", "endLine", "endColumn", "snippet"},
    "message": {"text", "markdown"},
}
"""Of the standard (OASIS SARIF 2.1.0, section 3): what an object must have, and what of it this package writes."""


def faults(log: dict[str, Any]) -> list[str]:
    """Where a log is not as the standard asks."""
    return [*_faults(log)]


def _keys(what: str, value: dict[str, Any]) -> Iterator[str]:
    if missing := REQUIRED.get(what, set()) - set(value):
        yield f"{what} lacks {sorted(missing)}"
    if strange := set(value) - ALLOWED[what]:
        yield f"{what} has {sorted(strange)}"


def _faults(log: dict[str, Any]) -> Iterator[str]:
    yield from _keys("log", log)
    if log.get("version") != "2.1.0":
        yield "another version"
    for run in log.get("runs", []):
        yield from _keys("run", run)
        yield from _keys("tool", run["tool"])
        yield from _keys("driver", run["tool"]["driver"])
        if run.get("columnKind") not in ("utf16CodeUnits", "unicodeCodePoints"):
            yield "another kind of column"
        rules = run["tool"]["driver"]["rules"]
        for rule in rules:
            yield from _keys("rule", rule)
            yield from _keys("message", rule["shortDescription"])
        if len({rule["id"] for rule in rules}) != len(rules):
            yield "a rule stands twice"
        for result in run["results"]:
            yield from _result_faults(result, rules)


def _result_faults(result: dict[str, Any], rules: list[dict[str, Any]]) -> Iterator[str]:
    yield from _keys("result", result)
    yield from _keys("message", result["message"])
    if result["level"] not in ("none", "note", "warning", "error"):
        yield "another level"
    if [rule["id"] for rule in rules].index(result["ruleId"]) != result["ruleIndex"]:
        yield "an index of another rule"
    for location in [*result["locations"], *result.get("relatedLocations", [])]:
        yield from _keys("location", location)
        yield from _keys("physical", location["physicalLocation"])
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        if not re.fullmatch(r"[A-Za-z0-9\-._~:/?#@!$&'()*+;=%]+", uri):
            yield f"`{uri}` is no URI"
        region = location["physicalLocation"].get("region")
        if region is not None:
            yield from _keys("region", region)
            start = (region["startLine"], region["startColumn"])
            if min(start) < 1 or (region["endLine"], region["endColumn"]) < start:
                yield "a region that ends before it starts"


def test_sarif_is_what_the_standard_asks() -> None:
    log = json.loads(ogive("check", "syntax.arch", "names, of.arch", "nothing.arch", "--format", "sarif").out)
    assert faults(log) == []
    (run,) = log["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["A002", "A002", "A101", "A103", "A102", "A301", "A800"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({result["ruleId"] for result in run["results"]})
    assert all(rule["shortDescription"]["text"] == meaning(rule["id"]) for rule in rules)


def test_sarif_of_nothing_wrong_has_no_results() -> None:
    Path("fine.arch").write_text(FINE)
    log = json.loads(ogive("check", "fine.arch", "--format", "sarif").out)
    assert faults(log) == [] and log["runs"][0]["results"] == []


FINE = "network N:\n    input x: B 4\n    a = linear(4)\n"
UNUSED = "from std.timm import Mlp\n\nnetwork N:\n    input x: B 4\n    a = linear(4)\n"


def test_warnings_are_told_to_scanners() -> None:
    Path("unused.arch").write_text(UNUSED)
    done = ogive("check", "unused.arch", "--format", "sarif")
    log = json.loads(done.out)
    (result,) = log["runs"][0]["results"]
    assert faults(log) == [] and done.code == 0
    assert (result["ruleId"], result["level"]) == ("A601", "warning")
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1


def test_warnings_are_annotations() -> None:
    Path("unused.arch").write_text(UNUSED)
    (line,) = ogive("check", "unused.arch", "--format", "github").out.splitlines()
    kind, fields, words = read(line)
    assert (kind, fields["line"], fields["title"][:4]) == ("warning", "1", "A601")
    assert "take it out, or use it" in words


def test_labels_are_related_locations_and_notes_and_help_are_kept() -> None:
    source = Source("some folder/a.arch", "über = 1\nx = 2\n")
    mistake = Diagnostic(
        "A103", "`x` has a meaning", source.span(9, 10), "here", (Label(source.span(0, 4), "there"),), ("a note",),
        "another name",
    )
    log = sarif([("a.arch", [mistake]), ("b.arch", [mistake])], "1.2.3")
    assert faults(log) == []
    (result,) = log["runs"][0]["results"]  # two files share it by an import: it stands once
    assert result["message"]["text"] == "`x` has a meaning\na note\nhelp: another name"
    assert result["message"]["markdown"] == "`x` has a meaning\n\n- a note\n- help: another name"
    (place,), (related,) = result["locations"], result["relatedLocations"]
    assert place["message"]["text"] == "here" and place["physicalLocation"]["region"]["snippet"]["text"] == "x"
    assert unquote(place["physicalLocation"]["artifactLocation"]["uri"]) == "some folder/a.arch"
    assert related["message"]["text"] == "there"
    assert related["physicalLocation"]["region"] == {
        "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 5, "snippet": {"text": "über"},
    }


def test_a_place_at_the_end_of_a_line_stays_on_it() -> None:
    Path("colon.arch").write_text("network A\n    input x: B 4\n    relu\n")
    log = json.loads(ogive("check", "colon.arch", "--format", "sarif").out)
    (result,) = log["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert (region["startLine"], region["endLine"], region["endColumn"]) == (1, 1, 10)


@pytest.mark.parametrize("change", [
    lambda log: log.pop("version"),
    lambda log: log["runs"][0].update(columnKind="bytes"),
    lambda log: log["runs"][0]["results"][0].pop("message") and log["runs"][0]["results"][0].update(message={}),
    lambda log: log["runs"][0]["results"][0].update(level="fatal"),
    lambda log: log["runs"][0]["results"][0].update(ruleIndex=1),
    lambda log: log["runs"][0]["results"][0].update(fix="?"),
    lambda log: log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"].update(uri="a b"),
])
def test_the_check_of_the_standard_sees_faults(change: Any) -> None:
    log = json.loads(ogive("check", "syntax.arch", "--format", "sarif").out)
    change(log)
    assert faults(log) != []


# ------------------------------------------------------------------------------------------------ annotations
LINE = re.compile(r"::(error|warning|notice) ([^:]*)::(.+)")


def read(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the service reads it."""
    match = LINE.fullmatch(line)
    assert match, line
    fields = dict(item.split("=", 1) for item in match[2].split(","))
    plain = {key: unquote(value) for key, value in fields.items()}  # it unescapes %25 %0D %0A %3A %2C
    return match[1], plain, unquote(match[3])


def test_annotations_name_the_place() -> None:
    lines = ogive("check", "names, of.arch", "--format", "github").out.splitlines()
    found = [read(line) for line in lines]
    assert [fields["title"][:4] for _, fields, _ in found] == ["A101", "A103", "A102", "A301"]
    kind, fields, words = found[3]
    assert kind == "error" and fields["file"] == "names, of.arch"
    assert (fields["line"], fields["endLine"], fields["col"]) == ("6", "6", "19")
    assert int(fields["endColumn"]) > int(fields["col"])
    assert "did you mean `bias`?" in words


def test_annotations_escape_what_would_end_them() -> None:
    source = Source("a:b,c%.arch", "one\ntwo\n")
    mistake = Diagnostic("A001", "50 %, or: two", source.span(0, 7), notes=("first\nsecond",), help="100 %")
    line = annotation("x", mistake)
    assert "\n" not in line
    kind, fields, words = read(line)
    assert fields == {"file": "a:b,c%.arch", "line": "1", "endLine": "2", "title": "A001: 50 %, or: two"}
    assert (kind, words) == ("error", "first\nsecond\nhelp: 100 %")


def test_an_annotation_without_a_place_names_the_file() -> None:
    (line,) = ogive("check", "nothing.arch", "--format", "github").out.splitlines()
    _, fields, _ = read(line)
    assert fields["file"] == "nothing.arch" and "line" not in fields


def test_nothing_wrong_is_no_annotation() -> None:
    Path("fine.arch").write_text(FINE)
    assert ogive("check", "fine.arch", "--format", "github").out == ""
