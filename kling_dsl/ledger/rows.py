"""Rows and events as they come out of the ledger's file, field by field in the order of the columns."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from kling_dsl.ledger.amounts import dollars_of
from kling_dsl.ledger.values import Event, Key, Order, Row

TAKES = """
SELECT fingerprint, take, film, clip, file, line, model, endpoint, request, canonical, seconds, price_nanos,
       state, billed, reason, quarantine, request_id, response_url, status_url, cancel_url, result, billed_units,
       sha256, run, owner, reserved_at, submitted_at, completed_at, stored_at, updated_at, number, attempt
FROM takes
"""

EVENTS = """
SELECT events.number, fingerprint, take, at, events.run, from_state, to_state, details
FROM events JOIN takes ON takes.number = take_number
"""

_details = msgspec.json.Decoder(dict[str, str])
_time = datetime.fromisoformat


def read_row(found: tuple[Any, ...]) -> Row:
    """Return the row whose columns `TAKES` names."""
    # By position, because a ledger of ten thousand takes is read as a whole.
    fingerprint, take, film, clip, file, line, model, endpoint, request, canonical, seconds, nanos = found[:12]
    state, billed, reason, quarantine, request_id, response_url, status_url, cancel_url, result, units = found[12:22]
    sha256, run, owner, reserved_at, submitted_at, completed_at, stored_at, updated_at, number, attempt = found[22:]
    order = Order(
        Key(fingerprint, take),
        *(film, clip, file, line, model, endpoint, request, canonical, seconds, dollars_of(nanos)),
    )
    return Row(
        order,
        *(state, billed, reason, quarantine, request_id, response_url, status_url, cancel_url, result),
        None if units is None else Decimal(units),
        *(sha256, run, owner),
        _time(reserved_at),
        _time(submitted_at) if submitted_at else None,
        _time(completed_at) if completed_at else None,
        _time(stored_at) if stored_at else None,
        _time(updated_at),
        number,
        attempt,
    )


def read_event(found: tuple[Any, ...]) -> Event:
    """Return the event whose columns `EVENTS` names."""
    number, fingerprint, take, at, run, from_state, to_state, details = found
    return Event(number, Key(fingerprint, take), _time(at), run, from_state, to_state, _details.decode(details))
