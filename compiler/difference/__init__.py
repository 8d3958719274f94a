"""What is different between two networks. No torch.

two graphs --match--> which node is which --changes, keys, figures--> a `Difference` --words--> text, --picture--> DOT
"""

from __future__ import annotations

from ogive.compiler.difference.changes import Change
from ogive.compiler.difference.figures import Figures, Part
from ogive.compiler.difference.keys import Keys
from ogive.compiler.difference.report import Difference, compare

__all__ = ["Change", "Difference", "Figures", "Keys", "Part", "compare"]
