"""Small real pictures and videos for tests, made with Pillow and PyAV."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

_ORIENTATION_TAG = 0x0112

_QUICK_H264 = {"preset": "ultrafast", "bf": "3"}
"""No search for what cannot be found in black, but pictures in another order than they are shown, as every encoder has it."""

_QUICK_VP8 = {"deadline": "realtime", "cpu-used": "8"}


def make_picture(kind: str, width: int, height: int, *, orientation: int = 1, **options: Any) -> bytes:
    """Return the bytes of a picture with a gradient; `kind` is Pillow's name of the format in lower case."""
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    if orientation != 1:
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = orientation
        options["exif"] = exif
    content = io.BytesIO()
    picture.save(content, kind.upper(), **options)
    return content.getvalue()


def make_animation(kind: str, width: int, height: int) -> bytes:
    """Return the bytes of a picture with two frames."""
    frames = [Image.new("RGB", (width, height), colour) for colour in ("red", "blue")]
    content = io.BytesIO()
    frames[0].save(content, kind.upper(), save_all=True, append_images=frames[1:], duration=100)
    return content.getvalue()


def make_video(
    path: Path, *, width: int = 64, height: int = 48, rate: int = 24, seconds: int = 3, rotation: int = 0
) -> Path:
    """Write a black video; the suffix of `path` decides the container, `rotation` is in degrees."""
    codec, options = ("libvpx", _QUICK_VP8) if path.suffix == ".webm" else ("libx264", _QUICK_H264)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, level in zip(frame.planes, (16, 128, 128), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        packets: list[Any] = []
        for index in range(rate):
            frame.pts, frame.time_base = index, Fraction(1, rate)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        # Every second is the first one again, which begins with a picture that needs no other: it is encoded once.
        for _ in range(seconds):
            for packet in packets:
                container.mux(packet)
                one_second = round(1 / packet.time_base)
                packet.pts, packet.dts = packet.pts + one_second, packet.dts + one_second
    return path


def make_sound(path: Path) -> Path:
    """Write a second of silence as AAC in a container with no picture in it."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        frame.sample_rate = 44100
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for index in range(43):
            frame.pts = index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
