"""One record per primitive, one file per family."""
