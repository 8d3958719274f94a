"""One record per primitive, one file per family. Importing this package fills `RECORDS`."""

from ogive.dsl.ops import (
    activation,
    attention,
    conv,
    layout,
    linear,
    merge,
    norm,
    plane,
    pool,
    regularise,
    settings,
    source,
)
from ogive.dsl.ops.record import RECORDS

__all__ = [
    "RECORDS", "activation", "attention", "conv", "layout", "linear", "merge", "norm", "plane", "pool", "regularise",
    "settings", "source",
]
