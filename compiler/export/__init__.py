"""What a compiled network is written to."""
