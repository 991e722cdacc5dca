"""`kling test`: which films are tested, how it ends, what it prints, and the golden requests that it keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Project, picture
from measuring import unmeasured

FILM = """\
Title: Pier
Model: o3-4k
Param place: pier

SHOT wait 4s wide
A lantern swings at the end of the {{ place }}.

SHOT horn 5s
The horn sounds.

"""
HOLDS = "EXPECT total <= $4\n"
FAILS = "EXPECT total <= $3\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_a_film_whose_expect_lines_hold_passes(project: Project) -> None:
    project.write("film.kling", FILM + HOLDS + "EXPECT shots = 2\n")
    done = project.run("test", "film.kling")
    assert done.stdout == "film.kling: all 2 EXPECT lines hold\n\n2 passed\n"


def test_one_that_does_not_hold_is_shown_with_its_line_and_the_numbers(project: Project) -> None:
    project.write("films/film.kling", FILM + HOLDS + FAILS)
    done = project.run("test", "films/film.kling", code=1)
    assert done.stdout == (
        "error[expect-failed]: the total is $3.78, and at most $3.00 is expected\n"
        "  --> films/film.kling:12:8\n"
        "12 | EXPECT total <= $3\n"
        "   |        ^^^^^^^^^^^\n"
        'note: "horn" costs $2.10\n'
        "  --> films/film.kling:8:6\n"
        " 8 | SHOT horn 5s\n"
        "   |      ^^^^\n"
        'note: "wait" costs $1.68\n'
        "  --> films/film.kling:5:6\n"
        " 5 | SHOT wait 4s wide\n"
        "   |      ^^^^\n"
        "hint: change the film, or what is expected of it\n"
        "\n"
        "films/film.kling: 1 of 2 EXPECT lines holds\n"
        "\n"
        "1 passed, 1 failed\n"
    )


def test_a_film_with_errors_is_not_tested_and_fails(project: Project) -> None:
    project.write("film.kling", FILM + "@Nobody.\n\n" + HOLDS)
    done = project.run("test", "film.kling", code=1)
    assert "error[unknown-reference]" in done.stdout
    assert done.stdout.endswith("film.kling: 1 error; nothing was tested\n\n0 passed, 1 file has errors\n")


def test_an_expect_that_is_wrong_is_an_error_of_check_too(project: Project) -> None:
    project.write("film.kling", FILM + "EXPECT total <= 4\n")
    for verb in ("test", "check"):
        assert "error[expect-unit]" in project.run(verb, "film.kling", code=1).stdout
    project.run("check", "film.kling", "--fix")
    project.run("test", "film.kling")


def test_an_expect_that_cannot_fail_fails_the_run_and_only_warns_in_check(project: Project) -> None:
    project.write("kling.toml", '[lints]\nexpect-always = "off"\n')
    project.write("film.kling", FILM + HOLDS + "EXPECT total >= $0\n")
    assert "no mistakes" in project.run("check", "film.kling").stdout
    done = project.run("test", "film.kling", code=1)
    assert "warning[expect-always]" in done.stdout
    assert done.stdout.endswith("1 of 2 EXPECT lines holds, 1 cannot fail\n\n1 passed, 1 cannot fail\n")


def test_a_run_that_tests_nothing_does_not_pass(project: Project) -> None:
    project.write("film.kling", FILM)
    done = project.run("test", "film.kling", code=1)
    assert done.stdout.startswith("film.kling: no EXPECT\n\nnothing was tested: there is no EXPECT")
    project.write("other.kling", FILM + HOLDS)
    assert project.run("test").stdout == ("film.kling: no EXPECT\nother.kling: the one EXPECT line holds\n\n1 passed\n")


def test_no_argument_means_every_film_below(project: Project) -> None:
    project.write("a/b/film.kling", FILM + HOLDS)
    project.write("a/cast.kling", "CHARACTER Mira\nA keeper.\n")
    project.write("part.kling", "SHOT {{ name }} 5s\nRain.\n")
    project.write("whole.kling", '{% set name = "x" %}{% include "part.kling" %}\nEXPECT clips = 1\n')
    project.write(".hidden/film.kling", "nonsense")
    project.write("out/film.kling", "nonsense")
    assert project.run("test").stdout == (
        "whole.kling: the one EXPECT line holds\na/b/film.kling: the one EXPECT line holds\n\n2 passed\n"
    )
    assert "part.kling: 1 error" in project.run("test", "part.kling", code=1).stdout
    assert project.run("test", "a").stdout == "a/b/film.kling: the one EXPECT line holds\n\n1 passed\n"


def test_test_files_beside_a_film_are_run_with_it(project: Project) -> None:
    project.write("film.kling", FILM)
    project.write("film.test.kling", HOLDS)
    project.write("oslo.test.kling", 'Film: film.kling\nParam place: quay\n\nEXPECT shot wait prompts "the quay"\n')
    project.write("other.test.kling", "Film: other.kling\n\nEXPECT clips = 7\n")
    done = project.run("test", "film.kling")
    assert done.stdout == (
        "film.kling: no EXPECT\nfilm.test.kling: the one EXPECT line holds\n"
        "oslo.test.kling: the one EXPECT line holds\n\n2 passed\n"
    )
    assert project.run("test", "oslo.test.kling").stdout.startswith("oslo.test.kling: the one EXPECT line holds\n")
    # What the command line says stands over the test file.
    project.run("test", "oslo.test.kling", "--set", "place=shore", code=1)
    assert "missing-film" in project.run("test", code=1).stdout


def test_check_of_a_test_file_checks_its_lines(project: Project) -> None:
    project.write("film.kling", FILM.replace("The horn", "(horn:1.3)"))
    project.write("film.test.kling", HOLDS)
    assert project.run("check", "film.test.kling").stdout == (
        "film.test.kling: 1 EXPECT line about film.kling; no mistakes\n"
    )
    project.write("film.test.kling", "EXPECT shot wat uses @Mira\n\nSHOT more 5s\nRain.\n")
    report = project.json("check", "--format", "json", "film.test.kling", code=1)
    assert [(one["code"], one["file"], one["line"]) for one in report] == [
        ("expect-unknown", "film.test.kling", 1),
        ("expect-only", "film.test.kling", 3),
    ]


def test_check_notices_that_the_film_of_a_test_file_has_changed(project: Project) -> None:
    project.write("film.kling", FILM)
    project.write("film.test.kling", "EXPECT shot horn longer than 4s\n")
    project.run("check", "film.test.kling")
    project.write("film.kling", FILM.replace("horn 5s", "bell 5s"))
    assert "expect-unknown" in project.run("check", "film.test.kling", code=1).stdout


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Film: nowhere.kling\n\n", "missing-film"),
        ("Film: ../../film.kling\n\n", "outside-root"),
        ("Film: film.test.kling\n\n", "missing-film"),
        ("Film: film.kling\nFilm: film.kling\n\n", "duplicate-title-key"),
        ("Film:\n\n", "bad-value"),
        ("Model: o3-pro\n\n", "expect-only"),
        ("Param plaice: quay\n\n", "expect-unknown"),
        ("import cast.kling\n", "expect-only"),
        ("INT. ROOM - DAY\n", "expect-only"),
        ("CHARACTER Mira\nA keeper.\n", "expect-only"),
        ("Rain falls.\n", "title-line"),
    ],
)
def test_what_may_not_stand_in_a_test_file(project: Project, text: str, slug: str) -> None:
    project.write("film.kling", FILM)
    project.write("film.test.kling", text + HOLDS)
    report = project.json("check", "--format", "json", "film.test.kling", code=1)
    assert {one["code"] for one in report} == {slug}
    assert {one["file"] for one in report} == {"film.test.kling"}


def test_a_film_names_no_film(project: Project) -> None:
    project.write("film.kling", f"Film: other.kling\n{FILM}")
    assert [one["code"] for one in project.json("check", "--format", "json", "film.kling", code=1)] == [
        "unknown-title-key"
    ]


@pytest.mark.parametrize("verb", ["compile", "plan", "render", "status"])
def test_a_test_file_is_bought_by_nobody(project: Project, verb: str) -> None:
    project.write("film.kling", FILM)
    project.write("film.test.kling", HOLDS)
    done = project.run(verb, "film.test.kling", code=2)
    assert "is a test file: name the film that it is about" in done.stderr


def test_of_long_lists_and_parts_that_are_not_sent_the_difference_is_told(project: Project) -> None:
    for name in ("front", "side", "back"):
        project.write(f"{name}.png", picture())
    project.write("other.png", picture(640, 361))
    film = (
        "CHARACTER Mira\n  front: front.png\n  angles: side.png, back.png\n\nSHOT wait 4s\n  aspect: 1:1\n@Mira waits.\n\n"
        "EXPECT requests match golden\n"
    )
    project.write("film.kling", film)
    project.run("test", "film.kling", "--update-golden")
    project.write("film.kling", film.replace("back.png", "other.png").replace("  aspect: 1:1\n", ""))
    done = project.run("test", "film.kling", code=1)
    told = [line.removeprefix("note: ") for line in done.stdout.splitlines() if line.startswith("note: ")]
    (places,) = [line for line in told if "reference_image_urls" in line]
    assert places.startswith('wait: elements[1].reference_image_urls[2] was "asset:')
    project.write("film.kling", film.replace("@Mira waits", "A man waits"))
    done = project.run("test", "film.kling", code=1)
    assert "elements was [" in done.stdout
    assert "and is not sent" in done.stdout
    project.write("film.golden.json", '{"requests": [{"id": 5}]}')
    assert "film.golden.json holds no requests" in project.run("test", "film.kling", code=1).stdout


def test_golden_requests_are_kept_and_compared(project: Project) -> None:
    project.write("film.kling", f"{FILM}EXPECT requests match golden\n")
    done = project.run("test", "film.kling", code=1)
    assert "there is no film.golden.json, with which the requests could be compared" in done.stdout
    done = project.run("test", "film.kling", "--update-golden")
    assert done.stderr == "film.golden.json: written\n"
    kept = json.loads((project.root / "film.golden.json").read_text(encoding="utf-8"))
    assert [request["id"] for request in kept["requests"]] == ["wait", "horn"]
    project.run("test", "film.kling")
    # Comments, notes and places are no part of a request.
    project.write("film.kling", f"# new\n{FILM}[[a note]]\n\nEXPECT requests match golden\n")
    project.run("test", "film.kling")
    changed = FILM.replace("swings", "hangs").replace("SHOT horn 5s", "SHOT horn 6s\n  takes: 2")
    project.write("film.kling", f"{changed}SHOT end 3s\nDark.\n\nEXPECT requests match golden\n")
    done = project.run("test", "film.kling", code=1)
    told = [line.removeprefix("note: ") for line in done.stdout.splitlines() if line.startswith("note: ")]
    assert "3 requests differ from film.golden.json" in done.stdout
    assert told == [
        'wait: prompt was "wide. A lantern swings at the end of the pier.", and is "wide. A lantern hangs at the end of the pier."',
        "horn: takes was 1, and is 2",
        'horn: duration was "5", and is "6"',
        "end: is not kept",
    ]
    project.write(
        "film.kling", "SHOT wait 4s wide\nA lantern swings at the end of the pier.\n\nEXPECT requests match golden\n"
    )
    assert "horn: is kept, and the film asks for no such clip" in project.run("test", "film.kling", code=1).stdout


def test_golden_requests_that_cannot_be_read_fail_and_are_not_believed(project: Project) -> None:
    project.write("film.kling", f"{FILM}EXPECT requests match golden\n")
    for content in ("", "{}", "[]", '{"film": "x", "requests": [{}]}', "[" * 100_000):
        project.write("film.golden.json", content)
        assert "film.golden.json holds no requests" in project.run("test", "film.kling", code=1).stdout


def test_only_a_film_that_expects_golden_requests_gets_them(project: Project) -> None:
    project.write("film.kling", FILM + HOLDS)
    project.write("film.test.kling", "EXPECT requests match golden\n")
    project.write("broken.kling", f"{FILM}@Nobody.\n\nEXPECT requests match golden\n")
    project.run("test", "--update-golden", code=1)
    assert sorted(path.name for path in project.root.glob("*.json")) == ["film.test.golden.json"]


def test_json_tells_everything(project: Project) -> None:
    project.write("films/film.kling", FILM + HOLDS + FAILS + "EXPECT total >= $0\n")
    project.write("films/cast.kling", "CHARACTER Mira\nA keeper.\n")
    report = project.json("test", "films", "--format", "json", code=1)
    assert report["passed"] is False
    assert report["counts"] == {"passed": 1, "failed": 1, "always": 1, "broken": 0}
    [script] = report["scripts"]
    assert (script["file"], script["film"], script["passed"]) == ("films/film.kling", "films/film.kling", False)
    assert [(one["words"], one["line"], one["outcome"]) for one in script["expects"]] == [
        ("total <= $4", 11, "passed"),
        ("total <= $3", 12, "failed"),
        ("total >= $0", 13, "always"),
    ]
    assert [[d["code"] for d in one["diagnostics"]] for one in script["expects"]] == [
        [],
        ["expect-failed"],
        ["expect-always"],
    ]


def test_options_are_those_of_the_other_verbs(project: Project) -> None:
    project.write("film.kling", FILM + "EXPECT every clip uses model o3-pro\n")
    project.run("test", "film.kling", code=1)
    project.run("test", "film.kling", "--model", "o3-pro")
    assert "did you mean o3-pro?" in project.run("test", "film.kling", "--model", "o3-pr", code=2).stderr
    assert "is no film" in project.run("test", str(project.write("notes.txt", "x")), code=2).stderr
    assert "there is no film in" in project.run("test", str(project.write("empty/x", "").parent), code=2).stderr


def test_what_a_stranger_wrote_is_shown_and_not_obeyed(project: Project) -> None:
    project.write("film.kling", 'SHOT a 5s\nRain \u202eniar.\n\nEXPECT shot a prompts "\u202egnp.exe"\n')
    done = project.run("test", "film.kling", code=1)
    assert "\u202e" not in done.stdout
    assert "\\u202e" in done.stdout
    assert "\u202e" not in project.run("test", "film.kling", "--format", "json", code=1).stdout


def test_a_run_without_a_failure_imports_no_network_and_no_drawing(project: Project) -> None:
    project.write("film.kling", FILM.replace("{{ place }}", "pier") + HOLDS)
    spy = (
        "import json, sys\nfrom kling_dsl.cli import main\ntry:\n    main()\n"
        "finally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", spy, "test", "film.kling"),
        cwd=project.root,
        env=unmeasured(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert loaded & {"jinja2", "rich", "httpx", "ssl", "sqlite3", "av", "asyncio", "pytest", "difflib"} == set()
