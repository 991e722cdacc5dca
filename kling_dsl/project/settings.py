"""What `kling.toml` may say: lint levels, speech, spending limits, the output folder, the default model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from kling_dsl import diagnostics as diagnose
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.source import Span
from kling_dsl.spelling import nearest

SLUG = "bad-settings"
MAX_CONCURRENCY = 1000
"""The most takes that one run holds at the provider at once; accounts are allowed far fewer."""

LintLevel = Literal["error", "warning", "off"]
_LEVELS: tuple[LintLevel, ...] = ("error", "warning", "off")


class SpeechSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much dialogue fits into a shot: `words_per_second` over that of the model sheet, None for the sheet's."""

    words_per_second: Decimal | None = None


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most US dollars to spend in one run, in one day and in the whole project; None for no limit of that kind."""

    per_run_usd: Decimal | None = None
    per_day_usd: Decimal | None = None
    total_usd: Decimal | None = None


class PathSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where results go: `out` is the folder for finished films and reports, from the project's root with `/`."""

    out: str = "out"


class RenderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How films are rendered: `concurrency` is the most takes that are under way at the provider at once."""

    concurrency: int = 10


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which models films use: `default` is the sheet of a film whose title page names none, None for the program's."""

    default: str | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `kling.toml`; each field is a table of it, and every one may be left out."""

    lints: dict[str, LintLevel] = {}
    """The level of a lint by its slug: `error` fails the check, `off` silences it."""
    speech: SpeechSettings = SpeechSettings()
    limits: LimitSettings = LimitSettings()
    paths: PathSettings = PathSettings()
    models: ModelSettings = ModelSettings()
    render: RenderSettings = RenderSettings()


def read_settings(text: str, file: str) -> tuple[Settings, tuple[Diagnostic, ...]]:
    """Read the text of a settings file: what is right of it counts, and each mistake is a diagnostic."""
    import tomllib

    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as problem:
        return Settings(), (_syntax_error(problem, text, file),)
    found: list[Diagnostic] = []
    tables: dict[str, Any] = {}
    for name, content in document.items():
        if name not in Settings.__struct_fields__:
            found.append(_unknown_key((name,), Settings.__struct_fields__, text, file))
        elif not isinstance(content, dict):
            found.append(_refuse((name,), f"must be a table, [{name}]", text, file))
        elif name == "lints":
            tables[name] = dict(_read_lints(content, text, file, found))
        else:
            tables[name] = _read_table(name, content, text, file, found)
    return Settings(**tables), tuple(found)


def find_unknown_lints(settings: Settings, known: Iterable[str], *, text: str, file: str) -> tuple[Diagnostic, ...]:
    """Return a diagnostic for each level given to a lint that is none of `known`: it would silence nothing."""
    names = tuple(known)
    return tuple(
        _unknown_key(("lints", name), names, text, file, noun="lint") for name in settings.lints if name not in names
    )


def _read_lints(
    content: Mapping[str, Any], text: str, file: str, found: list[Diagnostic]
) -> Iterator[tuple[str, LintLevel]]:
    for name, level in content.items():
        if level in _LEVELS:
            yield name, level
        else:
            reason = f'must be "error", "warning" or "off", not {_show(level)}'
            found.append(_refuse(("lints", name), reason, text, file, near=nearest(str(level), _LEVELS)))


def _read_table(name: str, content: Mapping[str, Any], text: str, file: str, found: list[Diagnostic]) -> Any:
    """Build the struct of one table from the keys that are right."""
    table = type(getattr(Settings(), name))
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in table.__struct_fields__:
            found.append(_unknown_key((name, key), table.__struct_fields__, text, file))
            continue
        try:
            values[key] = _VALUES[name](value)
        except ValueError as reason:
            found.append(_refuse((name, key), str(reason), text, file))
    return table(**values)


def _read_money(value: object) -> Decimal:
    if isinstance(value, Decimal):
        raise ValueError(f'must be written as a string, "${value}": money is decimal, and a TOML float is not')
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(r"\$?[0-9]{1,9}(\.[0-9]{1,6})?", value):
        return Decimal(value.removeprefix("$"))
    raise ValueError(f'must be an amount of dollars such as "$5" or "5.00", not {_show(value)}')


def _read_rate(value: object) -> Decimal:
    written = value if isinstance(value, str) else _show(value)
    if not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", written) and Decimal(written):
        return Decimal(written)
    raise ValueError(f"must be a number of words above 0, such as 2.4, not {_show(value)}")


def _read_folder(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f'must be a folder of the project, such as "out", not {_show(value)}')
    parts = value.rstrip("/").split("/")
    if value.startswith("/") or "\\" in value or ":" in value or ".." in parts or "" in parts:
        raise ValueError(f"must stay inside the project, written with /, and {_show(value)} does not")
    return "/".join(parts)


def _read_name(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        return value
    raise ValueError(f'must be the name of a model sheet, such as "o3-4k", not {_show(value)}')


def _read_count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_CONCURRENCY:
        return value
    raise ValueError(f"must be a whole number from 1 to {MAX_CONCURRENCY}, not {_show(value)}")


_VALUES: dict[str, Callable[[object], object]] = {
    "speech": _read_rate,
    "limits": _read_money,
    "paths": _read_folder,
    "models": _read_name,
    "render": _read_count,
}


def _show(value: object) -> str:
    """Return a value as it would stand in the file, short and in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    try:
        shown = ascii(value)[1:-1] if isinstance(value, str) and not value.isprintable() else str(value)
    except ValueError:
        return "a number of thousands of digits"
    return f'"{shown[:40]}"' if isinstance(value, str) else shown[:40]


def _unknown_key(
    path: tuple[str, ...], names: Iterable[str], text: str, file: str, *, noun: str = "setting"
) -> Diagnostic:
    names = tuple(names)
    near = nearest(path[-1], names)
    reason = f"is no {noun} that we know"
    return _refuse(path, reason, text, file, near=near, known="" if near else ", ".join(names))


def _refuse(
    path: tuple[str, ...], reason: str, text: str, file: str, *, near: str | None = None, known: str = ""
) -> Diagnostic:
    hint = f'did you mean "{near}"?' if near else f"known here: {known}" if known else ""
    shown = ".".join(part if part.isprintable() else ascii(part)[1:-1] for part in path)[:80]
    return diagnose.error(SLUG, f"{shown} {reason}", _find_key(text, path, file), hint=hint)


def _syntax_error(problem: Exception, text: str, file: str) -> Diagnostic:
    """Report a text that is no TOML, at the place that the reader's message names."""
    reason = str(problem)
    if isinstance(problem, RecursionError):
        reason = "its values lie too deep in each other"
    elif isinstance(problem, ArithmeticError):
        reason = "a number in it is too large"
    place = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", reason)
    lines = text.split("\n")
    line, column = 1, 1
    if place and place[1]:
        line, column = int(place[1]), int(place[2])
    elif place:
        line, column = len(lines), len(lines[-1]) + 1
    reason = reason[: place.start()] if place else reason
    return diagnose.error(SLUG, f"{file} is not TOML: {reason}", Span(file, line, column, line, column + 1))


def _find_key(text: str, path: tuple[str, ...], file: str) -> Span:
    """Return the span of a key, or of the first line when it is written in a way that a scan of the lines misses."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        # One class without a way back: a key that may end in blanks takes minutes on a line of some thousand of them.
        entry = re.match(r"([^=#\[]+)=", line)
        if header:
            table = _key_parts(header[1])
            here, found = table, header
        elif entry:
            here, found = table + _key_parts(entry[1]), entry
        else:
            continue
        if here == path:
            written = found[1].strip()
            start = found.start(1) + found[1].index(written)
            return Span(file, number, start + 1, number, start + len(written) + 1)
    return Span(file, 1, 1, 1, 1)


def _key_parts(written: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in written.split("."))
