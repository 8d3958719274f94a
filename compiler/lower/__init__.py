"""The torch meaning of each record of `ogive.dsl.ops`, in files of the same names. Importing it fills `LOWERINGS`."""

from ogive.compiler.lower import (
    activation,
    attention,
    attention_biases,
    attention_cores,
    attention_masks,
    attention_spelling,
    axes,
    bias,
    choice,
    compare,
    conv,
    deform,
    grid,
    layout,
    linear,
    merge,
    modules,
    noise,
    norm,
    place,
    plane_modules,
    pool,
    product,
    recurrent,
    reduce,
    region,
    region_modules,
    regroup,
    regularise,
    sequence,
    source,
)
from ogive.compiler.lower.emit import Emit, lower
from ogive.compiler.lower.register import LOWERINGS

__all__ = [
    "LOWERINGS", "Emit", "activation", "attention", "attention_biases", "attention_cores", "attention_masks",
    "attention_spelling", "axes", "bias", "choice", "compare", "conv", "deform", "grid", "layout",
    "linear", "lower", "merge", "modules", "noise", "norm", "place", "plane_modules", "pool", "product", "recurrent",
    "reduce", "region", "region_modules", "regroup", "regularise", "sequence", "source",
]
