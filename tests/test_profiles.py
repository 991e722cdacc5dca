"""The model sheets: what ships is sound, what is foreign can be said, and what is wrong is refused with its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl import resources
from kling_dsl.profiles import AtMost, Profile
from kling_dsl.sheets import Profiles, builtin_names, load_builtin, load_sheet
from kling_dsl.sheets.copies import pack, unpack
from kling_dsl.sheets.schema import json_schema, sheet_json_schema

FOREIGN = """
format = 1
name = "lumen-film"
title = "Lumen Film 2"
endpoint = "lumen-labs/film/v2/reference-to-video"

[sources.page]
title = "Lumen's page"
url = "https://lumen.example/film"
date = "2026-10-01"

[fields.prompt]
type = "string"
role = "prompt"
required = true
max_characters = 4000
source = "page"

[fields.reference_images]
type = "list"
role = "images"
max_items = 9
source = "page"
[fields.reference_images.items]
type = "string"
media = "image"
source = "page"

[fields.reference_videos]
type = "list"
role = "videos"
max_items = 3
source = "page"
[fields.reference_videos.items]
type = "string"
media = "video"
source = "page"

[fields.seconds]
type = "integer"
role = "duration"
send = "always"
default = 6
min = 2
max = 30
source = "page"

[fields.resolution]
type = "string"
attribute = "resolution"
send = "always"
default = "720p"
values = ["480p", "720p", "1080p"]
source = "page"

[fields.ratio]
type = "string"
role = "aspect"
send = "always"
default = "21:9"
values = ["21:9", "16:9"]
source = "page"

[[rules]]
kind = "at-most"
slug = "reference-cap"
counts = { reference_images = 1, reference_videos = 2 }
noun = "references"
max = 12
confidence = "certain"
source = "page"
because = "a video counts as two"

[[rules]]
kind = "total-seconds"
slug = "video-seconds"
of = "reference_videos"
max = 15.5
confidence = "high"
source = "page"
because = "the videos may not be longer together"

[[prices]]
usd_per_second = 0.0625
when = { resolution = "480p" }
confidence = "certain"
source = "page"

[[prices]]
usd_per_second = 0.14
when = { resolution = "720p" }
confidence = "certain"
source = "page"

[[prices]]
usd_per_second = 0.30
confidence = "certain"
source = "page"

[billing]
seconds = ["output", "reference_videos"]
minimum_seconds = 4

[prompt]
image = "[Image {n}]"
video = "[Video {n}]"
order = ["look", "camera", "action"]
source = "page"

[media.image]
kinds = ["jpeg", "png"]
max_bytes = 30000000
min_width = 240
min_height = 240
min_aspect = 0.4
max_aspect = 2.5
source = "page"

[media.video]
kinds = ["mp4"]
max_bytes = 50000000
min_width = 480
min_height = 480
max_width = 1920
max_height = 1920
min_seconds = 2
max_seconds = 15.5
min_frames_per_second = 12
max_frames_per_second = 60
source = "page"

[output]
container = "mp4"
frames_per_second = 23.976
confidence = "high"
source = "page"
sizes = { "21:9" = [1680, 720], "16:9" = [1280, 720] }
"""

FILE = "models/lumen-film.toml"


def load(text: str) -> Profile:
    profile, diagnostics = load_sheet(text, file=FILE)
    assert profile is not None, [diagnostic.message for diagnostic in diagnostics]
    return profile


def messages(text: str) -> list[str]:
    profile, diagnostics = load_sheet(text, file=FILE)
    assert profile is None
    assert all(each.slug == "bad-model-sheet" and each.severity == "error" for each in diagnostics)
    assert all(each.span.file == FILE and FILE in each.message for each in diagnostics)
    return [diagnostic.message + (f" | {diagnostic.hint}" if diagnostic.hint else "") for diagnostic in diagnostics]


def replaced(old: str, new: str, text: str = FOREIGN) -> str:
    assert old in text
    return text.replace(old, new, 1)


def builtin_text(name: str) -> str:
    return resources.specs_path("models", f"{name}.toml").read_text(encoding="utf-8")


class TestBuiltinSheets:
    @pytest.mark.parametrize("name", builtin_names())
    def test_is_sound_and_named_like_its_file(self, name: str) -> None:
        profile, diagnostics = load_sheet(builtin_text(name), file=name)
        assert diagnostics == ()
        assert profile is not None
        assert profile.name == name
        assert profile == load_builtin(name)

    def test_the_five_that_ship(self) -> None:
        assert builtin_names() == ("o3-4k", "o3-pro", "o3-standard", "v3-pro-image", "v3-pro-text")

    @pytest.mark.parametrize("name", builtin_names())
    def test_drafts_take_the_same_requests_and_cost_less(self, name: str) -> None:
        profile = load_builtin(name)
        dearest = max(price.usd_per_second for price in profile.prices)
        for draft in map(load_builtin, profile.drafts):
            assert draft.fields == profile.fields
            assert max(price.usd_per_second for price in draft.prices) < dearest

    @pytest.mark.parametrize(
        ("name", "prices"),
        [
            ("o3-4k", {"0.42"}),
            ("o3-pro", {"0.112", "0.14"}),
            ("o3-standard", {"0.084", "0.112"}),
            ("v3-pro-text", {"0.112", "0.168"}),
            ("v3-pro-image", {"0.112", "0.168", "0.196"}),
        ],
    )
    def test_prices_are_exact(self, name: str, prices: set[str]) -> None:
        assert {str(price.usd_per_second) for price in load_builtin(name).prices} == prices

    @pytest.mark.parametrize("name", builtin_names())
    def test_fields_that_set_price_or_shape_are_always_sent(self, name: str) -> None:
        profile = load_builtin(name)
        for role in ("audio", "duration", "shot-type", "aspect"):
            if role in profile.roles:
                assert profile.paths[profile.roles[role]].send == "always"

    def test_default_model_knows_every_rule_of_the_endpoint(self) -> None:
        severities = {rule.slug: rule.severity for rule in load_builtin("o3-4k").rules}
        assert severities == {
            "prompt-or-shots": "error",
            "reference-cap": "error",
            "shots-fill-the-clip": "error",
            "end-needs-start": "error",
            "end-frame-with-shots": "error",
            "start-frame-with-shots": "warning",
            "elements-with-frames": "error",
            "reference-cap-with-frames": "warning",
            "aspect-with-start": "warning",
            "element-shape": "error",
            "front-needs-angles": "error",
            "video-without-angles": "error",
            "one-video-element": "warning",
            "voice-needs-video": "warning",
        }

    def test_siblings_take_fewer_references_with_a_video(self) -> None:
        for name in ("o3-pro", "o3-standard"):
            caps = [rule for rule in load_builtin(name).rules if rule.slug == "reference-cap-with-video"]
            assert [(rule.max, rule.given) for rule in caps if isinstance(rule, AtMost)] == [
                (4, ("elements.video_url",))
            ]

    def test_v3_has_attributes_of_its_own_and_needs_a_picture(self) -> None:
        image = load_builtin("v3-pro-image")
        assert image.attributes == {"negative": "negative_prompt", "cfg": "cfg_scale"}
        assert image.fields["start_image_url"].required
        assert image.fields["generate_audio"].default is True
        assert "aspect" not in image.roles
        assert load_builtin("o3-4k").attributes == {}

    def test_roles_and_paths_agree(self) -> None:
        profile = load_builtin("o3-4k")
        assert profile.roles["element-front"] == "elements.frontal_image_url"
        assert profile.paths["multi_prompt.duration"].role == "shot-duration"
        assert list(profile.paths)[: len(profile.fields)] == list(profile.fields)


def o3(**arguments: Any) -> dict[str, Any]:
    return {"prompt": "a door", "duration": "5", "generate_audio": False, **arguments}


PICTURE = "https://media.example/front.png"
ELEMENT = {"frontal_image_url": PICTURE, "reference_image_urls": [PICTURE]}
MOVING = {"video_url": "https://media.example/walk.mp4"}
SHOTS = [{"prompt": "one", "duration": "3"}, {"prompt": "two", "duration": "2"}]


class TestRequestSchema:
    @pytest.mark.parametrize(
        "arguments",
        [
            o3(),
            {"multi_prompt": SHOTS, "duration": "5"},
            o3(elements=[ELEMENT] * 3, image_urls=[PICTURE] * 4),
            o3(elements=[ELEMENT] * 3, start_image_url=PICTURE, end_image_url=PICTURE),
            o3(elements=[MOVING, MOVING]),
            o3(elements=[{**MOVING, "voice_id": "v1"}], shot_type="intelligent", aspect_ratio="1:1"),
        ],
    )
    def test_accepts(self, arguments: dict[str, Any]) -> None:
        validator = jsonschema_rs.validator_for(json_schema(load_builtin("o3-4k")))
        assert [error.message for error in validator.iter_errors(arguments)] == []

    @pytest.mark.parametrize(
        "arguments",
        [
            {"duration": "5"},
            o3(multi_prompt=SHOTS),
            o3(duration=5),
            o3(duration="2"),
            o3(duration="16"),
            o3(duration="05"),
            o3(durations="5"),
            o3(seed=1),
            o3(prompt="x" * 2501),
            o3(aspect_ratio="4:3"),
            o3(generate_audio="on"),
            o3(end_image_url=PICTURE),
            {"multi_prompt": SHOTS, "start_image_url": PICTURE, "end_image_url": PICTURE},
            {"multi_prompt": []},
            {"multi_prompt": SHOTS * 4},
            {"multi_prompt": [{"duration": "5"}]},
            {"multi_prompt": [{"prompt": "x" * 513}]},
            o3(elements=[ELEMENT] * 4, image_urls=[PICTURE] * 4),
            o3(image_urls=[PICTURE] * 8),
            o3(elements=[ELEMENT] * 4, start_image_url=PICTURE),
            o3(elements=[{"frontal_image_url": PICTURE}]),
            o3(elements=[{"frontal_image_url": PICTURE, "reference_image_urls": []}]),
            o3(elements=[{"frontal_image_url": PICTURE, "reference_image_urls": [PICTURE] * 4}]),
            o3(elements=[ELEMENT, {**ELEMENT, **MOVING}]),
            o3(elements=[{"reference_image_urls": [PICTURE], **MOVING}]),
            o3(elements=[{}]),
        ],
    )
    def test_refuses(self, arguments: dict[str, Any]) -> None:
        assert not jsonschema_rs.validator_for(json_schema(load_builtin("o3-4k"))).is_valid(arguments)

    def test_sibling_counts_references_beside_a_video(self) -> None:
        validator = jsonschema_rs.validator_for(json_schema(load_builtin("o3-pro")))
        assert validator.is_valid(o3(elements=[MOVING], image_urls=[PICTURE] * 3))
        assert not validator.is_valid(o3(elements=[MOVING], image_urls=[PICTURE] * 4))
        assert validator.is_valid(o3(elements=[ELEMENT], image_urls=[PICTURE] * 4))

    @pytest.mark.parametrize("name", builtin_names())
    def test_is_a_schema_that_names_what_it_leaves_out(self, name: str) -> None:
        schema = json_schema(load_builtin(name))
        assert jsonschema_rs.meta.is_valid(schema)
        assert "shots-fill-the-clip" in schema["$comment"]
        assert json.loads(json.dumps(schema)) == schema

    @pytest.mark.parametrize("name", builtin_names())
    def test_sheet_schema_takes_the_sheets_that_ship(self, name: str) -> None:
        import tomllib

        schema = sheet_json_schema()
        assert jsonschema_rs.meta.is_valid(schema)
        validator = jsonschema_rs.validator_for(schema)
        raw = tomllib.loads(builtin_text(name))
        assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(raw)] == []
        assert not validator.is_valid({**raw, "colour": "blue"})
        assert not validator.is_valid({**raw, "prices": [{**raw["prices"][0], "usd_per_second": "0.42"}]})


class TestForeignModels:
    """A model of another house is a sheet and no code."""

    def test_another_owner_whole_seconds_and_own_attribute(self) -> None:
        profile = load(FOREIGN)
        assert profile.endpoint == "lumen-labs/film/v2/reference-to-video"
        assert profile.fields["seconds"].default == 6
        assert profile.attributes == {"resolution": "resolution"}
        assert [(price.when, price.usd_per_second) for price in profile.prices] == [
            ({"resolution": "480p"}, Decimal("0.0625")),
            ({"resolution": "720p"}, Decimal("0.14")),
            ({}, Decimal("0.30")),
        ]
        assert (profile.billing.seconds, profile.billing.minimum_seconds) == (("output", "reference_videos"), 4)

    @pytest.mark.parametrize(
        ("arguments", "valid"),
        [
            ({"seconds": 30}, True),
            ({"seconds": 31}, False),
            ({"seconds": "30"}, False),
            ({"resolution": "1080p"}, True),
            ({"resolution": "4k"}, False),
            ({"reference_videos": [PICTURE] * 3, "reference_images": [PICTURE] * 6}, True),
            ({"reference_videos": [PICTURE] * 3, "reference_images": [PICTURE] * 7}, False),
            ({"reference_videos": [PICTURE] * 2, "reference_images": [PICTURE] * 8}, True),
            ({"reference_videos": [PICTURE] * 4}, False),
            ({"elements": []}, False),
        ],
    )
    def test_its_request_schema(self, arguments: dict[str, Any], valid: bool) -> None:
        validator = jsonschema_rs.validator_for(json_schema(load(FOREIGN)))
        assert validator.is_valid({"prompt": "a door", **arguments}) is valid

    def test_price_by_what_is_given_and_every_length(self) -> None:
        text = replaced(
            'when = { resolution = "480p" }', 'when = { resolution = "480p" }\ngiven = ["reference_videos"]'
        )
        assert load(text).prices[0].given == ("reference_videos",)
        rows = "".join(
            f'[[prices]]\nusd_per_second = 0.{at}\nwhen = {{ seconds = {at} }}\nconfidence = "high"\nsource = "page"\n\n'
            for at in range(2, 31)
        )
        start = FOREIGN.index("[[prices]]")
        end = FOREIGN.index("[billing]")
        assert len(load(FOREIGN[:start] + rows + FOREIGN[end:]).prices) == 29

    def test_durations_as_a_closed_set(self) -> None:
        profile = load(replaced("min = 2\nmax = 30", "values = [6, 10]"))
        assert json_schema(profile)["properties"]["seconds"]["enum"] == [6, 10]


WRONG = [
    # TOML and shape
    ('title = "Lumen F', 'title == "Lumen F', "line 4: this is not TOML", 4),
    ('name = "lumen-film"', 'nam = "lumen-film"', "nam is no key of the sheet format | did you mean name?", 3),
    ('title = "Lumen Film 2"\n', "", "lacks `title`", 1),
    ("format = 1", "format = 2", "format is 2, but must be one of 1", 2),
    ('role = "prompt"', 'role = "promt"', 'fields.prompt.role is "promt", but must be one of', 14),
    ("required = true", 'required = "yes"', 'fields.prompt.required is "yes", but must be true or false', 15),
    ("max_characters = 4000", "max_characters = 4e3", "fields.prompt.max_characters is 4E+3, but must be a whole", 16),
    ("usd_per_second = 0.14", 'usd_per_second = "0.14"', 'prices[1].usd_per_second is "0.14", but must be a number', 0),
    ("usd_per_second = 0.14", "usd_per_second = nan", "prices[1].usd_per_second is NaN, which is no number", 0),
    (
        "usd_per_second = 0.14",
        "usd_per_second = 1e99999",
        "prices[1].usd_per_second is 1E+99999, which is no number",
        0,
    ),
    ("usd_per_second = 0.14", "usd_per_second = 1e9999999999999999999999", "a number that is beyond all counting", 1),
    (
        'kind = "at-most"',
        'kind = "atmost"',
        'rules[0].kind is "atmost", which is no kind of rule | did you mean at-most',
        0,
    ),
    ('kind = "at-most"\n', "", "rules[0] lacks `kind`", 0),
    ('title = "Lumen Film 2"', r'title = "Lumen\u001b[2J"', "title has a control character", 4),
    ('date = "2026-10-01"', "date = 2026-10-01", "sources.page.date is 2026-10-01, but must be text in quotes", 10),
    ('"21:9" = [1680, 720]', '"21:9" = [1680]', 'output.sizes."21:9" must have 2 items, not 1', 0),
    # names and sources
    ("lumen-labs/film/v2/reference-to-video", "film", 'endpoint is "film", but an endpoint is owner/name', 5),
    ("lumen-labs/film/v2/reference-to-video", "https://lumen.example/x", 'endpoint is "https://lumen', 5),
    ('"2026-10-01"', '"2026-13-01"', 'sources.page.date is "2026-13-01", but must be a day such as', 10),
    ('"2026-10-01"', '"1926-10-01"', 'sources.page.date is "1926-10-01", but must be a day of 2021', 10),
    ("https://lumen.example/film", "lumen", 'sources.page.url is "lumen", but must be an https address', 9),
    (
        'default = 6\nmin = 2\nmax = 30\nsource = "page"',
        'default = 6\nmin = 2\nmax = 30\nsource = "pag"',
        "did you mean page?",
        0,
    ),
    ('name = "lumen-film"', 'name = "Lumen Film"', 'name is "Lumen Film", but a name has only a-z', 3),
    ('title = "Lumen Film 2"', 'title = "x"\ndrafts = ["lumen-film"]', "drafts[0] names the sheet itself", 5),
    # fields and roles
    ("default = 6", "default = 31", 'fields.seconds.default is "31", which type, values or limits', 0),
    ('default = "720p"', 'default = "4k"', 'fields.resolution.default is "4k", which', 0),
    ("min = 2\nmax = 30", "min = 40\nmax = 30", "fields.seconds.min is 40, above max, which is 30", 0),
    ("min = 2\nmax = 30", "min = 2.5\nmax = 30", "fields.seconds.min is 2.5, but must be whole here", 0),
    ("min = 2\nmax = 30", "", "fields.seconds.role is duration, which needs min and max, or values", 0),
    ('role = "aspect"', 'role = "duration"', 'fields.ratio.role is "duration", which seconds has already', 0),
    (
        'role = "videos"',
        'role = "audio"',
        "fields.reference_videos.role is audio, which needs the type boolean, not list",
        0,
    ),
    ('media = "video"', 'media = "image"', 'is videos, which needs media = "video"', 0),
    ('attribute = "resolution"', 'attribute = "look"', 'attribute is "look", which the language uses itself', 0),
    ('attribute = "resolution"', 'attribute = "Res 2"', 'attribute is "Res 2", but an attribute has only a-z and -', 0),
    (
        'role = "duration"',
        'attribute = "len"',
        "give no field the role duration, so that a clip could not be priced",
        0,
    ),
    (
        'values = ["21:9", "16:9"]',
        'values = ["21:9", "16:9", "16:9"]',
        'fields.ratio.values[2] is "16:9" a second time',
        0,
    ),
    (
        '[fields.reference_images.items]\ntype = "string"',
        '[fields.reference_images.items]\ntype = "list"',
        "list of lists",
        0,
    ),
    # rules
    ("counts = { reference_images = 1", "counts = { reference_image = 1", "rules[0].counts.reference_image is", 0),
    ("reference_videos = 2 }", "reference_videos = 0 }", "rules[0].counts.reference_videos is 0, but a weight", 0),
    ('slug = "video-seconds"', 'slug = "reference-cap"', 'rules[1].slug is "reference-cap", which another rule has', 0),
    ('slug = "video-seconds"', 'slug = "Video seconds"', 'rules[1].slug is "Video seconds", but a slug', 0),
    ('of = "reference_videos"', 'of = "reference_images"', "rules[1].of is reference_images, which is no video", 0),
    ("max = 15.5\nconfidence", "confidence", "rules[1] lacks `min` and `max`, and so says nothing", 0),
    # prices and billing
    (
        "usd_per_second = 0.14",
        "usd_per_second = -0.14",
        "prices[1].usd_per_second is -0.14, but a price cannot be negative",
        0,
    ),
    (
        'resolution = "480p" }',
        'resolution = "480" }',
        'prices[0].when.resolution is "480", which the field never sends',
        0,
    ),
    (
        'resolution = "480p" }',
        'resolutoin = "480p" }',
        'prices[0].when.resolutoin is "resolutoin", which is no field',
        0,
    ),
    ('resolution = "480p" }', 'prompt = "x" }', "prices[0].when.prompt needs send", 0),
    (
        'attribute = "resolution"\nsend = "always"',
        'attribute = "resolution"',
        'prices[0].when.resolution needs send = "always" at the field',
        0,
    ),
    ('when = { resolution = "720p" }\n', "", "prices[2] is never reached", 0),
    (
        "usd_per_second = 0.30\n",
        'usd_per_second = 0.30\ngiven = ["reference_videos"]\n',
        "prices leave a request without a price",
        0,
    ),
    (
        "usd_per_second = 0.30\n",
        'usd_per_second = 0.30\ngiven = ["seconds"]\n',
        "prices[2].given[0] is seconds, which is always",
        0,
    ),
    ('["output", "reference_videos"]', '["output", "ratio"]', "billing.seconds[1] is ratio, which is no video", 0),
    (
        '["output", "reference_videos"]',
        '["outputs"]',
        'billing.seconds[0] is "outputs", which is no field | did you',
        0,
    ),
    ("minimum_seconds = 4", "minimum_seconds = -4", "billing.minimum_seconds is -4, but cannot be below 0", 0),
    # wording, media, output
    ("[Image {n}]", "[Image {m}]", "prompt.image has the placeholder {m}, which is unknown here | known: {n}", 0),
    ("[Image {n}]", "[Image]", "prompt.image lacks the placeholder {n}", 0),
    ("[Image {n}]", "[Image {n!r}]", "prompt.image has the placeholder {n}, which is unknown here", 0),
    ("[Image {n}]", "{", "prompt.image has braces that do not match", 0),
    ('video = "[Video {n}]"\n', "", "prompt.video is missing, but reference_videos is mentioned in prompts", 0),
    ('"look", "camera", "action"', '"look"', "prompt.order leaves out action", 0),
    ("min_aspect = 0.4", "min_aspect = 4", "media.image.min_aspect is 4, above max_aspect, which is 2.5", 0),
    ("max_bytes = 30000000", "max_bytes = 0", "media.image.max_bytes is 0, but must be above 0", 0),
    ("[1680, 720]", "[720, 1680]", 'output.sizes."21:9" is 720 x 1680, which is not 21:9', 0),
    ('"21:9" = [1680, 720], ', "", "output.sizes lacks 21:9, which ratio accepts", 0),
    ('"21:9" = [', '"4:1" = [4, 1], "21:9" = [', 'output.sizes."4:1" is no value that ratio accepts', 0),
]


class TestWrongSheets:
    @pytest.mark.parametrize(("old", "new", "reason", "line"), WRONG)
    def test_is_refused_with_key_and_reason(self, old: str, new: str, reason: str, line: int) -> None:
        text = replaced(old, new)
        found = messages(text)
        assert any(reason in message for message in found), found
        if line:
            _, diagnostics = load_sheet(text, file=FILE)
            assert line in {diagnostic.span.line for diagnostic in diagnostics}

    def test_a_field_that_nothing_fills_is_refused(self) -> None:
        text = replaced('attribute = "resolution"\nsend = "always"\ndefault = "720p"\n', "")
        assert any(
            "fields.resolution has no role, no attribute and no default" in message for message in messages(text)
        )

    def test_all_mistakes_of_a_pass_are_reported_at_their_lines(self) -> None:
        text = replaced("format = 1", "format = 3")
        text = replaced("required = true", "requird = true", text)
        text = replaced("usd_per_second = 0.30", 'usd_per_second = "dear"', text)
        _, diagnostics = load_sheet(text, file=FILE)
        lines = text.split("\n")
        shown = [lines[each.span.line - 1][each.span.column - 1 : each.span.end_column - 1] for each in diagnostics]
        assert shown == ["format", "requird", "usd_per_second"]
        text = replaced("usd_per_second = 0.0625", "usd_per_second = -1")
        text = replaced('slug = "reference-cap"', 'slug = "Cap"', text)
        text = replaced('container = "mp4"', 'container = ".mp4"', text)
        _, diagnostics = load_sheet(text, file=FILE)
        lines = text.split("\n")
        assert [lines[each.span.line - 1] for each in diagnostics] == [
            'slug = "Cap"',
            "usd_per_second = -1",
            'container = ".mp4"',
        ]

    def test_elements_and_shots_need_their_parts(self) -> None:
        text = replaced('role = "shot-duration"\nsend = "always"\n', "", builtin_text("o3-4k"))
        found = messages(text)
        assert any(
            "fields.multi_prompt has the role shots, but no field inside it is a shot-duration" in each
            for each in found
        )
        text = replaced('role = "element-voice"', 'role = "start-frame"', builtin_text("o3-4k"))
        found = messages(text)
        assert any("fields.elements.items.fields.voice_id.role" in message for message in found)

    def test_rules_of_elements_stay_in_one_table_and_ignoring_only_warns(self) -> None:
        text = replaced(
            '["elements.frontal_image_url", "elements.video_url"]',
            '["elements.frontal_image_url", "prompt"]',
            builtin_text("o3-4k"),
        )
        assert any(
            "rules[9].of mixes fields of the request with fields inside a list" in each for each in messages(text)
        )
        text = replaced(
            'slug = "aspect-with-start"\nseverity = "warning"', 'slug = "aspect-with-start"', builtin_text("o3-4k")
        )
        assert any('rules[8].severity must be "warning"' in message for message in messages(text))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\x00",
            "a" * 300_000,
            "x = " + "[" * 5000,
            "x = 1" * 3,
            "format = 1\n[fields.\n",
            "fields = 5\nrules = 7",
        ],
    )
    def test_nonsense_is_a_diagnostic(self, text: str) -> None:
        assert messages(text)

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_a_damaged_sheet_is_read_or_refused_and_never_raises(self, data: st.DataObject) -> None:
        lines = builtin_text("o3-4k").split("\n")
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(lines) - 1))
            key = lines[at].split(" = ")[0]
            values = ("-1", '"x"', "[]", "{}", "[1, 2]", "true", "0.5", "1e30", '"{}"', '["prompt", "prompt"]')
            lines[at] = data.draw(
                st.sampled_from(["", lines[at] + lines[at], *(f"{key} = {value}" for value in values)])
            )
        profile, diagnostics = load_sheet("\n".join(lines), file=FILE)
        assert (profile is None) is bool(diagnostics)
        if profile is not None:
            assert jsonschema_rs.meta.is_valid(json_schema(profile))


class TestRegistry:
    def test_names_and_sheets_of_a_project(self) -> None:
        registry = Profiles.of({FILE: FOREIGN})
        assert registry.names() == tuple(sorted((*builtin_names(), "lumen-film")))
        assert registry.get("lumen-film") == load(FOREIGN)
        assert registry.get("o3-4k") == load_builtin("o3-4k")
        assert registry.get("nobody") is None
        assert (registry.path_of("lumen-film"), registry.path_of("o3-4k")) == (FILE, None)
        assert registry.diagnostics == ()

    def test_a_builtin_name_is_taken(self) -> None:
        registry = Profiles.of({"models/o3-4k.toml": replaced("lumen-film", "o3-4k")})
        assert registry.get("o3-4k") == load_builtin("o3-4k")
        assert ["has the name of the builtin model o3-4k" in each.message for each in registry.diagnostics] == [True]

    def test_name_and_file_agree(self) -> None:
        registry = Profiles.of({"models/lumen.toml": FOREIGN})
        assert registry.get("lumen") is None
        assert 'name is "lumen-film", but the file is called lumen.toml' in registry.diagnostics[0].message

    def test_a_bad_sheet_hurts_no_other(self) -> None:
        registry = Profiles.of({FILE: FOREIGN, "models/bad.toml": "format = 1"})
        assert registry.get("lumen-film") is not None
        assert registry.get("bad") is None
        assert {each.span.file for each in registry.diagnostics} == {"models/bad.toml"}

    def test_unknown_builtin(self) -> None:
        with pytest.raises(KeyError):
            load_builtin("o3-8k")


CHILD = (
    "import sys; from kling_dsl.sheets import load_builtin; profile = load_builtin('o3-4k');"
    "print('tomllib' in sys.modules, profile.prices[-1].usd_per_second, profile.media.video.max_seconds)"
)


def child(cache: Path) -> list[str]:
    env = {**os.environ, "KLING_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", CHILD], env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


class TestSavedCopies:
    @pytest.mark.parametrize("name", builtin_names())
    def test_a_copy_is_equal_to_the_digit(self, name: str) -> None:
        profile = load_builtin(name)
        copy = unpack(pack(profile))
        assert copy == profile
        assert msgspec.json.encode(copy) == msgspec.json.encode(profile)

    def test_second_start_reads_no_toml_and_damage_is_noticed(self, tmp_path: Path) -> None:
        assert child(tmp_path) == ["True", "0.42", "10.05"]
        assert child(tmp_path) == ["False", "0.42", "10.05"]
        (saved,) = [path for path in tmp_path.rglob("*") if path.is_file()]
        saved.write_bytes(saved.read_bytes().replace(b"0.42", b"0.02"))
        assert child(tmp_path) == ["True", "0.42", "10.05"]
        assert child(tmp_path) == ["False", "0.42", "10.05"]

    def test_a_folder_that_cannot_be_written_costs_only_time(self, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("no folder")
        assert child(blocked / "cache") == ["True", "0.42", "10.05"]

    @pytest.mark.parametrize(
        "content", [b"", b"\xc1", msgspec.msgpack.encode(["struct", "Path", {}]), msgspec.msgpack.encode([])]
    )
    def test_foreign_bytes_are_no_copy(self, content: bytes) -> None:
        assert unpack(content) is None
