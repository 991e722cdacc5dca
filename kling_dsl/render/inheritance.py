"""Takes over what a run that is gone was working on."""

from __future__ import annotations

from datetime import datetime

from kling_dsl.ledger import Ledger, Row

BROKEN_OFF = "the program ended while the request was on its way"


def inherit(row: Row, ledger: Ledger, *, at: datetime) -> Row | None:
    """Make this run the owner of a row whose own run is gone; return the row as it is then, None if another was quicker.

    A row that was `intent` becomes `uncertain`: its request may have been sent, and nobody is left to say so.
    """
    if not ledger.take_over(row.key, from_run=row.owner, at=at):
        return None
    # Its owner may have moved it on and ended between our look at the row and our look at the owner.
    now = ledger.row(row.key)
    if now is not None and now.state == "intent":
        ledger.uncertain(row.key, reason=BROKEN_OFF, at=at)
        now = ledger.row(row.key)
    return now
