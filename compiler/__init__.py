"""From a checked graph to torch.fx, to pictures and to costs."""

if __name__ != "ogive.compiler":
    raise ImportError("import ogive.compiler, not compiler")
