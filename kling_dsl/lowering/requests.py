"""Lowers a unit of a film to the request it asks for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kling_dsl import ir, nodes
from kling_dsl.diagnostics import Diagnostic, Edit, Fix, Note, error, warning
from kling_dsl.lowering.cascade import (
    DEFAULT_MODEL,
    NOTHING,
    SCENE_KEYS,
    SHOT_KEYS,
    Choices,
    models_having,
    read_extra,
    resolve_attributes,
)
from kling_dsl.lowering.cast import Cast
from kling_dsl.lowering.prose import Binder, report_names, unknown_reference
from kling_dsl.lowering.units import Unit
from kling_dsl.lowering.values import Report
from kling_dsl.profiles import Profile
from kling_dsl.sheets import Profiles
from kling_dsl.source import Span, Text

MAX_BOUND = 100
"""Names of a `with:` line that are looked up: far beyond what any model accepts, so that the excess is reported."""
_NOTED = 10
"""Shots of a CLIP that a diagnostic lists: a model cuts fewer."""


class Scene(msgspec.Struct, frozen=True, eq=False):
    """What every request of a scene inherits: the heading to send (or None), its name in reports, and the choices."""

    settings: ir.Settings
    cast: Cast
    profiles: Profiles
    folder: str
    choices: Choices
    heading: nodes.Passage | None = None
    name: str = ""
    only_model: str | None = None
    """The model that stands over every one that the film names."""

    @property
    def model(self) -> str:
        """The model of a shot that names none itself."""
        return self.only_model or self.choices.model or DEFAULT_MODEL


def enter_scene(film: Scene, heading: nodes.Heading) -> tuple[Scene, tuple[Diagnostic, ...]]:
    """Return what the shots under a heading inherit; spans count from the heading's line."""
    found: list[Diagnostic] = []
    choices = resolve_attributes(
        heading.attributes, found.append, keys=SCENE_KEYS, owner="scene", folder=film.folder, profiles=film.profiles
    )
    if choices.look is not None:
        report_names(choices.look, film.cast, found.append)
    for name in (choices.bound or ())[:MAX_BOUND]:
        _find_bound(name, film.cast, found.append)
    if film.settings.headings:
        report_names(heading.text, film.cast, found.append)
    scene = Scene(
        settings=film.settings,
        cast=film.cast,
        profiles=film.profiles,
        folder=film.folder,
        choices=choices.under(film.choices),
        heading=heading.text if film.settings.headings else None,
        name=" ".join(heading.text.raw.split()),
        only_model=film.only_model,
    )
    return scene, tuple(found)


def lower_unit(unit: Unit, scene: Scene) -> tuple[ir.Request | None, frozenset[str], tuple[Diagnostic, ...]]:
    """Return the request of a unit (None when it has no shot), the names it uses and what is wrong with it.

    Spans count from the unit's first line.
    """
    found: list[Diagnostic] = []
    report = found.append
    first = unit.members[0][1].node
    shots = tuple((offset, block.node) for offset, block in unit.members if type(block.node) is nodes.Shot)
    clip = first if type(first) is nodes.Clip else None
    if clip is not None:
        _report_shot_attributes(shots, report)
    if not shots:
        if clip is not None and all(block.node is not None for _, block in unit.members):
            report(
                error(
                    "empty-clip",
                    f'the CLIP "{clip.id.value}" has no shot',
                    clip.id.span,
                    hint="put its SHOT lines before END CLIP",
                )
            )
        return None, frozenset(), tuple(found)
    head = clip or shots[0][1]
    owner = "CLIP" if clip else "shot"
    stated = resolve_attributes(
        head.attributes, report, keys=SHOT_KEYS, owner=owner, folder=scene.folder, profiles=scene.profiles
    )
    choices = stated.under(scene.choices) if stated is not NOTHING else scene.choices
    profile = scene.profiles.get(scene.only_model or choices.model or DEFAULT_MODEL)
    assert profile is not None, "a model is resolved only when its sheet exists"
    binder = Binder(scene.cast, profile, report)
    lowered = _lower_shots(shots, scene, stated, choices, binder, multi=clip is not None)
    lowered = _lend(lowered, stated, choices, binder, head.id.span)
    if clip is not None and (clip.length is None or not clip.length.fraction):
        _report_clip_length(clip, lowered, report)
    request = ir.Request(
        id=head.id.value,
        scene=scene.name,
        model=profile.name,
        multi=clip is not None,
        shots=lowered,
        bindings=tuple(binder.bound.values()),
        span=head.id.span,
        audio=choices.audio,
        aspect=choices.aspect,
        shot_type=choices.shot_type,
        takes=choices.takes or 1,
        start=choices.start,
        end=choices.end,
        voices=tuple(binder.voices),
        extra=_read_extras(choices, stated, profile, head.id, scene.profiles, report),
        fractions=_fractions(clip, shots, sum(shot.seconds for shot in lowered)),
        places=stated.places,
    )
    return request, frozenset().union(*(shot.uses for shot in lowered)), tuple(found)


def _lower_shots(
    shots: Sequence[tuple[int, nodes.Shot]],
    scene: Scene,
    stated: Choices,
    choices: Choices,
    binder: Binder,
    *,
    multi: bool,
) -> tuple[ir.Shot, ...]:
    lowered: list[ir.Shot] = []
    heading = scene.heading
    look_offset = 0 if stated.look is not None else None
    for offset, shot in shots:
        span = shot.id.span.moved("", offset) if offset else shot.id.span
        binder.here = span
        binder.used = {}
        prompt, speeches = binder.prompt(
            shot, heading=heading, look=choices.look, offset=offset, look_offset=look_offset
        )
        # The heading opens the request, so the later shots of a group do not repeat it; the look holds for each.
        heading = None
        look_offset = None
        seconds = _seconds(shot, scene, binder, span, multi=multi)
        lowered.append(ir.Shot(shot.id.value, seconds, prompt, span, speeches, tuple(binder.used)))
    return tuple(lowered)


def _lend(
    shots: tuple[ir.Shot, ...], stated: Choices, choices: Choices, binder: Binder, head: Span
) -> tuple[ir.Shot, ...]:
    """Bind what `with:` names: it is there in every shot of the request."""
    binder.used = {}
    own = stated.bound is not None
    for name in (choices.bound or ())[:MAX_BOUND]:
        reference = _find_bound(name, binder.cast, binder.report if own else _ignore)
        if reference is not None:
            binder.mention(reference, name.span if own else head)
    if not binder.used:
        return shots
    return tuple(msgspec.structs.replace(shot, uses=(*shot.uses, *binder.used)) for shot in shots)


def _seconds(shot: nodes.Shot, scene: Scene, binder: Binder, span: Span, *, multi: bool) -> int:
    if shot.length is not None and not shot.length.is_unclear:
        return shot.length.seconds
    if scene.settings.duration_seconds is not None:
        return scene.settings.duration_seconds
    profile = binder.profile
    seconds = default_seconds(profile, "shot-duration" if multi else "duration")
    if scene.settings.duration_unclear or shot.length is not None:
        return seconds
    binder.report(
        warning(
            "default-length",
            f'the shot "{shot.id.value}" states no length, so the {seconds} s of {profile.name} are bought',
            span,
            hint=f"write the length after the id, as in `SHOT {shot.id.value} {seconds}s`, or put `Duration: {seconds}s` on the title page",
        )
    )
    return seconds


def default_seconds(profile: Profile, role: str) -> int:
    """Return the default length of a clip or of a shot in one, from the sheet's field."""
    path = profile.roles.get(role) or profile.roles["duration"]
    field = profile.paths[path]
    return int(str(field.default)) if field.default is not None else int(field.min or 1)


def _read_extras(
    choices: Choices, stated: Choices, profile: Profile, head: Text, profiles: Profiles, report: Report
) -> dict[str, bool | int | float | str]:
    values: dict[str, bool | int | float | str] = {}
    for key, text in choices.extra.items():
        own = key in stated.extra
        span = text.span if own else head.span
        name = profile.attributes.get(key)
        if name is None:
            models = models_having(profiles, key)
            report(
                error(
                    "attribute-not-taken",
                    f"{profile.name} has no {key}:, so it would be ignored and the clip billed",
                    span,
                    hint=f"delete it, or choose a model that has it: {', '.join(models)}",
                )
            )
            continue
        value = read_extra(text, profile.fields[name].type)
        if value is None:
            kind = {"boolean": "on or off", "integer": "a whole number", "number": "a number"}.get(
                profile.fields[name].type, "text"
            )
            report(
                error(
                    "bad-value",
                    f'{key}: takes {kind}, not "{text.value}"',
                    span,
                    hint=f"see `kling models {profile.name}`",
                )
            )
            continue
        values[name] = value
    return values


def _fractions(clip: nodes.Clip | None, shots: Sequence[tuple[int, nodes.Shot]], total: int) -> tuple[ir.Fraction, ...]:
    """Return the lengths of a unit that were written as fractions; `total` counts each as the number above it."""
    found: list[ir.Fraction] = []
    if clip is not None and clip.length is not None and clip.length.fraction:
        high = clip.length.seconds
        found.append(ir.Fraction(clip.length.fraction, high - 1, high, high - 1, high, clip.length.span))
    for offset, shot in shots:
        if shot.length is not None and shot.length.fraction:
            high = shot.length.seconds
            span = shot.length.span.moved("", offset)
            found.append(ir.Fraction(shot.length.fraction, high - 1, high, total - 1, total, span))
    return tuple(found)


def _find_bound(name: Text, cast: Cast, report: Report) -> ir.Reference | None:
    written = name.value
    if written.startswith("@"):
        found = cast.find(written[1:])
        if found is not None and found[1] == len(written) - 1:
            return found[0]
        report(unknown_reference(written[1:], name.span, cast))
        return None
    found = cast.find(written)
    exact = found is not None and found[1] == len(written)
    report(
        error(
            "bad-value",
            f'with: takes names such as @Ink, not "{written}"',
            name.span if written else Span("", name.line, max(1, name.column), name.line, max(1, name.column) + 1),
            hint=f"write @{written}" if exact else "write names with @, separated by commas",
            fix=Fix(f"write @{written}", (Edit(name.span, f"@{written}"),)) if exact else None,
        )
    )
    return found[0] if found is not None and exact else None


def _report_shot_attributes(shots: Sequence[tuple[int, nodes.Shot]], report: Report) -> None:
    for offset, shot in shots:
        for attribute in shot.attributes:
            report(
                error(
                    "attribute-in-clip",
                    f"{attribute.key.value}: stands at a shot inside a CLIP, and one request has one {attribute.key.value}",
                    attribute.key.span.moved("", offset),
                    hint="move it under the CLIP line",
                )
            )


def _report_clip_length(clip: nodes.Clip, shots: Sequence[ir.Shot], report: Report) -> None:
    total = sum(shot.seconds for shot in shots)
    if clip.length is not None and clip.length.seconds != total:
        report(
            error(
                "clip-length",
                f'the CLIP "{clip.id.value}" says {clip.length.seconds} s, and its {len(shots)} shots last {total} s',
                clip.length.span,
                notes=tuple(Note(f"{shot.id} lasts {shot.seconds} s", shot.span) for shot in shots[:_NOTED]),
                hint=f"write {total}s, leave the length out, or change a shot",
            )
        )


def _ignore(diagnostic: Diagnostic) -> None:
    """Pass over a mistake that is reported where it was written."""
