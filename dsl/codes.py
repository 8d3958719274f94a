"""Every code of a diagnostic of this package, with its meaning in a line. A code keeps its meaning for good.

A0 the text itself, A1 names and keys, A2 shapes, A3 settings and numbers, A4 claims, A5 limits, A8 what was asked for,
A9 what comes later. The other rooms have A7 (the compiler) and more of A8 (the command).
"""

from __future__ import annotations

from typing import Final

from ogive.dsl.mistakes import CODES as SYNTAX

__all__ = ["CODES", "meaning"]

CODES: Final[dict[str, str]] = {
    **SYNTAX,
    "A101": "a name that nothing here has",
    "A102": "no op where one stands",
    "A103": "a name that has a meaning already",
    "A104": "weights without a name",
    "A105": "a name that is a value and an op",
    "A106": "two weighted ops for one iteration's key",
    "A107": "two things want one key",
    "A108": "a word of the language as a name",
    "A109": "an import that is not there, lies outside the root, or runs in a circle",
    "A110": "an attribute that is not there",
    "A112": "a key that a module could not hold",
    "A113": "a block or network that is its own part",
    "A114": "a network derived from what is none",
    "A115": "something behind a `return`, or a `return` inside a container",
    "A116": "a network without an input",
    "A117": "a line that does nothing, or a key where none can be",
    "A118": "another number of names than of results",
    "A119": "an op that nothing flows into",
    "A120": "a result that is no tensor",
    "A121": "a wrong use of a shared module",
    "A122": "a header that opens no scope",
    "A201": "inputs that do not go together",
    "A202": "a broken shape promise",
    "A203": "an assertion that does not hold, or a width that does not divide",
    "A204": "an input that no tensor could be",
    "A205": "a weight or setting that depends on a free size",
    "A206": "two sizes that cannot agree, or a division that is not exact",
    "A207": "another number of tensors than an op takes",
    "A208": "an axis that vanishes or is larger than any tensor",
    "A210": "a condition on a free size, decided while building",
    "A211": "a shared module on two widths",
    "A212": "a given weight of another shape",
    "A213": "an argument that does not fit a block's input",
    "A301": "a setting that is not there",
    "A302": "a setting of another kind",
    "A303": "a setting that is missing",
    "A304": "too many settings",
    "A305": "a column of a table that is no parameter",
    "A306": "a row of a table that does not fit its columns",
    "A307": "a preset that is not there",
    "A308": "a setting that stands twice",
    "A309": "an expression without a value",
    "A310": "a repeat that cannot count",
    "A311": "a type that is not there",
    "A401": "a column of `expect` that is no figure",
    "A402": "a cell of `expect` that is no number",
    "A403": "a figure that depends on a free size",
    "A404": "a figure that the network does not have",
    "A501": "a file that is too large",
    "A502": "a file of too many tokens",
    "A503": "brackets too deep in each other",
    "A504": "an expression too deep",
    "A505": "a name too long",
    "A506": "a string too long",
    "A507": "a number of too many digits",
    "A508": "too many imports",
    "A509": "a number, list or size beyond every limit",
    "A510": "scopes too deep in each other",
    "A511": "too many nodes",
    "A512": "too many blocks, or blocks too deep in each other",
    "A513": "too many steps",
    "A599": "a fault of this package",
    "A800": "a file that cannot be read",
    "A801": "a network that is not in the file",
    "A901": "what the language has and this version does not",
}


def meaning(code: str) -> str:
    """What a code stands for, in a line; "" for one of another room."""
    return CODES.get(code, "")
