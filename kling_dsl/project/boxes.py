"""The boxes of ISO base media files (AVIF, HEIC, MP4, QuickTime): whether all are there, sizes and rotation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from kling_dsl.project.measures import MAX_PARTS, Damaged, Measures, read_exactly

_MAX_INDEX_BYTES = 1024 * 1024
"""The largest `iprp` or `ipma` content that is read: one picture has some hundred bytes there."""

_MAX_TRACK_BOXES = 1000
"""The most tracks of a film, and the most boxes in one: the two multiply, so that each must be small."""


class Box(msgspec.Struct, frozen=True):
    """One box: its type, and where its content begins and ends in the file."""

    name: bytes
    start: int
    end: int


def walk_boxes(file: BinaryIO, start: int, end: int, *, most: int = MAX_PARTS) -> Iterator[Box]:
    """Yield the boxes between two offsets; raise Damaged when one reaches beyond `end`, or there are over `most`."""
    offset = start
    for _ in range(most):
        if offset + 8 > end:
            return
        header = read_exactly(file, 8, at=offset)
        length = int.from_bytes(header[:4], "big")
        content = offset + 8
        if length == 1:
            length = int.from_bytes(read_exactly(file, 8, at=content), "big")
            content += 8
        elif length == 0:
            # Only the last box of a file may leave its length open: it takes all that is left.
            length = end - offset
        if offset + length > end:
            raise Damaged("is cut off")
        if offset + length < content:
            raise Damaged(f"has a broken box at byte {offset}")
        yield Box(header[4:], content, offset + length)
        offset += length
    raise Damaged(f"has more than {most} boxes in one place")


def measure_still(file: BinaryIO, size: int) -> Measures:
    """Read the size of an AVIF or HEIC picture as displayed: the properties of its primary item."""
    boxes = {box.name: box for box in walk_boxes(file, 0, size)}
    meta = boxes.get(b"meta")
    if meta is None:
        if b"moov" in boxes:
            return Measures()
        raise Damaged("is cut off before its picture header")
    inner = {box.name: box for box in walk_boxes(file, meta.start + 4, meta.end)}
    if b"pitm" not in inner or b"iprp" not in inner:
        raise Damaged("states no picture size")
    if b"mdat" not in boxes and b"idat" not in inner:
        raise Damaged("holds no picture data")
    primary = _content(file, inner[b"pitm"])
    item = int.from_bytes(primary[4:6] if primary[0] == 0 else primary[4:8], "big")
    return _measure_item(file, inner[b"iprp"], item)


def _measure_item(file: BinaryIO, properties: Box, item: int) -> Measures:
    """Look up size and rotation of one item among the shared properties."""
    if properties.end - properties.start > _MAX_INDEX_BYTES:
        raise Damaged(f"has a picture header of more than {_MAX_INDEX_BYTES} bytes")
    shared: list[Box] = []
    indexes: tuple[int, ...] = ()
    for box in walk_boxes(file, properties.start, properties.end):
        if box.name == b"ipco":
            shared = list(walk_boxes(file, box.start, box.end))
        elif box.name == b"ipma" and not indexes:
            indexes = _property_indexes(_content(file, box), item)
    width = height = 0
    turned = False
    for index in indexes:
        box = shared[index - 1] if 1 <= index <= len(shared) else Box(b"", 0, 0)
        if box.name == b"ispe":
            content = read_exactly(file, 12, at=box.start)
            width, height = int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")
        elif box.name == b"irot":
            turned = read_exactly(file, 1, at=box.start)[0] % 2 == 1
    if not width or not height:
        raise Damaged("states no picture size")
    return Measures(height, width) if turned else Measures(width, height)


def _property_indexes(content: bytes, item: int) -> tuple[int, ...]:
    """Return the places (from 1) of an item's properties, from the content of `ipma`."""
    id_bytes = 2 if content[0] == 0 else 4
    wide = content[3] & 1
    count = int.from_bytes(content[4:8], "big")
    offset = 8
    while count and offset + id_bytes < len(content):
        found = int.from_bytes(content[offset : offset + id_bytes], "big")
        places = content[offset + id_bytes]
        offset += id_bytes + 1
        step = 2 if wide else 1
        if found == item:
            mask = 0x7FFF if wide else 0x7F
            starts = range(offset, min(offset + places * step, len(content)), step)
            return tuple(int.from_bytes(content[start : start + step], "big") & mask for start in starts)
        offset += places * step
        count -= 1
    return ()


def find_video_turn(file: BinaryIO, size: int) -> bool:
    """Say whether the first video track of an MP4 or QuickTime file is shown on its side.

    Walks all top-level boxes, so that a file that ends early raises Damaged, as does one that has no index.
    """
    boxes = {box.name: box for box in walk_boxes(file, 0, size)}
    if b"moov" not in boxes:
        raise Damaged("has no index (moov), as when a recording was not finished")
    movie = boxes[b"moov"]
    for track in walk_boxes(file, movie.start, movie.end, most=_MAX_TRACK_BOXES):
        if track.name != b"trak":
            continue
        inner = {box.name: box for box in walk_boxes(file, track.start, track.end, most=_MAX_TRACK_BOXES)}
        if b"tkhd" in inner and b"mdia" in inner and _is_video(file, inner[b"mdia"]):
            return _is_turned(_content(file, inner[b"tkhd"]))
    return False


def _is_video(file: BinaryIO, media: Box) -> bool:
    for box in walk_boxes(file, media.start, media.end, most=_MAX_TRACK_BOXES):
        if box.name == b"hdlr":
            return read_exactly(file, 12, at=box.start)[8:12] == b"vide"
    return False


def _is_turned(header: bytes) -> bool:
    """Say whether the matrix of a track header turns by a quarter: it maps x to y alone and y to x alone."""
    start = 52 if header[0] == 1 else 40
    matrix = [int.from_bytes(header[at : at + 4], "big", signed=True) for at in range(start, start + 20, 4)]
    along_x, x_to_y, _, y_to_x, along_y = matrix
    return along_x == 0 and along_y == 0 and x_to_y != 0 and y_to_x != 0


def _content(file: BinaryIO, box: Box) -> bytes:
    return read_exactly(file, min(box.end - box.start, _MAX_INDEX_BYTES), at=box.start)
