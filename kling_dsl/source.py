"""Positions in a writer's text, and the words of it that a later stage still has to point at."""

from __future__ import annotations

import msgspec


class Span(msgspec.Struct, frozen=True, order=True):
    """A range of one file: lines and columns count from 1, columns in code points, the end is exclusive.

    `file` is the path from the project's root with `/` between its parts. While a block of a film is compiled its
    spans count lines from 0 at the block's first line and `file` is empty; `moved` puts them in their place.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def moved(self, file: str, lines: int) -> Span:
        """Return this span in `file`, `lines` further down; a span that names a file already stays."""
        if self.file:
            return self
        return Span(file, self.line + lines, self.column, self.end_line + lines, self.end_column)


class Text(msgspec.Struct, frozen=True):
    """A piece of a line with the place where it stands: `line` from the block's first (0), `column` from 1.

    A note in it may go over several lines.
    """

    value: str
    line: int
    column: int

    @property
    def span(self) -> Span:
        """The span of the piece, in its block."""
        value = self.value
        if "\n" in value:
            end = self.line + value.count("\n")
            return Span("", self.line, self.column, end, len(value) - value.rfind("\n"))
        return Span("", self.line, self.column, self.line, self.column + len(value))


def span_of_offsets(text: str, start: int, end: int, *, line: int = 0) -> Span:
    """Return the span of `text[start:end]`, where `text` begins in column 1 of line `line`."""
    first = text.count("\n", 0, start)
    last = text.count("\n", 0, end)
    return Span(
        "",
        line + first,
        start - (text.rfind("\n", 0, start) + 1) + 1,
        line + last,
        end - (text.rfind("\n", 0, end) + 1) + 1,
    )
