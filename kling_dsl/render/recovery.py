"""Puts right what runs that ended badly left behind, before anything is bought."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kling_dsl.ledger import Row
from kling_dsl.ledger.leases import is_alive
from kling_dsl.render.engine import Tools
from kling_dsl.render.events import Event
from kling_dsl.render.inheritance import inherit
from kling_dsl.render.reconcile import Found, HistoryUnavailable, NotFound, reconcile
from kling_dsl.render.stage import Stage
from kling_dsl.standing import UNDER_WAY

SANDBOX_ENDED = "the sandbox that was making it has ended"


class Recovered(msgspec.Struct, frozen=True):
    """What was found out about uncertain takes; `problem` says why the history could not be read, or is empty."""

    adopted: tuple[Found, ...] = ()
    open: tuple[Row, ...] = ()
    problem: str = ""


def mark_broken_off(tools: Tools, stage: Stage) -> tuple[Row, ...]:
    """Make uncertain what a run that is gone was sending when it ended; return the rows."""
    marked: list[Row] = []
    for row in tools.ledger.rows(states=("intent",)):
        if row.owner == tools.ledger.run or is_alive(stage.runs, row.owner):
            continue
        now = inherit(row, tools.ledger, at=tools.clock.now())
        if now is not None and now.state == "uncertain":
            marked.append(now)
    return tuple(marked)


def clear_ended_sandbox(tools: Tools, stage: Stage) -> None:
    """Free the takes that a sandbox was making when it ended: it is gone with all it had, and nothing was paid."""
    for row in tools.ledger.rows(states=(*UNDER_WAY, "uncertain")):
        if row.owner == tools.ledger.run or is_alive(stage.runs, row.owner):
            continue
        now = inherit(row, tools.ledger, at=tools.clock.now()) if row.state != "uncertain" else row
        if now is None:
            continue
        if now.state == "uncertain":
            tools.ledger.released(row.key, reason=SANDBOX_ENDED, at=tools.clock.now())
        elif now.state in UNDER_WAY:
            tools.ledger.failed(row.key, billed="no", reason=SANDBOX_ENDED, at=tools.clock.now())


async def recover(tools: Tools, stage: Stage, *, film: str | None = None) -> Recovered:
    """Mark what was broken off, and look every uncertain take up at the provider; raises `AccountRefused`."""
    if stage.is_new:
        clear_ended_sandbox(tools, stage)
    mark_broken_off(tools, stage)
    rows = tools.ledger.rows(film=film, states=("uncertain",))
    if not rows:
        return Recovered()
    try:
        outcomes = await reconcile(
            rows, ledger=tools.ledger, account=tools.account, client=tools.network.asking, clock=tools.clock
        )
    except HistoryUnavailable as problem:
        return Recovered(open=rows, problem=str(problem))
    adopted = tuple(outcome for outcome in outcomes if isinstance(outcome, Found))
    _tell_adopted(adopted, tools)
    return Recovered(adopted, tuple(outcome.row for outcome in outcomes if isinstance(outcome, NotFound)))


def _tell_adopted(adopted: Sequence[Found], tools: Tools) -> None:
    for found in adopted:
        order = found.row.order
        tools.listener(
            Event(
                "adopted",
                clip=order.clip,
                take=order.key.take,
                file=order.file,
                line=order.line,
                cost_usd=order.price_usd,
                request_id=found.request_id,
                reason="it was bought after all",
            )
        )
