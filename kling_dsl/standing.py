"""How each clip of a film stands: what the lock and the ledger hold of it, and what is left to buy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from kling_dsl import ledger
from kling_dsl.calls import Call
from kling_dsl.compiler import Compilation
from kling_dsl.emitter import canonical_json, chained
from kling_dsl.ledger import Row
from kling_dsl.ledger.transitions import may_reserve
from kling_dsl.lock import Acceptance, Lock, Take

State = Literal["new", "changed", "kept", "accepted", "waiting", "pending", "uncertain", "failed", "missing"]

UNDER_WAY: tuple[ledger.State, ...] = ("intent", "submitted", "completed")
"""States of a row that was ordered and has not come to its end."""


class Standing(msgspec.Struct, frozen=True):
    """One clip of a film as it stands.

    `fingerprint` and `canonical` are empty while the clip waits for the frame of another one. `rows` are those of the
    ledger that gave no clip. `to_buy` holds the numbers of the takes that a render buys, `lacking` the digests of
    takes that are paid for and whose files are not here.
    """

    call: Call
    state: State
    why: str
    fingerprint: str = ""
    canonical: bytes = b""
    takes: tuple[Take, ...] = ()
    chosen: Take | None = None
    rows: tuple[Row, ...] = ()
    to_buy: tuple[int, ...] = ()
    lacking: tuple[str, ...] = ()
    picked: bool = False
    accepted: Acceptance | None = None
    """The decision by which a take of another request stands for this one."""

    @property
    def to_buy_usd(self) -> Decimal:
        """What a render spends on the clip; for one that waits, at most."""
        return self.call.price_usd * len(self.to_buy)

    @property
    def kept_usd(self) -> Decimal:
        """What the takes cost that the film asks for and that are paid for already."""
        if self.accepted is not None:
            return self.call.cost_usd
        return self.call.price_usd * min(len(self.takes), self.call.takes)

    @property
    def frame_source(self) -> str:
        """The digest of the clip whose last frame others may start from; empty while that may still change."""
        if self.chosen is None:
            return ""
        open_rows = (row for row in self.rows if row.state in UNDER_WAY or row.state == "uncertain")
        moves = not self.picked and any(row.key.take < self.chosen.take for row in open_rows)
        return "" if moves else self.chosen.sha256


class Records(msgspec.Struct, frozen=True, eq=False):
    """What is known of takes: the film's lock, the ledger's rows by fingerprint, and which files are here."""

    lock: Lock
    rows: Callable[[str], Sequence[Row]]
    has: Callable[[str], bool]

    def takes(self, fingerprint: str) -> tuple[Take, ...]:
        """Return the takes of a request in order of their number, from the lock and from the ledger's stored rows."""
        known = self.lock.of(fingerprint)
        paid = {(take.sha256, take.request_id) for take in known}
        stored = (row for row in self.rows(fingerprint) if row.state == "stored")
        more = [take_of(row) for row in stored if (row.sha256, row.request_id) not in paid]
        return tuple(sorted((*known, *more), key=lambda take: take.take)) if more else known


def by_fingerprint(rows: Iterable[Row]) -> Callable[[str], Sequence[Row]]:
    """Return a way to look rows up by their request's fingerprint."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.key.fingerprint, []).append(row)
    return lambda fingerprint: found.get(fingerprint, ())


class Standings:
    """Tells how the clips of one compiled film stand, by the records that are given."""

    def __init__(self, compilation: Compilation) -> None:
        self.calls: Mapping[str, Call] = {call.id: call for call in compilation.calls}
        self._profiles = compilation.profiles
        self._digested = {item.built.request.id: item.built.emission.digested for item in compilation.items}
        self._current = {call.fingerprint for call in self.calls.values()}

    def all(self, records: Records) -> tuple[Standing, ...]:
        """Return how every clip stands, in the film's order."""
        earlier = _earlier_takes(records.lock, self._current)
        found: dict[str, Standing] = {}
        for name in self._in_order():
            call = self.calls[name]
            frames = {other: found[other].frame_source for other in call.after}
            waits = [found[other] for other, frame in frames.items() if not frame]
            if waits:
                found[name] = _waiting(call, waits)
            else:
                found[name] = self.one(name, frames, records, before=earlier.get(name))
        return tuple(_share([found[name] for name in self.calls]))

    def one(self, name: str, frames: Mapping[str, str], records: Records, *, before: Take | None = None) -> Standing:
        """Return how a clip stands when the clips it continues are those of `frames`, digests by id."""
        call = self.calls[name]
        canonical = self._canonical(call, frames)
        fingerprint = hashlib.sha256(canonical).hexdigest()
        takes = records.takes(fingerprint)
        if not takes and (decision := records.lock.acceptance(fingerprint)) is not None:
            return _accepted(call, canonical, records, *decision)
        rows = tuple(row for row in records.rows(fingerprint) if row.state != "stored")
        picked = records.lock.picked(fingerprint)
        chosen = picked or (takes[0] if takes else None)
        lacking = tuple(take.sha256 for take in takes[: call.takes] if not records.has(take.sha256))
        to_buy = _to_buy(call.takes, takes, rows)
        state, why = _state(call.takes, takes=takes, rows=rows, to_buy=to_buy, lacking=lacking, before=before)
        return Standing(
            call,
            state,
            why,
            fingerprint=fingerprint,
            canonical=canonical,
            takes=takes,
            chosen=chosen,
            rows=rows,
            to_buy=to_buy,
            lacking=lacking,
            picked=picked is not None,
        )

    def _canonical(self, call: Call, frames: Mapping[str, str]) -> bytes:
        profile = self._profiles.get(call.model)
        assert profile is not None, "a call is made with its sheet"
        return canonical_json(call.endpoint, chained(self._digested[call.id], profile, frames))

    def _in_order(self) -> list[str]:
        """Return the ids so that each comes after those it continues; a film with a ring does not compile."""
        done: dict[str, None] = {}
        for first in self.calls:
            pending = [first]
            while pending:
                needed = [other for other in self.calls[pending[-1]].after if other not in done]
                if needed:
                    pending += needed
                else:
                    done[pending.pop()] = None
        return list(done)


def _accepted(call: Call, canonical: bytes, records: Records, decision: Acceptance, take: Take) -> Standing:
    because = f": {decision.because}" if decision.because else ""
    why = f"{decision.by} kept the take of {take.at[:10]} on {decision.at[:10]}{because}"
    fingerprint = decision.fingerprint
    return Standing(
        call,
        "accepted" if records.has(take.sha256) else "missing",
        why if records.has(take.sha256) else f"accepted, and the file of {take.sha256[:12]} is not in the store here",
        fingerprint=fingerprint,
        canonical=canonical,
        takes=(take,),
        chosen=take,
        rows=tuple(row for row in records.rows(fingerprint) if row.state != "stored"),
        lacking=() if records.has(take.sha256) else (take.sha256,),
        picked=True,
        accepted=decision,
    )


def take_of(row: Row) -> Take:
    """Return the lock's record of a stored row."""
    assert row.stored_at is not None, "only a stored take has a clip"
    order = row.order
    return Take(
        fingerprint=order.key.fingerprint,
        take=order.key.take,
        sha256=row.sha256,
        clip=order.clip,
        model=order.model,
        seconds=order.seconds,
        cost_usd=order.price_usd,
        request_id=row.request_id,
        at=in_utc(row.stored_at),
    )


def in_utc(moment: datetime) -> str:
    """Return a moment as the lock writes it, such as `2026-11-22T17:03:42Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def next_takes(standing: Standing, count: int) -> tuple[int, ...]:
    """Return the numbers of `count` takes more than the film asks for."""
    rows = standing.rows
    wanted = (
        len(standing.takes) + sum(not may_reserve(row.state, row.billed) for row in rows) + len(standing.to_buy) + count
    )
    return _to_buy(wanted, standing.takes, rows)


def _to_buy(takes_wanted: int, takes: tuple[Take, ...], rows: tuple[Row, ...]) -> tuple[int, ...]:
    """Return the numbers of the takes to buy: above every take that is there, so that none is put before it."""
    open_numbers = {row.key.take for row in rows if not may_reserve(row.state, row.billed)}
    wanted = takes_wanted - len(takes) - len(open_numbers)
    numbers: list[int] = []
    number = max((take.take for take in takes), default=0)
    while len(numbers) < wanted:
        number += 1
        if number not in open_numbers:
            numbers.append(number)
    return tuple(numbers)


def _state(
    takes_wanted: int,
    *,
    takes: tuple[Take, ...],
    rows: tuple[Row, ...],
    to_buy: tuple[int, ...],
    lacking: tuple[str, ...],
    before: Take | None,
) -> tuple[State, str]:
    for row in rows:
        if row.state == "uncertain":
            return "uncertain", f"take {row.key.take} may have been bought: {row.reason}"
    if lacking:
        return "missing", f"paid for, and the file of {_these(lacking)} is not in the store here"
    for row in rows:
        if row.state in UNDER_WAY:
            return "pending", f"take {row.key.take} was ordered and is {_ON_THE_WAY[row.state]}"
    for row in rows if len(takes) < takes_wanted else ():
        if row.state == "failed" and row.billed != "no":
            return "failed", f"take {row.key.take} failed and may be billed: {row.reason}"
    if not to_buy:
        return "kept", ""
    if takes:
        return "new", f"{len(takes)} of {takes_wanted} takes are there"
    if before is not None:
        return "changed", f"its request changed since it was rendered on {before.at[:10]}"
    failed = next((row.reason for row in rows if row.state == "failed"), "")
    return "new", f"not rendered yet; the last try: {failed}" if failed else "not rendered yet"


_ON_THE_WAY = {"intent": "being sent", "submitted": "at the provider", "completed": "being fetched"}


def _these(digests: tuple[str, ...]) -> str:
    shown = " and ".join(digest[:12] for digest in digests[:2])
    return f"{shown} and {len(digests) - 2} more" if len(digests) > 2 else shown


def _share(standings: Iterable[Standing]) -> Iterable[Standing]:
    """Give clips with one and the same request one purchase: the first that needs a take buys it for all."""
    bought: dict[str, Standing] = {}
    for standing in standings:
        first = bought.setdefault(standing.fingerprint, standing) if standing.fingerprint else standing
        if first is standing or not standing.to_buy:
            yield standing
            continue
        left = tuple(number for number in standing.to_buy if number not in first.to_buy)
        why = f"the same request as {first.call.id}, which is bought once"
        yield msgspec.structs.replace(standing, to_buy=left, why=standing.why if left else why)


def _waiting(call: Call, waits: list[Standing]) -> Standing:
    names = " and ".join(standing.call.id for standing in waits)
    verb = "are" if len(waits) > 1 else "is"
    how = "is uncertain" if any(standing.state == "uncertain" for standing in waits) else f"{verb} not rendered yet"
    return Standing(
        call,
        "waiting",
        f"needs the last frame of {names}, which {how}",
        to_buy=tuple(range(1, call.takes + 1)),
    )


def _earlier_takes(lock: Lock, current: set[str]) -> dict[str, Take]:
    """Return, by clip id, the newest take of a request that the film no longer makes as it was."""
    found: dict[str, Take] = {}
    for take in lock.takes:
        if take.fingerprint not in current and (take.clip not in found or found[take.clip].at <= take.at):
            found[take.clip] = take
    return found
