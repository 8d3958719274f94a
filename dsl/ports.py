"""Ports of a network: what flows in has the axes that its annotation names, each new letter a free size."""

from __future__ import annotations

from typing import Final

from ogive.dsl import limits
from ogive.dsl import syntax as s
from ogive.dsl.annotate import DTYPES, Annotator, Broken, Unbound
from ogive.dsl.diagnostics import fail, offer
from ogive.dsl.dims import Dim, symbol
from ogive.dsl.types import Axis, DType, Role, Segment, Tensor
from ogive.dsl.work import Frame

__all__ = ["Ports"]

ROLES: Final = {
    2: (Role.BATCH, Role.CHANNEL),
    3: (Role.BATCH, Role.POSITION, Role.CHANNEL),
    4: (Role.BATCH, Role.CHANNEL, Role.ROW, Role.COL),
    5: (Role.BATCH, Role.CHANNEL, Role.FRAME, Role.ROW, Role.COL),
}


class Ports(Annotator):
    """Inputs."""

    def port(self, port: s.Port, node: str, roles: dict[str, Role], frame: Frame) -> Tensor:
        """The type of a network's input; each new letter is a free size.

        Raises:
            ArchError: A204 an annotation that no tensor could have.
        """
        if port.shape.dtype not in DTYPES:
            raise fail("A204", f"elements are float, int or bool, not `{port.shape.dtype}`", port.shape.span,
                       help=offer(port.shape.dtype or "", ["float", "int", "bool"]))
        dtype = DTYPES[port.shape.dtype]
        dims = port.shape.dims
        axes: list[Axis] = []
        for i, dim in enumerate(dims):
            role = self._role(dim, i, len(dims), dtype, roles, port)
            axes.append(self._port_axis(dim, role, node, i, frame))
            name = dim.name if isinstance(dim, s.NameDim | s.PinDim) else None
            if name is not None:
                roles.setdefault(name, role)
        return Tensor(tuple(axes), dtype)

    def _role(
        self, dim: s.Dim, place: int, rank: int, dtype: DType, roles: dict[str, Role], port: s.Port
    ) -> Role:
        name = dim.name if isinstance(dim, s.NameDim | s.PinDim) else None
        if name is not None and name in roles:
            return roles[name]
        last = port.shape.dims[-1]
        if rank == 2 and (dtype != "float" or (isinstance(last, s.NameDim) and last.name == "N")):
            return (Role.BATCH, Role.POSITION)[place]
        if rank == 1:
            return Role.BATCH
        if rank not in ROLES:
            raise fail("A204", f"an input has 1 to 5 axes, here are {rank}", port.shape.span,
                       help="`image: B C H W`, `x: B N C`, `ids: B N of int`")
        return ROLES[rank][place]

    def _port_axis(self, dim: s.Dim, role: Role, node: str, place: int, frame: Frame) -> Axis:
        if isinstance(dim, s.GroupDim):
            return self._port_group(dim, role, node, frame)
        if isinstance(dim, s.AnyDim | s.RestDim):
            raise fail("A204", "an input of a network names each of its axes", dim.span)
        if isinstance(dim, s.NameDim) and frame.names.find(dim.name) is None:
            frame.names.bind(dim.name, symbol(dim.name), dim.span, "size")
            self.work.free[dim.name] = (node, place)
        size = self._port_size(dim, frame)
        segments = (Segment(size, (), node),) if role is Role.POSITION else ()
        return Axis(role, size, segments)

    def _port_group(self, group: s.GroupDim, role: Role, node: str, frame: Frame) -> Axis:
        segments: list[Segment] = []
        total: Dim = 0
        for dims in group.segments:
            sizes = tuple(self._port_size(dim, frame) for dim in dims)
            size: Dim = 1
            for n in sizes:
                size = size * n
            segments.append(Segment(size, sizes if len(sizes) > 1 else (), node))
            total = total + size
        return Axis(role, total, tuple(segments))

    def _port_size(self, dim: s.Dim, frame: Frame) -> Dim:
        try:
            size = self.dim(dim, frame)
        except Unbound as unbound:
            raise fail(
                "A204", f"`{unbound.name}` cannot be read off the input", dim.span,
                help=f"pin it: `{unbound.name}=14`, or let it stand alone on an axis",
            ) from None
        except Broken as broken:
            raise fail("A204", f"`{dim.span.text}` goes against what stands before it", dim.span,
                       label=broken.label) from None
        if isinstance(size, int) and not 1 <= size <= limits.DIM:
            raise fail("A204", f"an axis has 1 to {limits.DIM:,} elements, here {size}", dim.span)
        return size
