"""Turns a downloaded file into a clip that counts: measured, digested, stored with its record, or kept aside."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl.calls import values_at
from kling_dsl.footage import Expected, Finding, Footage, Unusable, compare, measure
from kling_dsl.ledger import Row
from kling_dsl.profiles import Profile
from kling_dsl.render.provenance import Origin, provenance
from kling_dsl.store import Store

SURE = ("certain", "high")
"""Confidences of a sheet by which a clip of another size than it says is refused and not only noted."""


class Kept(msgspec.Struct, frozen=True):
    """A clip that is in the store, with what was noticed about it."""

    sha256: str
    notes: tuple[str, ...]


class SetAside(msgspec.Struct, frozen=True):
    """A file that was paid for and is not what was asked for: where it is kept, and why."""

    reason: str
    place: Path


def finish(
    part: Path, row: Row, origin: Origin, store: Store, *, place_to_measure: AbstractContextManager[object]
) -> Kept | SetAside:
    """Measure a downloaded part, and move it into the store or into quarantine; it is never deleted.

    `place_to_measure` is held while pictures are decoded, which takes memory; the rest mostly waits for the disk.
    A full disk is an OSError that passes through; the part is still there then, or the clip already is.
    """
    with place_to_measure:
        footage = measure(part)
    if isinstance(footage, Unusable):
        return _set_aside(part, row, origin, store, reason=footage.reason, footage=None)
    finding = compare(footage, expected_of(row, origin))
    if finding.refused:
        return _set_aside(part, row, origin, store, reason="; ".join(finding.refused), footage=footage)
    return Kept(_keep(part, row, origin, store, footage, finding), finding.noted)


def expected_of(row: Row, origin: Origin) -> Expected:
    """Return what the clip of a row should measure, by its model's sheet as far as it is known.

    A clip that begins with a frame takes its shape from that frame. Of a clip of the sandbox, whose pictures are
    smaller, only the shape counts.
    """
    profile, arguments = origin.profile, msgspec.json.decode(row.order.request)
    if profile is None or not isinstance(arguments, dict):
        return Expected(
            container="mp4", seconds=row.order.seconds, size=None, aspect=None, audio=None, size_is_sure=False
        )
    size = _size(arguments, profile)
    audio_field = profile.roles.get("audio")
    audio = arguments.get(audio_field) if audio_field else None
    return Expected(
        container=profile.output.container,
        seconds=row.order.seconds,
        size=None if origin.scaled else size,
        aspect=size[0] / size[1] if size else None,
        audio=audio if isinstance(audio, bool) else None,
        size_is_sure=profile.output.confidence in SURE,
    )


def _size(arguments: dict[str, Any], profile: Profile) -> tuple[int, int] | None:
    start = profile.roles.get("start-frame")
    if start and values_at(arguments, start):
        return None
    aspect = profile.roles.get("aspect")
    chosen = arguments.get(aspect) if aspect else None
    if isinstance(chosen, str):
        return profile.output.sizes.get(chosen)
    sizes = set(profile.output.sizes.values())
    return sizes.pop() if len(sizes) == 1 else None


def _keep(part: Path, row: Row, origin: Origin, store: Store, footage: Footage, finding: Finding) -> str:
    return store.keep(part, lambda sha256: provenance(row, origin, sha256=sha256, footage=footage, notes=finding.noted))


def _set_aside(part: Path, row: Row, origin: Origin, store: Store, *, reason: str, footage: Footage | None) -> SetAside:
    record = provenance(row, origin, sha256="", footage=footage, notes=(reason,))
    return SetAside(reason, store.quarantine(part, reason, record))
