"""What a film costs on a draft model, and whether that model takes it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from kling_dsl import checks, costs
from kling_dsl.calls import shape_of
from kling_dsl.compiler.media import MediaBook
from kling_dsl.compiler.result import Compilation
from kling_dsl.diagnostics import has_errors
from kling_dsl.profiles import Profile
from kling_dsl.world import World


class Quote(msgspec.Struct, frozen=True):
    """The film's price on a model, of all takes; None when the model refuses `refused` of its clips."""

    model: str
    film_usd: Decimal | None
    refused: int


def quote_drafts(compilation: Compilation, world: World) -> tuple[Quote, ...]:
    """Return a quote for each draft model whose requests are those of every model of the film."""
    models = compilation.models
    wanted = dict.fromkeys(name for model in models for name in model.drafts)
    profiles = (
        compilation.profiles.get(name)
        for name in wanted
        if all(name == model.name or name in model.drafts for model in models)
    )
    book = MediaBook(world)
    return tuple(_quote(compilation, profile, book) for profile in profiles if profile is not None)


def _quote(compilation: Compilation, profile: Profile, book: MediaBook) -> Quote:
    """Price the film's requests as they stand, after asking the model's own checks whether it takes them."""
    fields, rules, pricer = checks.FieldBook(profile), checks.RuleBook(profile, book), costs.Pricer(profile)
    total = Decimal(0)
    refused = 0
    for item in compilation.items:
        request, arguments = item.built.request, item.built.emission.arguments
        shape = shape_of(arguments)
        cost = pricer.price(arguments, shape, compilation.video_seconds)
        if cost is None or has_errors([*fields.check(request, _unpriced), *rules.check(request, arguments, shape)]):
            refused += 1
        else:
            total += cost.usd * request.takes
    return Quote(profile.name, None if refused else total, refused)


def _unpriced(seconds: int) -> None:
    """Say no price: whether a model takes a clip does not depend on it."""
