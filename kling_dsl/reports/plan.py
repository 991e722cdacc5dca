"""What a film would buy and what it costs: the plan as one value, which every format renders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Literal

import msgspec

from kling_dsl.calls import Call
from kling_dsl.compiler import Compilation, quote_total
from kling_dsl.costs import Cost
from kling_dsl.money import decimal_string, dollars
from kling_dsl.profiles import Profile

OLD_AFTER_DAYS = 90
"""Prices moved twice within a year, so one that was read a quarter ago may be wrong."""

State = Literal["new", "changed", "kept", "accepted", "waiting", "pending", "uncertain"]


class Clip(msgspec.Struct, frozen=True):
    """One clip of a plan; `cost_usd` is of all its takes, `retake_usd` of one more."""

    id: str
    scene: str
    model: str
    state: State
    why: str
    seconds: int
    takes: int
    cost_usd: Decimal
    retake_usd: Decimal
    fingerprint: str
    file: str
    line: int


class Quote(msgspec.Struct, frozen=True):
    """What the same film costs on a draft model."""

    model: str
    film_usd: Decimal


class Basis(msgspec.Struct, frozen=True):
    """A price that the plan rests on, where and when it was read; `days` is its age."""

    model: str
    usd_per_second: Decimal
    confidence: str
    date: str
    days: int
    source: str
    url: str

    @property
    def is_old(self) -> bool:
        """Say whether the price should be looked up again before a purchase."""
        return self.days > OLD_AFTER_DAYS


class Plan(msgspec.Struct, frozen=True):
    """The whole plan of a film; nothing has been rendered of it, so all of it is to buy."""

    film: str
    file: str
    clips: tuple[Clip, ...]
    budget_usd: Decimal | None
    drafts: tuple[Quote, ...]
    prices: tuple[Basis, ...]

    @property
    def seconds(self) -> int:
        """The seconds of all clips, each once."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def film_usd(self) -> Decimal:
        """What every take of every clip costs."""
        return sum((clip.cost_usd for clip in self.clips), Decimal(0))

    @property
    def kept_usd(self) -> Decimal:
        """What of that is paid already."""
        return sum((clip.cost_usd for clip in self.clips if clip.state in ("kept", "accepted")), Decimal(0))

    @property
    def to_buy_usd(self) -> Decimal:
        """What is left to buy."""
        return self.film_usd - self.kept_usd

    @property
    def over_budget_usd(self) -> Decimal:
        """How much the film costs over its budget; 0 when it has none or keeps to it."""
        return max(Decimal(0), self.film_usd - self.budget_usd) if self.budget_usd is not None else Decimal(0)

    @property
    def scenes(self) -> tuple[tuple[str, tuple[Clip, ...]], ...]:
        """The clips under their scene headings, in the film's order."""
        return tuple((scene, tuple(clips)) for scene, clips in groupby(self.clips, key=lambda clip: clip.scene))


def make_plan(compilation: Compilation, *, today: date) -> Plan:
    """Return the plan of a compilation that has not failed."""
    return Plan(
        film=compilation.title,
        file=compilation.file,
        clips=tuple(_clip(call) for call in compilation.calls),
        budget_usd=compilation.settings.budget_usd,
        drafts=tuple(_drafts(compilation)),
        prices=tuple(_prices(compilation, today)),
    )


def render_plan_json(plan: Plan) -> bytes:
    """Return a plan as indented JSON; money is a string of decimal dollars."""
    report = {
        "film": plan.film,
        "file": plan.file,
        "clips": [
            {
                "id": clip.id,
                "scene": clip.scene,
                "model": clip.model,
                "state": clip.state,
                "why": clip.why,
                "seconds": clip.seconds,
                "takes": clip.takes,
                "cost_usd": decimal_string(clip.cost_usd),
                "retake_usd": decimal_string(clip.retake_usd),
                "fingerprint": clip.fingerprint,
                "source": {"file": clip.file, "line": clip.line},
            }
            for clip in plan.clips
        ],
        "total": {
            "seconds": plan.seconds,
            "film_usd": decimal_string(plan.film_usd),
            "kept_usd": decimal_string(plan.kept_usd),
            "to_buy_usd": decimal_string(plan.to_buy_usd),
        },
        "budget": None
        if plan.budget_usd is None
        else {"usd": decimal_string(plan.budget_usd), "over_usd": decimal_string(plan.over_budget_usd)},
        "drafts": [{"model": quote.model, "film_usd": decimal_string(quote.film_usd)} for quote in plan.drafts],
        "prices": [
            {
                "model": basis.model,
                "usd_per_second": decimal_string(basis.usd_per_second),
                "confidence": basis.confidence,
                "date": basis.date,
                "old": basis.is_old,
                "source": basis.source,
                "url": basis.url,
            }
            for basis in plan.prices
        ],
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def closing_lines(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return what stands under the table: a label and its words."""
    lines = [
        ("film", f"{plan.seconds} s in {_count(plan.clips)}, {dollars(plan.film_usd)}"),
        ("to buy", dollars(plan.to_buy_usd)),
    ]
    if plan.budget_usd is not None:
        over = plan.over_budget_usd
        told = f"{dollars(over)} over" if over else f"{dollars(plan.budget_usd - plan.film_usd)} left"
        lines.append(("budget", f"{dollars(plan.budget_usd)}, {told}"))
    lines += [("as a draft", f"{dollars(quote.film_usd)} on {quote.model}") for quote in plan.drafts]
    for basis in plan.prices:
        age = f"; {basis.days} days old, look it up before you buy" if basis.is_old else ""
        lines.append(
            (
                "price",
                f"{dollars(basis.usd_per_second)} a second on {basis.model} ({basis.confidence}), read {basis.date}{age}:"
                f" {basis.source}, {basis.url}",
            )
        )
    return tuple(lines)


def _count(clips: Sequence[Clip]) -> str:
    return f"{len(clips)} clip{'' if len(clips) == 1 else 's'}"


def _clip(call: Call) -> Clip:
    waits = " and ".join(call.after)
    return Clip(
        id=call.id,
        scene=call.scene,
        model=call.model,
        state="waiting" if call.after else "new",
        why=f"needs the last frame of {waits}, which is not rendered yet" if call.after else "not rendered yet",
        seconds=call.seconds,
        takes=call.takes,
        cost_usd=call.cost_usd,
        retake_usd=call.price_usd,
        fingerprint=call.fingerprint,
        file=call.file,
        line=call.line,
    )


def _drafts(compilation: Compilation) -> list[Quote]:
    """Return the film's price on each draft model that every model of the film names."""
    models = compilation.models
    names = [name for name in (models[0].drafts if models else ()) if all(name in model.drafts for model in models)]
    quotes: list[Quote] = []
    for name in names:
        profile = compilation.profiles.get(name)
        total = quote_total(compilation, profile) if profile is not None else None
        if total is not None:
            quotes.append(Quote(name, total))
    return quotes


def _prices(compilation: Compilation, today: date) -> list[Basis]:
    found: dict[tuple[str, Decimal, str], Basis] = {}
    models = {model.name: model for model in compilation.models}
    for item in compilation.items:
        cost = item.built.cost
        if cost is not None:
            profile = models[item.built.request.model]
            key = (profile.name, cost.price.usd_per_second, cost.price.source)
            if key not in found:
                found[key] = _basis(profile, cost, today)
    return list(found.values())


def _basis(profile: Profile, cost: Cost, today: date) -> Basis:
    source = profile.sources[cost.price.source]
    return Basis(
        model=profile.name,
        usd_per_second=cost.price.usd_per_second,
        confidence=cost.price.confidence,
        date=source.date,
        days=(today - date.fromisoformat(source.date)).days,
        source=source.title,
        url=source.url,
    )
