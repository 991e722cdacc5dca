"""The limits that a render keeps to, from the film, the project and the command, and whether they leave room."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from kling_dsl.ledger import Ledger, Limit, Spending
from kling_dsl.money import dollars
from kling_dsl.project import Settings
from kling_dsl.render.clock import Clock

if TYPE_CHECKING:
    from kling_dsl.ledger.reading import LedgerReader

NAMES = {
    "run": "this run",
    "film": "the film's Budget",
    "day": "the project's limit for a day",
    "total": "the project's limit in total",
}
"""What a limit is called when it refuses."""

ROOMS = {"run": "for a run", "film": "for the film", "day": "for a day", "total": "in total"}
"""What a limit is for, in a plan."""


class Shortage(msgspec.Struct, frozen=True):
    """A limit that a purchase would pass."""

    limit: Limit
    spending: Spending
    wanted_usd: Decimal

    @property
    def words(self) -> str:
        """What it comes to, in words."""
        return told(self.limit, self.spending, self.wanted_usd)


def told(limit: Limit, spending: Spending, wanted_usd: Decimal) -> str:
    """Return why a limit refuses, with its numbers."""
    over = spending.total_usd + wanted_usd - limit.usd
    reserved = f" and {dollars(spending.reserved_usd)} reserved" if spending.reserved_usd else ""
    return (
        f"{dollars(wanted_usd)} more would pass {NAMES[limit.scope]}, {dollars(limit.usd)}, by {dollars(over)}: "
        f"{dollars(spending.spent_usd)} spent{reserved}"
    )


def limits_of(
    settings: Settings, *, budget_usd: Decimal | None, max_cost_usd: Decimal | None, clock: Clock
) -> tuple[Limit, ...]:
    """Return every limit that applies to a film, the narrowest kind first."""
    given = settings.limits
    per_run = [usd for usd in (max_cost_usd, given.per_run_usd) if usd is not None]
    found: list[Limit] = []
    if per_run:
        found.append(Limit("run", min(per_run)))
    if budget_usd is not None:
        found.append(Limit("film", budget_usd))
    if given.per_day_usd is not None:
        found.append(Limit("day", given.per_day_usd, since=clock.start_of_day()))
    if given.total_usd is not None:
        found.append(Limit("total", given.total_usd))
    return tuple(found)


def find_shortages(
    limits: Sequence[Limit], ledger: Ledger | LedgerReader, *, film: str, wanted_usd: Decimal
) -> list[Shortage]:
    """Return each limit that buying so much now would pass; a run has spent nothing before it begins."""
    found: list[Shortage] = []
    nothing = Spending(Decimal(0), Decimal(0))
    for limit in limits:
        if limit.scope == "run":
            spending = nothing
        elif limit.scope == "film":
            spending = ledger.spending(film=film)
        else:
            spending = ledger.spending(since=limit.since)
        if spending.total_usd + wanted_usd > limit.usd:
            found.append(Shortage(limit, spending, wanted_usd))
    return found
