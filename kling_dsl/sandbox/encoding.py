"""Makes MP4 files of pictures, with silence where sound is asked for."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.video.reformatter import VideoReformatter

_SOUND_RATE = 48_000
_SOUND_SAMPLES = 1024
_BOX_HEAD_BYTES = 8


def encode_clip(
    pictures: Iterable[tuple[Any, int]], *, size: tuple[int, int], rate: Fraction, seconds: int, has_audio: bool
) -> bytes:
    """Return an MP4 of RGB pictures (Pillow's), each shown for a number of frames; sizes are even, all frames told."""

    def picture_packets(track: Any) -> Iterator[Any]:
        return _encoded(track, _frames(pictures, rate))

    return _write(picture_packets, size=size, rate=rate, sound_seconds=seconds if has_audio else 0)


def encode_still(picture: Any, *, size: tuple[int, int], rate: Fraction, seconds: int, has_audio: bool) -> bytes:
    """Return an MP4 that shows one RGB picture (Pillow's) all the time: its first second is encoded, and repeated."""

    def picture_packets(track: Any) -> Iterator[Any]:
        second = list(_encoded(track, _frames([(picture, round(rate))], rate)))
        for at in range(int(seconds * rate)):
            packet = second[at % len(second)]
            if at >= len(second):
                # Pictures come in the order in which they are shown, and the first of a second needs no other.
                later = round(len(second) / rate / packet.time_base)
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
            yield packet

    return _write(picture_packets, size=size, rate=rate, sound_seconds=seconds if has_audio else 0)


def first_picture(path: str) -> Any:
    """Return the first picture of a video as Pillow has it; None when it has none that can be decoded."""
    try:
        with av.open(path, format="mov", options={"threads": "1"}) as container:
            frame: Any
            for frame in container.decode(video=0):
                return frame.to_image()
    except (av.FFmpegError, IndexError, ValueError):
        return None
    return None


def mark(words: str) -> bytes:
    """Return a box to put behind an MP4 that players skip: no two purchases are one file, as with the real service."""
    content = words.encode()
    return (len(content) + _BOX_HEAD_BYTES).to_bytes(4, "big") + b"free" + content


def _write(
    picture_packets: Callable[[Any], Iterator[Any]], *, size: tuple[int, int], rate: Fraction, sound_seconds: int
) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        picture_track = _picture_track(container, size, rate)
        sound_track: Any = container.add_stream("aac", rate=_SOUND_RATE, layout="mono") if sound_seconds else None
        for packet in picture_packets(picture_track):
            container.mux(packet)
        if sound_track is not None:
            for packet in _encoded(sound_track, _silence(sound_seconds)):
                container.mux(packet)
    return target.getvalue()


def _encoded(track: Any, frames: Iterable[Any]) -> Iterator[Any]:
    for frame in frames:
        yield from track.encode(frame)
    yield from track.encode(None)


def _picture_track(container: Any, size: tuple[int, int], rate: Fraction) -> Any:
    has_x264 = "libx264" in av.codecs_available
    # The quickest way there is: what counts is that the file is a real one, not how small it is.
    options = {"preset": "ultrafast", "crf": "28", "threads": "1"} if has_x264 else {"qscale": "5", "threads": "1"}
    track = container.add_stream("libx264" if has_x264 else "mpeg4", rate=rate, options=options)
    track.width, track.height = size
    track.pix_fmt = "yuv420p"
    track.time_base = 1 / rate
    # One picture in each second stands by itself, so that whoever wants the last one need not decode all before it.
    track.gop_size = round(rate)
    return track


def _frames(pictures: Iterable[tuple[Any, int]], rate: Fraction) -> Iterator[Any]:
    make: Any = av.VideoFrame.from_image
    # One for all pictures: to set up the conversion takes longer than to convert a small picture.
    converter: Any = VideoReformatter()
    at = 0
    for picture, count in pictures:
        frame = converter.reformat(make(picture), format="yuv420p")
        for _ in range(count):
            frame.pts, frame.time_base = at, 1 / rate
            yield frame
            at += 1


def _silence(seconds: int) -> Iterator[Any]:
    total = seconds * _SOUND_RATE
    for start in range(0, total, _SOUND_SAMPLES):
        frame: Any = av.AudioFrame(format="fltp", layout="mono", samples=min(_SOUND_SAMPLES, total - start))
        frame.sample_rate, frame.pts = _SOUND_RATE, start
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        yield frame
