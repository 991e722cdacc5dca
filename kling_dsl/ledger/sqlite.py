"""The ledger to write: each step of a take is one transaction, which ends on the disk or did not happen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from kling_dsl.ledger import connection as files
from kling_dsl.ledger.amounts import dollars_of, instant, nanos_above, nanos_below, plain, price_nanos
from kling_dsl.ledger.errors import Conflict, DamagedLedger
from kling_dsl.ledger.reading import Questions
from kling_dsl.ledger.transitions import Standing, Verb, find_step, may_reserve
from kling_dsl.ledger.values import Billed, Key, Limit, Order, Refused, Reserved, Row, Spending, State, Taken

_STANDING = "SELECT number, state, owner, quarantine FROM takes WHERE fingerprint = ? AND take = ?"

_RESERVE = """
INSERT INTO takes (fingerprint, take, film, clip, file, line, model, endpoint, request, canonical, seconds, price_nanos,
                   state, run, owner, reserved_at, updated_at)
VALUES (:fingerprint, :take, :film, :clip, :file, :line, :model, :endpoint, :request, :canonical, :seconds, :price_nanos,
        'intent', :run, :run, :at, :at)
ON CONFLICT (fingerprint, take) DO UPDATE SET
    film = excluded.film, clip = excluded.clip, file = excluded.file, line = excluded.line, model = excluded.model,
    endpoint = excluded.endpoint, request = excluded.request, canonical = excluded.canonical,
    seconds = excluded.seconds, price_nanos = excluded.price_nanos,
    state = 'intent', billed = NULL, reason = '', quarantine = '', request_id = '', response_url = '',
    status_url = '', cancel_url = '', result = x'', billed_units = NULL, sha256 = '', run = excluded.run,
    owner = excluded.owner, reserved_at = excluded.reserved_at, submitted_at = NULL, completed_at = NULL,
    stored_at = NULL, updated_at = excluded.updated_at, attempt = attempt + 1
"""

_MOVE = "UPDATE takes SET state = :state, owner = :run, updated_at = :at"

_CHANGES: Mapping[Verb, str] = {
    "submitted": """
        request_id = :request_id, response_url = :response_url, status_url = :status_url, cancel_url = :cancel_url,
        submitted_at = :at""",
    "completed": "result = :result, billed_units = :billed_units, completed_at = :at",
    "stored": "sha256 = :sha256, billed = NULL, reason = '', quarantine = '', stored_at = :at",
    "failed": "billed = :billed, reason = :reason, quarantine = :quarantine",
    "uncertain": "reason = :reason",
    "adopted": """
        request_id = :request_id, response_url = :response_url, status_url = :status_url, cancel_url = :cancel_url,
        reason = :reason, submitted_at = :at""",
    "released": "reason = :reason",
    "reopened": "stored_at = NULL",
}
"""What each verb writes into a row besides its state, its owner and the time."""

_EVENT = """
INSERT INTO events (take_number, at, run, from_state, to_state, details)
VALUES (:number, :at, :run, :from_state, :to_state, :details)
"""

_TAKE_OVER = "UPDATE takes SET owner = :run, updated_at = :at WHERE number = :number"

_KEEP_UPLOAD = """
INSERT INTO uploads (sha256, url, kept_at, expires_at) VALUES (:sha256, :url, :at, :expires_at)
ON CONFLICT (sha256) DO UPDATE SET url = excluded.url, kept_at = excluded.kept_at, expires_at = excluded.expires_at
"""

_Details = dict[str, str | bytes | None]


class SqliteLedger(Questions):
    """The ledger at a path, opened to write in the name of one run; see `Ledger` for what each method promises."""

    def __init__(self, path: Path, *, run: str, patience_seconds: float) -> None:
        self.run = run
        super().__init__(path, files.connect_to_write(path, patience_seconds=patience_seconds))
        self._identity = self._identify()
        self._gathering = False
        self._lost: BaseException | None = None

    def reserve(self, order: Order, limits: Sequence[Limit], *, at: datetime) -> Reserved | Taken | Refused:
        """Reserve the price of a take under every limit, unless the take is bought or under way already.

        The limits are checked in the transaction that reserves, against what every process wrote until then. A take
        may be reserved again only after it was released, or failed without being billed.
        """
        wanted = price_nanos(order.price_usd)
        ceilings = [(limit, nanos_below(limit.usd)) for limit in limits]
        with self._transaction():
            before = self.row(order.key)
            if before and not may_reserve(before.state, before.billed):
                return Taken(before)
            for limit, ceiling in ceilings:
                spending = self._spending_under(limit, order)
                if nanos_above(spending.spent_usd) + nanos_above(spending.reserved_usd) + wanted > ceiling:
                    return Refused(limit, spending, dollars_of(wanted))
            self._connection.execute(_RESERVE, self._columns_of(order, wanted, at=at))
            row = self.row(order.key)
            assert row is not None
            details: _Details = {"attempt": str(row.attempt), "price_usd": str(dollars_of(wanted)), "clip": order.clip}
            self._note(row.number, before.state if before else None, "intent", at=at, details=details)
        return Reserved(row)

    def submitted(
        self, key: Key, *, request_id: str, response_url: str, status_url: str, cancel_url: str, at: datetime
    ) -> Row:
        """Note that the provider took the request: `intent` becomes `submitted`."""
        urls = {"response_url": response_url, "status_url": status_url, "cancel_url": cancel_url}
        return self._move("submitted", key, at=at, values={"request_id": request_id, **urls})

    def completed(self, key: Key, *, result: bytes, billed_units: Decimal | None, at: datetime) -> Row:
        """Note the provider's result: `submitted` becomes `completed`."""
        units = None if billed_units is None else str(billed_units)
        return self._move("completed", key, at=at, values={"result": result, "billed_units": units})

    def stored(self, key: Key, *, sha256: str, at: datetime) -> Row:
        """Note that the clip is in the store: `completed`, or `failed` with a quarantine, becomes `stored`."""
        return self._move("stored", key, at=at, values={"sha256": sha256})

    def failed(self, key: Key, *, billed: Billed, reason: str, quarantine: str = "", at: datetime) -> Row:
        """Note that there is no usable clip: `intent` (not billed), `submitted` or `completed` becomes `failed`.

        A clip that came and was refused may have been billed, so a quarantine with `billed` of `no` is a ValueError.
        """
        if quarantine and billed == "no":
            raise ValueError("a clip that was delivered may have been billed")
        values: _Details = {"billed": billed, "reason": reason, "quarantine": quarantine}
        return self._move("failed", key, at=at, values=values, billed=billed)

    def uncertain(self, key: Key, *, reason: str, at: datetime) -> Row:
        """Note that nobody knows whether the request arrived: `intent` becomes `uncertain`."""
        return self._move("uncertain", key, at=at, values={"reason": reason})

    def adopted(
        self,
        key: Key,
        *,
        request_id: str,
        response_url: str,
        status_url: str,
        cancel_url: str,
        reason: str,
        at: datetime,
    ) -> Row:
        """Note that the request was found at the provider: `uncertain` becomes `submitted`, and this run's."""
        urls = {"response_url": response_url, "status_url": status_url, "cancel_url": cancel_url}
        return self._move("adopted", key, at=at, values={"request_id": request_id, **urls, "reason": reason})

    def released(self, key: Key, *, reason: str, at: datetime) -> Row:
        """Note a person's word that the request never arrived: `uncertain` becomes `released`."""
        return self._move("released", key, at=at, values={"reason": reason})

    def reopened(self, key: Key, *, at: datetime) -> Row:
        """Note that the stored clip was lost and is fetched again: `stored` becomes `completed`, and this run's."""
        return self._move("reopened", key, at=at, values={})

    def take_over(self, key: Key, *, from_run: str, at: datetime) -> bool:
        """Make this run the owner of a dead run's row; return False when another run was quicker."""
        with self._transaction():
            standing = self._stand(key)
            if standing is None:
                raise Conflict(_refusal("take_over", key, "it was never reserved"))
            if standing.owner != from_run:
                return False
            self._connection.execute(_TAKE_OVER, {"run": self.run, "at": instant(at), "number": standing.number})
            self._note(standing.number, standing.state, standing.state, at=at, details={"taken_over_from": from_run})
        return True

    def keep_upload(self, sha256: str, url: str, *, at: datetime, expires_at: datetime) -> None:
        """Remember where a media file was uploaded to and until when it is sure to be there."""
        times = {"at": instant(at), "expires_at": instant(expires_at)}
        with self._transaction():
            self._connection.execute(_KEEP_UPLOAD, {"sha256": sha256, "url": plain(url), **times})

    def forget_upload(self, sha256: str) -> None:
        """Forget an upload that turned out to be gone."""
        with self._transaction():
            self._connection.execute("DELETE FROM uploads WHERE sha256 = ?", (sha256,))

    def _move(self, verb: Verb, key: Key, *, at: datetime, values: _Details, billed: Billed | None = None) -> Row:
        """Go one step of a take in one transaction and return its row, or raise Conflict and change nothing."""
        clean = {name: plain(value) if isinstance(value, str) else value for name, value in values.items()}
        with self._transaction():
            standing = self._stand(key)
            if standing is None:
                raise Conflict(_refusal(verb, key, "it was never reserved"))
            step = find_step(verb, standing, run=self.run, billed=billed)
            if isinstance(step, str):
                raise Conflict(_refusal(verb, key, step))
            self._connection.execute(
                f"{_MOVE}, {_CHANGES[verb]} WHERE number = :number",
                {**clean, "state": step.target, "run": self.run, "at": instant(at), "number": standing.number},
            )
            self._note(standing.number, step.source, step.target, at=at, details=clean)
            row = self.row(key)
        assert row is not None, "what was moved is there"
        return row

    def _stand(self, key: Key) -> Standing | None:
        found = self._connection.execute(_STANDING, (key.fingerprint, key.take)).fetchone()
        return None if found is None else Standing(*found)

    def _note(self, number: int, before: State | None, after: State, *, at: datetime, details: _Details) -> None:
        """Add a step to the history, with all that was told at it: what a later attempt clears is kept here."""
        words = {
            name: value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
            for name, value in details.items()
            if value is not None
        }
        values = {"number": number, "from_state": before, "to_state": after, "run": self.run, "at": instant(at)}
        self._connection.execute(_EVENT, {**values, "details": msgspec.json.encode(words).decode()})

    def _spending_under(self, limit: Limit, order: Order) -> Spending:
        if limit.scope == "run":
            return self.spending(run=self.run)
        if limit.scope == "film":
            return self.spending(film=order.film)
        if limit.scope == "total":
            return self.spending()
        if limit.since is None:
            raise ValueError("a limit for the day says when the day began")
        return self.spending(since=limit.since)

    def _columns_of(self, order: Order, nanos: int, *, at: datetime) -> dict[str, object]:
        columns = {
            name: plain(value) if isinstance(value, str) else value
            for name, value in msgspec.structs.asdict(order).items()
        }
        del columns["key"], columns["price_usd"]
        key = {"fingerprint": order.key.fingerprint, "take": order.key.take}
        return {**columns, **key, "price_nanos": nanos, "run": self.run, "at": instant(at)}

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Bring the steps that are taken inside to the disk in one transaction, at the end.

        A step that is refused takes no other with it; when the disk fails, all of them are undone, and that is raised.
        """
        with self._turn, files.translated(self._path):
            self._gathering, self._lost = True, None
            try:
                yield
                if self._lost is not None:
                    raise self._lost
                if self._connection.in_transaction:
                    self._make_sure_of_the_file()
                    self._connection.execute("COMMIT")
            finally:
                self._gathering = False
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Hold the ledger against every other writer; what is done inside is on the disk at the end, or undone.

        Among steps that are taken together, it is on the disk at the end of them all.
        """
        with self._turn, files.translated(self._path):
            self._make_sure_of_the_file()
            with self._step_among_others() if self._gathering else self._step_alone():
                yield

    @contextlib.contextmanager
    def _step_alone(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _step_among_others(self) -> Iterator[None]:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute("SAVEPOINT step")
            yield
            self._connection.execute("RELEASE step")
        except BaseException as problem:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO step")
                self._connection.execute("RELEASE step")
            else:
                # SQLite gives a whole transaction up when the disk fails, with the steps before this one.
                self._lost = problem
            raise

    def _make_sure_of_the_file(self) -> None:
        if self._identify() != self._identity:
            # Whoever goes on writing into a file that has lost its name writes for nobody.
            raise DamagedLedger(self._path, "it was removed or replaced while it was in use")

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino


def _refusal(verb: str, key: Key, why: str) -> str:
    return f"take {key.take} of {key.fingerprint} cannot become {verb}: {why}"
