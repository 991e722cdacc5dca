"""Whether the fields of a sheet can be filled: types, limits, defaults, attributes and roles."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from kling_dsl.profiles import ANY_VALUE, Field, Profile, Value
from kling_dsl.sheets.mistakes import Mistake, Path

OWN_ATTRIBUTES = frozenset(
    {"look", "audio", "aspect", "model", "takes", "with", "start", "end", "type"}
    | {"front", "angles", "video", "voice", "image"}
)
"""The attributes of the language itself, which no sheet may give a second meaning."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ATTRIBUTE = re.compile(r"[a-z][a-z-]*\Z")
_LONGEST_SECONDS = 24 * 60 * 60
_DURATIONS = ("duration", "shot-duration")


class Expected(msgspec.Struct, frozen=True):
    """What a field must be to fill a role: its types, that of its items, its media, the role of the list around it."""

    types: tuple[str, ...]
    items: str | None = None
    media: str | None = None
    inside: str | None = None


EXPECTED: dict[str, Expected] = {
    "prompt": Expected(("string",)),
    "shots": Expected(("list",), items="object"),
    "shot-prompt": Expected(("string",), inside="shots"),
    "shot-duration": Expected(("string", "integer"), inside="shots"),
    "start-frame": Expected(("string",), media="image"),
    "end-frame": Expected(("string",), media="image"),
    "images": Expected(("list",), items="string", media="image"),
    "videos": Expected(("list",), items="string", media="video"),
    "voices": Expected(("list",), items="string"),
    "elements": Expected(("list",), items="object"),
    "element-front": Expected(("string",), media="image", inside="elements"),
    "element-angles": Expected(("list",), items="string", media="image", inside="elements"),
    "element-video": Expected(("string",), media="video", inside="elements"),
    "element-voice": Expected(("string",), inside="elements"),
    "audio": Expected(("boolean",)),
    "duration": Expected(("string", "integer")),
    "shot-type": Expected(("string",)),
    "aspect": Expected(("string",)),
}


def field_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check each field, and the items of each list, by itself."""
    if not profile.fields:
        yield Mistake(("fields",), "is empty")
    attributes: dict[str, str] = {}
    for path, field in fields_by_path(profile):
        name = str(path[-1])
        if not _NAME.match(name):
            yield Mistake(path, "is no name that a request can carry")
        yield from _structure_mistakes(field, path)
        yield from _limit_mistakes(field, path)
        yield from _value_mistakes(field, path)
        yield from _sending_mistakes(field, path)
        if field.attribute is not None:
            yield from _attribute_mistakes(field, path)
            if field.attribute in attributes:
                reason = f'is "{field.attribute}", which {attributes[field.attribute]} has already'
                yield Mistake((*path, "attribute"), reason)
            attributes.setdefault(field.attribute, name)


def role_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check that each role is given once, to a field that can fill it, and that the film's own parts have one."""
    holders: dict[str, str] = {}
    for path, field in fields_by_path(profile):
        if field.role is None:
            continue
        if field.role in holders:
            yield Mistake((*path, "role"), f'is "{field.role}", which {holders[field.role]} has already')
        else:
            holders[field.role] = str(path[-1])
            yield from _role_mistakes(profile, field, path)
    if "prompt" not in holders and "shots" not in holders:
        yield Mistake(("fields",), "give no field the role prompt or shots, so that a film could not be told")
    if "duration" not in holders:
        yield Mistake(("fields",), "give no field the role duration, so that a clip could not be priced")
    if "shots" in holders:
        for role in ("shot-prompt", "shot-duration"):
            if role not in holders:
                yield Mistake(("fields", holders["shots"]), f"has the role shots, but no field inside it is a {role}")
    if "elements" in holders and "element-front" not in holders and "element-video" not in holders:
        reason = "has the role elements, but no field inside it is an element-front or element-video"
        yield Mistake(("fields", holders["elements"]), reason)


def fields_by_path(profile: Profile) -> Iterator[tuple[Path, Field]]:
    """Walk over every field and the items of each list, by path in the sheet: `fields.elements.items.fields.x`."""
    pending: list[tuple[Path, Field]] = [(("fields", name), field) for name, field in profile.fields.items()]
    while pending:
        path, field = pending.pop(0)
        yield path, field
        if field.items is not None:
            pending.append(((*path, "items"), field.items))
        pending += [((*path, "fields", name), inner) for name, inner in field.fields.items()]


def accepts(field: Field, value: Value) -> bool:
    """Say whether a field takes a value, by its type, values and limits; seconds sent as text count as numbers."""
    fits = {
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
    }.get(field.type, False)
    if not fits or (field.values and value not in field.values):
        return False
    if field.type == "string":
        if field.max_characters is not None and len(str(value)) > field.max_characters:
            return False
        if field.min is None and field.max is None:
            return True
        if not re.match(r"[1-9]\d{0,5}\Z", str(value)):
            return False
    elif field.type == "boolean":
        return True
    number = float(value)
    return (field.min is None or number >= field.min) and (field.max is None or number <= field.max)


def choices(field: Field) -> tuple[bool | int | str, ...]:
    """Return every value a field can take, where they can be counted: a boolean, a closed set, whole seconds."""
    if field.type == "boolean":
        return (False, True)
    if field.values:
        return field.values
    if field.min is None or field.max is None or (field.type != "integer" and field.role not in _DURATIONS):
        return ()
    if field.max - field.min > _LONGEST_SECONDS:
        return ()
    numbers = range(int(field.min), int(field.max) + 1)
    return tuple(numbers) if field.type == "integer" else tuple(str(number) for number in numbers)


def _structure_mistakes(field: Field, path: Path) -> Iterator[Mistake]:
    if field.type == "list" and field.items is None:
        yield Mistake(path, "is a list, but lacks `items`, which says of what")
    if field.type != "list" and field.items is not None:
        yield Mistake((*path, "items"), f"stands at a field of type {field.type}; only a list has items")
    if field.type == "object" and not field.fields:
        yield Mistake(path, "is an object, but lacks `fields`")
    if field.type != "object" and field.fields:
        yield Mistake((*path, "fields"), f"stands at a field of type {field.type}; only an object has fields")
    if field.items is not None and field.items.type == "list":
        yield Mistake((*path, "items", "type"), "is list, but a list of lists cannot be filled from a film")
    if field.items is not None and (field.items.role or field.items.attribute or field.items.required):
        yield Mistake((*path, "items"), "has a role, an attribute or `required`, which belong to the list")
    if field.media is not None and field.type != "string":
        yield Mistake(
            (*path, "media"), f"stands at a field of type {field.type}; media are sent as addresses, type string"
        )


def _limit_mistakes(field: Field, path: Path) -> Iterator[Mistake]:
    counted = field.type in ("integer", "number") or (field.type == "string" and field.role in _DURATIONS)
    for key in ("min", "max"):
        limit = getattr(field, key)
        if limit is not None and not counted:
            yield Mistake((*path, key), "bounds a number or the seconds of a duration, and this field is neither")
        elif limit is not None and field.type != "number" and limit != int(limit):
            yield Mistake((*path, key), f"is {limit}, but must be whole here")
    if field.min is not None and field.max is not None and field.min > field.max:
        yield Mistake((*path, "min"), f"is {field.min}, above max, which is {field.max}")
    for key, kind in (("max_characters", "string"), ("min_items", "list"), ("max_items", "list")):
        limit = getattr(field, key)
        if limit is not None and field.type != kind:
            yield Mistake((*path, key), f"stands at a field of type {field.type}; it bounds a {kind}")
        elif limit is not None and limit < (0 if key == "min_items" else 1):
            yield Mistake((*path, key), f"is {limit}, so that nothing could be sent")
    if field.min_items is not None and field.max_items is not None and field.min_items > field.max_items:
        yield Mistake((*path, "min_items"), f"is {field.min_items}, above max_items, which is {field.max_items}")


def _value_mistakes(field: Field, path: Path) -> Iterator[Mistake]:
    for at, value in enumerate(field.values):
        if not accepts(field, value):
            yield Mistake((*path, "values", at), f'is "{value}", which type or limits of the field refuse')
        elif value in field.values[:at]:
            yield Mistake((*path, "values", at), f'is "{value}" a second time')
    if field.default is not None and not accepts(field, field.default):
        yield Mistake((*path, "default"), f'is "{field.default}", which type, values or limits of the field refuse')
    for value in field.doubtful:
        if value != ANY_VALUE and value not in [str(known) for known in field.values]:
            yield Mistake((*path, "doubtful", value), "is no value of the field")


def _sending_mistakes(field: Field, path: Path) -> Iterator[Mistake]:
    """Check that something fills the field: a role, an attribute, or a default that is always sent."""
    if path[-1] == "items" and path[-2] != "fields":
        return
    if (
        field.send == "always"
        and field.default is None
        and field.role not in ("shot-prompt", "shot-duration", "duration")
    ):
        yield Mistake((*path, "send"), "is always, but the field lacks a default to send when a film says nothing")
    if field.role is None and field.attribute is None and not (field.send == "always" and field.default is not None):
        yield Mistake(path, "has no role, no attribute and no default that is always sent, so that nothing fills it")


def _attribute_mistakes(field: Field, path: Path) -> Iterator[Mistake]:
    where = (*path, "attribute")
    if not _ATTRIBUTE.match(str(field.attribute)):
        yield Mistake(where, f'is "{field.attribute}", but an attribute has only a-z and -')
    elif field.attribute in OWN_ATTRIBUTES:
        yield Mistake(where, f'is "{field.attribute}", which the language uses itself', "choose another word")
    if field.role is not None:
        yield Mistake(where, f"stands beside the role {field.role}; a field has one of the two")
    if field.type in ("list", "object") or len(path) > 2:
        yield Mistake(where, "can name only a single value at the top of the request")


def _role_mistakes(profile: Profile, field: Field, path: Path) -> Iterator[Mistake]:
    where = (*path, "role")
    wanted = EXPECTED[str(field.role)]
    if field.type not in wanted.types:
        yield Mistake(where, f"is {field.role}, which needs the type {' or '.join(wanted.types)}, not {field.type}")
        return
    if wanted.items and field.items is not None and field.items.type != wanted.items:
        yield Mistake(where, f"is {field.role}, which needs items of type {wanted.items}, not {field.items.type}")
    media = field.items.media if wanted.items and field.items is not None else field.media
    if wanted.media is not None and media != wanted.media:
        yield Mistake(where, f'is {field.role}, which needs media = "{wanted.media}"')
    around = profile.roles.get(wanted.inside) if wanted.inside else None
    if wanted.inside and (around is None or path[:-1] != ("fields", around, "items", "fields")):
        yield Mistake(where, f"is {field.role}, which stands inside the field with the role {wanted.inside}")
    elif not wanted.inside and len(path) > 2:
        yield Mistake(where, f"is {field.role}, which stands at the top of the request")
    if field.role in _DURATIONS and not choices(field):
        yield Mistake(where, f"is {field.role}, which needs min and max, or values, in whole seconds")
    if field.role in ("aspect", "shot-type") and not field.values:
        yield Mistake(where, f"is {field.role}, which needs values")
