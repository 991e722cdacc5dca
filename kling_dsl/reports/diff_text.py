"""A comparison of two revisions for the terminal: a headline, what became of clips, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from kling_dsl.history.values import Difference, Field, Piece
from kling_dsl.reports.diff import (
    Line,
    closing_lines,
    headline,
    sections,
    shortened,
    title_of,
    told_films,
    value_words,
)
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.palette import PLAIN, Palette
from kling_dsl.reports.tables import columns_of, fold, render_table

_INDENT = "  "
_LEAST_ROOM = 24
"""The columns that words are folded into at least, however narrow the terminal."""


class _Word(msgspec.Struct, frozen=True):
    """A word as it is shown, with the style that it wears."""

    text: str
    style: str = ""


def render_diff_text(difference: Difference, *, width: int, palette: Palette = PLAIN) -> str:
    """Return a comparison as text of about `width` columns; words that changed are coloured, or else in brackets."""
    head = "\n".join(fold(visible(headline(difference)), max(_LEAST_ROOM, width)))
    lines = [palette.paint(head, palette.strong)]
    films = told_films(difference)
    for film in films:
        lines += ["", palette.paint(f"{visible(film.title)}  ({visible(title_of(film))})", palette.strong), ""]
        for section in sections(film):
            lines.append(palette.paint(section.kind, palette.strong))
            lines += _section(section.lines, width, palette)
            lines += [f"{_INDENT}and {section.more:,} more"] if section.more else []
            lines.append("")
        lines += render_table(("", ""), closing_lines(film, difference), width=width)
    left = len(difference.films) - len(films)
    if left:
        lines += ["", f"{left:,} film{'' if left == 1 else 's'} without a change"]
    return "\n".join(lines) + "\n"


def _section(lines: Iterable[Line], width: int, palette: Palette) -> Iterator[str]:
    """Yield the row of each clip, its cells under those of the others, and below it the fields that changed."""
    given = tuple(lines)
    rows = [(line.name, line.seconds, line.cost, line.note) for line in given]
    widths = [max(columns_of(visible(row[at])) for row in rows) for at in range(3)]
    for line, row in zip(given, rows, strict=True):
        cells = [visible(cell) for cell in row[:3]]
        padded = [cell + " " * (column - columns_of(cell)) for cell, column in zip(cells, widths, strict=True)]
        front = _INDENT + _INDENT.join(padded) + _INDENT
        note = fold(visible(line.note), max(_LEAST_ROOM, width - columns_of(front))) or [""]
        yield (front + note[0]).rstrip()
        for more in note[1:]:
            yield " " * columns_of(front) + more
        for field in line.fields:
            yield from field_lines(field, width=width, palette=palette)


def field_lines(field: Field, *, width: int, palette: Palette) -> Iterator[str]:
    """Yield a field that changed, from what to what, folded and indented."""
    yield from _wrapped(_field_words(field, palette), width, palette)


def _field_words(field: Field, palette: Palette) -> Iterator[_Word]:
    yield _Word(f"{visible(field.path)}:", palette.place)
    if field.words:
        for piece in shortened(field.words):
            yield from _piece_words(piece, palette)
        return
    yield from (_Word(visible(word)) for word in value_words(field.old, field.old_sha256).split())
    yield _Word("→")
    yield from (_Word(visible(word)) for word in value_words(field.new, field.new_sha256).split())


def _piece_words(piece: Piece, palette: Palette) -> Iterator[_Word]:
    words = [visible(word) for word in piece.text.split()]
    if piece.kind == "same" or not words:
        yield from map(_Word, words)
    elif palette is not PLAIN:
        style = palette.error if piece.kind == "removed" else palette.hint
        yield from (_Word(word, style) for word in words)
    else:
        sign = "-" if piece.kind == "removed" else "+"
        words[0] = f"{{{sign}{words[0]}"
        words[-1] = f"{words[-1]}{sign}}}"
        yield from map(_Word, words)


def _wrapped(words: Iterable[_Word], width: int, palette: Palette) -> Iterator[str]:
    """Yield lines of words, indented under their clip; a word is never broken."""
    indent = _INDENT * 2
    room = max(_LEAST_ROOM, width - len(indent) - len(_INDENT))
    line: list[str] = []
    used = 0
    for word in words:
        columns = columns_of(word.text)
        if line and used + 1 + columns > room:
            yield indent + " ".join(line)
            # What goes on is set back further, so that each field can be seen to begin.
            indent, line, used = _INDENT * 3, [], 0
        line.append(palette.paint(word.text, word.style))
        used += columns + (1 if used else 0)
    if line:
        yield indent + " ".join(line)
