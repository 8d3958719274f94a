"""A plan as a picture: how far each form is off, attention by attention, on a scale of powers of ten."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10
from typing import Final

from ogive.compiler.calibrate.plan import KEPT, MEASURED, Plan
from ogive.compiler.cost.plot import COLOURS, FONT

__all__ = ["svg"]

STEP: Final = 22
"""Points between two attentions, at most; of many there are fewer."""
WIDEST: Final = 1100
LEFT, TOP, HIGH, LETTER = 62, 56, 260, 6.2


def svg(plan: Plan) -> str:
    """The picture: a line for each form, dashed at its bound; a ring is the form that the plan takes."""
    paths = list(plan.attentions)
    step = min(STEP, max(5, WIDEST // max(1, len(paths))))
    values = [100 * e.l2 for x in plan.attentions.values() for e in x.errors.values() if e.l2]
    bounds = {form: 100 * bound.l2 for form, bound in plan.bounds.items()}
    low = floor(log10(min([*values, *bounds.values()])))
    high = ceil(log10(max([*values, *bounds.values()])))
    shown = paths[:: max(1, ceil(13 / step))]
    below = int(LETTER * max((len(path) for path in shown), default=0) * 0.72) + 30
    wide, tall = LEFT + step * (len(paths) + 1) + 40, TOP + HIGH + below

    def y(percent: float) -> float:
        return TOP + HIGH * (high - log10(percent)) / (high - low)

    def x(i: int) -> float:
        return LEFT + step * (i + 1)

    wide = max(wide, 720)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {wide} {tall}' width='{wide}' height='{tall}' {FONT} "
        "font-size='11'>", "<rect width='100%' height='100%' fill='#ffffff'/>",
        f"<text x='{LEFT}' y='18' font-weight='bold'>{escape(plan.network)}: relative L2 of each attention, the worst "
        f"of {plan.samples:,} samples</text>",
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f"<path d='M{LEFT} {at:.1f}H{wide - 14}' stroke='#dddddd'/>")
        parts.append(f"<text x='{LEFT - 6}' y='{at + 4:.1f}' text-anchor='end'>{10.0**power:g} %</text>")
    for i, path in enumerate(paths):
        if path in shown:
            parts.append(f"<text transform='translate({x(i) + 4:.1f} {TOP + HIGH + 12}) rotate(-55)' "
                         f"text-anchor='end'>{escape(path)}</text>")
    drawn: list[float] = []
    for number, form in enumerate(MEASURED):
        colour = COLOURS[number] if form != KEPT else "#777777"
        found = [(x(i), y(100 * max(e.l2, 1e-9))) for i, path in enumerate(paths)
                 if (e := plan.attentions[path].errors.get(form)) is not None and e.l2]
        if found:
            line = " ".join(f"{a:.1f} {b:.1f}" for a, b in found)
            parts.append(f"<path d='M{line}' fill='none' stroke='{colour}' stroke-width='1.6'/>")
            parts += [f"<circle cx='{a:.1f}' cy='{b:.1f}' r='2.6' fill='{colour}'/>" for a, b in found]
        if form in bounds:
            turn = 8 * drawn.count(bounds[form])  # equal bounds are one line of both colours
            drawn.append(bounds[form])
            parts.append(f"<path d='M{LEFT} {y(bounds[form]):.1f}H{wide - 14}' stroke='{colour}' "
                         f"stroke-dasharray='6 10' stroke-dashoffset='{turn}'/>")
        at = LEFT + number * 118
        parts.append(f"<path d='M{at} 36h22' stroke='{colour}' stroke-width='1.6'/>"
                     f"<circle cx='{at + 11}' cy='36' r='2.6' fill='{colour}'/>"
                     f"<text x='{at + 28}' y='40'>{form}</text>")
    parts.append(f"<circle cx='{LEFT + 492}' cy='36' r='5.5' fill='none' stroke='#000000' stroke-width='1.3'/>"
                 f"<text x='{LEFT + 504}' y='40'>the plan; dashed: bounds</text>")
    for i, path in enumerate(paths):
        layer = plan.attentions[path]
        error = layer.errors.get(layer.form)
        if error is not None and error.l2:
            parts.append(f"<circle cx='{x(i):.1f}' cy='{y(100 * error.l2):.1f}' r='5.5' fill='none' stroke='#000000' "
                         "stroke-width='1.3'/>")
    return "\n".join([*parts, "</svg>\n"])
