"""What acts only while training: dropped elements, dropped branches, gradients that stop."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ogive.dsl.ops.record import Family, Mismatch, Primitive, Site
from ogive.dsl.ops.settings import Rate, floats
from ogive.dsl.types import Role, Tensor

__all__ = ["DropPath", "Dropout", "StopGradient"]


class Dropout(Primitive):
    """Sets elements to 0 at rate p while training, and scales the others by 1 / (1 - p) (Srivastava et al. 2014).

    Shapes: any, same.
    """

    op: ClassVar[str] = "dropout"
    family: ClassVar[Family] = "regularise"

    p: Rate

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        return (inputs[0],)

    def vanishes(self) -> bool:
        return self.p == 0


class DropPath(Primitive):
    """Leaves a whole branch out at rate p while training, and scales it by 1 / (1 - p) otherwise: stochastic depth.

    Shapes: any with a batch, same. `mode="row"` draws for each sample, `"batch"` once for all (Huang et al. 2016,
    arXiv:1603.09382).
    """

    op: ClassVar[str] = "drop_path"
    family: ClassVar[Family] = "regularise"

    p: Annotated[float, Field(ge=0, lt=1)]
    mode: Literal["row", "batch"] = "row"

    def shape(self, at: Site, *inputs: Tensor) -> tuple[Tensor, ...]:
        floats(inputs[0], self.op)
        if inputs[0].find(Role.BATCH) != 0:
            raise Mismatch(f"`drop_path` drops samples of a batch; `{inputs[0]}` has no batch axis first", input=0,
                           help="`dropout` drops elements")
        return (inputs[0],)

    def vanishes(self) -> bool:
        return self.p == 0


class StopGradient(Primitive):
    """The input itself; no gradient flows back through it.

    Shapes: any, same.
    """

    op: ClassVar[str] = "stop_gradient"
    family: ClassVar[Family] = "regularise"
