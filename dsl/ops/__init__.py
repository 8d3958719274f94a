"""One record per primitive, one file per family. Importing this package fills `RECORDS`."""

from ogive.dsl.ops import (
    activation,
    attention,
    bias,
    choice,
    compare,
    conv,
    deform,
    grid,
    layout,
    linear,
    loop,
    merge,
    noise,
    norm,
    place,
    plane,
    pool,
    product,
    recurrent,
    reduce,
    region,
    regroup,
    regularise,
    sequence,
    settings,
    source,
)
from ogive.dsl.ops.record import RECORDS

__all__ = [
    "RECORDS", "activation", "attention", "bias", "choice", "compare", "conv", "deform", "grid", "layout", "linear",
    "loop", "merge", "noise", "norm", "place", "plane", "pool", "product", "recurrent", "reduce", "region", "regroup",
    "regularise", "sequence", "settings", "source",
]
