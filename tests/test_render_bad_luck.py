"""Bad luck around a render: one clear message, the right exit code, and nothing that was paid for is lost."""

from __future__ import annotations

import contextlib
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from render_boundaries import SENT
from render_films import CHAINED, DOOR, FILM, FOUR, HEAD, ONE, REAL_MONEY, ROAD, Film, Ran, Theatre

from kling_dsl.sandbox import Fault

QUEUE = "fal_client.auth:FAL_QUEUE_RUN_HOST"


@contextlib.contextmanager
def nobody_listens() -> Iterator[str]:
    """Give an address at which nothing listens, and which nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def said(ran: Ran) -> str:
    """Return all that a run said, in one line."""
    return " ".join((ran.stdout + ran.stderr).split())


def posts(film: Film) -> int:
    return film.theatre.bill().paid_posts_received


def refused(film: Film, words: str, *, code: int = 1, **settings: Any) -> None:
    """Assert that a render ends with one message that has these words, and changes nothing in the project."""
    before = {place: place.read_bytes() for place in film.folder.rglob("*") if place.is_file()}
    bought = posts(film)
    ran = film.render(code=code, **settings)
    problems = [line for line in ran.stderr.splitlines() if line.startswith(("Error: ", "kling: "))]
    assert len(problems) == 1, ran
    assert words in problems[0], ran
    assert posts(film) == bought
    assert {place: place.read_bytes() for place in film.folder.rglob("*") if place.is_file()} == before


def test_no_key(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE).on_real_stage()
    without = {**REAL_MONEY, "FAL_KEY": None, "HOME": str(tmp_path)}
    ran = film.render("--yes", code=2, environment=without)
    assert "there is no key for fal: set FAL_KEY" in said(ran)
    assert "--sandbox" in ran.stderr
    assert (posts(film), film.rows()) == (0, ())


@pytest.mark.parametrize("key", ["no colon and a space", "id:sec\nret", "id:geheimé"])
def test_a_key_that_cannot_be_one(key: str, theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE).on_real_stage()
    ran = film.render("--yes", code=2, environment={**REAL_MONEY, "FAL_KEY": key})
    assert "look at FAL_KEY" in said(ran)
    assert key not in ran.stdout + ran.stderr
    assert (posts(film), film.rows()) == (0, ())


@pytest.mark.parametrize(("kind", "words"), [("unauthorized", "look at FAL_KEY"), ("exhausted", "look at the balance")])
def test_a_refused_account_is_told_once_and_ends_the_render(
    kind: str, words: str, theatre: Theatre, tmp_path: Path
) -> None:
    film = theatre.begin(tmp_path / "p", FOUR, Fault(kind))
    ran = film.render("--concurrency", "1", code=4)
    assert said(ran).count(words) == 1, ran
    assert posts(film) == 1
    theatre.sandbox.set_faults()
    film.render()
    film.assert_whole("door", "reply", "sea", "road")


def test_no_network_at_all(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", HEAD + DOOR)
    with nobody_listens() as nowhere:
        proxy = {"HTTPS_PROXY": f"http://{nowhere}", "https_proxy": f"http://{nowhere}"}
        ran = film.render(code=4, patches={QUEUE: nowhere}, environment=proxy)
    assert "could not be uploaded" in said(ran)
    assert f"{FILM}:10" in said(ran)
    assert (posts(film), film.rows()) == (0, ())
    film.render()
    film.assert_whole("door")


def test_no_network_to_the_queue(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    with nobody_listens() as nowhere:
        ran = film.render(code=4, patches={QUEUE: nowhere})
    assert "could not be reached" in said(ran)
    assert (posts(film), film.row("sea").state, film.row("sea").billed) == (0, "failed", "no")
    film.render()
    film.assert_whole("sea")


def test_the_network_goes_while_a_job_is_at_the_provider(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    port = int(theatre.sandbox.host.partition(":")[2])
    direct = {"HTTPS_PROXY": "", "https_proxy": ""}
    hosts = dict.fromkeys(("queue.fal.run", "queue.falrun.com", "v3b.fal.media"), port)
    killed = film.run(
        fatal="ledger submitted is done#1", patches={QUEUE: "queue.fal.run"}, hosts=hosts, environment=direct
    )
    assert killed.code == -signal.SIGKILL, killed
    with nobody_listens() as nowhere:
        gone = dict.fromkeys(hosts, int(nowhere.partition(":")[2]))
        ran = film.render(code=4, patches={QUEUE: "queue.fal.run"}, hosts=gone, environment=direct)
    assert "cannot be asked after" in said(ran)
    assert film.row("sea").state == "submitted"
    film.render(patches={QUEUE: "queue.fal.run"}, hosts=hosts, environment=direct)
    film.assert_whole("sea")


@pytest.mark.parametrize("room", [0, 2000])
def test_the_disk_is_full_while_a_clip_comes(room: int, theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    ran = film.render(code=4, room=room)
    assert "File too large" in said(ran)
    assert f"{FILM}:9" in said(ran) or f"{FILM}:10" in said(ran)
    assert (posts(film), film.row("sea").state) == (1, "completed")
    film.render()
    film.assert_whole("sea")
    assert posts(film) == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (".kling", "Not a directory"),
        (".kling/sandbox", "Not a directory"),
        (".kling/sandbox/runs", "Nothing is bought without it"),
    ],
)
def test_a_project_that_cannot_be_written_to(place: str, words: str, theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    (film.folder / place).parent.mkdir(parents=True, exist_ok=True)
    (film.folder / place).write_text("in the way")
    refused(film, words)
    assert posts(film) == 0
    (film.folder / place).unlink()
    film.render()
    film.assert_whole("sea")


@pytest.mark.parametrize("place", ["store/incoming", "store", "guards"])
def test_a_folder_that_cannot_be_written_to_when_the_clip_is_paid(place: str, theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    (film.home / place).parent.mkdir(parents=True, exist_ok=True)
    (film.home / place).write_text("in the way")
    ran = film.render(code=4)
    assert place in said(ran), ran
    assert posts(film) == 1
    (film.home / place).unlink()
    film.render()
    film.assert_whole("sea")
    assert posts(film) == 1


def test_a_ledger_of_a_newer_version(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    with contextlib.closing(sqlite3.connect(film.home / "ledger.db")) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    film.write(ONE + ROAD)
    refused(film, "written by a newer version of kling")


def test_a_ledger_that_is_none(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    (film.home / "ledger.db").write_bytes(b"no database at all, and long enough for a header of one" * 20)
    film.write(ONE + ROAD)
    refused(film, "is damaged")


def test_a_lock_with_a_line_that_cannot_be_read(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    film.lock_path.write_text(film.lock_path.read_text()[:-40] + "\n")
    film.write(ONE + ROAD)
    refused(film, "line 1 of ")


def test_a_lock_that_is_no_text(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    film.lock_path.write_bytes(film.lock_path.read_text().encode("utf-16"))
    refused(film, "is UTF-16")


def test_a_lock_with_the_marks_of_a_merge_is_read_all_the_same(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    film.lock_path.write_text(f"<<<<<<< HEAD\n=======\n{film.lock_path.read_text()}>>>>>>> other\n")
    ran = film.render()
    assert "is a mark that a merge left" in ran.stderr
    assert posts(film) == 1


def test_a_lock_that_was_lost_is_written_again(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED)
    film.render()
    whole = film.lock_path.read_bytes()
    film.lock_path.unlink()
    film.render()
    assert film.lock_path.read_bytes() == whole
    film.lock_path.write_bytes(whole.splitlines(keepends=True)[1])
    film.render()
    assert film.lock_path.read_bytes() == whole
    film.assert_whole("door", "reply")


@pytest.mark.parametrize(
    ("before", "after"),
    [('"take":1', '"take":7'), ('"cost_usd":"1.26"', '"cost_usd":"0.01"'), ('"clip":"sea"', '"clip":"see"')],
)
def test_a_lock_that_was_edited_buys_nothing(before: str, after: str, theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    film.lock_path.write_text(film.lock_path.read_text().replace(before, after))
    film.render()
    assert posts(film) == 1
    assert len(film.lock().takes) == 1


def test_a_digest_that_was_edited_buys_nothing_and_loses_nothing(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    sha256 = film.row("sea").sha256
    film.lock_path.write_text(film.lock_path.read_text().replace(sha256, "0" * 64))
    ran = film.run()
    assert ran.code in (0, 4), ran
    assert posts(film) == 1
    assert film.store.check(sha256) == ""
    assert sha256 in [take.sha256 for take in film.lock().takes]
    checked = film.run("verify")
    assert checked.code != 0, checked


def test_a_lost_clip_is_fetched_again_and_not_bought(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED)
    film.render()
    film.store.path(film.row("door").sha256).unlink()
    film.render()
    film.assert_whole("door", "reply")
    assert posts(film) == 2


def test_a_lost_clip_that_the_provider_has_no_more_is_missing(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    film.render()
    clip = film.store.path(film.row("sea").sha256)
    content = clip.read_bytes()
    clip.unlink()
    theatre.reset()
    for _ in range(2):
        ran = film.render(code=4)
        assert "sea" in ran.stdout
        assert f"{FILM}:10" in said(ran), ran
        assert posts(film) == 0
    # Whoever finds it again has it again.
    clip.write_bytes(content)
    film.render()
    assert posts(film) == 0
    assert len(film.lock().takes) == 1


def test_an_altered_clip_is_found_and_nothing_is_made_from_it(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED)
    film.render("--only", "door")
    clip = film.store.path(film.row("door").sha256)
    clip.chmod(0o644)
    clip.write_bytes(clip.read_bytes()[:-1] + b"!")
    ran = film.render(code=4)
    assert "altered" in said(ran), ran
    assert posts(film) == 1
    checked = film.run("verify")
    assert checked.code != 0
    assert "altered" in said(checked)


def test_a_clock_that_went_back_buys_nothing_more_in_a_day(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE, settings='[limits]\nper_day_usd = "$2"\n')
    film.render(days=2)
    film.write(ONE + ROAD)
    ran = film.render(code=3)
    assert "the project's limit for a day" in said(ran)
    assert posts(film) == 1
    film.render("--only", "road", days=4)
    film.assert_whole("sea", "road")


@pytest.mark.parametrize("days", [-40, -0.01, 0.01, 40], ids=["40 days slow", "slow", "fast", "40 days fast"])
def test_a_clock_that_is_wrong_hides_nothing_that_was_bought(days: float, theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    assert film.run(fatal=f"{SENT}#1", days=days).code == -signal.SIGKILL
    film.render(days=days)
    film.assert_whole("sea")
    assert posts(film) == 1


def test_a_clock_that_no_certificate_would_pass_with_is_not_reckoned_with(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    assert film.run(fatal=f"{SENT}#1", days=-400).code == -signal.SIGKILL
    film.render(code=4, days=-400)
    assert (posts(film), film.row("sea").state) == (1, "uncertain")


def test_a_clock_that_was_put_right_while_a_request_was_on_its_way(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    assert film.run(fatal=f"{SENT}#1", days=1).code == -signal.SIGKILL
    # Nobody knows now how wrong it was: the money stays reserved, and nothing is bought until somebody says so.
    film.render(code=4)
    assert (posts(film), film.row("sea").state) == (1, "uncertain")
    film.render(days=1)
    film.assert_whole("sea")
    assert posts(film) == 1


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_between_steps(days: float, theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED)
    for point in (
        "ledger submitted is done#1",
        "ledger completed is done#1",
        "replace store#2",
        "ledger stored is done#1",
    ):
        film.run(fatal=point, days=days)
        days = -days
    film.render()
    film.assert_whole("door", "reply")


def test_two_projects_with_one_cache(theatre: Theatre, tmp_path: Path) -> None:
    cache = {"KLING_CACHE_DIR": str(tmp_path / "cache")}
    first = theatre.begin(tmp_path / "p", CHAINED)
    second = Film(theatre.begin(tmp_path / "q", CHAINED).folder, theatre)
    both = theatre.driver.run(first.job(environment=cache), second.job(environment=cache))
    assert [ran.code for ran in both] == [0, 0], both
    assert list((tmp_path / "cache").rglob("*"))
    assert posts(first) == 4
    assert {row.state for film in (first, second) for row in film.rows()} == {"stored"}
    assert {row.request_id for row in first.rows()}.isdisjoint(row.request_id for row in second.rows())
    for film in (first, second):
        again = film.render(environment=cache)
        assert "kept" in again.stdout
    assert posts(first) == 4
