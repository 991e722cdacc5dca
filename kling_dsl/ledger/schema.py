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

_SUMS = """
CREATE TABLE sums (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    spent_nanos INTEGER NOT NULL,
    reserved_nanos INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID
"""

_ADD = """
INSERT INTO sums (scope, name, spent_nanos, reserved_nanos)
SELECT column1, column2, NEW.price_nanos * (NEW.state = 'stored' OR NEW.billed IS 'maybe'),
       NEW.price_nanos * (NEW.state IN ('intent', 'submitted', 'completed', 'uncertain'))
FROM (VALUES ('total', ''), ('film', NEW.film), ('run', NEW.run)) WHERE true
ON CONFLICT (scope, name) DO UPDATE SET
    spent_nanos = spent_nanos + excluded.spent_nanos, reserved_nanos = reserved_nanos + excluded.reserved_nanos;
"""

_SUBTRACT = _ADD.replace("NEW.", "OLD.").replace("+ excluded.", "- excluded.")

_NEW_TAKE = f"CREATE TRIGGER sums_of_a_new_take AFTER INSERT ON takes BEGIN {_ADD} END"

# From one reserved state to another nothing is to be counted: film, run and price change only with a new reservation.
_CHANGED_TAKE = f"""
CREATE TRIGGER sums_of_a_changed_take AFTER UPDATE ON takes
WHEN OLD.state NOT IN ('intent', 'submitted', 'completed', 'uncertain')
  OR NEW.state NOT IN ('intent', 'submitted', 'completed', 'uncertain')
BEGIN {_SUBTRACT} {_ADD} END
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        _TAKES,
        _EVENTS,
        _UPLOADS,
        _SUMS,
        "CREATE INDEX takes_by_film ON takes (film, state)",
        # It holds all that a sum needs, so that the limit of a day is checked without reading a row.
        "CREATE INDEX takes_by_time ON takes (reserved_at, state, billed, price_nanos)",
        "CREATE INDEX events_by_take ON events (take_number)",
        _NEW_TAKE,
        _CHANGED_TAKE,
        "CREATE TRIGGER takes_stay BEFORE DELETE ON takes BEGIN SELECT RAISE(ABORT, 'a take is never deleted'); END",
        "CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'history stays'); END",
        "CREATE TRIGGER events_hold BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'history stays'); END",
    ),
)
"""The statements that lead from form N to form N + 1, beginning with nothing; each step is one transaction.

A step that was published never changes: a new form is a new step at the end. Sums are kept, by film, by run and in
all, so that checking a limit takes no longer in an old ledger than in a new one.
"""

SUMS = "SELECT scope, name, spent_nanos, reserved_nanos FROM sums WHERE spent_nanos <> 0 OR reserved_nanos <> 0"
"""The sums as they are kept, without those that are nothing."""

SUMS_ADDED_UP = """
WITH counted AS (
    SELECT film, run, price_nanos * (state = 'stored' OR billed IS 'maybe') AS spent,
           price_nanos * (state IN ('intent', 'submitted', 'completed', 'uncertain')) AS reserved
    FROM takes
)
SELECT 'total', '', sum(spent), sum(reserved) FROM counted HAVING sum(spent + reserved) <> 0
UNION ALL SELECT 'film', film, sum(spent), sum(reserved) FROM counted GROUP BY film HAVING sum(spent + reserved) <> 0
UNION ALL SELECT 'run', run, sum(spent), sum(reserved) FROM counted GROUP BY run HAVING sum(spent + reserved) <> 0
"""
"""The same, added up from the takes themselves."""
