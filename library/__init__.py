"""The networks and parts that come with ogive: text only, `library/*.arch` and `library/std/*.arch`."""

if __name__ != "ogive.library":
    raise ImportError("import ogive.library, not library")
