"""`kling render`: buy what is missing of a film, after showing what it costs."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.buying import Order, buy, link_chosen
from kling_dsl.cli.films import Opened, open_film, refuse_failed
from kling_dsl.cli.options import FILM, film_options
from kling_dsl.cli.stages import REFUSED, Dollars, entered_stage

if TYPE_CHECKING:
    from kling_dsl.cli.desk import Desk


@click.command("render")
@click.argument("film", metavar="FILE", type=FILM)
@click.option("--sandbox", is_flag=True, help="Render on this machine with stand-in clips; nothing costs money.")
@click.option("--only", metavar="ID", multiple=True, help="Render only this clip; may be given several times.")
@click.option("--max-cost", metavar="USD", type=Dollars(), help="Spend at most this much in this run.")
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), help="The most takes at the provider at once (kling.toml: 10)."
)
@click.option("--locked", is_flag=True, help="Buy nothing: exit with 3 unless every clip is here.")
@click.option("--yes", is_flag=True, help="Spend real money without asking.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Tell what happens in lines for people, or in JSON, an event a line.",
)
@film_options
def render_command(
    film: Path,
    sandbox: bool,
    only: tuple[str, ...],
    max_cost: Decimal | None,
    concurrency: int | None,
    locked: bool,
    yes: bool,
    form: str,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Buy what is missing of a film and bring every clip home.

    The plan is shown, and on a terminal you are asked once before money is spent. What is paid for is never bought
    again: after Ctrl-C, a crash or a broken connection, run the same command and it goes on. The exit code is 3 when
    a limit refuses, and 4 when a clip failed, is uncertain or is still at the provider.

    \b
    Example:
      kling render film.kling --sandbox
      kling render film.kling --max-cost $10
    """
    opened = open_film(film, model=model, values=values, data=data)
    refuse_failed(opened)
    _check_ids(only, opened)
    chosen = frozenset(only) or None
    with entered_stage(opened, sandbox) as stage:
        from kling_dsl.cli.desk import open_desk, refuse_broken_lock

        desk = open_desk(opened, stage)
        refuse_broken_lock(desk)
        if locked:
            _render_locked(desk, chosen)
            return
        order = Order(form, only=chosen, max_cost_usd=max_cost, concurrency=concurrency, agreed=yes)
        code = buy(desk, order)
    raise click.exceptions.Exit(code)


def _check_ids(only: tuple[str, ...], opened: Opened) -> None:
    """Refuse an id that no clip of the film has."""
    from kling_dsl.reports.escaping import visible
    from kling_dsl.spelling import nearest

    names = [call.id for call in opened.compilation.calls]
    for name in only:
        if name not in names:
            near = nearest(name, names)
            hint = f"; did you mean {near}?" if near else ""
            raise click.BadParameter(f"the film has no clip '{visible(name)}'{hint}", param_hint="--only")


def _render_locked(desk: Desk, only: frozenset[str] | None) -> None:
    """Refuse to go on unless every take that the film asks for is here; what is here gets its readable name."""
    absent = [
        standing
        for standing in desk.standings
        if (only is None or standing.call.id in only) and standing.state not in ("kept", "accepted")
    ]
    for standing in absent:
        call = standing.call
        click.echo(f"{call.id}: {standing.state}, {standing.why} ({call.file}:{call.line})", err=True)
    if absent:
        noun = "clip is" if len(absent) == 1 else "clips are"
        click.echo(f"refused: {len(absent)} {noun} not here, and --locked buys nothing", err=True)
        raise click.exceptions.Exit(REFUSED)
    for name, path in link_chosen(desk, None).items():
        click.echo(f"{name}: {path}")
