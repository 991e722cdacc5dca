"""What a render finds that nobody asked for: takes of an edit that is gone, results without a video, strange answers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from render_films import CHAINED, FILM, HEAD, ONE, ROAD, Film, Ran, Theatre
from rendered import DEAD

from kling_dsl.ledger import open_ledger
from kling_dsl.sandbox import Fault

SUBMITTED = "ledger submitted is done#1"


def said(ran: Ran) -> str:
    """Return all that a run said, in one line."""
    return " ".join((ran.stdout + ran.stderr).split())


def broken_off(theatre: Theatre, folder: Path, text: str, *faults: Fault, only: str = "") -> Film:
    """Begin a film and break its render off when the first job is at the provider."""
    film = theatre.begin(folder, text, *faults)
    ran = film.run("render", FILM, *(("--only", only) if only else ()), fatal=SUBMITTED)
    assert ran.code == -signal.SIGKILL, ran
    return film


def test_a_take_that_the_film_no_longer_asks_for_is_brought_home_though_nothing_is_to_buy(
    theatre: Theatre, tmp_path: Path
) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    film.write(ONE + ROAD)
    assert film.run("render", FILM, fatal=SUBMITTED).code == -signal.SIGKILL
    film.write(ONE)
    film.render()
    assert {row.order.clip: row.state for row in film.rows()} == {"sea": "stored", "road": "stored"}
    assert len(film.lock().takes) == 2
    assert theatre.bill().paid_posts_received == 2


def test_a_take_of_an_edit_that_is_gone_and_failed_is_told(theatre: Theatre, tmp_path: Path) -> None:
    film = broken_off(theatre, tmp_path / "p", ONE, Fault("content-refusal", count=1))
    film.write(HEAD + ROAD)
    ran = film.run()
    assert "sea" in said(ran)
    assert "the provider's filter refused the content" in said(ran)
    assert {row.order.clip: row.state for row in film.rows()} == {"sea": "failed", "road": "stored"}


def test_a_take_of_an_edit_that_is_gone_and_cannot_be_asked_after_waits(theatre: Theatre, tmp_path: Path) -> None:
    film = broken_off(theatre, tmp_path / "p", ONE)
    film.write(HEAD + ROAD)
    theatre.sandbox.set_faults(Fault("status-drop"))
    ran = film.run()
    assert "cannot be asked after" in said(ran)
    assert {row.order.clip: row.state for row in film.rows()} == {"sea": "submitted", "road": "submitted"}
    theatre.sandbox.set_faults()
    film.render()
    assert {row.order.clip: row.state for row in film.rows()} == {"sea": "stored", "road": "stored"}
    assert theatre.bill().paid_posts_received == 2


@pytest.mark.parametrize("result", [b'{"video":null}', b'{"video":{"url":"http://v3.fal.media/x.mp4"}}'])
def test_a_result_without_a_video_may_have_been_paid_and_is_not_bought_again(
    theatre: Theatre, tmp_path: Path, result: bytes
) -> None:
    film = broken_off(theatre, tmp_path / "p", ONE)
    row = film.row("sea")
    with open_ledger(film.home / "ledger.db", run=DEAD) as ledger:
        ledger.take_over(row.key, from_run=row.owner, at=row.reserved_at)
        ledger.completed(row.key, result=result, billed_units=None, at=row.reserved_at)
    ran = film.render(code=4)
    words = "a video that has no https address" if b"http:" in result else "the result names no video"
    assert words in said(ran)
    assert (film.row("sea").state, film.row("sea").billed) == ("failed", "maybe")
    film.render(code=4)
    assert theatre.bill().paid_posts_received == 1


def test_questions_that_are_not_kept_are_asked_all_the_same(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED)
    film.render(patches={"kling_dsl.render.network:MAX_QUESTIONS": 1})
    film.assert_whole("door", "reply")


def test_clips_are_shown_in_no_folder_outside_of_the_project(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    (tmp_path / "elsewhere").mkdir()
    (film.folder / "out").symlink_to(tmp_path / "elsewhere")
    ran = film.render()
    assert "leads out of the project, and no clip is shown there" in said(ran)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert film.row("sea").state == "stored"


def test_a_retake_in_json_ends_with_its_last_line(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    ran = film.run("retake", "sea", "--format", "json")
    assert ran.code == 0, ran
    assert [json.loads(line)["event"] for line in ran.stdout.splitlines()][-1] == "end"
    assert "kling pick" not in ran.stderr
