"""Draws flat shapes and simple people: what the pictures of the example films are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

FINENESS = 3
"""Drawings are made this many times too large and scaled down, which smooths their edges."""

Point = tuple[float, float]


class Sketch:
    """A picture to draw on, in hundredths of its width and height."""

    def __init__(self, width: int, height: int, ground: str) -> None:
        self.width, self.height = width, height
        self.image = Image.new("RGB", (width * FINENESS, height * FINENESS), ground)
        self.pen = ImageDraw.Draw(self.image)

    def at(self, points: Sequence[Point]) -> list[Point]:
        """Return points in pixels of the large picture."""
        return [(x * self.image.width / 100, y * self.image.height / 100) for x, y in points]

    def oval(self, box: tuple[float, float, float, float], colour: str) -> None:
        """Fill the ellipse in a box (left, top, right, bottom)."""
        self.pen.ellipse([*self.at([box[:2]])[0], *self.at([box[2:]])[0]], colour)

    def box(self, box: tuple[float, float, float, float], colour: str) -> None:
        """Fill a rectangle (left, top, right, bottom)."""
        self.pen.rectangle([*self.at([box[:2]])[0], *self.at([box[2:]])[0]], colour)

    def shape(self, points: Sequence[Point], colour: str) -> None:
        """Fill a polygon."""
        self.pen.polygon(self.at(points), colour)

    def line(self, points: Sequence[Point], colour: str, width: float = 1) -> None:
        """Draw a line, `width` in hundredths of the picture's width."""
        self.pen.line(self.at(points), colour, round(width * self.image.width / 100), "curve")

    def finish(self) -> Image.Image:
        """Return the picture in its own size."""
        return self.image.resize((self.width, self.height), Image.Resampling.BOX)


class Figure(NamedTuple):
    """What sets one person apart; `marks` are any of braid, bun, curls, cap, hood, beard, glasses, apron, scarf."""

    ground: str
    skin: str
    hair: str
    coat: str
    accent: str
    marks: tuple[str, ...] = ()


def draw_figure(figure: Figure, view: str) -> Image.Image:
    """Draw a person from the waist up, seen from the `front`, the `left` or the `back`."""
    sketch = Sketch(400, 400, figure.ground)
    sketch.shape([(18, 100), (24, 70), (38, 61), (62, 61), (76, 70), (82, 100)], figure.coat)
    sketch.box((44, 50, 56, 66), figure.skin)
    if "hood" in figure.marks:
        sketch.oval((27, 10, 73, 66), figure.coat)
    if "curls" in figure.marks:
        for x, y in ((24, 22), (22, 34), (60, 22), (62, 34), (34, 10), (50, 10), (25, 44), (60, 44)):
            sketch.oval((x, y, x + 16, y + 16), figure.hair)
    {"front": _draw_face, "left": _draw_profile, "back": _draw_nape}[view](sketch, figure)
    _draw_clothes(sketch, figure, view)
    return sketch.finish()


def _draw_face(sketch: Sketch, figure: Figure) -> None:
    sketch.oval((32, 14, 68, 50), figure.hair)
    sketch.oval((34, 19, 66, 57), figure.skin)
    sketch.shape([(34, 32), (40, 17), (60, 17), (66, 32), (50, 25)], figure.hair)
    for x in (42, 58):
        sketch.oval((x - 2, 35, x + 2, 39), "#2b2220")
        sketch.line([(x - 4, 32), (x + 4, 32)], figure.hair, 1)
    sketch.line([(50, 38), (48, 44), (51, 44)], "#9a6a52", 0.8)
    if "beard" in figure.marks:
        sketch.shape([(35, 42), (42, 46), (58, 46), (65, 42), (61, 58), (50, 63), (39, 58)], figure.hair)
    sketch.line([(45, 49), (50, 51), (55, 49)], "#8c3b36", 1.2)
    if "glasses" in figure.marks:
        for x in (42, 58):
            sketch.pen.ellipse([*sketch.at([(x - 6, 32)])[0], *sketch.at([(x + 6, 43)])[0]], outline="#20242c", width=9)
        sketch.line([(48, 37), (52, 37)], "#20242c", 0.8)


def _draw_profile(sketch: Sketch, figure: Figure) -> None:
    sketch.oval((36, 14, 70, 52), figure.hair)
    sketch.oval((33, 19, 60, 57), figure.skin)
    sketch.shape([(34, 36), (28, 44), (35, 46)], figure.skin)
    sketch.shape([(36, 24), (44, 16), (62, 18), (66, 46), (54, 50), (54, 30)], figure.hair)
    sketch.oval((37, 35, 41, 39), "#2b2220")
    sketch.line([(34, 50), (40, 50)], "#8c3b36", 1.2)
    if "beard" in figure.marks:
        sketch.shape([(33, 51), (44, 47), (56, 46), (54, 60), (40, 63)], figure.hair)
    if "glasses" in figure.marks:
        sketch.line([(34, 36), (56, 35)], "#20242c", 1)


def _draw_nape(sketch: Sketch, figure: Figure) -> None:
    sketch.oval((32, 14, 68, 56), figure.hair)
    sketch.line([(42, 24), (40, 50)], shade(figure.hair), 0.8)
    sketch.line([(58, 24), (60, 50)], shade(figure.hair), 0.8)


def _draw_clothes(sketch: Sketch, figure: Figure, view: str) -> None:
    marks = figure.marks
    if "braid" in marks:
        x = {"front": 66, "left": 62, "back": 50}[view]
        for step in range(6):
            sketch.oval((x - 4, 44 + step * 7, x + 4, 53 + step * 7), figure.hair)
    if "bun" in marks:
        sketch.oval((42, 5, 58, 20), figure.hair)
    if "cap" in marks:
        sketch.shape([(31, 26), (36, 11), (64, 11), (69, 26)], figure.accent)
        brim = {"front": (29, 24, 71, 30), "left": (20, 24, 58, 30), "back": (31, 23, 69, 28)}[view]
        sketch.oval(brim, figure.accent)
    if "scarf" in marks:
        sketch.shape([(36, 58), (64, 58), (67, 67), (33, 67)], figure.accent)
        sketch.box((56, 64, 63, 86), figure.accent)
    if "apron" in marks and view != "back":
        sketch.shape([(38, 72), (62, 72), (66, 100), (34, 100)], figure.accent)
    elif view == "front" and "scarf" not in marks:
        sketch.line([(50, 64), (50, 100)], figure.accent, 1.2)
        for y in (72, 82, 92):
            sketch.oval((51.5, y, 54.5, y + 3), figure.accent)


def shade(colour: str) -> str:
    """Return a colour (`#rrggbb`) a fifth darker."""
    return "#" + "".join(f"{int(colour[place : place + 2], 16) * 82 // 100:02x}" for place in (1, 3, 5))
