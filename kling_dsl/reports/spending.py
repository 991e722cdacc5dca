"""What was spent and what is reserved, by day, film or model, beside what the provider billed and what limits leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from kling_dsl.ledger import Row
from kling_dsl.money import decimal_string, dollars
from kling_dsl.reports.plan import on_the_point
from kling_dsl.reports.tables import fold, in_json, render_table

Grouping = Literal["day", "film", "model"]

_NOTHING = Decimal(0)
_UNIT_PRICE = Decimal("0.0001")
"""How exactly the price of a unit is told, which is worked out from the estimate."""


class Sum(msgspec.Struct, frozen=True):
    """What takes of one day, film or model come to.

    `paid_usd` is of clips that are kept; `maybe_usd` of takes that failed and may be billed; `under_way_usd` and
    `uncertain_usd` are reserved.
    """

    name: str
    takes: int = 0
    paid_usd: Decimal = _NOTHING
    maybe_usd: Decimal = _NOTHING
    under_way_usd: Decimal = _NOTHING
    uncertain_usd: Decimal = _NOTHING

    @property
    def total_usd(self) -> Decimal:
        """What counts against limits."""
        return self.paid_usd + self.maybe_usd + self.under_way_usd + self.uncertain_usd


class Billing(msgspec.Struct, frozen=True):
    """What the provider said that it bills for takes of one model, beside what was estimated for the same takes."""

    model: str
    takes: int
    seconds: int
    units: Decimal
    estimate_usd: Decimal

    @property
    def unit_usd(self) -> Decimal | None:
        """What a unit costs if the estimate is right; None when nothing was billed."""
        return (self.estimate_usd / self.units).quantize(_UNIT_PRICE) if self.units else None


class LimitUse(msgspec.Struct, frozen=True):
    """A limit, in words, and what counts against it."""

    name: str
    usd: Decimal
    used_usd: Decimal

    @property
    def left_usd(self) -> Decimal:
        """What is left of it; less than nothing when it is passed."""
        return self.usd - self.used_usd


class Spent(msgspec.Struct, frozen=True):
    """The whole report; `film` is the one it is about, or empty for the project."""

    by: Grouping
    film: str
    sandbox: bool
    sums: tuple[Sum, ...]
    billings: tuple[Billing, ...]
    limits: tuple[LimitUse, ...]

    @property
    def total(self) -> Sum:
        """What all takes come to."""
        found = Sum("total")
        for one in self.sums:
            found = _added(found, one)
        return found


def sum_up(rows: Iterable[Row], by: Grouping) -> tuple[Sum, ...]:
    """Return the sums of everything that counts as spent or reserved, in order of their names; days are local ones."""
    name_of: dict[Grouping, Callable[[Row], str]] = {
        "day": lambda row: row.reserved_at.astimezone().date().isoformat(),
        "film": lambda row: row.order.film,
        "model": lambda row: row.order.model,
    }
    found: dict[str, Sum] = {}
    for row in rows:
        one = _sum_of(row, name_of[by](row))
        if one is not None:
            found[one.name] = _added(found[one.name], one) if one.name in found else one
    return tuple(found[name] for name in sorted(found))


def compare_billing(rows: Iterable[Row]) -> tuple[Billing, ...]:
    """Return what was billed where the provider said so, model by model."""
    found: dict[str, Billing] = {}
    for row in rows:
        if row.billed_units is None or _sum_of(row, "") is None:
            continue
        order = row.order
        before = found.get(order.model, Billing(order.model, 0, 0, _NOTHING, _NOTHING))
        found[order.model] = Billing(
            order.model,
            before.takes + 1,
            before.seconds + order.seconds,
            before.units + row.billed_units,
            before.estimate_usd + order.price_usd,
        )
    return tuple(found[name] for name in sorted(found))


def render_spending(spent: Spent, *, width: int) -> str:
    """Return the report as text: a table, what the provider billed, and what is left of each limit."""
    of = f" on {spent.film}" if spent.film else ""
    lines = _table(spent, width=width) if spent.sums else fold(f"nothing was spent{of}", width)
    if spent.sandbox:
        lines = ["in the sandbox, where nothing costs money:", "", *lines]
    if spent.billings:
        lines += ["", *render_table(("", ""), [("billed", _billed(one)) for one in spent.billings], width=width)]
    if spent.limits:
        amounts = on_the_point([limit.usd for limit in spent.limits])
        rows = [
            ("limit", amount, limit.name, _left(limit)) for limit, amount in zip(spent.limits, amounts, strict=True)
        ]
        lines += ["", *render_table(("", "", "", ""), rows, width=width)]
    return "\n".join(lines) + "\n"


def spending_json(spent: Spent) -> str:
    """Return the report as JSON; money is a string of decimal dollars."""
    return in_json(
        {
            "by": spent.by,
            "film": spent.film,
            "sandbox": spent.sandbox,
            "sums": [{spent.by: one.name, **_amounts(one)} for one in spent.sums],
            "total": _amounts(spent.total),
            "billed": [
                {
                    "model": one.model,
                    "takes": one.takes,
                    "seconds": one.seconds,
                    "units": format(one.units, "f"),
                    "estimate_usd": decimal_string(one.estimate_usd),
                    "unit_usd": None if one.unit_usd is None else decimal_string(one.unit_usd),
                }
                for one in spent.billings
            ],
            "limits": [
                {
                    "name": limit.name,
                    "usd": decimal_string(limit.usd),
                    "used_usd": decimal_string(limit.used_usd),
                    "left_usd": decimal_string(limit.left_usd),
                }
                for limit in spent.limits
            ],
        }
    )


def _sum_of(row: Row, name: str) -> Sum | None:
    """Return what a row comes to; None for one that counts nothing."""
    usd = row.order.price_usd
    if row.state == "stored":
        return Sum(name, 1, paid_usd=usd)
    if row.state == "failed":
        return Sum(name, 1, maybe_usd=usd) if row.billed == "maybe" else None
    if row.state == "uncertain":
        return Sum(name, 1, uncertain_usd=usd)
    return None if row.state == "released" else Sum(name, 1, under_way_usd=usd)


def _added(one: Sum, other: Sum) -> Sum:
    return Sum(
        one.name,
        one.takes + other.takes,
        one.paid_usd + other.paid_usd,
        one.maybe_usd + other.maybe_usd,
        one.under_way_usd + other.under_way_usd,
        one.uncertain_usd + other.uncertain_usd,
    )


def _table(spent: Spent, *, width: int) -> list[str]:
    sums = [*spent.sums, spent.total]
    columns = [
        on_the_point([getattr(one, name) or None for one in sums])
        for name in ("paid_usd", "maybe_usd", "under_way_usd", "uncertain_usd")
    ]
    totals = on_the_point([one.total_usd for one in sums])
    rows = [
        (one.name, str(one.takes), *amounts, total) for one, *amounts, total in zip(sums, *columns, totals, strict=True)
    ]
    heads = (spent.by, "takes", "paid", "may be billed", "under way", "uncertain", "total")
    return render_table(heads, rows, width=width, right=(1, 2, 3, 4, 5))


def _billed(one: Billing) -> str:
    takes = f"{one.takes:,} take{'' if one.takes == 1 else 's'} of {one.seconds:,} s"
    unit = f", {dollars(one.unit_usd)} a unit" if one.unit_usd is not None else ""
    return f"{one.units:,f} units for {takes} on {one.model}, estimated at {dollars(one.estimate_usd)}{unit}"


def _left(limit: LimitUse) -> str:
    return f"{dollars(limit.left_usd)} left" if limit.left_usd >= 0 else f"{dollars(-limit.left_usd)} over"


def _amounts(one: Sum) -> dict[str, Any]:
    return {
        "takes": one.takes,
        "paid_usd": decimal_string(one.paid_usd),
        "maybe_billed_usd": decimal_string(one.maybe_usd),
        "under_way_usd": decimal_string(one.under_way_usd),
        "uncertain_usd": decimal_string(one.uncertain_usd),
        "total_usd": decimal_string(one.total_usd),
    }
