"""`kling spend`: tell what was spent and reserved, and what the limits leave."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.desk import format_option, ledger_exists, relative_film, sandbox_option, stage_of, told_problems

if TYPE_CHECKING:
    from kling_dsl.ledger import Limit, Row
    from kling_dsl.ledger.reading import LedgerReader
    from kling_dsl.project import Project
    from kling_dsl.render.stage import Stage
    from kling_dsl.reports.spending import Grouping, LimitUse

_FILM = click.Path(path_type=Path, dir_okay=False)
"""A film that may be gone: what was spent on it is still known."""

_A_RUN = "the project's limit for a run"


@click.command("spend")
@click.argument("film", metavar="[FILE]", type=_FILM, required=False)
@click.option(
    "--by",
    type=click.Choice(["day", "film", "model"]),
    default="day",
    show_default=True,
    help="What each line is about; days are those of this machine's clock.",
)
@sandbox_option
@format_option
def spend_command(film: Path | None, by: Grouping, sandbox: bool, form: str) -> None:
    """Tell what was spent and what is reserved, for the whole project or for one film.

    Takes that failed and may be billed, takes under way and uncertain ones have columns of their own. Estimates stand
    beside the units that the provider billed, as far as it said them. The limits of kling.toml, and the Budget of
    FILE, are told with what is left of each.

    \b
    Example:
      kling spend
      kling spend film.kling --by model
    """
    from kling_dsl.cli.terminal import width_of
    from kling_dsl.project import find_project
    from kling_dsl.reports.spending import Spent, compare_billing, render_spending, spending_json, sum_up

    project = find_project(film or Path.cwd())
    path = "" if film is None else relative_film(project, film)
    stage = stage_of(project, sandbox=sandbox)
    rows, limits = _read(stage, project, path)
    if film is not None:
        rows = tuple(row for row in rows if row.order.film == path)
        if not rows and not film.exists():
            from kling_dsl.reports.escaping import visible

            raise click.UsageError(f"there is no film {visible(path)}, and nothing was ever spent on one of this name")
    spent = Spent(by, path, not stage.spends, sum_up(rows, by), compare_billing(rows), limits)
    text = spending_json(spent) if form == "json" else render_spending(spent, width=width_of(sys.stdout))
    click.echo(text, nl=False)
    _refuse_settings(project)


def _refuse_settings(project: Project) -> None:
    """Tell mistakes of kling.toml, and end with exit code 1: a limit that is written wrong is none."""
    if project.diagnostics:
        from kling_dsl.cli.films import render_diagnostics

        click.echo(render_diagnostics(project.diagnostics, project.root, sys.stderr), err=True, nl=False)
        raise click.exceptions.Exit(1)


def _read(stage: Stage, project: Project, film: str) -> tuple[tuple[Row, ...], tuple[LimitUse, ...]]:
    """Return every row of the ledger, and what counts against each limit as the ledger itself adds it up."""
    from kling_dsl.render.clock import Clock
    from kling_dsl.render.limits import limits_of

    budget_usd = _budget(project, film) if film else None
    limits = limits_of(project.settings, budget_usd=budget_usd, max_cost_usd=None, clock=Clock())
    if not ledger_exists(stage):
        return (), tuple(_use(limit, None, film) for limit in limits)
    from kling_dsl.ledger import read_ledger

    with told_problems(), read_ledger(stage.ledger) as ledger:
        return ledger.rows(), tuple(_use(limit, ledger, film) for limit in limits)


def _budget(project: Project, film: str) -> Decimal | None:
    """Return the Budget of a film that compiles; of any other it is not known, which is told."""
    place = project.root / film
    if not os.path.isfile(place):
        return None
    from kling_dsl.cli.films import open_film

    compilation = open_film(place, model=None, values=(), data=()).compilation
    if compilation.failed:
        click.echo("the film does not compile, so its Budget is not shown: see `kling check`", err=True)
        return None
    return compilation.settings.budget_usd


def _use(limit: Limit, ledger: LedgerReader | None, film: str) -> LimitUse:
    from kling_dsl.render.limits import NAMES
    from kling_dsl.reports.spending import LimitUse

    name = _A_RUN if limit.scope == "run" else NAMES[limit.scope]
    # A run that has not begun has spent nothing.
    if ledger is None or limit.scope == "run":
        return LimitUse(name, limit.usd, Decimal(0))
    spending = ledger.spending(film=film) if limit.scope == "film" else ledger.spending(since=limit.since)
    return LimitUse(name, limit.usd, spending.total_usd)
