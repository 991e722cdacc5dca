"""The film as EXPECT lines speak of it: its scenes, clips and shots in order, found by number and by id."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

import msgspec

from kling_dsl import ir, nodes, spelling
from kling_dsl.sheets import Profiles
from kling_dsl.source import Span


class Stated(msgspec.Struct, frozen=True, eq=False):
    """An EXPECT line at its place: `line` counts from 1 in the expanded text of `file`."""

    file: str
    line: int
    node: nodes.Expectation

    @property
    def span(self) -> Span:
        """The span of its words."""
        return self.node.span.moved(self.file, self.line)


class SceneMark(msgspec.Struct, frozen=True):
    """A scene heading: its line, and its number as it was written, or empty."""

    line: int
    number: str


class Bought(msgspec.Struct, frozen=True, eq=False):
    """A clip: its request, the line of its first, the dollars of all its takes (None: not known), whether it sounds.

    `audio` is None for a model that says nothing of sound. `scene` counts from 0, and is -1 before the first heading.
    """

    request: ir.Request
    line: int
    scene: int
    cost_usd: Decimal | None
    audio: bool | None


class Seen(msgspec.Struct, frozen=True, eq=False):
    """A shot with the clip that it is bought with."""

    shot: ir.Shot
    clip: Bought


class Script(msgspec.Struct, frozen=True, eq=False, dict=True):
    """A compiled film, for questions about it."""

    file: str
    scenes: tuple[SceneMark, ...]
    clips: tuple[Bought, ...]
    names: tuple[str, ...]
    """Every declared reference."""
    profiles: Profiles

    @cached_property
    def shots(self) -> tuple[Seen, ...]:
        """Every shot, those inside clips too."""
        return tuple(Seen(shot, clip) for clip in self.clips for shot in clip.request.shots)

    @cached_property
    def clip_by_id(self) -> Mapping[str, Bought]:
        """The clips by their ids; a shot alone is a clip."""
        return {clip.request.id: clip for clip in self.clips}

    @cached_property
    def shot_by_id(self) -> Mapping[str, Seen]:
        """The shots by their ids."""
        return {seen.shot.id: seen for seen in self.shots}

    @cached_property
    def spelt_clips(self) -> spelling.Names:
        """The ids of the clips, to find those that a misspelt one may mean."""
        return spelling.Names(self.clip_by_id)

    @cached_property
    def spelt_shots(self) -> spelling.Names:
        """The ids of the shots, likewise."""
        return spelling.Names(self.shot_by_id)

    @cached_property
    def spelt_names(self) -> spelling.Names:
        """The names of the references, likewise."""
        return spelling.Names(self.names)

    @cached_property
    def _clips_by_scene(self) -> Mapping[int, tuple[Bought, ...]]:
        found: dict[int, list[Bought]] = {}
        for clip in self.clips:
            found.setdefault(clip.scene, []).append(clip)
        return {scene: tuple(clips) for scene, clips in found.items()}

    def scene_of(self, name: str) -> int | None:
        """Return which scene a number means, from 0: `2` by order, `#12A#` as it was written; None for no scene."""
        if name.startswith("#"):
            return next((at for at, mark in enumerate(self.scenes) if mark.number == name.strip("#")), None)
        number = int(name) - 1
        return number if 0 <= number < len(self.scenes) else None

    def clips_at(self, place: nodes.Place | None) -> tuple[Bought, ...]:
        """Return the clips of a part of the film, in order; none where there is no such part."""
        if place is None:
            return self.clips
        if place.kind == "clip":
            clip = self.clip_by_id.get(place.name.value)
            return () if clip is None else (clip,)
        scene = self.scene_of(place.name.value)
        return () if scene is None else self._clips_by_scene.get(scene, ())

    def shots_at(self, place: nodes.Place | None) -> tuple[Seen, ...]:
        """Return the shots of a part of the film, in order."""
        if place is None:
            return self.shots
        key = (place.kind, place.name.value)
        found = self._shots.get(key)
        if found is None:
            found = tuple(Seen(shot, clip) for clip in self.clips_at(place) for shot in clip.request.shots)
            self._shots[key] = found
        return found

    @cached_property
    def _shots(self) -> dict[tuple[str, str], tuple[Seen, ...]]:
        return {}

    def models_at(self, place: nodes.Place | None) -> tuple[tuple[str, bool], ...]:
        """Return the models of the clips of a part of the film, each with whether the clip is a group of shots."""
        key = None if place is None else (place.kind, place.name.value)
        found = self._models.get(key)
        if found is None:
            kinds = {(clip.request.model, clip.request.multi): None for clip in self.clips_at(place)}
            found = self._models[key] = tuple(kinds)
        return found

    @cached_property
    def _models(self) -> dict[tuple[str, str] | None, tuple[tuple[str, bool], ...]]:
        # A film may have thousands of EXPECT lines that ask the same of all its shots.
        return {}

    def span_of(self, seen: Seen | Bought) -> Span:
        """Return where the id of a shot or a clip stands."""
        clip = seen.clip if isinstance(seen, Seen) else seen
        span = seen.shot.span if isinstance(seen, Seen) else seen.request.span
        return span.moved(self.file, clip.line)
