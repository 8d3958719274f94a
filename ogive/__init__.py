"""A small language for neural networks: checked without torch, compiled to torch.fx, drawn from the text."""
