"""What the fused forward of a module calls beside torch: rates, regrouped masks, and what must stay true."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

__all__ = ["Changed", "expected", "rate", "regrouped", "same_shape"]


class Changed(Exception):
    """A call differs from those that a graph was made for: the module's own code serves it."""


def expected(found: Any, wanted: Any) -> None:
    """What the code decided on while it was read.

    Raises:
        Changed: it would decide otherwise now.
    """
    if found != wanted:
        raise Changed(f"{found!r} in place of {wanted!r}")


def rate(dropout: nn.Dropout) -> float:
    """The rate at which a dropout drops at this moment."""
    return dropout.p if dropout.training else 0.0


def regrouped(added: Tensor, view: tuple[Any, ...], q: Tensor, k: Tensor) -> Tensor:
    """What is added to a view of the scores, as what is added to the scores q k^T [..., N, M] themselves."""
    shape = (*q.shape[:-1], k.shape[-2])
    return added.expand(_resolved(view, math.prod(shape))).reshape(shape)


def same_shape(view: tuple[Any, ...], q: Tensor, k: Tensor) -> None:
    """The last view of the scores gives them their first shape again.

    Raises:
        Changed: it does not.
    """
    shape = (*q.shape[:-1], k.shape[-2])
    if _resolved(view, math.prod(shape)) != shape:
        raise Changed("the scores are regrouped otherwise")


def _resolved(view: tuple[Any, ...], count: int) -> tuple[int, ...]:
    """The sizes of a view, its -1 worked out."""
    sizes = tuple(view[0]) if len(view) == 1 and isinstance(view[0], tuple | list) else tuple(view)
    known = math.prod(n for n in sizes if n != -1)
    return tuple(count // known if n == -1 else n for n in sizes)
