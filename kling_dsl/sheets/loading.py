"""A model sheet from its text: the profile, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kling_dsl.diagnostics import Diagnostic, error
from kling_dsl.profiles import Profile
from kling_dsl.sheets.mistakes import Mistake, Path, dotted
from kling_dsl.source import Span

SLUG = "bad-model-sheet"

_MAX_CHARACTERS = 200_000
"""Far above any real sheet, so that a hostile one cannot keep the machine busy."""


def load_sheet(text: str, *, file: str) -> tuple[Profile | None, tuple[Diagnostic, ...]]:
    """Read the TOML of one model sheet; without diagnostics there is a profile, with them there is none.

    `file` is the path that diagnostics name. Each diagnostic has the slug `bad-model-sheet`, the line of the nearest
    key that the text shows, and a message with the file, the dotted key and the reason.
    """
    raw = _parse(text, file)
    if isinstance(raw, Diagnostic):
        return None, (raw,)
    from kling_dsl.sheets.shape import shape_mistakes

    mistakes = list(shape_mistakes(raw))
    profile = None
    if not mistakes:
        try:
            profile = msgspec.convert(raw, Profile)
        except msgspec.ValidationError as problem:
            mistakes = [Mistake((), str(problem))]
    if profile is not None:
        from kling_dsl.sheets.sense import sense_mistakes

        mistakes = list(sense_mistakes(profile))
    if mistakes:
        return None, tuple(_diagnostics(mistakes, text, file))
    return profile, ()


def _parse(text: str, file: str) -> dict[str, Any] | Diagnostic:
    """Return the tables of the text, floats as Decimal, or the diagnostic of text that is not TOML."""
    import re
    import tomllib
    from decimal import Decimal

    if len(text) > _MAX_CHARACTERS:
        message = f"model sheet {file} has {len(text)} characters; a sheet has at most {_MAX_CHARACTERS}"
        return error(SLUG, message, Span(file, 1, 1, 1, 1))
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except RecursionError:
        return error(SLUG, f"model sheet {file} is nested too deeply", Span(file, 1, 1, 1, 1))
    except ArithmeticError:
        return error(SLUG, f"model sheet {file} has a number that is beyond all counting", Span(file, 1, 1, 1, 1))
    except ValueError as problem:
        words = str(problem)
        place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", words)
        line, column = 1, 1
        if place:
            words = words[: place.start()]
            line = int(place[1] or text.count("\n") + 1)
            column = int(place[2] or 1)
        message = f"model sheet {file}, line {line}: this is not TOML: {words}"
        return error(SLUG, message, Span(file, line, column, line, column + 1))


def _diagnostics(mistakes: Iterable[Mistake], text: str, file: str) -> Iterable[Diagnostic]:
    from kling_dsl.sheets.places import key_places

    places = key_places(text)
    for mistake in mistakes:
        key = dotted(mistake.path)
        message = f"model sheet {file}: {key} {mistake.reason}" if key else f"model sheet {file} {mistake.reason}"
        yield error(SLUG, message, _span(mistake.path, places, file), hint=mistake.hint)


def _span(path: Path, places: dict[Path, tuple[int, int, int]], file: str) -> Span:
    """Return where the key of a path stands, or the nearest key around it that the text writes out."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            line, column, end = places[path[:length]]
            return Span(file, line, column, line, end)
    return Span(file, 1, 1, 1, 1)
