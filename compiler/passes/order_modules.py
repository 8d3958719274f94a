"""What the pass `order` puts into a graph: a gather of tokens, and attention on tokens that stand in its own order."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ogive.compiler.lower.attention_parts import PartsAttention, is_plain
from ogive.compiler.lower.attention_walk import Walk
from ogive.dsl.patterns.part import Index, Part, Plan, Strides
from ogive.dsl.patterns.parts import plan
from ogive.dsl.patterns.space import Sequence, Space

__all__ = ["OrderedParts", "Reorder", "own_order", "plan_of"]


class Reorder(nn.Module):
    """x[..., index, ...] along one axis: tokens in another order."""

    index: Tensor

    def __init__(self, index: tuple[int, ...], axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("index", torch.tensor(index), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(self.axis, self.index)

    def extra_repr(self) -> str:
        return f"{len(self.index)}, axis={self.axis}"


def plan_of(module: PartsAttention, queries: tuple[int, ...], keys: tuple[int, ...]) -> Plan:
    """The plan that attention follows at these sizes.

    Raises:
        PatternError: it is arithmetic that would be asked of too many pairs.
    """
    a, b = (Sequence(tuple(s[2:]), s[0], s[1]) for s in (queries, keys))
    return plan(module.over, Space(a, b), max(module.of) + 1)


def own_order(walked: Plan, heads: tuple[int, ...], size: int) -> tuple[int, ...] | str:
    """The order in which each part of a plan is a stretch of its own; where there is none, why not."""
    order: list[int] = []
    for part in walked.parts:
        if not set(heads) <= set(part.heads):
            return "its heads see different sets"
        rows = [part.q.row(entry) for entry in range(part.batch)]
        if any(part.k.row(entry) != row for entry, row in enumerate(rows)):
            return "its parts share keys, or look at keys that are not their queries"
        order += [at for row in rows for at in row]
    if sorted(order) != list(range(size)):
        return "a token stands in several parts, or in none"
    return tuple(order)


class OrderedParts(PartsAttention):
    """`PartsAttention` on q, k, v that stand in `order`, part behind part, as its answer does: nothing is gathered.

    What is added to scores goes by the positions as they were. What is traced or exported is put back in order first.
    """

    order: Tensor
    back: Tensor

    def __init__(self, like: PartsAttention, order: tuple[int, ...]) -> None:
        super().__init__(like.over, like.of, like.scale, like.drop, like.causal)
        self.seen, self.bias = like.seen, like.bias
        self.training = like.training
        index = torch.tensor(order)
        self.register_buffer("order", index, persistent=False)
        self.register_buffer("back", index.argsort(), persistent=False)
        self.natural = like

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, queries: tuple[int, ...], keys: tuple[int, ...],
        mask: Tensor | None = None, table: Tensor | None = None,
    ) -> Tensor:
        if is_plain(q, k, v, mask, table):
            return super().forward(q, k, v, queries, keys, mask, table)
        q, k, v = (x.index_select(2, self.back) for x in (q, k, v))
        return self.natural(q, k, v, queries, keys, mask, table).index_select(2, self.order)

    def walk(self, q: Tensor, queries: tuple[int, ...], keys: tuple[int, ...]) -> Walk | None:
        """The steps for these sizes on tokens in `order`; where they were is kept for what goes by positions."""
        each = q.shape[0] * q.shape[1] * q.shape[3] * q.element_size()
        key = (queries, keys, each, q.element_size() < 4)
        if key not in self.walks:
            walked = plan_of(self, queries, keys)
            moved, start = list[Part](), 0
            for part in walked.parts:
                stretch = Index((Strides(start, ((part.batch, part.q.count),), ((part.q.count, 1),)),))
                moved.append(replace(part, q=stretch, k=stretch))
                start += part.batch * part.q.count
            with torch.inference_mode(False):
                made = Walk(replace(walked, parts=tuple(moved)), self.of, start, start, *key[2:])
                rows = [part.q.row(entry) for part in walked.parts for entry in range(part.batch)]
                for step in made.steps:  # one part may be several
                    own, rows = torch.tensor(rows[: step.q.entries]), rows[step.q.entries :]
                    step.cache["positions"] = own, own
            self.walks.clear()
            self.walks[key] = made
        return self.walks[key]
