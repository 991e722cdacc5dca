"""Checks pictures and videos offline, against the limits of the models that will be asked to read them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from kling_dsl import ir
from kling_dsl.diagnostics import Diagnostic, Note, error, warning
from kling_dsl.profiles import ImageLimits, Profile, VideoLimits
from kling_dsl.source import Span
from kling_dsl.world import Media, Unreadable

_SLUGS = {"missing": "media-missing", "outside": "outside-root", "too-large": "media-too-large"}


def check_presence(file: ir.File, media: Media | Unreadable) -> Iterator[Diagnostic]:
    """Report a media file that cannot be read at all, or is damaged."""
    if isinstance(media, Unreadable):
        hints = {
            "missing": "paths are relative to the file that names them",
            "outside": "copy it into the project: nothing outside the project's root ever leaves the machine",
        }
        yield error(
            _SLUGS.get(media.reason, "media-unreadable"),
            f"{file.path}: {media.message}",
            file.span,
            hint=hints.get(media.reason, "name a picture or a video of the project"),
        )
    elif media.problem:
        yield error("media-broken", f"{file.path} is damaged: {media.problem}", file.span, hint="export it again")


def check_angles(reference: ir.Reference, profile: Profile) -> Iterator[Diagnostic]:
    """Report an element with more, or fewer, pictures from other angles than the model takes."""
    path = profile.roles.get("element-angles")
    if path is None or not reference.angles:
        return
    field = profile.paths[path]
    count = len(reference.angles)
    if field.max_items is not None and count > field.max_items:
        yield error(
            "too-many-angles",
            f"{reference.name} has {count} angles, and {profile.name} takes {field.max_items} at most",
            reference.angles[field.max_items].span,
            notes=(_basis(profile, field.source),),
            hint=f"drop {count - field.max_items} of them",
        )
    elif field.min_items is not None and count < field.min_items:
        yield error(
            "list-length",
            f"{reference.name} has {count} angle{'s' * (count > 1)}, and {profile.name} takes {field.min_items} at least",
            reference.angles[0].span,
            notes=(_basis(profile, field.source),),
            hint="add `angles:` with more pictures, separated by commas",
        )


def check_picture(file: ir.File, media: Media, profile: Profile) -> Iterator[Diagnostic]:
    """Report a picture that the model would refuse: by its content's kind, its bytes, its pixels or its shape."""
    limits = profile.media.image
    if limits is None or media.problem:
        return
    yield from _check_file(file, media, limits, profile)
    if media.kind not in (*limits.kinds, *limits.doubtful_kinds):
        return
    note = (_basis(profile, limits.source),)
    if not media.width or not media.height:
        yield error(
            "media-broken", f"the size of {file.path} in pixels cannot be read", file.span, hint="export it again"
        )
        return
    if media.width < limits.min_width or media.height < limits.min_height:
        yield error(
            "picture-too-small",
            f"{file.path} is {media.width}×{media.height} pixels, and {profile.name} takes {limits.min_width}×{limits.min_height} and more",
            file.span,
            notes=note,
            hint="use a larger picture",
        )
    aspect = Decimal(media.width) / Decimal(media.height)
    if not limits.min_aspect <= aspect <= limits.max_aspect:
        yield error(
            "picture-aspect",
            f"{file.path} is {media.width}×{media.height}, {aspect:.2f} times as wide as high, and {profile.name} takes"
            f" {limits.min_aspect} to {limits.max_aspect}",
            file.span,
            notes=note,
            hint="crop it",
        )


def check_video(file: ir.File, media: Media, profile: Profile) -> Iterator[Diagnostic]:
    """Report a video that the model would refuse; without the `media` extra its length is not known, and that is said."""
    limits = profile.media.video
    if limits is None or media.problem:
        return
    yield from _check_file(file, media, limits, profile)
    if media.kind not in (*limits.kinds, *limits.doubtful_kinds):
        return
    note = (_basis(profile, limits.source),)
    if media.seconds is None or media.frames_per_second is None:
        yield Diagnostic(
            "video-not-measured",
            "note",
            f"the length, size and frame rate of {file.path} were not checked",
            file.span,
            hint="install the extra `media` (`pip install 'kling-dsl[media]'`) to have videos measured before they are sent",
        )
        return
    seconds, rate = Decimal(str(media.seconds)), Decimal(str(media.frames_per_second))
    if not limits.min_seconds <= seconds <= limits.max_seconds:
        yield error(
            "video-length",
            f"{file.path} lasts {seconds:.2f} s, and {profile.name} takes {limits.min_seconds} to {limits.max_seconds} s",
            file.span,
            notes=note,
            hint="cut it to length",
        )
    if not (
        limits.min_width <= media.width <= limits.max_width and limits.min_height <= media.height <= limits.max_height
    ):
        yield error(
            "video-size",
            f"{file.path} is {media.width}×{media.height} pixels, and {profile.name} takes {limits.min_width}×{limits.min_height}"
            f" to {limits.max_width}×{limits.max_height}",
            file.span,
            notes=note,
            hint="scale it",
        )
    # Half a thousandth lets 23.976, which is 24000/1001, stay outside and 24 and 60 inside whatever the rounding.
    slack = Decimal("0.0005")
    if not limits.min_frames_per_second - slack <= rate <= limits.max_frames_per_second + slack:
        yield error(
            "video-rate",
            f"{file.path} has {rate:.2f} frames a second, and {profile.name} takes"
            f" {limits.min_frames_per_second} to {limits.max_frames_per_second}",
            file.span,
            notes=note,
            hint="convert it",
        )


def check_shared_pictures(references: tuple[ir.Reference, ...], digests: dict[str, str]) -> Iterator[Diagnostic]:
    """Report a main picture that two names share: the model is told that they are one."""
    first: dict[str, tuple[ir.Reference, Span]] = {}
    for reference in references:
        for picture in (reference.front, reference.image):
            if picture is None:
                continue
            key = digests.get(picture.path, "") if isinstance(picture, ir.File) else picture.url
            if not key:
                continue
            earlier = first.setdefault(key, (reference, picture.span))
            if earlier[0].name != reference.name:
                yield warning(
                    "shared-picture",
                    f"{reference.name} has the same picture as {earlier[0].name}",
                    picture.span,
                    notes=(Note("the other stands here", earlier[1]),),
                    hint="give each name a picture of its own, or use one name for both",
                )


def _check_file(
    file: ir.File, media: Media, limits: ImageLimits | VideoLimits, profile: Profile
) -> Iterator[Diagnostic]:
    """Report what pictures and videos share: a kind that is not taken, or taken with a doubt, and too many bytes."""
    hint = f"convert it to {_or(limits.kinds)}; the name's ending decides nothing"
    notes = (_basis(profile, limits.source),)
    told = f"{file.path} is {_kind(media)}, and {profile.name}"
    if media.kind in limits.doubtful_kinds:
        yield warning("media-kind-doubtful", f"{told} is not known to take it", file.span, notes=notes, hint=hint)
    elif media.kind not in limits.kinds:
        yield error("media-kind", f"{told} takes {_or(limits.kinds)}", file.span, notes=notes, hint=hint)
        return
    if media.bytes > limits.max_bytes:
        yield _too_large(file, media, limits, profile)


def _too_large(file: ir.File, media: Media, limits: ImageLimits | VideoLimits, profile: Profile) -> Diagnostic:
    return error(
        "media-too-large",
        f"{file.path} has {media.bytes:,} bytes, and {profile.name} takes {limits.max_bytes:,} at most",
        file.span,
        notes=(_basis(profile, limits.source),),
        hint="compress it or make it smaller",
    )


def _kind(media: Media) -> str:
    return f"a {media.kind} file by its content" if media.kind else "no picture or video by its content"


def _or(kinds: tuple[str, ...]) -> str:
    return " or ".join(kinds)


def _basis(profile: Profile, source: str) -> Note:
    stated = profile.sources[source]
    return Note(f"the limit was read in: {stated.title}, {stated.date}")
