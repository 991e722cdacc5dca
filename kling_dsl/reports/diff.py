"""A comparison of two revisions in words that every format shares, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from kling_dsl.compiler import Quote
from kling_dsl.history.values import KINDS, Change, Clip, Difference, Field, FilmDifference, Kind, Move, Piece, Side
from kling_dsl.money import decimal_string, dollars
from kling_dsl.reports.tables import in_json

MAX_TOLD = 100
"""The most clips of a kind that are told one by one; the JSON has them all."""

CONTEXT_WORDS = 6
"""How many words are shown on either side of those that changed."""

ELLIPSIS = "…"

_TOLD_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "unchanged")
_MOVED: dict[Move, str] = {"file": "from {old.file}", "scene": "from {scene}", "order": "to another place"}


class Line(msgspec.Struct, frozen=True):
    """A clip in a report: its name, its length, its cost, what is to be said of it, and the fields that changed."""

    name: str
    seconds: str
    cost: str
    note: str
    fields: tuple[Field, ...]


class Section(msgspec.Struct, frozen=True):
    """The clips of one kind; `more` were left out."""

    kind: Kind
    lines: tuple[Line, ...]
    more: int


def headline(difference: Difference) -> str:
    """Return the comparison in one sentence."""
    sides = f"{difference.old} → {difference.new}"
    if not difference.films:
        return f"{sides}: no film on either side"
    if difference.failed:
        return f"{sides}: the difference is not known, since {_failures(difference)}"
    old, new, more = (amount or Decimal(0) for amount in _amounts(difference))
    cost = f"{signed(more)}, {dollars(old)} → {dollars(new)}" if more else f"costs {dollars(new)} as before"
    billable = difference.billable_usd
    told = f"{dollars(billable)} to buy for what changed" if billable else "nothing to buy for what changed"
    return f"{sides}: {cost}; {told}"


def told_films(difference: Difference) -> tuple[FilmDifference, ...]:
    """Return the films that there is something to tell of; one that was asked for alone is always told."""
    if len(difference.films) == 1:
        return difference.films
    return tuple(
        film
        for film in difference.films
        if film.failed or film.is_renamed or film.old is None or film.new is None or any(_is_told(film))
    )


def title_of(film: FilmDifference) -> str:
    """Return what stands over a film: its file, and what became of that."""
    assert film.old is not None or film.new is not None, "a film is on one side at least"
    if film.old is None:
        return f"{film.file}, a new film"
    if film.new is None:
        return f"{film.file}, which is not there any more"
    return f"{film.file}, which was {film.old.file}" if film.is_renamed else film.file


def sections(film: FilmDifference) -> Iterator[Section]:
    """Yield the clips of each kind that there is something to tell of."""
    for kind in _TOLD_KINDS:
        if changes := list(film.of(kind)):
            lines = tuple(_line(change) for change in changes[:MAX_TOLD])
            yield Section(kind, lines, max(0, len(changes) - MAX_TOLD))


def closing_lines(film: FilmDifference, difference: Difference) -> tuple[tuple[str, str], ...]:
    """Return what stands under a film: a label and its words."""
    found: list[tuple[str, str]] = []
    if unchanged := sum(1 for _ in film.of("unchanged")):
        found.append(("unchanged", f"{unchanged:,} clip{'' if unchanged == 1 else 's'}"))
    found.append(("film", _film_words(film, difference)))
    if film.new is not None and not film.new.failed:
        billable = f"{dollars(film.billable_usd)} for these changes, " if not film.failed else ""
        found.append(("to buy", f"{billable}{dollars(film.new.to_buy_usd)} in all"))
    if not film.failed:
        for draft in film.drafts:
            found.append(("as a draft", f"{_between(draft.old_usd, draft.new_usd)} on {draft.model}"))
    return tuple(found)


def shortened(words: Sequence[Piece]) -> Iterator[Piece]:
    """Yield the pieces of a text, with what is the same cut down to a few words beside what changed."""
    for at, piece in enumerate(words):
        parts = piece.text.split()
        before, after = (0 if at == 0 else CONTEXT_WORDS), (0 if at == len(words) - 1 else CONTEXT_WORDS)
        if piece.kind != "same" or len(parts) <= before + after + 1:
            yield piece
            continue
        kept = (*parts[:before], ELLIPSIS, *(parts[-after:] if after else ()))
        yield Piece("same", " ".join(kept))


def value_words(value: str | None, sha256: str) -> str:
    """Return a value of a field in words; a file of one's own with the first letters of its digest."""
    if value is None:
        return "nothing"
    return f"{value} ({sha256[:12]})" if sha256 else value


def signed(amount: Decimal) -> str:
    """Return a difference of dollars with its sign."""
    return f"+{dollars(amount)}" if amount > 0 else dollars(amount)


def render_diff_json(difference: Difference) -> str:
    """Return a comparison as indented JSON; money is a string of decimal dollars, null where it is not known."""
    return in_json(
        {
            "old": {"revision": difference.old, "commit": difference.old_commit or None},
            # The working tree has no revision and no commit.
            "new": {
                "revision": difference.new if difference.new_commit else None,
                "commit": difference.new_commit or None,
            },
            "total": {
                "old_usd": _amount(difference.old_usd),
                "new_usd": _amount(difference.new_usd),
                "difference_usd": _amount(difference.difference_usd),
                "billable_usd": decimal_string(difference.billable_usd),
                "to_buy_usd": decimal_string(difference.to_buy_usd),
                "failed": difference.failed,
            },
            "films": [_film_json(film) for film in difference.films],
        }
    )


def _amounts(difference: Difference) -> tuple[Decimal | None, ...]:
    return difference.old_usd, difference.new_usd, difference.difference_usd


def _is_told(film: FilmDifference) -> Iterator[bool]:
    return (change.kind != "unchanged" for change in film.changes)


def _failures(difference: Difference) -> str:
    found = [
        f"{side.file} has errors in {name}"
        for film in difference.films
        for side, name in ((film.old, difference.old), (film.new, difference.new))
        if side is not None and side.failed
    ]
    more = f", and {len(found) - 2:,} more have" if len(found) > 2 else ""
    return " and ".join(found[:2]) + more


def _line(change: Change) -> Line:
    clip = change.clip
    name = f"{change.old.id} → {clip.id}" if change.renamed and change.old is not None else clip.id
    return Line(name, _seconds(change), _cost(change), "; ".join(_notes(change)), change.fields)


def _seconds(change: Change) -> str:
    old, new = change.old, change.new
    if old is not None and new is not None and old.seconds != new.seconds:
        return f"{old.seconds} → {new.seconds} s"
    return f"{change.clip.seconds} s"


def _cost(change: Change) -> str:
    old, new = change.old, change.new
    if old is not None and new is not None and old.cost_usd != new.cost_usd:
        return f"{dollars(old.cost_usd)} → {dollars(new.cost_usd)}"
    return dollars(change.clip.cost_usd)


def _notes(change: Change) -> Iterator[str]:
    old, new = change.old, change.new
    if change.stale:
        names = " and ".join(change.stale)
        yield f"stale: starts from the end of {names}, which changed"
    if old is not None:
        for move in change.moved:
            scene = old.scene or "the top of the film"
            yield "moved " + _MOVED[move].format(old=old, scene=scene)
    if change.billable:
        waits = "at most " if new is not None and not new.request else ""
        yield f"buys {waits}{dollars(change.billable_usd)}"
    elif new is not None and new.accepted:
        yield f"accepted: {new.accepted}"
    elif change.kind in ("new", "changed") and new is not None:
        yield "paid for already" if new.held >= new.takes else "bought with another clip or not bought before either"
    if change.kind == "removed" and old is not None and old.held:
        yield f"its {old.held} paid take{' stays' if old.held == 1 else 's stay'} in the lock"


def _film_words(film: FilmDifference, difference: Difference) -> str:
    if not film.failed:
        seconds = [side.seconds if side is not None else 0 for side in (film.old, film.new)]
        length = f"{seconds[0]:,} s" if seconds[0] == seconds[1] else f"{seconds[0]:,} → {seconds[1]:,} s"
        return f"{_between(film.old_usd, film.new_usd)}, {length}"
    told = [
        f"{name} {'has errors' if side.failed else f'costs {dollars(side.film_usd)}'}"
        for side, name in ((film.old, difference.old), (film.new, difference.new))
        if side is not None
    ]
    return ", ".join(told)


def _between(old: Decimal | None, new: Decimal | None) -> str:
    if old is None or new is None:
        words = [dollars(amount) if amount is not None else "not possible" for amount in (old, new)]
        return words[0] if words[0] == words[1] else " → ".join(words)
    return f"{dollars(old)} → {dollars(new)}, {signed(new - old)}" if old != new else f"{dollars(new)} as before"


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else decimal_string(amount)


def _film_json(film: FilmDifference) -> dict[str, Any]:
    return {
        "film": film.title,
        "file": film.file,
        "old": _side_json(film.old),
        "new": _side_json(film.new),
        "difference_usd": _amount(film.difference_usd),
        "billable_usd": decimal_string(film.billable_usd),
        "counts": {kind: sum(1 for _ in film.of(kind)) for kind in KINDS},
        "drafts": [
            {"model": draft.model, "old_usd": _amount(draft.old_usd), "new_usd": _amount(draft.new_usd)}
            for draft in film.drafts
        ],
        "clips": [_change_json(change) for change in film.changes],
    }


def _side_json(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    if side.failed:
        return {"file": side.file, "failed": True}
    return {
        "file": side.file,
        "failed": False,
        "clips": side.clips,
        "seconds": side.seconds,
        "models": side.models,
        "film_usd": decimal_string(side.film_usd),
        "held_usd": decimal_string(side.held_usd),
        "to_buy_usd": decimal_string(side.to_buy_usd),
        "drafts": [_quote_json(quote) for quote in side.drafts],
    }


def _quote_json(quote: Quote) -> dict[str, Any]:
    return {"model": quote.model, "film_usd": _amount(quote.film_usd), "refused": quote.refused}


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "id": change.clip.id,
        "kind": change.kind,
        "renamed_from": change.old.id if change.renamed and change.old is not None else None,
        "moved": change.moved,
        "stale": change.stale,
        "fields": change.fields,
        "billable": change.billable,
        "billable_usd": decimal_string(change.billable_usd),
        "old": _clip_json(change.old),
        "new": _clip_json(change.new),
    }


def _clip_json(clip: Clip | None) -> dict[str, Any] | None:
    if clip is None:
        return None
    return {
        "id": clip.id,
        "scene": clip.scene,
        "source": {"file": clip.file, "line": clip.line},
        "model": clip.model,
        "seconds": clip.seconds,
        "takes": clip.takes,
        "held": clip.held,
        "to_buy": clip.to_buy,
        "accepted": clip.accepted or None,
        "cost_usd": decimal_string(clip.cost_usd),
        "to_buy_usd": decimal_string(clip.to_buy_usd),
        "fingerprint": clip.request or clip.fingerprint,
    }
