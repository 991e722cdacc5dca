"""How the clips of a film stand and what is under way at the provider, as text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

import msgspec

from kling_dsl.ledger import Row, State
from kling_dsl.ledger.values import RESERVED
from kling_dsl.money import decimal_string, dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.plan import on_the_point
from kling_dsl.reports.tables import fold, in_json, local, render_table
from kling_dsl.standing import Standing, in_utc

_INDENT = "  "

PLACES: dict[State, str] = {
    "intent": "being sent",
    "submitted": "at the provider",
    "completed": "finished, and to be fetched",
    "uncertain": "uncertain",
    "failed": "failed, and may be billed",
}
"""Where a take is that has not come to rest."""


class Open(msgspec.Struct, frozen=True):
    """A take that has not come to rest; `lives` says whether a process is at it, None where none needs to be."""

    row: Row
    lives: bool | None

    @property
    def since(self) -> datetime:
        """When it came to where it is."""
        row = self.row
        moments = {"intent": row.reserved_at, "submitted": row.submitted_at, "completed": row.completed_at}
        return moments.get(row.state) or row.updated_at

    @property
    def where(self) -> str:
        """Where it is, in words."""
        return PLACES[self.row.state]


class FilmStatus(msgspec.Struct, frozen=True):
    """How a film stands; `shown` is its path as one would type it."""

    title: str
    file: str
    shown: str
    sandbox: bool
    standings: tuple[Standing, ...]
    open: tuple[Open, ...]

    @property
    def kept_usd(self) -> Decimal:
        """What is paid for and asked for."""
        return sum((standing.kept_usd for standing in self.standings), Decimal(0))

    @property
    def to_buy_usd(self) -> Decimal:
        """What is left to buy; for clips that wait, at most."""
        return sum((standing.to_buy_usd for standing in self.standings), Decimal(0))

    @property
    def reserved_usd(self) -> Decimal:
        """What is reserved by takes under way, each once though several clips may share it."""
        return reserved_usd(item.row for item in self.open)


def open_takes(rows: Iterable[Row], is_alive: Callable[[str], bool]) -> tuple[Open, ...]:
    """Return the rows that have not come to rest, by film; `is_alive` tells whether a run's process lives."""
    known: dict[str, bool] = {}
    found: list[Open] = []
    for row in rows:
        if row.state in ("intent", "submitted", "completed"):
            if row.owner not in known:
                known[row.owner] = is_alive(row.owner)
            found.append(Open(row, known[row.owner]))
        elif row.state == "uncertain" or (row.state == "failed" and row.billed != "no"):
            found.append(Open(row, None))
    return tuple(sorted(found, key=lambda item: (item.row.order.film, item.row.number)))


def reserved_usd(rows: Iterable[Row]) -> Decimal:
    """Return what these takes have reserved."""
    reserved = {row.key: row.order.price_usd for row in rows if row.state in RESERVED}
    return sum(reserved.values(), Decimal(0))


def render_status(status: FilmStatus, *, width: int) -> str:
    """Return a film's status as text: a table of its clips, what is under way, and the sums."""
    where = f"{status.shown}, in the sandbox" if status.sandbox else status.shown
    lines = [f"{visible(status.title)}  ({visible(where)})", ""]
    lines += _table(status.standings, width=width)
    if status.open:
        lines += ["", *_open_lines(status.open, film=status.shown, width=width)]
    sums = [("kept", status.kept_usd), ("reserved", status.reserved_usd), ("to buy", status.to_buy_usd)]
    amounts = on_the_point([amount for _, amount in sums])
    lines += [
        "",
        *render_table(("", ""), [(name, amount) for (name, _), amount in zip(sums, amounts, strict=True)], width=width),
    ]
    return "\n".join(lines) + "\n"


def status_json(status: FilmStatus) -> str:
    """Return a film's status as JSON; money is a string of decimal dollars, moments are in UTC."""
    return in_json(
        {
            "film": status.title,
            "file": status.file,
            "sandbox": status.sandbox,
            "clips": [_clip(standing) for standing in status.standings],
            "open": [_open(item, film=status.shown) for item in status.open],
            "total": {
                "kept_usd": decimal_string(status.kept_usd),
                "reserved_usd": decimal_string(status.reserved_usd),
                "to_buy_usd": decimal_string(status.to_buy_usd),
            },
        }
    )


def render_open(found: Sequence[Open], *, shown: Callable[[str], str], width: int) -> str:
    """Return what has not come to rest in a whole project, film by film, as text; `shown` says how to type a film."""
    if not found:
        return "nothing is under way or uncertain\n"
    lines: list[str] = []
    for film, members in groupby(found, key=lambda item: item.row.order.film):
        path = shown(film)
        lines += [visible(path), *_open_lines(tuple(members), film=path, width=width), ""]
    reserved = reserved_usd(item.row for item in found)
    return "\n".join((*lines, f"reserved  {dollars(reserved)}")) + "\n"


def open_json(found: Sequence[Open], *, shown: Callable[[str], str], sandbox: bool) -> str:
    """Return what has not come to rest in a whole project as JSON, film by film."""
    films = [
        {"file": film, "open": [_open(item, film=shown(film)) for item in members]}
        for film, members in groupby(found, key=lambda item: item.row.order.film)
    ]
    total = {"reserved_usd": decimal_string(reserved_usd(item.row for item in found))}
    return in_json({"sandbox": sandbox, "films": films, "total": total})


def next_step(item: Open, *, film: str) -> str:
    """Return what happens to a take next, or what to do about it; `film` is its path as one would type it."""
    row = item.row
    if row.state == "failed":
        if row.quarantine:
            return f"its clip was set aside: `kling takes {row.order.clip}` says where it is"
        return f"`kling retake {row.order.clip}` buys another one"
    if row.state == "uncertain":
        return "`kling reconcile` looks it up at the provider"
    if item.lives:
        return "a process is at it"
    if row.state == "intent":
        return f"the program ended while it was being sent: `kling render {film}` finds out whether it was bought"
    return f"no process is at it: `kling render {film}` goes on with it"


def _table(standings: Sequence[Standing], *, width: int) -> list[str]:
    reserved = [reserved_usd(standing.rows) for standing in standings]
    money = zip(
        on_the_point([standing.kept_usd or None for standing in standings]),
        on_the_point([amount or None for amount in reserved]),
        on_the_point([standing.to_buy_usd or None for standing in standings]),
        strict=True,
    )
    rows = [
        (standing.call.id, standing.state, f"{len(standing.takes)}/{standing.call.takes}", *amounts, standing.why)
        for standing, amounts in zip(standings, money, strict=True)
    ]
    return render_table(
        ("clip", "state", "takes", "kept", "reserved", "to buy", "why"), rows, width=width, right=(2, 3, 4, 5)
    )


def _open_lines(found: Sequence[Open], *, film: str, width: int) -> list[str]:
    lines: list[str] = []
    for item in found:
        row = item.row
        request = f", request {row.request_id}" if row.request_id else ""
        place = f"{item.where} since {local(item.since)}{request}, {dollars(row.order.price_usd)}"
        lines.append(f"{_INDENT}{visible(row.order.clip)} take {row.key.take}: {visible(place)}")
        for words in (row.reason, next_step(item, film=film)):
            lines += [_INDENT * 2 + line for line in fold(visible(words), max(40, width - 4))]
    return lines


def _clip(standing: Standing) -> dict[str, Any]:
    call = standing.call
    return {
        "id": call.id,
        "state": standing.state,
        "why": standing.why,
        "takes": {"here": len(standing.takes), "wanted": call.takes},
        "chosen": None if standing.chosen is None else standing.chosen.take,
        "sha256": "" if standing.chosen is None else standing.chosen.sha256,
        "kept_usd": decimal_string(standing.kept_usd),
        "reserved_usd": decimal_string(reserved_usd(standing.rows)),
        "to_buy_usd": decimal_string(standing.to_buy_usd),
        "fingerprint": standing.fingerprint,
        "source": {"file": call.file, "line": call.line},
    }


def _open(item: Open, *, film: str) -> dict[str, Any]:
    row = item.row
    return {
        "clip": row.order.clip,
        "take": row.key.take,
        "fingerprint": row.key.fingerprint,
        "state": row.state,
        "billed": row.billed or "",
        "since": in_utc(item.since),
        "request_id": row.request_id,
        "cost_usd": decimal_string(row.order.price_usd),
        "reason": row.reason,
        "quarantine": row.quarantine,
        "alive": item.lives,
        "next": next_step(item, film=film),
        "source": {"file": row.order.file, "line": row.order.line},
    }
