"""The spaces between the words of a statement: first what each word is for, then the gap before it."""

from __future__ import annotations

from dataclasses import dataclass

from ogive.dsl.format_words import CLOSERS, ENDS, OPENERS, Statement, Word

__all__ = ["space"]

SIGNS = {
    "PLUS", "MINUS", "BULLET", "STAR", "SLASH", "VBAR", "AMPERSAND", "PERCENT", "CMP", "POWER", "FLOORDIV",
}
SHAPES = {"shape", "segments", "ceil"}
WORDED = {"IF", "ELSE", "OR", "AND", "NOT"}


def space(statement: Statement) -> None:
    """Decide the spaces between the words of a statement: first what each is for, then the gap before it."""
    words = statement.words
    kinds = _roles(statement)
    for i in range(1, len(words)):
        words[i].gap = _gap(words[i - 1], words[i], kinds[i])


@dataclass(slots=True)
class _Frame:
    """What a word stands in: the bracket, and whether this is a shape."""

    kind: str                       # top, call, params, group, list, index, shape, segments, ceil
    typed: bool = False             # a `: type` has been read since the last comma
    setting: Word | None = None    # the `=` whose value is being read


def _roles(statement: Statement) -> list[str]:
    """Set the role of every word; the kind of frame that each stands in.

    Roles: `joined` to the word before; `tight` on both sides; `prefix`, tight to the word behind; `setting` and
    `assign` for `=`; `operator` and `slice` for what has spaces; `margin` for what starts there.
    """
    words = statement.words
    stack = [_Frame("top")]
    kinds: list[str] = []
    for i, word in enumerate(words):
        if word.type in CLOSERS:
            stack.pop()
        kinds.append(stack[-1].kind)
        before = words[i - 1] if i else None
        after = words[i + 1] if i + 1 < len(words) else None
        if word.type in OPENERS:
            stack.append(_open(word, before, stack[-1], statement))
        else:
            _role(word, before, after, stack[-1], statement)
    return kinds


def _role(word: Word, before: Word | None, after: Word | None, frame: _Frame, statement: Statement) -> None:
    top = frame.kind == "top"
    if word.type == "COMMA":
        frame.setting, frame.typed = None, False
        frame.kind = "top" if statement.head == "INPUT" else frame.kind
    elif word.type == "OF" and frame.kind == "shape":
        frame.kind = "top"
    elif word.type == "COLON":
        _colon(word, before, after, frame, statement)
    elif word.type == "EQUAL":
        tight = frame.kind in (*SHAPES, "call", "params") or statement.head in ("RETURN", "EMIT", "BUDGET")
        word.role = "setting" if tight and not frame.typed else "assign"
        frame.setting = None if frame.kind in SHAPES else word
    elif word.type == "AS" and top and after is not None and after.type == "STRING":
        keyed = statement.head in ("LINE", "SHARED") and not statement.body
        word.role = "margin" if keyed else ""
    elif word.type == "ASK" and top and statement.head == "INPUT":
        word.role = "joined"
    else:
        _operator(word, before, frame, statement)


def _open(word: Word, before: Word | None, frame: _Frame, statement: Statement) -> _Frame:
    """The frame that a bracket opens; `joined` when it belongs to what stands before it."""
    name = before is not None and before.type in ("NAME", "CEIL")
    if frame.kind in SHAPES:
        if name and (word.type == "LSQB" or (before is not None and before.type == "CEIL")):
            word.role = "joined"
            return _Frame("index" if word.type == "LSQB" else "ceil")
        return _Frame("segments")
    if word.type == "LSQB" and frame.kind == "top":
        if statement.row or statement.rule:
            return _Frame("list")
        if statement.head == "INPUT":
            return _Frame("shape")
    if before is None or before.type not in ENDS:
        return _Frame("list" if word.type == "LSQB" else "group")
    word.role = "joined"
    if word.type != "LPAR":
        return _Frame("index")
    declares = statement.head in ("NETWORK", "BLOCK", "PATTERN") and frame.kind == "top" and frame.setting is None
    return _Frame("params" if declares else "call")


def _colon(word: Word, before: Word | None, after: Word | None, frame: _Frame, statement: Statement) -> None:
    if frame.kind == "index":
        bounds = after is not None and after.type != "RSQB" and before is not None and before.type != "LSQB"
        word.role = "slice" if bounds else "tight"
        return
    word.role = "joined"
    if frame.kind == "params":
        frame.typed = True
    elif frame.kind == "top" and after is not None:
        word.role = "joined" if statement.head == "INPUT" else "margin"
        frame.kind = "top" if after.type == "LSQB" else "shape"


def _operator(word: Word, before: Word | None, frame: _Frame, statement: Statement) -> None:
    operand = before is not None and before.type in ENDS and not (statement.row and frame.kind == "top")
    if word.type in SIGNS and operand and before is not None:
        tight = frame.kind == "shape" or (frame.kind == "segments" and word.text not in ("+", "-"))
        power = word.text == "**" and before.type not in CLOSERS
        word.role = "tight" if tight or power else "operator"
    elif word.type in ("MINUS", "TILDE"):
        word.role = "prefix"
    computed = word.role in ("operator", "tight") or word.type in WORDED
    if computed and frame.setting is not None:
        frame.setting.role = "assign"


def _gap(before: Word, word: Word, kind: str) -> int:
    """Spaces between two words that stand on one line."""
    if word.type in CLOSERS or word.type == "COMMA" or before.type in OPENERS:
        return 0
    if word.role in ("joined", "setting", "tight") or before.role in ("setting", "tight", "prefix"):
        return 0
    if "DOT" in (before.type, word.type) and kind not in SHAPES:
        return 1 if before.type == "FROM" or word.type == "IMPORT" else 0
    return 1
