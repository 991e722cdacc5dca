"""Limits that only sheets of other houses state: closed sets of lengths, least numbers, lengths of names of voices."""

from __future__ import annotations

import pytest
from foreign_sheet import FOREIGN, WIDE, load
from helpers import compile_text

from kling_dsl.sandbox.validation import Judge
from kling_dsl.sheets import Profiles
from kling_dsl.world import Media

PROFILES = Profiles.of({"models/wide-film.toml": WIDE})
FIGURES = "".join(
    f"CHARACTER {name}\n  front: refs/{name}.png\n  angles: refs/{name}1.png, refs/{name}2.png\n\n"
    for name in ("Mira", "Zoe")
)


def told(film: str) -> list[tuple[str, str, str]]:
    """Return what a film for the wide model gets: slug, message and hint."""
    head = "Model: wide-film\nHeadings: off\n\n"
    found = compile_text(head + film, profiles=PROFILES).diagnostics
    return [(one.slug, one.message, one.hint) for one in found if one.severity == "error"]


@pytest.mark.parametrize("seconds", [4, 8, 12, 16])
def test_each_length_of_a_closed_set_is_taken(seconds: int) -> None:
    assert told(f"SHOT a {seconds}s\n  speed: 1\nRain.\n") == []


@pytest.mark.parametrize(("seconds", "nearest"), [(2, 4), (5, 4), (7, 8), (17, 16)])
def test_a_length_between_those_of_a_closed_set_is_an_error(seconds: int, nearest: int) -> None:
    ((slug, message, hint),) = told(f"SHOT a {seconds}s\n  speed: 1\nRain.\n")
    assert (slug, message) == (
        "clip-length-limit",
        f'the shot "a" lasts {seconds} s, and wide-film makes 4, 8, 12 or 16 s',
    )
    assert hint.startswith(f"the nearest length is {nearest}s (")


def test_a_shot_of_a_clip_lasts_as_a_closed_set_says() -> None:
    found = told("CLIP c\n  speed: 1\n\nSHOT a 6s\nRain.\n\nSHOT b 2s\nFog.\n\nEND CLIP\n")
    assert found == [
        ("shot-length-limit", 'the shot "a" lasts 6 s, and in a CLIP wide-film makes 2, 4 or 8 s', "change its length")
    ]


def test_a_clip_of_fewer_shots_than_the_model_cuts_is_an_error() -> None:
    ((slug, message, _),) = told("CLIP c\n  speed: 1\n\nSHOT a 4s\nRain.\n\nEND CLIP\n")
    assert (slug, message) == ("list-length", 'the CLIP "c" has 1 shot, and wide-film cuts 2 at least')


def test_an_element_with_fewer_angles_than_the_model_takes_is_an_error() -> None:
    few = FIGURES.replace("refs/Zoe1.png, ", "")
    ((slug, message, _),) = told(f"{few}SHOT a 4s\n  speed: 1\n@Mira and @Zoe.\n")
    assert (slug, message) == ("list-length", "Zoe has 1 angle, and wide-film takes 2 at least")


def test_a_voice_that_is_longer_than_the_model_reads_is_an_error() -> None:
    for count, slugs in ((20, []), (21, ["value-not-taken"])):
        spoken = FIGURES.replace("CHARACTER Zoe\n", f"CHARACTER Zoe\n  voice: {'v' * count}\n")
        assert [slug for slug, *_ in told(f"{spoken}SHOT a 4s\n  speed: 1\n@Mira and @Zoe.\n")] == slugs


@pytest.mark.parametrize(("seconds", "types"), [(7.75, []), (7.76, ["value_error"])])
def test_the_sandbox_adds_up_the_lengths_of_the_videos(seconds: float, types: list[str]) -> None:
    video = Media("0" * 64, 1000, "mp4", 1280, 720, seconds, 24.0)
    judge = Judge(load(FOREIGN), {"https://a/1": video, "https://a/2": video}.get)
    body = {"prompt": "Rain.", "reference_videos": ["https://a/1", "https://a/2"]}
    assert [mistake.type for mistake in judge.judge(body).mistakes] == types
