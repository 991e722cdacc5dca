"""What a request sends: fields in the sheet's order, in its types, with every price-bearing one said."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import foreign_sheet
import pytest
from helpers import compile_text
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.calls import Call
from kling_dsl.sheets import Profiles, builtin_names

LUMEN = Profiles.of({foreign_sheet.FILE: foreign_sheet.FOREIGN})


def calls(source: str, *, profiles: Profiles | None = None) -> tuple[Call, ...]:
    compilation = compile_text(source, profiles=profiles) if profiles else compile_text(source)
    assert not compilation.failed, [d.message for d in compilation.diagnostics]
    return compilation.calls


def sent(source: str, *, profiles: Profiles | None = None) -> dict[str, Any]:
    """Return the arguments of a film's only request."""
    (call,) = calls(source, profiles=profiles)
    return call.arguments


@pytest.mark.parametrize("model", builtin_names())
def test_fields_stand_in_the_order_of_their_sheet(model: str) -> None:
    start = "  start: refs/start.png\n" if model == "v3-pro-image" else ""
    source = f"Model: {model}\nAudio: on\nAspect: 9:16\n\nSHOT a 5s\n{start}Rain.\n"
    if model == "v3-pro-image":
        source = source.replace("Aspect: 9:16\n", "")
    arguments = sent(source)
    profile = LUMEN.get(model)
    assert profile is not None
    assert list(arguments) == [name for name in profile.fields if name in arguments]
    always = {name for name, field in profile.fields.items() if field.send == "always"}
    assert always <= set(arguments)


def test_what_has_a_price_is_always_said() -> None:
    arguments = sent("SHOT a 5s\nRain.\n")
    assert arguments == {
        "prompt": "Rain.",
        "generate_audio": False,
        "duration": "5",
        "shot_type": "customize",
        "aspect_ratio": "16:9",
    }


def test_a_length_is_text_or_a_number_as_the_sheet_says() -> None:
    assert sent("SHOT a 5s\nRain.\n")["duration"] == "5"
    assert sent("Model: lumen-film\n\nSHOT a 30s\nRain.\n", profiles=LUMEN)["seconds"] == 30


def test_only_what_a_request_uses_is_sent_in_the_order_of_use() -> None:
    source = (
        "import cast.kling\n\nSHOT a 5s\n@Keeper in the look of @Fog, then @Mira, @Keeper again and @Ink.\n\n"
        "SHOT b 5s\n@Mira alone.\n\nSHOT c 5s\nNobody.\n"
    )
    first, second, third = calls(source)
    assert first.references == {"Keeper": "@Element1", "Fog": "@Image1", "Mira": "@Element2", "Ink": "@Image2"}
    assert [len(first.arguments[name]) for name in ("elements", "image_urls")] == [2, 2]
    assert second.references == {"Mira": "@Element1"}
    assert "image_urls" not in second.arguments
    assert {"elements", "image_urls"} & set(third.arguments) == set()


def test_a_reference_is_the_same_wherever_it_is_bound() -> None:
    source = "import cast.kling\n\nSHOT a 5s\n@Mira and @Keeper.\n\nSHOT b 5s\n@Keeper and @Mira.\n"
    first, second = (call.arguments["elements"] for call in calls(source))
    assert first == second[::-1]


def test_an_element_is_pictures_or_a_video_with_its_voice() -> None:
    source = (
        "CHARACTER Mira\n  front: refs/m.png\n  angles: refs/l.png\n\n"
        "CHARACTER Tom\n  video: refs/tom.mp4\n  voice: voice-7\n\nSHOT a 5s\n@Mira meets @Tom.\n"
    )
    mira, tom = sent(source)["elements"]
    assert set(mira) == {"frontal_image_url", "reference_image_urls"}
    assert set(tom) == {"video_url", "voice_id"}
    assert tom["voice_id"] == "voice-7"


def test_a_front_without_angles_repeats_itself() -> None:
    (element,) = sent("CHARACTER Mira\n  front: refs/m.png\n\nSHOT a 5s\n@Mira.\n")["elements"]
    assert element["reference_image_urls"] == [element["frontal_image_url"]]


def test_local_files_are_listed_once_and_addresses_not_at_all() -> None:
    source = (
        "STYLE Ink\n  image: refs/ink.png\n\nSTYLE Sky\n  image: https://example.com/sky.png\n\n"
        "SHOT a 5s\n  start: refs/ink.png\nUnder @Sky in @Ink.\n"
    )
    (call,) = calls(source)
    assert [asset.path for asset in call.assets] == ["refs/ink.png"]
    assert call.arguments["start_image_url"] == call.assets[0].address == call.arguments["image_urls"][1]
    assert call.arguments["image_urls"][0] == "https://example.com/sky.png"


def test_the_same_picture_by_address_and_by_file_are_two_requests() -> None:
    one, two = (
        calls(f"STYLE Ink\n  image: {place}\n\nSHOT a 5s\nIn @Ink.\n")[0].fingerprint
        for place in ("refs/ink.png", "https://example.com/ink.png")
    )
    assert one != two


@pytest.mark.parametrize("kind", ["start", "end"])
def test_a_frame_of_another_clip_is_waited_for(kind: str) -> None:
    start = "" if kind == "start" else "  start: refs/s.png\n"
    _, second = calls(f"SHOT a 5s\nRain.\n\nSHOT b 5s\n{start}  {kind}: end of a\nFog.\n")
    assert second.after == ("a",)
    assert second.arguments[f"{kind}_image_url"] == "frame:a/end"


def test_a_voice_is_named_in_the_words_and_sent_once() -> None:
    source = (
        "Model: v3-pro-text\nAudio: on\n\nCHARACTER Mira\n  voice: voice-7\nA keeper.\n\n"
        "SHOT a 5s\n@Mira turns.\nMIRA: Back.\nMIRA: Again.\n"
    )
    arguments = sent(source)
    assert arguments["voice_ids"] == ["voice-7"]
    assert "<<<voice_1>>>" in arguments["prompt"]


PROSE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")), min_size=1)


@settings(deadline=None)
@given(PROSE)
def test_the_fingerprint_of_any_prompt_is_that_of_the_plain_json(words: str) -> None:
    """Python's own encoder writes the same canonical form as ours, whatever the letters."""
    compilation = compile_text(f"SHOT a 5s\n!The words {words}\n")
    if compilation.failed:
        return
    (call,) = compilation.calls
    text = json.dumps(
        {"arguments": call.arguments, "endpoint": call.endpoint},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    assert call.fingerprint == hashlib.sha256(text.encode("utf-8")).hexdigest()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["Mira", "Keeper", "Ink", "Fog", "Lamp"]), min_size=1, max_size=6))
def test_tags_count_what_is_sent(names: list[str]) -> None:
    source = "import cast.kling\n\nSHOT a 5s\n" + ", ".join(f"@{name}" for name in names) + ".\n"
    (call,) = calls(source)
    elements = [name for name in dict.fromkeys(names) if name in ("Mira", "Keeper")]
    images = [name for name in dict.fromkeys(names) if name not in ("Mira", "Keeper")]
    assert len(call.arguments.get("elements", [])) == len(elements)
    assert len(call.arguments.get("image_urls", [])) == len(images)
    tags = {name: f"@Element{at}" for at, name in enumerate(elements, 1)}
    tags |= {name: f"@Image{at}" for at, name in enumerate(images, 1)}
    assert call.references == tags
    assert call.arguments["prompt"] == ", ".join(tags[name] for name in names) + "."
