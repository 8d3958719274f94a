"""What is refused before a text is read: characters that no reader sees, and more text than any network needs."""

from __future__ import annotations

import re
from typing import Final

from ogive.dsl import limits
from ogive.dsl.diagnostics import fail
from ogive.dsl.source import Source

__all__ = ["screen"]

# Joiners (U+200C, U+200D) are left alone: scripts and emoji in comments need them, and names are ASCII.
UNSEEN: Final = re.compile(
    "(?P<control>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff])"
    "|(?P<turning>[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])"
    "|(?P<line>[\u2028\u2029])"
    "|(?P<unseen>[\u00ad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f])"
)
WORDS: Final = {
    "control": "a control character",
    "turning": "a character that turns the reading direction",
    "line": "a line break that is none in this language",
    "unseen": "a character that nobody sees",
}
WORD: Final = re.compile(r'"[^"\n]*"?|#[^\n]*|[\w.]+|->|\*\*|//|[<>=!]=|\n|[^\w\s]')


def screen(source: Source) -> None:
    """Hold a text to what can be read in bounded time, and to what it shows.

    Raises:
        ArchError: A501 too many characters, A502 too many words and signs, A003 a character that is not seen.
    """
    text = source.text
    if len(text) > limits.FILE_BYTES:
        raise fail(
            "A501", f"the text has {len(text):,} characters; the limit is {limits.FILE_BYTES:,}",
            source.span(limits.FILE_BYTES, limits.FILE_BYTES + 1), help="put parts of it into files of their own",
        )
    if found := UNSEEN.search(text):
        what = WORDS[found.lastgroup or ""]
        raise fail(
            "A003", f"{what} (U+{ord(found[0]):04X}) stands here", source.span(found.start(), found.end()),
            help="take it out; a file says what it shows",
        )
    if len(text) > limits.TOKENS:
        _count(source)


def _count(source: Source) -> None:
    """Counted ahead of the parser, which needs some 30 microseconds for each."""
    for number, word in enumerate(WORD.finditer(source.text), 1):
        if number > limits.TOKENS:
            raise fail(
                "A502", f"the file has more than {limits.TOKENS:,} words and signs", source.span(*word.span()),
                help="put parts of it into files of their own, and `from .part import Part`",
            )
