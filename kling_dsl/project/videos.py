"""Length, size and frame rate of videos as displayed, through PyAV where the extra `media` is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from kling_dsl.project.boxes import find_video_turn
from kling_dsl.project.measures import Damaged, Measures

_MICROSECONDS = 1_000_000
_DEMUXER_OPTIONS = {
    # Opening may decode first frames to learn about a stream. Their claimed size is a stranger's word for how much
    # memory to take (193 MB for a frame of 8192 x 8192), and the headers alone tell all that is asked here.
    "skip_frame": "all",
    "probesize": str(4 * 1024 * 1024),
    "threads": "1",
}


def media_extra_present() -> bool:
    """Say whether the extra `media` is installed, without which a video's length, size and rate stay unknown."""
    from importlib.util import find_spec

    return find_spec("av") is not None


def _measure_mp4(file: BinaryIO, size: int) -> Measures:
    turned = find_video_turn(file, size)
    return _probe(file, "mov", turned=turned)


def _measure_matroska(file: BinaryIO, size: int) -> Measures:
    return _probe(file, "matroska", turned=False)


def _probe(file: BinaryIO, demuxer: str, *, turned: bool) -> Measures:
    """Open the file with one named demuxer, so that a playlist in disguise cannot make it reach for other files."""
    if not media_extra_present():
        return Measures()
    import av

    file.seek(0)
    try:
        with av.open(file, format=demuxer, metadata_errors="ignore", options=_DEMUXER_OPTIONS) as container:
            if not container.streams.video:
                raise Damaged("holds no video")
            return _measure_stream(container, container.streams.video[0], turned=turned)
    except Damaged:
        raise
    except Exception as problem:
        # The demuxer reads bytes that anyone may have written, and has many ways to say that they make no sense.
        raise Damaged(f"cannot be opened as a video: {str(problem).strip() or type(problem).__name__}") from problem


def _measure_stream(container: Any, stream: Any, *, turned: bool) -> Measures:
    """Read what the headers say; a length of the whole container stands in where the track states none."""
    if stream.codec_context is None:
        raise Damaged("holds a video of a kind that is not known")
    width, height = stream.codec_context.width, stream.codec_context.height
    if not width or not height:
        raise Damaged("states no picture size")
    seconds: float | None = None
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / _MICROSECONDS
    if seconds is not None and seconds <= 0:
        # A damaged header can state a length below nothing.
        seconds = None
    rate = stream.average_rate or stream.guessed_rate
    if turned:
        width, height = height, width
    return Measures(width, height, seconds, float(rate) if rate and rate > 0 else None)


VIDEO_READERS: dict[str, Callable[[BinaryIO, int], Measures]] = {
    "mp4": _measure_mp4,
    "mov": _measure_mp4,
    "webm": _measure_matroska,
    "mkv": _measure_matroska,
}
"""The reader of each kind of video: it takes an open file and its length in bytes."""
