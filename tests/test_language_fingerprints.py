"""What moves a fingerprint: it stands for what was paid, so it follows the request and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers import CAST, check, compile_text, fingerprints, picture

FILM_TEXT = """\
Title: The Lantern
Look: 35 mm film

import cast.kling

INT. LIGHTHOUSE - NIGHT

SHOT door 5s wide
@Mira opens the door. Rain.

The lamp turns.

SHOT reply 4s close-up on @Keeper
  audio: on
  start: end of door
KEEPER (hoarse): You came
  back.

CLIP window 7s

SHOT watch 3s
@Mira and @Keeper wait.

SHOT sea 4s
@Nurse waves. [[colder]]

END CLIP
"""


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n\n\n",
        lambda text: text.replace("\n\n", "\n\n\n\n"),
        lambda text: text.replace("\n", "  \n"),
        lambda text: text.replace("\n", "\t\n"),
        lambda text: text.replace("The lamp turns.", "# why\nThe lamp\n# not\nturns."),
        lambda text: text.replace("Rain.", "Rain. [[a note\n\nof lines]]"),
        lambda text: text.replace("[[colder]]", ""),
        lambda text: text.replace("opens the door. Rain.", "opens\nthe\n  door. Rain."),
        lambda text: text.replace("  audio: on\n  start: end of door\n", "   start:   end of door\n\taudio:on\n"),
        lambda text: text.replace("  back.", "\tback."),
        lambda text: text.replace("door", "gate").replace("opens the gate", "opens the door"),
        lambda text: text.replace("window", "pane").replace("watch", "look-out"),
        lambda text: text.replace("CLIP window 7s", "CLIP window"),
        lambda text: text.replace("Title: The Lantern", "Title: Another\nBudget: $100"),
        lambda text: text.replace("INT. LIGHTHOUSE - NIGHT", "INT. LIGHTHOUSE - NIGHT #1#"),
        lambda text: text.replace("INT. LIGHTHOUSE - NIGHT", "INT.   LIGHTHOUSE -  NIGHT"),
        lambda text: text.replace("5s wide", "5s   wide"),
        lambda text: text.replace("@Mira opens", "!@Mira opens"),
    ],
)
def test_what_changes_no_request_changes_no_fingerprint(change: Callable[[str], str]) -> None:
    assert fingerprints(change(FILM_TEXT)) == fingerprints(FILM_TEXT)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("Rain.", "Snow.", {"door", "reply"}),
        ("5s wide", "6s wide", {"door", "reply"}),
        ("The lamp turns.", "\nThe lamp turns!", {"door", "reply"}),
        ("hoarse", "loud", {"reply"}),
        ("audio: on", "audio: off", {"reply"}),
        ("@Nurse waves.", "@Nurse nods.", {"window"}),
        ("35 mm film", "16 mm film", {"door", "reply", "window"}),
        ("LIGHTHOUSE", "TOWER", {"door", "reply", "window"}),
        ("import cast.kling", "Aspect: 1:1", None),
    ],
)
def test_what_changes_a_request_changes_its_fingerprint(old: str, new: str, changed: set[str] | None) -> None:
    if changed is None:
        assert check(FILM_TEXT.replace(old, new))
        return
    before = {call.id: call.fingerprint for call in compile_text(FILM_TEXT).calls}
    after = {call.id: call.fingerprint for call in compile_text(FILM_TEXT.replace(old, new)).calls}
    assert {id for id in before if before[id] != after[id]} == changed


def test_order_of_the_cast_and_of_the_shots_changes_no_fingerprint() -> None:
    blocks = CAST.strip("\n").split("\n\n")
    turned = "\n\n".join(reversed(blocks)) + "\n"
    assert fingerprints(FILM_TEXT, {"cast.kling": turned}) == fingerprints(FILM_TEXT)
    shots = FILM_TEXT.index("SHOT reply"), FILM_TEXT.index("CLIP window")
    moved = FILM_TEXT[: shots[0]] + FILM_TEXT[shots[1] :] + "\n" + FILM_TEXT[shots[0] : shots[1]]
    assert sorted(fingerprints(moved)) == sorted(fingerprints(FILM_TEXT))


def test_a_name_in_another_form_of_unicode_changes_no_fingerprint() -> None:
    film = "CHARACTER {0}\n  front: refs/a.png\n  angles: refs/b.png\n\nSHOT a 5s\n@{0}'s hat.\n"
    assert fingerprints(film.format("Zo\u00eb")) == fingerprints(film.format("Zoe\u0308"))


def test_a_renamed_picture_of_the_same_content_changes_no_fingerprint() -> None:
    film = "STYLE Ink\n  image: {}\n\nSHOT a 5s\n@Ink\n"
    facts = picture("same")
    before, after = (
        compile_text(film.format(path), media={path: facts}).calls[0].fingerprint for path in ("a/ink.png", "b/pen.png")
    )
    assert before == after


def test_another_content_under_the_same_name_changes_the_fingerprint() -> None:
    film = "STYLE Ink\n  image: ink.png\n\nSHOT a 5s\n@Ink\n"
    before, after = (
        compile_text(film, media={"ink.png": picture(content)}).calls[0].fingerprint for content in ("one", "two")
    )
    assert before != after


def test_the_number_of_takes_is_in_no_fingerprint() -> None:
    assert fingerprints("SHOT a 5s\nRain.\n") == fingerprints("SHOT a 5s\n  takes: 3\nRain.\n")


def test_the_model_is_in_the_fingerprint() -> None:
    assert fingerprints("SHOT a 5s\nRain.\n") != fingerprints("SHOT a 5s\n  model: o3-pro\nRain.\n")


def test_a_chained_clip_follows_what_it_starts_from() -> None:
    film = "SHOT a 5s\n{}\n\nSHOT b 5s\n  start: end of a\nSnow.\n\nSHOT c 5s\n  start: end of b\nSun.\n"
    before, after = fingerprints(film.format("Rain.")), fingerprints(film.format("Hail."))
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_a_chain_of_1500_clips_has_as_many_fingerprints() -> None:
    film = "SHOT s0 5s\nRain.\n" + "".join(
        f"\nSHOT s{n} 5s\n  start: end of s{n - 1}\nRain {n}.\n" for n in range(1, 1500)
    )
    assert len(set(fingerprints(film))) == 1500
