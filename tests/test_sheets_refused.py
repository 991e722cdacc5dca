"""Sheets with mistakes: each is refused with its file, key, line and reason, and none raises."""

from __future__ import annotations

import jsonschema_rs
import pytest
from foreign_sheet import FILE, builtin_text, replaced
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.sheets import load_sheet
from kling_dsl.sheets.schema import json_schema


def messages(text: str) -> list[str]:
    profile, diagnostics = load_sheet(text, file=FILE)
    assert profile is None
    assert all(each.slug == "bad-model-sheet" and each.severity == "error" for each in diagnostics)
    assert all(each.span.file == FILE and FILE in each.message for each in diagnostics)
    return [diagnostic.message + (f" | {diagnostic.hint}" if diagnostic.hint else "") for diagnostic in diagnostics]


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
    (
        'slug = "video-seconds"',
        'slug = "too-many-references"',
        'rules[1].slug is "too-many-references", which another rule has',
        0,
    ),
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
        text = replaced('slug = "too-many-references"', 'slug = "Cap"', text)
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
