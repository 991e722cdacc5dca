"""Finds in a render's outcome what was stored, and every end that is still loose, one value for each."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from kling_dsl.standing import UNDER_WAY, Standing

if TYPE_CHECKING:
    from kling_dsl.ledger import Row
    from kling_dsl.render.engine import ClipEnd, Outcome

LooseKind = Literal[
    "uncertain", "billed", "failed", "refused", "broken-off", "missing", "waiting", "ordered", "not-bought"
]

LOOSE_KINDS: dict[LooseKind, str] = {
    "uncertain": "Nobody knows yet whether the take was bought; its money stays reserved.",
    "billed": "There is no usable clip, and the take may be billed.",
    "failed": "There is no clip, and nothing was paid.",
    "refused": "A limit did not allow the purchase.",
    "broken-off": "A problem on this side, or on the way, stopped the clip.",
    "missing": "The clip is paid for, and its file is not here.",
    "waiting": "The clip needs the last frame of another one, which is not there.",
    "ordered": "The take is at the provider, or on its way from there.",
    "not-bought": "The render was stopped before it bought the take.",
}
"""What each kind of loose end means, in the order in which a person should look at them."""


class LooseEnd(msgspec.Struct, frozen=True):
    """What keeps a take from being there; `take` is 0 where it is the whole clip, `path` is that of a quarantine."""

    kind: LooseKind
    clip: str
    take: int
    file: str
    line: int
    usd: Decimal
    reason: str = ""
    path: str = ""


def stored_rows(outcome: Outcome) -> tuple[Row, ...]:
    """Return the takes that a render worked on and that are in the store now, each once."""
    rows = (take.row for end in outcome.clips for take in end.takes)
    return tuple({row.key: row for row in rows if row is not None and row.state == "stored"}.values())


def loose_ends(outcome: Outcome) -> tuple[LooseEnd, ...]:
    """Return what a render left undone, by kind and then in the film's order; a take of two clips comes once."""
    seen: set[tuple[str, int]] = set()
    found: list[LooseEnd] = []
    for end in outcome.clips:
        for mark, loose in (*_of_rows(end), *_of_takes(end), *_of_clip(end, outcome)):
            if mark not in seen:
                seen.add(mark)
                found.append(loose)
    order = list(LOOSE_KINDS)
    return tuple(sorted(found, key=lambda loose: order.index(loose.kind)))


_Marked = tuple[tuple[str, int], LooseEnd]
"""A loose end with the fingerprint and take, or the clip's id and 0, by which it is told once."""


def _of_rows(end: ClipEnd) -> Iterator[_Marked]:
    tried = {take.row.key: take.row for take in end.takes if take.row is not None}
    for key, row in {**{row.key: row for row in end.standing.rows}, **tried}.items():
        kind = _kind_of(row)
        # What failed for nothing in an earlier render, and was not tried in this one, is no news.
        if kind is None or (kind == "failed" and key not in tried):
            continue
        order = row.order
        loose = LooseEnd(
            kind,
            clip=end.standing.call.id,
            take=key.take,
            file=end.standing.call.file,
            line=end.standing.call.line,
            usd=order.price_usd,
            reason=row.reason,
            path=row.quarantine,
        )
        yield (key.fingerprint, key.take), loose


def _kind_of(row: Row) -> LooseKind | None:
    if row.state == "uncertain":
        return "uncertain"
    if row.state == "failed":
        return "failed" if row.billed == "no" else "billed"
    return "ordered" if row.state in UNDER_WAY else None


def _of_takes(end: ClipEnd) -> Iterator[_Marked]:
    """Return the takes that have no row of their own to tell how they ended."""
    for take in end.takes:
        if take.refused_by_limit:
            yield _mark(end.standing, take.take), _loose("refused", end.standing, take.take, reason=take.problem)
        elif take.row is None and take.problem:
            yield _mark(end.standing, take.take), _loose("broken-off", end.standing, take.take, reason=take.problem)


def _of_clip(end: ClipEnd, outcome: Outcome) -> Iterator[_Marked]:
    standing = end.standing
    # What ended the render for every clip is told once, above them all.
    if end.problem and end.problem != outcome.problem:
        kind: LooseKind = "waiting" if standing.state == "waiting" else "broken-off"
        usd = standing.to_buy_usd
        yield (standing.call.id, 0), msgspec.structs.replace(_loose(kind, standing, 0, reason=end.problem), usd=usd)
    elif standing.state == "missing":
        usd = standing.call.price_usd * len(standing.lacking)
        yield (
            (standing.call.id, 0),
            msgspec.structs.replace(_loose("missing", standing, 0, reason=standing.why), usd=usd),
        )
    elif outcome.stopped:
        for number in standing.to_buy:
            yield _mark(standing, number), _loose("not-bought", standing, number)


def _mark(standing: Standing, take: int) -> tuple[str, int]:
    return standing.fingerprint or standing.call.id, take


def _loose(kind: LooseKind, standing: Standing, take: int, *, reason: str = "") -> LooseEnd:
    call = standing.call
    return LooseEnd(kind, clip=call.id, take=take, file=call.file, line=call.line, usd=call.price_usd, reason=reason)
