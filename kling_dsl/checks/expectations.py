"""Checks EXPECT lines against the film and the sheets: what they name must be there, and they must be able to fail."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice

from kling_dsl import nodes, spelling
from kling_dsl.checks.fields import basis
from kling_dsl.checks.script import Script, Stated
from kling_dsl.diagnostics import Diagnostic, Note, error, rewrite, warning
from kling_dsl.profiles import Field, Profile
from kling_dsl.source import Span

_SHOWN = 12
"""Names that a hint lists."""

Bounds = tuple[Decimal, Decimal | None]
"""The least and the most that a number can be, None where nothing bounds it."""

_ALL: Bounds = (Decimal(0), None)
_ONE: Bounds = (Decimal(1), Decimal(1))


def check_expectations(stated: Iterable[Stated], script: Script) -> Iterator[Diagnostic]:
    """Report the EXPECT lines that speak of what is not there, and those that cannot fail or cannot hold."""
    for one in stated:
        found = [*_check_names(one, script)]
        if not found:
            found = [diagnostic for check in CHECKS for diagnostic in check(one, script)]
        if not found:
            found = [*_check_sense(one, script)]
        yield from found


def check_names(stated: Iterable[Stated], script: Script) -> Iterator[Diagnostic]:
    """Report models and references that are not declared: these are known of a film with mistakes too."""
    for one in stated:
        yield from _check_names(one, script)


def _check_names(one: Stated, script: Script) -> Iterator[Diagnostic]:
    statement = one.node.statement
    if isinstance(statement, nodes.Total) and statement.model is not None:
        yield from _check_model(one, statement.model, script)
    if isinstance(statement, nodes.Claim):
        predicate = statement.predicate
        if isinstance(predicate, nodes.UsesModel):
            yield from _check_model(one, predicate.name, script)
        elif isinstance(predicate, nodes.UsesReference):
            yield from _check_reference(one, predicate.name, script)


def _check_model(one: Stated, name: nodes.Word, script: Script) -> Iterator[Diagnostic]:
    if script.profiles.get(name.value) is None:
        known = script.profiles.names()
        yield _unknown(one, name, f'there is no model sheet "{name.value}"', known, "the models are")


def _check_reference(one: Stated, name: nodes.Word, script: Script) -> Iterator[Diagnostic]:
    if unicodedata.normalize("NFC", name.value) not in script.names:
        yield _unknown(
            one, name, f"no definition declares @{name.value}", script.spelt_names, "the film declares", mark="@"
        )


def _check_subject(one: Stated, script: Script) -> Iterator[Diagnostic]:
    statement = one.node.statement
    if not isinstance(statement, nodes.Claim) or statement.subject.id is None:
        return
    name, unit = statement.subject.id, statement.subject.unit
    if unit == "shot" and name.value not in script.shot_by_id:
        if name.value in script.clip_by_id:
            yield _other_unit(one, statement.subject, f'"{name.value}" is a CLIP', "clip")
        else:
            yield _unknown(one, name, f'the film has no shot "{name.value}"', script.spelt_shots, "its shots are")
    elif unit == "clip" and name.value not in script.clip_by_id:
        yield _no_clip(one, name, script)


def _no_clip(one: Stated, name: nodes.Word, script: Script) -> Diagnostic:
    if (seen := script.shot_by_id.get(name.value)) is None:
        return _unknown(one, name, f'the film has no clip "{name.value}"', script.spelt_clips, "its clips are")
    group = seen.clip.request.id
    return error(
        "expect-unknown",
        f'"{name.value}" is a shot inside the clip "{group}"',
        name.span.moved(one.file, one.line),
        hint=f"write {group}, or speak of the shot",
    )


def _check_place(one: Stated, script: Script) -> Iterator[Diagnostic]:
    place = _place_of(one.node.statement)
    if place is None:
        return
    name = place.name
    if place.kind == "clip":
        if name.value not in script.clip_by_id:
            yield _no_clip(one, name, script)
        return
    span = name.span.moved(one.file, one.line)
    scene = script.scene_of(name.value)
    numbers = [f"#{mark.number}#" for mark in script.scenes if mark.number]
    if name.value.startswith("#"):
        if scene is None:
            listed = ", ".join(numbers[:_SHOWN]) + (" …" if len(numbers) > _SHOWN else "")
            hint = f"the numbers are {listed}" if numbers else "no heading has one; `scene 2` is the second scene"
            yield error("expect-unknown", f"no scene has the number {name.value}", span, hint=hint)
        return
    written = f"#{name.value}#" in numbers
    if scene is None:
        count = len(script.scenes)
        has = f"{count} scenes" if count > 1 else "one scene" if count else "no scene"
        hint = (
            f"they are counted from 1 to {count}" if count else "a scene begins with a heading, as in INT. ROOM - DAY"
        )
        if written:
            hint = f"write #{name.value}# for the number that is written in the film"
        yield error("expect-unknown", f"there is no scene {name.value}: the film has {has}", span, hint=hint)
    elif written and script.scenes[scene].number != name.value:
        yield error(
            "expect-unknown",
            f"scene {name.value} may mean two scenes: the one at that place, and the one that is numbered #{name.value}#",
            span,
            hint=f"write #{name.value}# for the number that is written in the film",
        )


def _place_of(statement: nodes.Statement | None) -> nodes.Place | None:
    if isinstance(statement, nodes.Claim):
        return statement.subject.place
    return statement.place if isinstance(statement, nodes.Total | nodes.Count) else None


CHECKS: tuple[Callable[[Stated, Script], Iterator[Diagnostic]], ...] = (_check_subject, _check_place)
"""What is asked of an EXPECT when the film is whole, besides its models, its references and its sense."""


def _check_sense(one: Stated, script: Script) -> Iterator[Diagnostic]:
    """Report an EXPECT that the film or a sheet makes true or false whatever is written."""
    statement = one.node.statement
    if isinstance(statement, nodes.Total):
        yield from _judge_limit(one, statement.limit, _ALL, "a total is never below $0")
    elif isinstance(statement, nodes.Count):
        yield from _check_count(one, statement, script)
    elif isinstance(statement, nodes.Claim):
        yield from _check_claim(one, statement, script)


def _check_count(one: Stated, count: nodes.Count, script: Script) -> Iterator[Diagnostic]:
    place = count.place
    bounds, because = _ALL, f"a number of {count.noun} is never below 0"
    notes: tuple[Note, ...] = ()
    if place is not None and count.noun == "scenes":
        bounds, because = _ONE, f"a {place.kind} is one scene" if place.kind == "scene" else "a clip lies in one scene"
    elif place is not None and place.kind == "clip" and count.noun in ("clips", "takes"):
        bounds = _ONE if count.noun == "clips" else (Decimal(1), None)
        because = "a clip is one clip" if count.noun == "clips" else "a clip has one take at least"
    elif place is not None and place.kind == "clip" and count.noun in ("seconds", "shots"):
        clip = script.clips_at(place)[0]
        profile = script.profiles.get(clip.request.model)
        if profile is not None and count.noun == "seconds":
            field = profile.paths[profile.roles["duration"]]
            bounds = _reach(field)
            because = f"{profile.name} makes clips of {_range(bounds)}"
            notes = (basis(profile, field),)
        elif profile is not None and "shots" in profile.roles:
            field = profile.paths[profile.roles["shots"]]
            most = None if field.max_items is None else Decimal(field.max_items)
            bounds, because = (Decimal(1), most), f"a clip of {profile.name} has 1 to {field.max_items} shots"
            notes = (basis(profile, field),)
    yield from _judge_limit(one, count.limit, bounds, because, notes=notes)


def _judge_limit(
    one: Stated, limit: nodes.Limit, bounds: Bounds, because: str, *, notes: tuple[Note, ...] = ()
) -> Iterator[Diagnostic]:
    """Compare what a number may be with what it is held to."""
    low, high = bounds
    least, most = _interval(limit)
    span = one.node.span.moved(one.file, one.line)
    if (least is None or low >= least) and (most is None or (high is not None and high <= most)):
        yield _always(span, because, notes)
    elif (most is not None and low > most) or (least is not None and high is not None and high < least):
        yield _never(span, because, notes)


def _interval(limit: nodes.Limit) -> tuple[Decimal | None, Decimal | None]:
    """Return the least and the most that a limit lets through; a number just beyond an open end stands for it."""
    step = Decimal("0.000001")
    if limit.sign == "between":
        return limit.low, limit.high
    if limit.sign == "=":
        return limit.low, limit.low
    if limit.sign in ("<", "<="):
        return None, limit.low - step if limit.sign == "<" else limit.low
    return (limit.low + step if limit.sign == ">" else limit.low), None


def _check_claim(one: Stated, claim: nodes.Claim, script: Script) -> Iterator[Diagnostic]:
    subject, predicate = claim.subject, claim.predicate
    span = one.node.span.moved(one.file, one.line)
    if subject.id is not None:
        name = subject.id.value
        clip = script.shot_by_id[name].clip if subject.unit == "shot" else script.clip_by_id[name]
        kinds: tuple[tuple[str, bool], ...] = ((clip.request.model, clip.request.multi),)
    else:
        kinds = script.models_at(subject.place)
    if not kinds:
        where = "the film" if subject.place is None else f"{subject.place.kind} {subject.place.name.value}"
        because = f"{where} has no {subject.unit}"
        yield _never(span, because, ()) if subject.quantifier == "some" else _always(span, because, ())
        return
    profiles = [(p, multi) for model, multi in kinds if (p := script.profiles.get(model)) is not None]
    holds: bool | None = None
    because = ""
    notes: tuple[Note, ...] = ()
    if isinstance(predicate, nodes.Lasts):
        fields = [(profile, _length_field(profile, subject.unit, multi=multi)) for profile, multi in profiles]
        holds = _same([_lasts(predicate, field) for _, field in fields])
        reaches = [_reach(field) for _, field in fields]
        most = [high for _, high in reaches if high is not None]
        widest = min(low for low, _ in reaches), max(most) if len(most) == len(reaches) else None
        profile, field = fields[0]
        because, notes = f"{profile.name} makes {subject.unit}s of {_range(widest)}", (basis(profile, field),)
    elif isinstance(predicate, nodes.HasAudio):
        silent = all("audio" not in profile.roles for profile, _ in profiles)
        holds = False if silent else None
        because = f"{profiles[0][0].name} has no field for audio"
    elif isinstance(predicate, nodes.Says):
        holds, because, notes = _too_many_words(predicate, [profile for profile, _ in profiles])
    if holds is not None:
        # "no" turns a claim round; of one that holds for all, "some" is as sure as "every", since there is one.
        certain = holds is not (subject.quantifier == "no")
        yield _always(span, because, notes) if certain else _never(span, because, notes)


def _too_many_words(says: nodes.Says, profiles: Iterable[Profile]) -> tuple[bool | None, str, tuple[Note, ...]]:
    for profile in profiles:
        fields = [profile.paths[profile.roles[role]] for role in ("prompt", "shot-prompt") if role in profile.roles]
        limits = [field.max_characters for field in fields]
        if not fields or any(limit is None or len(says.words.value) <= limit for limit in limits):
            return None, "", ()
        field = fields[0]
        return False, f"{profile.name} reads {field.max_characters:,} characters at most", (basis(profile, field),)
    return None, "", ()


def _same(values: list[bool | None]) -> bool | None:
    return values[0] if len(set(values)) == 1 else None


def _length_field(profile: Profile, unit: str, *, multi: bool) -> Field:
    path = profile.roles.get("shot-duration") if multi and unit == "shot" else None
    return profile.paths[path or profile.roles["duration"]]


def _lasts(predicate: nodes.Lasts, field: Field) -> bool | None:
    """Say whether every length that a field takes is longer (or shorter), or none is; None for some."""
    low, high = _reach(field)
    if predicate.than == "longer":
        if low > predicate.seconds:
            return True
        return False if high is not None and high <= predicate.seconds else None
    if high is not None and high < predicate.seconds:
        return True
    return False if low >= predicate.seconds else None


def _reach(field: Field) -> Bounds:
    """Return the least and the most seconds that a field takes."""
    listed = [int(str(value)) for value in field.values if str(value).isdigit()]
    if listed:
        return Decimal(min(listed)), Decimal(max(listed))
    return field.min or Decimal(0), field.max


def _range(reach: Bounds) -> str:
    low, high = reach
    return f"{low} s and more" if high is None else f"{low} to {high} s"


def _always(span: Span, because: str, notes: tuple[Note, ...]) -> Diagnostic:
    return warning(
        "expect-always",
        f"this EXPECT cannot fail: {because}",
        span,
        notes=notes,
        hint="state something that a change of the film could break, or delete the line",
    )


def _never(span: Span, because: str, notes: tuple[Note, ...]) -> Diagnostic:
    return error(
        "expect-never",
        f"this EXPECT cannot hold: {because}",
        span,
        notes=notes,
        hint="change what it states, or the part of the film that it speaks of",
    )


def _unknown(
    one: Stated, name: nodes.Word, message: str, known: Iterable[str], listed: str, *, mark: str = ""
) -> Diagnostic:
    """Word the mistake of naming what is not there, with the nearest name that is."""
    span = name.span.moved(one.file, one.line)
    near, sure = spelling.nearest(name.value, known), spelling.certain(name.value, known)
    first = tuple(islice(known, _SHOWN + 1))
    some = ", ".join(f"{mark}{known}" for known in first[:_SHOWN]) + (" …" if len(first) > _SHOWN else "")
    hint = f"did you mean {mark}{near}?" if near else f"{listed} {some}" if first else "there is none"
    return error("expect-unknown", message, span, hint=hint, fix=rewrite(span, f"{mark}{sure}" if sure else None))


def _other_unit(one: Stated, subject: nodes.Subject, message: str, unit: str) -> Diagnostic:
    span = subject.span.moved(one.file, one.line)
    word = Span(span.file, span.line, span.column, span.end_line, span.column + len(subject.unit))
    name = subject.id.value if subject.id else ""
    return error("expect-unknown", message, word, hint=f"write {unit} {name}", fix=rewrite(word, unit))
