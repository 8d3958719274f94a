"""From text to a checked graph; never imports torch."""

if __name__ != "ogive.dsl":
    raise ImportError("import ogive.dsl, not dsl")
