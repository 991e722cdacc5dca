"""What a film would buy and what it costs: the plan as one value, which every format renders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby

import msgspec

from kling_dsl.compiler import Compilation, Quote
from kling_dsl.costs import Cost
from kling_dsl.money import dollars
from kling_dsl.profiles import Price, Profile
from kling_dsl.standing import Standing, State

OLD_AFTER_DAYS = 90
"""Prices moved twice within a year, so one that was read a quarter ago may be wrong."""

MAX_REASONS = 20
"""The most clips whose reasons stand under the table; the JSON has them all."""


class Clip(msgspec.Struct, frozen=True):
    """One clip of a plan; `cost_usd` is of all its takes, `retake_usd` of one more.

    Of `cost_usd`, `to_buy_usd` is left to buy and `kept_usd` paid for; the rest is ordered or uncertain.
    """

    id: str
    scene: str
    model: str
    state: State
    why: str
    seconds: int
    takes: int
    cost_usd: Decimal
    retake_usd: Decimal
    to_buy_usd: Decimal
    kept_usd: Decimal
    fingerprint: str
    file: str
    line: int


class Row(msgspec.Struct, frozen=True):
    """A row of the table: a clip, or a scene (then without one); `total_usd` is what the film costs up to here."""

    name: str
    clip: Clip | None
    seconds: int
    cost_usd: Decimal
    total_usd: Decimal


class Basis(msgspec.Struct, frozen=True):
    """A price that the plan rests on, where and when it was read; `days` is its age."""

    model: str
    usd_per_second: Decimal
    condition: str
    """When this price holds and another does not, in words; empty when the model has one price."""
    billed: str
    """Which seconds are billed, in words; empty when they are those of the clip."""
    confidence: str
    date: str
    days: int
    source: str
    url: str

    @property
    def is_old(self) -> bool:
        """Say whether the price should be looked up again before a purchase."""
        return self.days > OLD_AFTER_DAYS


class Room(msgspec.Struct, frozen=True):
    """A limit of the project or of the command, and what counts against it already."""

    name: str
    usd: Decimal
    counted_usd: Decimal

    def over_usd(self, wanted_usd: Decimal) -> Decimal:
        """Return by how much buying so much would pass the limit; 0 when it does not."""
        return max(Decimal(0), self.counted_usd + wanted_usd - self.usd)


class Plan(msgspec.Struct, frozen=True):
    """The whole plan of a film; `film_spent_usd` is what was spent and reserved for it until now, retakes included."""

    film: str
    file: str
    clips: tuple[Clip, ...]
    budget_usd: Decimal | None
    drafts: tuple[Quote, ...]
    prices: tuple[Basis, ...]
    rooms: tuple[Room, ...] = ()
    film_spent_usd: Decimal = Decimal(0)

    @property
    def seconds(self) -> int:
        """The seconds of all clips, each once."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def seconds_with_takes(self) -> int:
        """The seconds of all clips, each as often as it is taken: what is billed."""
        return sum(clip.seconds * clip.takes for clip in self.clips)

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the clips, in the order in which they come."""
        return tuple(dict.fromkeys(clip.model for clip in self.clips))

    @property
    def film_usd(self) -> Decimal:
        """What every take of every clip costs."""
        return sum((clip.cost_usd for clip in self.clips), Decimal(0))

    @property
    def kept_usd(self) -> Decimal:
        """What of that is paid already."""
        return sum((clip.kept_usd for clip in self.clips), Decimal(0))

    @property
    def to_buy_usd(self) -> Decimal:
        """What is left to buy; for clips that wait for another one, at most."""
        return sum((clip.to_buy_usd for clip in self.clips), Decimal(0))

    @property
    def open_usd(self) -> Decimal:
        """What is ordered, uncertain or failed: neither kept nor to buy."""
        return self.film_usd - self.kept_usd - self.to_buy_usd

    @property
    def needed_usd(self) -> Decimal:
        """What the film's Budget has to bear: all of the film, or what it has cost so far and what is left to buy."""
        return max(self.film_usd, self.film_spent_usd + self.to_buy_usd)

    @property
    def over_budget_usd(self) -> Decimal:
        """How much the film costs over its budget; 0 when it has none or keeps to it."""
        return max(Decimal(0), self.needed_usd - self.budget_usd) if self.budget_usd is not None else Decimal(0)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The table of the plan: a row for each scene, with its sums, and under it a row for each of its clips."""
        rows: list[Row] = []
        running = Decimal(0)
        for scene, clips in groupby(self.clips, key=lambda clip: clip.scene):
            members = tuple(clips)
            if scene:
                cost = sum((clip.cost_usd for clip in members), Decimal(0))
                rows.append(Row(scene, None, sum(clip.seconds for clip in members), cost, running + cost))
            for clip in members:
                running += clip.cost_usd
                rows.append(Row(clip.id, clip, clip.seconds, clip.cost_usd, running))
        return tuple(rows)


def make_plan(
    compilation: Compilation,
    standings: Sequence[Standing],
    *,
    today: date,
    drafts: tuple[Quote, ...],
    rooms: tuple[Room, ...] = (),
    film_spent_usd: Decimal = Decimal(0),
) -> Plan:
    """Return the plan of a compilation that has not failed, by how its clips stand and what limits leave."""
    return Plan(
        film=compilation.title,
        file=compilation.file,
        clips=tuple(_clip(standing) for standing in standings),
        budget_usd=compilation.settings.budget_usd,
        drafts=drafts,
        prices=tuple(_prices(compilation, today)),
        rooms=rooms,
        film_spent_usd=film_spent_usd,
    )


def closing_lines(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return what stands under the table: a label and its words."""
    from kling_dsl.reports.ways import find_ways

    takes = f", {plan.seconds_with_takes:,} s with all takes" if plan.seconds_with_takes != plan.seconds else ""
    lines = [
        ("film", f"{plan.seconds:,} s in {_count(plan.clips)}{takes}, {dollars(plan.film_usd)}"),
        ("to buy", dollars(plan.to_buy_usd)),
    ]
    if plan.kept_usd:
        lines.append(("kept", f"{dollars(plan.kept_usd)}, paid for already"))
    if plan.open_usd:
        lines.append(("open", f"{dollars(plan.open_usd)} ordered, uncertain or failed: see below"))
    if plan.budget_usd is not None:
        over = plan.over_budget_usd
        told = f"{dollars(over)} over" if over else f"{dollars(plan.budget_usd - plan.needed_usd)} left"
        more = plan.needed_usd > plan.film_usd
        spent = f"; {dollars(plan.film_spent_usd)} went into this film already" if more else ""
        lines.append(("budget", f"{dollars(plan.budget_usd)}, {told}{spent}"))
    for room in plan.rooms:
        over = room.over_usd(plan.to_buy_usd)
        left = room.usd - room.counted_usd - plan.to_buy_usd
        lines.append(
            (
                "limit",
                f"{dollars(room.usd)} {room.name}, {dollars(over) if over else dollars(left)} {'over' if over else 'left'}",
            )
        )
    lines += [("fits", f"{way.words}: {dollars(way.film_usd)}") for way in find_ways(plan)]
    lines += [("as a draft", _quoted(quote)) for quote in plan.drafts]
    lines += _reasons(plan)
    for basis in plan.prices:
        age = f"; {basis.days} days old, look it up before you buy" if basis.is_old else ""
        when = f" {basis.condition}" if basis.condition else ""
        billed = f" {basis.billed}," if basis.billed else ""
        price = f"{dollars(basis.usd_per_second)} a second{billed} on {basis.model}{when} ({basis.confidence})"
        lines.append(("price", f"{price}, read {basis.date}{age}: {basis.source}, {basis.url}"))
    return tuple(lines)


def on_the_point(amounts: Sequence[Decimal | None]) -> tuple[str, ...]:
    """Return amounts in words of one width, so that their points stand under each other; None gives blanks."""
    words = [dollars(amount) if amount is not None else "" for amount in amounts]
    longest = max((len(word.partition(".")[2]) for word in words), default=0)
    padded = [word + " " * (longest - len(word.partition(".")[2])) for word in words]
    width = max((len(word) for word in padded), default=0)
    return tuple(word.rjust(width) for word in padded)


def _quoted(quote: Quote) -> str:
    if quote.film_usd is None:
        return f"not on {quote.model}, which refuses {quote.refused:,} of the clips"
    return f"{dollars(quote.film_usd)} on {quote.model}"


def _count(clips: Sequence[Clip]) -> str:
    return f"{len(clips):,} clip{'' if len(clips) == 1 else 's'}"


def _clip(standing: Standing) -> Clip:
    call = standing.call
    return Clip(
        id=call.id,
        scene=call.scene,
        model=call.model,
        state=standing.state,
        why=standing.why,
        seconds=call.seconds,
        takes=call.takes,
        cost_usd=call.cost_usd,
        retake_usd=call.price_usd,
        to_buy_usd=standing.to_buy_usd,
        kept_usd=standing.kept_usd,
        fingerprint=standing.fingerprint or call.fingerprint,
        file=call.file,
        line=call.line,
    )


def _reasons(plan: Plan) -> list[tuple[str, str]]:
    """Return why clips stand as they do, where that is not plain from the state alone."""
    told: list[tuple[str, str]] = [
        (clip.state, f"{clip.id}: {clip.why}") for clip in plan.clips if clip.why and clip.state != "new"
    ]
    more = len(told) - MAX_REASONS
    return [*told[:MAX_REASONS], ("", f"and {more:,} more")] if more > 0 else told


def _prices(compilation: Compilation, today: date) -> list[Basis]:
    found: dict[Basis, None] = {}
    models = {model.name: model for model in compilation.models}
    seen: set[tuple[str, int]] = set()
    for item in compilation.items:
        cost = item.built.cost
        if cost is not None and (key := (item.built.request.model, id(cost.price))) not in seen:
            seen.add(key)
            found[_basis(models[item.built.request.model], cost, today)] = None
    return list(found)


def _basis(profile: Profile, cost: Cost, today: date) -> Basis:
    source = profile.sources[cost.price.source]
    return Basis(
        model=profile.name,
        usd_per_second=cost.price.usd_per_second,
        condition=_condition(cost.price, profile),
        billed=_billed(profile),
        confidence=cost.price.confidence,
        date=source.date,
        days=(today - date.fromisoformat(source.date)).days,
        source=source.title,
        url=source.url,
    )


def _billed(profile: Profile) -> str:
    """Return which seconds the model bills, where they are not simply those of the clip."""
    billing = profile.billing
    words = f"of {' and '.join(_named_seconds(path, profile) for path in billing.seconds)}"
    least = f"at least {billing.minimum_seconds} s a take" if billing.minimum_seconds else ""
    if billing.seconds == ("output",):
        return least
    return f"{words}, {least}" if least else words


def _named_seconds(path: str, profile: Profile) -> str:
    if path == "output":
        return "the clip"
    return {"videos": "the videos it is given", "element-video": "its elements' videos"}.get(
        profile.paths[path].role or "", path
    )


def _condition(price: Price, profile: Profile) -> str:
    """Return what tells a price from the model's others."""
    if all(other.usd_per_second == price.usd_per_second for other in profile.prices):
        return ""
    words = [f"with {_named(path, profile)} {_shown(value)}" for path, value in price.when.items()]
    words += [f"with {_named(path, profile)}" for path in price.given]
    if words:
        return " and ".join(words)
    others = {path: value for other in profile.prices for path, value in other.when.items() if isinstance(value, bool)}
    if len(others) == 1 and not any(other.given for other in profile.prices):
        path, value = next(iter(others.items()))
        return f"with {_named(path, profile)} {_shown(not value)}"
    return "otherwise"


def _named(path: str, profile: Profile) -> str:
    field = profile.paths[path]
    return {
        "audio": "audio",
        "element-video": "an element's video",
        "element-voice": "a bound voice",
        "voices": "a bound voice",
    }.get(field.role or "", field.attribute or path)


def _shown(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
