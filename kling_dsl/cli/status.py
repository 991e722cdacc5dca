"""`kling status`: tell how every clip of a film stands, or what is under way in the whole project."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.desk import format_option, open_desk, read_rows, sandbox_option, stage_of, told_problems, typed_path
from kling_dsl.cli.films import open_film, refuse_failed
from kling_dsl.cli.options import FILM, film_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kling_dsl.ledger import Row
    from kling_dsl.render.stage import Stage
    from kling_dsl.reports.status import Open


@click.command("status")
@click.argument("film", metavar="[FILE]", type=FILM, required=False)
@sandbox_option
@format_option
@film_options
def status_command(
    film: Path | None,
    sandbox: bool,
    form: str,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Tell how every clip of a film stands: what is kept, under way, uncertain, and left to buy.

    Without FILE, everything in the project is told that has not come to rest: takes at the provider, uncertain ones,
    and failed ones that may be billed. Nothing is asked at the provider, and nothing is changed.

    \b
    Example:
      kling status film.kling
      kling status
    """
    if film is None:
        if model is not None or values or data:
            raise click.UsageError(
                "--model, --set and --data speak of a film: name it, as in `kling status film.kling`"
            )
        _tell_project(form, sandbox=sandbox)
        return
    opened = open_film(film, model=model, values=values, data=data)
    refuse_failed(opened)
    from kling_dsl.cli.terminal import width_of
    from kling_dsl.reports.status import FilmStatus, render_status, status_json

    desk = open_desk(opened, stage_of(opened.project, sandbox=sandbox))
    status = FilmStatus(
        title=opened.compilation.title,
        file=desk.film,
        shown=typed_path(opened.project.root / desk.film),
        sandbox=not desk.stage.spends,
        standings=desk.standings,
        open=_open_takes(_rows_of(desk.rows, desk.film, {one.fingerprint for one in desk.standings}), desk.stage),
    )
    text = status_json(status) if form == "json" else render_status(status, width=width_of(sys.stdout))
    click.echo(text, nl=False)


def _tell_project(form: str, *, sandbox: bool) -> None:
    from kling_dsl.cli.terminal import width_of
    from kling_dsl.project import find_project
    from kling_dsl.reports.status import open_json, render_open

    project = find_project(Path.cwd())
    stage = stage_of(project, sandbox=sandbox)
    found = _open_takes(read_rows(stage), stage)

    def shown(film: str) -> str:
        return typed_path(project.root / film)

    if form == "json":
        click.echo(open_json(found, shown=shown, sandbox=not stage.spends), nl=False)
    else:
        click.echo(render_open(found, shown=shown, width=width_of(sys.stdout)), nl=False)


def _open_takes(rows: Iterable[Row], stage: Stage) -> tuple[Open, ...]:
    from kling_dsl.ledger.leases import is_alive
    from kling_dsl.reports.status import open_takes

    with told_problems():
        return open_takes(rows, lambda run: is_alive(stage.runs, run))


def _rows_of(rows: Iterable[Row], film: str, fingerprints: set[str]) -> list[Row]:
    """Return the rows that a film bought or that its clips are the same request as."""
    return [row for row in rows if row.order.film == film or row.key.fingerprint in fingerprints]
