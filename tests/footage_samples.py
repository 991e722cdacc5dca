"""Clips whose pictures can be told apart, with and without sound, made with PyAV, and ways to break them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

GREY = 128


def level_of(index: int) -> int:
    """Return how bright the picture with this number is; neighbours differ clearly."""
    return 40 + (index * 37) % 180


def make_clip(
    path: Path,
    *,
    width: int = 96,
    height: int = 54,
    pictures: int = 72,
    rate: int = 24,
    sound: bool = False,
    codec: str = "libx264",
    rotation: int = 0,
    header_first: bool = False,
    corner: int | None = None,
    pixel: Fraction = Fraction(1),
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write a clip in which each picture has its own brightness; `corner` is that of the upper left quarter.

    `pixel` is how much wider than high a pixel is shown, and `options` are the codec's own.
    """
    settings = {"movflags": "faststart"} if header_first else {}
    codec_settings = {**({"preset": "ultrafast"} if codec == "libx264" else {}), **(options or {})}
    with av.open(str(path), "w", options=settings) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=codec_settings)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = pixel
        if rotation:
            stream.set_display_rotation(rotation)
        track: Any = container.add_stream("aac", rate=44100) if sound else None
        for index in range(pictures):
            container.mux(stream.encode(_picture(index, width, height, rate, corner)))
        container.mux(stream.encode(None))
        if track:
            for index in range(pictures * 44100 // rate // 1024):
                container.mux(track.encode(_silence(index)))
            container.mux(track.encode(None))
    return path


def _picture(index: int, width: int, height: int, rate: int, corner: int | None) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, level in zip(frame.planes, (level_of(index), 90, 160), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    if corner is not None:
        plane = frame.planes[0]
        lines = bytearray(bytes(plane))
        for line in range(height // 2):
            start = line * plane.line_size
            lines[start : start + width // 2] = bytes([corner]) * (width // 2)
        plane.update(bytes(lines))
    frame.pts, frame.time_base = index, Fraction(1, rate)
    return frame


def _silence(index: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
    frame.sample_rate = 44100
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts = index * 1024
    return frame


def claim_samples(content: bytes, samples: int) -> bytes:
    """Return an MP4 whose first table claims to hold so many samples of one byte, without growing."""
    changed = bytearray(content)
    at = content.index(b"stsz")
    changed[at + 8 : at + 16] = (1).to_bytes(4, "big") + samples.to_bytes(4, "big")
    at = content.index(b"stts")
    changed[at + 12 : at + 16] = samples.to_bytes(4, "big")
    at = content.index(b"stsc")
    changed[at + 12 : at + 24] = b"".join(number.to_bytes(4, "big") for number in (1, samples, 1))
    for name in (b"ctts", b"stss"):
        if name in content:
            at = content.index(name)
            changed[at : at + 4] = b"free"
    return bytes(changed)
