"""What a render refuses before it asks anybody: packages that are missing, plans that moved, locks that are broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from rendered import Rendered

from kling_dsl.cli.render import MAX_MOVES


@pytest.fixture
def project(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path / "project")


def test_without_pyav_nothing_is_bought(project: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kling_dsl.project.media_extra_present", lambda: False)
    for words in (("render", "film.kling", "--yes"), ("render", "film.kling", "--sandbox")):
        told = project.run(*words, code=2).stderr
        assert "rendering measures every clip, for which it needs PyAV" in " ".join(told.split())
    assert not (project.root / ".kling" / "ledger.db").exists()


def test_without_its_packages_there_is_no_sandbox(project: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kling_dsl.sandbox.settings.missing_packages", lambda: ("starlette", "uvicorn"))
    told = " ".join(project.run("render", "film.kling", "--sandbox", code=2).stderr.split())
    assert "the sandbox needs starlette, uvicorn: install them with `pip install 'kling-dsl[serve,media]'`" in told


def test_of_a_plan_that_moved_in_many_places_a_few_are_told(tmp_path: Path) -> None:
    film = "".join(f"SHOT s{number} 3s\nRain on roof {number}.\n\n" for number in range(MAX_MOVES + 5))
    project = Rendered(tmp_path / "project", film)
    project.run("plan", "film.kling", "--out", "plan.json")
    project.write("film.kling", film.replace("Rain", "Snow"))
    told = project.run("render", "plan.json", "--sandbox", code=3).stderr.splitlines()
    assert sum(line.startswith("moved since the plan was made: ") for line in told) == MAX_MOVES
    assert any(line.startswith("and ") and line.endswith(" more") for line in told)
    assert told[-1] == "refused: the plan no longer holds, and nothing was bought; make it anew"


@pytest.mark.parametrize(
    ("broken", "words"), [(1, "line 1 of"), (3, "lines 1, 2, 3 of"), (9, "lines 1, 2, 3, 4, 5 and 4 more of")]
)
def test_a_lock_with_broken_lines_is_mended_first(project: Rendered, broken: int, words: str) -> None:
    project.bring("wake")
    lock = project.root / "film.kling.lock"
    before = '{"kind":"take","take":\n' * broken + lock.read_text()
    lock.write_text(before)
    told = " ".join(project.run("render", "film.kling", "--yes", code=1).stderr.split())
    assert f"{words} film.kling.lock cannot be read" in told
    assert lock.read_text() == before


def test_a_film_with_a_name_beyond_ascii_is_told_as_it_is_written(project: Rendered) -> None:
    project.write("Türe.kling", "SHOT a 5s\nRain.\n")
    project.write("e\u202egnp.kling", "SHOT a 5s\nRain.\n")
    assert project.run("check", "Türe.kling").stdout.startswith("Türe.kling: ")
    assert project.run("check", "e\u202egnp.kling").stdout.startswith("e\\u202egnp.kling: ")


def test_a_clip_that_is_not_there_is_no_reason_to_buy_the_others(project: Rendered) -> None:
    told = project.run("render", "film.kling", "--sandbox", "--only", "stowe", code=2).stderr
    assert "the film has no clip 'stowe'; did you mean stove?" in " ".join(told.split())
    told = project.run("render", "film.kling", "--sandbox", "--only", "quite-another", code=2).stderr
    assert "the film has no clip 'quite-another'" in told
    assert "did you mean" not in told


def test_a_clip_that_is_not_rendered_yet_has_no_other_take(project: Rendered) -> None:
    told = project.run("retake", "wake", "--yes", code=3).stderr
    assert told == "refused: wake is new; it is not rendered yet: `kling render` buys it\n"


@pytest.mark.parametrize("amount", ["much", "-1", "1e3", "1,50", "NaN", ""])
def test_what_is_no_amount_of_dollars_is_no_limit(project: Rendered, amount: str) -> None:
    told = project.run("render", "film.kling", "--yes", f"--max-cost={amount}", code=2).stderr
    assert f"'{amount}' is no amount of dollars such as $5 or 12.50" in " ".join(told.split())
    assert not (project.root / ".kling").exists()
