"""What a film would cost on the cheaper models of its sheets, asked of those models' own limits and rules."""

from __future__ import annotations

from decimal import Decimal

from foreign_sheet import FILE, replaced
from helpers import FILM, MemoryWorld

from kling_dsl.compiler import Options, Quote, compile_film, quote_drafts
from kling_dsl.sheets import Profiles

DEAR = replaced('endpoint = "lumen-labs/film/v2', 'drafts = ["lumen-fast"]\nendpoint = "lumen-labs/film/v2')
FAST = replaced('name = "lumen-film"', 'name = "lumen-fast"').replace("film/v2", "fast/v2").replace("0.14", "0.07")


def quotes(film: str, draft: str) -> tuple[Quote, ...]:
    """Return the quotes for a film on the dear model, whose draft is given as a sheet."""
    profiles = Profiles.of({FILE: DEAR, "models/lumen-fast.toml": draft})
    assert profiles.diagnostics == ()
    world = MemoryWorld({FILM: f"Model: lumen-film\n\n{film}"})
    return quote_drafts(compile_film(FILM, world, Options(), profiles=profiles), world)


def test_a_draft_is_quoted_with_its_own_price_and_every_take() -> None:
    assert quotes("SHOT a 6s\n  takes: 2\nRain.\n", FAST) == (Quote("lumen-fast", Decimal("0.84"), 0),)


def test_a_draft_with_a_shorter_limit_refuses_what_is_longer() -> None:
    shorter = replaced("max = 30", "max = 10", FAST)
    film = "SHOT a 20s\nRain.\n\nSHOT b 10s\nSnow.\n"
    assert quotes(film, shorter) == (Quote("lumen-fast", None, 1),)


def test_a_draft_with_a_rule_of_its_own_refuses_what_breaks_it() -> None:
    film = "PROP Walk\n  video: refs/walk.mp4\n\nSTYLE Ink\n  image: refs/ink.png\n\nSHOT a 6s\n@Walk in @Ink.\n"
    rule = """
[[rules]]
kind = "excludes"
slug = "video-alone"
field = "reference_videos"
others = ["reference_images"]
confidence = "high"
source = "page"
because = "the fast model takes a video alone"

[billing]"""
    assert quotes(film, FAST)[0].refused == 0
    assert quotes(film, replaced("\n[billing]", rule, FAST)) == (Quote("lumen-fast", None, 1),)
