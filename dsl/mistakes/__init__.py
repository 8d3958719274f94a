"""Wrong programs, said in the words of the language: what stands where it cannot, and what was probably meant.

`MISTAKES` is a table, tried in order: the first row that recognises the place makes the diagnostic. A row has a code,
the sentence, what to type instead, and a function that finds the mistake in the line (not always where the parser
noticed it) together with the words for the blanks in both sentences. A case for each stands in tests/dsl/errors.
"""

from ogive.dsl.mistakes.table import MISTAKES, explain
from ogive.dsl.mistakes.words import CODES, WORDS

__all__ = ["CODES", "MISTAKES", "WORDS", "explain"]
