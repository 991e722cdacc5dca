"""What a reader of one format gives, and how it walks a file: bounded in steps, and sure of every byte it asked for."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

MAX_PARTS = 200_000
"""The most chunks, segments or boxes that are walked in one file. A 512 MiB picture in the usual 8 KiB chunks has
65,536; a file made to have more would only hold up the check."""


class Measures(msgspec.Struct, frozen=True):
    """Width and height in pixels as displayed, 0 when unknown; seconds and rate of a video; what is wrong, or empty."""

    width: int = 0
    height: int = 0
    seconds: float | None = None
    frames_per_second: float | None = None
    problem: str = ""


class Damaged(Exception):
    """The content contradicts its own format; the message says how, in words that follow "it"."""


def read_exactly(file: BinaryIO, count: int, *, at: int) -> bytes:
    """Return the `count` bytes from offset `at`; raise Damaged when the file ends before."""
    file.seek(at)
    content = file.read(count)
    if len(content) < count:
        raise Damaged("is cut off")
    return content


def is_turned(exif: bytes) -> bool:
    """Say whether an Exif block (a TIFF structure) shows the picture on its side, so that width and height swap."""
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return False
    little = order == "little"
    entry = _number(exif[4:8], little=little)
    count = _number(exif[entry : entry + 2], little=little)
    for start in range(entry + 2, entry + 2 + 12 * count, 12):
        if len(exif) < start + 12:
            return False
        if _number(exif[start : start + 2], little=little) == _ORIENTATION:
            return 5 <= _number(exif[start + 8 : start + 10], little=little) <= 8
    return False


_ORIENTATION = 0x0112


def _number(content: bytes, *, little: bool) -> int:
    return int.from_bytes(content, "little" if little else "big")
