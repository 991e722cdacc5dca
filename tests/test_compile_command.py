"""`kling compile` as it is run: the exact JSON, what it leaves out, and fingerprints that anybody can recompute."""

from __future__ import annotations

import hashlib
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from commands import Project, picture

FILM = """\
Title: The Lantern
Aspect: 9:16
Audio: on
Look: cold blue shadows

CHARACTER Mira
  front: refs/front.png
  angles: refs/left.png, refs/back.png

STYLE Ink
  image: https://example.com/ink.png

INT. LIGHTHOUSE - NIGHT

SHOT door 5s wide
  takes: 2
@Mira opens the door, in the look of @Ink.

SHOT reply 4s close-up
  start: end of door
@Mira turns.
MIRA (hoarse): You came back, Zoë 美咲.

SHOT sea 3s
  start: refs/sea.png
Waves \\# break: "slowly".

CLIP window

SHOT watch 4s
Beam over the water.

SHOT far 5s
A ship answers.

END CLIP
"""

O3 = "fal-ai/kling-video/o3/4k/reference-to-video"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("film.kling", FILM)
    for at, name in enumerate(("front", "left", "back", "sea")):
        made.write(f"refs/{name}.png", picture(640 + at))
    return made


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compiled(project: Project, *words: str, film: str = "film.kling") -> dict[str, Any]:
    """Return the requests of a film by id."""
    return {request["id"]: request for request in project.json("compile", film, *words)["requests"]}


def canonical(request: dict[str, Any], known: dict[str, str]) -> str:
    """Recompute a fingerprint from what `compile` prints, with nothing of the program."""

    def by_content(value: Any) -> Any:
        if isinstance(value, list):
            return [by_content(item) for item in value]
        if isinstance(value, dict):
            return {name: by_content(item) for name, item in value.items()}
        if isinstance(value, str) and (asset := re.fullmatch(r"(asset:[0-9a-f]{64})/.+", value)):
            return asset[1]
        if isinstance(value, str) and (frame := re.fullmatch(r"frame:([a-z][a-z0-9-]*)/end", value)):
            return f"frame:{known[frame[1]]}/end"
        return value

    sent = {"endpoint": request["endpoint"], "arguments": by_content(request["arguments"])}
    text = json.dumps(sent, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


class TestShape:
    def test_a_request_is_told_whole(self, project: Project) -> None:
        found = project.json("compile", "film.kling", "--only", "door")
        sums = {name: digest(project.root / f"refs/{name}.png") for name in ("front", "left", "back")}
        prompt = "INT. LIGHTHOUSE - NIGHT. wide. @Element1 opens the door, in the look of @Image1. cold blue shadows."
        assert found == {
            "film": "The Lantern",
            "file": "film.kling",
            "requests": [
                {
                    "id": "door",
                    "scene": "INT. LIGHTHOUSE - NIGHT",
                    "endpoint": O3,
                    "arguments": {
                        "prompt": prompt,
                        "image_urls": ["https://example.com/ink.png"],
                        "elements": [
                            {
                                "frontal_image_url": f"asset:{sums['front']}/front.png",
                                "reference_image_urls": [
                                    f"asset:{sums['left']}/left.png",
                                    f"asset:{sums['back']}/back.png",
                                ],
                            }
                        ],
                        "generate_audio": True,
                        "duration": "5",
                        "shot_type": "customize",
                        "aspect_ratio": "9:16",
                    },
                    "references": {"Mira": "@Element1", "Ink": "@Image1"},
                    "takes": 2,
                    "seconds": 5,
                    "cost_usd": "4.20",
                    "fingerprint": found["requests"][0]["fingerprint"],
                    "source": {"file": "film.kling", "line": 15},
                }
            ],
            "total": {"seconds": 5, "cost_usd": "4.20"},
        }

    def test_the_film_comes_in_its_order_with_its_sums(self, project: Project) -> None:
        found = project.json("compile", "film.kling")
        assert [request["id"] for request in found["requests"]] == ["door", "reply", "sea", "window"]
        assert found["total"] == {"seconds": 21, "cost_usd": "10.92"}
        money = [Decimal(request["cost_usd"]) for request in found["requests"]]
        assert sum(money) == Decimal(found["total"]["cost_usd"])

    def test_a_clip_sends_its_shots_and_no_prompt(self, project: Project) -> None:
        sent = compiled(project)["window"]["arguments"]
        assert "prompt" not in sent
        assert sent["duration"] == "9"
        assert sent["multi_prompt"] == [
            {"prompt": "INT. LIGHTHOUSE - NIGHT. Beam over the water. cold blue shadows.", "duration": "4"},
            {"prompt": "A ship answers. cold blue shadows.", "duration": "5"},
        ]

    def test_a_frame_of_another_clip_is_named_by_that_clip(self, project: Project) -> None:
        assert compiled(project)["reply"]["arguments"]["start_image_url"] == "frame:door/end"

    def test_what_is_printed_is_utf_8_with_letters_as_they_are(self, project: Project) -> None:
        assert "Zoë 美咲" in project.run("compile", "film.kling", PYTHONIOENCODING="latin-1").stdout

    def test_the_file_is_named_from_the_root_wherever_it_is_run(self, project: Project) -> None:
        """What is bought is the same for everyone who has the repository, so no folder of one's own is in it."""
        project.write("films/inner.kling", "SHOT a 5s\nFog.\n")
        here = project.run("compile", "films/inner.kling").stdout
        assert project.run("compile", "inner.kling", folder="films").stdout == here
        assert '"file": "films/inner.kling"' in here

    def test_a_film_without_shots_is_an_empty_list(self, project: Project) -> None:
        project.write("none.kling", "Title: None\n")
        empty = {"film": "None", "file": "none.kling", "requests": [], "total": {"seconds": 0, "cost_usd": "0.00"}}
        assert project.json("compile", "none.kling") == empty

    def test_a_film_without_a_title_goes_by_its_file(self, project: Project) -> None:
        project.write("films/night train.kling", "SHOT a 5s\nFog.\n")
        assert project.json("compile", "films/night train.kling")["film"] == "night train"


class TestChoosing:
    def test_several_are_printed_in_the_films_order(self, project: Project) -> None:
        assert list(compiled(project, "--only", "sea", "--only", "door")) == ["door", "sea"]

    def test_a_chosen_clip_has_the_fingerprint_that_it_has_in_the_film(self, project: Project) -> None:
        assert compiled(project, "--only", "reply")["reply"] == compiled(project)["reply"]

    def test_an_unknown_id_names_the_nearest_and_prints_nothing(self, project: Project) -> None:
        done = project.run("compile", "film.kling", "--only", "dor", code=2)
        assert done.stdout == ""
        assert "no shot or clip is called 'dor'; did you mean door?" in done.stderr

    def test_a_shot_inside_a_clip_is_not_bought_by_itself(self, project: Project) -> None:
        done = project.run("compile", "film.kling", "--only", "watch", code=2)
        assert "'watch' is a shot inside the clip window, and is bought with it: --only window" in done.stderr

    def test_a_film_with_errors_prints_no_request(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("@Mira turns", "@Maria turns"))
        done = project.run("compile", "film.kling", code=1)
        assert done.stdout == ""
        assert "unknown-reference" in done.stderr
        assert done.stderr.endswith("; nothing was compiled\n")


class TestExpanded:
    def test_the_screenplay_after_its_templates_is_printed(self, project: Project) -> None:
        project.write("t.kling", "{% for n in range(2) %}\nSHOT s{{ n }} 5s\nFog, {{ n }}.\n\n{% endfor %}\n")
        assert project.run("compile", "t.kling", "--expanded").stdout == (
            "\nSHOT s0 5s\nFog, 0.\n\n\nSHOT s1 5s\nFog, 1.\n\n\n"
        )

    def test_a_film_without_templates_comes_as_it_is(self, project: Project) -> None:
        assert project.run("compile", "film.kling", "--expanded").stdout == FILM

    def test_it_is_printed_for_a_film_with_errors_too(self, project: Project) -> None:
        """How else would one see what a template made of it."""
        project.write("t.kling", "Param who: Mira\n\nSHOT a 5s\n@{{ who }} waits.\n")
        done = project.run("compile", "t.kling", "--expanded", code=1)
        assert done.stdout == "Param who: Mira\n\nSHOT a 5s\n@Mira waits.\n"
        assert "unknown-reference" in done.stderr


class TestFingerprints:
    def test_anybody_can_recompute_them(self, project: Project) -> None:
        found = compiled(project)
        known = {name: request["fingerprint"] for name, request in found.items()}
        assert {name: canonical(request, known) for name, request in found.items()} == known
        assert len(set(known.values())) == 4

    def test_other_families_are_no_exception(self, project: Project) -> None:
        project.write(
            "v3.kling",
            "Model: v3-pro-image\n\nSHOT a 5s\n  start: refs/sea.png\n  negative: blur\n  cfg: 0.75\nWaves.\n",
        )
        (request,) = json.loads(project.run("compile", "v3.kling").stdout)["requests"]
        assert request["arguments"]["cfg_scale"] == 0.75
        assert request["fingerprint"] == canonical(request, {})

    def test_names_and_places_of_files_are_not_in_them(self, project: Project) -> None:
        before = compiled(project)
        (project.root / "pictures/old").mkdir(parents=True)
        for name in ("front", "left", "back", "sea"):
            os.rename(project.root / f"refs/{name}.png", project.root / f"pictures/old/{name}-2.png")
        moved = re.sub(r"refs/(\w+)\.png", r"../pictures/old/\1-2.png", FILM)
        project.write("films/night.kling", moved)
        after = compiled(project, film="films/night.kling")
        assert after["door"]["arguments"] != before["door"]["arguments"]
        assert [one["fingerprint"] for one in after.values()] == [one["fingerprint"] for one in before.values()]

    def test_ids_are_not_in_them_even_where_a_clip_starts_from_another(self, project: Project) -> None:
        before = compiled(project)
        project.write("film.kling", FILM.replace("SHOT door", "SHOT gate").replace("end of door", "end of gate"))
        after = compiled(project)
        assert [one["fingerprint"] for one in after.values()] == [one["fingerprint"] for one in before.values()]

    @pytest.mark.parametrize(
        ("name", "changed"), [("front", ["door", "reply"]), ("back", ["door", "reply"]), ("sea", ["sea"])]
    )
    def test_another_content_of_a_file_is_another_request(
        self, project: Project, name: str, changed: list[str]
    ) -> None:
        before = compiled(project)
        project.write(f"refs/{name}.png", picture(700))
        after = compiled(project)
        assert [id for id in after if after[id]["fingerprint"] != before[id]["fingerprint"]] == changed

    def test_a_change_runs_down_a_chain(self, project: Project) -> None:
        before = compiled(project)
        project.write("film.kling", FILM.replace("opens the door", "opens the storm door"))
        after = compiled(project)
        assert [id for id in after if after[id]["fingerprint"] != before[id]["fingerprint"]] == ["door", "reply"]
        assert after["reply"]["arguments"] == before["reply"]["arguments"]

    def test_a_prompt_that_looks_like_a_frame_is_a_prompt(self, project: Project) -> None:
        film = "SHOT a 4s\nWaves.\n\nSHOT b 4s\n  start: end of a\n"
        project.write("one.kling", film + "frame:one/end\n")
        project.write("two.kling", film + "frame:two/end\n")
        one, two = (compiled(project, film=name)["b"] for name in ("one.kling", "two.kling"))
        assert one["arguments"]["prompt"] == "frame:one/end"
        assert one["fingerprint"] != two["fingerprint"]
