"""The model sheets: what ships is sound, what is foreign can be said, and what is wrong is refused with its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from foreign_sheet import FILE, FOREIGN, builtin_text, load, replaced
from measuring import unmeasured

from kling_dsl.profiles import AtMost
from kling_dsl.sheets import Profiles, builtin_names, load_builtin, load_sheet
from kling_dsl.sheets.copies import pack, unpack
from kling_dsl.sheets.schema import json_schema, sheet_json_schema


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the saved copies of these tests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLING_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


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
            ("v3-pro-text", {"0.112", "0.168", "0.196"}),
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
            "too-many-references": "error",
            "shots-fill-the-clip": "error",
            "end-needs-start": "error",
            "end-frame-with-shots": "error",
            "start-frame-with-shots": "warning",
            "elements-with-frames": "error",
            "frames-in-cap": "warning",
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
            f'[[prices]]\nusd_per_second = 0.{at}\nwhen = {{ seconds = {at} }}\nconfidence = "high"\nsource = "page"\n'
            for at in range(2, 31)
        )
        start = FOREIGN.index("[[prices]]")
        end = FOREIGN.index("[billing]")
        assert len(load(FOREIGN[:start] + rows + FOREIGN[end:]).prices) == 29

    def test_durations_as_a_closed_set(self) -> None:
        profile = load(replaced("min = 2\nmax = 30", "values = [6, 10]"))
        assert json_schema(profile)["properties"]["seconds"]["enum"] == [6, 10]


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
    env = {**unmeasured(), "KLING_CACHE_DIR": str(cache)}
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
