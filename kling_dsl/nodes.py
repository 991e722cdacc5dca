"""The screenplay as it was parsed: one frozen value for every block, with places counted from the block's first line."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

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


class Word(msgspec.Struct, frozen=True):
    """A word of an EXPECT line that something may be said about, without its quotes."""

    value: str
    span: Span


class Limit(msgspec.Struct, frozen=True):
    """What a number is held to: dollars, seconds or a count. `high` is that of `between`, which includes both."""

    sign: Literal["=", "<", "<=", ">", ">=", "between"]
    low: Decimal
    span: Span
    high: Decimal | None = None


class Place(msgspec.Struct, frozen=True):
    """A part of the film: a scene, by its order (`2`) or its written number (`#12A#`), or a clip by its id."""

    kind: Literal["scene", "clip"]
    name: Word


class Total(msgspec.Struct, frozen=True):
    """What all takes cost, of the film or a part of it, with every shot on `model` where one is named."""

    place: Place | None
    model: Word | None
    limit: Limit


class Count(msgspec.Struct, frozen=True):
    """How many there are of something, or how many seconds."""

    noun: Literal["seconds", "clips", "shots", "scenes", "takes", "references"]
    place: Place | None
    limit: Limit


class Subject(msgspec.Struct, frozen=True):
    """The shots or clips that a claim is made of: one by its `id`, or those of a part of the film (or all of it)."""

    quantifier: Literal["every", "no", "some", "the"]
    unit: Literal["shot", "clip"]
    id: Word | None
    place: Place | None
    span: Span


class UsesReference(msgspec.Struct, frozen=True):
    """Uses a declared name, which is written without its @ here."""

    name: Word


class UsesModel(msgspec.Struct, frozen=True):
    """Is made by a model."""

    name: Word


class Lasts(msgspec.Struct, frozen=True):
    """Is longer or shorter than whole seconds."""

    than: Literal["longer", "shorter"]
    seconds: int
    span: Span


class Says(msgspec.Struct, frozen=True):
    """Has words among those that are spoken (`says`) or that are sent (`prompts`)."""

    where: Literal["says", "prompts"]
    words: Word


class HasAudio(msgspec.Struct, frozen=True):
    """Is made with sound."""

    span: Span


Predicate = UsesReference | UsesModel | Lasts | Says | HasAudio


class Claim(msgspec.Struct, frozen=True):
    """Something that holds for every, for no or for some shot or clip, or for the one that is named."""

    subject: Subject
    predicate: Predicate


class Golden(msgspec.Struct, frozen=True):
    """The film's requests are those in the file that was written before."""


Statement = Total | Count | Claim | Golden


class Expectation(msgspec.Struct, frozen=True):
    """An EXPECT line: its words as the writer typed them, and what they state (None until they are read)."""

    words: Passage
    statement: Statement | None = None
    text: str = ""
    """The words with one blank between them, without notes."""

    @property
    def span(self) -> Span:
        """The span of the words."""
        return self.words.span(0, len(self.words.raw))


Node = TitlePage | Import | Definition | Heading | Shot | Clip | EndClip | Expectation


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
