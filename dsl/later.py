"""What the language holds a place for and this version refuses by name."""

from __future__ import annotations

from typing import Final

from ogive.dsl.diagnostics import ArchError, fail
from ogive.dsl.patterns import LATER_MECHANISMS, LATER_PATTERNS
from ogive.dsl.source import Span

__all__ = ["LATER_OPS", "LATER_SETTINGS", "later"]

LATER_OPS: Final = {
    **dict.fromkeys(LATER_PATTERNS, "attention patterns beyond `dense` and `causal`"),
    **dict.fromkeys(LATER_MECHANISMS, "attention mechanisms"),
    **dict.fromkeys(
        ["relative_bias", "decomposed_relative", "alibi", "t5_bias", "rope", "head_mix"], "attention biases"
    ),
    **dict.fromkeys(["rnn", "gru", "lstm", "rnn_cell", "gru_cell", "lstm_cell"], "recurrent layers"),
    **dict.fromkeys(["roi_align", "roi_pool", "deform_conv", "max_unpool"], "region and deformable layers"),
    **dict.fromkeys(
        ["rearrange", "dot", "gather", "argsort", "argmax", "top_k", "unstack"], "free regrouping and choice"
    ),
    **dict.fromkeys(
        ["sine_position", "shift", "pad_grid", "crop_grid", "regrid", "coordinates", "offsets", "where", "uniform",
         "repeat_to", "maxout", "matmul", "masked_fill", "sum_over", "mean_over", "max_over", "norm", "l2_normalize",
         "subsample"],
        "this primitive",
    ),
}
"""Ops of the language that this version does not have, with what they belong to."""

LATER_SETTINGS: Final = {
    "attend": frozenset(["bias", "mask", "before_softmax", "after_softmax"]),
    "conv": frozenset(["standardize"]),
    "position": frozenset(["resize"]),
}
"""Settings of the language that these primitives do not take yet."""


def later(what: str, span: Span, help: str | None = None) -> ArchError:
    """The refusal of something the language has a place for."""
    return fail(
        "A901", f"{what}: in the language, not in this version", span,
        help=help or "docs/language.md lists what this version takes",
    )
