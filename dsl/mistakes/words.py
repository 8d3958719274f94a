"""Codes of the syntax, and the names of tokens in the words of the language."""

from __future__ import annotations

from typing import Final

__all__ = ["CODES", "HEADERS", "OPERATORS", "STATEMENTS", "TOP", "VALUES", "WORDS"]

CODES: Final = {
    "A001": "something stands where it cannot",
    "A002": "a value or a name is missing",
    "A003": "a character that the language does not use",
    "A004": "`:` is missing at the end of a header",
    "A005": "a body on the line of its header",
    "A006": "a header without a body",
    "A007": "a line is indented deeper without a header above it",
    "A008": "a comma is missing, or there is one too many",
    "A009": "an arrow without a source or without an op, or a second arrow",
    "A010": "a statement of Python",
    "A011": "a bracket is never closed",
    "A012": "a line is indented to no open level",
    "A013": "a bracket closes nothing, or another kind of bracket",
    "A014": "something else than names left of `=`",
    "A015": "text without its double quotes",
    "A016": "a string is never closed",
    "A017": "an operator of another language",
    "A018": "a number in a form that the language does not have",
    "A019": "a size that is not written like `3x3`",
    "A020": "a word of the language used as a name",
    "A021": "`else` or `elif` without its `if`, or a choice without `else`",
    "A022": "a statement outside of every definition",
    "A023": "two things on one line with nothing between them",
    "A024": "braces that do not make a name",
    "A025": "an expression of Python",
    "A026": "a line that this kind of definition does not hold",
    "A027": "another assignment than `=`",
    "A028": "a shape or a port that is not well formed",
    "A029": "a table that is not well formed",
    "A030": "an import that is not well formed",
}

WORDS: Final = {
    "$END": "the end of the file", "_NL": "the end of the line", "_INDENT": "an indented body",
    "_DEDENT": "the end of the body", "COMMENT": "a comment", "__IGNORE_0": "a blank",
    "NAME": "a name", "STRING": "a string", "INT": "a whole number", "FLOAT": "a number with a point",
    "SIZE": "a size such as `3x3`", "QUANTITY": "a quantity such as `86M`", "BYTES": "bytes such as `8GB`",
    "ASK": "`?`",
    "TRUE": "`True`", "FALSE": "`False`", "NONE": "`None`",
    "BULLET": "`-`", "MINUS": "`-`", "PLUS": "`+`", "STAR": "`*`", "SLASH": "`/`", "FLOORDIV": "`//`", "PERCENT": "`%`",
    "POWER": "`**`", "TILDE": "`~`", "VBAR": "`|`", "AMPERSAND": "`&`", "CMP": "a comparison",
    "COMMA": "`,`", "COLON": "`:`", "EQUAL": "`=`", "DOT": "`.`", "REST": "`...`", "ARROW": "`->`",
    "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`",
    **{word.upper(): f"`{word}`" for word in (
        "from", "import", "as", "network", "block", "pattern", "weights", "allow", "input", "of", "return", "assert",
        "presets", "expect", "at", "shared", "with", "repeat", "if", "elif", "else", "scan", "in", "next", "emit",
        "require", "ceil", "or", "and", "not",
    )},
}

STATEMENTS: Final = (
    "input", "return", "assert", "presets", "expect", "shared", "repeat", "if", "elif", "else", "scan", "next", "emit",
)
HEADERS: Final = (
    "network", "block", "pattern", "weights", "presets", "expect", "repeat", "if", "elif", "else", "scan",
    "residual", "gate", "append",
)
TOP: Final = ("network", "block", "pattern", "from")
VALUES: Final = {
    "NAME", "INT", "FLOAT", "SIZE", "STRING", "ASK", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "MINUS", "TILDE", "NOT",
}
OPERATORS: Final = {
    "PLUS", "MINUS", "BULLET", "STAR", "SLASH", "FLOORDIV", "PERCENT", "POWER", "VBAR", "AMPERSAND", "CMP",
    "AND", "OR", "IF",
}
