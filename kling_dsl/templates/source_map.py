"""The way back from expanded text: which file, line and column wrote it, in which round, with which value."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from functools import cached_property

from kling_dsl.diagnostics import Note
from kling_dsl.source import Span
from kling_dsl.templates.budget import kind_in_words

Round = tuple[object, int, int, object]
"""One round of a loop, or one include, that was running: (the Round around it or None, origin, number, values).
The number counts from 1; an include or import has number 0."""

Piece = tuple[str, int, object]
"""Some output: (text, origin of the text, the Round it was written in or None)."""

MAX_NOTES = 4
"""How many rounds, and how many values, one position names."""
MAX_SHOWN_CHARACTERS = 60
"""How much of a value or of a tag a note repeats."""
MAX_SHOWN_ITEMS = 3
MAX_SHOWN_DEPTH = 3


class Source:
    """A template's text with positions: offsets in, lines and columns out.

    `starts` and `ends` are offsets by origin, an origin being a stretch of constant text or a tag; `constant[k]` is 1
    for the former; `targets` names the loop variables of the origins that are loops.
    """

    def __init__(
        self,
        file: str,
        text: str,
        starts: Sequence[int],
        ends: Sequence[int],
        constant: Sequence[int],
        targets: Mapping[int, tuple[str, ...]],
    ) -> None:
        self.file = file
        self.text = text
        self.starts = starts
        self.ends = ends
        self.constant = constant
        self.targets = targets

    @cached_property
    def lines(self) -> array[int]:
        """The offsets at which the lines begin."""
        return line_starts(self.text)

    def span(self, start: int, end: int) -> Span:
        """Return the span of `text[start:end]`."""
        first = bisect_right(self.lines, start)
        last = bisect_right(self.lines, end)
        return Span(self.file, first, start - self.lines[first - 1] + 1, last, end - self.lines[last - 1] + 1)

    def tag_span(self, origin: int) -> Span:
        """Return the span of a tag, or of a stretch of constant text."""
        return self.span(self.starts[origin], self.ends[origin])


class SourceMap:
    """Where each stretch of an expanded text was written.

    Stretch k begins at offset `starts[k]` of `text`; `origins[k]` counts through the origins of all `sources`, whose
    first ones are `bases`; `rounds[k]` is the innermost Round it was written in.
    """

    def __init__(
        self,
        text: str,
        starts: array[int],
        origins: array[int],
        rounds: Sequence[object],
        sources: Sequence[Source],
        bases: Sequence[int],
    ) -> None:
        self.text = text
        self._starts = starts
        self._origins = origins
        self._rounds = rounds
        self._sources = sources
        self._bases = bases

    def locate(self, span: Span) -> tuple[Span, tuple[Note, ...]]:
        """Return where the text at `span` of the expanded film was written, and what is known about it.

        The notes say which expressions gave the text, with their values, and in which rounds of which loops. Where the
        text comes from several places that are no stretch of one file, the first of them is returned.
        """
        if not self._starts:
            return span, ()
        start = self._offset(span.line, span.column)
        end = max(start, self._offset(span.end_line, span.end_column))
        first = max(0, bisect_right(self._starts, start) - 1)
        last = max(first, bisect_left(self._starts, end) - 1)
        source, left, right = self._original(first, start, min(end, self._end(first)))
        if last > first:
            other, later, stop = self._original(last, self._starts[last], end)
            if other is source and later >= right:
                right = stop
        notes = self._values(first, last)
        return source.span(left, right), (*notes, *round_notes(self._rounds[first], self._sources, self._bases))

    @cached_property
    def _lines(self) -> array[int]:
        return line_starts(self.text)

    def _offset(self, line: int, column: int) -> int:
        if line > len(self._lines):
            return len(self.text)
        end = self._lines[line] if line < len(self._lines) else len(self.text)
        return min(self._lines[max(line, 1) - 1] + max(column, 1) - 1, end)

    def _end(self, stretch: int) -> int:
        return self._starts[stretch + 1] if stretch + 1 < len(self._starts) else len(self.text)

    def _original(self, stretch: int, start: int, end: int) -> tuple[Source, int, int]:
        source, origin = find_source(self._origins[stretch], self._sources, self._bases)
        if not source.constant[origin]:
            return source, source.starts[origin], source.ends[origin]
        shift = source.starts[origin] - self._starts[stretch]
        return source, start + shift, end + shift

    def _values(self, first: int, last: int) -> list[Note]:
        notes: list[Note] = []
        for stretch in range(first, min(last, first + 1000) + 1):
            source, origin = find_source(self._origins[stretch], self._sources, self._bases)
            if source.constant[origin]:
                continue
            tag = source.text[source.starts[origin] : source.ends[origin]]
            end = min(self._end(stretch), self._starts[stretch] + 2 * MAX_SHOWN_CHARACTERS)
            value = show(self.text[self._starts[stretch] : end])
            notes.append(Note(f"{shorten(' '.join(tag.split()))} gave {value}", source.tag_span(origin)))
            if len(notes) == MAX_NOTES:
                break
        return notes


def find_source(origin: int, sources: Sequence[Source], bases: Sequence[int]) -> tuple[Source, int]:
    """Return the source that an origin belongs to, and its number there."""
    index = bisect_right(bases, origin) - 1
    return sources[index], origin - bases[index]


def round_notes(innermost: object, sources: Sequence[Source], bases: Sequence[int]) -> tuple[Note, ...]:
    """Say which rounds and includes were running, from the innermost outwards."""
    notes: list[Note] = []
    running = innermost
    while isinstance(running, tuple) and len(notes) < MAX_NOTES:
        outer, origin, number, values = running
        source, tag = find_source(origin, sources, bases)
        span = source.tag_span(tag)
        if number:
            names = source.targets.get(tag, ())
            shown = show_targets(names, values)
            notes.append(Note(f"in round {number} of the loop in line {span.line}, where {shown}", span))
        else:
            note = Note(f"brought in by the tag in line {span.line} of {source.file}", span)
            if note not in notes:
                notes.append(note)
        running = outer
    return tuple(notes)


def show_targets(names: tuple[str, ...], values: object) -> str:
    """Show the variables of a loop with their values in one round."""
    if len(names) == 1 or not isinstance(values, tuple) or len(names) != len(values):
        return f"{', '.join(names)} = {show(values)}"
    return ", ".join(f"{name} = {show(value)}" for name, value in zip(names, values, strict=True))


def show(value: object, *, depth: int = 0) -> str:
    """Show a value in few words, with everything escaped that a terminal could obey."""
    if isinstance(value, str):
        return repr(shorten(str.__str__(value)))
    if value is None or isinstance(value, (bool, float, Decimal, date, time)):
        return shorten(str(value))
    if isinstance(value, int):
        return shorten(str(value)) if value.bit_length() < 1000 else "a number of very many digits"
    if depth >= MAX_SHOWN_DEPTH:
        return "…"
    if isinstance(value, dict):
        parts = [
            f"{show(key, depth=depth + 1)}: {show(value[key], depth=depth + 1)}"
            for key, _ in zip(value, range(MAX_SHOWN_ITEMS), strict=False)
        ]
        return "{" + ", ".join([*parts, "…"] if len(value) > len(parts) else parts) + "}"
    if isinstance(value, (list, tuple)):
        parts = [show(item, depth=depth + 1) for item in value[:MAX_SHOWN_ITEMS]]
        return "[" + ", ".join([*parts, "…"] if len(value) > len(parts) else parts) + "]"
    return kind_in_words(value)


def shorten(text: str) -> str:
    """Cut a text to what a note shows of it."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def line_starts(text: str) -> array[int]:
    """Return the offsets at which the lines of a text begin."""
    starts = array("Q", [0])
    position = text.find("\n")
    while position >= 0:
        starts.append(position + 1)
        position = text.find("\n", position + 1)
    return starts


def whole(text: str, file: str) -> SourceMap:
    """Return the map of a text that is no template: everything stands where it was written."""
    source = Source(file, text, [0], [len(text)], b"\1", {})
    return SourceMap(text, array("Q", [0]), array("Q", [0]), [None], [source], [0])
