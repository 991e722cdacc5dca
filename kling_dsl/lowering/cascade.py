"""Resolves what a line states and what it inherits: shot over clip over scene over title page."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from kling_dsl import ir, nodes, spelling
from kling_dsl.diagnostics import Diagnostic, Note, error, rewrite
from kling_dsl.lowering.values import (
    Report,
    read_count,
    read_frame,
    read_money,
    read_names,
    read_seconds,
    read_switch,
    spot,
)
from kling_dsl.sheets import Profiles
from kling_dsl.source import Span, Text
from kling_dsl.vocabulary import SCENE_KEYS, SHOT_KEYS

DEFAULT_MODEL = "o3-4k"
"""The sheet that a film without `Model:` is written for."""

FORMAT = "1"
"""The version of the language that this compiler reads; a film may pin it with `Format:`."""


class Choices(msgspec.Struct, frozen=True, eq=False):
    """What has been stated so far, None where nothing was; `extra` holds attributes that a model sheet declares."""

    look: nodes.Passage | None = None
    audio: bool | None = None
    aspect: str | None = None
    model: str | None = None
    takes: int | None = None
    bound: tuple[Text, ...] | None = None
    start: ir.Frame | None = None
    end: ir.Frame | None = None
    shot_type: str | None = None
    extra: dict[str, Text] = {}
    places: dict[str, Span] = {}

    def under(self, outer: Choices) -> Choices:
        """Return these choices with what they leave open taken from `outer`."""
        return Choices(
            look=outer.look if self.look is None else self.look,
            audio=outer.audio if self.audio is None else self.audio,
            aspect=outer.aspect if self.aspect is None else self.aspect,
            model=outer.model if self.model is None else self.model,
            takes=outer.takes if self.takes is None else self.takes,
            bound=outer.bound if self.bound is None else self.bound,
            start=self.start,
            end=self.end,
            shot_type=self.shot_type,
            extra={**outer.extra, **self.extra},
            places={**outer.places, **self.places},
        )


NOTHING = Choices()


def resolve_title(page: nodes.TitlePage | None, report: Report, *, profiles: Profiles) -> tuple[ir.Settings, Choices]:
    """Resolve the title page; spans count from the page's first line."""
    given: dict[str, nodes.Entry] = {}
    for entry in page.entries if page else ():
        key = entry.key.value if entry.name is None else f"{entry.key.value} {entry.name.value}"
        if key in given:
            report(
                error(
                    "duplicate-title-key",
                    f"{key} is given twice",
                    entry.key.span,
                    notes=(Note("first here", given[key].key.span),),
                    hint="keep one of the two",
                )
            )
            continue
        given[key] = entry
        if not entry.value.value:
            report(
                error(
                    "bad-value",
                    f"{key} has no value",
                    entry.key.span,
                    hint="write it after the colon, or delete the line",
                )
            )
    stated = {key: entry.value for key, entry in given.items() if entry.value.value}
    duration = read_seconds(stated["Duration"], report, key="Duration") if "Duration" in stated else None
    settings = ir.Settings(
        title=stated["Title"].value if "Title" in stated else "",
        author=stated["Author"].value if "Author" in stated else "",
        budget_usd=read_money(stated["Budget"], report, key="Budget") if "Budget" in stated else None,
        duration_seconds=duration,
        duration_unclear="Duration" in given and duration is None,
        headings=read_switch(stated["Headings"], report, key="Headings") is not False if "Headings" in stated else True,
    )
    if "Format" in stated and stated["Format"].value != FORMAT:
        report(
            error(
                "bad-value",
                f'this version reads Format {FORMAT}, not "{stated["Format"].value}"',
                stated["Format"].span,
                hint=f"write {FORMAT}",
            )
        )
    if "Film" in given:
        report(_film_in_film(given["Film"].key.span))
    look = stated.get("Look")
    choices = Choices(
        look=nodes.Passage(look.value, look.line, look.column) if look else None,
        audio=read_switch(stated["Audio"], report, key="Audio") if "Audio" in stated else None,
        aspect=stated["Aspect"].value if "Aspect" in stated else None,
        model=_read_model(stated["Model"], report, profiles=profiles) if "Model" in stated else None,
        takes=read_count(stated["Takes"], report, key="Takes") if "Takes" in stated else None,
    )
    return settings, choices


def _film_in_film(span: Span) -> Diagnostic:
    return error(
        "unknown-title-key",
        "Film: names the film that a test file is about, and this is a film",
        span,
        hint="delete the line, or end the file's name with .test.kling",
    )


def resolve_attributes(
    attributes: Sequence[nodes.Attribute],
    report: Report,
    *,
    keys: Sequence[str],
    owner: str,
    folder: str,
    profiles: Profiles,
) -> Choices:
    """Resolve the attributes of a scene (`keys` are `SCENE_KEYS`), or of a shot or clip (`SHOT_KEYS`)."""
    if not attributes:
        return NOTHING
    given: dict[str, Text] = {}
    extra: dict[str, Text] = {}
    places: dict[str, Span] = {}
    for attribute in attributes:
        key = attribute.key.value
        if key in places:
            report(
                error(
                    "duplicate-attribute",
                    f"{key}: is given twice",
                    attribute.key.span,
                    notes=(Note("first here", places[key]),),
                    hint="keep one of the two",
                )
            )
            continue
        places[key] = spot(attribute.value)
        if not attribute.value.value:
            report(
                error(
                    "bad-value",
                    f"{key}: has no value",
                    attribute.key.span,
                    hint="write it after the colon, or delete the line",
                )
            )
        elif key in keys:
            given[key] = attribute.value
        elif models_having(profiles, key):
            extra[key] = attribute.value
        else:
            report(_unknown(attribute, keys=keys, owner=owner, profiles=profiles))
    look = given.get("look")
    return Choices(
        look=nodes.Passage(look.value, look.line, look.column) if look else None,
        audio=read_switch(given["audio"], report, key="audio") if "audio" in given else None,
        aspect=given["aspect"].value if "aspect" in given else None,
        model=_read_model(given["model"], report, profiles=profiles) if "model" in given else None,
        takes=read_count(given["takes"], report, key="takes") if "takes" in given else None,
        bound=read_names(given["with"]) if "with" in given else None,
        start=read_frame(given["start"], report, key="start", folder=folder) if "start" in given else None,
        end=read_frame(given["end"], report, key="end", folder=folder) if "end" in given else None,
        shot_type=given["type"].value if "type" in given else None,
        extra=extra,
        places=places,
    )


def read_extra(text: Text, kind: str) -> bool | int | float | str | None:
    """Read the value of a sheet's own attribute as its field's type says; None when it is no such value."""
    word = text.value
    if kind == "boolean":
        return {"on": True, "off": False}.get(word)
    if kind in ("integer", "number"):
        try:
            number = Decimal(word)
        except ArithmeticError:
            return None
        if not number.is_finite() or abs(number) > 10**12:
            return None
        if kind == "integer":
            return int(number) if number == int(number) else None
        return float(number)
    return word


def models_having(profiles: Profiles, attribute: str) -> tuple[str, ...]:
    """Return the names of the models whose sheets declare an attribute."""
    return tuple(name for name in profiles.names() if attribute in _attributes_of(profiles, name))


def _attributes_of(profiles: Profiles, model: str) -> dict[str, str]:
    profile = profiles.get(model)
    return profile.attributes if profile else {}


def _read_model(value: Text, report: Report, *, profiles: Profiles) -> str | None:
    if profiles.get(value.value) is not None:
        return value.value
    report(unknown_model(value.value, value.span, profiles))
    return None


def unknown_model(name: str, span: Span, profiles: Profiles) -> Diagnostic:
    """Word the mistake of naming a model that has no sheet."""
    if (path := profiles.path_of(name)) is not None:
        return error("unknown-model", f'the sheet of "{name}" is refused', span, hint=f"mend {path} first")
    near = spelling.nearest(name, profiles.names())
    sure = spelling.certain(name, profiles.names())
    return error(
        "unknown-model",
        f'there is no model sheet "{name}"',
        span,
        hint=f"did you mean {near}?" if near else f"the models are {', '.join(profiles.names())}",
        fix=rewrite(span, sure),
    )


def _unknown(attribute: nodes.Attribute, *, keys: Sequence[str], owner: str, profiles: Profiles) -> Diagnostic:
    key = attribute.key.value
    if key in SHOT_KEYS:
        return error(
            "unknown-attribute",
            f"{key}: belongs to a SHOT or a CLIP, not to a {owner}",
            attribute.key.span,
            hint="move it under each shot that needs it",
        )
    choices = {*keys, *(name for model in profiles.names() for name in _attributes_of(profiles, model))}
    near = spelling.nearest(key, choices)
    return error(
        "unknown-attribute",
        f'a {owner} has no attribute "{key}"',
        attribute.key.span,
        hint=f"did you mean {near}? A line that is prose begins with !"
        if near
        else f"it may have {', '.join(keys)}; a line that is prose begins with !",
        fix=rewrite(attribute.key.span, spelling.certain(key, choices)),
    )


__all__ = [
    "DEFAULT_MODEL",
    "NOTHING",
    "SCENE_KEYS",
    "SHOT_KEYS",
    "Choices",
    "read_extra",
    "resolve_attributes",
    "resolve_title",
]
