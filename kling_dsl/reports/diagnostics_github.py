"""Diagnostics as GitHub annotations: one workflow command a line, which a pull request shows beside the film's text."""

from __future__ import annotations

from collections.abc import Sequence

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.reports.escaping import visible
from kling_dsl.source import Span

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """Return one `::error …::message` line for each diagnostic; "" when there is none.

    The runner splits a command at `::`, its properties at `,` and a property from its value at the first `=`; it
    undoes `%25`, `%0D` and `%0A` everywhere and `%3A` and `%2C` in properties, after actions/toolkit's
    `packages/core/src/command.ts`. Columns are given only within one line: GitHub takes none for a longer range.
    """
    return "".join(f"{_command(diagnostic)}\n" for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    properties = [*_place(diagnostic.span), ("title", diagnostic.slug)]
    written = ",".join(f"{name}={_property(value)}" for name, value in properties)
    return f"::{_COMMANDS[diagnostic.severity]} {written}::{_data(_message(diagnostic))}"


def _message(diagnostic: Diagnostic) -> str:
    lines = [visible(diagnostic.message)]
    if diagnostic.label:
        lines[0] += f" ({visible(diagnostic.label)})"
    for note in diagnostic.notes:
        place = f" ({visible(note.span.file)}:{note.span.line})" if note.span and note.span.file else ""
        lines.append(f"note: {visible(note.message)}{place}")
    if diagnostic.hint:
        lines.append(f"hint: {visible(diagnostic.hint)}")
    return "\n".join(lines)


def _place(span: Span) -> list[tuple[str, str]]:
    if not span.file:
        return []
    line = max(1, span.line)
    end_line = max(line, span.end_line)
    place = [("file", visible(span.file)), ("line", str(line)), ("endLine", str(end_line))]
    if line == end_line:
        column = max(1, span.column)
        place += [("col", str(column)), ("endColumn", str(max(column, span.end_column)))]
    return place


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
