"""`kling accept`: keep the paid clip of a shot although its request has changed."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.desk import Names, clip_options, find_named, moment_after, refuse_broken_lock, told_problems
from kling_dsl.cli.stages import REFUSED

if TYPE_CHECKING:
    from kling_dsl.cli.desk import Desk
    from kling_dsl.lock import Take
    from kling_dsl.standing import Standing


@click.command("accept")
@click.argument("identifier", metavar="ID")
@click.option("--because", default="", metavar="TEXT", help="Why; it stands in the lock and in the plan.")
@click.option("--by", metavar="NAME", help="Who decides; git's user.name if not given.")
@click.option("--undo", is_flag=True, help="Take the decision back: the clip is to be bought again.")
@clip_options
def accept_command(
    identifier: str,
    because: str,
    by: str | None,
    undo: bool,
    film: Path | None,
    sandbox: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Keep the paid clip of a shot although its words, pictures or settings have changed since.

    Who decided what, and when, is written into the film's lock, and the clip stands as accepted in plan and diff. It holds
    for the request as it is now: after the next change the clip is to be bought, or accepted once more.

    \b
    Example:
      kling accept door --because "only a comma"
      kling accept door --undo
    """
    desk, standing = find_named(Names(identifier, film, model, values, data), sandbox=sandbox)
    refuse_broken_lock(desk)
    if undo:
        _undo(desk, standing, by=by)
        return
    take = _take_to_keep(desk, standing)
    _record(desk, standing, sha256=take.sha256, by=by, because=because)
    from kling_dsl.money import dollars

    click.echo(
        f"{identifier} keeps the take of {take.at[:10]} ({take.sha256[:12]}); "
        f"{dollars(standing.call.cost_usd)} are not to be bought, and `kling accept {identifier} --undo` takes it back"
    )


def _take_to_keep(desk: Desk, standing: Standing) -> Take:
    """Return the chosen take of the request that the clip made last; a clip that needs no decision is refused."""
    name = standing.call.id
    if standing.state in ("kept", "accepted"):
        click.echo(f"refused: {name} is {standing.state}, and there is nothing to accept", err=True)
        raise click.exceptions.Exit(REFUSED)
    if not standing.fingerprint:
        click.echo(f"refused: {name} {standing.why}", err=True)
        raise click.exceptions.Exit(REFUSED)
    if standing.state in ("pending", "uncertain"):
        click.echo(f"refused: {name} is {standing.state}: {standing.why}", err=True)
        raise click.exceptions.Exit(REFUSED)
    earlier = [take for take in desk.lock.takes if take.clip == name and take.fingerprint != standing.fingerprint]
    if not earlier:
        click.echo(f"refused: no earlier take of {name} is in the lock", err=True)
        raise click.exceptions.Exit(REFUSED)
    last = max(earlier, key=lambda take: (take.at, take.take))
    return desk.lock.chosen(last.fingerprint) or last


def _undo(desk: Desk, standing: Standing, *, by: str | None) -> None:
    if standing.accepted is None:
        click.echo(f"refused: {standing.call.id} is not accepted", err=True)
        raise click.exceptions.Exit(REFUSED)
    _record(desk, standing, sha256="", by=by, because="")
    click.echo(f"{standing.call.id} is no longer accepted: `kling plan` shows what it costs")


def _record(desk: Desk, standing: Standing, *, sha256: str, by: str | None, because: str) -> None:
    from kling_dsl.lock import Acceptance, add_records

    decision = Acceptance(
        at=moment_after(desk, [each.at for each in desk.lock.acceptances if each.fingerprint == standing.fingerprint]),
        because=" ".join(because.split())[:500],
        by=" ".join((by or _who(desk.stage.root)).split())[:200],
        clip=standing.call.id,
        fingerprint=standing.fingerprint,
        sha256=sha256,
    )
    with told_problems():
        add_records(desk.lock_path, (decision,), guard=desk.stage.guard(desk.film))


def _who(root: Path) -> str:
    """Return git's name for whoever types, or the login name; asking for a setting runs nothing."""
    try:
        done = subprocess.run(
            ["git", "config", "--get", "user.name"],  # noqa: S607 - git is wherever the user has it
            cwd=root,
            capture_output=True,
            check=False,
            timeout=10,
            stdin=subprocess.DEVNULL,
        )
        name = done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        name = ""
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
