"""Looking on while a network is built: what each line of a text makes, and which names are known there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ogive.dsl import syntax as s
from ogive.dsl.body import Bodies
from ogive.dsl.types import Tensor
from ogive.dsl.values import Bundle, Out
from ogive.dsl.work import Frame, Work

__all__ = ["Seen", "Watching"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One run of a line: the tensor that it makes, and where it stands."""

    line: s.Line
    tensor: Tensor
    frame: Frame


Watcher: TypeAlias = Callable[[Seen], None]


class Watching(Bodies):
    """Bodies that tell `watcher` of every line without a body that makes one tensor, right after it ran."""

    def __init__(self, work: Work, watcher: Watcher) -> None:
        super().__init__(work)
        self.watcher = watcher

    def line(self, line: s.Line, frame: Frame) -> None:
        before = frame.flow
        super().line(line, frame)
        value = None if frame.flow is before else frame.flow
        name = line.label.names[0] if line.label is not None and len(line.label.names) == 1 else None
        if isinstance(name, s.Name | s.Made):
            entry = frame.names.find(self.made_name(name, frame))
            value = entry.value if entry is not None else None
        if isinstance(value, Bundle) and isinstance(value.first, Out) and (not value.parts or len(value.outs) == 1):
            self.watcher(Seen(line, value.first.type, frame))
