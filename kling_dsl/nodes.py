"""The screenplay as it was parsed: one frozen value for every block, with places counted from the block's first line."""

from __future__ import annotations

import msgspec

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.source import Span, Text


class Passage(msgspec.Struct, frozen=True):
    """Text of the writer exactly as it stands, from `line` and `column` on; further lines begin in column 1."""

    raw: str
    line: int
    column: int = 1

    def span(self, start: int, end: int) -> Span:
        """Return the span, in the block, of `raw[start:end]`."""
        raw = self.raw
        above = raw.count("\n", 0, start)
        column = start - raw.rfind("\n", 0, start) if above else start + self.column
        below = above + raw.count("\n", start, end)
        end_column = column + end - start if below == above else end - raw.rfind("\n", 0, end)
        return Span("", self.line + above, column, self.line + below, end_column)


class Dialogue(msgspec.Struct, frozen=True):
    """A spoken line: the speaker's name in capitals, how it is said, and the words."""

    name: Text
    manner: Text | None
    words: Passage


class Break(msgspec.Struct, frozen=True):
    """The end of a paragraph."""


class Attribute(msgspec.Struct, frozen=True):
    """An indented `key: value` line."""

    key: Text
    value: Text


class Entry(msgspec.Struct, frozen=True):
    """A `Key: value` line of the title page; `name` is the second word of `Param name` and `Data name`."""

    key: Text
    name: Text | None
    value: Text


class Length(msgspec.Struct, frozen=True):
    """A stated length in whole seconds."""

    seconds: int
    span: Span
    is_unclear: bool = False
    """What was written is no length that could be meant, and was reported; a default stands in for it."""
    fraction: str = ""
    """What was written when it is no whole number; `seconds` is then the next one above it."""


Body = tuple[Passage | Dialogue | Break, ...]


class TitlePage(msgspec.Struct, frozen=True):
    """The entries at the top of a film."""

    entries: tuple[Entry, ...]


class Import(msgspec.Struct, frozen=True):
    """A request for the definitions of another file; the path is relative to this one."""

    path: Text


class Definition(msgspec.Struct, frozen=True):
    """A reference with a name: `kind` is CHARACTER, PROP, PLACE or STYLE."""

    kind: str
    name: Text
    attributes: tuple[Attribute, ...]
    body: Body


class Heading(msgspec.Struct, frozen=True):
    """A scene heading, without its forcing dot and its `number`."""

    text: Passage
    number: str
    attributes: tuple[Attribute, ...]


class Shot(msgspec.Struct, frozen=True):
    """A shot: what the camera does and sees."""

    id: Text
    length: Length | None
    camera: Passage | None
    attributes: tuple[Attribute, ...]
    body: Body


class Clip(msgspec.Struct, frozen=True):
    """The first line of a group of shots that are sent as one request."""

    id: Text
    length: Length | None
    attributes: tuple[Attribute, ...]


class EndClip(msgspec.Struct, frozen=True):
    """The line that ends a group."""


Node = TitlePage | Import | Definition | Heading | Shot | Clip | EndClip


class Block(msgspec.Struct, frozen=True, eq=False, gc=True):
    """A parsed block: its node, or None when it is too broken to be one, and what is wrong with it."""

    node: Node | None
    diagnostics: tuple[Diagnostic, ...] = ()


class Placed(msgspec.Struct, frozen=True, eq=False):
    """A block at its place: `line` counts from 1."""

    line: int
    block: Block


class Screenplay(msgspec.Struct, frozen=True, eq=False):
    """One parsed file."""

    file: str
    blocks: tuple[Placed, ...]
    lines: int
