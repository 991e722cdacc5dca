"""Expands a template in a sandbox, within limits, to a text and its source map."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.templates.budget import Limits
from kling_dsl.templates.source_map import SourceMap, whole


class Expansion(msgspec.Struct, frozen=True):
    """An expanded film: its text, the way back to the template, and what was wrong.

    The text is empty where a diagnostic is an error. `files` are the paths that were read through include, import and
    extends, in the order of first use.
    """

    text: str
    source_map: SourceMap
    diagnostics: tuple[Diagnostic, ...]
    files: tuple[str, ...]


def has_marks(text: str) -> bool:
    """Say whether a text is a template: whether it contains `{{`, `{%` or `{#`."""
    return "{{" in text or "{%" in text or "{#" in text


def expand(
    text: str,
    *,
    file: str,
    values: Mapping[str, object],
    read: Callable[[str], str | None],
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Expansion:
    """Expand a template with the values of its names.

    `file` is the template's path from the project's root. `read` returns the text at such a path, or None where there
    is no file; no path that is passed to it climbs above the root. Newlines come out as `\\n`.
    """
    if not has_marks(text):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return Expansion(text, whole(text, file), (), ())
    from kling_dsl.templates.engine import Engine

    engine = Engine(file, values, read, limits)
    source_map, diagnostics = engine.run(text)
    if source_map is None:
        return Expansion("", whole("", file), diagnostics, tuple(engine.files))
    return Expansion(source_map.text, source_map, diagnostics, tuple(engine.files))
