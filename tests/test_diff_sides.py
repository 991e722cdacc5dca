"""`kling diff` where the sides differ in more than words: sheets, settings, whole films, and what cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from foreign_sheet import FOREIGN, replaced
from git_projects import FILM, NEEDS_GIT, Repository

pytestmark = NEEDS_GIT

HEADLESS = FILM.replace("Model: o3-4k\n", "Model: o3-4k\nHeadings: off\n")
OWN = "Model: lumen-film\n\nSHOT door 5s wide\nRain on a door.\n"
SHEET = "models/lumen-film.toml"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A film for an imagined house, whose sheet is the project's own."""
    found = Repository(tmp_path / "repo")
    found.write("film.kling", OWN)
    found.write(SHEET, FOREIGN)
    found.commit("Write the film")
    return found


def clip(report: Any) -> Any:
    ((found,),) = [film["clips"] for film in report["films"]]
    return found


def test_a_price_that_changed_is_told_though_the_request_is_the_same(repository: Repository) -> None:
    repository.write(SHEET, replaced("usd_per_second = 0.14", "usd_per_second = 0.15"))
    report = repository.json()
    found = clip(report)
    assert (found["old"]["cost_usd"], found["new"]["cost_usd"]) == ("0.70", "0.75")
    assert found["old"]["fingerprint"] == found["new"]["fingerprint"]
    assert [(field["path"], field["old"], field["new"]) for field in found["fields"]] == [("price_usd", "0.70", "0.75")]
    assert report["total"]["difference_usd"] == "0.05"
    assert "$0.70 → $0.75" in repository.diff("--format", "markdown").stdout.replace("\\", "")


def test_a_sheet_that_cannot_be_read_at_the_revision_is_told(repository: Repository) -> None:
    repository.write(SHEET, b"\xff\xfe")
    repository.commit("Break the sheet")
    repository.write(SHEET, FOREIGN)
    done = repository.diff(code=1)
    assert f"error[bad-model-sheet]: {SHEET} is not UTF-8" in done.stderr
    assert "the difference is not known" in done.stdout


def test_a_model_that_only_one_side_knows_is_an_error_of_the_other(repository: Repository) -> None:
    (repository.root / SHEET).unlink()
    repository.edit("Model: lumen-film\n", "Model: o3-4k\n")
    repository.commit("Do without the sheet")
    repository.write(SHEET, FOREIGN)
    done = repository.diff("--model", "lumen-film", code=1)
    assert "there is no model" in done.stderr
    assert "in HEAD" in done.stderr
    assert "the difference is not known" in done.stdout


@pytest.mark.parametrize(
    ("settings", "words"),
    [(b"\xff", "kling.toml is not UTF-8"), (b"[lints]\nlong-dialog = 'off'\n", "long-dialog")],
    ids=["no text", "an unknown check"],
)
def test_settings_that_make_no_sense_at_the_revision_are_told(
    repository: Repository, settings: bytes, words: str
) -> None:
    repository.write("kling.toml", settings)
    repository.commit("Break the settings")
    repository.write("kling.toml", "")
    done = repository.diff(code=1)
    assert words in done.stderr
    assert "in HEAD" in done.stderr


def test_films_that_are_new_or_gone_are_told_in_words(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.write("notes.txt", "nothing to see")
    repository.commit("Begin")
    assert repository.diff().stdout == "HEAD → the working tree: no film on either side\n"
    repository.write_film(HEADLESS)
    for form in ("text", "markdown"):
        assert "film.kling, a new film" in repository.diff("--format", form).stdout
    repository.commit("Write the film")
    repository.buy("door", "sea")
    repository.commit("Render two clips")
    (repository.root / "film.kling").unlink()
    for form in ("text", "markdown"):
        shown = repository.diff("--format", form).stdout
        assert "film.kling, which is not there any more" in shown
        assert "its 1 paid take stays in the lock" in shown


def test_a_film_that_fails_is_told_beside_one_that_does_not(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.write_film(HEADLESS)
    repository.write("other.kling", "SHOT a 5s\nRain.\n")
    repository.write("third.kling", "SHOT b 5s\nSnow.\n")
    repository.commit("Write three films")
    repository.write("other.kling", "SHOT a 500s\nRain.\n")
    repository.edit("heavy door", "red door")
    for form in ("text", "markdown"):
        shown = repository.diff("--format", form, code=1).stdout.replace("\\", "")
        assert "HEAD costs $2.10, the working tree has errors" in shown
    assert "1 film without a change" in repository.diff("--format", "markdown", code=1).stdout


def test_an_empty_name_and_a_test_file_are_no_films(repository: Repository) -> None:
    assert "an empty name is no film" in repository.diff("HEAD", "--", "", code=2).stderr
    repository.write("film.test.kling", "EXPECT total <= $9\n")
    told = repository.diff("HEAD", "film.test.kling", code=2).stderr
    assert "'film.test.kling' is a test file: name the film that it is about" in told


def test_a_renamed_film_that_fails_is_found_by_its_lines(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.write_film(HEADLESS)
    repository.write("other.kling", "SHOT a 5s\nRain.\n")
    repository.commit("Write the films")
    (repository.root / "film.kling").rename(repository.root / "lantern.kling")
    repository.edit("SHOT sea 3s", "SHOT sea 300s", path="lantern.kling")
    repository.write("new.kling", "SHOT z 5s\nNothing of the kind.\n")
    report = repository.json(code=1)
    pairs = [((film["old"] or {}).get("file"), (film["new"] or {}).get("file")) for film in report["films"]]
    assert ("film.kling", "lantern.kling") in pairs
    assert (None, "new.kling") in pairs


def test_very_many_films_with_errors_are_counted(tmp_path: Path) -> None:
    from kling_dsl.cli.diff import MAX_TOLD_FILMS

    repository = Repository(tmp_path / "repo")
    repository.write("first.kling", "SHOT a 5s\nRain.\n")
    repository.commit("Begin")
    for number in range(MAX_TOLD_FILMS + 2):
        repository.write(f"film-{number:02}.kling", f"SHOT a 5s\n@Nobody{number} waits.\n")
    told = repository.diff(code=1).stderr
    assert "and 2 more films with errors in the working tree" in told
