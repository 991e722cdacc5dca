"""A plan for the terminal: a table for every scene, and what it all comes to."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from kling_dsl.reports.escaping import visible
from kling_dsl.reports.plan import Plan, closing_lines, on_the_point

if TYPE_CHECKING:
    from rich.console import Console

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


def render_plan_text(plan: Plan, *, width: int, color: str | None) -> str:
    """Return a plan as text of about `width` columns; `color` is rich's colour system, None for plain text.

    An amount or an address is never cut or broken, so a narrow text has lines that are longer.
    """
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width,
        color_system=color,  # type: ignore[arg-type]
        force_terminal=color is not None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(f"{visible(plan.film)}  ({visible(plan.file)})", style="bold" if color else None)
    console.print()
    _print_table(plan, console)
    table = "\n".join(line.rstrip() for line in buffer.getvalue().split("\n"))
    return f"{table}\n{_closing_text(plan, width)}"


def _print_table(plan: Plan, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    rows = plan.rows
    indent = "  " if any(row.clip is None for row in rows) else ""
    several = len(plan.models) > 1
    columns = [("clip", "left"), *([("model", "left")] if several else []), *_COLUMNS]
    costs, retakes, totals = (
        [amount.rjust(len(title)) for amount in on_the_point(amounts)]
        for title, amounts in (
            ("cost", [row.cost_usd for row in rows]),
            ("one more", [row.clip.retake_usd if row.clip else None for row in rows]),
            ("total", [row.total_usd if row.clip else None for row in rows]),
        )
    )
    cells: list[tuple[str, ...]] = []
    for row, cost, retake, total in zip(rows, costs, retakes, totals, strict=True):
        clip = row.clip
        state, takes = (clip.state, str(clip.takes)) if clip else ("", "")
        model = (clip.model if clip else "",) if several else ()
        cells.append((*model, state, str(row.seconds), takes, cost, retake, total))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=True)
    widths = [max(map(len, column)) for column in zip([name for name, _ in columns[1:]], *cells, strict=True)]
    for (name, justify), width in zip(columns, (None, *widths), strict=True):
        title = Text(name, justify="right" if justify == "right" else "left", style="bold")
        aligned = "left" if name in _MONEY else justify
        table.add_column(title, justify=aligned, width=width, no_wrap=width is not None, overflow="fold")  # type: ignore[arg-type]
    for row, others in zip(rows, cells, strict=True):
        label = Text(indent + row.name) if row.clip else Text(visible(row.name), style="bold")
        table.add_row(label, *others)
    console.width = max(console.width, _LEAST_NAME + sum(width + _GAP for width in widths))
    console.print(table)


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
