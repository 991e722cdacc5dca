"""Says of a request what the real service would say of it, from the model's sheet."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import jsonschema_rs
import msgspec

from kling_dsl.calls import shape_of, values_at
from kling_dsl.costs import Pricer
from kling_dsl.profiles import Field, Profile, SumEquals, TotalSeconds
from kling_dsl.sandbox.mistakes import Mistake, Place, check_media
from kling_dsl.sheets.schema import json_schema
from kling_dsl.world import Media

FindMedia = Callable[[str], Media | str | None]
"""Answers for an address: what lies there, why nothing does, or None when it is not ours and never looked at."""

_MOST_MISTAKES = 20
_TYPES = {
    "required": "missing",
    "enum": "literal_error",
    "maxLength": "string_too_long",
    "minItems": "too_short",
    "maxItems": "too_long",
    "minimum": "greater_than_equal",
    "maximum": "less_than_equal",
}
_JSON_TYPES = {"array": "list", "object": "dict", "boolean": "bool", "integer": "int", "number": "float"}


class Verdict(msgspec.Struct, frozen=True):
    """What became of a request: its known and default arguments, its mistakes, its price and length."""

    arguments: dict[str, Any]
    mistakes: tuple[Mistake, ...]
    ignored: tuple[str, ...]
    seconds: int
    cost_usd: Decimal
    billed_seconds: Decimal


class Judge:
    """Judges the requests of one model."""

    def __init__(self, profile: Profile, find_media: FindMedia) -> None:
        self.profile = profile
        self._find_media = find_media
        self._schema = jsonschema_rs.Draft202012Validator(json_schema(profile))
        self._pricer = Pricer(profile)
        self._tags = tuple(_tag_forms(profile))
        self._defaults = {name: field.default for name, field in profile.fields.items() if field.default is not None}

    def judge(self, body: Any) -> Verdict:
        """Return the verdict on the input of a job, which may be any JSON."""
        if not isinstance(body, dict):
            mistake = Mistake(("body",), "Input should be a valid dictionary", "dict_type", body)
            return Verdict({}, (mistake,), (), 0, Decimal(0), Decimal(0))
        ignored: list[str] = []
        given = _known(body, self.profile.fields, ("",), ignored)
        arguments = {**self._defaults, **given}
        mistakes = tuple(itertools.islice(self._find_mistakes(given, arguments), _MOST_MISTAKES))
        if mistakes:
            return Verdict(arguments, mistakes, tuple(ignored), self._seconds(arguments), Decimal(0), Decimal(0))
        cost = self._pricer.price(arguments, shape_of(arguments), self._video_seconds(arguments))
        usd, billed = (Decimal(0), Decimal(0)) if cost is None else (cost.usd, cost.billed_seconds)
        return Verdict(arguments, (), tuple(ignored), self._seconds(arguments), usd, billed)

    def _find_mistakes(self, given: dict[str, Any], arguments: dict[str, Any]) -> Iterator[Mistake]:
        try:
            problems = [_word(problem) for problem in itertools.islice(self._schema.iter_errors(given), _MOST_MISTAKES)]
        except ValueError as problem:
            # The validator refuses to follow lists in lists without end.
            problems = [Mistake(("body",), f"the input cannot be read: {problem}", "value_error")]
        if problems:
            # What follows reads the arguments as the schema promises them.
            yield from problems
            return
        yield from self._check_sums(arguments)
        yield from self._check_lengths(arguments)
        yield from self._check_tags(arguments)
        for place, kind, address in _addresses(given, self.profile.fields, ("body",)):
            yield from self._check_address(place, kind, address)

    def _check_sums(self, arguments: dict[str, Any]) -> Iterator[Mistake]:
        for rule in self.profile.rules:
            if not isinstance(rule, SumEquals) or rule.severity != "error":
                continue
            parts = values_at(arguments, rule.of)
            totals = values_at(arguments, rule.total)
            if parts and totals and sum(map(int, parts)) != int(totals[0]):
                words = f"the shots last {sum(map(int, parts))} seconds together, and {rule.total} is {totals[0]}"
                yield Mistake(("body", rule.total), words, "value_error", totals[0])

    def _check_lengths(self, arguments: dict[str, Any]) -> Iterator[Mistake]:
        """Yield rules on how long the videos are together; one that is not ours is never fetched, and counts nothing."""
        for rule in self.profile.rules:
            if not isinstance(rule, TotalSeconds) or rule.severity != "error":
                continue
            found = [self._find_media(address) for address in values_at(arguments, rule.of)]
            lengths = [Decimal(str(media.seconds)) for media in found if isinstance(media, Media) and media.seconds]
            total = sum(lengths, Decimal(0))
            if lengths and not (rule.min or 0) <= total <= (total if rule.max is None else rule.max):
                words = f"the videos of {rule.of} last {total} seconds together: {rule.because}"
                yield Mistake(("body", rule.of), words, "value_error")

    def _check_tags(self, arguments: dict[str, Any]) -> Iterator[Mistake]:
        for path in ("prompt", "shot-prompt"):
            for text in values_at(arguments, self.profile.roles[path]) if path in self.profile.roles else ():
                for form, list_path, noun in self._tags:
                    count = len(values_at(arguments, list_path))
                    for tag in form.finditer(text):
                        if not 1 <= int(tag[1][:9]) <= count:
                            words = f"{tag[0]} names nothing: the request has {count} {noun}"
                            yield Mistake(("body", self.profile.roles[path]), words, "value_error", text)

    def _check_address(self, place: Place, kind: str, address: str) -> Iterator[Mistake]:
        if not address.startswith(("https://", "http://", "data:")):
            yield Mistake(place, f"this is no address that could be fetched: {address[:200]}", "file_download_error")
            return
        media = self._find_media(address)
        if isinstance(media, str):
            yield Mistake(place, media, "file_download_error", address)
        elif media is not None:
            yield from check_media(place, kind, media, self.profile, address)

    def _video_seconds(self, arguments: dict[str, Any]) -> Mapping[str, Decimal]:
        """Return the lengths of the input videos; one that is not ours is never fetched, and counts nothing."""
        found: dict[str, Decimal] = {}
        for _, kind, address in _addresses(arguments, self.profile.fields, ("body",)):
            media = self._find_media(address) if kind == "video" else None
            known = media.seconds if isinstance(media, Media) else None
            found[address] = Decimal(str(known or 0))
        return found

    def _seconds(self, arguments: dict[str, Any]) -> int:
        length = arguments.get(self.profile.roles["duration"])
        text = str(length) if isinstance(length, (str, int)) and not isinstance(length, bool) else ""
        return int(text) if text.isdecimal() and len(text) < 4 else 0


def _known(
    value: dict[str, Any], fields: Mapping[str, Field], path: tuple[str, ...], ignored: list[str]
) -> dict[str, Any]:
    """Return what fields of the sheet take; a null is not given, and unknown keys are noted, as the service skips them."""
    kept: dict[str, Any] = {}
    for name, part in value.items():
        field = fields.get(name)
        here = (*path, name)
        if field is None:
            ignored.append(".".join(here).lstrip("."))
        elif field.type == "object" and isinstance(part, dict):
            kept[name] = _known(part, field.fields, here, ignored)
        elif field.items is not None and field.items.fields and isinstance(part, list):
            inner = field.items.fields
            kept[name] = [_known(item, inner, here, ignored) if isinstance(item, dict) else item for item in part]
        elif part is not None:
            kept[name] = part
    return kept


def _addresses(value: Mapping[str, Any], fields: Mapping[str, Field], place: Place) -> Iterator[tuple[Place, str, str]]:
    """Yield place, kind and address of every medium in arguments that the schema has found in order."""
    for name, part in value.items():
        field = fields[name]
        parts = enumerate(part) if isinstance(part, list) else [(None, part)]
        inner = field.items if field.items is not None else field
        for at, item in parts:
            here = (*place, name) if at is None else (*place, name, at)
            if isinstance(item, dict):
                yield from _addresses(item, inner.fields, here)
            elif inner.media is not None and isinstance(item, str) and item:
                yield here, inner.media, item


def _tag_forms(profile: Profile) -> Iterator[tuple[re.Pattern[str], str, str]]:
    """Yield the pattern of each kind of tag, with the list it counts in and what the list holds."""
    forms = {
        "elements": profile.prompt.element,
        "images": profile.prompt.image,
        "videos": profile.prompt.video,
        "voices": profile.prompt.voice,
    }
    for role, form in forms.items():
        if role in profile.roles and "{n}" in form:
            before, _, after = form.partition("{n}")
            yield re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}"), profile.roles[role], role


def _word(problem: jsonschema_rs.ValidationError) -> Mistake:
    """Put a problem of the schema into the form in which the service reports it."""
    place: Place = ("body", *problem.instance_path)
    keyword = problem.kind.name
    kind = _TYPES.get(keyword, "value_error")
    if keyword == "type":
        wanted = str(problem.kind.as_dict()["types"][0])
        kind = f"{_JSON_TYPES.get(wanted, wanted)}_type"
    return Mistake(place, problem.message[:500], kind, problem.instance)
