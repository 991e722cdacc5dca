"""Reads the rows and values that templates are filled with: CSV, JSON, JSON Lines and TOML."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation

from kling_dsl.diagnostics import Diagnostic, error
from kling_dsl.source import Span, span_of_offsets

Parsed = tuple[object | None, tuple[Diagnostic, ...]]

MAX_NUMBER_DIGITS = 1000
"""The longest number, and the largest power of ten, that a data file may hold."""
MAX_DIAGNOSTICS = 20
"""How many mistakes of one file are named."""
TOO_MANY_DIGITS = f"a number may have {MAX_NUMBER_DIGITS:,} digits, no more"
LONG_NUMBER = re.compile(rf"(?<!\w)\d\w{{{MAX_NUMBER_DIGITS * 4 // 5},}}")
"""What may be a number of too many digits: written to the base 16, it has fewer."""
FIELD = re.compile(r'"(?:[^"]|"")*"|[^,\n]*')


class BadValue(ValueError):
    """A value that the format allows and a film cannot use."""


def parse_data(text: str, *, path: str) -> Parsed:
    """Return what a data file holds, by the suffix of its name, or None and the diagnostics that say why not.

    CSV gives a list of mappings by column, all texts; JSON Lines a list; JSON and TOML what they say, with `Decimal`
    for numbers that are not whole.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    suffix = posixpath.splitext(path)[1].lower()
    reader = READERS.get(suffix)
    if reader is None:
        known = ", ".join(READERS)
        return None, (bad(f"a data file ends in one of {known}", Span(path, 1, 1, 1, 1)),)
    if not text.strip():
        return None, (bad("this data file is empty", Span(path, 1, 1, 1, 1)),)
    return reader(text, path)


def bad(message: str, span: Span, *, hint: str = "") -> Diagnostic:
    """Build the diagnostic of a data file that cannot be used."""
    return error("bad-data", message, span, hint=hint)


def at(text: str, path: str, start: int, end: int) -> Span:
    """Return the span of `text[start:end]` in a data file."""
    return span_of_offsets(text, start, min(end, len(text)), line=1).moved(path, 0)


def parse_csv(text: str, path: str) -> Parsed:
    """Return the rows of a CSV file as mappings from column to text."""
    import csv
    import io

    starts = [0]
    for found in re.finditer("\n", text):
        starts.append(found.end())
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[dict[str, str]] = []
    problems: list[Diagnostic] = []
    named = at(text, path, 0, 0)
    first = 0
    try:
        for record in reader:
            start, first = starts[first], reader.line_num
            if not record:
                continue
            end = starts[first] - 1 if first < len(starts) else len(text)
            if not header:
                header = [name.strip() for name in record]
                named = at(text, path, start, end)
                problems += check_header(header, text, path, start)
            elif len(record) != len(header):
                message = f"this row has {count(len(record), 'value')}, but the first line names {len(header)}"
                hint = 'a value that contains a comma is written in quotes: "a, b"'
                problems.append(bad(message, at(text, path, start, max(end, start)), hint=hint))
            else:
                rows.append(dict(zip(header, record, strict=True)))
    except csv.Error as failure:
        start = starts[min(first, len(starts) - 1)]
        end = text.find("\n", start)
        reason = "a quoted value is never closed" if "end of data" in str(failure) else str(failure)
        span = at(text, path, start, end if end >= 0 else len(text))
        problems.append(bad(f"this row cannot be read: {reason}", span))
    if not rows and not problems:
        problems.append(bad("this file names columns but has no rows", named))
    return (None if problems else rows), tuple(problems[:MAX_DIAGNOSTICS])


def check_header(header: list[str], text: str, path: str, start: int) -> list[Diagnostic]:
    """Report columns without a name and names that come twice."""
    problems: list[Diagnostic] = []
    seen: set[str] = set()
    position = start
    for index, name in enumerate(header):
        if len(problems) >= MAX_DIAGNOSTICS:
            break
        found = FIELD.match(text, position)
        end = found.end() if found else position
        if not name:
            problems.append(bad(f"column {index + 1} has no name", at(text, path, position, max(end, position + 1))))
        elif name in seen:
            problems.append(bad(f"two columns are named {name!r}", at(text, path, position, end)))
        seen.add(name)
        position = end + 1
    return problems


def parse_json(text: str, path: str) -> Parsed:
    """Return the value of a JSON file."""
    return decode_json(text, text, path, 0)


def parse_lines(text: str, path: str) -> Parsed:
    """Return the values of a JSON Lines file as a list."""
    values: list[object] = []
    problems: list[Diagnostic] = []
    start = 0
    for line in text.split("\n"):
        if line.strip():
            value, found = decode_json(line, text, path, start)
            values.append(value)
            problems += found
            if len(problems) >= MAX_DIAGNOSTICS:
                break
        start += len(line) + 1
    return (None if problems else values), tuple(problems)


def decode_json(part: str, text: str, path: str, start: int) -> Parsed:
    """Return the value of `part`, which stands at offset `start` of the file."""
    import json

    try:
        value = json.loads(
            part,
            parse_float=decimal,
            parse_int=whole_number,
            parse_constant=refuse_constant,
            object_pairs_hook=mapping,
        )
        refuse_surrogates(part, value)
    except json.JSONDecodeError as failure:
        place = start + failure.pos
        return None, (bad(f"this is no JSON: {failure.msg}", at(text, path, place, place + 1)),)
    except RecursionError:
        return None, (
            bad("the lists and mappings of this file lie too deep in one another", at(text, path, start, start + 1)),
        )
    except ValueError as failure:
        end = start + len(part.split("\n", 1)[0])
        where = part.find(failure.args[1]) if len(failure.args) > 1 else -1
        if where >= 0:
            return None, (bad(failure.args[0], at(text, path, start + where, start + where + len(failure.args[1]))),)
        return None, (bad(str(failure.args[0]), at(text, path, start, end)),)
    return value, ()


def parse_toml(text: str, path: str) -> Parsed:
    """Return the value of a TOML file."""
    import tomllib

    try:
        value = tomllib.loads(text, parse_float=decimal)
        refuse_long_numbers(text, value)
    except tomllib.TOMLDecodeError as failure:
        message, _, place = str(failure).rpartition(" (at ")
        found = re.match(r"line (\d+), column (\d+)", place)
        line, column = (int(found[1]), int(found[2])) if found else end_of(text)
        return None, (bad(f"this is no TOML: {message}", Span(path, line, column, line, column + 1)),)
    except RecursionError:
        return None, (bad("the lists and tables of this file lie too deep in one another", Span(path, 1, 1, 1, 2)),)
    except BadValue as failure:
        message, word = failure.args
        where = text.index(word)
        return None, (bad(message, at(text, path, where, where + len(word))),)
    except ValueError:
        # Python itself reads no whole number of more than 4,300 digits.
        found = LONG_NUMBER.search(text)
        start, end = found.span() if found else (0, 1)
        return None, (bad(TOO_MANY_DIGITS, at(text, path, start, end)),)
    return value, ()


def end_of(text: str) -> tuple[int, int]:
    """Return the line and column behind the last character."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def decimal(text: str) -> Decimal:
    """Return a number that is not whole; raises `BadValue`."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadValue("this number is too large or too near to 0", text) from None
    if not value.is_finite():
        raise BadValue("this is no number that a film can use", text)
    if abs(value.adjusted()) > MAX_NUMBER_DIGITS or len(text) > MAX_NUMBER_DIGITS:
        raise BadValue("this number is too large or too near to 0", text)
    return value


def whole_number(text: str) -> int:
    """Return a whole number; raises `BadValue`."""
    if len(text) > MAX_NUMBER_DIGITS:
        raise BadValue(TOO_MANY_DIGITS, text)
    return int(text)


def refuse_constant(text: str) -> object:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise BadValue(f"{text} is no number that a film can use", text)


def mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object; raises `BadValue` for a name that comes twice."""
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BadValue(f"the name {name!r} comes twice in one mapping", f'"{name}"')
            seen.add(name)
    return value


def refuse_long_numbers(text: str, value: object) -> None:
    """Refuse whole numbers with too many digits, which TOML's reader makes by itself."""
    found = LONG_NUMBER.search(text)
    if found and any(type(item) is int and abs(item) >= 10**MAX_NUMBER_DIGITS for item in walk(value)):
        raise BadValue(TOO_MANY_DIGITS, found[0])


def refuse_surrogates(text: str, value: object) -> None:
    """Refuse texts with half of a character, which only an escape can write."""
    if not re.search(r"\\u[dD][89a-fA-F]", text):
        return
    for item in walk(value):
        if isinstance(item, str):
            try:
                item.encode()
            except UnicodeEncodeError:
                raise BadValue("a text holds half of a character (a lone surrogate)") from None


def walk(value: object) -> Iterator[object]:
    """Yield a value and everything in it: names, items, and what they hold."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item


def count(number: int, word: str) -> str:
    """Return a number with its word."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


READERS: dict[str, Callable[[str, str], Parsed]] = {
    ".csv": parse_csv,
    ".json": parse_json,
    ".jsonl": parse_lines,
    ".toml": parse_toml,
}
