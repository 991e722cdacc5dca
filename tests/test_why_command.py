"""`kling why` says what changed in a clip's request, against what was paid for, and since which commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from rendered import Rendered

FILM = """\
Title: Pier
Model: o3-4k

SHOT door 5s
{words}

SHOT sea 5s
  start: end of door
Grey waves.

SHOT end {seconds}s
Fog.
"""
DAY = "2026-11-20T10:00:00Z"


class Committed(Rendered):
    """A film in a real repository; each commit has a message of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "")
        self.edit()
        (self.root / ".git").rmdir()
        self.git("init", "-q", "-b", "main")
        self.write(".gitignore", ".kling/\n")

    def edit(self, words: str = "Rain falls.", seconds: int = 3) -> None:
        self.write("film.kling", FILM.format(words=words, seconds=seconds))

    def commit(self, message: str) -> str:
        self.git("add", ".")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()[:12]

    def git(self, *words: str) -> str:
        who = {f"GIT_{role}_{what}": "ada" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": DAY, "GIT_COMMITTER_DATE": DAY}
        environment = {**os.environ, **who, **dates, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(("git", *words), cwd=self.root, env=environment, capture_output=True, check=True)
        return done.stdout.decode()

    def why(self, clip: str) -> str:
        return " ".join(self.run("why", clip).stdout.split())


@pytest.fixture
def film(tmp_path: Path) -> Committed:
    made = Committed(tmp_path / "project")
    made.commit("First cut")
    return made


def test_a_reworded_clip_is_told_with_its_words_and_its_commit(film: Committed) -> None:
    film.bring("door")
    paid = film.commit("Render the door")
    film.edit("Snow falls.")
    snow = film.commit("Let it snow")
    film.edit("Snow falls.", seconds=4)
    film.commit("A longer end")
    told = film.why("door")
    assert told.startswith("door is changed, $2.10 to buy (film.kling:4) its request changed since it was rendered")
    assert f"it is so since commit {snow} of 2026-11-20 Let it snow" in told
    assert f"against what was paid for, which is that of commit {paid} of 2026-11-20:" in told
    assert told.endswith("prompt: {-Rain-} {+Snow+} falls.")


def test_an_edit_that_is_not_committed_is_told_as_such(film: Committed) -> None:
    film.edit(seconds=4)
    told = film.why("end")
    assert "since an edit that is not committed yet" in told
    assert "against what it asked for before" in told
    assert told.endswith("duration: 3 → 4")


def test_a_kept_clip_says_that_nothing_is_to_buy(film: Committed) -> None:
    film.bring("door")
    told = film.why("door")
    assert told.startswith("door is kept, nothing to buy (film.kling:4) its request is the one that was paid for")


def test_a_clip_that_goes_on_from_a_changed_one_says_so(film: Committed) -> None:
    film.bring("door")
    film.bring("sea")
    film.commit("Render")
    film.edit("Snow falls.")
    told = film.why("sea")
    assert "needs the last frame of door, which is not rendered yet" in told
    assert told.endswith("its own request is as it was: what changed is the clip that it goes on from")


def test_a_clip_that_never_asked_for_anything_else_says_so(film: Committed) -> None:
    told = film.why("end")
    assert "no commit has another request of it" in told
    assert "or since an older one, First cut" in told


def test_commits_whose_film_does_not_compile_are_passed_over(film: Committed) -> None:
    film.bring("door")
    film.commit("Render the door")
    film.write("film.kling", "SHOT door\n")
    film.commit("Broken")
    film.edit("Snow falls.")
    snow = film.commit("Mended, and snow")
    assert f"since commit {snow} of 2026-11-20 Mended, and snow" in film.why("door")


def test_hostile_messages_stay_words(film: Committed) -> None:
    film.edit("Snow falls.")
    film.commit("\x1b[2J\x1b]0;owned\x07 snow")
    assert "\x1b" not in film.run("why", "door").stdout


def test_without_a_repository_the_rest_is_told(tmp_path: Path) -> None:
    made = Rendered(tmp_path / "project", FILM.format(words="Rain.", seconds=3))
    told = " ".join(made.run("why", "door").stdout.split())
    assert told.startswith("door is new, $2.10 to buy (film.kling:4) not rendered yet git cannot say since when:")


def test_before_the_first_commit_the_rest_is_told(tmp_path: Path) -> None:
    assert "nothing is committed yet" in Committed(tmp_path / "project").why("door")


def test_nothing_that_a_repository_configures_is_run(film: Committed) -> None:
    trap = film.root / "sprung"
    for name in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "gpg.program"):
        film.git("config", name, f"touch {trap}; false")
    film.git("config", "log.showSignature", "true")
    film.edit("Snow falls.")
    assert "since an edit that is not committed yet" in film.why("door")
    assert not trap.exists()
