"""The models that a film can name, as tables for people and as JSON: prices, limits, rules and where they were read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from kling_dsl import profiles as sheet
from kling_dsl.profiles import Field, Price, Profile, Rule
from kling_dsl.reports.palette import PLAIN, Palette
from kling_dsl.sheets.field_sense import choices

_GAP = "  "
_BUILTIN = "builtin"
_LEAST_WIDTH = 60
"""Columns below which lines are no longer made shorter; a terminal may still break them."""

_REFERENCE_ROLES = ("elements", "images", "videos")


class Row(msgspec.Struct, frozen=True):
    """What the list of models says of one: prices per second, cheapest first, and the oldest day they were read."""

    name: str
    title: str
    endpoint: str
    origin: str
    """The project's file that gives the model, or `builtin`."""
    usd_per_second: tuple[Decimal, ...]
    price_date: str
    seconds: tuple[int, ...]
    references: int | None
    """How many references a request binds at most: 0 when the model takes none, None when no limit is known."""
    drafts: tuple[str, ...]


def row_of(profile: Profile, path: str | None) -> Row:
    """Gather the row of one model; `path` is the project's file that gives it, None for a builtin one."""
    prices = sorted({price.usd_per_second for price in profile.prices})
    dates = [profile.sources[price.source].date for price in profile.prices]
    duration = profile.paths[profile.roles["duration"]]
    seconds = tuple(sorted(int(choice) for choice in choices(duration)))
    return Row(
        profile.name,
        profile.title,
        profile.endpoint,
        path or _BUILTIN,
        tuple(prices),
        min(dates),
        seconds,
        reference_cap(profile),
        profile.drafts,
    )


def reference_cap(profile: Profile) -> int | None:
    """Return how many references a request binds at most whatever else it sends; None when no limit is known."""
    roles = [profile.roles[role] for role in _REFERENCE_ROLES if role in profile.roles]
    if not roles:
        return 0
    caps = [
        rule.max // min(rule.counts.values())
        for rule in profile.rules
        if isinstance(rule, sheet.AtMost)
        and not rule.given
        and rule.severity == "error"
        and set(roles) <= {*rule.counts}
    ]
    limits = [profile.paths[name].max_items for name in roles]
    known = [limit for limit in limits if limit is not None]
    if len(known) == len(limits):
        caps.append(sum(known))
    return min(caps, default=None)


def models_json(rows: list[Row]) -> str:
    """Return the list of models as JSON, money as strings."""
    return _json(rows)


def model_json(profile: Profile, path: str | None) -> str:
    """Return one whole sheet as JSON with `origin` beside its keys, decimals as strings."""
    return _json({"origin": path or _BUILTIN, **msgspec.to_builtins(profile)})


def schema_json(schema: dict[str, object]) -> str:
    """Return a JSON Schema as indented JSON."""
    return _json(schema)


def render_models(rows: list[Row], *, width: int = 100, palette: Palette = PLAIN) -> str:
    """Return the table of all models; where it would be wider than `width`, each endpoint gets a line of its own."""
    heads = ("MODEL", "USD PER SECOND", "PRICE READ", "SECONDS", "REFERENCES", "ENDPOINT")
    lines = [heads, *(_cells(row) for row in rows)]
    columns = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    wide = sum(columns) + len(_GAP) * (len(heads) - 1) <= width
    text: list[str] = []
    for at, line in enumerate(lines):
        shown = line if wide else line[:-1]
        words = _GAP.join(cell.ljust(column) for cell, column in zip(shown, columns, strict=False)).rstrip()
        text.append(palette.paint(words, palette.strong) if at == 0 else words)
        if at and not wide:
            text.append(f"{_GAP}{line[-1]}")
    for row in rows:
        if row.origin != _BUILTIN:
            text.append(
                f"{'' if text[-1].startswith('*') else chr(10)}* {row.name} is this project's own: {row.origin}"
            )
    return "\n".join(text) + "\n"


def render_model(profile: Profile, path: str | None, *, width: int = 100, palette: Palette = PLAIN) -> str:
    """Return one sheet in words: prices, fields with limits, rules with reasons, media, output and sources."""
    width = max(width, _LEAST_WIDTH)
    row = row_of(profile, path)
    parts = [
        (f"{profile.name}: {profile.title}", _identity(profile, row)),
        (f"Prices, in US dollars per second of {' and '.join(profile.billing.seconds)}", _prices(profile)),
        ("Fields, in the order they are sent", _fields(profile.fields, 0)),
        ("Rules", _rules(profile)),
        ("How a prompt is worded", _wording(profile)),
        ("Media that are sent", _media(profile)),
        ("The clip", _output(profile)),
        ("Sources", _sources(profile)),
    ]
    blocks: list[str] = []
    for title, entries in parts:
        block = [_laid_out(label, words, width) for label, words in entries]
        if block:
            blocks.append("\n".join([palette.paint(title, palette.strong), *block]))
    return "\n\n".join(blocks) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    prices = ", ".join(str(price) for price in row.usd_per_second)
    references = "-" if row.references == 0 else str(row.references or "no limit")
    name = row.name if row.origin == _BUILTIN else f"{row.name} *"
    return name, prices, row.price_date, _range(row.seconds), references, row.endpoint


def _range(numbers: tuple[int, ...]) -> str:
    """Write 3, 4, 5 as `3-5`, and numbers with gaps one by one."""
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))


_Entries = Iterator[tuple[str, str]]


def _identity(profile: Profile, row: Row) -> _Entries:
    yield "endpoint", profile.endpoint
    yield "sheet", row.origin
    yield "seconds", _range(row.seconds)
    yield "references", {None: "no known limit", 0: "none"}.get(row.references, f"at most {row.references}")
    if profile.drafts:
        yield "drafts", f"{', '.join(profile.drafts)} (cheaper, for the same requests)"


def _prices(profile: Profile) -> _Entries:
    for at, price in enumerate(profile.prices):
        day = profile.sources[price.source].date
        yield str(price.usd_per_second), f"{_condition(price, at)} ({price.confidence}, {price.source} of {day})"
    if profile.billing.minimum_seconds:
        yield "", f"at least {profile.billing.minimum_seconds} seconds are billed"


def _condition(price: Price, at: int) -> str:
    words = [f"{name} = {_value(value)}" for name, value in price.when.items()]
    words += [f"{name} is sent" for name in price.given]
    return "when " + " and ".join(words) if words else "otherwise" if at else "always"


def _fields(fields: dict[str, Field], depth: int) -> _Entries:
    for name, field in fields.items():
        yield _GAP * depth + name, f"{_described(field)} ({field.confidence}, {field.source})"
        for value, reason in field.doubtful.items():
            yield "", f"{value} draws a warning: {reason}"
        yield from _fields(field.fields or (field.items.fields if field.items else {}), depth + 1)


def _described(field: Field) -> str:
    kinds = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    words = [f"{field.media} address" if field.media else kinds.get(field.type, field.type)]
    if field.items is not None:
        inner = f"{field.items.media} addresses" if field.items.media else f"{kinds.get(field.items.type, 'table')}s"
        words = [f"list of {inner.replace('objects', 'tables')}"]
    if field.values:
        words.append(f"one of {', '.join(map(_value, field.values))}")
    if field.min is not None or field.max is not None:
        unit = " seconds" if field.type == "string" else ""
        words.append(f"{_span(field.min, field.max)}{unit}")
    if field.min_items is not None or field.max_items is not None:
        words.append(f"{_span(field.min_items, field.max_items)} items")
    if field.max_characters is not None:
        words.append(f"at most {field.max_characters} characters")
    if field.default is not None:
        words.append(f"default {_value(field.default)}")
    words += ["required"] if field.required else []
    words += ["always sent"] if field.send == "always" else []
    words += [f"written as {field.attribute}:"] if field.attribute else []
    return ", ".join(words)


def _span(least: object, most: object) -> str:
    if least is None:
        return f"at most {most}"
    return f"at least {least}" if most is None else f"{least} to {most}"


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, bool | str) else str(value)


def _rules(profile: Profile) -> _Entries:
    for rule in profile.rules:
        day = profile.sources[rule.source].date
        yield rule.slug, f"{rule.severity}: {_demand(rule)} ({rule.confidence}, {rule.source} of {day})"
        yield "", rule.because


def _demand(rule: Rule) -> str:
    if isinstance(rule, sheet.ExactlyOne):
        return f"exactly one of {', '.join(rule.of)}"
    if isinstance(rule, sheet.AtMost):
        counted = [name if weight == 1 else f"{weight} x {name}" for name, weight in rule.counts.items()]
        when = f" when {' or '.join(rule.given)} is sent" if rule.given else ""
        return f"at most {rule.max} {rule.noun} ({' + '.join(counted)}){when}"
    if isinstance(rule, sheet.Requires):
        return f"{rule.field} needs {' or '.join(rule.needs)}"
    if isinstance(rule, sheet.Excludes):
        return f"{rule.field} not with {' or '.join(rule.others)}"
    if isinstance(rule, sheet.SumEquals):
        return f"{rule.of} add up to {rule.total}"
    if isinstance(rule, sheet.TotalSeconds):
        return f"{rule.of} last {_span(rule.min, rule.max)} seconds together"
    return f"{rule.field} is ignored with {' or '.join(rule.given)}"


def _wording(profile: Profile) -> _Entries:
    for form in msgspec.structs.fields(profile.prompt):
        value = getattr(profile.prompt, form.name)
        if value and form.name != "source":
            yield form.name.replace("_", " "), ", ".join(value) if isinstance(value, tuple) else value


def _media(profile: Profile) -> _Entries:
    for name in ("image", "video"):
        limits = getattr(profile.media, name)
        if limits is None:
            continue
        doubtful = f" ({', '.join(limits.doubtful_kinds)} with a warning)" if limits.doubtful_kinds else ""
        yield name, f"{', '.join(limits.kinds)}{doubtful}, at most {limits.max_bytes} bytes ({limits.source})"
        for key in limits.__struct_fields__:
            if not key.startswith("min_"):
                continue
            most = getattr(limits, f"max_{key[4:]}", None)
            yield "", f"{key[4:].replace('_', ' ')} {_span(getattr(limits, key), most)}"


def _output(profile: Profile) -> _Entries:
    output = profile.output
    yield (
        "file",
        f"{output.container}, {output.frames_per_second} frames per second ({output.confidence}, {output.source})",
    )
    for aspect, (width, height) in output.sizes.items():
        yield aspect, f"{width} x {height} pixels"
    if profile.speech is not None:
        speech = profile.speech
        spoken = f"{', '.join(speech.languages)}, at most {speech.words_per_second} English words per second"
        yield "speech", f"{spoken} ({speech.confidence}, {speech.source})"


def _sources(profile: Profile) -> _Entries:
    for key, source in profile.sources.items():
        yield key, f"{source.title}, read on {source.date}"
        yield "", source.url


def _laid_out(label: str, words: str, width: int) -> str:
    """Lay out an entry: the label in a column of its own, the words wrapped beside it, or below a long label."""
    column = 24
    indent = " " * (len(_GAP) + column)
    text = textwrap.fill(
        words, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    if len(label) >= column:
        return f"{_GAP}{label}\n{text}"
    return f"{_GAP}{label.ljust(column)}{text.lstrip()}" if label else text


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
