"""All takes of one clip, those that count and those that came to nothing, as text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from kling_dsl.ledger import Row
from kling_dsl.lock import Take
from kling_dsl.money import decimal_string, dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.status import PLACES
from kling_dsl.reports.tables import fold, in_json, local
from kling_dsl.standing import Standing, in_utc

_INDENT = "  "
_DIGEST_LETTERS = 12

Kind = Literal["here", "missing", "set aside", "failed", "uncertain", "released", "under way"]


class TakeLine(msgspec.Struct, frozen=True):
    """One take: whether it is the chosen one, what became of it, and where its file is; `at` is None when unknown."""

    number: int
    kind: Kind
    chosen: bool
    sha256: str
    at: datetime | None
    cost_usd: Decimal
    request_id: str
    path: str = ""
    reason: str = ""
    billed: str = ""
    place: str = ""


class Request(msgspec.Struct, frozen=True):
    """The takes of one request, in order of their numbers."""

    fingerprint: str
    takes: tuple[TakeLine, ...]


class ClipTakes(msgspec.Struct, frozen=True):
    """Everything that was ever rendered of a clip; `now` is of the request that the film makes today."""

    id: str
    film: str
    shown: str
    sandbox: bool
    model: str
    seconds: int
    wanted: int
    price_usd: Decimal
    file: str
    line: int
    state: str
    why: str
    now: Request
    earlier: tuple[Request, ...]


def take_lines(
    takes: Iterable[Take], rows: Iterable[Row], *, chosen: str, find: Callable[[str], tuple[Path, bool]]
) -> tuple[TakeLine, ...]:
    """Return the takes of one request; `find` says where a digest's file is under the root, and whether it is here."""
    lines = [_kept(take, chosen, find) for take in takes]
    lines += [_open(row) for row in rows if row.state != "stored"]
    return tuple(sorted(lines, key=lambda line: (line.number, line.kind)))


def clip_takes(
    standing: Standing, *, shown: str, film: str, sandbox: bool, now: Request, earlier: Sequence[Request]
) -> ClipTakes:
    """Return what is known of a clip."""
    call = standing.call
    return ClipTakes(
        id=call.id,
        film=film,
        shown=shown,
        sandbox=sandbox,
        model=call.model,
        seconds=call.seconds,
        wanted=call.takes,
        price_usd=call.price_usd,
        file=call.file,
        line=call.line,
        state=standing.state,
        why=standing.why,
        now=now,
        earlier=tuple(earlier),
    )


def render_takes(clip: ClipTakes, *, width: int) -> str:
    """Return all takes of a clip as text, those of requests that the film no longer makes under their own headings."""
    counted = sum(line.kind in ("here", "missing") for line in clip.now.takes)
    stage = ", in the sandbox" if clip.sandbox else ""
    head = f"{clip.id}  ({clip.file}:{clip.line}){stage}: {clip.seconds} s on {clip.model}, "
    head += f"{dollars(clip.price_usd)} a take, {counted} of {clip.wanted} there"
    lines = [visible(head)]
    if clip.why:
        lines += fold(visible(f"{clip.state}: {clip.why}"), width)
    for line in clip.now.takes:
        lines += ["", *_told(line, clip, width=width)]
    if not clip.now.takes:
        lines += ["", "there is no take of it yet"]
    for request in clip.earlier:
        lines += ["", f"of an earlier request of {visible(clip.id)}, {request.fingerprint[:_DIGEST_LETTERS]}"]
        for line in request.takes:
            lines += ["", *_told(line, clip, width=width, earlier=True)]
    return "\n".join(lines) + "\n"


def takes_json(clip: ClipTakes) -> str:
    """Return all takes of a clip as JSON; money is a string of decimal dollars, moments are in UTC."""
    return in_json(
        {
            "clip": clip.id,
            "film": clip.film,
            "sandbox": clip.sandbox,
            "model": clip.model,
            "seconds": clip.seconds,
            "wanted": clip.wanted,
            "price_usd": decimal_string(clip.price_usd),
            "state": clip.state,
            "why": clip.why,
            "source": {"file": clip.file, "line": clip.line},
            "fingerprint": clip.now.fingerprint,
            "takes": [_line(line) for line in clip.now.takes],
            "earlier": [
                {"fingerprint": request.fingerprint, "takes": [_line(line) for line in request.takes]}
                for request in clip.earlier
            ],
        }
    )


def _kept(take: Take, chosen: str, find: Callable[[str], tuple[Path, bool]]) -> TakeLine:
    path, here = find(take.sha256)
    return TakeLine(
        number=take.take,
        kind="here" if here else "missing",
        chosen=take.sha256 == chosen,
        sha256=take.sha256,
        at=_moment(take.at),
        cost_usd=take.cost_usd,
        request_id=take.request_id,
        path=path.as_posix(),
    )


def _open(row: Row) -> TakeLine:
    kinds: dict[str, Kind] = {"failed": "failed", "uncertain": "uncertain", "released": "released"}
    return TakeLine(
        number=row.key.take,
        kind="set aside" if row.quarantine else kinds.get(row.state, "under way"),
        chosen=False,
        sha256="",
        at=row.updated_at,
        cost_usd=row.order.price_usd,
        request_id=row.request_id,
        path=row.quarantine,
        reason=row.reason,
        billed=row.billed or "",
        place="" if row.billed == "no" else PLACES.get(row.state, ""),
    )


def _moment(written: str) -> datetime | None:
    """Return the moment of a lock's record; by hand something may stand there that no calendar has."""
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def _told(line: TakeLine, clip: ClipTakes, *, width: int, earlier: bool = False) -> list[str]:
    mark = "*" if line.chosen else " "
    when = local(line.at) if line.at is not None else ""
    what = line.sha256[:_DIGEST_LETTERS] or line.place or line.kind
    request = f"request {line.request_id}" if line.request_id else ""
    name = f"chosen take {line.number}" if line.chosen else f"take {line.number}"
    first = "  ".join(part for part in (f"{mark} {name}", what, when, _cost(line), request) if part)
    found = [visible(first)]
    if line.path:
        found.append(f"{_INDENT * 2}{visible(line.path)}")
    for words in (line.reason, _advice(line, clip, earlier=earlier)):
        found += [_INDENT * 2 + more for more in fold(visible(words), max(40, width - 4))]
    return found


def _cost(line: TakeLine) -> str:
    if line.kind in ("failed", "released") and line.billed != "maybe":
        return "nothing was bought"
    unsure = line.kind == "uncertain" or line.billed == "maybe"
    return f"{dollars(line.cost_usd)} at most" if unsure else dollars(line.cost_usd)


def _advice(line: TakeLine, clip: ClipTakes, *, earlier: bool) -> str:
    if line.kind == "missing":
        again = "" if earlier else f": `kling render {clip.shown}` fetches it, as long as the provider has it"
        return f"the file is not here{again}"
    if line.kind == "set aside":
        keep = "" if earlier else f": if it is good, `kling pick {clip.id} {line.number} --keep` makes it count"
        return f"the clip was set aside{keep}"
    if line.kind == "uncertain":
        return "`kling reconcile` looks it up at the provider"
    return ""


def _line(line: TakeLine) -> dict[str, Any]:
    return {
        "take": line.number,
        "state": line.kind,
        "chosen": line.chosen,
        "sha256": line.sha256,
        "at": "" if line.at is None else in_utc(line.at),
        "cost_usd": decimal_string(line.cost_usd),
        "request_id": line.request_id,
        "path": line.path,
        "reason": line.reason,
        "billed": line.billed,
    }
