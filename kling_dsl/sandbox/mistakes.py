"""What a model finds wrong with a request, worded as fal words it, and the limits of pictures and videos."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from kling_dsl.profiles import ImageLimits, Profile, VideoLimits
from kling_dsl.world import Media

Place = tuple[str | int, ...]

_HELP = "https://docs.fal.ai/errors"


class Mistake(msgspec.Struct, frozen=True):
    """One entry of the list under `detail`."""

    loc: Place
    msg: str
    type: str
    input: Any = None
    ctx: dict[str, Any] = {}


def detail(mistakes: tuple[Mistake, ...]) -> dict[str, Any]:
    """Return the body of a 422."""
    return {
        "detail": [
            {
                "loc": mistake.loc,
                "msg": mistake.msg,
                "type": mistake.type,
                "url": f"{_HELP}#{mistake.type}",
                **({"ctx": mistake.ctx} if mistake.ctx else {}),
                "input": mistake.input,
            }
            for mistake in mistakes
        ]
    }


def content_refusal(prompt: str) -> Mistake:
    """Return the refusal of a prompt for what it shows."""
    words = "The content could not be processed because it was flagged by a content checker (the sandbox was asked to)."
    return Mistake(("body", "prompt"), words, "content_policy_violation", prompt)


def check_media(place: Place, kind: str, media: Media, profile: Profile, address: str) -> Iterator[Mistake]:
    """Yield what a model refuses in an uploaded picture or video."""
    limits = profile.media.image if kind == "image" else profile.media.video
    if limits is None:
        return
    noun = f"unsupported_{kind}_format"
    if media.kind not in (*limits.kinds, *limits.doubtful_kinds):
        words = f"the file is {media.kind or 'no picture or video'}, and these are taken: {', '.join(limits.kinds)}"
        yield Mistake(place, words, noun, address, {"supported_formats": list(limits.kinds)})
        return
    if media.problem:
        yield Mistake(place, f"the file could not be read: {media.problem}", f"{kind}_load_error", address)
        return
    if media.bytes > limits.max_bytes:
        words = f"the file has {media.bytes} bytes, and {limits.max_bytes} are taken at most"
        yield Mistake(place, words, "file_too_large", address, {"max_size": limits.max_bytes})
    if isinstance(limits, ImageLimits):
        yield from _check_picture(place, media, limits, address)
    else:
        yield from _check_video(place, media, limits, address)


def _check_picture(place: Place, media: Media, limits: ImageLimits, address: str) -> Iterator[Mistake]:
    size = f"the picture is {media.width}×{media.height} pixels"
    if media.width < limits.min_width or media.height < limits.min_height:
        least = {"min_width": limits.min_width, "min_height": limits.min_height}
        words = f"{size}, and {limits.min_width}×{limits.min_height} is the least"
        yield Mistake(place, words, "image_too_small", address, least)
    if media.width and media.height:
        aspect = Decimal(media.width) / Decimal(media.height)
        if not limits.min_aspect <= aspect <= limits.max_aspect:
            words = f"{size}, and its aspect has to be between {limits.min_aspect} and {limits.max_aspect}"
            yield Mistake(place, words, "image_aspect_ratio", address)


def _check_video(place: Place, media: Media, limits: VideoLimits, address: str) -> Iterator[Mistake]:
    if not (
        limits.min_width <= media.width <= limits.max_width and limits.min_height <= media.height <= limits.max_height
    ):
        words = f"the video is {media.width}×{media.height} pixels, outside of {limits.min_width} to {limits.max_width}"
        yield Mistake(place, words, "video_size", address)
    if media.seconds is not None and Decimal(str(media.seconds)) < limits.min_seconds:
        words = f"the video lasts {media.seconds:.2f} s, and {limits.min_seconds} s is the least"
        yield Mistake(place, words, "video_duration_too_short", address)
    if media.seconds is not None and Decimal(str(media.seconds)) > limits.max_seconds:
        words = f"the video lasts {media.seconds:.2f} s, and {limits.max_seconds} s is the most"
        yield Mistake(place, words, "video_duration_too_long", address)
    rate = media.frames_per_second
    # Rates are fractions such as 24000/1001, told as floats; a thousandth decides nothing.
    slack = Decimal("0.0005")
    if rate is not None and not (
        limits.min_frames_per_second - slack <= Decimal(str(rate)) <= limits.max_frames_per_second + slack
    ):
        words = f"the video has {rate:.2f} frames a second, outside of {limits.min_frames_per_second} to {limits.max_frames_per_second}"
        yield Mistake(place, words, "video_frame_rate", address)
