"""The pay-once ledger: one row for each take that money was ever reserved for, in SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kling_dsl.ledger.errors import BusyLedger, Conflict, DamagedLedger, LedgerError, NewerLedger, UnwritableLedger
from kling_dsl.ledger.values import (
    STATES,
    Billed,
    Event,
    Key,
    Ledger,
    Limit,
    Order,
    Refused,
    Reserved,
    Row,
    Scope,
    Spending,
    State,
    Taken,
)

if TYPE_CHECKING:
    from kling_dsl.ledger.reading import LedgerReader
    from kling_dsl.ledger.sqlite import SqliteLedger

__all__ = [
    "PATIENCE_SECONDS",
    "STATES",
    "Billed",
    "BusyLedger",
    "Conflict",
    "DamagedLedger",
    "Event",
    "Key",
    "Ledger",
    "LedgerError",
    "Limit",
    "NewerLedger",
    "Order",
    "Refused",
    "Reserved",
    "Row",
    "Scope",
    "Spending",
    "State",
    "Taken",
    "UnwritableLedger",
    "open_ledger",
    "read_ledger",
]

PATIENCE_SECONDS = 30.0
"""How long a process waits for another that is writing; a transaction takes about a millisecond."""


def open_ledger(path: Path, *, run: str, patience_seconds: float = PATIENCE_SECONDS) -> SqliteLedger:
    """Open the ledger at `path` to write in the name of `run`, and make it when there is none.

    Raises NewerLedger, DamagedLedger, UnwritableLedger or BusyLedger; the file is then as it was.
    """
    # Inside, because SQLite is loaded only by who opens a ledger.
    from kling_dsl.ledger.sqlite import SqliteLedger

    return SqliteLedger(path, run=run, patience_seconds=patience_seconds)


def read_ledger(path: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> LedgerReader:
    """Open the ledger at `path` to read, without making or writing anything; where none is, it is an empty one.

    Raises NewerLedger, DamagedLedger, UnwritableLedger or BusyLedger.
    """
    from kling_dsl.ledger.reading import LedgerReader

    return LedgerReader(path, patience_seconds=patience_seconds)
