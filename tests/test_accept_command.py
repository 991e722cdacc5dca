"""`kling accept` keeps a paid clip for a request that changed, and says who decided it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rendered import Rendered

from kling_dsl.lock import Acceptance, add_records, read_lock

FILM = "Title: Pier\nModel: o3-4k\n\nSHOT door 5s\n{words}\n\nSHOT sea 5s\n  start: end of door\nGrey waves.\n\nSHOT end 3s\nFog.\n"
LOCK = "film.kling.lock"


class Reworded(Rendered):
    """A film of which `door` was rendered, and then reworded."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FILM.format(words="Rain."))
        self.bring("door", content="door")
        self.bring("sea", content="sea")
        self.reword("Rain and wind.")

    def reword(self, words: str) -> None:
        self.write("film.kling", FILM.format(words=words))

    def clip(self, name: str) -> dict[str, Any]:
        plan = self.json("plan", "film.kling", "--format", "json")
        found: dict[str, Any] = next(clip for clip in plan["clips"] if clip["id"] == name)
        return found

    def state(self, name: str) -> str:
        return str(self.clip(name)["state"])


@pytest.fixture
def film(tmp_path: Path) -> Reworded:
    return Reworded(tmp_path / "project")


def test_an_accepted_clip_is_not_bought_and_says_who_kept_it(film: Reworded) -> None:
    assert film.state("door") == "changed"
    film.run("accept", "door", "--because", "only a\ncomma", "--by", "Ada")
    door = film.clip("door")
    assert (door["state"], door["to_buy_usd"], door["kept_usd"]) == ("accepted", "0.00", door["cost_usd"])
    assert door["why"].startswith("Ada kept the take of 2026-11-22 on ")
    assert door["why"].endswith(": only a comma")
    assert "accepted" in film.run("plan", "film.kling").stdout


def test_what_goes_on_from_an_accepted_clip_is_kept_too(film: Reworded) -> None:
    assert film.state("sea") == "waiting"
    film.run("accept", "door")
    assert film.state("sea") == "kept"


def test_a_decision_is_taken_back(film: Reworded) -> None:
    for _ in range(2):
        film.run("accept", "door")
        assert film.state("door") == "accepted"
        film.run("accept", "door", "--undo")
        assert film.state("door") == "changed"
    assert len(read_lock(film.root / LOCK).acceptances) == 4
    assert "door is not accepted" in film.run("accept", "door", "--undo", code=3).stderr


def test_a_decision_holds_for_one_request(film: Reworded) -> None:
    film.run("accept", "door")
    film.reword("Rain, hail.")
    assert film.state("door") == "changed"
    film.reword("Rain and wind.")
    assert film.state("door") == "accepted"


def test_what_needs_no_decision_is_refused(film: Reworded) -> None:
    film.reword("Rain.")
    assert film.run("accept", "door", code=3).stderr == "refused: door is kept, and there is nothing to accept\n"
    assert film.run("accept", "end", code=3).stderr == "refused: no earlier take of end is in the lock\n"
    film.bring("end", to="uncertain")
    assert film.run("accept", "end", code=3).stderr.startswith("refused: end is uncertain: ")
    assert read_lock(film.root / LOCK).acceptances == ()


def test_a_clip_that_waits_is_refused(film: Reworded) -> None:
    assert "needs the last frame of door" in film.run("accept", "sea", code=3).stderr


def test_an_accepted_clip_whose_file_is_gone_is_missing_and_not_bought(film: Reworded) -> None:
    film.run("accept", "door")
    film.clip_path("door").unlink()
    assert (film.clip("door")["state"], film.clip("door")["to_buy_usd"]) == ("missing", "0.00")


def test_the_picked_take_is_the_one_that_is_kept(film: Reworded) -> None:
    film.reword("Rain.")
    film.bring("door", 2, content="door again")
    film.run("pick", "door", "2")
    film.reword("Rain and wind.")
    film.run("accept", "door")
    [decision] = read_lock(film.root / LOCK).acceptances
    assert film.clip_path("door again").stem == decision.sha256


@pytest.mark.parametrize("name", ["<b>Ada</b>", "A\x1b[2Jda", "Ada" * 200, "美咲"])
def test_any_name_can_decide(film: Reworded, name: str) -> None:
    film.run("accept", "door", "--by", name)
    assert film.state("door") == "accepted"
    assert "\x1b" not in film.run("plan", "film.kling").stdout
    assert "<b>" not in film.run("plan", "film.kling", "--format", "html").stdout


def test_a_decision_about_a_clip_that_no_take_has_is_a_problem(tmp_path: Path) -> None:
    lock = tmp_path / LOCK
    decision = Acceptance("2026-11-22T10:00:00Z", "", "Ada", "door", "a" * 64, "b" * 64)
    add_records(lock, (decision,), guard=tmp_path / "guards" / "film")
    read = read_lock(lock)
    assert read.acceptances == (decision,)
    assert [problem.message for problem in read.problems] == ["accepts a clip bbbbbbbbbbbb that no take has"]
    assert read.acceptance("a" * 64) is None


def test_without_a_name_in_git_it_is_the_login_that_decided(film: Reworded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(film.root))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(film.root))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("LOGNAME", "mira")
    film.run("accept", "door", "--because", "the rain is enough")
    # Where there is no git, nobody can be asked for the name.
    monkeypatch.setenv("PATH", str(film.root))
    monkeypatch.setenv("LOGNAME", "keeper")
    film.reword("Rain, wind and thunder.")
    film.run("accept", "door", "--because", "so is the thunder")
    assert {each.because: each.by for each in read_lock(film.root / LOCK).acceptances} == {
        "the rain is enough": "mira",
        "so is the thunder": "keeper",
    }
