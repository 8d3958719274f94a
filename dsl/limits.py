"""Every guard against hostile or runaway input, by name. At the limit passes; one above is refused."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BRACKET_DEPTH", "CALLS", "CALL_DEPTH", "DIAGNOSTICS", "DIM", "EXPRESSION_DEPTH", "FILE_BYTES",
    "FILE_STEPS", "FLAGS", "GUARDS", "IMPORT_DEPTH", "IMPORT_FILES", "INDENT_DEPTH", "INTEGER", "KEY_LENGTH",
    "KEY_PARTS", "LIST", "LITERAL_DIGITS", "MISTAKE_STEPS", "NAME_LENGTH", "NODES", "NODE_STEPS",
    "REGION_DEPTH", "REREAD", "RULES", "SEGMENTS", "SIZE_PARTS", "STEPS", "STRING_LENGTH", "TOKENS", "TRIED", "TRIES",
]

FILE_BYTES: Final = 1 << 20          # one file, comments and all
TOKENS: Final = 50_000               # words and signs of one file; the parser takes some 30 microseconds for each
REREAD: Final = 50_000               # characters read again to find further mistakes of syntax
BRACKET_DEPTH: Final = 64
INDENT_DEPTH: Final = 64             # bodies inside each other, as they are written
EXPRESSION_DEPTH: Final = 100        # levels of the tree of one expression; evaluation recurses
NAME_LENGTH: Final = 128
KEY_LENGTH: Final = 1_024             # characters of a state_dict key
KEY_PARTS: Final = 64                # its parts: modules inside modules
MISTAKE_STEPS: Final = 30            # what a mistake counts for: its words take their time, and repeats repeat it
STRING_LENGTH: Final = 64 * 1024
LITERAL_DIGITS: Final = 18
SIZE_PARTS: Final = 5                # numbers of one `3x3x3`; `1x3x224x224` pins a whole image
INTEGER: Final = 2**63 - 1           # any value computed in a file
DIM: Final = 2**31 - 1               # one axis of a tensor
IMPORT_FILES: Final = 64
IMPORT_DEPTH: Final = 16
CALL_DEPTH: Final = 32               # blocks inside blocks
CALLS: Final = 5_000                 # block calls of one network
REGION_DEPTH: Final = 48             # scopes, repeats and blocks inside each other
NODES: Final = 10_000                # nodes of one network, after repeats are written out
SEGMENTS: Final = 1_024               # segments of one axis of positions
GUARDS: Final = 500                  # conditions on the input's sizes
FLAGS: Final = 4                     # what calls decide: `training`, optional inputs; a graph for each way
RULES: Final = 256                   # rules of all `weights` of one file
TRIES: Final = 200                   # numbers tried in place of one `?`
TRIED: Final = 65_536                # the largest of them
STEPS: Final = 100_000               # lines run, iterations begun and list items made while one network is built
FILE_STEPS: Final = 1_000_000        # the same for all networks and presets of a file together
NODE_STEPS: Final = 10               # what a node counts for there
LIST: Final = 4_096                  # items of one list, those of inner lists counted
DIAGNOSTICS: Final = 100             # shown per run
