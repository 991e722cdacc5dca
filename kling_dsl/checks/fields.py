"""Checks every field of a request against the limits that the model's sheet states for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from kling_dsl import ir, spelling
from kling_dsl.diagnostics import Diagnostic, Note, error, rewrite, warning
from kling_dsl.money import dollars
from kling_dsl.profiles import Field, Profile, Value
from kling_dsl.source import Span


def check_prompt_length(request: ir.Request, profile: Profile) -> Iterator[Diagnostic]:
    """Report a final prompt (heading, camera, look and dialogue included) that is longer than the model reads."""
    path = profile.roles.get("shot-prompt" if request.multi else "prompt")
    limit = profile.paths[path].max_characters if path else None
    if limit is None:
        return
    for shot in request.shots:
        if len(shot.prompt) > limit:
            over = len(shot.prompt) - limit
            part = "in a CLIP " if request.multi else ""
            yield error(
                "prompt-too-long",
                f'the prompt of "{shot.id}" has {len(shot.prompt):,} characters, and {profile.name} reads {limit:,} {part}at most',
                shot.span,
                label=f"{over:,} too many",
                notes=(basis(profile, profile.paths[path or ""]),),
                hint="the heading, the camera words, the look and the dialogue count as well: see `kling compile --only "
                + request.id
                + "`",
            )


PriceAt = Callable[[int], Decimal | None]
"""The dollars of one take of a request if it lasted so many seconds; None when that cannot be said."""


def check_fractions(request: ir.Request, price_at: PriceAt) -> Iterator[Diagnostic]:
    """Report lengths that are no whole seconds, with both neighbours and what the clip costs with each."""
    for fraction in request.fractions:
        whole = " for the clip" if request.multi else ""
        offers = [
            f"{seconds}s{_for_price(price_at(total), whole)}"
            for seconds, total in ((fraction.low, fraction.low_seconds), (fraction.high, fraction.high_seconds))
        ]
        yield error(
            "fractional-length",
            f"{fraction.written} is no whole number of seconds",
            fraction.span,
            hint=f"write {' or '.join(offers)}",
        )


def check_length(request: ir.Request, profile: Profile, price_at: PriceAt) -> Iterator[Diagnostic]:
    """Report a clip, or a shot in one, that lasts as the model makes none: too short, too long, or between its lengths."""
    field = profile.paths[profile.roles["duration"]]
    seconds = request.seconds
    nearest = _nearest_length(seconds, field)
    if nearest != seconds:
        what = f'the CLIP "{request.id}"' if request.multi else f'the shot "{request.id}"'
        yield error(
            "clip-length-limit",
            f"{what} lasts {seconds} s, and {profile.name} makes {_lengths(field)} s",
            request.span,
            notes=(basis(profile, field),),
            hint=f"the nearest length is {nearest}s{_for_price(price_at(nearest), '')}"
            + ("; or split it" if seconds > nearest else ""),
        )
    if request.multi and "shot-duration" in profile.roles:
        field = profile.paths[profile.roles["shot-duration"]]
        for shot in request.shots:
            if _nearest_length(shot.seconds, field) != shot.seconds:
                yield error(
                    "shot-length-limit",
                    f'the shot "{shot.id}" lasts {shot.seconds} s, and in a CLIP {profile.name} makes {_lengths(field)} s',
                    shot.span,
                    notes=(basis(profile, field),),
                    hint="change its length",
                )


def _nearest_length(seconds: int, field: Field) -> int:
    """Return the seconds that a field takes which are nearest: those given, where it takes them."""
    if field.values:
        return min((int(value) for value in field.values), key=lambda value: abs(value - seconds))
    low, high = field.min or 0, field.max
    return int(low) if seconds < low else int(high) if high is not None and seconds > high else seconds


def _lengths(field: Field) -> str:
    """Return the seconds that a field takes, in words."""
    if field.values:
        *most, last = [str(value) for value in field.values]
        return f"{', '.join(most)} or {last}" if most else last
    return f"{field.min or 0} to {field.max}"


def _for_price(price: Decimal | None, what: str) -> str:
    return "" if price is None else f" ({dollars(price)}{what})"


def check_shot_count(request: ir.Request, profile: Profile) -> Iterator[Diagnostic]:
    """Report a CLIP with more shots than the model cuts, or fewer, or a CLIP for a model that makes none."""
    if not request.multi:
        return
    path = profile.roles.get("shots")
    if path is None:
        yield error(
            "clip-not-taken",
            f"{profile.name} makes no clips of several shots",
            request.span,
            hint="write the shots without CLIP and END CLIP: each is a clip of its own then",
        )
        return
    field = profile.paths[path]
    count = len(request.shots)
    if field.max_items is not None and count > field.max_items:
        yield error(
            "too-many-shots",
            f'the CLIP "{request.id}" has {count} shots, and {profile.name} cuts {field.max_items} at most',
            request.span,
            also=tuple(shot.span for shot in request.shots[field.max_items : 2 * field.max_items]),
            notes=(basis(profile, field),),
            hint="split it into two CLIPs: the price is by the second, so grouping saves nothing",
        )
    elif field.min_items is not None and count < field.min_items:
        yield error(
            "list-length",
            f'the CLIP "{request.id}" has {count} shot{"s" * (count > 1)}, and {profile.name} cuts {field.min_items} at least',
            request.span,
            notes=(basis(profile, field),),
            hint="add a shot, or write it without CLIP and END CLIP",
        )


def check_values(request: ir.Request, profile: Profile) -> Iterator[Diagnostic]:
    """Report a value that the model's field does not take, and one that it takes with a doubt."""
    for role, key, value in (("aspect", "aspect", request.aspect), ("shot-type", "type", request.shot_type)):
        path = profile.roles.get(role)
        if value is not None and path is not None:
            yield from _check_value(key, value, profile.paths[path], profile, request.places.get(key, request.span))
    keywords = {name: keyword for keyword, name in profile.attributes.items()}
    for name, given in request.extra.items():
        keyword = keywords[name]
        yield from _check_value(
            keyword, given, profile.fields[name], profile, request.places.get(keyword, request.span)
        )


def check_voice(reference: ir.Reference, profile: Profile) -> Iterator[Diagnostic]:
    """Report a voice that is sent and that the model's field does not take."""
    inside = reference.front is not None or reference.video is not None
    path = profile.roles.get("element-voice") if inside else profile.roles.get("voices")
    if not reference.voice or path is None:
        return
    field = profile.paths[path].items or profile.paths[path]
    if field.values and reference.voice not in field.values:
        problem, hint = "it takes no other than its own", f"it takes {', '.join(str(value) for value in field.values)}"
    elif field.max_characters is not None and len(reference.voice) > field.max_characters:
        problem, hint = (
            f"it reads {field.max_characters:,} characters at most",
            "look the id up where the voice was made",
        )
    else:
        return
    yield error(
        "value-not-taken",
        f'the voice of {reference.name} is "{reference.voice}", which {profile.name} does not take: {problem}',
        reference.span,
        notes=(basis(profile, field),),
        hint=hint,
    )


def check_taken(request: ir.Request, profile: Profile) -> Iterator[Diagnostic]:
    """Report what a film states and the model has no field for: it would be ignored and the clip billed."""
    roles = profile.roles
    stated: tuple[tuple[str, str, object], ...] = (
        ("start-frame", "start", request.start),
        ("end-frame", "end", request.end),
        ("shot-type", "type", request.shot_type),
    )
    for role, key, value in stated:
        if value is not None and role not in roles:
            yield error(
                "attribute-not-taken",
                f"{profile.name} has no {key}:, so it would be ignored and the clip billed",
                request.places.get(key, request.span),
                hint="delete it, or choose a model that has it (see `kling models`)",
            )
    for role, key, value in (("audio", "audio", request.audio), ("aspect", "aspect", request.aspect)):
        if value is not None and value is not False and role not in roles:
            yield warning(
                "setting-not-taken",
                f"{profile.name} has no field for {key}, so what the film says of it is not sent",
                request.places.get(key, request.span),
                hint="the clip takes what the model gives: see `kling models " + profile.name + "`",
            )


def basis(profile: Profile, field: Field, *, of: str = "the limit") -> Note:
    """Return where a statement of the sheet was read and how sure it is."""
    source = profile.sources[field.source]
    return Note(f"{of} is {field.confidence}: {source.title}, {source.date}")


def _check_value(key: str, value: Value, field: Field, profile: Profile, span: Span) -> Iterator[Diagnostic]:
    if field.values and value not in field.values:
        choices = [str(known) for known in field.values]
        near, sure = spelling.nearest(str(value), choices), spelling.certain(str(value), choices)
        yield error(
            "value-not-taken",
            f'{profile.name} takes no {key} "{value}"',
            span,
            notes=(basis(profile, field),),
            hint=f"did you mean {near}?" if near else f"it takes {', '.join(choices)}",
            fix=rewrite(span, sure) if len(str(value)) == span.end_column - span.column else None,
        )
    elif str(value) in field.doubtful:
        yield warning(
            "value-doubtful",
            f"{key}: {value} may not do what it says: {field.doubtful[str(value)]}",
            span,
            notes=(basis(profile, field, of="this"),),
        )
    if isinstance(value, str):
        if field.max_characters is not None and len(value) > field.max_characters:
            yield error(
                "value-not-taken",
                f"{key} has {len(value):,} characters, and {profile.name} reads {field.max_characters:,} at most",
                span,
                notes=(basis(profile, field),),
                hint="shorten it",
            )
    elif not isinstance(value, bool) and _is_outside(Decimal(str(value)), field):
        yield error(
            "value-not-taken",
            f"{key} is {value}, and {profile.name} takes {field.min} to {field.max}",
            span,
            notes=(basis(profile, field),),
            hint="choose a value between the two",
        )


def _is_outside(value: Decimal, field: Field) -> bool:
    """Say whether a number is outside its field's limits; it is compared as it was written, and not as a binary fraction."""
    return (field.min is not None and value < field.min) or (field.max is not None and value > field.max)
