"""A plan for the terminal: a table for every scene, and what it all comes to."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING

from kling_dsl.money import dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.plan import Plan, closing_lines

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = (
    ("clip", "left"),
    ("state", "left"),
    ("seconds", "right"),
    ("takes", "right"),
    ("cost", "right"),
    ("one more", "right"),
    ("total", "right"),
)


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

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=True)
    for name, justify in _COLUMNS:
        left = name == "clip"
        table.add_column(name, justify=justify, no_wrap=not left, overflow="fold", header_style="bold")  # type: ignore[arg-type]
    running = Decimal(0)
    indent = ""
    for scene, clips in plan.scenes:
        if scene:
            indent = "  "
            _add_scene(table, scene)
        for clip in clips:
            running += clip.cost_usd
            table.add_row(
                Text(indent + clip.id),
                clip.state,
                str(clip.seconds),
                str(clip.takes),
                dollars(clip.cost_usd),
                dollars(clip.retake_usd),
                dollars(running),
            )
    console.print(table)


def _add_scene(table: object, scene: str) -> None:
    from rich.table import Table
    from rich.text import Text

    assert isinstance(table, Table)
    table.add_row(Text(visible(scene), style="bold"), *[""] * (len(_COLUMNS) - 1))


def _print_closing(plan: Plan, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, words in closing_lines(plan):
        table.add_row(Text(label), Text(visible(words)))
    console.print(table)
