"""The parser of `grammar.lark`: from the table in `grammar.json`, or made anew where that is of another grammar.

Making the LALR table takes Lark longer than reading a small file; reading the table from plain data does not. The data
name the version of Lark and the hash of the grammar they were made of. With another version, or while the grammar is
edited, the table is made as if there were none. `python docs/generate.py dsl/grammar.json` writes it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, cast

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from ogive.dsl.layout import Layout

__all__ = ["data", "kept", "made", "parser"]

STARTS: Final = ["start", "expr"]
REDUCE: Final = 1  # how Lark writes down a reduction; the other action, a shift, has the number of a state


def parser(layout: Layout) -> Lark:
    """The parser, with a layout between its lexer and itself."""
    return kept(layout) or made(layout)


def made(layout: Layout) -> Lark:
    """The parser with a table that Lark makes now."""
    return Lark(
        _read("grammar.lark"), parser="lalr", lexer="contextual", postlex=cast(Any, layout), start=STARTS,
        propagate_positions=True, maybe_placeholders=True,
    )


def kept(layout: Layout) -> Lark | None:
    """The parser with the table that is kept; None where it was made by another Lark or of another grammar."""
    place = files("ogive.dsl") / "grammar.json"
    if not place.is_file():
        return None
    stored = json.loads(place.read_text(encoding="utf-8"))
    if stored["of"] != _of():
        return None
    table = stored["data"]["parser"]["parser"]
    table["states"] = dict(enumerate(table["states"]))
    table["tokens"] = {name: name for name in table["tokens"]}
    memo = dict(enumerate(stored["memo"]))
    return cast(Lark, cast(Any, Lark)._load_from_dict(stored["data"], memo, postlex=layout))


def data() -> str:
    """What `grammar.json` should be: the same for the same grammar, whatever order Lark met the states in."""
    data, memo = cast(Any, made(Layout())).memo_serialize([TerminalDef, Rule])
    del data["options"]["postlex"]
    table = data["parser"]["parser"]
    names = table["tokens"]
    states = {number: {names[token]: action for token, action in actions.items()}
              for number, actions in table["states"].items()}
    order = _order(states, [table["start_states"][start] for start in STARTS])
    table["states"] = [
        {name: action if action[0] == REDUCE else (action[0], order[action[1]])
         for name, action in sorted(states[number].items())}
        for number in order
    ]
    table["tokens"] = sorted(names.values())
    for key in ("start_states", "end_states"):
        table[key] = {start: order[table[key][start]] for start in STARTS}
    text = json.dumps(
        {"of": _of(), "data": data, "memo": [memo[i] for i in range(len(memo))]}, separators=(",", ":"),
    )
    return text + "\n"


def _order(states: dict[int, dict[str, Any]], starts: list[int]) -> dict[int, int]:
    """A new number for each state: in the order in which they are reached, by the names of what leads there."""
    found = dict.fromkeys(starts)
    todo = list(starts)
    for number in todo:
        for _, (kind, arg) in sorted(states[number].items()):
            if kind != REDUCE and arg not in found:
                found[arg] = None
                todo.append(arg)
    return {number: i for i, number in enumerate(found)}


def _of() -> dict[str, str]:
    """What a table is made of."""
    return {"lark": lark.__version__, "grammar": sha256(_read("grammar.lark").encode("utf-8")).hexdigest()}


def _read(name: str) -> str:
    return (files("ogive.dsl") / name).read_text(encoding="utf-8")
