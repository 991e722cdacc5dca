"""Money, times and texts as the ledger's file keeps them: whole numbers and strings that come back as they went in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

NANOS = 10**9
"""The parts of a dollar that are counted: whole numbers, so that sums in SQL are exact."""

_CENT_NANOS = NANOS // 100
_MOST_NANOS = 10**18
"""A thousand million dollars, which leaves SQL's 64 bits room to add."""


def price_nanos(price_usd: Decimal) -> int:
    """Return a price in parts of a dollar, rounded up; a price below nothing or beyond counting is a ValueError."""
    nanos = nanos_above(price_usd)
    if not 0 <= nanos <= _MOST_NANOS:
        raise ValueError(f"{price_usd} is not a price in dollars")
    return nanos


# A Decimal's own arithmetic rounds to the precision of the thread's context, and so none of it is used here.


def nanos_above(usd: Decimal) -> int:
    """Return an amount in parts of a dollar, rounded up."""
    if not usd.is_finite():
        raise ValueError(f"{usd} is not an amount of dollars")
    numerator, denominator = usd.as_integer_ratio()
    return -(-numerator * NANOS // denominator)


def nanos_below(usd: Decimal) -> int:
    """Return an amount in parts of a dollar, rounded down."""
    return -nanos_above(usd.copy_negate())


def dollars_of(nanos: int) -> Decimal:
    """Return parts of a dollar as dollars, with two decimals where that is exact and nine otherwise."""
    cents, rest = divmod(nanos, _CENT_NANOS)
    return Decimal(f"{nanos}e-9") if rest else Decimal(f"{cents}e-2")


def instant(at: datetime) -> str:
    """Return a time as text in UTC that sorts as times do; a time without a zone is a ValueError."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def plain(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair, as JSON may carry one, is spelt out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
