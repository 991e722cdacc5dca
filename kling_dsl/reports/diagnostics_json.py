"""Diagnostics as JSON for programs: the list that `kling check --format json` prints."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kling_dsl.diagnostics import Diagnostic, Fix, Note
from kling_dsl.reports.escaping import safe_json, sound
from kling_dsl.source import Span


def render_json(diagnostics: Sequence[Diagnostic]) -> bytes:
    """Return a JSON list, one object a diagnostic, lines and columns from 1 in code points, ends exclusive.

    Every object has `code`, `severity`, `message`, `file`, `line`, `column`, `end_line`, `end_column`, `hint` ("" when
    there is none) and `notes`; a `fix` is there only when a program may apply it. A note has its `message`, and a place
    when it speaks of one. Unseen characters stand in their `\\u` form.
    """
    data = msgspec.json.encode([_diagnostic(diagnostic) for diagnostic in diagnostics])
    return safe_json(msgspec.json.format(data, indent=2) + b"\n")


class _Note(msgspec.Struct, frozen=True):
    message: str
    file: str | msgspec.UnsetType = msgspec.UNSET
    line: int | msgspec.UnsetType = msgspec.UNSET
    column: int | msgspec.UnsetType = msgspec.UNSET
    end_line: int | msgspec.UnsetType = msgspec.UNSET
    end_column: int | msgspec.UnsetType = msgspec.UNSET


class _Edit(msgspec.Struct, frozen=True):
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class _Fix(msgspec.Struct, frozen=True):
    title: str
    edits: tuple[_Edit, ...]


class _Diagnostic(msgspec.Struct, frozen=True):
    code: str
    severity: str
    message: str
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    hint: str
    notes: tuple[_Note, ...]
    fix: _Fix | msgspec.UnsetType = msgspec.UNSET


def _diagnostic(diagnostic: Diagnostic) -> _Diagnostic:
    return _Diagnostic(
        diagnostic.slug,
        diagnostic.severity,
        sound(diagnostic.message),
        *_place(diagnostic.span),
        sound(diagnostic.hint),
        tuple(_note(note) for note in diagnostic.notes),
        msgspec.UNSET if diagnostic.fix is None else _fix(diagnostic.fix),
    )


def _note(note: Note) -> _Note:
    if note.span is None:
        return _Note(sound(note.message))
    return _Note(sound(note.message), *_place(note.span))


def _fix(fix: Fix) -> _Fix:
    return _Fix(sound(fix.title), tuple(_Edit(*_place(edit.span), sound(edit.text)) for edit in fix.edits))


def _place(span: Span) -> tuple[str, int, int, int, int]:
    line, column = max(1, span.line), max(1, span.column)
    return sound(span.file), line, column, max(line, span.end_line), max(1, span.end_column)
