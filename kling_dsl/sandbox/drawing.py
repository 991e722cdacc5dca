"""Draws placeholders: each shot once, and after that the running time alone."""

from __future__ import annotations

import bisect
import functools
import warnings
from collections.abc import Iterator
from fractions import Fraction
from importlib import resources
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from kling_dsl.sandbox.encoding import first_picture
from kling_dsl.sandbox.placard import Placard, Thumbnail

Box = tuple[int, int, int, int]

_TICKS = 10
"""How often a second the running time is drawn anew."""

_MOST_PIXELS = 64 * 1024 * 1024
_TEXT = (235, 235, 235)
_FAINT = (160, 160, 160)
_FRAME = (96, 96, 96)
_BLANK = (44, 44, 48)
_DARKNESS = 0.5
"""How much of a start frame the dark takes, so that words can be read over it."""
_BLUR = 24
"""A start frame is blurred over this part of the picture's height."""


def blank(size: tuple[int, int]) -> Image.Image:
    """Return a dark picture."""
    return Image.new("RGB", size, (24, 26, 30))


def draw_placard(
    placard: Placard, *, size: tuple[int, int], rate: Fraction, seconds: int
) -> Iterator[tuple[Image.Image, int]]:
    """Yield pictures, each with the number of frames for which it is shown; the last shot fills what is left."""
    total = int(seconds * rate)
    ground = _ground(placard, size)
    starts = [shot.start for shot in placard.shots]
    drawn: tuple[int, Image.Image] = (-1, ground)
    clock = _clock_box(size)
    at = 0
    while at < total:
        # The frame is the unit: a tenth of a second is two or three of them.
        tick = int(at / rate * _TICKS)
        until = min(max(_first_frame(tick + 1, rate), at + 1), total)
        shot = max(bisect.bisect_right(starts, int(at / rate)) - 1, 0)
        if drawn[0] != shot:
            drawn = shot, _with_words(ground, placard.shots[shot].words, has_row=bool(placard.thumbnails))
        yield _with_clock(drawn[1], clock, f"{tick / _TICKS:.1f} / {seconds} s"), until - at
        at = until


def _first_frame(tick: int, rate: Fraction) -> int:
    return -(-tick * rate.numerator // (_TICKS * rate.denominator))


def _ground(placard: Placard, size: tuple[int, int]) -> Image.Image:
    """Draw what never changes: the ground, the title, the thumbnails."""
    dark = Image.new("HSV", size, (placard.shade, 90, 52)).convert("RGB")
    start = _open_picture(placard.start_frame) if placard.start_frame is not None else None
    if start is not None:
        # Without its details: the frame is a placeholder as well, and its words would run through these.
        cover = _cover(start, size)
        cover = cover.filter(ImageFilter.GaussianBlur(cover.height / _BLUR))
        dark = Image.blend(cover, dark, _DARKNESS)
    pen = ImageDraw.Draw(dark)
    left, top, right, _ = _clock_box(size)
    edge = _margin(size)
    title = _clean(placard.title)
    font = _font(_line(size))
    while title and font.getlength(title) > left - 2 * edge:
        title = title[:-2].rstrip("…") + "…" if len(title) > 2 else ""
    pen.text((edge, top), title, _TEXT, font)
    pen.line((edge, edge + _line(size) * 3 // 2, right, edge + _line(size) * 3 // 2), _FRAME)
    _draw_row(dark, placard.thumbnails, size)
    return dark


def _draw_row(picture: Image.Image, thumbnails: tuple[Thumbnail, ...], size: tuple[int, int]) -> None:
    """Draw the references along the lower edge, each over its tag."""
    if not thumbnails:
        return
    pen, font, edge = ImageDraw.Draw(picture), _font(_small(size)), _margin(size)
    top, bottom = size[1] - edge - _row_height(size), size[1] - edge - _small(size) * 3 // 2
    step = (size[0] - 2 * edge) // len(thumbnails)
    width = max(min(step - edge // 2, (bottom - top) * 4 // 3), 2)
    for number, thumbnail in enumerate(thumbnails):
        left = edge + number * step
        small = _open_picture(thumbnail.place) if thumbnail.place is not None else None
        pen.rectangle((left, top, left + width - 1, bottom - 1), _BLANK)
        if small is not None:
            picture.paste(_cover(small, (width, bottom - top)), (left, top))
        pen.rectangle((left, top, left + width - 1, bottom - 1), outline=_FRAME)
        pen.text((left, bottom + _small(size) // 5), _short_tag(thumbnail.tag, font, step - 2), _TEXT, font)


def _short_tag(tag: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return a tag that fits into a width: its number is what tells it from the others, and stays."""
    word = tag.rstrip("0123456789")
    number = tag[len(word) :]
    while word and font.getlength(word + number) > width:
        word = word[:-1]
    return word + number


def _with_words(ground: Image.Image, words: str, *, has_row: bool) -> Image.Image:
    """Draw the words of a shot, as large as they fit; at the smallest size the rest is cut off."""
    picture, size = ground.copy(), ground.size
    edge = _margin(size)
    top = edge + _line(size) * 2
    room = size[1] - edge - top - (_row_height(size) + edge // 2 if has_row else 0)
    lines, font, step = _fit(_clean(words), size, room)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((edge, top + number * step), line, _TEXT, font)
    return picture


def _fit(text: str, size: tuple[int, int], room: int) -> tuple[list[str], ImageFont.FreeTypeFont, int]:
    """Return the lines of a text, the font in which they fit into the room, and the pixels from line to line."""
    *larger, smallest = _heights(size)
    width = size[0] - 2 * _margin(size)
    for height in larger:
        step = height * 5 // 4
        lines = _wrap(text, _font(height), width, most=room // step + 1)
        if len(lines) * step <= room:
            return lines, _font(height), step
    step = smallest * 5 // 4
    most = max(room // step, 1)
    lines = _wrap(text, _font(smallest), width, most=most + 1)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1][:-1]}…"]
    return lines, _font(smallest), step


def _with_clock(picture: Image.Image, box: Box, words: str) -> Image.Image:
    patch = picture.crop(box)
    font = _font(_line(picture.size))
    ImageDraw.Draw(patch).text((box[2] - box[0] - font.getlength(words), 0), words, _FAINT, font)
    shown = picture.copy()
    shown.paste(patch, box)
    return shown


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int, *, most: int) -> list[str]:
    """Break a text into lines no wider than a number of pixels; it stops after `most` lines."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        # A word that is wider than a line alone, such as a sentence without blanks, is broken where it has to be.
        while font.getlength(word) > width and len(word) > 1 and len(lines) < most:
            fits = max(_fitting(word, font, width), 1)
            lines.append(word[:fits])
            word = word[fits:]
        line = word
        if len(lines) >= most:
            return lines[:most]
    return [*lines, line] if line else lines or [""]


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """Return how many letters of a word fit into a width."""
    return bisect.bisect_left(range(1, len(word) + 1), True, key=lambda count: font.getlength(word[:count]) > width)


def _open_picture(place: Path) -> Image.Image | None:
    """Open an uploaded picture, or the first one of a video; None for what cannot be shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(place) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    return None
                picture.draft("RGB", (640, 640))
                return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        found = first_picture(str(place))
        return found if isinstance(found, Image.Image) else None


def _cover(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture that fills a size, with what stands over cut off on both sides."""
    factor = max(size[0] / picture.width, size[1] / picture.height)
    width, height = size[0] / factor, size[1] / factor
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return picture.resize(size, Image.Resampling.BILINEAR, (left, top, left + width, top + height), reducing_gap=2.0)


def _clean(text: str) -> str:
    return "".join([letter if letter.isprintable() else " " for letter in text[:4000]])


def _margin(size: tuple[int, int]) -> int:
    return max(min(size) // 20, 2)


def _line(size: tuple[int, int]) -> int:
    return max(min(size) // 14, 6)


def _small(size: tuple[int, int]) -> int:
    return max(min(size) // 22, 6)


def _heights(size: tuple[int, int]) -> list[int]:
    largest, least = max(min(size) // 12, 6), max(min(size) // 26, 6)
    return sorted({largest, (largest + least) // 2, least}, reverse=True)


def _row_height(size: tuple[int, int]) -> int:
    return min(size) // 4


def _clock_box(size: tuple[int, int]) -> Box:
    width = int(_font(_line(size)).getlength("00.0 / 00 s")) + 2
    edge = _margin(size)
    return max(size[0] - edge - width, 0), edge, size[0] - edge, edge + _line(size) * 5 // 4


@functools.cache
def _font(height: int) -> ImageFont.FreeTypeFont:
    """Return the font at a height; its plain layout gives the same picture whatever else is installed."""
    with resources.as_file(resources.files("kling_dsl.sandbox") / "fonts" / "DejaVuSans.ttf") as path:
        return ImageFont.truetype(str(path), height, layout_engine=ImageFont.Layout.BASIC)
