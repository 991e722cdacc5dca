"""`kling pick`: choose which take of a clip is used, or keep one that was set aside."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.desk import (
    Desk,
    Names,
    clip_options,
    find_named,
    moment_after,
    refuse_broken_lock,
    reread,
    shown_path,
    told_problems,
    typed_path,
)
from kling_dsl.cli.stages import REFUSED
from kling_dsl.reports.escaping import visible

if TYPE_CHECKING:
    from kling_dsl.ledger import Row
    from kling_dsl.lock import Take
    from kling_dsl.standing import Standing


@click.command("pick")
@click.argument("identifier", metavar="ID")
@click.argument("number", metavar="N", type=click.IntRange(1, 1_000_000))
@click.option("--keep", is_flag=True, help="Make a take count that was set aside: you have looked at it.")
@clip_options
def pick_command(
    identifier: str,
    number: int,
    keep: bool,
    film: Path | None,
    sandbox: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Choose take N of a clip: it is the one that is used and shown, and that other clips go on from.

    The choice is written into the film's lock. Clips that begin or end with a frame of this one are told with what
    they would cost again. Nothing is bought; picking another take undoes it.

    \b
    Example:
      kling pick door 2
      kling pick door 3 --keep
    """
    desk, standing = find_named(Names(identifier, film, model, values, data), sandbox=sandbox)
    refuse_broken_lock(desk)
    _refuse_waiting(standing)
    take = next((take for take in standing.takes if take.take == number), None)
    if take is None:
        take = _keep(desk, standing, _set_aside(standing, number), agreed=keep)
    elif _is_settled(desk, standing, take):
        click.echo(f"take {number} of {identifier} is chosen already; nothing was changed")
        return
    _write(desk, standing, take)
    after = reread(desk)
    _tell(desk, after, standing, take)
    _link(after)


def _is_settled(desk: Desk, standing: Standing, take: Take) -> bool:
    """Say whether a take is the chosen one whatever else comes in, and in the lock, which a crash may have left out."""
    locked = any(known.sha256 == take.sha256 for known in desk.lock.of(standing.fingerprint))
    return locked and standing.chosen == take and standing.frame_source == take.sha256


def _refuse_waiting(standing: Standing) -> None:
    if not standing.fingerprint:
        click.echo(f"refused: {standing.call.id} {standing.why}, and until then has no takes", err=True)
        raise click.exceptions.Exit(REFUSED)


def _set_aside(standing: Standing, number: int) -> Row:
    """Return the row of a take that was set aside; any other number ends the command."""
    name = standing.call.id
    row = next((row for row in standing.rows if row.key.take == number), None)
    if row is None:
        raise click.UsageError(_no_such_take(standing, number))
    if row.state != "failed" or not row.quarantine:
        what = {"failed": "failed", "uncertain": "is uncertain", "released": "was never bought"}
        reason = f": {visible(row.reason)}" if row.reason else ""
        told = what.get(row.state, "is under way")
        click.echo(f"refused: take {number} of {name} {told}{reason}; see `kling takes {name}`", err=True)
        raise click.exceptions.Exit(REFUSED)
    return row


def _no_such_take(standing: Standing, number: int) -> str:
    numbers = [str(take.take) for take in standing.takes]
    name = standing.call.id
    if not numbers:
        return f"{name} has no take {number}: none was rendered of what the film asks for now"
    shown = ", ".join(numbers[:20])
    return f"{name} has no take {number}; its {'take is' if len(numbers) == 1 else 'takes are'} {shown}"


def _keep(desk: Desk, standing: Standing, row: Row, *, agreed: bool) -> Take:
    """Make a take count that was set aside; without a person's word it is refused with the reason."""
    from kling_dsl.cli.keeping import CannotKeep, keep_set_aside

    name, number = standing.call.id, row.key.take
    if not agreed:
        click.echo(f"refused: take {number} of {name} was set aside: {visible(row.reason)}", err=True)
        place = visible(shown_path(desk.stage.root / row.quarantine))
        click.echo(f"look at {place}; if it is good, `kling pick {name} {number} --keep` makes it count", err=True)
        raise click.exceptions.Exit(REFUSED)
    try:
        with told_problems():
            return keep_set_aside(desk, row, at=datetime.now(UTC))
    except CannotKeep as problem:
        click.echo(f"refused: {visible(str(problem))}", err=True)
        raise click.exceptions.Exit(REFUSED) from None


def _write(desk: Desk, standing: Standing, take: Take) -> None:
    from kling_dsl.lock import Pick, add_records

    # The take comes along, since a crash may have left it in the ledger alone.
    records = (take, Pick(_moment(desk, standing), standing.fingerprint, take.sha256))
    with told_problems():
        add_records(desk.lock_path, records, guard=desk.stage.guard(desk.film))


def _moment(desk: Desk, standing: Standing) -> str:
    return moment_after(desk, [pick.at for pick in desk.lock.picks if pick.fingerprint == standing.fingerprint])


def _tell(before: Desk, after: Desk, standing: Standing, take: Take) -> None:
    """Tell what was chosen, how to undo it, and which clips it changes."""
    from kling_dsl.money import dollars

    name = standing.call.id
    click.echo(f"take {take.take} of {name} is chosen now ({take.sha256[:12]})")
    earlier = standing.chosen
    if earlier is not None and earlier.sha256 != take.sha256:
        click.echo(f"`kling pick {name} {earlier.take}` undoes it")
    if not before.store.has(take.sha256):
        film = typed_path(before.opened.project.root / before.film)
        click.echo(f"its file is not here: `kling render {film}` fetches it, as long as the provider has it", err=True)
    known = {one.call.id: one for one in before.standings}
    for one in after.standings:
        earlier_fingerprint = known[one.call.id].fingerprint
        if one.fingerprint == earlier_fingerprint:
            continue
        if not one.to_buy:
            click.echo(f"{one.call.id} changes to takes that are there already; nothing is to buy")
        elif earlier_fingerprint:
            click.echo(f"{one.call.id} becomes stale: {dollars(one.to_buy_usd)} to render it again")
        else:
            click.echo(f"{one.call.id} waits no longer: {dollars(one.to_buy_usd)} to render it")


def _link(desk: Desk) -> None:
    from kling_dsl.cli.buying import link_chosen

    try:
        link_chosen(desk, None)
    except OSError as problem:
        place = visible(shown_path(desk.stage.out))
        raise click.ClickException(
            f"the choice is written, but {place} could not be brought up to date: {problem.strerror or problem}"
        ) from None
