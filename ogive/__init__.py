"""A small language for neural networks: checked without torch, compiled to torch.fx, drawn from the text.

```python
import ogive

net = ogive.load("vit", "ViT.S", depth=6)       # no torch yet: read, checked, counted
print(net.parameter_count, net.macs())
model = ogive.compile(net)                      # a torch.fx.GraphModule that trains
ogive.draw(net, "vit.svg")
```

Names are looked up when they are asked for: `import ogive` costs nothing, and only what compiles brings torch in.
What a user can get wrong ends in one `ArchError`, with place, cause and help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ogive.builds import load_module
    from ogive.checking import check
    from ogive.compiler.dynamic import dynamic_shapes
    from ogive.compiler.export.source import to_source
    from ogive.compiler.export.weights import load_weights, save_weights
    from ogive.compiler.features import features
    from ogive.compiler.freeze import freeze
    from ogive.compiler.fuse import fuse
    from ogive.compiler.pipeline import compile
    from ogive.differences import diff
    from ogive.dsl.diagnostics import ArchError
    from ogive.network import load, loads
    from ogive.pictures import draw, draw_field, draw_stages

__all__ = [
    "ArchError", "__version__", "check", "compile", "diff", "draw", "draw_field", "draw_stages", "dynamic_shapes",
    "features", "freeze", "fuse", "load", "load_module", "load_weights", "loads", "save_weights", "to_source",
]

__version__ = "0.1.0"

_ROOMS: Final = {
    "ArchError": "ogive.dsl.diagnostics",
    "check": "ogive.checking",
    "compile": "ogive.compiler.pipeline",
    "diff": "ogive.differences",
    "draw": "ogive.pictures",
    "draw_field": "ogive.pictures",
    "draw_stages": "ogive.pictures",
    "dynamic_shapes": "ogive.compiler.dynamic",
    "features": "ogive.compiler.features",
    "freeze": "ogive.compiler.freeze",
    "fuse": "ogive.compiler.fuse",
    "load": "ogive.network",
    "load_module": "ogive.builds",
    "load_weights": "ogive.compiler.export.weights",
    "loads": "ogive.network",
    "save_weights": "ogive.compiler.export.weights",
    "to_source": "ogive.compiler.export.source",
}
"""Where each name lives."""


def __getattr__(name: str) -> Any:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module 'ogive' has no attribute {name!r}", name=name, obj=import_module("ogive"))
    value = getattr(import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
