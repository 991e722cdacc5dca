"""Limits from both sides, many mistakes at once, and files that no writer meant."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from helpers import FILM, PROFILES, MemoryWorld, check, compile_text, picture, prompts, slugs

from kling_dsl.compiler import Options, Session
from kling_dsl.world import Media, Unreadable


def _images(count: int) -> str:
    declared = "\n".join(f"STYLE S{n}\n  image: refs/{n}.png\n" for n in range(count))
    return declared + "\nSHOT a 5s\n" + " ".join(f"@S{n}" for n in range(count)) + "\n"


@pytest.mark.parametrize(("length", "found"), [(2500, []), (2501, ["2:6 prompt-too-long"])])
def test_a_prompt_has_2500_characters_at_most(length: int, found: list[str]) -> None:
    assert check(f"\nSHOT a 5s\n{'w' * length}\n") == found


@pytest.mark.parametrize(("length", "found"), [(512, []), (513, ["3:6 prompt-too-long"])])
def test_a_shot_of_a_clip_has_512_characters_at_most(length: int, found: list[str]) -> None:
    assert check(f"CLIP c\n\nSHOT a 5s\n{'w' * length}\n\nEND CLIP\n") == found


def test_the_limit_is_of_the_final_prompt() -> None:
    heading, camera, look = "INT. A", "wide", "grain"
    body = 2500 - len("INT. A. wide.  grain.")
    film = f"Look: {look}\n\n{heading}\n\nSHOT a 5s {camera}\n{{}}\n"
    assert slugs(film.format("w" * body)) == []
    assert slugs(film.format("w" * (body + 1))) == ["prompt-too-long"]


def test_the_limit_counts_dialogue_and_bound_names() -> None:
    film = "import cast.kling\n\nSHOT a 5s\n  audio: on\nMIRA: Yes.\n{}\n"
    room = 2500 - len('@Element1 says: "Yes." ')
    assert slugs(film.format("w" * room)) == []
    assert slugs(film.format("w" * (room + 1))) == ["prompt-too-long"]


def test_characters_are_counted_as_code_points() -> None:
    assert slugs("SHOT a 5s\n" + "é" * 2500 + "\n") == []
    assert slugs("SHOT a 5s\n" + "🦊" * 2501 + "\n") == ["prompt-too-long"]


@pytest.mark.parametrize(("count", "found"), [(7, []), (8, ["too-many-references"]), (9, ["too-many-references"])])
def test_seven_references_fit(count: int, found: list[str]) -> None:
    assert slugs(_images(count)) == found


def test_every_reference_over_the_limit_is_marked() -> None:
    diagnostic = compile_text(_images(9)).diagnostics[0]
    assert [diagnostic.span.column, *(span.column for span in diagnostic.also)] == [29, 33]
    assert "9" in diagnostic.message
    assert "7" in diagnostic.message


def test_a_cast_without_shots_is_checked_for_the_model_that_would_read_it() -> None:
    cast, media = "STYLE Ink\n  image: refs/ink.png\n", {"refs/ink.png": picture("x", width=299, height=300)}
    for film, options, model in (
        (cast, None, "o3-4k"),
        (f"Model: o3-pro\n\n{cast}", None, "o3-pro"),
        (f"Model: o3-pro\n\n{cast}", Options(model="o3-standard"), "o3-standard"),
    ):
        (small,) = compile_text(film, media=media, options=options).diagnostics
        assert small.slug == "picture-too-small"
        assert f"and {model} takes" in small.message


@pytest.mark.parametrize(("characters", "found"), [(2500, []), (2501, ["value-not-taken"])])
def test_a_text_of_its_own_is_as_long_as_its_field(characters: int, found: list[str]) -> None:
    film = f"Model: v3-pro-text\n\nSHOT a 5s\n  negative: {'x' * characters}\nRain.\n"
    (*told,) = compile_text(film).diagnostics
    assert [diagnostic.slug for diagnostic in told] == found
    assert all("negative has 2,501 characters, and v3-pro-text reads 2,500" in one.message for one in told)


def test_a_clip_counts_the_union_of_its_shots() -> None:
    declared = _images(8).split("\nSHOT")[0]
    first, second = "@S0 @S1 @S2 @S3", "@S3 @S4 @S5 @S6"
    film = f"{declared}\nCLIP c\n\nSHOT a 3s\n{first}\n\nSHOT b 3s\n{second}{{}}\n\nEND CLIP\n"
    assert slugs(film.format("")) == ["unused-reference"]
    assert slugs(film.format(" @S7")) == ["too-many-references"]


@pytest.mark.parametrize(("elements", "found"), [(3, []), (4, ["elements-with-frames"])])
def test_three_elements_fit_beside_a_frame(elements: int, found: list[str]) -> None:
    cast = "".join(f"CHARACTER C{n}\n  front: refs/{n}.png\n  angles: refs/{n}b.png\n\n" for n in range(elements))
    names = " ".join(f"@C{n}" for n in range(elements))
    assert slugs(f"{cast}SHOT a 5s\n  start: refs/start.png\n{names}\n") == found


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (picture("x", width=300, height=300), []),
        (picture("x", width=299, height=300), ["picture-too-small"]),
        (picture("x", width=300, height=299), ["picture-too-small"]),
        (picture("x", width=400, height=1000), []),
        (picture("x", width=399, height=1000), ["picture-aspect"]),
        (picture("x", width=1000, height=400), []),
        (picture("x", width=1003, height=400), ["picture-aspect"]),
        (picture("x", size=10_485_760), []),
        (picture("x", size=10_485_761), ["media-too-large"]),
        (picture("x", kind="jpeg"), []),
        (picture("x", kind="webp"), ["media-kind-doubtful"]),
        (picture("x", kind="avif"), ["media-kind-doubtful"]),
        (picture("x", kind="bmp"), ["media-kind"]),
        (picture("x", kind=""), ["media-kind"]),
        (Unreadable("missing", "does not exist"), ["media-missing"]),
        (Unreadable("outside", "leads out"), ["outside-root"]),
        (Unreadable("directory", "is a folder"), ["media-unreadable"]),
        (Unreadable("too-large", "is too large"), ["media-too-large"]),
        (Media("0" * 64, 100, "png", problem="is cut short"), ["media-broken"]),
        (Media("0" * 64, 100, "png"), ["media-broken"]),
    ],
)
def test_limits_of_a_picture(facts: Media | Unreadable, found: list[str]) -> None:
    film = "STYLE Ink\n  image: refs/ink.png\n\nSHOT a 5s\n@Ink\n"
    assert [d.slug for d in compile_text(film, media={"refs/ink.png": facts}).diagnostics] == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"seconds": 3.0}, []),
        ({"seconds": 2.99}, ["video-length"]),
        ({"seconds": 10.05}, []),
        ({"seconds": 10.06}, ["video-length"]),
        ({"width": 720, "height": 2160}, []),
        ({"width": 719}, ["video-size"]),
        ({"height": 2161}, ["video-size"]),
        ({"frames_per_second": 24.0}, []),
        ({"frames_per_second": 60.0}, []),
        ({"frames_per_second": 23.976}, ["video-rate"]),
        ({"frames_per_second": 60.01}, ["video-rate"]),
        ({"bytes": 209_715_200}, []),
        ({"bytes": 209_715_201}, ["media-too-large"]),
        ({"kind": "mov"}, []),
        ({"kind": "png"}, ["media-kind"]),
        ({"seconds": None}, ["video-not-measured"]),
    ],
)
def test_limits_of_a_video(change: dict[str, object], found: list[str]) -> None:
    facts: dict[str, object] = {
        "sha256": "0" * 64,
        "bytes": 1000,
        "kind": "mp4",
        "width": 1280,
        "height": 720,
        "seconds": 5.0,
        "frames_per_second": 30.0,
    }
    film = "CHARACTER Mira\n  video: refs/mira.mp4\n\nSHOT a 5s\n@Mira\n"
    media = msgspec.convert({**facts, **change}, Media)
    assert [d.slug for d in compile_text(film, media={"refs/mira.mp4": media}).diagnostics] == found


def test_a_pace_of_the_project_stands_over_that_of_the_sheet() -> None:
    film = "import cast.kling\n\nSHOT a 5s\n  audio: on\nMIRA: one two three four five six.\n"
    assert slugs(film) == []
    slow = compile_text(film, options=Options(words_per_second=Decimal("1.1")))
    assert [d.slug for d in slow.diagnostics] == ["long-dialogue"]


def test_levels_of_lints() -> None:
    film = "SHOT a 5s\nRain, no text.\n"
    assert slugs(film) == ["negative-phrasing"]
    assert not compile_text(film).failed
    silenced = compile_text(film, options=Options(lints={"negative-phrasing": "off"}))
    assert silenced.diagnostics == ()
    raised = compile_text(film, options=Options(lints={"negative-phrasing": "error"}))
    assert [d.severity for d in raised.diagnostics] == ["error"]
    assert raised.failed


def test_an_error_cannot_be_silenced() -> None:
    found = compile_text("SHOT a 5s\n@Nobody\n", options=Options(lints={"unknown-reference": "off"}))
    assert [d.slug for d in found.diagnostics] == ["unknown-reference"]
    assert found.failed


TWENTY = """\
Tilte: x
Audio: loud
Budget: 5

CHARACTER Old Mira
A woman.

PROP Boat
  colour: red
A boat.

INT. ROOM OF @Nobody
  lok: grain

SHOT Door 5s
Rain.

SHOT b 5
@Nobody waits.

SHOT c 5.5s
  aspect: 4:3
STRANGER: Hello.
CUT TO:
@Boat drifts.

SHOT c 99s
  start: end of nothing
@Element1 waits.
  takes: 2

CLIP d 9s
Text.

SHOT e 3s
  look: ink
Rain. [[note

END CLIP

EXPECT cost < $3
"""


def test_twenty_mistakes_are_twenty_diagnostics() -> None:
    found = Counter(slugs(TWENTY))
    wanted = Counter(
        {
            "unknown-title-key": 1,
            "bad-value": 1,
            "bad-money": 1,
            "bad-name": 1,
            "unknown-attribute": 2,
            "unknown-reference": 2,
            "bad-id": 1,
            "bad-length": 1,
            "fractional-length": 1,
            "value-not-taken": 1,
            "unknown-speaker": 1,
            "transition": 1,
            "duplicate-id": 1,
            "clip-length-limit": 1,
            "unknown-frame": 1,
            "tag-by-hand": 1,
            "misplaced-attribute": 1,
            "text-in-clip": 1,
            "attribute-in-clip": 1,
            "clip-length": 1,
            "unclosed-note": 1,
            "expect-word": 1,
        }
    )
    assert wanted - found == Counter()
    assert found - wanted == Counter()


def test_a_broken_block_costs_no_other() -> None:
    good = "SHOT a 5s\nRain.\n\n"
    broken = "SHOT B 5\n  nothing: x\n@Nobody\n\n"
    after = "SHOT c 5s\nSnow.\n"
    compilation = compile_text(good + broken + after)
    assert {"a": "Rain.", "c": "Snow."}.items() <= prompts(compilation).items()
    assert {d.span.line for d in compilation.diagnostics} <= {4, 5, 6}


def test_ten_thousand_errors_are_capped_and_counted() -> None:
    film = "SHOT a 5s\nRain.\n" + "".join(f"SHOT s{n} 5s\n@Nobody{n} waits.\n" for n in range(10_000))
    started = time.monotonic()
    found = compile_text(film).diagnostics
    assert time.monotonic() - started < 20
    assert len(found) == 1001
    assert found[-1].slug == "too-many-diagnostics"
    assert found[-1].severity == "error"
    assert "9,000" in found[-1].message
    assert {d.slug for d in found[:-1]} == {"unknown-reference"}


def test_warnings_beyond_the_cap_are_a_note() -> None:
    film = "".join(f"SHOT s{n} 5s\nRain {n}, no text.\n" for n in range(1100))
    found = compile_text(film)
    assert found.diagnostics[-1].severity == "note"
    assert not found.failed


def test_a_line_longer_than_is_read() -> None:
    assert check("SHOT a 5s\n" + "w" * 100_001 + "\n") == ["2:1 line-too-long"]
    assert check("SHOT a 5s\n" + "w " * 50_000 + "\n") == ["1:6 prompt-too-long"]


def test_fifty_million_characters_in_one_line_end_soon() -> None:
    started = time.monotonic()
    assert slugs("SHOT a 5s\n" + "@" * 50_000_000) == ["line-too-long"]
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x9b", "\x0b", "\x0c"])
def test_control_characters_anywhere_are_errors(character: str) -> None:
    for film in (f"Title: a{character}b\n\nSHOT a 5s\nRain.\n", f"SHOT a 5s\nRain{character}.\n", f"{character}\n"):
        assert "control-character" in slugs(film)


@pytest.mark.parametrize("film", ["", "\n", " \n\t\n", "# only\n", "\ufeff", "\r\n\r\n", "[[note]]"])
def test_a_film_of_nothing_is_said_to_be_empty(film: str) -> None:
    assert slugs(film) == ["no-shots"]


@pytest.mark.parametrize("reason", ["missing", "directory", "not-utf-8", "too-large", "unreadable", "outside"])
def test_a_film_that_cannot_be_read_is_one_error(reason: str) -> None:
    class Refusing(MemoryWorld):
        def read_text(self, path: str) -> str | Unreadable:
            return Unreadable(reason, "cannot be read")

    compilation = Session(PROFILES).compile(FILM, Refusing({}), Options())
    assert [(d.slug, d.severity) for d in compilation.diagnostics] == [("unreadable-file", "error")]
    assert compilation.failed
    assert compilation.calls == ()


def test_imports_deeper_than_fifty_files_are_refused() -> None:
    files = {f"f{n}.kling": f"import f{n + 1}.kling\n" for n in range(80)}
    assert "import-cycle" in slugs("import f0.kling\n\nSHOT a 5s\nRain.\n", files)


@pytest.mark.parametrize(
    "film",
    [
        "SHOT a 5s\nRain.\n\nSHOT c 5s\n  start: end of b\nSnow.\n",
        "SHOT s1 5s\nRain.\n\nSHOT s2 5s\nSnow.\n\nSHOT d 5s\n  start: end of s3\nSun.\n",
        "CHARACTER A\nA man.\n\nSHOT s 5s\n@A meets @B.\n",
    ],
)
def test_a_fix_is_offered_only_where_one_answer_is_right(film: str) -> None:
    found = compile_text(film).diagnostics
    assert [d.severity for d in found] == ["error"]
    assert found[0].fix is None
