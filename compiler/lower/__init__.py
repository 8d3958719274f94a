"""The torch meaning of each record of `ogive.dsl.ops`, in files of the same names."""
