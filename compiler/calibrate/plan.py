"""A plan: for each attention of one network the form of INT8 that calibration found good enough, as JSON. No torch.

Whatever is read is checked before anything of it is used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ogive.compiler.int8 import BOUNDS, WIDEST, WORDS, Bound, Form, Reach
from ogive.dsl.diagnostics import fail
from ogive.dsl.digest import digest
from ogive.dsl.graph import Graph

__all__ = ["FORMAT", "KEPT", "MARGIN", "MEASURED", "Error", "Layer", "Plan", "judged", "read_plan"]

FORMAT: Final = 1

Word: TypeAlias = Literal["int8", "int8-token", "int8-fp8", "bf16"]

KEPT: Final = "bf16"
"""The precision of an attention that no form is good enough for."""

MEASURED: Final[tuple[Word, ...]] = ("int8", "int8-token", "int8-fp8", "bf16")
"""What every attention is computed in."""

MARGIN: Final = 2.0
"""A head whose numbers are so many times larger than any that calibration saw is computed in 16 bits."""

LARGEST_FILE: Final = 64 << 20
"""Bytes of a plan."""

Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Error(_Data):
    """How far answers are off: the largest relative L2 of a sample, and the least cosine; None where not finite."""

    l2: Share | None
    cosine: Annotated[float, Field(ge=-1.001, le=1.001)] | None


class Range(_Data):
    """The smallest and the largest of what heads of samples have as their largest |x|: a scale is 1/127 of it."""

    least: Share
    most: Share


class Layer(_Data):
    """One attention.

    Attributes:
        form: what it is computed in, and `why`.
        good: the forms that keep their bounds: of these `auto` takes the fastest.
        errors: of each form that was measured, and of q, k and v in bf16, against float32.
        ranges: of q, k less its mean, and v.
    """

    form: Word
    why: str
    good: tuple[Form, ...] = ()
    errors: dict[Word, Error] = {}
    ranges: dict[Literal["q", "k", "v"], Range] = {}

    @property
    def reach(self) -> Reach:
        """Which numbers get codes: `MARGIN` times as large as what was seen."""
        most: dict[str, float] = {name: MARGIN * found.most for name, found in self.ranges.items()}
        q, k, v = (min(most.get(name) or limit, limit) for name, limit in zip("qkv", WIDEST, strict=True))
        return q, k, v

    def told(self) -> str:
        """The errors in a line: `int8 0.9 %, int8-token 1.2 %, bf16 0.3 %`."""
        return ", ".join(f"{form} {_percent(error)}" for form, error in self.errors.items())


class Plan(_Data):
    """What calibration found.

    Attributes:
        network, digest: which network it is of.
        weights: the SHA-256 of the weights that were measured, or "random".
        samples: how many inputs were run.
        bounds: what each form may be off by.
        attentions: by path.
        outputs: how far all outputs are off with this plan.
    """

    format: Literal[1]
    ogive: str
    network: str
    digest: str
    weights: str
    samples: Annotated[int, Field(ge=1)]
    bounds: dict[Form, Bound]
    attentions: dict[str, Layer]
    outputs: Error

    def fits(self, graph: Graph, paths: list[str]) -> None:
        """Demand that it is of this network.

        Raises:
            ArchError: A750, it is of another one.
        """
        if self.digest != digest(graph):
            raise fail("A750", f"the plan is of another network than this `{graph.name}`",
                       notes=(f"it was made of `{self.network}`, whose digest was {self.digest}; here it is "
                              f"{digest(graph)}",),
                       help="`ogive calibrate` makes a plan of this one")
        if set(paths) != set(self.attentions):
            odd = sorted(set(paths) ^ set(self.attentions))[0]
            what = "says nothing of" if odd in paths else "names an attention that is not there,"
            raise fail("A750", f"the plan {what} `{odd}`", help="`ogive calibrate` makes a new one")

    def as_json(self) -> str:
        """The text of the file."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def within(error: Error, form: Form) -> bool:
    """Whether an error keeps the bounds of a form."""
    bound = BOUNDS[form]
    return error.l2 is not None and error.cosine is not None and (
        error.l2 <= bound.l2 and error.cosine >= bound.cosine)


def judged(errors: dict[Any, Error], ranges: dict[Any, Range]) -> Layer:
    """The layer of what was measured: the form that is least off, of those that go on every GPU and keep their
    bounds."""
    good = tuple(form for form in WORDS if form in errors and within(errors[form], form))
    everywhere = [form for form in good if form != "int8-fp8"]
    if everywhere:
        form = min(everywhere, key=lambda form: errors[form].l2 or 0.0)
        return Layer(form=form, why=_against(errors[form], form), good=good, errors=errors, ranges=ranges)
    wrong = [form for form in WORDS if form in errors and form not in good]
    why = "; ".join(f"{form} is {_against(errors[form], form)}" for form in wrong)
    return Layer(form=KEPT, why=why, good=good, errors=errors, ranges=ranges)


def _against(error: Error, form: Form) -> str:
    bound, cosine = BOUNDS[form], "" if error.cosine is None else f", cosine {error.cosine:.5f}"
    return f"{_percent(error)} off{cosine}, where {100 * bound.l2:g} % and {bound.cosine} go"


def _percent(error: Error) -> str:
    return "not finite" if error.l2 is None else f"{100 * error.l2:.2g} %"


def read_plan(path: str | Path) -> Plan:
    """The plan of a file.

    Raises:
        ArchError: A750, it cannot be read, or is no plan.
    """
    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise fail("A750", f"`{path}` is larger than any plan")
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise fail("A750", f"cannot read the plan `{path}`: {(error.strerror or str(error)).lower()}",
                   help="`ogive calibrate` writes one") from None
    except UnicodeDecodeError:
        raise fail("A750", f"`{path}` is no plan: it is no text") from None
    try:
        return Plan.model_validate(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise fail("A750", f"`{path}` is no plan: {_reason(error)}", help="`ogive calibrate` writes one") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole of it"
        return f"`{place}`: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return str(error).partition("\n")[0].lower()
