"""Diagnostics as SARIF 2.1.0, the format that code scanning services and editors read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from kling_dsl.diagnostics import Diagnostic, Fix, Note
from kling_dsl.reports.escaping import safe_json, sound, visible_lines
from kling_dsl.reports.pages import title_of
from kling_dsl.source import Span

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "SRCROOT"
_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")


def render_sarif(diagnostics: Sequence[Diagnostic], *, version: str, help_text: Callable[[str], str | None]) -> bytes:
    """Return a SARIF log of one run by `version` of the tool, with a rule for each slug that was reported.

    `help_text` returns the page of a slug in Markdown, or None. Paths are those of the diagnostics, relative to one folder (`SRCROOT`),
    columns count code points. A place without a file is left out, as is a fix none of whose edits names a file.
    """
    slugs = sorted({diagnostic.slug for diagnostic in diagnostics})
    index = {slug: at for at, slug in enumerate(slugs)}
    levels = {diagnostic.slug: diagnostic.severity for diagnostic in reversed(diagnostics)}
    rules = tuple(_rule(slug, levels[slug], help_text(slug)) for slug in slugs)
    run = _Run(
        tool=_Tool(_Driver(name="kling", version=version, rules=rules)),
        original_uri_base_ids={_ROOT: _Base(_Message("The folder that the check ran in."))},
        column_kind="unicodeCodePoints",
        results=tuple(_result(diagnostic, index[diagnostic.slug]) for diagnostic in diagnostics),
    )
    data = msgspec.json.encode(_Log(_SCHEMA, "2.1.0", (run,)))
    return safe_json(msgspec.json.format(data, indent=2) + b"\n")


class _Object(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A SARIF object: its names in camel case, what is not set left out."""


class _Message(_Object, frozen=True):
    text: str


class _Texts(_Object, frozen=True):
    text: str
    markdown: str = ""


class _Base(_Object, frozen=True):
    description: _Message


class _Artifact(_Object, frozen=True):
    uri: str
    uri_base_id: str = ""


class _Region(_Object, frozen=True):
    start_line: int
    start_column: int
    end_line: int
    end_column: int


class _Physical(_Object, frozen=True):
    artifact_location: _Artifact
    region: _Region


class _Location(_Object, frozen=True):
    physical_location: _Physical
    id: int | msgspec.UnsetType = msgspec.UNSET
    message: _Message | msgspec.UnsetType = msgspec.UNSET


class _Content(_Object, frozen=True):
    text: str


class _Replacement(_Object, frozen=True):
    deleted_region: _Region
    inserted_content: _Content


class _Change(_Object, frozen=True):
    artifact_location: _Artifact
    replacements: tuple[_Replacement, ...]


class _Fix(_Object, frozen=True):
    description: _Message
    artifact_changes: tuple[_Change, ...]


class _Result(_Object, frozen=True):
    rule_id: str
    rule_index: int
    level: str
    message: _Message
    locations: tuple[_Location, ...]
    related_locations: tuple[_Location, ...] = ()
    fixes: tuple[_Fix, ...] = ()


class _Configuration(_Object, frozen=True):
    level: str


class _Rule(_Object, frozen=True):
    id: str
    short_description: _Texts
    default_configuration: _Configuration
    help: _Texts | msgspec.UnsetType = msgspec.UNSET


class _Driver(_Object, frozen=True):
    name: str
    version: str
    rules: tuple[_Rule, ...]


class _Tool(_Object, frozen=True):
    driver: _Driver


class _Run(_Object, frozen=True):
    tool: _Tool
    original_uri_base_ids: dict[str, _Base]
    column_kind: str
    results: tuple[_Result, ...]


class _Log(msgspec.Struct, frozen=True, rename={"schema": "$schema"}):
    schema: str
    version: str
    runs: tuple[_Run, ...]


def _rule(slug: str, level: str, text: str | None) -> _Rule:
    title = title_of(text) if text else ""
    return _Rule(
        id=slug,
        short_description=_Texts(title or slug.replace("-", " ")),
        default_configuration=_Configuration(level),
        help=_Texts(text, text) if text else msgspec.UNSET,
    )


def _result(diagnostic: Diagnostic, rule_index: int) -> _Result:
    label = _message(diagnostic.label) if diagnostic.label else msgspec.UNSET
    related = [(span, diagnostic.label) for span in diagnostic.also]
    related += [(note.span, note.message) for note in diagnostic.notes if note.span is not None]
    placed = [(span, text) for span, text in related if span.file]
    return _Result(
        rule_id=diagnostic.slug,
        rule_index=rule_index,
        level=diagnostic.severity,
        message=_message(_words(diagnostic)),
        locations=(_Location(_physical(diagnostic.span), message=label),) if diagnostic.span.file else (),
        related_locations=tuple(
            _Location(_physical(span), id=at, message=_message(text) if text else msgspec.UNSET)
            for at, (span, text) in enumerate(placed, 1)
        ),
        fixes=_fixes(diagnostic.fix),
    )


def _words(diagnostic: Diagnostic) -> str:
    lines = [diagnostic.message, *(f"Note: {note.message}" for note in diagnostic.notes if not _is_placed(note))]
    if diagnostic.hint:
        lines.append(f"Hint: {diagnostic.hint}")
    return "\n".join(lines)


def _is_placed(note: Note) -> bool:
    return note.span is not None and bool(note.span.file)


def _fixes(fix: Fix | None) -> tuple[_Fix, ...]:
    edits = [edit for edit in fix.edits if edit.span.file] if fix else []
    if fix is None or not edits:
        return ()
    changes = tuple(
        _Change(
            _artifact(file),
            tuple(
                _Replacement(_region(edit.span), _Content(sound(edit.text))) for edit in edits if edit.span.file == file
            ),
        )
        for file in dict.fromkeys(edit.span.file for edit in edits)
    )
    return (_Fix(_message(fix.title), changes),)


def _message(text: str) -> _Message:
    """Return a message string: braces doubled, since single ones hold arguments, and no bracket that begins a link."""
    text = visible_lines(text).replace("{", "{{").replace("}", "}}")
    return _Message(_LINK.sub(r"\\[", text))


def _physical(span: Span) -> _Physical:
    return _Physical(_artifact(span.file), _region(span))


def _artifact(file: str) -> _Artifact:
    # Kept inside: the module costs 15 ms, which a plain `kling check` should not pay.
    from urllib.parse import quote

    uri = quote(file.encode("utf-8", "surrogatepass"))
    return _Artifact(f"file://{uri}") if file.startswith("/") else _Artifact(uri, _ROOT)


def _region(span: Span) -> _Region:
    line, column = max(1, span.line), max(1, span.column)
    end_line = max(line, span.end_line)
    end_column = max(1 if end_line > line else column, span.end_column)
    return _Region(line, column, end_line, end_column)
