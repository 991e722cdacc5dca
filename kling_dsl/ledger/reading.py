"""The ledger for readers: rows, history, sums and uploads, without a byte written."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from kling_dsl.ledger import connection as files
from kling_dsl.ledger.amounts import dollars_of, instant
from kling_dsl.ledger.errors import LedgerError
from kling_dsl.ledger.rows import EVENTS, TAKES, read_event, read_row
from kling_dsl.ledger.values import Event, Key, Row, Spending, State

_SUM = "SELECT spent_nanos, reserved_nanos FROM sums WHERE scope = ? AND name = ?"

_AMOUNTS = """
SELECT coalesce(sum(price_nanos * (state = 'stored' OR billed IS 'maybe')), 0),
       coalesce(sum(price_nanos * (state IN ('intent', 'submitted', 'completed', 'uncertain'))), 0)
FROM takes
"""

_UPLOAD = "SELECT url FROM uploads WHERE sha256 = :sha256 AND kept_at <= :at AND expires_at > :at"


class Questions:
    """What may be asked of a ledger, over one connection that several threads may use in turn."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._turn = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger; what was written is on the disk already."""
        with self._turn:
            self._connection.close()

    def row(self, key: Key) -> Row | None:
        """Return how a take stands, or None when it was never reserved."""
        found = self._ask(f"{TAKES} WHERE fingerprint = ? AND take = ?", (key.fingerprint, key.take))
        return read_row(found[0]) if found else None

    def rows(
        self, *, film: str | None = None, states: Sequence[State] = (), fingerprints: Iterable[str] | None = None
    ) -> tuple[Row, ...]:
        """Return the rows of a film, in these states, of these fingerprints, in order of their numbers.

        What is not given narrows nothing; no fingerprints at all, as an empty sequence, gives no rows.
        """
        wanted: list[str] = []
        values: list[str] = []
        if film is not None:
            wanted.append("film = ?")
            values.append(film)
        if states:
            wanted.append("state IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(tuple(states)))
        if fingerprints is not None:
            # As one value, because SQL takes only so many.
            wanted.append("fingerprint IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(tuple(fingerprints)))
        where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
        return tuple(map(read_row, self._ask(f"{TAKES}{where} ORDER BY number", values)))

    def events(self, key: Key) -> tuple[Event, ...]:
        """Return the whole history of a take, oldest first."""
        statement = f"{EVENTS} WHERE fingerprint = ? AND take = ? ORDER BY events.number"
        return tuple(map(read_event, self._ask(statement, (key.fingerprint, key.take))))

    def spending(self, *, film: str | None = None, run: str | None = None, since: datetime | None = None) -> Spending:
        """Return what is spent and reserved: of a film, by a run, since a time, or in all."""
        if since is None and (film is None or run is None):
            scope, name = ("film", film) if film is not None else ("run", run) if run is not None else ("total", "")
            return _add_up(self._ask(_SUM, (scope, name)))
        wanted: list[str] = []
        values: list[str] = []
        if film is not None:
            wanted.append("film = ?")
            values.append(film)
        if run is not None:
            wanted.append("run = ?")
            values.append(run)
        if since is not None:
            wanted.append("reserved_at >= ?")
            values.append(instant(since))
        return _add_up(self._ask(f"{_AMOUNTS} WHERE {' AND '.join(wanted)}", values))

    def find_upload(self, sha256: str, *, at: datetime) -> str | None:
        """Return the address of an upload that cannot have expired yet, or None.

        An upload from later than `at` is not believed: the clock went back, and nobody knows how long ago it was.
        """
        found = self._ask(_UPLOAD, {"sha256": sha256, "at": instant(at)})
        return str(found[0][0]) if found else None

    def _ask(self, statement: str, values: Sequence[object] | dict[str, object]) -> list[tuple[Any, ...]]:
        with self._turn, files.translated(self._path):
            return self._connection.execute(statement, values).fetchall()


class LedgerReader(Questions):
    """The ledger at a path, to read; nothing is made or written, not even beside it while no other process writes.

    While no changes stand beside the file, it is read as one that does not change. SQLite would otherwise make files
    for the company of writers, and leave them there. As soon as a writer is seen to have come, it is opened anew, as
    a file that others write, and the question is asked again.
    """

    def __init__(self, path: Path, *, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._calm: files.Signature | None = None
        super().__init__(path, files.look_until_settled(path, lambda: self._begin(path)))

    def _begin(self, path: Path) -> sqlite3.Connection:
        signature = files.sign(path)
        # No bytes in the files beside it: whatever was written stands in the ledger itself.
        self._calm = None if any(beside and beside.bytes for beside in signature[1:]) else signature
        return self._open(path) if files.exists(path) else files.connect_to_nothing()

    def _ask(self, statement: str, values: Sequence[object] | dict[str, object]) -> list[tuple[Any, ...]]:
        with self._turn:
            found = None if self._calm is None else self._ask_calmly(self._calm, statement, values)
            if found is not None:
                return found
            if self._calm is not None:
                self._calm = None
                self._connection.close()
                self._connection = files.look_until_settled(self._path, lambda: self._open(self._path))
            return super()._ask(statement, values)

    def _ask_calmly(
        self, before: files.Signature, statement: str, values: Sequence[object] | dict[str, object]
    ) -> list[tuple[Any, ...]] | None:
        """Ask a file that does not change; None when it did after all, whatever the answer was."""
        try:
            found = super()._ask(statement, values)
        except LedgerError:
            if before == files.sign(self._path):
                raise
            return None
        return found if before == files.sign(self._path) else None

    def _open(self, path: Path) -> sqlite3.Connection:
        query = files.SHARED if self._calm is None else files.UNCHANGING
        return files.connect_to_read(path, query=query, patience_seconds=self._patience_seconds)


def _add_up(found: list[tuple[Any, ...]]) -> Spending:
    spent, reserved = found[0] if found else (0, 0)
    return Spending(dollars_of(spent), dollars_of(reserved))
