"""Map the rooms of the checkout to one package: dsl/ is ogive.dsl, compiler/ is ogive.compiler, and so on.

Everything else stands in pyproject.toml; the mapping is here because a subpackage that is not listed would import from
an editable install and be missing from the wheel.
"""

from setuptools import find_packages, setup

ROOMS = {"ogive": "ogive", "ogive.dsl": "dsl", "ogive.compiler": "compiler", "ogive.library": "library"}

setup(
    packages=[p for room, folder in ROOMS.items() for p in [room, *(f"{room}.{sub}" for sub in find_packages(folder))]],
    package_dir=ROOMS,
    package_data={
        "ogive": ["py.typed", "data/**/*"],
        "ogive.dsl": ["**/*.lark", "**/*.json"],
        "ogive.compiler": ["**/*.html", "**/*.css", "**/*.js", "**/*.svg", "**/*.json", "**/*.txt"],
        "ogive.library": ["**/*.arch"],
    },
)
