"""drawing -> the same drawing with frames closed. `assemble.js` does the same in the browser; a test compares them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from ogive.compiler.picture.model import Box, Drawing, Frame, Item, Link, Row

__all__ = ["closed", "closed_box"]


def closed(drawing: Drawing, opened: Collection[str]) -> Drawing:
    """The drawing in which only the frames of these ids are open; a frame in a closed one is closed with it."""
    holder: dict[str, str] = {}
    """The closed frame that each hidden box is in."""
    seen: set[str] = set()
    """The frames that are open and to be seen."""

    def close(items: tuple[Item, ...]) -> tuple[Item, ...]:
        found: list[Item] = []
        for item in items:
            if isinstance(item, Box):
                found.append(item)
            elif item.id in opened:
                seen.add(item.id)
                found.append(replace(item, items=close(item.items)))
            else:
                holder.update({box.id: item.id for box in item.boxes()})
                found.append(closed_box(item))
        return tuple(found)

    items = close(drawing.items)
    rising = {holder.get(id, id) for id in drawing.rising} - {holder.get(b.id, b.id) for b in drawing.boxes()
                                                              if b.id not in drawing.rising and b.kind != "entry"}
    levels = dict.fromkeys((holder.get(a, a), holder.get(b, b)) for a, b in drawing.levels)
    return replace(
        drawing, items=items, links=tuple(_links(drawing.links, holder, seen)), rising=frozenset(rising),
        levels=tuple((a, b) for a, b in levels if a != b), columns=(),
    )


def closed_box(frame: Frame) -> Box:
    """What stands for a closed frame; a stage says what it is made of."""
    title, count = frame.title, frame.count
    if frame.kind == "stage":
        parts = [item for item in frame.items if isinstance(item, Frame)]
        titles = {part.title for part in parts}
        title = titles.pop() if len(titles) == 1 else ""
        count = sum(part.count for part in parts)
    row = Row((), "block", frame.name, title or frame.name, f"×{count}" if count > 1 else "", frame.params,
              frame.times, hint=f"{frame.id} {title}".strip())
    return Box(frame.id, "closed", (row,), note=frame.note)


def _links(links: tuple[Link, ...], holder: Mapping[str, str], seen: Collection[str]) -> Iterator[Link]:
    """The links between what is seen, each pair once; the shape is told behind a closed frame that changes it."""
    shut = frozenset(holder.values())
    found: dict[tuple[object, ...], Link] = {}
    for link in links:
        source, target = holder.get(link.source, link.source), holder.get(link.target, link.target)
        if source == target:
            continue
        left, right = source in shut, target in shut
        ends = [end if end in seen else "" for end in link.frames]
        new = replace(
            link, source=source, target=target, tail=None if left else link.tail, head=None if right else link.head,
            label="" if left and link.kind != "tie" else link.label, frames=(ends[0], ends[1]),
        )
        key = (source, target, link.kind == "tie", new.tail, new.head)
        known = found.setdefault(key, new)
        if known.kind == "skip" and new.kind == "flow":
            found[key] = replace(known, kind="flow", label=known.label or new.label)
    came: dict[str, set[str]] = {}
    for link in found.values():
        came.setdefault(link.target, set()).add(link.shape)
    told: set[tuple[str, str]] = set()
    for link in found.values():
        if link.source in shut and link.kind == "flow" and link.shape not in came.get(link.source, ()):
            if (link.source, link.shape) not in told:
                link = replace(link, label=link.shape)
            told.add((link.source, link.shape))
        yield link
