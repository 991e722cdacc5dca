"""Diagnostics as text for people: the message, the line of the film with carets under the exact words, what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from kling_dsl.diagnostics import Diagnostic, Note
from kling_dsl.reports.columns import Cell, cells
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.palette import PLAIN, Palette
from kling_dsl.source import Span

CAPPED_SLUG = "too-many-diagnostics"
"""The slug of the closing note that says how many diagnostics were left out; it is said and not counted."""

_MESSAGE_LIMIT = 2000
"""Characters of one message that are shown: a name may be quoted in it, and a name may be a megabyte long."""

_ELLIPSIS = "…"
_LEAST_ROOM = 20
"""Columns of source that are shown however narrow the terminal."""


def render_text(
    diagnostics: Sequence[Diagnostic],
    *,
    source: Callable[[str], str | None],
    width: int = 100,
    palette: Palette = PLAIN,
) -> str:
    """Render diagnostics one after the other, an empty line between them; "" when there is none.

    `source` returns the text of a file that a span names, or None. Lines of source are cut to `width` columns around
    the carets. A span may lie past the end of its line or file. Whatever a writer wrote is escaped.
    """
    files = _Files(source)
    blocks = [_render(diagnostic, files, width, palette) for diagnostic in diagnostics]
    return "\n".join(f"{block}\n" for block in blocks)


def render_summary(diagnostics: Sequence[Diagnostic]) -> str:
    """Return the count in words, such as "3 errors, 1 warning", then what was left out when there was a cap."""
    counted = [diagnostic.severity for diagnostic in diagnostics if diagnostic.slug != CAPPED_SLUG]
    words = [
        _count(counted.count(severity), severity) for severity in ("error", "warning", "note") if severity in counted
    ]
    capped = [_message(diagnostic.message) for diagnostic in diagnostics if diagnostic.slug == CAPPED_SLUG]
    return "; ".join([", ".join(words) or "no problems", *capped])


class _Files:
    """The lines of each file that a report shows, read and split once."""

    def __init__(self, source: Callable[[str], str | None]) -> None:
        self._source = source
        self._lines: dict[str, list[str] | None] = {}

    def lines(self, file: str) -> list[str] | None:
        if file not in self._lines:
            text = self._source(file) if file else None
            self._lines[file] = None if text is None else text.split("\n")
        return self._lines[file]


class _Mark(msgspec.Struct, frozen=True):
    """A stretch of one line to underline, from 0, one code point at least; `onward` is a longer span's last line."""

    line: int
    start: int
    end: int
    onward: int = 0


def _render(diagnostic: Diagnostic, files: _Files, width: int, palette: Palette) -> str:
    style = palette.of_severity(diagnostic.severity)
    head = palette.paint(f"{diagnostic.severity}[{visible(diagnostic.slug)}]", style)
    out = [f"{head}: {palette.paint(_message(diagnostic.message), palette.strong)}"]
    spans = (diagnostic.span, *diagnostic.also)
    shown_notes = [note.span for note in diagnostic.notes if _has_own_place(note, spans)]
    gutter = max(
        (len(str(_clamped(span, files).line)) for span in (*spans, *shown_notes) if span and span.file), default=1
    )
    frame = _Frame(files, width, gutter, palette)
    out += frame.place(spans, diagnostic.label, style)
    if diagnostic.label and files.lines(diagnostic.span.file) is None:
        out.append(f"{palette.paint('note', palette.note)}: {_message(diagnostic.label)}")
    for note in diagnostic.notes:
        out.append(f"{palette.paint('note', palette.note)}: {_message(note.message)}")
        if note.span is not None and _has_own_place(note, spans):
            out += frame.place((note.span,), "", palette.note)
    if diagnostic.hint:
        out.append(f"{palette.paint('hint', palette.hint)}: {_message(diagnostic.hint)}")
    if diagnostic.fix is not None:
        out.append(f"{palette.paint('fix', palette.hint)}: {_message(diagnostic.fix.title)}")
    return "\n".join(out)


def _has_own_place(note: Note, spans: Iterable[Span]) -> bool:
    span = note.span
    return span is not None and bool(span.file) and all((span.file, span.line) != (s.file, s.line) for s in spans)


class _Frame(msgspec.Struct, frozen=True):
    """What every piece of source in one diagnostic shares: the files, the width, the gutter and the styles."""

    files: _Files
    width: int
    gutter: int
    palette: Palette

    def place(self, spans: tuple[Span, ...], label: str, style: str) -> list[str]:
        """Return an arrow and the marked lines for each file that `spans` name; the first span bears the label."""
        out: list[str] = []
        for file in dict.fromkeys(span.file for span in spans):
            if file:
                here = [_clamped(span, self.files) for span in spans if span.file == file]
                arrow = self.palette.paint("-->", self.palette.place)
                out.append(f"{' ' * self.gutter}{arrow} {visible(file)}:{here[0].line}:{here[0].column}")
                out += self._lines(here, label if file == spans[0].file else "", style)
        return out

    def _lines(self, spans: list[Span], label: str, style: str) -> list[str]:
        lines = self.files.lines(spans[0].file)
        if lines is None:
            return []
        marks = [_mark(span, lines) for span in spans]
        out: list[str] = []
        last = 0
        for line in sorted({mark.line for mark in marks}):
            if last and line > last + 1:
                out.append(self.palette.paint("." * max(3, self.gutter), self.palette.place))
            here = [mark for mark in marks if mark.line == line]
            words = [label] if label and line == marks[0].line else []
            words += [f"and on to line {mark.onward}" for mark in here if mark.onward]
            out += self._line(lines[line - 1].removesuffix("\r"), here, ", ".join(words), style)
            last = line
        return out

    def _line(self, text: str, marks: list[_Mark], label: str, style: str) -> list[str]:
        room = max(_LEAST_ROOM, self.width - self.gutter - 3)
        shown, under = _drawn(text, marks, room)
        number = self.palette.paint(f"{marks[0].line:>{self.gutter}} |", self.palette.place)
        blank = self.palette.paint(f"{'':>{self.gutter}} |", self.palette.place)
        words = f" {_message(label)}" if label else ""
        indent = len(under) - len(under.lstrip(" "))
        carets = self.palette.paint(under[indent:] + words, style)
        return [f"{number} {shown}".rstrip(" "), f"{blank} {' ' * indent}{carets}"]


def _drawn(text: str, marks: list[_Mark], room: int) -> tuple[str, str]:
    """Return the text of one line and its carets, both cut to `room` columns around the first mark."""
    lead = marks[0]
    # A line may be megabytes long: only what could be seen around the mark is measured.
    begin = max(0, lead.start - 2 * room) if len(text) > 4 * room else 0
    all_cells = cells(text[begin : begin + max(4 * room, 1)] if len(text) > 4 * room else text)
    cut_left, cut_right = begin > 0, begin + 4 * room < len(text)
    moved = [_Mark(mark.line, mark.start - begin, mark.end - begin) for mark in marks]
    total = all_cells[-1].right if all_cells else 0
    if total > room or cut_left or cut_right:
        # One column on each side for an ellipsis, and one for a caret after the last character.
        inner = room - 3
        first, last = _reach(all_cells, moved[0])
        left = max(first - max(0, inner - (last - first)) // 2, 0)
        left = min(left, max(0, total - inner))
        kept = [cell for cell in all_cells if cell.left >= left and cell.right <= left + inner]
        cut_left = cut_left or kept[:1] != all_cells[:1]
        cut_right = cut_right or kept[-1:] != all_cells[-1:]
    else:
        kept = all_cells
    shown = "".join(cell.text for cell in kept)
    offset = 1 if cut_left else 0
    under = _carets(kept, [mark for mark in moved if not cut_right or mark.start < kept[-1].end])
    return f"{_ELLIPSIS * cut_left}{shown}{_ELLIPSIS * cut_right}", " " * offset + under


def _reach(row: list[Cell], mark: _Mark) -> tuple[int, int]:
    """Return the columns from which and to which a mark goes, in a whole row of cells."""
    inside = [cell for cell in row if cell.end > mark.start and cell.start < mark.end]
    if inside:
        return inside[0].left, inside[-1].right
    end = row[-1].right if row else 0
    return end, end + 1


def _carets(row: list[Cell], marks: list[_Mark]) -> str:
    """Return the carets under a row of cells; a mark after the last cell gets one caret."""
    hit = {cell.start for mark in marks for cell in row if cell.end > mark.start and cell.start < mark.end}
    under = [("^" if cell.start in hit else " ") * cell.columns for cell in row]
    end = row[-1].end if row else 0
    if any(mark.start >= end for mark in marks):
        under.append("^")
    return "".join(under).rstrip(" ") or "^"


def _mark(span: Span, lines: list[str]) -> _Mark:
    """Return the stretch of the span's first line, whose place is clamped already."""
    text = lines[span.line - 1].removesuffix("\r")
    start = min(span.column - 1, len(text))
    last = span.end_line - 1 if span.end_column <= 1 and span.end_line > span.line else span.end_line
    if last > span.line:
        return _Mark(span.line, start, max(start + 1, len(text)), min(last, len(lines)))
    end = len(text) if span.end_line > span.line else span.end_column - 1
    return _Mark(span.line, start, max(start + 1, min(end, len(text))))


def _clamped(span: Span, files: _Files) -> Span:
    """Return the span with its beginning inside its file, as far as the file is known."""
    lines = files.lines(span.file)
    line, column = max(1, span.line), max(1, span.column)
    end_line, end_column = max(line, span.end_line), span.end_column
    if lines is not None:
        if line > len(lines):
            line = end_line = len(lines)
            column = end_column = len(lines[-1]) + 1
        column = min(column, len(lines[line - 1].removesuffix("\r")) + 1)
    return Span(span.file, line, column, end_line, end_column)


def _message(text: str) -> str:
    """Return a text of the program, with what it quotes from the writer, as one line that can be shown."""
    cut = text if len(text) <= _MESSAGE_LIMIT else text[:_MESSAGE_LIMIT] + _ELLIPSIS
    return visible(cut)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
