"""Makes the tiny real pictures that the made-up cast is referred to by."""

from __future__ import annotations

import struct
import zlib

WIDTH = HEIGHT = 320


def one_colour(number: int) -> bytes:
    """Return a PNG file of 320 by 320 pixels in one colour, a different one for each `number` under 2 ** 24."""
    # An odd factor reaches every 24-bit colour once, so that no two pictures of a cast have the same digest.
    colour = (number * 0x9E3779 + 0x51A3C5) % (1 << 24)
    row = b"\0" + colour.to_bytes(3, "big") * WIDTH
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * HEIGHT, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
