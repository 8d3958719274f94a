"""The builder is one class in many files: no file takes a method's name that another one has."""

from __future__ import annotations

from collections import defaultdict

from ogive.dsl.body import Bodies


def test_no_method_hides_another() -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for kind in Bodies.__mro__:
        for name, value in vars(kind).items():
            if callable(value) and not name.startswith("__") and not getattr(value, "__isabstractmethod__", False):
                owners[name].append(kind.__module__)
    assert {name: where for name, where in owners.items() if len(where) > 1} == {}
