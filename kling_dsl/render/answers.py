"""Reads JSON and times that came from elsewhere: whatever it is, it is a value of the wanted form or nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

Value = TypeVar("Value")


def decode(content: bytes | str, kind: type[Value]) -> Value | None:
    """Return the value that some JSON holds, or None for what is no JSON of that kind.

    The decoder says so in three ways: its own errors, an error of the codec for bytes that are no UTF-8, and one of the
    interpreter for lists in lists without end.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def read_date(text: str) -> datetime | None:
    """Return the moment that a header of HTTP tells, or None for what is no date; one without a zone is of UTC."""
    try:
        told = parsedate_to_datetime(text)
    except ValueError:
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)
