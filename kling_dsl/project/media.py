"""The facts of an open media file: digest and size from all of its bytes, the rest from its headers alone."""

from __future__ import annotations

import hashlib
import io
import struct
from typing import BinaryIO

from kling_dsl.project.kinds import HEAD_BYTES, recognize
from kling_dsl.project.measures import Damaged, Measures
from kling_dsl.project.pictures import PICTURE_READERS
from kling_dsl.project.videos import VIDEO_READERS
from kling_dsl.world import Media

_READ_STEP = 1024 * 1024


def describe_media(file: BinaryIO, *, limit: int) -> Media | None:
    """Return the facts of an open, seekable file, or None once it proves to be larger than `limit` bytes.

    Pictures are never decoded, so the size that a header claims costs nothing. Raises OSError when the disk fails.
    """
    file.seek(0)
    start = file.read(_READ_STEP)
    digest = hashlib.sha256(start)
    size = len(start)
    while part := file.read(_READ_STEP):
        digest.update(part)
        size += len(part)
        if size > limit:
            return None
    kind = recognize(start[:HEAD_BYTES])
    # A reader hops about in its file, which memory answers faster than the disk when all of it is there already.
    measures = _measure(kind, io.BytesIO(start) if size == len(start) else file, size)
    return Media(
        digest.hexdigest(),
        size,
        kind,
        measures.width,
        measures.height,
        measures.seconds,
        measures.frames_per_second,
        measures.problem,
    )


def _measure(kind: str, file: BinaryIO, size: int) -> Measures:
    """Ask the reader of the kind, and turn whatever is wrong with the content into words."""
    reader = PICTURE_READERS.get(kind) or VIDEO_READERS.get(kind)
    if reader is None:
        return Measures()
    try:
        return reader(file, size)
    except Damaged as damage:
        return Measures(problem=f"it {damage}")
    except (struct.error, IndexError, ValueError, OverflowError):
        # A header that ends early or contradicts itself surfaces as one of these from unpacking.
        return Measures(problem="it has a broken header")
