"""What checks say where a film has many of something, or little is known: each kept word for word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from foreign_sheet import FILE, FOREIGN
from helpers import compile_text
from told import check_kept, check_no_others, in_full

from kling_dsl.sheets import Profiles
from kling_dsl.world import Media

TOLD = Path(__file__).parent / "told" / "checks.txt"
SILENT = {"refs/ink.png": Media("0" * 64, 100, "png")}
FOUR = "".join(f"CHARACTER C{n}\n  front: refs/{n}.png\n  angles: refs/{n}b.png\n\n" for n in range(4))
VIDEOS = "".join(f"PROP V{n}\n  video: refs/v{n}.mp4\n\n" for n in range(4))
NAMES = "".join(f"CHARACTER Person{n}\nSomebody.\n\n" for n in range(12))

FILMS: dict[str, str] = {
    "a ring of ten": "".join(f"SHOT s{n} 5s\n  start: end of s{(n + 1) % 10}\nRain {n}.\n\n" for n in range(10)),
    "a ring of two": "".join(f"SHOT s{n} 5s\n  start: end of s{(n + 1) % 2}\nRain {n}.\n\n" for n in range(2)),
    "both frames beside four": f"{FOUR}SHOT a 5s\n  start: refs/s.png\n  end: refs/e.png\n@C0 @C1 @C2 @C3\n",
    "one frame beside four": f"{FOUR}SHOT a 5s\n  start: refs/s.png\n@C0 @C1 @C2 @C3\n",
    "two videos after pictures": f"{FOUR}{VIDEOS}SHOT a 5s\n@C0, @V0, @C1, @V1.\n",
    "too many videos": f"Model: lumen-film\n\n{VIDEOS}SHOT a 5s\n@V0 @V1 @V2 @V3\n",
    "half a second without a price": "Model: lumen-film\n\nPROP Far\n  video: https://example.com/far.mp4\n\nSHOT a 5.5s\n@Far\n",
    "a picture without a size": "STYLE Ink\n  image: refs/ink.png\n\nSHOT a 5s\n@Ink\n",
    "shouting with letters of another script": "import cast.kling\n\nSHOT a 5s\n  audio: on\nMIRA: STOP 停 RIGHT NOW.\n",
    "shouting with one small letter": "import cast.kling\n\nSHOT a 5s\n  audio: on\nMIRA: STOP RIGHT NOw.\n",
    "as long as it may be": "SHOT a 15s\nRain.\n\nSHOT b 3s\nSnow.\n",
    "longer and shorter": "SHOT a 16s\nRain.\n\nSHOT b 2s\nSnow.\n",
    "a name among many": f"{NAMES}SHOT a 5s\n@Person0 waits.\n\nEXPECT every shot uses @Zebra\n",
    "a model that is none": "SHOT a 5s\nRain.\n\nEXPECT every shot uses model zebra\n",
}


@pytest.mark.parametrize("name", FILMS)
def test_what_is_said(name: str) -> None:
    check_kept(TOLD, name, _told(FILMS[name], SILENT if "without a size" in name else {}))


def test_nothing_is_kept_of_films_that_are_gone() -> None:
    check_no_others(TOLD, FILMS)


def _told(film: str, media: Mapping[str, Media]) -> str:
    found = compile_text(film, media=media, profiles=Profiles.of({FILE: FOREIGN})).diagnostics
    return in_full(one for one in found if one.slug not in ("unused-reference", "empty-definition"))
