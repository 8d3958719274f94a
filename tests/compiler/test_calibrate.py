"""Calibration: what is measured, what is decided, and what a plan makes of a compiled network."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ogive
from ogive.compiler.calibrate.measure import Sample, calibrate, to_calibrate
from ogive.compiler.calibrate.plan import MARGIN, Error, Layer, Plan, read_plan
from ogive.compiler.calibrate.plot import svg
from ogive.compiler.explain import On, accounts
from ogive.compiler.int8 import BOUNDS, WIDEST, WORDS
from ogive.compiler.lower.attention import unfused
from ogive.compiler.lower.attention_int8 import by_levels, rounded
from ogive.compiler.precision import precision_of
from ogive.compiler.targets import gpu_named
from ogive.dsl.diagnostics import ArchError
from ogive.dsl.digest import digest

ALONE = "network Alone:\n    input q: B N 64, k: B N 64, v: B N 64\n    at = q, k, v -> attend(1)\n"
TWO = """
network Two(heads=2):
    input x: B (h=8 w=8) C=64
    first:
        near = relative_bias(heads, 4x4)
        qkv = linear(192)
        q, k, v = split(3)
        q, k, v -> attend(heads, over=window(4, shift=2), bias=near)
    second:
        qkv = linear(192)
        q, k, v = split(3)
        q, k, v -> attend(heads)
    third:
        attend(heads, score="distance")
"""
LARGE = """
network Large:
    input x: B (h=64 w=64) C=1280
    qkv = linear(3840)
    q, k, v = split(3)
    at = q, k, v -> attend(16)
"""


class Inputs(list[Sample]):
    pass


def _alone(change: Callable[[Tensor, Tensor, Tensor], None] = lambda q, k, v: None, count: int = 2) -> Plan:
    """The plan of one attention on normal numbers, with an offset in the keys, that `change` changes in place."""
    inputs = Inputs()
    for i in range(count):
        q, k, v = torch.randn(3, 1, 577, 64, generator=torch.Generator().manual_seed(i))
        change(q, k, v)
        inputs.append(Sample(f"{i}", {"q": q, "k": k, "v": v}))
    net = ogive.loads(ALONE)
    return calibrate(net, net.name, to_calibrate(net), inputs, "random")


def _few(q: Tensor, k: Tensor, v: Tensor) -> None:
    few = torch.randperm(577, generator=torch.Generator().manual_seed(1))[:12]
    q[:, few] *= 8
    k[:, few] *= 8


def _all(q: Tensor, k: Tensor, v: Tensor) -> None:
    q *= 8
    k *= 8


def test_normal_numbers_may_have_every_form() -> None:
    layer = _alone().attentions["at"]
    assert layer.form == "int8" and layer.good == WORDS and set(layer.errors) == {*WORDS, "bf16"}
    told = {form: error.l2 or 1.0 for form, error in layer.errors.items()}
    assert told["bf16"] < 0.01 and all(0.005 < told[form] < BOUNDS[form].l2 for form in WORDS[:2])
    assert 0.02 < told["int8-fp8"] < 0.05


@pytest.mark.parametrize("change", [_few, _all])
def test_q_and_k_eight_times_larger_refuse_a_scale_for_a_block(change: Any) -> None:
    layer = _alone(change).attentions["at"]
    assert "int8" not in layer.good and layer.form != "int8"
    error = layer.errors["int8"]
    assert error.l2 is not None and error.l2 > BOUNDS["int8"].l2
    if change is _few:
        assert layer.form == "bf16" and layer.good == ("int8-fp8",)


def test_what_fp16_does_not_hold_is_kept() -> None:
    def change(q: Tensor, k: Tensor, v: Tensor) -> None:
        v[:, 3] = 1e5

    layer = _alone(change, 1).attentions["at"]
    assert layer.form == "bf16" and layer.good == () and "int8 is not finite off" in layer.why
    assert layer.errors["int8"] == Error(l2=None, cosine=None)


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Any, Any, Plan, Inputs]]:
    """A network of three attentions, its module in float32, its plan, and the inputs."""
    torch.manual_seed(0)
    net = ogive.loads(TWO)
    module = to_calibrate(net)
    inputs = Inputs([Sample(f"{i}", {"x": torch.randn(1, 64, 64)}) for i in range(3)])
    plan = calibrate(net, net.name, module, inputs, "random")
    plain = ogive.compile(net)
    plain.load_state_dict(module.state_dict())
    yield net, plain.eval(), plan, inputs


def test_what_is_measured_is_what_runs(two: Any) -> None:
    """The errors of a plan, again: each attention's own inputs, in another way; and of the outputs."""
    net, plain, plan, inputs = two
    assert list(plan.attentions) == ["first.attend", "second.attend", "third.attend"]
    assert plan.attentions["third.attend"].form == "bf16" and "distance" in plan.attentions["third.attend"].why
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = ogive.compile(net, "cpu", precision=plan).eval()
    made.load_state_dict(plain.state_dict())
    with torch.no_grad():
        pairs = [(made(**one.inputs), plain(**one.inputs)) for one in inputs]
    worst = max(float((a - b).norm() / b.norm()) for a, b in pairs)
    assert plan.outputs.l2 == pytest.approx(worst, rel=1e-3) and 0 < worst < 0.03

    projected: list[Tensor] = []
    handle = plain.second.qkv.register_forward_hook(lambda module, given, out: projected.append(out))
    with torch.no_grad():
        for one in inputs:
            plain(**one.inputs)
    handle.remove()
    told = plan.attentions["second.attend"].errors
    for form in WORDS:
        found = []
        for out in projected:
            q, k, v = (x.unflatten(2, (2, 32)).transpose(1, 2) for x in out.split(64, 2))
            a, b = rounded(q.half().float(), k.half().float(), form)
            w = v.half().float()
            mine = by_levels(a, b, w, None, None, False, form) if form != "int8" else (
                F.scaled_dot_product_attention(a, b, w))
            wanted = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
            found.append(float((mine - wanted).norm() / wanted.norm()))
        assert told[form].l2 == pytest.approx(max(found), rel=1e-2)


def test_a_plan_says_which_numbers_get_codes(two: Any) -> None:
    net, plain, plan, inputs = two
    layer = plan.attentions["second.attend"]
    assert layer.reach == tuple(MARGIN * layer.ranges[x].most for x in "qkv") and max(layer.reach) < 100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = ogive.compile(net, "cpu", precision=plan).eval()
        onto = ogive.compile(net, "a100", precision=plan)
    cores = [m for m in made.modules() if getattr(m, "precision", None) in WORDS]
    assert {m.reach for m in cores} == {plan.attentions[x].reach for x in ("first.attend", "second.attend")}
    walked = [m.walked for m in onto.modules() if getattr(m, "precision", None) in WORDS and m.walked is not None]
    assert walked and walked[0].reach == plan.attentions["first.attend"].reach != WIDEST
    made.load_state_dict(plain.state_dict())
    with torch.no_grad():  # ten times what was seen: every head is computed as it is
        x = 10 * inputs[0].inputs["x"]
        torch.testing.assert_close(made(x), plain(x), rtol=1e-4, atol=1e-4)
        x = inputs[0].inputs["x"]
        assert float((made(x) - plain(x)).abs().max()) > 1e-4


def test_a_plan_is_a_file(two: Any, tmp_path: Path) -> None:
    net, _, plan, _ = two
    place = tmp_path / "plan.json"
    place.write_text(plan.as_json(), "utf-8")
    assert read_plan(place) == plan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for given in (str(place), place, [str(place), "first=int8-fp8"], ["second=int8", str(place)]):
            made = ogive.compile(net, "cpu", precision=given)
            words = [m.precision for m in made.modules() if getattr(m, "precision", "ieee") != "ieee"]
            assert len(words) == 2 and ("int8-fp8" in words) == (isinstance(given, list) and "first=int8-fp8" in given)
    on = On(gpu_named("a100", "a test"), precision_of(str(place)))
    told = accounts(net.graph, {}, unfused, on)
    assert told[0].measured == plan.attentions["first.attend"].told() and told[0].measured.startswith("int8 0.")


@pytest.mark.parametrize(("change", "words"), [
    (lambda told: told.pop("digest"), "`digest`: field required"),
    (lambda told: told.update(format=2), "`format`: input should be 1"),
    (lambda told: told["attentions"]["third.attend"].update(form="int9"), "`attentions.third.attend.form`: input"),
    (lambda told: told.update(extra=1), "`extra`: extra inputs are not permitted"),
])
def test_a_damaged_plan_is_refused(two: Any, tmp_path: Path, change: Any, words: str) -> None:
    told = json.loads(two[2].as_json())
    change(told)
    place = tmp_path / "plan.json"
    place.write_text(json.dumps(told), "utf-8")
    with pytest.raises(ArchError) as caught:
        ogive.compile(two[0], "cpu", precision=str(place))
    assert caught.value.codes == ("A750",) and words in caught.value.diagnostics[0].title


def test_a_plan_of_another_network_is_refused(two: Any) -> None:
    for given in (ogive.loads(LARGE), ogive.loads(TWO, heads=4)):
        for target in ("cpu", "a100"):
            with pytest.raises(ArchError, match="the plan is of another network than this"):
                ogive.compile(given, target, precision=two[2])


def _plan(good: tuple[Any, ...]) -> Plan:
    net = ogive.loads(LARGE)
    layer = Layer(form="bf16", why="a test", good=good)
    return Plan.model_validate({
        "format": 1, "ogive": "0", "network": "Large", "digest": digest(net.graph), "weights": "random", "samples": 1,
        "bounds": {}, "attentions": {"at": layer}, "outputs": {"l2": 0, "cosine": 1}})


@pytest.mark.parametrize(("target", "good", "word", "note"), [
    ("a100", None, "int8", ""), ("rtx4090", ("int8", "int8-token", "int8-fp8"), "int8-token", ""),
    ("h200", ("int8", "int8-fp8"), "int8-fp8", ""), ("a100", ("int8-fp8",), "bf16", "not INT8: it should be no faster"),
    ("a100", (), "bf16", "not INT8: calibration found every form too far off"),
    ("b200", None, "bf16", "not INT8: Triton multiplies INT8 by the instructions of older GPUs there"),
])
def test_auto_follows_the_policy_and_the_plan(target: str, good: Any, word: str, note: str) -> None:
    given: list[Any] = ["auto"]
    precision = precision_of(given)
    if good is not None:
        precision = type(precision)(precision.rules, precision.default, _plan(good))
    (told,) = accounts(ogive.loads(LARGE).graph, {}, unfused, On(gpu_named(target, "a test"), precision))
    assert told.precision == word and [x for x in told.notes if "INT8" in x] == [note] * bool(note)


def test_auto_takes_nothing_on_a_processor_and_is_bf16_where_it_does_not_pay(two: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = ogive.compile(two[0], "cpu", precision="auto")
        onto = ogive.compile(two[0], "a100", precision="auto")
    assert not [m for made in (made, onto) for m in made.modules() if getattr(m, "precision", None) in WORDS]
    assert any(torch.bfloat16 in node.args for node in onto.graph.nodes)


def test_the_picture_shows_every_error(two: Any) -> None:
    found = ElementTree.fromstring(svg(two[2]))
    space = "{http://www.w3.org/2000/svg}"
    dots = [x for x in found.iter(f"{space}circle") if x.get("r") == "2.6"]
    rings = [x for x in found.iter(f"{space}circle") if x.get("r") == "5.5"]
    assert len(dots) == 4 + 2 * 4 and len(rings) == 1 + 2  # legend and two attentions
    texts = {x.text for x in found.iter(f"{space}text")}
    assert texts >= {"first.attend", "second.attend", "third.attend", *WORDS, "bf16"}


def test_a_network_without_dot_products_is_refused() -> None:
    net = ogive.loads("network N:\n    input q: B N 6, k: B M 6\n    at = q, k, k -> attend(1, score=\"additive\")\n")
    with pytest.raises(ArchError, match="no attention of `N` can be computed in INT8"):
        to_calibrate(net)


def test_fp8_rounds_as_e4m3_does() -> None:
    """A weight of a row and v of one number: answers are e4m3 of v, whatever the rest."""
    q = torch.zeros(1, 1, 1, 16)
    v = torch.tensor([1.0, 0.9, 0.55, 0.1])[None, None, :, None].expand(-1, -1, -1, 16).contiguous()
    out = by_levels(q, torch.zeros(1, 1, 4, 16), v, None, None, False, "int8-fp8")
    wanted = sum((x * 448).to(torch.float8_e4m3fn).float() / 448 for x in v[0, 0, :, 0]) / 4
    assert float(out[0, 0, 0, 0]) == pytest.approx(float(wanted), rel=1e-5) and abs(float(wanted) - 2.55 / 4) > 1e-4
