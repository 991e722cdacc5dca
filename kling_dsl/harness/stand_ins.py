"""Makes the pictures and videos that a page names, so that its films are compiled with real files."""

from __future__ import annotations

import io
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache

_MEDIA = re.compile(r"[\w./-]*refs/[\w/.-]+\.(?:png|jpg|gif|webp|mp4)")
_ABSENT = "missing"
"""How the name of a file begins that is not made."""


class MissingExtra(Exception):
    """The packages are not there with which pictures and videos are made."""


def named_media(name: str, text: str) -> Iterator[str]:
    """Yield the media files under a `refs/` that a text called `name` speaks of, from the example's folder."""
    for match in _MEDIA.finditer(text):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[0]))
        if not path.startswith("../") and not posixpath.basename(path).startswith(_ABSENT):
            yield path


@cache
def make_media(path: str) -> bytes:
    """Return the content of a picture or a video: one of its own for each path, but for the names that bring a fault.

    Raises MissingExtra without Pillow or PyAV.
    """
    try:
        return _make(path)
    except ImportError as problem:
        needs = "the pictures of a page need Pillow and PyAV: pip install 'kling-dsl[media]'"
        raise MissingExtra(needs) from problem


def _make(path: str) -> bytes:
    name = posixpath.basename(path)
    if name in _FAULTY:
        return _FAULTY[name]()
    kind = path.rpartition(".")[2].replace("jpg", "jpeg")
    if kind == "mp4":
        return _video(800, 800, 24, 3)
    return _picture(kind, 640, 360, zlib.crc32(path.encode()))


def _picture(kind: str, width: int, height: int, seed: int = 1) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    colour = (seed & 255, seed >> 8 & 255, seed >> 16 & 255)
    Image.new("RGB", (width, height), colour).save(content, kind.upper())
    return content.getvalue()


@cache
def _video(width: int, height: int, rate: int, seconds: int) -> bytes:
    from PIL import Image

    from kling_dsl.sandbox.encoding import encode_still

    black = Image.new("RGB", (width, height))
    return encode_still(black, size=(width, height), rate=Fraction(rate), seconds=seconds, has_audio=False)


_FAULTY: dict[str, Callable[[], bytes]] = {
    "tiny.png": lambda: _picture("png", 200, 200),
    "strip.png": lambda: _picture("png", 1200, 300),
    "wide.png": lambda: _picture("png", 800, 320),
    "square.png": lambda: _picture("png", 400, 400),
    "heavy.png": lambda: _picture("png", 640, 360) + bytes(11 * 1024 * 1024),
    "cut.png": lambda: _picture("png", 640, 360)[:40],
    "renamed.png": lambda: b"These are only words.\n",
    "twin.png": lambda: _picture("png", 640, 360, 7),
    "copy-of-twin.png": lambda: _picture("png", 640, 360, 7),
    "short.mp4": lambda: _video(800, 800, 24, 2),
    "small.mp4": lambda: _video(320, 240, 24, 3),
    "slow.mp4": lambda: _video(800, 800, 12, 3),
}
"""The files that are faulty on purpose."""
