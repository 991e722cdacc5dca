"""Whether a sheet of the right shape makes sense: sources, wording, media limits and output agree with its fields."""

from __future__ import annotations

import datetime
import re
import string
from collections.abc import Callable, Iterator

from kling_dsl.profiles import Billing, Profile, PromptForms, Sheet
from kling_dsl.sheets.field_sense import field_mistakes, role_mistakes
from kling_dsl.sheets.mistakes import Mistake, Path
from kling_dsl.sheets.price_sense import price_mistakes
from kling_dsl.sheets.rule_sense import rule_mistakes
from kling_dsl.spelling import nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)+\Z")
_SIZE = re.compile(r"([1-9]\d?):([1-9]\d?)\Z")
_KIND = re.compile(r"[a-z0-9]+\Z")
_LANGUAGE = re.compile(r"[a-z]{2}\Z")
_ASPECT_TOLERANCE = 0.02
"""Encoders round sizes to even pixels, so that a size need not be its aspect to the last digit."""

_FIRST_YEAR, _LAST_YEAR = 2021, 2099
"""The provider's first year, and the last that is no slip of the pen."""

_FORMS = {
    "element": ("n",),
    "image": ("n",),
    "video": ("n",),
    "voice": ("n",),
    "heading": ("heading",),
    "camera": ("camera",),
    "look": ("look",),
    "dialogue": ("speaker", "words"),
    "dialogue_with_manner": ("speaker", "manner", "words"),
    "described": ("name", "description"),
}
_FORM_OF_ROLE = {"elements": "element", "images": "image", "videos": "video", "voices": "voice"}


def sense_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Find everything in a sheet that contradicts itself, names nothing, or cannot be."""
    for check in CHECKS:
        yield from check(profile)


def identity_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check the sheet's name, title, endpoint and drafts."""
    if not _NAME.match(profile.name):
        yield Mistake(("name",), f'is "{profile.name}", but a name has only a-z, 0-9 and -')
    if not profile.title.strip():
        yield Mistake(("title",), "is empty")
    if not _ENDPOINT.match(profile.endpoint) or ".." in profile.endpoint:
        yield Mistake(
            ("endpoint",), f'is "{profile.endpoint}", but an endpoint is owner/name, with more parts after it'
        )
    for at, draft in enumerate(profile.drafts):
        if not _NAME.match(draft):
            yield Mistake(("drafts", at), f'is "{draft}", but a name has only a-z, 0-9 and -')
        elif draft == profile.name:
            yield Mistake(("drafts", at), "names the sheet itself")
        elif draft in profile.drafts[:at]:
            yield Mistake(("drafts", at), f"names {draft} a second time")


def source_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check that each source can be found again, and that each fact names one of them."""
    for key, source in profile.sources.items():
        if not source.title.strip():
            yield Mistake(("sources", key, "title"), "is empty")
        if not re.match(r"https://[^\s/]+\.[^\s/]+(/\S*)?\Z", source.url):
            yield Mistake(("sources", key, "url"), f'is "{source.url}", but must be an https address')
        yield from _date_mistakes(source.date, ("sources", key, "date"))
    for path, sheet in _parts(profile, ()):
        named = getattr(sheet, "source", None)
        if named is not None and named not in profile.sources:
            near = nearest(named, profile.sources)
            hint = f"did you mean {near}?" if near else f"known here: {', '.join(profile.sources) or 'none'}"
            yield Mistake((*path, "source"), f'is "{named}", which is no key of [sources]', hint)


def wording_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check that each prompt form has the placeholders that it fills, and no other."""
    forms = profile.prompt
    for role, form in _FORM_OF_ROLE.items():
        if role in profile.roles and not getattr(forms, form):
            yield Mistake(("prompt", form), f"is missing, but {profile.roles[role]} is mentioned in prompts")
    for form, names in _FORMS.items():
        yield from _form_mistakes(forms, form, names)
    if "action" not in forms.order:
        yield Mistake(("prompt", "order"), "leaves out action, and with it all that the writer wrote")
    if len(set(forms.order)) < len(forms.order):
        yield Mistake(("prompt", "order"), "names a part twice")


def speech_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check the languages and the pace of what the model speaks."""
    if profile.speech is None:
        return
    for at, language in enumerate(profile.speech.languages):
        if not _LANGUAGE.match(language):
            yield Mistake(("speech", "languages", at), f'is "{language}", but a language is two letters such as en')
    if profile.speech.words_per_second <= 0:
        yield Mistake(("speech", "words_per_second"), f"is {profile.speech.words_per_second}, but must be above 0")


def media_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check that the media limits leave something over, and that every kind of media which a field takes has limits."""
    for kind in ("image", "video"):
        limits = getattr(profile.media, kind)
        path: Path = ("media", kind)
        if limits is None:
            users = [
                name
                for name, field in profile.paths.items()
                if kind in (field.media, field.items and field.items.media)
            ]
            if users:
                yield Mistake(path, f"is missing, but {users[0]} takes {kind}s")
            continue
        if not limits.kinds:
            yield Mistake((*path, "kinds"), "is empty")
        for at, name in enumerate((*limits.kinds, *limits.doubtful_kinds)):
            if not _KIND.match(name) or name in (*limits.kinds, *limits.doubtful_kinds)[:at]:
                yield Mistake((*path, "kinds"), f'has "{name}" twice, or not as small letters and digits')
        for name in limits.__struct_fields__:
            value = getattr(limits, name)
            if not isinstance(value, str | tuple) and value <= 0:
                yield Mistake((*path, name), f"is {value}, but must be above 0")
            most = getattr(limits, f"max_{name[4:]}", None) if name.startswith("min_") else None
            if most is not None and value > most:
                yield Mistake((*path, name), f"is {value}, above max_{name[4:]}, which is {most}")


def output_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check that each aspect which the model takes has one size, of that aspect."""
    path: Path = ("output", "sizes")
    output = profile.output
    if not _KIND.match(output.container):
        yield Mistake(("output", "container"), f'is "{output.container}", but must be small letters and digits, as mp4')
    if output.frames_per_second <= 0:
        yield Mistake(("output", "frames_per_second"), f"is {output.frames_per_second}, but must be above 0")
    if not output.sizes:
        yield Mistake(path, "is empty")
    for aspect, (width, height) in output.sizes.items():
        ratio = _SIZE.match(aspect)
        if not ratio:
            yield Mistake((*path, aspect), "is no aspect such as 16:9")
        elif width <= 0 or height <= 0:
            yield Mistake((*path, aspect), f"is {width} x {height}, but a size must be above 0")
        elif abs(width / height / (int(ratio[1]) / int(ratio[2])) - 1) > _ASPECT_TOLERANCE:
            yield Mistake((*path, aspect), f"is {width} x {height}, which is not {aspect}")
    if "aspect" in profile.roles:
        field = profile.paths[profile.roles["aspect"]]
        for value in field.values:
            if value not in output.sizes:
                yield Mistake(path, f"lacks {value}, which {profile.roles['aspect']} accepts")
        for aspect in output.sizes:
            if field.values and aspect not in field.values:
                yield Mistake((*path, aspect), f"is no value that {profile.roles['aspect']} accepts")


def billing_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check that what is billed is the output or videos that are sent."""
    billing: Billing = profile.billing
    if not billing.seconds:
        yield Mistake(("billing", "seconds"), "is empty, so that nothing would be billed")
    for at, name in enumerate(billing.seconds):
        field = profile.paths.get(name)
        if name in billing.seconds[:at]:
            yield Mistake(("billing", "seconds", at), f"names {name} a second time")
        elif name != "output" and field is None:
            near = nearest(name, ["output", *profile.paths])
            yield Mistake(
                ("billing", "seconds", at), f'is "{name}", which is no field', f"did you mean {near}?" if near else ""
            )
        elif field is not None and "video" not in (field.media, field.items and field.items.media):
            yield Mistake(("billing", "seconds", at), f"is {name}, which is no video")
    if billing.minimum_seconds < 0:
        yield Mistake(("billing", "minimum_seconds"), f"is {billing.minimum_seconds}, but cannot be below 0")


CHECKS: tuple[Callable[[Profile], Iterator[Mistake]], ...] = (
    identity_mistakes,
    source_mistakes,
    field_mistakes,
    role_mistakes,
    rule_mistakes,
    price_mistakes,
    billing_mistakes,
    wording_mistakes,
    speech_mistakes,
    media_mistakes,
    output_mistakes,
)


def _date_mistakes(date: str, path: Path) -> Iterator[Mistake]:
    try:
        day = datetime.date.fromisoformat(date)
    except ValueError:
        yield Mistake(path, f'is "{date}", but must be a day such as 2026-11-22')
        return
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR or str(day) != date:
        yield Mistake(path, f'is "{date}", but must be a day of {_FIRST_YEAR} to {_LAST_YEAR}, such as 2026-11-22')


def _form_mistakes(forms: PromptForms, form: str, wanted: tuple[str, ...]) -> Iterator[Mistake]:
    text = getattr(forms, form)
    if not text:
        if form not in _FORM_OF_ROLE.values():
            yield Mistake(("prompt", form), "is empty")
        return
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as problem:
        yield Mistake(("prompt", form), f"has braces that do not match: {problem}", "write { as {{ and } as }}")
        return
    names = [name for _, name, _, _ in pieces if name is not None]
    for _, name, layout, conversion in pieces:
        if name is not None and (name not in wanted or layout or conversion):
            known = ", ".join(f"{{{each}}}" for each in wanted)
            yield Mistake(("prompt", form), f"has the placeholder {{{name}}}, which is unknown here", f"known: {known}")
    for name in wanted:
        if name not in names:
            yield Mistake(("prompt", form), f"lacks the placeholder {{{name}}}")


def _parts(value: object, path: Path) -> Iterator[tuple[Path, Sheet]]:
    """Walk over every table of a sheet with its path."""
    if isinstance(value, Sheet):
        yield path, value
        for name in value.__struct_fields__:
            yield from _parts(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _parts(inner, (*path, key))
    elif isinstance(value, tuple):
        for at, inner in enumerate(value):
            yield from _parts(inner, (*path, at))
