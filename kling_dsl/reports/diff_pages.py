"""A comparison of two revisions as Markdown for a review comment; nothing a writer typed can act as markup."""

from __future__ import annotations

from collections.abc import Iterator

from kling_dsl.history.values import Difference, Field, Piece
from kling_dsl.reports.diff import (
    ELLIPSIS,
    Section,
    closing_lines,
    headline,
    sections,
    shortened,
    title_of,
    told_films,
    value_words,
)
from kling_dsl.reports.plan_pages import inert

MAX_DETAILS = 16_000
"""The most letters of all the fields that are shown: hosts refuse a comment of more than 65,536 letters."""

MAX_ROWS = 200
"""The most clips of all films that have a row."""

MAX_VALUE = 600
"""The most letters of a value that are shown."""


def render_diff_markdown(difference: Difference) -> str:
    """Return a comparison as GitHub-flavoured Markdown; the fields that changed are folded away.

    It is short enough for a comment: of a large change, what stands last is counted and not shown.
    """
    lines = [f"### {inert(headline(difference))}", ""]
    films = told_films(difference)
    rows, letters = MAX_ROWS, MAX_DETAILS
    shown = 0
    for film in films:
        if rows <= 0:
            break
        shown += 1
        lines += [f"#### {inert(film.title)} ({inert(title_of(film))})", ""]
        told = tuple(sections(film))
        table = [row for section in told for row in _rows(section)]
        if table:
            lines += ["| Clip | What | Seconds | Cost | |", "| :-- | :-- | --: | --: | :-- |", *table[:rows]]
            lines += [f"| and {len(table) - rows:,} more | | | | |"] if len(table) > rows else []
            lines.append("")
        rows -= max(1, len(table))
        details = _details(told, letters)
        letters -= sum(map(len, details))
        lines += details
        lines += [f"- **{label}**: {inert(words)}" for label, words in closing_lines(film, difference)]
        lines.append("")
    if len(films) > shown:
        lines += [f"and {_films(len(films) - shown)} with changes, which are not shown", ""]
    if left := len(difference.films) - len(films):
        lines += [f"{_films(left)} without a change", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _films(count: int) -> str:
    return f"{count:,} film{'' if count == 1 else 's'}"


def _rows(section: Section) -> Iterator[str]:
    for line in section.lines:
        cells = (line.name, section.kind, line.seconds, line.cost, line.note)
        yield "| " + " | ".join(inert(cell) for cell in cells) + " |"
    if section.more:
        yield f"| and {section.more:,} more | {section.kind} | | | |"


def _details(told: tuple[Section, ...], letters: int) -> list[str]:
    """Return the fields that changed, for as many clips as there are letters left."""
    changed = [line for section in told for line in section.lines if line.fields]
    if not changed or letters <= 0:
        return []
    count = f"{len(changed):,} clip{'' if len(changed) == 1 else 's'}"
    lines = [f"<details><summary>What changed in {count}</summary>", ""]
    for at, line in enumerate(changed):
        block = [f"- **{inert(line.name)}**"]
        block += [f"  - {inert(field.path)}: {_field(field)}" for field in line.fields]
        letters -= sum(map(len, block))
        if letters < 0:
            lines.append(f"- and {len(changed) - at:,} more")
            break
        lines += block
    return [*lines, "", "</details>", ""]


def _field(field: Field) -> str:
    if field.words:
        return " ".join(_piece(piece) for piece in shortened(field.words))
    return f"{_value(field.old, field.old_sha256)} → {_value(field.new, field.new_sha256)}"


def _value(value: str | None, sha256: str) -> str:
    shown = value_words(value, sha256)
    return inert(shown if len(shown) <= MAX_VALUE else shown[:MAX_VALUE] + ELLIPSIS)


def _piece(piece: Piece) -> str:
    text = piece.text.strip()
    shown = inert(text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + ELLIPSIS)
    if not shown or piece.kind == "same":
        return shown
    return f"~~{shown}~~" if piece.kind == "removed" else f"**{shown}**"
