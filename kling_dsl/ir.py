"""The film as it will be bought: names bound, defaults resolved, prompts worded; one value for every request."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from kling_dsl.source import Span

Kind = Literal["CHARACTER", "PROP", "PLACE", "STYLE"]


class File(msgspec.Struct, frozen=True):
    """A local media file, by its path from the project's root, named at `span`."""

    path: str
    span: Span


class Address(msgspec.Struct, frozen=True):
    """A media file on the web, fetched by the provider alone, named at `span`."""

    url: str
    span: Span


class LastFrame(msgspec.Struct, frozen=True):
    """The last frame of the chosen take of another clip, named at `span`."""

    id: str
    span: Span


Picture = File | Address
Frame = File | Address | LastFrame


class Reference(msgspec.Struct, frozen=True):
    """A declared name: pictures, a video or a voice that stand for it, and its description in words.

    With `front` or `video` it is sent as an element, with `image` as a loose picture, and with neither in words.
    """

    name: str
    kind: Kind
    span: Span
    description: str = ""
    front: Picture | None = None
    angles: tuple[Picture, ...] = ()
    video: Picture | None = None
    image: Picture | None = None
    voice: str = ""

    @property
    def media(self) -> tuple[Picture, ...]:
        """Every file or address that stands for the reference."""
        single = (self.front, self.video, self.image)
        return tuple(medium for medium in single if medium is not None) + self.angles


class Binding(msgspec.Struct, frozen=True):
    """A reference as one request sends it: `tag` is its name there, as in `@Element1`, first used at `span`."""

    reference: Reference
    tag: str
    place: Literal["elements", "images", "videos"]
    span: Span


class Speech(msgspec.Struct, frozen=True):
    """A spoken line of a shot."""

    speaker: str
    words: str
    span: Span


class Fraction(msgspec.Struct, frozen=True):
    """A length that was written as a fraction, as in `5.5s`.

    With `low` or with `high` in its place the whole clip would last `low_seconds` or `high_seconds`.
    """

    written: str
    low: int
    high: int
    low_seconds: int
    high_seconds: int
    span: Span


class Shot(msgspec.Struct, frozen=True):
    """A shot of a request, with its final prompt."""

    id: str
    seconds: int
    prompt: str
    span: Span
    speeches: tuple[Speech, ...] = ()
    uses: tuple[str, ...] = ()
    """The names of the references that the shot mentions or is lent."""


class Request(msgspec.Struct, frozen=True):
    """One clip to ask for: a shot alone, or several in one (`multi`).

    Spans count lines from 0 at the request's first line. `extra` holds the fields that no role fills, by field name.
    """

    id: str
    scene: str
    model: str
    multi: bool
    shots: tuple[Shot, ...]
    bindings: tuple[Binding, ...]
    span: Span
    audio: bool | None
    aspect: str | None
    shot_type: str | None
    takes: int
    start: Frame | None = None
    end: Frame | None = None
    voices: tuple[str, ...] = ()
    extra: dict[str, bool | int | float | str] = {}
    fractions: tuple[Fraction, ...] = ()
    places: dict[str, Span] = {}
    """Where each attribute was written, by its keyword, for those written at the request itself."""

    @property
    def seconds(self) -> int:
        """The length of the finished clip."""
        return sum(shot.seconds for shot in self.shots)


class Settings(msgspec.Struct, frozen=True):
    """The title page, resolved."""

    title: str = ""
    author: str = ""
    budget_usd: Decimal | None = None
    duration_seconds: int | None = None
    duration_unclear: bool = False
    """The film states a default length that cannot be read; what depends on it is not reported again."""
    headings: bool = True
