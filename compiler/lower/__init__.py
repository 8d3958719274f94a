"""The torch meaning of each record of `ogive.dsl.ops`, in files of the same names. Importing it fills `LOWERINGS`."""

from ogive.compiler.lower import (
    activation,
    attention,
    axes,
    conv,
    layout,
    linear,
    merge,
    modules,
    norm,
    pool,
    regularise,
    source,
)
from ogive.compiler.lower.emit import Emit, lower
from ogive.compiler.lower.register import LOWERINGS

__all__ = [
    "LOWERINGS", "Emit", "activation", "attention", "axes", "conv", "layout", "linear", "lower", "merge", "modules",
    "norm", "pool", "regularise", "source",
]
