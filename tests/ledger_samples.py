"""What the tests of the ledger share: an order, a time, and a take brought to where a test needs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from kling_dsl.ledger import Key, Ledger, Limit, Order, Reserved

AT = datetime(2026, 11, 22, 17, 3, 42, 123456, tzinfo=UTC)
PRICE = Decimal("2.10")
FILM = "films/lantern.kling"
TAKEN = {
    "request_id": "request-1",
    "response_url": "https://queue.example/1",
    "status_url": "https://queue.example/1/status",
    "cancel_url": "https://queue.example/1/cancel",
}
CLIP = "c" * 64


def key_of(name: str, take: int = 1) -> Key:
    return Key(name, take)


def order_of(name: str = "door", take: int = 1, *, film: str = FILM, price: Decimal = PRICE) -> Order:
    body = b'{"prompt":"A lantern swings."}'
    return Order(
        key_of(name, take), film, name, film, 23, "o3", "a/b", request=body, canonical=body, seconds=5, price_usd=price
    )


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def total(usd: str) -> Limit:
    return Limit("total", Decimal(usd))


def reserve(ledger: Ledger, name: str) -> Key:
    done = ledger.reserve(order_of(name), (), at=AT)
    assert isinstance(done, Reserved)
    return done.row.key


def submit(ledger: Ledger, name: str) -> Key:
    key = reserve(ledger, name)
    ledger.submitted(key, **TAKEN, at=AT)
    return key


def complete(ledger: Ledger, name: str) -> Key:
    key = submit(ledger, name)
    ledger.completed(key, result=b'{"video":{"url":"https://media.example/1.mp4"}}', billed_units=Decimal(5), at=AT)
    return key


def store(ledger: Ledger, name: str) -> Key:
    key = complete(ledger, name)
    ledger.stored(key, sha256=CLIP, at=AT)
    return key


def fail_free(ledger: Ledger, name: str) -> Key:
    key = reserve(ledger, name)
    ledger.failed(key, billed="no", reason="refused: no such endpoint", at=AT)
    return key


def fail_billed(ledger: Ledger, name: str) -> Key:
    key = submit(ledger, name)
    ledger.failed(key, billed="maybe", reason="content_policy_violation", at=AT)
    return key


def quarantine(ledger: Ledger, name: str) -> Key:
    key = complete(ledger, name)
    ledger.failed(key, billed="maybe", reason="2 s long, not 5", quarantine="quarantine/door-1-1.mp4", at=AT)
    return key


def doubt(ledger: Ledger, name: str) -> Key:
    key = reserve(ledger, name)
    ledger.uncertain(key, reason="the connection dropped", at=AT)
    return key


def release(ledger: Ledger, name: str) -> Key:
    key = doubt(ledger, name)
    ledger.released(key, reason="not in the history", at=AT)
    return key


STANDINGS: dict[str, Callable[[Ledger, str], Key]] = {
    "none": lambda _, name: key_of(name),
    "intent": reserve,
    "submitted": submit,
    "completed": complete,
    "stored": store,
    "failed (no)": fail_free,
    "failed (maybe)": fail_billed,
    "failed (quarantine)": quarantine,
    "uncertain": doubt,
    "released": release,
}
"""How a take comes to stand where it stands, by every way that matters to what may follow."""

VERBS: dict[str, Callable[[Ledger, Key], Any]] = {
    "reserve": lambda ledger, key: ledger.reserve(order_of(key.fingerprint), (), at=AT),
    "submitted": lambda ledger, key: ledger.submitted(key, **TAKEN, at=AT),
    "completed": lambda ledger, key: ledger.completed(key, result=b"{}", billed_units=None, at=AT),
    "stored": lambda ledger, key: ledger.stored(key, sha256=CLIP, at=AT),
    "failed (no)": lambda ledger, key: ledger.failed(key, billed="no", reason="it was refused", at=AT),
    "failed (maybe)": lambda ledger, key: ledger.failed(key, billed="maybe", reason="it broke", at=AT),
    "uncertain": lambda ledger, key: ledger.uncertain(key, reason="no answer", at=AT),
    "adopted": lambda ledger, key: ledger.adopted(key, **TAKEN, reason="in the history", at=AT),
    "released": lambda ledger, key: ledger.released(key, reason="a person's word", at=AT),
    "reopened": lambda ledger, key: ledger.reopened(key, at=AT),
}
