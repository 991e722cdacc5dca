"""What the ledger takes and gives: orders, rows, limits, sums and the history of each take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

State = Literal["intent", "submitted", "completed", "stored", "failed", "uncertain", "released"]
Billed = Literal["no", "maybe"]
Scope = Literal["run", "film", "day", "total"]

STATES: dict[State, str] = {
    "intent": "The money is reserved and the request is about to be sent; nothing is known of it at the provider yet.",
    "submitted": "The provider took the request and gave it an id; the clip is queued or being made.",
    "completed": "The provider has finished the clip; it is still to be downloaded and checked.",
    "stored": "The clip is in the store, checked and named by its digest; it is paid for and never bought again.",
    "failed": "There is no usable clip, and the reason is kept; it counts as spent where it may have been billed.",
    "uncertain": "The request may or may not have reached the provider; its money stays reserved until that is known.",
    "released": "A person said that an uncertain request was never taken; its money is free again.",
}
"""What each state means, in one sentence, in the order in which a take goes through them."""

RESERVED: tuple[State, ...] = ("intent", "submitted", "completed", "uncertain")
"""The states whose price is reserved. Spent are `stored`, and `failed` where it may have been billed."""


class Key(msgspec.Struct, frozen=True, order=True):
    """The one thing that is bought at most once: a take of a request. Takes count from 1."""

    fingerprint: str
    take: int


class Order(msgspec.Struct, frozen=True):
    """A take as it is to be bought: what is sent, what it costs and which line of which film asked for it.

    `request` is the exact JSON body of the call; `canonical` is the JSON that the fingerprint is the digest of, with
    media by their digests. `film` and `file` are paths from the project's root, with `/`.
    """

    key: Key
    film: str
    clip: str
    file: str
    line: int
    model: str
    endpoint: str
    request: bytes
    canonical: bytes
    seconds: int
    price_usd: Decimal


class Limit(msgspec.Struct, frozen=True):
    """A sum that spent and reserved money together must not pass; `since` is the start of the day for `day`."""

    scope: Scope
    usd: Decimal
    since: datetime | None = None


class Spending(msgspec.Struct, frozen=True):
    """What is spent for good and what is reserved by takes under way."""

    spent_usd: Decimal
    reserved_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        """What a limit is held against."""
        return self.spent_usd + self.reserved_usd


class Row(msgspec.Struct, frozen=True):
    """How one take stands.

    `run` reserved the money; `owner` is the run that may move the row on. `number` orders rows by their first
    reservation, `attempt` counts reservations of this take. `quarantine` names the place of a clip that was paid for
    and refused. What is not known yet is an empty string, empty bytes or None.
    """

    order: Order
    state: State
    billed: Billed | None
    reason: str
    quarantine: str
    request_id: str
    response_url: str
    status_url: str
    cancel_url: str
    result: bytes
    billed_units: Decimal | None
    sha256: str
    run: str
    owner: str
    reserved_at: datetime
    submitted_at: datetime | None
    completed_at: datetime | None
    stored_at: datetime | None
    updated_at: datetime
    number: int
    attempt: int

    @property
    def key(self) -> Key:
        """The take that this row is about."""
        return self.order.key


class Event(msgspec.Struct, frozen=True):
    """One step in the history of a take; the first has no `from_state`, and a change of owner stays in its state."""

    number: int
    key: Key
    at: datetime
    run: str
    from_state: State | None
    to_state: State
    details: dict[str, str]


class Reserved(msgspec.Struct, frozen=True):
    """The money is set aside and the row is this run's: now, and only now, the request may be sent."""

    row: Row


class Taken(msgspec.Struct, frozen=True):
    """The take was bought or is being bought: nothing was written, and the row says how it stands."""

    row: Row


class Refused(msgspec.Struct, frozen=True):
    """The take would pass a limit: nothing was written. `spending` is what counts against that limit already."""

    limit: Limit
    spending: Spending
    wanted_usd: Decimal


class Ledger(Protocol):
    """The book of every paid take, as `render` uses it.

    Every method that writes is one transaction that is on the disk when it returns. A step that the row's state or
    owner does not allow raises `Conflict`; a ledger that cannot be read or written raises another `LedgerError`.
    Times are aware datetimes.
    """

    @property
    def run(self) -> str:
        """The run in whose name this ledger writes."""

    def reserve(self, order: Order, limits: Sequence[Limit], *, at: datetime) -> Reserved | Taken | Refused:
        """Reserve the price of a take under every limit, unless the take is bought or under way already."""

    def submitted(
        self, key: Key, *, request_id: str, response_url: str, status_url: str, cancel_url: str, at: datetime
    ) -> Row:
        """Note that the provider took the request: `intent` becomes `submitted`."""

    def completed(self, key: Key, *, result: bytes, billed_units: Decimal | None, at: datetime) -> Row:
        """Note the provider's result: `submitted` becomes `completed`."""

    def stored(self, key: Key, *, sha256: str, at: datetime) -> Row:
        """Note that the clip is in the store: `completed`, or `failed` with a quarantine, becomes `stored`."""

    def failed(self, key: Key, *, billed: Billed, reason: str, quarantine: str = "", at: datetime) -> Row:
        """Note that there is no usable clip: `intent` (not billed), `submitted` or `completed` becomes `failed`."""

    def uncertain(self, key: Key, *, reason: str, at: datetime) -> Row:
        """Note that nobody knows whether the request arrived: `intent` becomes `uncertain`."""

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

    def released(self, key: Key, *, reason: str, at: datetime) -> Row:
        """Note a person's word that the request never arrived: `uncertain` becomes `released`."""

    def reopened(self, key: Key, *, at: datetime) -> Row:
        """Note that the stored clip was lost and is fetched again: `stored` becomes `completed`, and this run's."""

    def take_over(self, key: Key, *, from_run: str, at: datetime) -> bool:
        """Make this run the owner of a dead run's row; return False when another run was quicker."""

    def together(self) -> AbstractContextManager[None]:
        """Bring the steps that are taken inside to the disk in one transaction, at the end."""

    def row(self, key: Key) -> Row | None:
        """Return how a take stands, or None when it was never reserved."""

    def rows(
        self, *, film: str | None = None, states: Sequence[State] = (), fingerprints: Iterable[str] | None = None
    ) -> tuple[Row, ...]:
        """Return the rows of a film, in these states, of these fingerprints, in order of their numbers."""

    def events(self, key: Key) -> tuple[Event, ...]:
        """Return the whole history of a take, oldest first."""

    def spending(self, *, film: str | None = None, run: str | None = None, since: datetime | None = None) -> Spending:
        """Return what is spent and reserved: of a film, by a run, since a time, or in all."""

    def find_upload(self, sha256: str, *, at: datetime) -> str | None:
        """Return the address of an upload that cannot have expired yet, or None."""

    def keep_upload(self, sha256: str, url: str, *, at: datetime, expires_at: datetime) -> None:
        """Remember where a media file was uploaded to and until when it is sure to be there."""

    def forget_upload(self, sha256: str) -> None:
        """Forget an upload that turned out to be gone."""
