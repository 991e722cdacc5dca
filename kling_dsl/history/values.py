"""What a comparison of two revisions found: films, their clips, the fields that changed, and the dollars."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from kling_dsl.compiler import Quote

Kind = Literal["new", "changed", "renamed", "moved", "removed", "unchanged"]
KINDS: tuple[Kind, ...] = ("new", "changed", "renamed", "moved", "removed", "unchanged")
"""What can have become of a clip, in the order in which it is told; one that changed may have moved as well."""

Move = Literal["file", "scene", "order"]

_NOTHING = Decimal(0)


class Piece(msgspec.Struct, frozen=True):
    """A part of a text that changed."""

    kind: Literal["same", "removed", "added"]
    text: str


class Field(msgspec.Struct, frozen=True):
    """A part of a request that changed: its path in the arguments, `model`, `endpoint`, `takes` or `price_usd`.

    `old` and `new` are for people, None where it was not there: a string stands as it is, a media file by its path,
    and anything else as JSON. The digests are those of local media. `words` are the whole of both texts, in prose.
    """

    path: str
    old: str | None
    new: str | None
    old_sha256: str = ""
    new_sha256: str = ""
    words: tuple[Piece, ...] = ()


class Clip(msgspec.Struct, frozen=True):
    """A clip as it stands on one side.

    `fingerprint` is that of the film alone. `request` is that of the exact request, with the frames of the takes that
    the lock has; it is empty while the clip waits for another one. `held` of its takes are in the lock, `to_buy` are not.
    """

    id: str
    scene: str
    file: str
    line: int
    model: str
    endpoint: str
    seconds: int
    takes: int
    price_usd: Decimal
    fingerprint: str
    request: str
    held: int
    to_buy: int
    accepted: str = ""
    """Who decided to keep the take of another request, and when and why; empty where nobody did."""

    @property
    def cost_usd(self) -> Decimal:
        """What all its takes cost."""
        return self.price_usd * self.takes

    @property
    def to_buy_usd(self) -> Decimal:
        """What of that the lock does not hold."""
        return self.price_usd * self.to_buy

    @property
    def held_usd(self) -> Decimal:
        """What of that the lock holds."""
        return self.price_usd * self.held


class Change(msgspec.Struct, frozen=True):
    """What became of a clip.

    `stale` has the ids of the clips whose last frame it starts from and which are not what they were. `billable` is
    the number of its takes that are to be bought because of the change.
    """

    kind: Kind
    old: Clip | None
    new: Clip | None
    fields: tuple[Field, ...] = ()
    stale: tuple[str, ...] = ()
    renamed: bool = False
    moved: tuple[Move, ...] = ()
    billable: int = 0

    @property
    def clip(self) -> Clip:
        """The clip as it is now, or as it was before it was removed."""
        clip = self.new or self.old
        assert clip is not None, "a change is of a clip"
        return clip

    @property
    def billable_usd(self) -> Decimal:
        """What is to be bought because of the change; for a clip that waits for another one, at most."""
        return self.clip.price_usd * self.billable


class Side(msgspec.Struct, frozen=True):
    """The totals of a film on one side; of a film that `failed` to compile none is known."""

    file: str
    failed: bool = False
    clips: int = 0
    seconds: int = 0
    film_usd: Decimal = _NOTHING
    to_buy_usd: Decimal = _NOTHING
    held_usd: Decimal = _NOTHING
    models: tuple[str, ...] = ()
    drafts: tuple[Quote, ...] = ()


class Draft(msgspec.Struct, frozen=True):
    """What both sides cost on a draft model, None where it refuses clips or is no draft of the side's models."""

    model: str
    old_usd: Decimal | None
    new_usd: Decimal | None


class FilmDifference(msgspec.Struct, frozen=True):
    """A film on both sides; a side is None where the film does not exist. Without both sides there are no changes."""

    title: str
    old: Side | None
    new: Side | None
    changes: tuple[Change, ...]

    @property
    def file(self) -> str:
        """The path of the film, on the new side where it is there."""
        side = self.new or self.old
        assert side is not None, "a film is on one side at least"
        return side.file

    @property
    def failed(self) -> bool:
        """Say whether a side did not compile, so that there is no difference to tell."""
        return any(side is not None and side.failed for side in (self.old, self.new))

    @property
    def is_renamed(self) -> bool:
        """Say whether the film has another path than before."""
        return self.old is not None and self.new is not None and self.old.file != self.new.file

    @property
    def old_usd(self) -> Decimal | None:
        """What the film cost; None when that is not known."""
        return _cost(self.old)

    @property
    def new_usd(self) -> Decimal | None:
        """What the film costs; None when that is not known."""
        return _cost(self.new)

    @property
    def difference_usd(self) -> Decimal | None:
        """How much more the film costs; None when one of the sides is not known."""
        return _minus(self.new_usd, self.old_usd)

    @property
    def billable_usd(self) -> Decimal:
        """What is to be bought because of the changes."""
        return sum((change.billable_usd for change in self.changes), _NOTHING)

    @property
    def drafts(self) -> tuple[Draft, ...]:
        """The draft models of either side."""
        quotes = [
            {quote.model: quote.film_usd for quote in side.drafts} if side is not None and not side.failed else {}
            for side in (self.old, self.new)
        ]
        # A side without the film costs nothing on any model.
        absent = [_NOTHING if side is None else None for side in (self.old, self.new)]
        names = dict.fromkeys((*quotes[1], *quotes[0]))
        return tuple(Draft(name, quotes[0].get(name, absent[0]), quotes[1].get(name, absent[1])) for name in names)

    def of(self, kind: Kind) -> Iterator[Change]:
        """Yield the changes of a kind."""
        return (change for change in self.changes if change.kind == kind)


class Difference(msgspec.Struct, frozen=True):
    """Two revisions of a project; `old` and `new` name them, with a commit where there is one."""

    old: str
    new: str
    old_commit: str
    new_commit: str
    films: tuple[FilmDifference, ...]

    @property
    def old_usd(self) -> Decimal | None:
        """What the films cost; None when that is not known of one."""
        return _sum([film.old_usd for film in self.films])

    @property
    def new_usd(self) -> Decimal | None:
        """What the films cost now; None when that is not known of one."""
        return _sum([film.new_usd for film in self.films])

    @property
    def difference_usd(self) -> Decimal | None:
        """How much more the films cost; None when that is not known of one."""
        return _minus(self.new_usd, self.old_usd)

    @property
    def billable_usd(self) -> Decimal:
        """What is to be bought because of the changes."""
        return sum((film.billable_usd for film in self.films), _NOTHING)

    @property
    def to_buy_usd(self) -> Decimal:
        """What is to be bought of the new side in all, as far as it compiled."""
        return sum((film.new.to_buy_usd for film in self.films if film.new is not None), _NOTHING)

    @property
    def failed(self) -> bool:
        """Say whether a film did not compile on a side."""
        return any(film.failed for film in self.films)


def _cost(side: Side | None) -> Decimal | None:
    if side is None:
        return _NOTHING
    return None if side.failed else side.film_usd


def _minus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one - other


def _sum(amounts: list[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, _NOTHING) if len(known) == len(amounts) else None
