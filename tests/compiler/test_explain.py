"""What `ogive explain` says of an attention is counted, and is the plan that is followed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from door.command import ogive, refused

import ogive as door
from ogive.compiler.explain import Account, accounts
from ogive.compiler.lower.attention import unfused
from ogive.compiler.lower.attention_parts import PartsAttention
from ogive.compiler.passes.order_modules import plan_of
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.patterns import Pattern
from ogive.dsl.patterns.parts import plan
from ogive.dsl.patterns.space import Space

ONE = """\
network One(over: pattern = dense, depth=1):
    input x: B (cls=1 + h=8 w=8) 16
    repeat depth as blocks[i]:
        {line}
"""


def told(over: str, line: str = "attend(2, over=over)", depth: int = 1) -> Account:
    text = "\n".join(f"        {x}" for x in line.split("\n"))
    net = door.loads(ONE.replace("        {line}", text), over=over, depth=depth)
    (one,) = accounts(net.graph, {}, unfused)
    return one


def test_pairs_and_products_are_counted() -> None:
    one = told("window(4) | prefix")
    pairs = 2 * (64 * 16 + 65 + 64)
    assert (one.heads, one.queries, one.keys, one.pairs, one.dense) == (2, 65, 65, pairs, 2 * 65 * 65)
    assert one.macs_dense == 2 * 65 * 65 * 16
    assert one.density == pytest.approx(pairs / (2 * 65 * 65))
    assert one.normal == "prefix | window(4)" and one.over == "window(4) | prefix"
    assert one.line == "attend(2, over=over)" and one.place == "<text>:4"


@pytest.mark.parametrize("over", ["window(4) | prefix", "sliding(3) | self", "causal | self", "~causal | self",
                                  "random(2, of=8) | self", "per_head([window(4), dense]) | prefix"])
def test_what_is_said_is_the_plan(over: str) -> None:
    one = told(over)
    net = door.loads(ONE.replace("{line}", "attend(2, over=over)"), over=over)
    pattern = net.settings["over"]
    assert isinstance(pattern, Pattern)
    walk = plan(pattern, Space.of(8, 8, prefix=1), 2)
    assert one.calls == (1 if one.way == "one call of the fused kernel" else len(walk.parts))
    assert one.computed is not None and one.pairs is not None and one.pairs <= one.computed <= one.dense
    if one.calls != 1:
        assert one.way.split(", ")[0].split(": ")[-1] in {way for _, way in walk.ways}
        assert {r.reason for r in walk.refused} <= {r.reason for r in one.refused}
    each = one.macs_dense / one.dense
    if one.way != "one call of the fused kernel":
        assert one.macs == pytest.approx(one.computed * each, abs=2)


def test_a_fused_call_refuses_nothing() -> None:
    for over in ("dense", "causal", "causal | dense"):
        one = told(over)
        assert (one.way, one.calls, one.refused, one.notes) == ("one call of the fused kernel", 1, (), ())


def test_reasons_are_those_of_require_fused() -> None:
    one = told("dense", 'attend(2, over=over, score="distance")')
    with pytest.raises(ArchError) as caught:
        net = door.loads(ONE.replace("{line}", 'attend(2, score="distance") require fused'))
        door.compile(net, device="meta")
    assert one.refused[0].reason in str(caught.value)


def test_what_is_written_out() -> None:
    one = told("window(4) | prefix", 'attend(2, over=over, score="distance")')
    assert one.way.startswith("written out") and one.computed == one.dense and one.macs == one.macs_dense
    assert one.refused[0].reason == 'the score "distance" is written out'
    low = told("linformer(8)")
    assert low.pairs is None and low.density is None and low.way == "one call of the fused kernel, over fewer keys"
    assert told('per_head([kernel("elu"), linformer(8)])').way.startswith("written out")


def test_single_keys_cost_more_than_dense() -> None:
    assert "costs more than dense" in told("random(2, of=1) | self").notes[0]
    assert not any("lie apart" in note for note in told("random(1, of=16) | self").notes)


def test_repeats_are_told_once() -> None:
    one = told("causal | self", depth=5)
    assert len(one.names) == 5 and one.names[0] == "blocks.0.attend"


def test_the_command() -> None:
    answer = ogive("explain", "vit", "ViT.S", "--set", "over=window(7) | prefix")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].endswith("timm.arch:9: core = attend(heads, over=over)")
    assert lines[1] == "  at       blocks.0.attn.core and 11 more, 6 heads, 197 positions"
    assert "  pairs    59,982 of 232,854: 25.76%" in lines[4]
    assert any(line.startswith("  refused  one call of the fused kernel: ") for line in lines)
    assert lines[-2].startswith("ViT.S on cpu: 12 attentions, ")
    assert lines[-1] == "gathers of tokens: 48 a forward, and as many where it is frozen"
    data = json.loads(ogive("explain", "vit", "ViT.S", "--json").out)
    assert data["network"] == "ViT.S" and len(data["attentions"][0]["names"]) == 12
    assert data["attentions"][0]["density"] == 1
    assert ogive("explain", "resnet", "ResNet.r18").out == "ResNet.r18: no attention\n"


def test_what_is_told_is_what_is_compiled() -> None:
    one = told("window(4) | prefix")
    net = door.compile(door.loads(ONE.replace("{line}", "attend(2, over=over)"), over="window(4) | prefix"))
    (made,) = [m for m in net.modules() if isinstance(m, PartsAttention)]
    assert len(plan_of(made, (1, 0, 8, 8), (1, 0, 8, 8)).parts) == one.calls


def test_gathers_are_counted_with_and_without_the_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counts = json.loads(ogive("explain", "swin", "Swin.T", "--json").out)["gathers"]
    assert counts["after"] <= 12 + 3 < counts["before"], "one a block, and one at each of three mergings"
    Path("free.arch").write_text("network N:\n    input x: B 16 H W\n    attend(2, over=window(4))\n")
    assert "not counted, the size `H` is free" in ogive("explain", "free.arch", "--size", "H=8", "--size", "W=8").out


def test_the_command_called_wrongly() -> None:
    refused(ogive("explain", "vit", "ViT.S", "--target", "abacus"), 2, "error[A708]")
    refused(ogive("explain", "vit", "ViT.S", "--size", "Q=3"), 2, "error[A802]")
    refused(ogive("explain", "vit", "ViT.S", "--set", "over=window("), 2, "error[A011]")
