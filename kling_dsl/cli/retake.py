"""`kling retake`: buy one more take of a clip."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from kling_dsl.cli.buying import Order, buy
from kling_dsl.cli.desk import Names, clip_options, find_named, refuse_broken_lock
from kling_dsl.cli.stages import REFUSED, buying_options, entered_stage

if TYPE_CHECKING:
    from kling_dsl.standing import Standing


@click.command("retake")
@click.argument("identifier", metavar="ID")
@buying_options
@clip_options
def retake_command(
    identifier: str,
    max_cost: Decimal | None,
    yes: bool,
    form: str,
    film: Path | None,
    sandbox: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Buy one more take of a clip that was rendered, or that failed and may have been billed.

    The take that the film uses stays the same until `kling pick` chooses another one.

    \b
    Example:
      kling retake door
      kling pick door 2
    """
    found, standing = find_named(Names(identifier, film, model, values, data), sandbox=sandbox)
    _refuse_unready(standing)
    with entered_stage(found.opened, sandbox) as stage:
        refuse_broken_lock(found)
        desk = msgspec.structs.replace(found, stage=stage)
        order = Order(form, only=frozenset((identifier,)), max_cost_usd=max_cost, agreed=yes, extra={identifier: 1})
        code = buy(desk, order)
    if form == "text" and code == 0:
        click.echo(f"`kling takes {identifier}` lists its takes, and `kling pick {identifier} N` chooses one", err=True)
    raise click.exceptions.Exit(code)


def _refuse_unready(standing: Standing) -> None:
    """Refuse a clip that a render would buy anyway, or of which nobody knows yet whether it was bought."""
    name = standing.call.id
    hints = {
        "uncertain": "find out first whether it was bought: `kling reconcile`",
        "pending": "a take of it is under way: `kling render` brings it home",
        "waiting": "it is not rendered yet: `kling render` buys it",
        "missing": "its file is not here: `kling render` fetches it again if the provider still has it",
    }
    hint = hints.get(standing.state, "")
    if not hint and not standing.takes and standing.state != "failed":
        hint = "it is not rendered yet: `kling render` buys it"
    if hint and not (standing.state == "missing" and not standing.to_buy):
        click.echo(f"refused: {name} is {standing.state}; {hint}", err=True)
        raise click.exceptions.Exit(REFUSED)
