"""`expect`: figures to the digits printed, rows of presets and of the network itself, pins."""

from __future__ import annotations

import pytest
from building import checked, mistakes

from ogive.dsl.figures import bounds, like

NET = """
    network N(dim=8):
        presets dim:
            S   16
        {table}
        input image: B 3 H W
        c = conv(dim, 3x3, bias=False)
"""


def figures(*rows: str) -> list[tuple[str, str, int]]:
    report = checked(NET.format(table="\n            ".join(rows)))
    assert report.ok, [d.render() for d in report.mistakes]
    return [(c.network, c.figure, c.actual) for c in report.claims]


def test_rows_of_presets_and_of_the_network() -> None:
    assert figures("expect params macs:", "S 432 21_676_032", "- 216 -") == [
        ("N.S", "params", 432), ("N.S", "macs", 21676032), ("N", "params", 216)
    ]


def test_inputs_are_pinned_by_name_and_letters_by_letter() -> None:
    assert figures("expect image macs:", "S 10 43_200", "S 10x20 86_400") == [
        ("N.S", "macs", 43200), ("N.S", "macs", 86400)
    ]
    assert figures("expect H W macs:", "S 10 20 86_400") == [("N.S", "macs", 86400)]


@pytest.mark.parametrize(("printed", "low", "high"), [
    ("86M", 85_500_000, 86_500_000), ("86_567_656", 86_567_656, 86_567_656), ("17.6G", 17_550_000_000, 17_650_000_000),
    ("5.7k", 5_650, 5_750), ("1.20T", 1_195_000_000_000, 1_205_000_000_000),
])
def test_a_figure_holds_to_its_digits(printed: str, low: int, high: int) -> None:
    assert bounds(printed) == (low, high)


def test_figures_are_printed_alike() -> None:
    assert like("1.1M", 1_249_000) == "1.2M" and like("86_000", 86_567_656) == "86_567_656"


@pytest.mark.parametrize(("rows", "code", "words"), [
    (("expect params:", "S 433"), "A404", "`N.S` has 432 parameters, not 433"),
    (("expect macs:", "S 21.7M", "- 10.9M"), "A404", "`N` has 10,838,016 multiply-adds, not 10.9M"),
    (("expect weights:", "S 433"), "A401", "there are: params, macs, digest, image, B, H, W"),
    (("expect params macs:", "S 432"), "A306", "this row has 1 cell, and the table 2 columns"),
    (("expect params:", "L 432"), "A307", "has no preset `L`"),
    (("expect params:", "S [1]"), "A402", "a figure is a number"),
    (("expect image macs:", "S 1x2x3 4"), "A402", "`image` has 2 axes to pin"),
    (("expect H macs:", "S x 4"), "A402", "a size is a number"),
])
def test_claims_that_are_wrong(rows: tuple[str, ...], code: str, words: str) -> None:
    found = mistakes(NET.format(table="\n            ".join(rows)))
    assert [d.code for d in found] == [code], "\n".join(d.render() for d in found)
    assert words in found[0].render()
