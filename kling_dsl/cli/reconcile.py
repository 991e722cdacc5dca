"""`kling reconcile`: find out what became of takes of which nobody knows whether they were bought."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.options import FILM
from kling_dsl.cli.stages import INCOMPLETE

if TYPE_CHECKING:
    from kling_dsl.cli.asking import Session
    from kling_dsl.ledger import Row
    from kling_dsl.render.recovery import Recovered
    from kling_dsl.render.stage import Stage


@click.command("reconcile")
@click.argument("film", metavar="[FILE]", type=FILM, required=False)
@click.option(
    "--release",
    metavar="ID",
    multiple=True,
    help="Say that the uncertain takes of this clip were not bought: their money is free, and they may be bought again.",
)
@click.option("--yes", is_flag=True, help="Release without asking.")
@click.option("--sandbox", is_flag=True, help="Look at what was rendered in the sandbox that runs beside.")
def reconcile_command(film: Path | None, release: tuple[str, ...], yes: bool, sandbox: bool) -> None:
    """Look uncertain takes up in the provider's request history, and adopt those that were bought.

    A take is uncertain when the connection, or the program, broke off while its request was on its way. One that is
    found is brought home by the next `kling render`. One that is not found stays as it is: the history may lag behind.
    Look at your account's requests before you release it, since it is bought once more then. The exit code is 4 while
    something is uncertain.

    \b
    Example:
      kling reconcile film.kling
      kling reconcile --release door
    """
    from kling_dsl.cli.desk import ledger_exists, stage_of
    from kling_dsl.project import find_project

    project = find_project(film or Path.cwd())
    only = project.relative(film) if film else None
    stage = stage_of(project, sandbox=sandbox)
    if not ledger_exists(stage):
        click.echo("nothing was ever bought here, and nothing is uncertain")
        return
    if release:
        _release(stage, release, only, agreed=yes or not stage.spends)
        return
    _look_up(stage, only)


def _look_up(stage: Stage, film: str | None) -> None:
    from kling_dsl.cli.asking import run_with_tools
    from kling_dsl.reports.escaping import visible

    async def recovering(session: Session) -> Recovered:
        from kling_dsl.render.recovery import recover

        return await recover(session.tools, session.stage, film=film)

    recovered = run_with_tools(stage, lambda event: None, recovering)
    for found in recovered.adopted:
        order = found.row.order
        click.echo(
            f"{order.clip}: take {found.row.key.take} was bought, request {visible(found.request_id)}; "
            f"`kling render {visible(order.film)}` brings it home"
        )
    for row in recovered.open:
        click.echo(_told(row))
    if recovered.problem:
        click.echo(f"kling: {visible(recovered.problem)}", err=True)
    if recovered.open:
        click.echo(
            "not found in the provider's history: it may lag behind, so look again later; when you are sure that a take "
            "was not bought, `kling reconcile --release ID` frees it"
        )
        raise click.exceptions.Exit(INCOMPLETE)
    if not recovered.adopted:
        click.echo("nothing is uncertain")


def _release(stage: Stage, names: tuple[str, ...], film: str | None, *, agreed: bool) -> None:
    """Free the uncertain takes of clips by their owner's word; nothing is asked of the provider."""
    import sys
    from datetime import UTC, datetime

    from kling_dsl.cli.desk import told_problems
    from kling_dsl.ledger import open_ledger
    from kling_dsl.ledger.leases import Lease
    from kling_dsl.money import dollars
    from kling_dsl.reports.escaping import visible

    with told_problems(), Lease(stage.runs) as lease, open_ledger(stage.ledger, run=lease.run) as ledger:
        rows = [row for row in ledger.rows(film=film, states=("uncertain",)) if row.order.clip in names]
        unknown = [name for name in names if name not in {row.order.clip for row in rows}]
        if unknown:
            raise click.UsageError(f"no take of {visible(' or '.join(unknown))} is uncertain")
        for row in rows:
            click.echo(_told(row), err=True)
        if not agreed:
            if not sys.stdin.isatty():
                raise click.UsageError("a take that is released may be paid for twice: add --yes if it was not bought")
            click.confirm("Were these certainly not bought?", abort=True, err=True)
        for row in rows:
            ledger.released(row.key, reason="its owner says that it was not bought", at=datetime.now(UTC))
            click.echo(f"{row.order.clip}: take {row.key.take} is released, {dollars(row.order.price_usd)} are free")


def _told(row: Row) -> str:
    from kling_dsl.money import dollars
    from kling_dsl.reports.escaping import visible

    order = row.order
    when = row.reserved_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    place = visible(f"{order.file}:{order.line}")
    return (
        f"{order.clip}: take {row.key.take}, {dollars(order.price_usd)}, sent {when}, is uncertain: "
        f"{visible(row.reason)} ({place})"
    )
