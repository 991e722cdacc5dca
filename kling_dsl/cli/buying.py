"""The way from a plan to its clips: what is to buy, whether the limits allow it, consent, the render, its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from kling_dsl.cli.stages import INCOMPLETE, REFUSED, ask_consent, needs_media_extra

if TYPE_CHECKING:
    from kling_dsl.cli.asking import Session
    from kling_dsl.cli.desk import Desk
    from kling_dsl.ledger import Limit
    from kling_dsl.render.engine import ClipEnd, Outcome, Work
    from kling_dsl.render.jobs import Pace


class Order(msgspec.Struct, frozen=True):
    """How a film is to be rendered, as the command line says it; `extra` asks for more takes of a clip."""

    form: str = "text"
    only: frozenset[str] | None = None
    max_cost_usd: Decimal | None = None
    concurrency: int | None = None
    agreed: bool = False
    extra: dict[str, int] = {}


def buy(desk: Desk, order: Order) -> int:
    """Show the plan, ask, render, and tell how it ended; return the exit code."""
    from kling_dsl.cli.plan import plan_of, shown
    from kling_dsl.money import dollars

    if order.form == "text":
        click.echo(shown(plan_of(desk, max_cost_usd=order.max_cost_usd)), nl=False)
    wanted = [standing for standing in desk.standings if order.only is None or standing.call.id in order.only]
    takes = sum(len(standing.to_buy) for standing in wanted) + sum(order.extra.values())
    if not takes and all(standing.state in ("kept", "accepted") for standing in wanted) and not _unsettled(desk):
        return _tell_nothing_to_buy(desk, order)
    needs_media_extra()
    to_buy_usd = sum((standing.to_buy_usd for standing in wanted), Decimal(0)) + _extra_usd(desk, order)
    limits = _limits(desk, order)
    _refuse_shortage(desk, limits, to_buy_usd)
    if takes:
        noun = "take" if takes == 1 else "takes"
        ask_consent(f"Buy {takes} {noun} for {dollars(to_buy_usd)}?", spends=desk.stage.spends, agreed=order.agreed)
    return _render(desk, order, limits)


def _unsettled(desk: Desk) -> bool:
    """Say whether there are takes to bring home or look up that no clip asks for, or that the lock does not have."""
    from kling_dsl.standing import UNDER_WAY

    film = desk.film
    if any(row.state in (*UNDER_WAY, "uncertain") and row.order.film == film for row in desk.rows):
        return True
    known = {(take.sha256, take.request_id) for take in desk.lock.takes}
    stored = [(row.sha256, row.request_id) for row in desk.rows if row.state == "stored" and row.order.film == film]
    shown = [(take.sha256, take.request_id) for standing in desk.standings for take in standing.takes]
    return not known.issuperset((*stored, *shown))


def _extra_usd(desk: Desk, order: Order) -> Decimal:
    prices = {standing.call.id: standing.call.price_usd for standing in desk.standings}
    return sum((prices[name] * count for name, count in order.extra.items()), Decimal(0))


def _limits(desk: Desk, order: Order) -> tuple[Limit, ...]:
    from kling_dsl.render.clock import Clock
    from kling_dsl.render.limits import limits_of

    return limits_of(
        desk.opened.project.settings,
        budget_usd=desk.opened.compilation.settings.budget_usd,
        max_cost_usd=order.max_cost_usd,
        clock=Clock(),
    )


def _refuse_shortage(desk: Desk, limits: tuple[Limit, ...], wanted_usd: Decimal) -> None:
    """End with exit code 3 when the whole purchase would pass a limit: half a film is rarely what was meant."""
    from kling_dsl.cli.desk import told_problems
    from kling_dsl.ledger import read_ledger
    from kling_dsl.render.limits import find_shortages

    if not wanted_usd:
        return
    with told_problems(), read_ledger(desk.stage.ledger) as ledger:
        shortages = find_shortages(limits, ledger, film=desk.film, wanted_usd=wanted_usd)
    for shortage in shortages:
        click.echo(f"refused: {shortage.words}", err=True)
    if shortages:
        click.echo("nothing was bought; render less with --only, or raise the limit", err=True)
        raise click.exceptions.Exit(REFUSED)


def _tell_nothing_to_buy(desk: Desk, order: Order) -> int:
    from kling_dsl.render.engine import ClipEnd, Outcome

    links = link_chosen(desk, None)
    outcome = Outcome(tuple(ClipEnd(standing) for standing in desk.standings), Decimal(0), stopped=False, problem="")
    _close(desk, order, outcome, links, 0)
    return 0


def _render(desk: Desk, order: Order, limits: tuple[Limit, ...]) -> int:
    from kling_dsl.cli.asking import run_with_tools
    from kling_dsl.cli.watching import watch
    from kling_dsl.render.engine import Work
    from kling_dsl.render.provenance import read_commit
    from kling_dsl.reports.escaping import visible

    opened = desk.opened
    work = Work(
        compilation=opened.compilation,
        world=opened.project.world(),
        stage=desk.stage,
        limits=limits,
        concurrency=order.concurrency or opened.project.settings.render.concurrency,
        commit=read_commit(opened.project.root),
        pace=_pace(desk),
        only=order.only,
        extra=order.extra,
    )
    with watch(desk, order.form, limits, extra=sum(order.extra.values())) as watcher:
        outcome, notes = run_with_tools(
            desk.stage, watcher.tell, lambda session: _work(session, work, desk, watcher.leave)
        )
    for note in notes:
        click.echo(visible(note), err=True)
    links = link_chosen(desk, outcome)
    code = exit_code_of(outcome, only=order.only)
    if order.only is None and _tell_left_open(desk, outcome):
        code = INCOMPLETE
    _close(desk, order, outcome, links, code)
    return code


def _tell_left_open(desk: Desk, outcome: Outcome) -> bool:
    """Tell of takes that are paid, or may be, and that no clip of the film asks for any more; say whether there are any."""
    from kling_dsl.cli.desk import told_problems
    from kling_dsl.ledger import read_ledger
    from kling_dsl.money import dollars
    from kling_dsl.reports.escaping import visible

    asked_for = {clip.standing.fingerprint for clip in outcome.clips}
    with told_problems(), read_ledger(desk.stage.ledger) as ledger:
        rows = ledger.rows(film=desk.film, states=("submitted", "completed", "uncertain"))
    left = [row for row in rows if row.key.fingerprint not in asked_for]
    for row in left:
        order = row.order
        take = f"{visible(order.clip)}: take {row.key.take} of an earlier version, {dollars(order.price_usd)},"
        if row.state == "uncertain":
            click.echo(f"{take} may have been bought; `kling reconcile` looks it up, or frees it", err=True)
        else:
            click.echo(f"{take} is still at the provider; the next render brings it home", err=True)
    return bool(left)


async def _work(session: Session, work: Work, desk: Desk, leave: Callable[[], None]) -> tuple[Outcome, tuple[str, ...]]:
    """Find out what became of uncertain takes, render, and look once more for those that became uncertain meanwhile."""
    from kling_dsl.cli.asking import stoppable
    from kling_dsl.lock import read_lock
    from kling_dsl.render.engine import Render
    from kling_dsl.render.recovery import recover

    film = work.compilation.file
    notes: list[str] = []
    before = await recover(session.tools, session.stage, film=film)
    if before.problem:
        notes.append(f"{len(before.open)} uncertain: {before.problem}")
    render = Render(work, session.tools, lock=read_lock(work.stage.lock(film)))
    async with stoppable(render.stop, leave):
        outcome = await render.run()
        if outcome.stopped or not any(_is_uncertain(clip) for clip in outcome.clips):
            return outcome, tuple(notes)
        after = await recover(session.tools, session.stage, film=film)
        if not after.adopted:
            return outcome, tuple(notes)
        names = _with_followers({found.row.order.clip for found in after.adopted}, outcome)
        again = Render(
            msgspec.structs.replace(work, only=names, extra={}), session.tools, lock=read_lock(work.stage.lock(film))
        )
        return _merged(outcome, await again.run(), names), tuple(notes)


def _is_uncertain(clip: ClipEnd) -> bool:
    return any(take.row is not None and take.row.state == "uncertain" for take in clip.takes)


def _with_followers(names: set[str], outcome: Outcome) -> frozenset[str]:
    """Return clips with all those that begin where one of them ends, as far as the chain goes."""
    calls = [clip.standing.call for clip in outcome.clips]
    while more := {call.id for call in calls if call.id not in names and not names.isdisjoint(call.after)}:
        names |= more
    return frozenset(names)


def _merged(first: Outcome, second: Outcome, names: frozenset[str]) -> Outcome:
    from kling_dsl.render.engine import Outcome

    later = {clip.standing.call.id: clip for clip in second.clips if clip.standing.call.id in names}
    return Outcome(
        clips=tuple(later.get(clip.standing.call.id, clip) for clip in first.clips),
        spent_usd=first.spent_usd + second.spent_usd,
        stopped=second.stopped,
        problem=first.problem or second.problem,
    )


def _pace(desk: Desk) -> Pace:
    """Return how often jobs are asked after: a sandbox of this process, with jobs of a second, is asked more often."""
    from kling_dsl.render.jobs import Pace

    if desk.stage.is_new:
        return Pace(first_seconds=0.3, growth=1.3, most_seconds=2.0, outage_seconds=20.0)
    return Pace() if desk.stage.spends else Pace(outage_seconds=20.0)


def exit_code_of(outcome: Outcome, *, only: frozenset[str] | None = None) -> int:
    """Return the exit code of a render of `only` these clips: 0, 3 when a limit refused something, 4 when one lacks."""
    wanted = [clip for clip in outcome.clips if only is None or clip.standing.call.id in only]
    takes = [take for clip in wanted for take in clip.takes]
    incomplete = outcome.stopped or bool(outcome.problem)
    incomplete |= any(clip.problem or clip.standing.state in _INCOMPLETE_STATES for clip in wanted)
    incomplete |= any(take.problem and not take.refused_by_limit for take in takes)
    if incomplete:
        return INCOMPLETE
    return REFUSED if any(take.refused_by_limit for take in takes) else 0


_INCOMPLETE_STATES = ("pending", "uncertain", "failed", "missing")
"""How a clip stands that a render could not bring to its end, also when an earlier one tried."""


def link_chosen(desk: Desk, outcome: Outcome | None) -> dict[str, Path]:
    """Give the chosen take of every clip its readable name, and return where each is."""
    from kling_dsl.reports.escaping import visible
    from kling_dsl.store import link_out

    standings = [clip.standing for clip in outcome.clips] if outcome is not None else desk.standings
    chosen = {
        standing.call.id: desk.store.path(standing.chosen.sha256)
        for standing in standings
        if standing.chosen is not None and desk.store.has(standing.chosen.sha256)
    }
    folder = desk.stage.clip(desk.film, "clip").parent
    if not chosen or not _lies_inside(folder, desk.stage.root):
        return {}
    linked = link_out(folder, chosen)
    for name, made in linked.items():
        if made.instead_of is not None:
            told = f"{made.instead_of} is a file of yours and stays: {name} is at {made.path}"
            click.echo(visible(told), err=True)
    return {name: made.path for name, made in linked.items()}


def _lies_inside(folder: Path, root: Path) -> bool:
    """Say whether a folder is one of the project, links followed; one that is not gets no files."""
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root)):
        return True
    from kling_dsl.reports.escaping import visible

    click.echo(f"{visible(os.path.relpath(folder))} leads out of the project, and no clip is shown there", err=True)
    return False


def _close(desk: Desk, order: Order, outcome: Outcome, links: dict[str, Path], code: int) -> None:
    """Tell how a render ended, in words or as the last line of JSON."""
    paths = {name: Path(os.path.relpath(path)).as_posix() for name, path in links.items()}
    if order.form == "json":
        from kling_dsl.reports.render_json import end_line

        click.echo(end_line(outcome, code, links=paths, at=datetime.now(UTC)), nl=False)
        return
    from kling_dsl.cli.terminal import width_of
    from kling_dsl.reports.render_lines import closing_text

    film = os.path.relpath(desk.opened.project.root / desk.film)
    told = closing_text(outcome, film=film, links=paths, sandbox=not desk.stage.spends, width=width_of(sys.stdout))
    click.echo(f"\n{told}", nl=False)
