"""`kling plan` as it is run: the table and its sums, the budget, exit codes, drafts, prices and their age, `--out`."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from commands import Project, picture, video

FILM = """\
Title: The Pier
Budget: $20

INT. HUT - NIGHT

SHOT wake 4s
He wakes.

SHOT stove 5s
  takes: 3
He lights the stove.

EXT. PIER - DAWN

SHOT walk 6s
  start: end of wake
He walks.
"""

TABLE = """\
The Pier  (film.kling)

clip              state    seconds  takes   cost  one more   total
INT. HUT - NIGHT                 9         $7.98
  wake            new            4      1  $1.68     $1.68   $1.68
  stove           new            5      3  $6.30     $2.10   $7.98
EXT. PIER - DAWN                 6         $2.52
  walk            waiting        6      1  $2.52     $2.52  $10.50

film        15 s in 3 clips, 25 s with all takes, $10.50
to buy      $10.50
budget      $20.00, $9.50 left
as a draft  $2.80 on o3-pro
as a draft  $2.10 on o3-standard
waiting     walk: needs the last frame of wake, which is not rendered yet
price       $0.42 a second on o3-4k (certain), read 2026-11-22: fal's page of the endpoint,
            https://fal.ai/models/fal-ai/kling-video/o3/4k/reference-to-video/llms.txt
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("film.kling", FILM)
    return made


def closing(project: Project, *words: str, code: int = 0, **settings: str) -> list[str]:
    """Return what stands under the table, each entry in one line."""
    text = project.run("plan", *words, code=code, **{"COLUMNS": "1000", **settings}).stdout
    return [" ".join(line.split()) for line in text.partition("\n\nfilm ")[2].splitlines()[1:]]


class TestText:
    def test_scenes_and_clips_are_added_up(self, project: Project) -> None:
        done = project.run("plan", "film.kling")
        assert done.stdout == TABLE
        assert done.stderr == ""

    def test_the_scene_that_returns_is_added_up_where_it_stands(self, project: Project) -> None:
        project.write("film.kling", FILM + "\nINT. HUT - NIGHT\n\nSHOT sleep 3s\nHe sleeps.\n")
        rows = [line.split() for line in project.run("plan", "film.kling").stdout.splitlines()]
        scenes = [row[-2:] for row in rows if row[:1] in (["INT."], ["EXT."])]
        assert scenes == [["9", "$7.98"], ["6", "$2.52"], ["3", "$1.26"]]

    def test_several_models_have_a_column_and_a_price_each(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("  takes: 3\n", "  model: o3-pro\n  audio: on\n"))
        text = project.run("plan", "film.kling").stdout
        assert "clip              model   state    seconds  takes   cost  one more  total\n" in text
        assert "  stove           o3-pro  new            5      1  $0.70     $0.70  $2.38\n" in text
        pages = "https://fal.ai/models/fal-ai/kling-video/o3"
        whole = f"read 2026-11-22: fal's page of the endpoint, {pages}/4k/reference-to-video/llms.txt"
        draft = f"fal's price on the page of the endpoint, from a stored copy, {pages}/pro/reference-to-video/llms.txt"
        assert closing(project, "film.kling")[-2:] == [
            f"price $0.42 a second on o3-4k (certain), {whole}",
            f"price $0.14 a second on o3-pro with audio on (high), read 2026-11-22: {draft}",
        ]

    def test_one_model_at_two_prices_has_a_line_for_each(self, project: Project) -> None:
        project.write("film.kling", "Model: o3-pro\n\nSHOT a 5s\nRain.\n\nSHOT b 5s\n  audio: on\nFog.\n")
        prices = [line for line in closing(project, "film.kling") if line.startswith("price ")]
        assert [line.split(" (")[0] for line in prices] == [
            "price $0.112 a second on o3-pro with audio off",
            "price $0.14 a second on o3-pro with audio on",
        ]

    def test_points_stand_under_each_other(self, project: Project) -> None:
        project.write("film.kling", "SHOT a 4s\n  model: o3-standard\nRain.\n\nSHOT b 15s\n  takes: 9\nFog.\n")
        rows = [line for line in project.run("plan", "film.kling").stdout.splitlines() if " new " in line]
        assert [row.split()[5:] for row in rows] == [["$0.336", "$0.336", "$0.336"], ["$56.70", "$6.30", "$57.036"]]
        points = [[at for at, letter in enumerate(row) if letter == "."] for row in rows]
        assert points[0] == points[1]

    def test_warnings_are_counted_on_stderr(self, project: Project) -> None:
        project.write("ink.png", picture())
        project.write("film.kling", "STYLE Ink\n  image: ink.png\n\nSHOT a 5s\nRain.\n")
        assert project.run("plan", "film.kling").stderr == "1 warning: see `kling check`\n"

    def test_a_film_with_errors_has_no_plan(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("end of wake", "end of woke"))
        done = project.run("plan", "film.kling", "--out", "plan.txt", code=1)
        assert done.stdout == ""
        assert done.stderr.endswith("1 error; nothing was compiled\n")
        assert not (project.root / "plan.txt").exists()

    def test_escapes_of_a_terminal_are_shown(self, project: Project) -> None:
        project.write("film.kling", "Title: Pier \u202e dawn\n\nSHOT a 5s\nRain.\n")
        assert "\u202e" not in project.run("plan", "film.kling").stdout


class TestBudget:
    @pytest.mark.parametrize(
        ("budget", "line", "code"),
        [
            ("$10.50", "budget $10.50, $0.00 left", 0),
            ("$10.49", "budget $10.49, $0.01 over", 3),
            ("$1", "budget $1.00, $9.50 over", 3),
            ("$1000", "budget $1,000.00, $989.50 left", 0),
        ],
    )
    def test_a_film_over_its_budget_is_refused(self, project: Project, budget: str, line: str, code: int) -> None:
        project.write("film.kling", FILM.replace("$20", budget))
        assert line in closing(project, "film.kling", code=code)

    def test_the_plan_is_printed_and_the_refusal_is_said_apart(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("$20", "$10"))
        done = project.run("plan", "film.kling", code=3)
        assert done.stdout.startswith("The Pier  (film.kling)\n")
        assert done.stderr.splitlines()[-1] == "refused: $0.50 over the budget of $10.00"

    def test_a_budget_of_nothing_refuses_everything(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("$20", "$0"))
        done = project.run("plan", "film.kling", code=3)
        assert done.stderr.splitlines()[-1] == "refused: $10.50 over the budget of $0.00"

    def test_a_draft_model_may_keep_to_it(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("$20", "$3"))
        project.run("plan", "film.kling", code=3)
        assert "budget $3.00, $0.90 left" in closing(project, "film.kling", "--model", "o3-standard")

    def test_without_one_there_is_no_line(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("Budget: $20\n", ""))
        assert not any(line.startswith("budget") for line in closing(project, "film.kling"))
        assert project.json("plan", "film.kling", "--format", "json")["budget"] is None


class TestExitCode:
    def test_five_says_that_there_is_something_to_buy(self, project: Project) -> None:
        assert project.run("plan", "film.kling", "--exit-code", code=5).stdout == TABLE

    def test_nothing_to_buy_is_nothing_to_say(self, project: Project) -> None:
        project.write("film.kling", "Title: Later\n")
        project.run("plan", "film.kling", "--exit-code")

    def test_a_refusal_comes_first(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("$20", "$10"))
        project.run("plan", "film.kling", "--exit-code", code=3)


class TestPrices:
    @pytest.mark.parametrize(
        ("today", "words"),
        [
            ("2026-11-22", "read 2026-11-22:"),
            ("2027-02-20", "read 2026-11-22:"),
            ("2027-02-21", "read 2026-11-22; 91 days old, look it up before you buy:"),
            ("2028-11-22", "read 2026-11-22; 731 days old, look it up before you buy:"),
        ],
    )
    def test_after_ninety_days_a_price_is_old(self, project: Project, today: str, words: str) -> None:
        assert (
            f"price $0.42 a second on o3-4k (certain), {words}" in closing(project, "film.kling", KLING_TODAY=today)[-1]
        )
        done = project.run("plan", "film.kling", "--format", "json", KLING_TODAY=today)
        assert ('"old": true' in done.stdout) == ("old" in words)

    def test_a_clock_before_the_reading_makes_nothing_old(self, project: Project) -> None:
        assert "old" not in closing(project, "film.kling", KLING_TODAY="2020-01-01")[-1]

    @pytest.mark.parametrize("today", ["yesterday", "2026-13-01", "22.11.2026"])
    def test_a_day_that_is_none_is_wrong_usage(self, project: Project, today: str) -> None:
        assert "KLING_TODAY" in project.run("plan", "film.kling", code=2, KLING_TODAY=today).stderr

    def test_another_sheet_is_priced_without_changing_the_film(self, project: Project) -> None:
        lines = closing(project, "film.kling", "--model", "o3-standard")
        assert lines[0] == "to buy $2.10"
        assert not any(line.startswith("as a draft") for line in lines)

    def test_a_draft_that_would_refuse_the_film_is_not_quoted(self, project: Project) -> None:
        """o3-4k takes a video and four pictures, its drafts take four references beside a video."""
        project.write("walk.mp4", video(4))
        names = ("Ink", "Fog", "Sky", "Sun")
        for at, name in enumerate(names):
            project.write(f"{name}.png", picture(640 + at))
        styles = "".join(f"STYLE {name}\n  image: {name}.png\n\n" for name in names)
        film = f"PROP Walk\n  video: walk.mp4\n\n{styles}SHOT a 5s\n@Walk in @Ink, @Fog, @Sky and @Sun.\n"
        project.write("film.kling", film)
        project.run("plan", "film.kling", "--model", "o3-pro", code=1)
        assert "as a draft not on o3-pro, which refuses 1 of the clips" in closing(project, "film.kling")
        found = project.json("plan", "film.kling", "--format", "json")["drafts"]
        assert found[0] == {"model": "o3-pro", "film_usd": None, "refused": 1}
        project.write("film.kling", film.replace(" and @Sun", ""))
        found = project.json("plan", "film.kling", "--format", "json")["drafts"]
        assert found[0] == {"model": "o3-pro", "film_usd": "0.56", "refused": 0}


class TestJson:
    def test_the_plan_is_told_whole(self, project: Project) -> None:
        found = project.json("plan", "film.kling", "--format", "json")
        prints = {
            request["id"]: request["fingerprint"] for request in project.json("compile", "film.kling")["requests"]
        }
        assert [clip["id"] for clip in found["clips"]] == ["wake", "stove", "walk"]
        assert found["clips"][1:] == [
            {
                "id": "stove",
                "scene": "INT. HUT - NIGHT",
                "model": "o3-4k",
                "state": "new",
                "why": "not rendered yet",
                "seconds": 5,
                "takes": 3,
                "cost_usd": "6.30",
                "retake_usd": "2.10",
                "to_buy_usd": "6.30",
                "kept_usd": "0.00",
                "fingerprint": prints["stove"],
                "source": {"file": "film.kling", "line": 9},
            },
            {
                "id": "walk",
                "scene": "EXT. PIER - DAWN",
                "model": "o3-4k",
                "state": "waiting",
                "why": "needs the last frame of wake, which is not rendered yet",
                "seconds": 6,
                "takes": 1,
                "cost_usd": "2.52",
                "retake_usd": "2.52",
                "to_buy_usd": "2.52",
                "kept_usd": "0.00",
                "fingerprint": prints["walk"],
                "source": {"file": "film.kling", "line": 15},
            },
        ]
        assert found["total"] == {"seconds": 15, "film_usd": "10.50", "kept_usd": "0.00", "to_buy_usd": "10.50"}
        assert found["budget"] == {"usd": "20.00", "spent_usd": "0.00", "over_usd": "0.00"}
        assert (found["limits"], found["ways_under_budget"]) == ([], [])
        assert found["drafts"] == [
            {"model": "o3-pro", "film_usd": "2.80", "refused": 0},
            {"model": "o3-standard", "film_usd": "2.10", "refused": 0},
        ]
        assert (found["film"], found["file"]) == ("The Pier", "film.kling")
        assert [(price["model"], price["usd_per_second"], price["date"]) for price in found["prices"]] == [
            ("o3-4k", "0.42", "2026-11-22")
        ]

    @pytest.mark.parametrize("form", ["json", "html"])
    def test_data_is_utf_8_whatever_the_console_is(self, project: Project, form: str) -> None:
        project.write("film.kling", FILM.replace("The Pier", "Zoë 美咲"))
        process = project.start("plan", "film.kling", "--format", form, PYTHONIOENCODING="latin-1")
        stdout, stderr = process.communicate()
        assert (process.returncode, stderr) == (0, "")
        assert "Zoë 美咲" in stdout

    def test_text_for_people_follows_the_console(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("The Pier", "Zoe 美"))
        process = project.start("plan", "film.kling", PYTHONIOENCODING="latin-1")
        stdout, stderr = process.communicate()
        assert (process.returncode, stderr) == (0, "")
        assert stdout.startswith("Zoe \\u7f8e  (film.kling)\n")


class TestOut:
    def test_the_file_of_a_json_plan_has_what_it_rests_on_besides(self, project: Project) -> None:
        printed = project.json("plan", "film.kling", "--format", "json")
        project.run("plan", "film.kling", "--out", "plan.json")
        kept = json.loads((project.root / "plan.json").read_text(encoding="utf-8"))
        assert kept.pop("saved")["format"] == 1
        assert kept == printed

    @pytest.mark.parametrize("form", ["text", "markdown", "html"])
    def test_the_file_has_what_would_be_printed(self, project: Project, form: str) -> None:
        printed = project.run("plan", "film.kling", "--format", form).stdout
        done = project.run("plan", "film.kling", "--format", form, "--out", "plan.out", NO_COLOR="")
        assert (project.root / "plan.out").read_bytes().decode("utf-8") == printed
        assert done.stdout == ""
        assert sorted(os.listdir(project.root)) == [".git", "film.kling", "plan.out"]

    def test_a_file_that_is_there_is_replaced_in_one_step(self, project: Project) -> None:
        old = project.write("plan.txt", "old\n" * 100_000)
        seen: set[str] = set()
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                seen.add(old.read_text())

        watcher = threading.Thread(target=watch)
        watcher.start()
        for _ in range(10):
            project.run("plan", "film.kling", "--out", "plan.txt")
        stop.set()
        watcher.join()
        assert seen <= {"old\n" * 100_000, TABLE}
        assert old.read_text() == TABLE

    def test_an_open_file_keeps_what_it_had(self, project: Project) -> None:
        old = project.write("plan.txt", "old\n")
        with old.open() as file:
            project.run("plan", "film.kling", "--out", "plan.txt")
            assert file.read() == "old\n"

    def test_a_link_stays_and_its_target_is_written(self, project: Project) -> None:
        target = project.write("reports/plan.txt", "old\n")
        (project.root / "plan.txt").symlink_to("reports/plan.txt")
        project.run("plan", "film.kling", "--out", "plan.txt")
        assert (project.root / "plan.txt").is_symlink()
        assert target.read_text() == TABLE

    def test_a_pipe_is_written_to_and_stays_a_pipe(self, project: Project) -> None:
        pipe = project.root / "pipe"
        os.mkfifo(pipe)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
        reader.start()
        project.run("plan", "film.kling", "--out", "pipe")
        reader.join(10)
        assert read == [TABLE]
        assert stat.S_ISFIFO(pipe.stat().st_mode)

    @pytest.mark.parametrize("out", ["absent/plan.txt", ".git"])
    def test_a_place_that_cannot_be_is_wrong_usage(self, project: Project, out: str) -> None:
        done = project.run("plan", "film.kling", "--out", out, code=2)
        assert "--out" in done.stderr
        assert sorted(os.listdir(project.root)) == [".git", "film.kling"]

    def test_a_refused_film_still_has_its_plan_written(self, project: Project) -> None:
        project.write("film.kling", FILM.replace("$20", "$10"))
        project.run("plan", "film.kling", "--out", "plan.txt", code=3)
        assert "$0.50 over" in (project.root / "plan.txt").read_text()
