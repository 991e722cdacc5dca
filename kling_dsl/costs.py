"""Prices what is sent: dollars of one take, from the arguments and the prices of a model's sheet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from kling_dsl.calls import values_at
from kling_dsl.profiles import Price, Profile


class Cost(msgspec.Struct, frozen=True):
    """What one take costs and why: the billed seconds times the price that applies."""

    usd: Decimal
    billed_seconds: Decimal
    price: Price


class Pricer:
    """Prices the requests of one model, and remembers what requests of one shape and length cost."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._fields = (*{name: None for price in profile.prices for name in price.when}, profile.roles["duration"])
        self._known: dict[object, Cost] = {}

    def price(self, arguments: Mapping[str, Any], shape: object, video_seconds: Mapping[str, Decimal]) -> Cost | None:
        """Return the cost of one take; None when a billed input video's length is not known.

        `shape` is that of the arguments, `video_seconds` the lengths of input videos by their address in them.
        """
        if self.profile.billing.counts_input:
            return price_take(arguments, self.profile, video_seconds=video_seconds)
        key = (shape, *[arguments.get(name) for name in self._fields])
        cost = self._known.get(key)
        if cost is None:
            cost = price_take(arguments, self.profile, video_seconds=video_seconds)
            if cost is not None:
                self._known[key] = cost
        return cost


def price_take(arguments: Mapping[str, Any], profile: Profile, *, video_seconds: Mapping[str, Decimal]) -> Cost | None:
    """Return the cost of one take; None when a billed input video's length is not known.

    `video_seconds` gives the lengths of input videos by their address in the arguments.
    """
    price = next((price for price in profile.prices if applies(price, arguments)), None)
    assert price is not None, "a sheet whose last price has conditions is refused"
    seconds = Decimal(0)
    for path in profile.billing.seconds:
        if path == "output":
            seconds += int(str(arguments[profile.roles["duration"]]))
            continue
        for address in values_at(arguments, path):
            if address not in video_seconds:
                return None
            seconds += video_seconds[address]
    billed = max(seconds, Decimal(profile.billing.minimum_seconds))
    return Cost(price.usd_per_second * billed, billed, price)


def applies(price: Price, arguments: Mapping[str, Any]) -> bool:
    """Say whether a price's conditions hold for the arguments."""
    return all(arguments.get(name) == value for name, value in price.when.items()) and all(
        bool(values_at(arguments, path)) for path in price.given
    )
