"""`kling check` as it is run: formats, exit codes, fixes, the project's settings and sheets, and its options."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from commands import Project, picture
from hypothesis import given
from hypothesis import strategies as st

from kling_dsl import resources
from kling_dsl.cli.fixing import apply_edits
from kling_dsl.diagnostics import Edit
from kling_dsl.source import Span

GOOD = "SHOT door 5s wide\nRain falls.\n"
BAD = "SHOT door 5s wide\n@Mira waits.\n"
UNTIDY = "SHOT door 5\nRain falls.\n\nshot sea 4\nWaves break.\n"
TIDY = "SHOT door 5s\nRain falls.\n\nSHOT sea 4s\nWaves break.\n"
UNUSED = "STYLE Ink\n  image: ink.png\n\nSHOT door 5s wide\nRain falls.\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("good.kling", GOOD)
    made.write("bad.kling", BAD)
    made.write("ink.png", picture())
    return made


def codes(project: Project, *words: str, code: int = 0) -> list[str]:
    """Return the slugs that a check reports, in order."""
    return [found["code"] for found in project.json("check", *words, "--format", "json", code=code)]


class TestFormats:
    def test_a_film_without_mistakes_is_one_line(self, project: Project) -> None:
        done = project.run("check", "good.kling")
        assert done.stdout == "good.kling: 1 clip, 5 s, $2.10; no mistakes\n"
        assert done.stderr == ""

    def test_a_mistake_is_shown_with_its_line_and_a_caret(self, project: Project) -> None:
        assert project.run("check", "bad.kling", code=1).stdout == (
            "error[unknown-reference]: no definition declares @Mira\n"
            " --> bad.kling:2:1\n"
            "2 | @Mira waits.\n"
            "  | ^^^^^\n"
            "hint: declare it with `CHARACTER Mira`, or write @@ for the character itself\n"
            "bad.kling: 1 error\n"
        )

    def test_several_films_are_told_in_the_order_given(self, project: Project) -> None:
        lines = project.run("check", "good.kling", "bad.kling", "good.kling", code=1).stdout.splitlines()
        assert [line for line in lines if line.split(":")[0] in ("good.kling", "bad.kling")] == [
            "good.kling: 1 clip, 5 s, $2.10; no mistakes",
            "bad.kling: 1 error",
            "good.kling: 1 clip, 5 s, $2.10; no mistakes",
        ]

    def test_json_has_the_keys_that_are_promised(self, project: Project) -> None:
        (found,) = project.json("check", "good.kling", "bad.kling", "--format", "json", code=1)
        assert found == {
            "code": "unknown-reference",
            "severity": "error",
            "message": "no definition declares @Mira",
            "file": "bad.kling",
            "line": 2,
            "column": 1,
            "end_line": 2,
            "end_column": 6,
            "hint": "declare it with `CHARACTER Mira`, or write @@ for the character itself",
            "notes": [],
        }

    def test_json_of_nothing_is_an_empty_list(self, project: Project) -> None:
        assert project.run("check", "good.kling", "--format", "json").stdout == "[]\n"

    def test_json_carries_the_fix(self, project: Project) -> None:
        project.write("untidy.kling", "SHOT door 5\nRain falls.\n")
        (found,) = project.json("check", "untidy.kling", "--format", "json", code=1)
        place = {"file": "untidy.kling", "line": 1, "column": 11, "end_line": 1, "end_column": 12}
        assert found["fix"] == {"title": "write 5s", "edits": [{**place, "text": "5s"}]}

    def test_sarif_is_one_run_over_all_films(self, project: Project) -> None:
        project.write("other.kling", BAD)
        log = json.loads(project.run("check", "bad.kling", "other.kling", "--format", "sarif", code=1).stdout)
        (run,) = log["runs"]
        places = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]]
        assert (log["version"], places) == ("2.1.0", ["bad.kling", "other.kling"])
        assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["unknown-reference"]

    def test_annotations_are_one_line_each(self, project: Project) -> None:
        stdout = project.run("check", "bad.kling", "good.kling", "--format", "github", code=1).stdout
        assert stdout.startswith("::error file=bad.kling,line=2,endLine=2,col=1,endColumn=6,title=unknown-reference::")
        assert stdout.count("\n") == 1

    @pytest.mark.parametrize("form", ["json", "sarif", "github"])
    def test_data_ends_with_one_line_break(self, project: Project, form: str) -> None:
        stdout = project.run("check", "bad.kling", "--format", form, code=1).stdout
        assert stdout.endswith("\n")
        assert not stdout.endswith("\n\n")

    @pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
    @pytest.mark.parametrize("folder", [".", "inner", "inner/films", "elsewhere"])
    def test_a_file_is_named_as_one_would_open_it_from_here(self, project: Project, form: str, folder: str) -> None:
        """The project of the film has a root of its own, below the folder that a pipeline starts from."""
        project.write("inner/kling.toml", "")
        film = project.write("inner/films/a.kling", "SHOT door 5\nRain falls.\n")
        (project.root / "elsewhere").mkdir()
        here = os.path.relpath(film, project.root / folder)
        stdout = project.run("check", here, "--format", form, folder=folder, code=1).stdout
        if form == "json":
            (found,) = json.loads(stdout)
            assert (found["file"], found["fix"]["edits"][0]["file"]) == (here, here)
        elif form == "sarif":
            assert f'"uri": "{here}"' in stdout
        else:
            assert {"text": f" --> {here}:1:11\n", "github": f"file={here},line=1,"}[form] in stdout


class TestExitCodes:
    def test_warnings_fail_only_a_strict_check(self, project: Project) -> None:
        project.write("unused.kling", UNUSED)
        relaxed = project.run("check", "unused.kling")
        strict = project.run("check", "unused.kling", "--strict", code=1)
        assert relaxed.stdout == strict.stdout
        assert relaxed.stdout.endswith("unused.kling: 1 clip, 5 s, $2.10; 1 warning\n")

    def test_one_bad_film_among_good_ones_fails_them(self, project: Project) -> None:
        project.run("check", "good.kling", "bad.kling", "good.kling", code=1)

    @pytest.mark.parametrize(
        "words",
        [
            ("check",),
            ("check", "absent.kling"),
            ("check", "good.kling", "--format", "xml"),
            ("check", "good.kling", "--set", "city"),
            ("check", "good.kling", "--set", "1=2"),
            ("check", "good.kling", "--data", "rows"),
            ("check", "good.kling", "--data", "rows=../outside.csv"),
            ("check", "good.kling", "--model", "o3-5k"),
        ],
    )
    def test_wrong_usage_says_so_and_reports_nothing(self, project: Project, words: tuple[str, ...]) -> None:
        done = project.run(*words, code=2)
        assert done.stdout == ""
        assert "Error: " in done.stderr


class TestFixes:
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_what_has_one_right_answer_is_written(self, project: Project, end: str, mark: str) -> None:
        film = project.write("film.kling", mark + UNTIDY.replace("\n", end))
        done = project.run("check", "--fix", "film.kling")
        assert film.read_bytes().decode("utf-8") == mark + TIDY.replace("\n", end)
        assert done.stdout == "film.kling: 2 clips, 9 s, $3.78; no mistakes\n"
        assert done.stderr == "film.kling: 3 fixes written\n"

    def test_a_second_time_there_is_nothing_to_write(self, project: Project) -> None:
        film = project.write("film.kling", UNTIDY)
        project.run("check", "--fix", "film.kling")
        before = film.stat()
        done = project.run("check", "--fix", "film.kling")
        assert (done.stderr, film.stat()) == ("", before)

    def test_what_has_no_one_answer_stays(self, project: Project) -> None:
        film = project.write("film.kling", BAD.replace("5s", "5"))
        done = project.run("check", "--fix", "film.kling", code=1)
        assert film.read_text() == BAD
        assert done.stderr == "film.kling: 1 fix written\n"
        assert "unknown-reference" in done.stdout

    def test_a_link_stays_a_link_and_the_mode_stays(self, project: Project) -> None:
        film = project.write("films/film.kling", UNTIDY)
        film.chmod(0o640)
        (project.root / "link.kling").symlink_to("films/film.kling")
        project.run("check", "--fix", "link.kling")
        assert (project.root / "link.kling").is_symlink()
        assert film.read_text() == TIDY
        assert film.stat().st_mode & 0o777 == 0o640

    def test_a_link_that_leads_out_is_not_written_through(self, project: Project) -> None:
        outside = project.root.parent / "outside.kling"
        outside.write_text(UNTIDY)
        (project.root / "link.kling").symlink_to(outside)
        assert "link.kling" in project.run("check", "--fix", "link.kling", code=1).stdout
        assert outside.read_text() == UNTIDY

    def test_an_imported_file_is_mended_too(self, project: Project) -> None:
        cast = project.write("cast/cast.kling", "PROP Lamp\n  imag: ../ink.png\n")
        project.write("film.kling", "import cast/cast.kling\n\nSHOT door 5s\n@Lamp glows.\n")
        done = project.run("check", "--fix", "film.kling")
        assert cast.read_text() == "PROP Lamp\n  image: ../ink.png\n"
        assert done.stderr == "cast/cast.kling: 1 fix written\n"

    def test_a_template_is_mended_where_the_writer_typed_and_never_where_a_value_stood(self, project: Project) -> None:
        film = project.write(
            "film.kling",
            "Param length: 5\n\nSHOT door {{ length }}\nRain {{ 'falls' }}.\n\nSHOT sea 4\nWaves break.\n",
        )
        project.run("check", "--fix", "film.kling", code=1)
        text = film.read_text()
        assert "SHOT door {{ length }}\nRain {{ 'falls' }}.\n" in text
        assert "SHOT sea 4s\n" in text

    def test_the_rest_of_the_folder_is_left_alone(self, project: Project) -> None:
        project.write("film.kling", UNTIDY)
        before = sorted(os.listdir(project.root))
        project.run("check", "--fix", "film.kling")
        assert sorted(os.listdir(project.root)) == before


@given(
    st.lists(st.text("ab@ \u00e9\U0001f600", max_size=8), min_size=1, max_size=4),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(0, 4), st.text("XY", max_size=3)), max_size=6),
)
def test_of_overlapping_edits_some_are_applied_whole_and_the_rest_not_at_all(
    lines: list[str], end: str, drafts: list[tuple[int, int, int, str]]
) -> None:
    edits = [
        Edit(Span("f", line, column, line, column + length), text)
        for line, column, length, text in drafts
        if line <= len(lines) and column + length - 1 <= len(lines[line - 1])
    ]
    mended, count = apply_edits(end.join(lines), edits)
    assert 0 < count <= len(edits) if edits else count == 0
    assert mended.count(end) == len(lines) - 1
    chosen = [
        subset
        for bits in range(1 << len(edits))
        if len(subset := [edit for at, edit in enumerate(edits) if bits >> at & 1]) == count
    ]
    assert any(_replace(lines, subset) == mended.split(end) for subset in chosen)


def _replace(lines: list[str], edits: list[Edit]) -> list[str]:
    """Apply edits one after the other, the last in the text first."""
    changed = [list(line) for line in lines]
    for edit in sorted(edits, key=lambda edit: (edit.span.line, edit.span.column), reverse=True):
        span = edit.span
        changed[span.line - 1][span.column - 1 : span.end_column - 1] = edit.text
    return ["".join(line) for line in changed]


class TestSettings:
    def test_a_lint_can_be_raised(self, project: Project) -> None:
        project.write("film.kling", UNUSED)
        project.run("check", "film.kling")
        project.write("kling.toml", '[lints]\nunused-reference = "error"\n')
        assert "error[unused-reference]" in project.run("check", "film.kling", code=1).stdout

    def test_a_lint_can_be_silenced(self, project: Project) -> None:
        project.write("film.kling", UNUSED)
        project.write("kling.toml", '[lints]\nunused-reference = "off"\n')
        assert project.run("check", "film.kling", "--strict").stdout.endswith("; no mistakes\n")

    def test_an_error_cannot_be_silenced(self, project: Project) -> None:
        project.write("kling.toml", '[lints]\nunknown-reference = "off"\n')
        assert codes(project, "bad.kling", code=1) == ["unknown-reference"]

    def test_a_lint_that_does_not_exist_is_told_at_its_line(self, project: Project) -> None:
        project.write("kling.toml", '[lints]\nunused-referense = "off"\n')
        (found,) = project.json("check", "good.kling", "--format", "json", code=1)
        assert (found["code"], found["file"], found["line"]) == ("bad-settings", "kling.toml", 2)
        assert "unused-reference" in found["hint"]

    def test_the_pace_of_speech_is_a_setting(self, project: Project) -> None:
        words = "one two three four five six seven eight nine"
        project.write(
            "film.kling",
            "Audio: on\n\nCHARACTER Mira\n  front: ink.png\n  angles: b.png\n\n"
            f"SHOT a 4s\n@Mira turns.\nMIRA: {words}.\n",
        )
        project.write("b.png", picture(641))
        assert codes(project, "film.kling") == []
        project.write("kling.toml", "[speech]\nwords_per_second = 2\n")
        assert codes(project, "film.kling") == ["long-dialogue"]
        project.write("kling.toml", "[speech]\nwords_per_second = 2.25\n")
        assert codes(project, "film.kling") == []

    def test_the_default_model_is_a_setting_below_the_title_page(self, project: Project) -> None:
        project.write("kling.toml", '[models]\ndefault = "o3-standard"\n')
        assert "$0.42;" in project.run("check", "good.kling").stdout
        project.write("good.kling", "Model: o3-pro\n\n" + GOOD)
        assert "$0.56;" in project.run("check", "good.kling").stdout


class TestOptions:
    def test_a_model_stands_over_every_other(self, project: Project) -> None:
        project.write("film.kling", "Model: o3-pro\n\n" + GOOD + "\nSHOT sea 5s\n  model: o3-4k\nWaves break.\n")
        assert "$2.66;" in project.run("check", "film.kling").stdout
        assert "$0.84;" in project.run("check", "film.kling", "--model", "o3-standard").stdout

    def test_a_model_that_does_not_exist_names_the_nearest(self, project: Project) -> None:
        assert "there is no model 'o3-standart'; did you mean o3-standard?" in (
            project.run("check", "good.kling", "--model", "o3-standart", code=2).stderr
        )

    def test_a_model_like_no_other_lists_them_all(self, project: Project) -> None:
        stderr = project.run("check", "good.kling", "--model", "sora", code=2).stderr
        assert "the models are o3-4k, o3-pro, o3-standard, v3-pro-image, v3-pro-text" in " ".join(stderr.split())

    def test_a_sheet_of_the_project_serves_like_any_other(self, project: Project) -> None:
        text = resources.specs_path("models", "o3-4k.toml").read_text(encoding="utf-8")
        text = text.replace('name = "o3-4k"', 'name = "house"').replace('drafts = ["o3-pro", "o3-standard"]', "")
        project.write("models/house.toml", text)
        project.write("film.kling", "Model: house\n\n" + GOOD)
        assert codes(project, "film.kling") == []
        project.write("models/house.toml", text.replace('["16:9", "9:16", "1:1"]', '["9:16"]'))
        assert codes(project, "film.kling", code=1) != []

    def test_a_sheet_with_a_mistake_is_told_with_file_and_key(self, project: Project) -> None:
        text = resources.specs_path("models", "o3-4k.toml").read_text(encoding="utf-8")
        project.write("models/house.toml", text.replace("max_bytes", "max_bites").replace('"o3-4k"', '"house"', 1))
        found = project.json("check", "good.kling", "--format", "json", code=1)
        assert {one["code"] for one in found} == {"bad-model-sheet"}
        assert all(one["file"] == "models/house.toml" for one in found)
        assert any("max_bites" in one["message"] for one in found)

    def test_values_and_tables_stand_over_the_title_page(self, project: Project) -> None:
        project.write("rows.csv", "id,seconds\na,3\nb,4\n")
        project.write("more.json", '[{"id": "c", "seconds": 15}]')
        project.write(
            "film.kling",
            "Param place: Lyon\nData rows: rows.csv\n\n"
            "{% for row in rows %}\nSHOT {{ row.id }} {{ row.seconds }}s\n{{ place }}, {{ row.id }}.\n\n{% endfor %}\n",
        )
        assert "2 clips, 7 s," in project.run("check", "film.kling").stdout
        assert "1 clip, 15 s," in project.run("check", "film.kling", "--data", "rows=more.json").stdout
        long = project.run("check", "film.kling", "--set", f"place={'x' * 2600}", code=1).stdout
        assert "prompt-too-long" in long

    def test_a_table_is_found_from_the_folder_one_stands_in(self, project: Project) -> None:
        project.write("films/film.kling", "{% for r in rows %}\nSHOT {{ r.id }} 5s\nRain {{ r.id }}.\n\n{% endfor %}\n")
        project.write("tables/rows.csv", "id\na\nb\n")
        project.write("films/rows.csv", "id\na\n")
        words = ("--data", "rows=rows.csv")
        assert "1 clip," in project.run("check", "film.kling", *words, folder="films").stdout
        assert "2 clips," in project.run("check", "../films/film.kling", *words, folder="tables").stdout
