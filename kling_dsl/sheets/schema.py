"""JSON Schemas made from the sheets: of one model's request, and of the sheet format itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from kling_dsl.profiles import AtMost, ExactlyOne, Excludes, Field, Profile, Requires, Rule
from kling_dsl.sheets.field_sense import choices

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MOST_COMBINATIONS = 200
"""Above this many ways to stay under a weighed limit, the schema leaves the limit to the compiler and says so."""

_Schema = dict[str, Any]


def json_schema(profile: Profile) -> _Schema:
    """Return the JSON Schema (2020-12) of the arguments that a model's endpoint takes; unknown keys are refused.

    Rules that are only warnings, and those that JSON Schema cannot say, stand as words under `$comment`.
    """
    schema = {
        "$schema": DIALECT,
        "$id": f"urn:kling-dsl:request:{profile.name}",
        "title": profile.title,
        "description": f"The arguments of {profile.endpoint}.",
        **_object(profile.fields),
    }
    unsaid: list[str] = []
    for rule in profile.rules:
        place = _place(profile, schema, _scope(rule))
        said = None if rule.severity != "error" or place is None else _rule(place[0], rule)
        if place is None or said is None:
            unsaid.append(f"{rule.slug} ({rule.severity}): {rule.because}")
        else:
            place[1].setdefault("allOf", []).append(said)
    if unsaid:
        schema["$comment"] = "Not said by this schema: " + "; ".join(unsaid)
    return schema


def sheet_json_schema() -> _Schema:
    """Return the JSON Schema (2020-12) of a model sheet, as its TOML reads."""
    schema = _plain(msgspec.json.schema(Profile))
    assert isinstance(schema, dict)
    return {"$schema": DIALECT, "$id": "urn:kling-dsl:model-sheet:1", "title": "Model sheet", **schema}


def _object(fields: dict[str, Field]) -> _Schema:
    schema: _Schema = {
        "type": "object",
        "properties": {name: _field(field) for name, field in fields.items()},
        "additionalProperties": False,
    }
    required = [name for name, field in fields.items() if field.required]
    if required:
        schema["required"] = required
    return schema


def _field(field: Field) -> _Schema:
    if field.type == "object":
        return _object(field.fields)
    schema: _Schema = {"type": "array" if field.type == "list" else field.type}
    if field.items is not None:
        schema["items"] = _field(field.items)
    if field.type == "string" and choices(field):
        schema["enum"] = list(choices(field))
    elif field.values:
        schema["enum"] = list(field.values)
    if field.type in ("integer", "number"):
        bounds = {"minimum": field.min, "maximum": field.max}
        schema |= {key: _number(limit) for key, limit in bounds.items() if limit is not None}
    counts = {"maxLength": field.max_characters, "minItems": field.min_items, "maxItems": field.max_items}
    schema |= {key: limit for key, limit in counts.items() if limit is not None}
    if field.media:
        schema["format"] = "uri"
    if field.default is not None:
        schema["default"] = field.default
    return schema


def _number(value: Any) -> int | float:
    return int(value) if value == int(value) else float(value)


def _rule(fields: dict[str, Field], rule: Rule) -> _Schema | None:
    """Return what a rule demands of the table with these fields, or None when JSON Schema cannot say it."""
    inside = len(_scope(rule)) + 1 if _scope(rule) else 0
    if isinstance(rule, ExactlyOne):
        return {"oneOf": [_present(fields, name[inside:]) for name in rule.of]}
    if isinstance(rule, Requires):
        needs = [_present(fields, name[inside:]) for name in rule.needs]
        return {"if": _present(fields, rule.field[inside:]), "then": needs[0] if len(needs) == 1 else {"anyOf": needs}}
    if isinstance(rule, Excludes):
        others = [_present(fields, name[inside:]) for name in rule.others]
        return {"if": _present(fields, rule.field[inside:]), "then": {"not": {"anyOf": others}}}
    if isinstance(rule, AtMost):
        return _at_most(fields, rule)
    return None


def _scope(rule: Rule) -> str:
    """Return the list whose items a rule speaks of one by one, empty for a rule on the whole request."""
    if isinstance(rule, ExactlyOne):
        names = rule.of
    elif isinstance(rule, Requires):
        names = (rule.field, *rule.needs)
    elif isinstance(rule, Excludes):
        names = (rule.field, *rule.others)
    else:
        return ""
    scopes = {name.rpartition(".")[0] for name in names}
    return scopes.pop() if len(scopes) == 1 else ""


def _place(profile: Profile, schema: _Schema, scope: str) -> tuple[dict[str, Field], _Schema] | None:
    """Return the fields of the table that a rule speaks of, and the schema of that table."""
    fields = profile.fields
    for name in scope.split(".") if scope else ():
        field = fields[name]
        schema = schema["properties"][name]
        if field.items is not None:
            field, schema = field.items, schema["items"]
        if not field.fields:
            return None
        fields = field.fields
    return fields, schema


def _present(fields: dict[str, Field], name: str) -> _Schema:
    """Demand that a field is sent: itself, inside an object, or in at least one item of a list."""
    outer, _, inner = name.partition(".")
    if not inner:
        return {"required": [outer]}
    items = fields[outer].items
    if items is None:
        return {"required": [outer], "properties": {outer: _present(fields[outer].fields, inner)}}
    return {"required": [outer], "properties": {outer: {"contains": _present(items.fields, inner)}}}


def _at_most(fields: dict[str, Field], rule: AtMost) -> _Schema | None:
    ways = list(itertools.islice(_ways(list(rule.counts.values()), rule.max), _MOST_COMBINATIONS + 1))
    if len(ways) > _MOST_COMBINATIONS:
        return None
    names = list(rule.counts)
    options = [{"allOf": [_few(fields, name, count) for name, count in zip(names, way, strict=True)]} for way in ways]
    limit: _Schema = options[0] if len(options) == 1 else {"anyOf": options}
    if not rule.given:
        return limit
    return {"if": {"anyOf": [_present(fields, name) for name in rule.given]}, "then": limit}


def _ways(weights: list[int], most: int) -> Iterator[tuple[int, ...]]:
    """Yield the largest counts of each kind that stay under a weighed limit together."""
    if len(weights) == 1:
        yield (most // weights[0],)
        return
    for count in range(most // weights[0] + 1):
        for rest in _ways(weights[1:], most - count * weights[0]):
            yield (count, *rest)


def _few(fields: dict[str, Field], name: str, count: int) -> _Schema:
    """Demand that a list, a single field, or a field inside a list is there `count` times at most."""
    outer, _, inner = name.partition(".")
    items = fields[outer].items
    if inner and items is not None:
        found = {"contains": _present(items.fields, inner), "minContains": 0, "maxContains": count}
        return {"properties": {outer: found}}
    if items is not None:
        return {"properties": {outer: {"maxItems": count}}}
    return {} if count else {"not": _present(fields, name)}


def _plain(value: Any) -> Any:
    """Rewrite msgspec's schema into what TOML holds: decimals are numbers, and there is no null."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("format") == "decimal":
        return {"type": "number"}
    options = value.get("anyOf")
    if options and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        kept = {key: item for key, item in value.items() if key not in ("anyOf", "default")}
        return _plain({**kept, **rest[0]} if len(rest) == 1 else {**kept, "anyOf": rest})
    found = {key: _plain(item) for key, item in value.items() if not (key == "default" and item is None)}
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].split())
    return found
