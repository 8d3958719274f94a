"""Arrows, tables, imports, shapes and arguments: what can be wrong inside one line."""

from __future__ import annotations

import re
from typing import Final

from ogive.dsl.mistakes.place import Found, Mistake, Place
from ogive.dsl.mistakes.words import HEADERS, VALUES

__all__ = ["ROWS"]

BEHIND: Final = re.compile(
    r"(->|\*\*|//|[<>=!]=|[-+*/%|&~=,(\[{:<>]|\b(?:and|or|not|if|elif|else|in|with|repeat|return|emit|assert|allow|input"
    r"|network|block|pattern|shared|next|scan|import|from|as|of|require)\b)\s*$"
)


def _arrow(p: Place) -> bool:
    return p.kind == "ARROW"


def _arrow_first(p: Place) -> Found | None:
    found = p.before.strip()
    return (p.token, {}) if _arrow(p) and (not found or found.endswith("=") or found == "-") else None


def _arrow_again(p: Place) -> Found | None:
    return (p.token, {}) if _arrow(p) and "->" in p.before else None


def _arrow_last(p: Place) -> Found | None:
    found = re.search(r"->\s*$", p.before)
    return ((p.start + found.start(), p.start + found.start() + 2), {}) if found and "NAME" in p.expected else None


def _sources_only(p: Place) -> Found | None:
    if p.kind != "_NL" or p.expected != {"COMMA", "EQUAL", "ARROW"}:
        return None
    begin = p.start + len(p.line) - len(p.line.lstrip())
    return (begin, p.end), {"names": p.line.strip()}


def _brace(p: Place) -> Found | None:
    if p.kind != "LBRACE" or p.first not in HEADERS:
        return None
    return p.token, {"header": p.before.strip()}


def _lone_brace(p: Place) -> Found | None:
    return (p.token, {"brace": p.text}) if p.kind in ("LBRACE", "RBRACE") else None


def _unquoted(p: Place) -> Found | None:
    if p.expected != {"STRING"}:
        return None
    found = re.search(r"\b(as|assert)\b", p.before)
    good = re.match(r"[\w.]*", p.rest)
    what = "key" if found and found[0] == "as" else "reason"
    return p.token, {"what": what, "good": (good[0] if good else "") or "..."}


def _table_comma(p: Place) -> Found | None:
    inside = p.first in ("presets", "expect") and "COLON" in p.expected
    return (p.token, {"sign": p.text}) if p.kind in ("COMMA", "VBAR") and (inside or _row(p)) else None


def _row(p: Place) -> bool:
    return {"QUANTITY", "NAME"} <= p.expected or p.expected in ({"NAME", "STRING"}, {"NAME", "STRING", "BULLET"})


def _cell(p: Place) -> Found | None:
    return (p.token, {"text": p.text or "the end of the line"}) if _row(p) and "QUANTITY" in p.expected else None


def _budget(p: Place) -> Found | None:
    """Where `expect figure <= amount at B=32` breaks off; the header of a table does not come here."""
    started = p.first == "expect" and (re.search(r"[<>=]", p.before) or p.kind in ("EQUAL", "CMP"))
    return (p.token, {"text": p.text or "the end of the line"}) if started else None


def _import(p: Place) -> Found | None:
    return (p.token, {}) if p.first == "from" and not p.line[:1].isspace() else None


def _shape_comma(p: Place) -> Found | None:
    return (p.token, {}) if p.kind == "COMMA" and ("CEIL" in p.expected or p.expected == {"OF", "_NL"}) else None


def _port_comma(p: Place) -> Found | None:
    if p.kind != "COLON" or p.first != "input" or "CEIL" not in p.expected:
        return None
    found = re.search(r"\w+\??\s*$", p.before)
    begin = p.start + found.start() if found else p.at
    return (begin, max(p.start + len(p.before.rstrip()), begin + 1)), {"name": found[0].strip() if found else "x"}


def _port_kind(p: Place) -> Found | None:
    found = re.match(r":\s*(int|bool|float)\b", p.rest)
    return ((p.at, p.at + len(found[0])), {"kind": found[1]}) if found and "OF" in p.expected else None


def _star(p: Place) -> Found | None:
    return (p.token, {}) if p.kind in ("STAR", "PLUS") and not p.before.strip() else None


def _in_shape(p: Place) -> Found | None:
    inside = "CEIL" in p.expected and p.kind != "_NL"
    return (p.token, {"text": p.text}) if inside and p.text else None


def _index(p: Place) -> Found | None:
    return (p.token, {}) if "RSQB" in p.expected and p.expected <= {"COLON", "RSQB"} else None


def _comma_twice(p: Place) -> Found | None:
    found = re.search(r"[,(\[]\s*$", p.before)
    return (p.token, {"behind": found[0].strip()}) if p.kind == "COMMA" and found and "NAME" in p.expected else None


def _comma(p: Place) -> Found | None:
    starts = p.kind in VALUES - {"LPAR", "LSQB", "MINUS", "ASK"}
    if not starts or "COMMA" not in p.expected or not p.expected & {"RPAR", "RSQB"}:
        return None
    return p.token, {"text": p.text}


def _two(p: Place) -> Found | None:
    starts = p.kind in VALUES - {"LPAR", "LSQB", "MINUS", "ASK"}
    if not starts or "_NL" not in p.expected or "PLUS" not in p.expected or "CEIL" in p.expected:
        return None
    found = re.search(r"\S+\s*$", p.before)
    left = found[0].strip() if found else ""
    hint = f"`{left} -> {p.text}` runs an op on a value; " if left.isidentifier() and p.kind == "NAME" else ""
    return p.token, {"left": left, "right": p.text, "hint": hint}


def _shape_alone(p: Place) -> Found | None:
    """Names of axes behind two blanks or more, at the end of a line."""
    if _two(p) is None or not p.before.endswith("  ") or not re.fullmatch(r"[A-Za-z_]\w*( +[\w+*/().-]+)+", p.rest):
        return None
    return (p.at, p.end), {"shape": p.rest}


def _nothing_behind(p: Place) -> Found | None:
    found = BEHIND.search(p.before)
    if not found or not ({"NAME", "INT", "LPAR"} <= p.expected or p.expected in ({"NAME"}, {"NAME", "STRING"})):
        return None
    what = "name" if p.expected <= {"NAME", "STRING"} else "value"
    return (p.start + found.start(1), p.start + found.end(1)), {"what": what, "sign": found[1]}


def _nothing_behind_dot(p: Place) -> Found | None:
    found = re.search(r"\.\s*$", p.before)
    if not found or p.expected != {"NAME", "STRING"}:
        return None
    return (p.start + found.start(), p.start + found.start() + 1), {"what": "name", "sign": "."}


def _no_index(p: Place) -> Found | None:
    found = re.search(r"([A-Za-z_]\w*)\[\s*$", p.before)
    if found is None or not p.rest.startswith("]"):
        return None
    return (p.start + len(p.before.rstrip()) - 1, p.start + len(p.before.rstrip())), {"name": found[1]}


ROWS: Final[tuple[Mistake, ...]] = (
    Mistake("A001", "a numbered child starts with `-`", "write `- op(...)`", _star),
    Mistake(
        "A009", "nothing stands left of `->`",
        "name the values that flow in, `a, b -> op`; a line without sources is fed by the line above", _arrow_first,
    ),
    Mistake("A009", "a line has one `->`", "put the next op on the next line; it is fed by this one", _arrow_again),
    Mistake(
        "A009", "nothing stands right of `->`",
        "name the op that takes the values: `a, b -> op(settings)`", _arrow_last,
    ),
    Mistake("A009", "these values flow nowhere", "write `{names} -> op`", _sources_only),
    Mistake(
        "A024", "a body does not stand in braces",
        "write `{header}:` and indent the lines of the body by 4 spaces", _brace,
    ),
    Mistake(
        "A024", "`{brace}` cannot stand here",
        "braces make a name with a number: `layer{{s + 1}}`; a list stands in `[...]`", _lone_brace,
    ),
    Mistake("A015", "a {what} stands in double quotes", 'write `"{good}"`', _unquoted),
    Mistake("A029", "`{sign}` cannot part the columns of a table", "columns are parted by blanks alone", _table_comma),
    Mistake(
        "A029", "`{text}` cannot stand in a table",
        "a cell is a number, size, name, string, list or call, or `-` for the default; arithmetic belongs below", _cell,
    ),
    Mistake(
        "A029", "`{text}` cannot stand in a budget",
        "a budget reads `expect params <= 30M, memory <= 8GB at B=32`", _budget,
    ),
    Mistake(
        "A030", "an import reads `from module import Name`",
        "e.g. `from std.timm import Mlp`, `from .vit import ViT as V`", _import,
    ),
    Mistake("A028", "the axes of a shape are parted by blanks", "take the comma out: `B C H W`", _shape_comma),
    Mistake("A028", "the kind of a port stands behind `of`", "write `of {kind}`", _port_kind),
    Mistake("A028", "a comma is missing between two ports", "write `, {name}: ...`", _port_comma),
    Mistake(
        "A028", "`{text}` cannot stand in a shape",
        "a shape is made of names, numbers, `(h w)`, `.`, `...` and `+ - * / **`", _in_shape,
    ),
    Mistake(
        "A001", "an index is one number or one slice",
        "write `x[1][2]` for items of items, `x[from : to]` for a part", _index,
    ),
    Mistake(
        "A002", "a value is missing behind `[`",
        "`{name}[0]` is the first item, and with `:` alone, `{name}[:]`, it is all of them", _no_index,
    ),
    Mistake(
        "A008", "nothing stands between `{behind}` and `,`",
        "take the comma out, or put the missing argument in", _comma_twice,
    ),
    Mistake("A008", "a comma is missing before `{text}`", "arguments and items are parted by commas", _comma),
    Mistake(
        "A023", "a shape stands here without its `:`",
        "` : ` stands in front of a shape: `: {shape}`", _shape_alone,
    ),
    Mistake(
        "A023", "nothing stands between `{left}` and `{right}`",
        "{hint}settings stand in brackets, `op(setting)`; each op has a line of its own", _two,
    ),
    Mistake(
        "A002", "a {what} is missing behind `{sign}`",
        "put the {what} there, or take `{sign}` out", _nothing_behind,
    ),
    Mistake(
        "A002", "a {what} is missing behind `{sign}`",
        "put the {what} there, or take `{sign}` out", _nothing_behind_dot,
    ),
)
