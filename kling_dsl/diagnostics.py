"""What a diagnostic is: one frozen value that text, JSON, SARIF, annotations and editors all render."""

from __future__ import annotations

from typing import Literal

import msgspec

from kling_dsl.source import Span

Severity = Literal["error", "warning", "note"]


class Note(msgspec.Struct, frozen=True):
    """A further fact of a diagnostic, with the place it speaks of where there is one."""

    message: str
    span: Span | None = None

    def moved(self, file: str, lines: int) -> Note:
        """Return this note with its span moved like `Span.moved`."""
        return self if self.span is None else Note(self.message, self.span.moved(file, lines))


class Edit(msgspec.Struct, frozen=True):
    """The replacement of one span by other text."""

    span: Span
    text: str


class Fix(msgspec.Struct, frozen=True):
    """The one right answer to a diagnostic, safe to apply by machine (`kling check --fix`)."""

    title: str
    edits: tuple[Edit, ...]


class Diagnostic(msgspec.Struct, frozen=True):
    """Something that a writer should know about a film.

    `slug` names its page in `specs/diagnostics/`; `message` says what is wrong in the writer's words and with the
    numbers; `label` stands after the caret; `also` are further places to underline; `hint` says what to do.
    """

    slug: str
    severity: Severity
    message: str
    span: Span
    label: str = ""
    also: tuple[Span, ...] = ()
    notes: tuple[Note, ...] = ()
    hint: str = ""
    fix: Fix | None = None

    def moved(self, file: str, lines: int) -> Diagnostic:
        """Return this diagnostic with every unplaced span put into `file`, `lines` further down."""
        fix = self.fix
        if fix is not None:
            fix = Fix(fix.title, tuple(Edit(edit.span.moved(file, lines), edit.text) for edit in fix.edits))
        return msgspec.structs.replace(
            self,
            span=self.span.moved(file, lines),
            also=tuple(span.moved(file, lines) for span in self.also),
            notes=tuple(note.moved(file, lines) for note in self.notes),
            fix=fix,
        )


def rewrite(span: Span, text: str | None) -> Fix | None:
    """Build the fix that writes `text` in place of a span; None when there is no text that is surely right."""
    return None if text is None else Fix(f"write {text}", (Edit(span, text),))


def error(slug: str, message: str, span: Span, **facts: object) -> Diagnostic:
    """Build a diagnostic that keeps the film from being bought; `facts` are further fields of `Diagnostic`."""
    return Diagnostic(slug, "error", message, span, **facts)  # type: ignore[arg-type]


def warning(slug: str, message: str, span: Span, **facts: object) -> Diagnostic:
    """Build a diagnostic that the project file may raise or silence; `facts` are further fields of `Diagnostic`."""
    return Diagnostic(slug, "warning", message, span, **facts)  # type: ignore[arg-type]


def has_errors(diagnostics: tuple[Diagnostic, ...] | list[Diagnostic]) -> bool:
    """Say whether any of the diagnostics is an error."""
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)
