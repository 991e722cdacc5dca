"""Whether every request that a sheet allows has one price, and every price a request."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal

from kling_dsl.profiles import Price, Profile
from kling_dsl.sheets.field_sense import accepts, choices
from kling_dsl.sheets.mistakes import Mistake, Path
from kling_dsl.sheets.rule_sense import unknown_field

_MOST_COMBINATIONS = 20_000
_MOST_USD = Decimal(1000)
"""A thousand dollars a second is a slip of the decimal point."""


def price_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check each price, then that the prices cover all combinations and that each of them is reached by one."""
    if not profile.prices:
        yield Mistake(("prices",), "is empty")
        return
    found = [
        mistake for at, price in enumerate(profile.prices) for mistake in _own_mistakes(profile, price, ("prices", at))
    ]
    yield from found
    if not found:
        yield from _coverage_mistakes(profile)


def _own_mistakes(profile: Profile, price: Price, path: Path) -> Iterator[Mistake]:
    if price.usd_per_second < 0:
        yield Mistake((*path, "usd_per_second"), f"is {price.usd_per_second}, but a price cannot be negative")
    elif price.usd_per_second > _MOST_USD:
        yield Mistake((*path, "usd_per_second"), f"is {price.usd_per_second}, above {_MOST_USD} dollars a second")
    for name, value in price.when.items():
        where = (*path, "when", name)
        field = profile.fields.get(name)
        if name not in profile.paths:
            yield unknown_field(profile, name, where)
        elif field is None:
            yield Mistake(where, "lies inside a list; a price can ask for its presence with `given`")
        elif field.send != "always":
            yield Mistake(
                where, 'needs send = "always" at the field, or else the provider\'s default would set the price'
            )
        elif not choices(field):
            yield Mistake(where, "has values that cannot be counted, so that no price can depend on it")
        elif not accepts(field, value):
            yield Mistake(where, f'is "{value}", which the field never sends')
    for at, name in enumerate(price.given):
        field = profile.paths.get(name)
        if field is None:
            yield unknown_field(profile, name, (*path, "given", at))
        elif field.send == "always" and name in profile.fields:
            yield Mistake(
                (*path, "given", at), f"is {name}, which is always sent; a price asks for its value with `when`"
            )


def _coverage_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Try every combination of what the prices ask for: each needs a price, each price must be first for one."""
    whens = sorted({name for price in profile.prices for name in price.when})
    givens = sorted({name for price in profile.prices for name in price.given})
    values = [choices(profile.fields[name]) for name in whens]
    count = 2 ** len(givens)
    for each in values:
        count *= len(each)
    if count > _MOST_COMBINATIONS:
        yield Mistake(
            ("prices",), f"depend on {count} combinations of fields; at most {_MOST_COMBINATIONS} can be checked"
        )
        return
    reached: set[int] = set()
    for combination in itertools.product(*values):
        sent = dict(zip(whens, combination, strict=True))
        for flags in itertools.product((False, True), repeat=len(givens)):
            present = {name for name, flag in zip(givens, flags, strict=True) if flag}
            row = _first(profile.prices, sent, present)
            if row is not None:
                reached.add(row)
                continue
            words = [f"{name} = {value}" for name, value in sent.items()] + [
                f"{name} given" for name in sorted(present)
            ]
            yield Mistake(
                ("prices",),
                f"leave a request without a price: {', '.join(words)}",
                "end with a price without conditions",
            )
            return
    for at in range(len(profile.prices)):
        if at not in reached:
            yield Mistake(("prices", at), "is never reached, because the prices above it take every request")


def _first(prices: tuple[Price, ...], sent: dict[str, bool | int | str], present: set[str]) -> int | None:
    for at, price in enumerate(prices):
        if all(sent[name] == value for name, value in price.when.items()) and present.issuperset(price.given):
            return at
    return None
