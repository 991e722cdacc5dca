"""What the made-up film consists of, before it is written in any notation."""

from __future__ import annotations

import msgspec


class Reference(msgspec.Struct, frozen=True):
    """A name of the cast: its keyword in a screenplay, its front picture and its further angles."""

    kind: str
    name: str
    front: str
    angles: tuple[str, ...]


class Shot(msgspec.Struct, frozen=True):
    """One shot: `names` are the references of its action in order of first use."""

    id: str
    seconds: int
    camera: str
    action: str
    names: tuple[str, ...]


class Clip(msgspec.Struct, frozen=True):
    """A multi-shot clip."""

    id: str
    shots: tuple[Shot, ...]

    @property
    def seconds(self) -> int:
        """The length of the clip in seconds."""
        return sum(shot.seconds for shot in self.shots)


class Scene(msgspec.Struct, frozen=True):
    """A scene: single shots and clips in their order."""

    heading: str
    takes: tuple[Shot | Clip, ...]


class Film(msgspec.Struct, frozen=True):
    """A film with the cast it uses and the price of one second in US dollars."""

    title: str
    usd_per_second: str
    cast: tuple[Reference, ...]
    scenes: tuple[Scene, ...]
