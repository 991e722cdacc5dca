"""The clips of a sandbox: made when a job ends, drawn or ready-made, right or wrong as a fault demands."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl.profiles import Profile
from kling_dsl.sandbox import encoding
from kling_dsl.sandbox.placard import Placard, make_placard
from kling_dsl.sandbox.settings import Settings

_NO_VIDEO = b"<!doctype html><title>Not here</title><p>This page is no video, as the sandbox was asked to answer.</p>\n"
_MOST_WORKERS = 2
_LEAST_PIXELS = 16


class Order(msgspec.Struct, frozen=True):
    """What a clip is made from: the judged arguments of a request."""

    profile: Profile
    arguments: dict[str, Any]
    seconds: int
    clip: str
    request_id: str


class Shape(msgspec.Struct, frozen=True):
    """What two ready-made clips of one kind share."""

    size: tuple[int, int]
    rate: Fraction
    seconds: int
    has_audio: bool


class Clip(msgspec.Struct, frozen=True):
    """A finished clip: bytes in memory, or a file, and what is sent behind it."""

    content: bytes
    place: Path | None
    content_type: str = "video/mp4"


class ClipMaker:
    """Makes clips in threads of its own, so that the queue goes on answering."""

    def __init__(self, folder: Path, settings: Settings, *, find_upload: Callable[[str], Path | None]) -> None:
        self._folder = folder
        self._settings = settings
        self._find_upload = find_upload
        self._clips: dict[str, Clip] = {}
        self._ready: dict[Shape, bytes] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(min(_MOST_WORKERS, os.cpu_count() or 1), "kling-sandbox-draws")
        folder.mkdir(mode=0o700, exist_ok=True)

    def find(self, path: str) -> Clip | None:
        """Return the clip at a path of the media host, or None."""
        return self._clips.get(path)

    def clear(self) -> None:
        """Forget every clip."""
        for clip in self._clips.values():
            if clip.place is not None:
                clip.place.unlink(missing_ok=True)
        self._clips.clear()

    def stop(self) -> None:
        """Wait for the clips that are being made, and make no others."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    async def make(self, path: str, order: Order, faults: frozenset[str]) -> int:
        """Make the clip of a job, put it at a path of the media host, and return how many bytes it says it has."""
        if "media-not-video" in faults:
            self._clips[path] = Clip(_NO_VIDEO, None)
            return len(_NO_VIDEO)
        shape = shape_of_clip(order, self._settings.scale, faults)
        content = self._ready.get(shape, b"") if self._settings.media == "plain" else b""
        if not content:
            worker = self._draw if self._settings.media == "drawn" else self._make_ready
            content = await asyncio.get_running_loop().run_in_executor(self._workers, worker, order, shape)
        content += encoding.mark(order.request_id)
        size = len(content)
        if "media-cut" in faults:
            content = content[: size // 2]
        if "media-missing" not in faults:
            self._clips[path] = self._keep(order.request_id, content)
        return size

    def _keep(self, request_id: str, content: bytes) -> Clip:
        if self._settings.media == "plain":
            return Clip(content, None)
        place = self._folder / f"{request_id}.mp4"
        place.write_bytes(content)
        return Clip(b"", place)

    def _make_ready(self, _order: Order, shape: Shape) -> bytes:
        from kling_dsl.sandbox.drawing import blank

        with self._lock:
            if shape not in self._ready:
                self._ready[shape] = encoding.encode_still(
                    blank(shape.size),
                    size=shape.size,
                    rate=shape.rate,
                    seconds=shape.seconds,
                    has_audio=shape.has_audio,
                )
            return self._ready[shape]

    def _draw(self, order: Order, shape: Shape) -> bytes:
        from kling_dsl.sandbox.drawing import draw_placard

        placard = self._placard(order)
        return encoding.encode_clip(
            draw_placard(placard, size=shape.size, rate=shape.rate, seconds=shape.seconds),
            size=shape.size,
            rate=shape.rate,
            seconds=shape.seconds,
            has_audio=shape.has_audio,
        )

    def _placard(self, order: Order) -> Placard:
        return make_placard(
            order.profile,
            order.arguments,
            title=order.clip or order.request_id,
            seconds=order.seconds,
            seed=self._settings.seed,
            find_upload=self._find_upload,
        )


def shape_of_clip(order: Order, scale: float, faults: frozenset[str]) -> Shape:
    """Return the size, rate, length and sound of a clip, as the sheet promises them and the faults bend them."""
    output, roles, arguments = order.profile.output, order.profile.roles, order.arguments
    aspect = arguments.get(roles.get("aspect", ""), "")
    size = output.sizes.get(aspect) or next(iter(output.sizes.values()))
    # Twice the length is wrong by more than any rounding.
    seconds = order.seconds * 2 if "media-wrong-length" in faults else order.seconds
    asked = "audio" in roles and arguments.get(roles["audio"]) is True
    rate = Fraction(output.frames_per_second)
    return Shape(scaled_size(size, scale), rate, seconds, asked and "media-silent" not in faults)


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return a size at a scale: even, as video has to be, and as near to the same shape as that allows."""
    width, height = size
    high = max(_LEAST_PIXELS, _even(Decimal(height) * Decimal(str(scale))))
    return max(_LEAST_PIXELS, _even(Decimal(width * high) / height)), high


def _even(pixels: Decimal) -> int:
    return round(pixels / 2) * 2
