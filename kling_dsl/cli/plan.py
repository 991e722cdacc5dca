"""`kling plan`: print what a film would buy, clip by clip, and what it costs."""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.films import open_film, refuse_failed
from kling_dsl.cli.options import FILM, film_options
from kling_dsl.cli.stages import Dollars

if TYPE_CHECKING:
    from kling_dsl.cli.desk import Desk
    from kling_dsl.cli.films import Opened
    from kling_dsl.reports.plan import Plan, Room


@click.command("plan")
@click.argument("film", metavar="FILE", type=FILM)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "html"]),
    help="How to print the plan; text if not given, or what the ending of --out says.",
)
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it into a file instead."
)
@click.option("--max-cost", metavar="USD", type=Dollars(), help="Count this as the limit for one run.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 when there is something to buy.")
@film_options
def plan_command(
    film: Path,
    form: str | None,
    out: Path | None,
    max_cost: Decimal | None,
    exit_code: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Print what a film would buy and what it costs; nothing is sent.

    A plan that is saved as JSON can be reviewed, and rendered later: `kling render plan.json` buys exactly that, or
    refuses when anything has moved. The exit code is 3 when the film costs more than its Budget or passes a limit of
    kling.toml, and with --exit-code 5 when anything is to be bought.

    \b
    Example:
      kling plan film.kling
      kling plan film.kling --model o3-standard
      kling plan film.kling --out plan.json
    """
    from kling_dsl.cli.desk import open_desk
    from kling_dsl.render.stage import Stage

    opened = open_film(film, model=model, values=values, data=data)
    refuse_failed(opened)
    desk = open_desk(opened, Stage.real(opened.project))
    plan = plan_of(desk, max_cost_usd=max_cost)
    form = form or _form_of(out)
    if form == "json":
        from kling_dsl.reports.plan_json import render_plan_json
        from kling_dsl.reports.saved_plan import basis_of

        options = {"model": model, "values": list(values), "data": _from_root(data, opened)}
        basis = basis_of(opened.compilation, desk.standings, options=options) if out is not None else None
        text = render_plan_json(plan, basis).decode("utf-8") + "\n"
    else:
        text = _render(plan, form, to_file=out is not None)
    _write(text, form, out)
    if _tell_over(plan):
        raise click.exceptions.Exit(3)
    if exit_code and plan.to_buy_usd:
        raise click.exceptions.Exit(5)


def _form_of(out: Path | None) -> str:
    """Return the format that a file's ending means."""
    endings = {".json": "json", ".md": "markdown", ".html": "html", ".htm": "html"}
    return endings.get(out.suffix.lower(), "text") if out is not None else "text"


def _from_root(data: tuple[str, ...], opened: Opened) -> list[str]:
    """Return `NAME=FILE` with each file from the project's root, so that it means the same from any folder."""
    pairs = (pair.partition("=") for pair in data)
    return [f"{name}={opened.project.relative(Path(file)) or file}" for name, _, file in pairs]


def plan_of(desk: Desk, *, max_cost_usd: Decimal | None = None) -> Plan:
    """Return the plan of a film by its records and limits."""
    from kling_dsl.compiler import quote_drafts
    from kling_dsl.reports.plan import make_plan

    opened = desk.opened
    rooms, film_spent_usd = _rooms(desk, max_cost_usd)
    return make_plan(
        opened.compilation,
        desk.standings,
        today=today(),
        drafts=quote_drafts(opened.compilation, opened.world),
        rooms=rooms,
        film_spent_usd=film_spent_usd,
    )


def _rooms(desk: Desk, max_cost_usd: Decimal | None) -> tuple[tuple[Room, ...], Decimal]:
    """Return the limits besides the film's Budget, with what counts against each, and what the film has cost so far."""
    from kling_dsl.cli.desk import ledger_exists, told_problems
    from kling_dsl.ledger import read_ledger
    from kling_dsl.render.clock import Clock
    from kling_dsl.render.limits import ROOMS, limits_of
    from kling_dsl.reports.plan import Room

    settings = desk.opened.project.settings
    limits = limits_of(settings, budget_usd=None, max_cost_usd=max_cost_usd, clock=Clock())
    if not ledger_exists(desk.stage):
        return tuple(Room(ROOMS[limit.scope], limit.usd, Decimal(0)) for limit in limits), Decimal(0)
    with told_problems(), read_ledger(desk.stage.ledger) as ledger:
        counted = [
            Decimal(0) if limit.scope == "run" else ledger.spending(since=limit.since).total_usd for limit in limits
        ]
        film_spent_usd = ledger.spending(film=desk.film).total_usd
    rooms = tuple(Room(ROOMS[limit.scope], limit.usd, usd) for limit, usd in zip(limits, counted, strict=True))
    return rooms, film_spent_usd


def _tell_over(plan: Plan) -> bool:
    """Say on stderr which limits the purchase would pass; return whether there are any."""
    from kling_dsl.money import dollars

    told: list[str] = []
    if plan.budget_usd is not None and plan.over_budget_usd:
        told.append(f"{dollars(plan.over_budget_usd)} over the budget of {dollars(plan.budget_usd)}")
    for room in plan.rooms:
        if over := room.over_usd(plan.to_buy_usd):
            told.append(f"{dollars(over)} over the limit of {dollars(room.usd)} {room.name}")
    for words in told:
        click.echo(f"refused: {words}", err=True)
    return bool(told)


def shown(plan: Plan) -> str:
    """Return a plan as text for the terminal, or for what stands in its place."""
    return _render(plan, "text", to_file=False)


def _render(plan: object, form: str, *, to_file: bool) -> str:
    from kling_dsl.cli.terminal import PIPED_WIDTH, palette_for, width_of
    from kling_dsl.reports.palette import PLAIN
    from kling_dsl.reports.plan import Plan

    assert isinstance(plan, Plan)
    if form == "text":
        from kling_dsl.reports.plan_text import render_plan_text

        if to_file:
            return render_plan_text(plan, width=PIPED_WIDTH, palette=PLAIN)
        return render_plan_text(plan, width=width_of(sys.stdout), palette=palette_for(sys.stdout))
    from kling_dsl.reports import plan_pages

    return plan_pages.render_plan_markdown(plan) if form == "markdown" else plan_pages.render_plan_html(plan)


def _write(text: str, form: str, out: Path | None) -> None:
    if out is None:
        # Text for people follows the console; JSON and pages are UTF-8 whatever the console is.
        click.echo(text if form == "text" else text.encode("utf-8"), nl=False)
        return
    if out.exists() and not out.is_file():
        # A device or a pipe is written to: putting a file into its place would break it for everyone.
        out.write_bytes(text.encode("utf-8"))
        return
    place = Path(os.path.realpath(out))
    if not place.parent.is_dir():
        raise click.BadParameter(f"there is no folder '{out.parent}'", param_hint="--out")
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode("utf-8"))
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def today() -> date:
    """Return the day from which a price's age is counted; KLING_TODAY sets it, so that a report can be repeated."""
    chosen = os.environ.get("KLING_TODAY")
    if not chosen:
        return datetime.now().astimezone().date()
    try:
        return date.fromisoformat(chosen)
    except ValueError:
        raise click.UsageError(f"KLING_TODAY is '{chosen}', and a day is written 2026-11-22") from None
