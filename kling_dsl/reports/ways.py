"""The cheapest changes by which a film that costs too much keeps to its budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from kling_dsl.reports.plan import Clip, Plan

MAX_NAMED = 4
"""The most clips that are named in one way."""


class Way(msgspec.Struct, frozen=True):
    """One change, in words, and what the film needs of its budget then."""

    words: str
    film_usd: Decimal


def find_ways(plan: Plan) -> tuple[Way, ...]:
    """Return changes that bring a film under its budget, each by itself, the one that keeps most first.

    Fewer takes, a draft model for the whole film, or fewer clips; what is paid for already cannot be saved.
    """
    if plan.budget_usd is None or not plan.over_budget_usd:
        return ()
    ways = [*_fewer_takes(plan), *_drafts(plan), *_fewer_clips(plan)]
    fitting = [way for way in ways if way.film_usd <= plan.budget_usd]
    return tuple(sorted(fitting, key=lambda way: -way.film_usd))


def _fewer_takes(plan: Plan) -> Iterator[Way]:
    """Give up further takes, the dearest first, until it fits."""
    spare = {clip.id: _spare_takes(clip) for clip in plan.clips}
    dearest = sorted((clip for clip in plan.clips if spare[clip.id]), key=lambda clip: -clip.retake_usd)
    fewer: dict[str, int] = {}
    saved = Decimal(0)
    for clip in dearest:
        for _ in range(spare[clip.id]):
            if saved >= plan.over_budget_usd:
                break
            saved += clip.retake_usd
            fewer[clip.id] = fewer.get(clip.id, 0) + 1
    if saved >= plan.over_budget_usd:
        takes = {clip.id: clip.takes for clip in plan.clips}
        words = [f"{takes[name] - count} of {takes[name]} takes of {name}" for name, count in fewer.items()]
        yield Way(_listed(words), plan.needed_usd - saved)


def _spare_takes(clip: Clip) -> int:
    """Return how many takes of a clip are left to buy beyond its first."""
    if not clip.to_buy_usd:
        return 0
    left = int(clip.to_buy_usd / clip.retake_usd)
    return left if clip.kept_usd else min(left, clip.takes - 1)


def _drafts(plan: Plan) -> Iterator[Way]:
    """Render the whole film on a cheaper model; what was spent on it stays spent."""
    for quote in plan.drafts:
        if quote.film_usd is not None:
            yield Way(f"all of it on {quote.model}", plan.film_spent_usd + quote.film_usd)


def _fewer_clips(plan: Plan) -> Iterator[Way]:
    """Leave out the one cheapest clip that is enough, or else as few clips as can be."""
    over = plan.over_budget_usd
    left = [clip for clip in plan.clips if clip.to_buy_usd]
    enough = [clip for clip in left if clip.to_buy_usd >= over]
    if enough:
        chosen = [min(enough, key=lambda clip: clip.to_buy_usd)]
    else:
        chosen = []
        for clip in sorted(left, key=lambda clip: -clip.to_buy_usd):
            if sum((one.to_buy_usd for one in chosen), Decimal(0)) >= over:
                break
            chosen.append(clip)
    saved = sum((clip.to_buy_usd for clip in chosen), Decimal(0))
    if chosen and saved >= over:
        yield Way(f"without {_listed([clip.id for clip in chosen])}", plan.needed_usd - saved)


def _listed(words: Sequence[str]) -> str:
    if len(words) > MAX_NAMED:
        return f"{', '.join(words[:MAX_NAMED])} and {len(words) - MAX_NAMED:,} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
