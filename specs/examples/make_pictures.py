"""Draws the small pictures and the one video of the example films; run it again after changing a drawing.

It needs the extra `media`. The files are in the repository: films are checked against them and not against this script.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image
from sketch import FINENESS, Figure, Point, Sketch, draw_figure, shade

COLOURS = 24
"""Colours of a picture's palette: with flat shapes the eye misses none, and the file stays small."""

Pages = dict[str, Callable[[], Image.Image]]


def draw_elephant(view: str) -> Image.Image:
    """Draw a young elephant from the front or the left."""
    sketch = Sketch(400, 400, "#f3e3c3")
    grey, dark = "#8d97a5", "#6b7482"
    if view == "front":
        sketch.oval((6, 24, 42, 66), dark)
        sketch.oval((58, 24, 94, 66), dark)
        sketch.oval((28, 18, 72, 66), grey)
        sketch.shape([(43, 50), (57, 50), (55, 86), (60, 92), (50, 95), (46, 86)], grey)
        for x in (39, 61):
            sketch.oval((x - 3, 38, x + 3, 44), "#1d2026")
        return sketch.finish()
    sketch.oval((30, 26, 92, 76), grey)
    for x in (40, 54, 68, 80):
        sketch.box((x, 66, x + 9, 92), grey)
    sketch.oval((12, 22, 50, 60), grey)
    sketch.shape([(13, 40), (22, 52), (17, 80), (10, 84), (7, 80)], grey)
    sketch.oval((34, 24, 58, 58), dark)
    sketch.oval((20, 34, 25, 39), "#1d2026")
    sketch.line([(91, 48), (97, 66)], dark, 1.5)
    return sketch.finish()


def draw_ball(turn: int) -> Image.Image:
    """Draw a beach ball, turned by a number of its six stripes."""
    sketch = Sketch(400, 400, "#cfe8ef")
    sketch.oval((22, 84, 78, 92), "#a9cbd4")
    colours = ("#e2483d", "#fbf7ee", "#f1b33c", "#fbf7ee", "#2f6fb0", "#fbf7ee")
    low, high = sketch.at([(16, 14), (84, 86)])
    for stripe in range(6):
        start = stripe * 60 + turn * 20
        sketch.pen.pieslice([*low, *high], start, start + 60, colours[(stripe + turn) % 6])
    sketch.oval((44, 44, 56, 56), "#fbf7ee")
    return sketch.finish()


def draw_thing(name: str) -> Image.Image:
    """Draw a prop or an article of a shop by its name, each on a ground of its own."""
    ground, parts = THINGS[name]
    sketch = Sketch(400, 400, ground)
    sketch.oval((20, 84, 80, 92), shade(ground))
    for kind, points, colour in parts:
        if kind == "oval":
            sketch.oval((*points[0], *points[1]), colour)
        elif kind == "box":
            sketch.box((*points[0], *points[1]), colour)
        elif kind == "line":
            sketch.line(points, colour, 3)
        else:
            sketch.shape(points, colour)
    return sketch.finish()


def _tooth(number: int) -> list[Point]:
    """Return a slanted tooth of the escape wheel, one of sixteen."""

    def at(radius: float, sixteenths: float) -> Point:
        angle = math.tau * sixteenths / 16
        return 50 + radius * math.sin(angle), 50 - radius * math.cos(angle)

    return [at(28, number - 0.3), at(40, number + 0.3), at(28, number + 0.3)]


Part = tuple[str, Sequence[Point], str]
THINGS: dict[str, tuple[str, tuple[Part, ...]]] = {
    "matchbox": (
        "#e9dcc0",
        (
            ("shape", [(20, 44), (66, 34), (84, 46), (84, 72), (38, 84), (20, 70)], "#b8432f"),
            ("shape", [(20, 44), (66, 34), (84, 46), (38, 57)], "#e6c15a"),
            ("shape", [(38, 57), (84, 46), (84, 72), (38, 84)], "#8e2f22"),
        ),
    ),
    "wheel": (
        "#2d3440",
        (
            *(("shape", _tooth(number), "#d8a93f") for number in range(16)),
            ("oval", [(20, 20), (80, 80)], "#d8a93f"),
            ("oval", [(28, 28), (72, 72)], "#2d3440"),
            ("line", [(50, 24), (50, 76)], "#d8a93f"),
            ("line", [(24, 50), (76, 50)], "#d8a93f"),
            ("oval", [(42, 42), (58, 58)], "#f0d389"),
        ),
    ),
    "bus": (
        "#bcd7e6",
        (
            ("box", [(10, 34), (90, 76)], "#d9642f"),
            ("box", [(10, 56), (90, 62)], "#f7ead2"),
            *(("box", [(x, 40), (x + 14, 53)], "#dff1f6") for x in (15, 33, 51, 69)),
            *(("oval", [(x, 68), (x + 16, 84)], "#2a2a2e") for x in (20, 64)),
        ),
    ),
    "mug": (
        "#f0e6da",
        (
            ("oval", [(60, 36), (86, 68)], "#4c7a78"),
            ("oval", [(66, 43), (79, 61)], "#f0e6da"),
            ("box", [(28, 30), (70, 84)], "#4c7a78"),
            ("oval", [(28, 78), (70, 90)], "#4c7a78"),
            ("oval", [(28, 24), (70, 36)], "#7fb0ab"),
        ),
    ),
    "lamp": (
        "#3a3350",
        (
            ("shape", [(34, 16), (66, 16), (80, 52), (20, 52)], "#f4c667"),
            ("box", [(48, 52), (52, 82)], "#c9b9a0"),
            ("oval", [(32, 78), (68, 90)], "#c9b9a0"),
        ),
    ),
    "chair": (
        "#dfe5d3",
        (
            ("box", [(28, 14), (34, 88)], "#7a5233"),
            ("box", [(62, 14), (68, 88)], "#7a5233"),
            *(("box", [(30, y), (66, y + 6)], "#96683f") for y in (18, 30, 42)),
            ("shape", [(24, 56), (70, 56), (78, 66), (20, 66)], "#b58452"),
            ("box", [(20, 64), (26, 92)], "#7a5233"),
            ("box", [(72, 64), (78, 92)], "#7a5233"),
        ),
    ),
    "bottle": (
        "#e7d3cf",
        (
            ("box", [(44, 8), (56, 30)], "#3f6b45"),
            ("shape", [(44, 28), (56, 28), (66, 44), (66, 88), (34, 88), (34, 44)], "#4f8556"),
            ("box", [(34, 52), (66, 74)], "#f2ead6"),
            ("box", [(43, 6), (57, 12)], "#a8753f"),
        ),
    ),
    "basket": (
        "#cddbe3",
        (
            ("oval", [(22, 8), (78, 84)], "#9c6d35"),
            ("oval", [(28, 15), (72, 84)], "#cddbe3"),
            ("shape", [(14, 46), (86, 46), (76, 88), (24, 88)], "#c18c49"),
            *(("line", [(18, y), (82, y)], "#9c6d35") for y in (56, 66, 76)),
        ),
    ),
    "clock": (
        "#e8c9a0",
        (
            ("oval", [(14, 14), (86, 86)], "#50352a"),
            ("oval", [(20, 20), (80, 80)], "#fbf4e2"),
            ("line", [(50, 50), (50, 28)], "#2b2220"),
            ("line", [(50, 50), (66, 58)], "#2b2220"),
            ("oval", [(46, 46), (54, 54)], "#b8432f"),
        ),
    ),
    "bag": (
        "#e3e0ef",
        (
            ("oval", [(32, 12), (68, 62)], "#5b2f44"),
            ("oval", [(38, 19), (62, 62)], "#e3e0ef"),
            ("shape", [(22, 36), (78, 36), (86, 88), (14, 88)], "#8a4763"),
            ("box", [(44, 50), (56, 58)], "#e0b94f"),
        ),
    ),
    "kettle": (
        "#d6e8da",
        (
            ("line", [(30, 40), (34, 16), (66, 16), (70, 40)], "#33383f"),
            ("shape", [(68, 50), (92, 34), (94, 40), (74, 66)], "#c4552d"),
            ("oval", [(22, 30), (78, 90)], "#c4552d"),
            ("oval", [(40, 26), (60, 36)], "#33383f"),
        ),
    ),
    "phone": (
        "#1e2b38",
        (
            ("box", [(32, 8), (68, 92)], "#0c0f14"),
            ("box", [(35, 14), (65, 84)], "#6fd3e0"),
            ("oval", [(46, 40), (54, 48)], "#0c4a5e"),
            ("line", [(40, 60), (60, 60)], "#0c4a5e"),
        ),
    ),
}


def draw_place(name: str) -> Image.Image:
    """Draw a place, a frame or a style by its name."""
    return PLACES[name]()


def _draw_square() -> Image.Image:
    sketch = Sketch(480, 300, "#9fc4dd")
    sketch.shape([(0, 70), (30, 46), (62, 60), (100, 40), (100, 100), (0, 100)], "#7d9a63")
    for x, y, colour in ((4, 50, "#d9b48a"), (20, 44, "#e7caa2"), (66, 46, "#cf9f78"), (82, 52, "#e2bd94")):
        sketch.box((x, y, x + 14, 90), colour)
        sketch.shape([(x - 1, y), (x + 7, y - 9), (x + 15, y)], "#a8503a")
    _draw_tower(sketch, 42)
    sketch.box((0, 88, 100, 100), "#b7a48d")
    return sketch.finish()


def _draw_tower(sketch: Sketch, x: float) -> None:
    sketch.box((x, 20, x + 16, 90), "#c9a985")
    sketch.shape([(x - 2, 20), (x + 8, 4), (x + 18, 20)], "#6f3a33")
    sketch.oval((x + 3, 26, x + 13, 42), "#fbf4e2")
    sketch.line([(x + 8, 34), (x + 8, 29)], "#2b2220", 0.5)
    sketch.line([(x + 8, 34), (x + 11, 36)], "#2b2220", 0.5)


def _draw_shop() -> Image.Image:
    sketch = Sketch(480, 300, "#5b4636")
    for index in range(5):
        x = 6 + index * 19
        sketch.oval((x, 12, x + 12, 32), "#d9c39a")
        sketch.line([(x + 6, 22), (x + 6, 15)], "#33261c", 0.5)
        sketch.line([(x + 6, 22), (x + 6 + index % 3, 27)], "#33261c", 0.5)
    sketch.box((0, 66, 100, 74), "#8c6239")
    sketch.box((0, 74, 100, 100), "#6d4a2a")
    sketch.shape([(60, 50), (68, 50), (72, 58), (56, 58)], "#f4c667")
    sketch.box((63.5, 58, 64.5, 66), "#c9b9a0")
    return sketch.finish()


def _draw_loft() -> Image.Image:
    sketch = Sketch(480, 300, "#3b3a44")
    sketch.oval((26, 4, 74, 82), "#e9dcb6")
    for x, y, size in ((36, 60, 14), (54, 66, 10), (66, 54, 8)):
        sketch.oval((x - size, y - size * 1.6, x + size, y + size * 1.6), "#8b7440")
        sketch.oval((x - size / 2, y - size * 0.8, x + size / 2, y + size * 0.8), "#3b3a44")
    sketch.line([(0, 30), (100, 12)], "#5d4634", 3)
    sketch.box((0, 90, 100, 100), "#5d4634")
    return sketch.finish()


def _draw_ink() -> Image.Image:
    sketch = Sketch(480, 300, "#f1ece0")
    for index in range(7):
        y = 18 + index * 11
        points = [(x, y + ((x * (index + 2)) % 17) / 3) for x in range(-4, 110, 6)]
        sketch.line(points, ("#20242c", "#4a525e", "#8b929b")[index % 3], 0.4 + (6 - index) * 0.3)
    sketch.oval((70, 10, 84, 32), "#b7332b")
    return sketch.finish()


def _draw_gouache() -> Image.Image:
    sketch = Sketch(480, 300, "#f2e2c0")
    for index, colour in enumerate(("#d98b4a", "#b7532f", "#5d7f73", "#2f4858", "#e6b65c", "#86a788")):
        x, y = 4 + (index % 3) * 32, 8 + (index // 3) * 46
        sketch.shape([(x, y + 4), (x + 26, y), (x + 28, y + 34), (x + 3, y + 38)], colour)
    return sketch.finish()


def _draw_frame(sky: str, sea: str, boat_x: float, boat_y: float, lamp: str) -> Image.Image:
    sketch = Sketch(360, 640, sky)
    sketch.oval((60, 8, 84, 22), lamp)
    sketch.box((0, 52, 100, 100), sea)
    for index in range(5):
        y = 58 + index * 8
        sketch.line([(x, y + (x // 10 + index) % 2) for x in range(0, 110, 10)], shade(sea), 0.8)
    sketch.shape(
        [(boat_x, boat_y), (boat_x + 34, boat_y), (boat_x + 27, boat_y + 6), (boat_x + 6, boat_y + 6)], "#7b2f26"
    )
    sketch.shape([(boat_x + 16, boat_y - 1), (boat_x + 16, boat_y - 16), (boat_x + 30, boat_y - 3)], "#efe6d2")
    return sketch.finish()


PLACES: dict[str, Callable[[], Image.Image]] = {
    "square": _draw_square,
    "shop": _draw_shop,
    "loft": _draw_loft,
    "ink": _draw_ink,
    "gouache": _draw_gouache,
    "calm": lambda: _draw_frame("#f3c9a5", "#4d7f92", 33, 55, "#fff1d6"),
    "storm": lambda: _draw_frame("#2a3142", "#1d2c3a", 50, 66, "#8d99b0"),
}

FIGURES = {
    "lantern/refs/mira": Figure("#31465c", "#d9a98a", "#a9adb3", "#e3b62f", "#7d5f10", ("hood", "braid")),
    "lantern/refs/keeper": Figure("#4f4a3f", "#c98f6d", "#5b5550", "#263a4d", "#b08d4f", ("beard", "cap")),
    "short/refs/noor": Figure("#dbe6c8", "#a9714b", "#2a1d18", "#d9583b", "#f2d06b", ("curls",)),
    "short/refs/tomas": Figure("#c9b79a", "#d6a586", "#e9e4da", "#4b5a46", "#2f3a2c", ("beard", "glasses")),
    "short/refs/ines": Figure("#f1d8c9", "#c58a66", "#4a2a20", "#6f8fa8", "#f7f1e6", ("bun", "apron")),
    "advert/refs/host": Figure("#e6ddcf", "#8d5a3c", "#1f1715", "#2f5d50", "#d8a347", ("bun", "scarf")),
    "trailer/refs/juno": Figure("#1f3040", "#e0b08f", "#8c2f1f", "#1a4e63", "#e8e2d2", ("braid", "scarf")),
}
EVERY_SIDE = ("lantern/refs/mira", "short/refs/noor", "short/refs/tomas", "trailer/refs/juno")


def list_pictures() -> Pages:
    """Return every picture's path from the folder of the examples, and how it is drawn."""
    pages: Pages = {
        "provider/refs/jumbo/front.png": lambda: draw_elephant("front"),
        "provider/refs/jumbo/left.png": lambda: draw_elephant("left"),
        "provider/refs/ball/front.png": lambda: draw_ball(0),
        "provider/refs/ball/turned.png": lambda: draw_ball(1),
        "lantern/refs/ink.png": lambda: draw_place("ink"),
        "short/refs/gouache.png": lambda: draw_place("gouache"),
        "trailer/refs/calm.png": lambda: draw_place("calm"),
        "trailer/refs/storm.png": lambda: draw_place("storm"),
        "trailer/refs/phone.png": lambda: draw_thing("phone"),
    }
    for folder, figure in FIGURES.items():
        for view in ("front", "left", "back") if folder in EVERY_SIDE else ("front", "left"):
            pages[f"{folder}/{view}.png"] = lambda figure=figure, view=view: draw_figure(figure, view)  # type: ignore[misc]
    for name in ("matchbox", "wheel", "bus"):
        pages[f"short/refs/{name}.png"] = lambda name=name: draw_thing(name)  # type: ignore[misc]
    for name in ("square", "shop", "loft"):
        pages[f"short/refs/{name}.jpg"] = lambda name=name: draw_place(name)  # type: ignore[misc]
    for name in ("mug", "lamp", "chair", "bottle", "basket", "clock", "bag", "kettle"):
        pages[f"advert/refs/{name}.png"] = lambda name=name: draw_thing(name)  # type: ignore[misc]
    return pages


def save_picture(image: Image.Image, path: Path) -> None:
    """Write a picture small: a JPEG or, by palette, a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg":
        image.save(path, quality=45, optimize=True)
    else:
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def draw_diver() -> Iterator[Image.Image]:
    """Yield the 96 frames of a diver who turns once: 4 s at 24 frames a second, 720 by 1280 pixels."""
    for number in range(96):
        turn = math.cos(number * 2 * math.pi / 96)
        sketch = Sketch(720 // FINENESS, -(-1280 // FINENESS), "#0f3d4c")
        half = 12 + 6 * abs(turn)
        for side in (-1, 1):
            hip, foot = 50 + side * half, 50 + side * half * 0.9
            sketch.shape([(hip, 53), (hip + side * 7, 74), (hip, 76)], "#c4521f")
            sketch.shape([(50, 72), (hip, 72), (foot, 94), (50 + side * 3, 94)], "#c4521f")
        sketch.shape([(50 - half, 51), (50 + half, 51), (50 + half, 76), (50 - half, 76)], "#e2632b")
        sketch.oval((32, 31, 68, 52), "#c9a24b")
        middle, reach = 50 - 9 * turn, 9 * abs(turn)
        sketch.oval((middle - reach, 36, middle + reach, 46), "#a7e1e6" if turn > 0 else "#a5803a")
        yield sketch.image


def save_video(frames: Iterator[Image.Image], path: Path) -> None:
    """Write frames as an H.264 video of 24 frames a second, the same bytes each time."""
    import av

    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "30", "preset": "slow", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 720, 1280, "yuv420p"
        for image in frames:
            picture = av.VideoFrame.from_image(image.crop((0, 0, 720, 1280)))  # type: ignore[no-untyped-call]
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def main() -> None:
    """Draw everything into the folder of the examples."""
    here = Path(__file__).parent
    for name, draw in list_pictures().items():
        save_picture(draw(), here / name)
    save_video(draw_diver(), here / "trailer/refs/diver.mp4")


if __name__ == "__main__":
    main()
