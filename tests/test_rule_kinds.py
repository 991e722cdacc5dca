"""The rules and fields that no sheet of ours has, on the sheet of an imagined house: what they let pass and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from foreign_sheet import FILE, FOREIGN, replaced
from helpers import VIDEO, compile_text
from told import check_kept, in_full

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.sheets import Profiles
from kling_dsl.world import Media

TOLD = Path(__file__).parent / "told" / "rule_kinds.txt"
PAIR = "PROP Walk\n  video: refs/walk.mp4\n\nPROP Run\n  video: refs/run.mp4\n\n"


def found(film: str, sheet: str = FOREIGN, media: Mapping[str, Media] | None = None) -> tuple[Diagnostic, ...]:
    """Return what a film for the imagined house reports."""
    profiles = Profiles.of({FILE: sheet})
    assert profiles.diagnostics == (), [one.message for one in profiles.diagnostics]
    return compile_text(f"Model: lumen-film\n\n{film}", media=media, profiles=profiles).diagnostics


def slugs(film: str, sheet: str = FOREIGN, media: Mapping[str, Media] | None = None) -> list[str]:
    return [diagnostic.slug for diagnostic in found(film, sheet, media)]


@pytest.mark.parametrize(
    ("bounds", "seconds", "expected"),
    [
        ("max = 15.5", (8.0, 7.5), []),
        ("max = 15.5", (8.0, 7.6), ["video-seconds"]),
        ("min = 6", (3.0, 3.0), []),
        ("min = 6", (3.0, 2.9), ["video-seconds"]),
        ("min = 6\nmax = 15.5", (8.0, 7.6), ["video-seconds"]),
    ],
)
def test_the_seconds_of_all_videos_together(bounds: str, seconds: tuple[float, float], expected: list[str]) -> None:
    sheet = replaced('of = "reference_videos"\nmax = 15.5', f'of = "reference_videos"\n{bounds}')
    media = {
        f"refs/{name}.mp4": msgspec.structs.replace(VIDEO, sha256=name * 8, seconds=length)
        for name, length in zip(("walk", "run"), seconds, strict=True)
    }
    told = found(f"{PAIR}SHOT a 5s\n@Walk, then @Run.\n", sheet, media)
    assert [diagnostic.slug for diagnostic in told] == expected
    check_kept(TOLD, f"seconds {bounds.split()} {seconds}", in_full(told))


def test_a_video_weighs_what_the_sheet_says() -> None:
    videos = "".join(f"PROP V{n}\n  video: refs/v{n}.mp4\n\n" for n in range(3))
    pictures = "".join(f"STYLE P{n}\n  image: refs/p{n}.png\n\n" for n in range(7))
    names = " ".join(["@V0", "@V1", "@V2", *(f"@P{n}" for n in range(6))])
    assert slugs(f"{videos}{pictures}SHOT a 5s\n{names} @P6\n") == ["too-many-references"]
    told = found(f"{videos}{pictures}SHOT a 5s\n{names} @P6\n")
    check_kept(TOLD, "weights", in_full(told))
    assert slugs(f"{videos}{pictures}SHOT a 5s\n{names}\n") == ["unused-reference"]


SWITCHED = replaced(
    "[fields.ratio]",
    '[fields.loop]\ntype = "boolean"\nattribute = "loop"\nsource = "page"\n\n'
    '[fields.seed]\ntype = "integer"\nattribute = "seed"\nmin = 1\nmax = 99\nsource = "page"\n\n'
    '[fields.strength]\ntype = "number"\nattribute = "strength"\nmin = 0.1\nmax = 0.9\nsource = "page"\n\n[fields.ratio]',
)


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("loop: on", {"loop": True}),
        ("loop: off", {"loop": False}),
        ("seed: 1", {"seed": 1}),
        ("seed: 99", {"seed": 99}),
        ("strength: 0.1", {"strength": 0.1}),
        ("strength: 0.9", {"strength": 0.9}),
        ("resolution: 480p", {"resolution": "480p"}),
    ],
)
def test_an_attribute_of_the_sheet_is_sent_by_its_type(line: str, sent: dict[str, object]) -> None:
    film = f"Model: lumen-film\n\nSHOT a 5s\n  {line}\nRain.\n"
    compilation = compile_text(film, profiles=Profiles.of({FILE: SWITCHED}))
    assert compilation.diagnostics == ()
    (call,) = compilation.calls
    assert {**call.arguments, **sent} == call.arguments


@pytest.mark.parametrize(
    ("line", "slug"),
    [
        ("loop: yes", "bad-value"),
        ("seed: 1.5", "bad-value"),
        ("strength: much", "bad-value"),
        ("seed: 0", "value-not-taken"),
        ("seed: 100", "value-not-taken"),
        ("strength: 0.05", "value-not-taken"),
        ("strength: 0.95", "value-not-taken"),
        ("resolution: 481p", "value-not-taken"),
        ("resolution: eight", "value-not-taken"),
    ],
)
def test_an_attribute_outside_its_limits_is_an_error(line: str, slug: str) -> None:
    told = found(f"SHOT a 5s\n  {line}\nRain.\n", SWITCHED)
    assert [diagnostic.slug for diagnostic in told] == [slug]
    check_kept(TOLD, line, in_full(told))


def test_a_list_has_the_number_of_items_that_its_field_states() -> None:
    sheet = replaced('role = "images"\nmax_items = 9', 'role = "images"\nmin_items = 2\nmax_items = 3')
    cast = "".join(f"STYLE P{n}\n  image: refs/p{n}.png\n\n" for n in range(4))
    for count, expected in ((0, []), (1, ["list-length"]), (2, []), (3, []), (4, ["list-length"])):
        names = " ".join(f"@P{n}" for n in range(count))
        told = [one for one in found(f"{cast}SHOT a 5s\nRain. {names}\n", sheet) if one.slug != "unused-reference"]
        assert [diagnostic.slug for diagnostic in told] == expected
        check_kept(TOLD, f"list {count}", in_full(told))


def test_a_field_that_must_be_there_is_missed() -> None:
    sheet = replaced('role = "images"\nmax_items = 9', 'role = "images"\nrequired = true\nmax_items = 9')
    told = found("SHOT a 5s\nRain.\n", sheet)
    assert [diagnostic.slug for diagnostic in told] == ["missing-field"]
    check_kept(TOLD, "required", in_full(told))


def test_a_model_whose_sheet_is_refused_is_named_with_its_sheet() -> None:
    profiles = Profiles.of({FILE: FOREIGN.replace("seconds = [", "second = [")})
    told = compile_text("Model: lumen-film\n\nSHOT a 5s\nRain.\n", profiles=profiles).diagnostics
    assert "unknown-model" in [diagnostic.slug for diagnostic in told]
    check_kept(TOLD, "refused sheet", in_full(told))
