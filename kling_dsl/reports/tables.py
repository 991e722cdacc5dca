"""Tables, moments and JSON of the reports about records: aligned by what a terminal shows, safe to show."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from kling_dsl.reports.columns import cells
from kling_dsl.reports.escaping import safe_json, visible

_GAP = "  "
_LEAST_LAST = 28
"""The columns that the last cell of a row is folded into at least; where that leaves too few, lines are longer."""


def render_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, width: int, right: Collection[int] = ()
) -> list[str]:
    """Return the lines of a table; the last column is folded to `width`, those in `right` end under each other.

    Whatever the cells hold is shown and not obeyed. The heads may be empty, and then have no line.
    """
    lines = [*([tuple(heads)] if any(heads) else []), *([visible(cell) for cell in row] for row in rows)]
    widths = [max((columns_of(line[at]) for line in lines), default=0) for at in range(len(heads) - 1)]
    before = sum(column + len(_GAP) for column in widths)
    found: list[str] = []
    for line in lines:
        front = "".join(_padded(line[at], column, at in right) + _GAP for at, column in enumerate(widths))
        folded = fold(line[-1], max(_LEAST_LAST, width - before)) or [""]
        found.append((front + folded[0]).rstrip())
        found += [" " * before + more for more in folded[1:]]
    return found


def fold(text: str, width: int) -> list[str]:
    """Return a text in lines of about `width` columns; a path or an address is never broken."""
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
    return wrapper.wrap(text)


def columns_of(text: str) -> int:
    """Count the columns that a text takes in a terminal."""
    return len(text) if text.isascii() else sum(cell.columns for cell in cells(text))


def local(moment: datetime) -> str:
    """Return a moment as the clock on the wall says it, such as `2026-11-22 18:03`."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def in_json(report: object) -> str:
    """Return a report as indented JSON, harmless to show."""
    return safe_json(msgspec.json.format(msgspec.json.encode(report), indent=2)).decode("utf-8") + "\n"


def _padded(cell: str, width: int, at_the_right: bool) -> str:  # noqa: FBT001 - which side the blanks go to
    blanks = " " * (width - columns_of(cell))
    return blanks + cell if at_the_right else cell + blanks
