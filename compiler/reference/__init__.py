"""What attention means, worked out slowly in float64: every faster way is held against it.

Nothing here is shared with the lowerings: sets are asked pair by pair, biases looked up pair by pair, mechanisms follow
their equations. What is answered has gradients, by torch's own rules for plain arithmetic.
"""

from __future__ import annotations

from ogive.compiler.reference.attention import Spec, attention, spec_of
from ogive.compiler.reference.biases import products, rotated

__all__ = ["Spec", "attention", "products", "rotated", "spec_of"]
