"""Amounts of US dollars in words: exact, with cents, and with more decimals only where an amount has them."""

from __future__ import annotations

from decimal import Decimal

_CENT = Decimal("0.01")


def decimal_string(amount: Decimal) -> str:
    """Return an amount as decimal dollars for machines, as in `2.10` or `0.336`."""
    exact = amount.normalize()
    return str(amount.quantize(_CENT)) if exact == exact.quantize(_CENT) else format(exact, "f")


def dollars(amount: Decimal) -> str:
    """Return an amount for people, as in `$2.10`, `$1,024.80` or `-$0.336`."""
    words = decimal_string(abs(amount))
    whole, _, cents = words.partition(".")
    return f"{'-' if amount < 0 else ''}${int(whole):,}.{cents}"
