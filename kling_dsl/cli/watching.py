"""Shows what a render does while it does it: a live table on a terminal, lines elsewhere, JSON on request."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from kling_dsl.cli.desk import Desk
    from kling_dsl.ledger import Limit
    from kling_dsl.render.events import Event
    from kling_dsl.reports.progress import NearestLimit


class Watcher(msgspec.Struct, frozen=True):
    """Where events are told, and how to leave at once when Ctrl-C is pressed a second time."""

    tell: Callable[[Event], None]
    leave: Callable[[], None]


@contextlib.contextmanager
def watch(desk: Desk, form: str, limits: tuple[Limit, ...], *, extra: int) -> Iterator[Watcher]:
    """Show events until the block ends; `extra` takes are wanted beyond those of the film."""
    from kling_dsl.cli.terminal import palette_for
    from kling_dsl.reports.palette import PLAIN

    if form == "json":
        yield Watcher(_tell_json, _leave)
    elif palette_for(sys.stderr) is PLAIN:
        yield Watcher(_line_teller(), _leave)
    else:
        with _live(desk, limits, extra) as watcher:
            yield watcher


def _tell_json(event: Event) -> None:
    from kling_dsl.reports.render_json import event_line

    click.echo(event_line(event, datetime.now(UTC)), nl=False)


def _line_teller() -> Callable[[Event], None]:
    from kling_dsl.reports.render_lines import Lines

    lines = Lines()

    def tell(event: Event) -> None:
        line = lines.line_of(event)
        if line is not None:
            click.echo(line, err=True)

    return tell


@contextlib.contextmanager
def _live(desk: Desk, limits: tuple[Limit, ...], extra: int) -> Iterator[Watcher]:
    from kling_dsl.reports.progress import LiveProgress

    note = "" if desk.stage.spends else "sandbox"
    with LiveProgress(sys.stderr, total=_count(desk) + extra, limit=_nearest(desk, limits), note=note) as progress:

        def leave() -> None:
            progress.stop()
            _leave()

        yield Watcher(progress.update, leave)


def _count(desk: Desk) -> int:
    """Return how many takes there are to bring home."""
    from kling_dsl.standing import UNDER_WAY

    return sum(
        len(standing.to_buy) + sum(row.state in UNDER_WAY for row in standing.rows) for standing in desk.standings
    )


def _nearest(desk: Desk, limits: tuple[Limit, ...]) -> NearestLimit | None:
    """Return the limit that leaves least."""
    from decimal import Decimal

    from kling_dsl.ledger import Spending, read_ledger
    from kling_dsl.render.limits import NAMES

    found: list[NearestLimit] = []
    with read_ledger(desk.stage.ledger) as ledger:
        for limit in limits:
            counted = Spending(Decimal(0), Decimal(0))
            if limit.scope == "film":
                counted = ledger.spending(film=desk.film)
            elif limit.scope != "run":
                counted = ledger.spending(since=limit.since)
            found.append((NAMES[limit.scope], limit.usd, counted.total_usd))
    return min(found, key=lambda each: each[1] - each[2], default=None)


def _leave() -> None:
    """End the process where it stands: whatever was being sent is found again by its row in the ledger."""
    click.echo("left at once; run the same command again, and nothing is bought twice", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)
