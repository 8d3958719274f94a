"""Networks as pictures; needs no torch."""
