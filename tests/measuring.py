"""What tests say of coverage: which children are not measured, and how much longer those may take that are."""

from __future__ import annotations

import os

SLOWER = 8 if "COVERAGE_PROCESS_CONFIG" in os.environ else 1
"""How many times as long a child may take: each line that it runs is noted down while coverage is measured."""


def unmeasured() -> dict[str, str]:
    """Return this process's variables without those by which a child would measure its coverage.

    It would import much for that, write files of its own, and need memory, time and words that a test may count.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def limited() -> dict[str, str]:
    """Return the variables of a child that may have little: it is not measured, and it keeps no compiled modules.

    Python keeps one that was cut short by a full disk, and every later process that imports it would fail.
    """
    return {**unmeasured(), "PYTHONDONTWRITEBYTECODE": "1"}
