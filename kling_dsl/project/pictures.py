"""Pixel sizes of pictures as displayed, and whether the file is whole, from headers alone."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from kling_dsl.project.boxes import measure_still
from kling_dsl.project.measures import MAX_PARTS, Damaged, Measures, is_turned, read_exactly

_MAX_EXIF_BYTES = 1024 * 1024
_SEARCH_STEP = 1024 * 1024
_TAIL_BYTES = 4096


def _measure_png(file: BinaryIO, size: int) -> Measures:
    """Read IHDR with its checksum, then step from chunk to chunk to IEND."""
    header = read_exactly(file, 25, at=8)
    if header[:8] != b"\0\0\0\x0dIHDR":
        raise Damaged("does not begin with a PNG header")
    if zlib.crc32(header[4:21]) != int.from_bytes(header[21:25], "big"):
        raise Damaged("has a PNG header whose checksum is wrong")
    width, height = int.from_bytes(header[8:12], "big"), int.from_bytes(header[12:16], "big")
    exif = b""
    has_pixels = False
    for name, start, length in _png_chunks(file, size):
        if name == b"IEND":
            break
        has_pixels = has_pixels or name == b"IDAT"
        if name == b"eXIf":
            exif = read_exactly(file, min(length, _MAX_EXIF_BYTES), at=start)
    if not has_pixels:
        raise Damaged("holds no picture data")
    return _displayed(width, height, exif)


def _png_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset of the content and its length for every chunk after IHDR; each lies within the file."""
    offset = 33
    for _ in range(MAX_PARTS):
        header = read_exactly(file, 8, at=offset)
        length = int.from_bytes(header[:4], "big")
        if offset + 12 + length > size:
            raise Damaged("is cut off")
        yield header[4:], offset + 8, length
        offset += 12 + length
    raise Damaged(f"has more than {MAX_PARTS} chunks")


def _measure_jpeg(file: BinaryIO, size: int) -> Measures:
    """Step from segment to segment to the picture data, then look for the mark of its end."""
    width = height = 0
    exif = b""
    for marker, start, length in _jpeg_segments(file):
        if marker == _START_OF_SCAN:
            break
        if marker in _START_OF_FRAME:
            frame = read_exactly(file, 5, at=start)
            height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
        elif marker == _APPLICATION_1 and not exif:
            content = read_exactly(file, length, at=start)
            exif = content[6:] if content.startswith(b"Exif\0\0") else b""
    if not width or not height:
        raise Damaged("states no picture size")
    if not _has_end_of_image(file, start, size):
        raise Damaged("is cut off")
    return _displayed(width, height, exif)


_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"
_APPLICATION_1 = 0xE1
_WITHOUT_CONTENT = frozenset((0x01, *range(0xD0, 0xD8)))


def _jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield marker, offset of the content and its length; ends by raising Damaged when no scan comes."""
    offset = 2
    for _ in range(MAX_PARTS):
        head = read_exactly(file, 2, at=offset)
        if head[0] != 0xFF:
            raise Damaged(f"has no JPEG marker at byte {offset}, where one belongs")
        marker = head[1]
        if marker == 0xFF:
            offset += 1
        elif marker in _WITHOUT_CONTENT:
            offset += 2
        elif marker == 0xD9:
            raise Damaged("holds no picture data")
        else:
            length = int.from_bytes(read_exactly(file, 2, at=offset + 2), "big")
            if length < 2:
                raise Damaged(f"has a broken JPEG segment at byte {offset}")
            yield marker, offset + 4, length - 2
            offset += 2 + length
    raise Damaged(f"has more than {MAX_PARTS} segments")


def _has_end_of_image(file: BinaryIO, start: int, size: int) -> bool:
    """Look for the end mark after `start`, near the file's end first; cameras append data of their own behind it.

    Within picture data 0xFF is always followed by 0 or a restart mark, so that the end mark cannot occur by chance.
    """
    file.seek(max(start, size - _TAIL_BYTES))
    if _END_OF_IMAGE in file.read(_TAIL_BYTES):
        return True
    file.seek(start)
    last = b""
    while part := file.read(_SEARCH_STEP):
        if _END_OF_IMAGE in last + part:
            return True
        last = part[-1:]
    return False


def _measure_gif(file: BinaryIO, size: int) -> Measures:
    """Read the logical screen, then step from block to block to the trailer or the end."""
    screen = read_exactly(file, 7, at=6)
    offset = 13 + _gif_table_bytes(screen[4])
    has_pixels = False
    for _ in range(MAX_PARTS):
        file.seek(offset)
        introducer = file.read(1)
        if introducer in (b";", b""):
            # Old drawing programs left the trailer out, and every viewer bears with that.
            break
        if introducer == b"!":
            offset = _skip_gif_blocks(file, offset + 2)
        elif introducer == b",":
            flags = read_exactly(file, 9, at=offset + 1)[8]
            offset = _skip_gif_blocks(file, offset + 11 + _gif_table_bytes(flags))
            has_pixels = True
        else:
            raise Damaged(f"has a broken GIF block at byte {offset}")
    if not has_pixels:
        raise Damaged("holds no picture data")
    return _displayed(int.from_bytes(screen[:2], "little"), int.from_bytes(screen[2:4], "little"), b"")


def _gif_table_bytes(flags: int) -> int:
    """Return the length of the colour table that the flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_gif_blocks(file: BinaryIO, offset: int) -> int:
    """Return the offset behind a run of data blocks, each led by its length, the last of length 0."""
    for _ in range(MAX_PARTS):
        length = read_exactly(file, 1, at=offset)[0]
        offset += 1 + length
        if not length:
            return offset
    raise Damaged(f"has more than {MAX_PARTS} data blocks in one frame")


def _measure_webp(file: BinaryIO, size: int) -> Measures:
    """Read the RIFF chunks: the canvas of the extended header, else the size of the one picture."""
    stated = int.from_bytes(read_exactly(file, 4, at=4), "little") + 8
    if stated > size:
        raise Damaged("is cut off")
    canvas: tuple[int, int] | None = None
    picture: tuple[int, int] | None = None
    exif = b""
    for name, start, length in _riff_chunks(file, stated):
        if name == b"VP8X":
            header = read_exactly(file, 10, at=start)
            canvas = int.from_bytes(header[4:7], "little") + 1, int.from_bytes(header[7:10], "little") + 1
        elif name in (b"VP8 ", b"VP8L", b"ANMF") and picture is None:
            picture = _webp_picture_size(name, read_exactly(file, min(length, 16), at=start))
        elif name == b"EXIF":
            exif = read_exactly(file, min(length, _MAX_EXIF_BYTES), at=start).removeprefix(b"Exif\0\0")
    if picture is None:
        raise Damaged("holds no picture data")
    return _displayed(*(canvas or picture), exif)


def _riff_chunks(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset of the content and its length for every chunk before `end`, each padded to an even length."""
    offset = 12
    for _ in range(MAX_PARTS):
        if offset + 8 > end:
            return
        header = read_exactly(file, 8, at=offset)
        length = int.from_bytes(header[4:], "little")
        if offset + 8 + length > end:
            raise Damaged("is cut off")
        yield header[:4], offset + 8, length
        offset += 8 + length + length % 2
    raise Damaged(f"has more than {MAX_PARTS} chunks")


def _webp_picture_size(name: bytes, header: bytes) -> tuple[int, int]:
    """Return the size in a lossy, lossless or animation frame chunk."""
    if name == b"ANMF":
        return int.from_bytes(header[6:9], "little") + 1, int.from_bytes(header[9:12], "little") + 1
    if name == b"VP8L":
        if header[:1] != b"\x2f":
            raise Damaged("has a broken WebP picture header")
        packed = int.from_bytes(header[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if header[3:6] != b"\x9d\x01\x2a":
        raise Damaged("has a broken WebP picture header")
    # The two upper bits of each number ask for scaling on display and are no part of the size.
    return int.from_bytes(header[6:8], "little") & 0x3FFF, int.from_bytes(header[8:10], "little") & 0x3FFF


def _measure_bmp(file: BinaryIO, size: int) -> Measures:
    """Read the sizes of a Windows bitmap: signed, since a negative height means rows from the top."""
    header = read_exactly(file, 26, at=0)
    if int.from_bytes(header[2:6], "little") > size:
        raise Damaged("is cut off")
    if int.from_bytes(header[14:18], "little") == 12:
        return _displayed(int.from_bytes(header[18:20], "little"), int.from_bytes(header[20:22], "little"), b"")
    width, height = (int.from_bytes(header[start : start + 4], "little", signed=True) for start in (18, 22))
    return _displayed(width, abs(height), b"")


def _displayed(width: int, height: int, exif: bytes) -> Measures:
    if width <= 0 or height <= 0:
        raise Damaged("states no picture size")
    return Measures(height, width) if is_turned(exif) else Measures(width, height)


PICTURE_READERS: dict[str, Callable[[BinaryIO, int], Measures]] = {
    "png": _measure_png,
    "jpeg": _measure_jpeg,
    "gif": _measure_gif,
    "webp": _measure_webp,
    "avif": measure_still,
    "heic": measure_still,
    "bmp": _measure_bmp,
}
"""The reader of each kind of picture whose size can be told: it takes an open file and its length in bytes.

An orientation in Exif data counts in JPEG, PNG and WebP, as browsers have it; in AVIF and HEIC only their own
rotation does. The readers are ours because they must stay small, quick to import and bounded for a hostile file."""
