"""What a placeholder shows: the words of each shot in its own seconds, and the references under their tags."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl.calls import values_at
from kling_dsl.profiles import Profile

FindUpload = Callable[[str], Path | None]


class Shot(msgspec.Struct, frozen=True):
    """The words that stand from one second to another."""

    start: int
    end: int
    words: str


class Thumbnail(msgspec.Struct, frozen=True):
    """A reference by its tag; `place` is None for a picture elsewhere, which is never fetched."""

    tag: str
    place: Path | None


class Placard(msgspec.Struct, frozen=True):
    """Everything that a placeholder shows beside its running time."""

    title: str
    shots: tuple[Shot, ...]
    thumbnails: tuple[Thumbnail, ...]
    start_frame: Path | None
    shade: int
    """A number from 0 to 255 that tells one request from another by its colour."""


def make_placard(
    profile: Profile, arguments: dict[str, Any], *, title: str, seconds: int, seed: int, find_upload: FindUpload
) -> Placard:
    """Return what the placeholder of a request shows; the same request and seed give the same."""
    shots = tuple(_shots(profile, arguments, seconds))
    # Words alone: an upload has another address each time, and is the same picture.
    told = [seed, profile.endpoint, seconds, *[shot.words for shot in shots]]
    start = values_at(arguments, profile.roles["start-frame"]) if "start-frame" in profile.roles else []
    return Placard(
        title,
        shots,
        tuple(_thumbnails(profile, arguments, find_upload)),
        find_upload(start[0]) if start else None,
        hashlib.sha256(msgspec.json.encode(told)).digest()[0],
    )


def _shots(profile: Profile, arguments: dict[str, Any], seconds: int) -> Iterator[Shot]:
    """Yield the shots of a list, else the one prompt; what is left over at the end belongs to the last shot."""
    roles = profile.roles
    shots = values_at(arguments, roles["shots"]) if "shots" in roles else []
    at = 0
    for number, shot in enumerate(shots, 1):
        length = int(shot.get(roles["shot-duration"].rpartition(".")[2]) or 0)
        end = seconds if number == len(shots) else min(at + length, seconds)
        words = shot.get(roles["shot-prompt"].rpartition(".")[2], "")
        yield Shot(at, end, f"{number}/{len(shots)}  {words}")
        at = end
    if not shots:
        words = values_at(arguments, roles["prompt"]) if "prompt" in roles else []
        yield Shot(0, seconds, str(words[0]) if words else "")


def _thumbnails(profile: Profile, arguments: dict[str, Any], find_upload: FindUpload) -> Iterator[Thumbnail]:
    roles = profile.roles
    elements = values_at(arguments, roles["elements"]) if "elements" in roles else []
    keys = [roles[role].rpartition(".")[2] for role in ("element-front", "element-video") if role in roles]
    for number, element in enumerate(elements, 1):
        addresses = [element[key] for key in keys if element.get(key)]
        yield Thumbnail(profile.prompt.element.format(n=number), find_upload(addresses[0]) if addresses else None)
    for role, form in (("images", profile.prompt.image), ("videos", profile.prompt.video)):
        for number, address in enumerate(values_at(arguments, roles[role]) if role in roles else [], 1):
            yield Thumbnail(form.format(n=number), find_upload(address))
    for role, tag in (("start-frame", "start"), ("end-frame", "end")):
        for address in values_at(arguments, roles[role]) if role in roles else []:
            yield Thumbnail(tag, find_upload(address))
