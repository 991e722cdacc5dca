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


def render_plan_text(plan: Plan, *, width: int, color: str | None) -> str:
    """Return a plan as text of at most `width` columns; `color` is rich's colour system, None for plain text."""
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
    console.print()
    _print_closing(plan, console)
    return "\n".join(line.rstrip() for line in buffer.getvalue().split("\n"))


def _print_table(plan: Plan, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    rows = plan.rows
    indent = "  " if any(row.clip is None for row in rows) else ""
    several = len(plan.models) > 1
    columns = [("clip", "left"), *([("model", "left")] if several else []), *_COLUMNS]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=True)
    for name, justify in columns:
        title = Text(name, justify="right" if justify == "right" else "left", style="bold")
        aligned = "left" if name in _MONEY else justify
        table.add_column(title, justify=aligned, no_wrap=name != "clip", overflow="fold")  # type: ignore[arg-type]
    costs, retakes, totals = (
        [amount.rjust(len(title)) for amount in on_the_point(amounts)]
        for title, amounts in (
            ("cost", [row.cost_usd for row in rows]),
            ("one more", [row.clip.retake_usd if row.clip else None for row in rows]),
            ("total", [row.total_usd if row.clip else None for row in rows]),
        )
    )
    for row, cost, retake, total in zip(rows, costs, retakes, totals, strict=True):
        clip = row.clip
        label = Text(indent + row.name) if clip else Text(visible(row.name), style="bold")
        state, takes = (clip.state, str(clip.takes)) if clip else ("", "")
        model = [clip.model if clip else ""] if several else []
        table.add_row(label, *model, state, str(row.seconds), takes, cost, retake, total)
    console.print(table)


def _print_closing(plan: Plan, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, words in closing_lines(plan):
        table.add_row(Text(label), Text(visible(words)))
    console.print(table)
