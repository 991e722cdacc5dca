"""A plan for the terminal: a table for every scene, and what it all comes to."""

from __future__ import annotations

from collections.abc import Iterator

from kling_dsl.reports.columns import cells
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.palette import Palette
from kling_dsl.reports.plan import Plan, closing_lines, on_the_point
from kling_dsl.reports.tables import columns_of

_COLUMNS = (
    ("state", "left"),
    ("seconds", "right"),
    ("takes", "right"),
    ("cost", "right"),
    ("one more", "right"),
    ("total", "right"),
)

_MONEY = ("cost", "one more", "total")
"""Columns whose cells are all of one width already, with their points under each other."""

_LEAST_NAME = 16
"""The columns that a clip's name is folded into at least; where that leaves too few, the table is wider than asked."""

_GAP = 2


def render_plan_text(plan: Plan, *, width: int, palette: Palette) -> str:
    """Return a plan as text of about `width` columns.

    An amount or an address is never cut or broken, so a narrow text has lines that are longer.
    """
    title = palette.paint(f"{visible(plan.film)}  ({visible(plan.file)})", palette.strong)
    table = "\n".join(_table_lines(plan, width, palette))
    return f"{title}\n\n{table}\n\n{_closing_text(plan, width)}"


def _table_lines(plan: Plan, width: int, palette: Palette) -> Iterator[str]:
    """Yield the lines of the table: a name, which is folded where it is too long, and columns of one width each."""
    names, others = _cells(plan)
    columns = [("model", "left")] if len(plan.models) > 1 else []
    columns += _COLUMNS
    widths = [max(map(len, column)) for column in zip([name for name, _ in columns], *others, strict=True)]
    room = max(_LEAST_NAME, width - sum(column + _GAP for column in widths))
    most = min(room, max(columns_of(name) for name in ("clip", *names)))

    def behind(values: tuple[str, ...], sides: list[str]) -> str:
        aligned = zip(values, sides, widths, strict=True)
        return "".join(
            " " * _GAP + (value.rjust(column) if side == "right" else value.ljust(column))
            for value, side, column in aligned
        )

    heads = behind(tuple(name for name, _ in columns), [side for _, side in columns])
    yield palette.paint(("clip".ljust(most) + heads).rstrip(), palette.strong)
    sides = ["left" if name in _MONEY else side for name, side in columns]
    for row, name, values in zip(plan.rows, names, others, strict=True):
        style = "" if row.clip else palette.strong
        first, *more = _folded(name, most)
        padded = first + " " * (most - columns_of(first))
        yield (palette.paint(padded, style) + behind(values, sides)).rstrip()
        yield from (palette.paint(line, style) for line in more)


def _cells(plan: Plan) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the names of the rows, and their other cells."""
    rows = plan.rows
    indent = "  " if any(row.clip is None for row in rows) else ""
    costs, retakes, totals = (
        [amount.rjust(len(title)) for amount in on_the_point(amounts)]
        for title, amounts in (
            ("cost", [row.cost_usd for row in rows]),
            ("one more", [row.clip.retake_usd if row.clip else None for row in rows]),
            ("total", [row.total_usd if row.clip else None for row in rows]),
        )
    )
    several = len(plan.models) > 1
    others: list[tuple[str, ...]] = []
    for row, cost, retake, total in zip(rows, costs, retakes, totals, strict=True):
        clip = row.clip
        state, takes = (clip.state, str(clip.takes)) if clip else ("", "")
        model = (clip.model if clip else "",) if several else ()
        others.append((*model, state, str(row.seconds), takes, cost, retake, total))
    return [indent + row.name if row.clip else visible(row.name) for row in rows], others


def _folded(name: str, width: int) -> list[str]:
    """Return a name in lines of at most `width` columns, broken at blanks where there are any."""
    if len(name) <= width and name.isascii():
        return [name]
    lines: list[str] = []
    line, used = "", 0
    for cell in cells(name):
        if used + cell.columns > width and line:
            kept, blank, carried = line.rpartition(" ")
            if blank and kept.strip() and cell.text != " ":
                line = carried
                lines.append(kept)
            else:
                lines.append(line.rstrip())
                line = ""
            used = columns_of(line)
            if cell.text == " " and not line:
                continue
        line += cell.text
        used += cell.columns
    return [*lines, line]


def _closing_text(plan: Plan, width: int) -> str:
    import textwrap

    lines = closing_lines(plan)
    indent = max(len(label) for label, _ in lines) + _GAP
    wrapper = textwrap.TextWrapper(
        max(_LEAST_NAME, width - indent), break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )
    told = [(label, wrapper.wrap(visible(words))) for label, words in lines]
    return "".join(
        f"{label if at == 0 else '':<{indent}}{line}\n" for label, words in told for at, line in enumerate(words)
    )
