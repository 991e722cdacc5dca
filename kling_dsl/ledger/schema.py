"""The form of the ledger's file, and the steps from each form to the next."""

from __future__ import annotations

APPLICATION_ID = 0x6B6C6E67
"""The letters `klng`, by which the file is known as a ledger of this program."""

_TAKES = """
CREATE TABLE takes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL CHECK (fingerprint <> ''),
    take INTEGER NOT NULL CHECK (take >= 1),
    film TEXT NOT NULL,
    clip TEXT NOT NULL,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    model TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    request BLOB NOT NULL,
    canonical BLOB NOT NULL,
    seconds INTEGER NOT NULL,
    price_nanos INTEGER NOT NULL CHECK (typeof(price_nanos) = 'integer' AND price_nanos >= 0),
    state TEXT NOT NULL CHECK (
        state IN ('intent', 'submitted', 'completed', 'stored', 'failed', 'uncertain', 'released')
    ),
    billed TEXT CHECK ((state = 'failed') = (billed IS NOT NULL) AND billed IN ('no', 'maybe')),
    reason TEXT NOT NULL DEFAULT '',
    quarantine TEXT NOT NULL DEFAULT '',
    request_id TEXT NOT NULL DEFAULT '',
    response_url TEXT NOT NULL DEFAULT '',
    status_url TEXT NOT NULL DEFAULT '',
    cancel_url TEXT NOT NULL DEFAULT '',
    result BLOB NOT NULL DEFAULT x'',
    billed_units TEXT,
    sha256 TEXT NOT NULL DEFAULT '',
    run TEXT NOT NULL,
    owner TEXT NOT NULL,
    reserved_at TEXT NOT NULL,
    submitted_at TEXT,
    completed_at TEXT,
    stored_at TEXT,
    updated_at TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    UNIQUE (fingerprint, take)
)
"""

_EVENTS = """
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    take_number INTEGER NOT NULL REFERENCES takes (number),
    at TEXT NOT NULL,
    run TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    details TEXT NOT NULL
)
"""

_UPLOADS = """
CREATE TABLE uploads (
    sha256 TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    kept_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
)
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        _TAKES,
        _EVENTS,
        _UPLOADS,
        # Each of these holds all that a sum needs, so that a limit is checked without reading a row.
        "CREATE INDEX takes_by_film ON takes (film, state, billed, price_nanos)",
        "CREATE INDEX takes_by_run ON takes (run, state, billed, price_nanos)",
        "CREATE INDEX takes_by_time ON takes (reserved_at, state, billed, price_nanos)",
        "CREATE INDEX events_by_take ON events (take_number)",
        "CREATE TRIGGER takes_stay BEFORE DELETE ON takes BEGIN SELECT RAISE(ABORT, 'a take is never deleted'); END",
        "CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'history stays'); END",
        "CREATE TRIGGER events_hold BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'history stays'); END",
    ),
)
"""The statements that lead from form N to form N + 1, beginning with nothing; each step is one transaction.

A step that was published never changes: a new form is a new step at the end.
"""
