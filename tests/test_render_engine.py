"""Whole renders by real processes: two at once, broken off by Ctrl-C, over a limit, after an edit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from render_films import CHAINED, DOOR, FILM, FOUR, HEAD, ONE, ROAD, SEA, Film, Ran, Theatre, staged, surroundings

from kling_dsl.sandbox import Fault

CLIPS = ("door", "reply", "sea", "road")
PATIENCE_SECONDS = 60.0
"""How long a test waits for what must come."""


@pytest.fixture(scope="module")
def slow_theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Serve a sandbox whose jobs take so long that a render can be broken off while they run."""
    with staged(tmp_path_factory.mktemp("sandbox"), job_seconds=2.5) as found:
        yield found


class Process:
    """A `kling render` that began in a process group of its own, whose lines on stderr are read as they come."""

    def __init__(self, film: Film, *words: str) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "kling_dsl", "render", FILM, *words),
            cwd=film.folder,
            env={**surroundings(), **film.theatre.sandbox.environment(), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        self._process.wait()

    def press(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal to the whole group, as a terminal does for Ctrl-C."""
        os.killpg(self._process.pid, number)

    def wait_for(self, words: str) -> None:
        """Wait until a line has these words in it."""
        wait_until(lambda: any(words in line for line in self._lines))

    def end(self) -> Ran:
        """Wait for the end, and return what came of it."""
        assert self._process.stdout
        out = self._process.stdout.read()
        code = self._process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return Ran(code, out, "".join(self._lines), ())

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self._lines.append(line)


def wait_until(true: object) -> None:
    assert callable(true)
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_two_renders_at_once_buy_each_clip_once_and_both_have_all(theatre: Theatre, tmp_path: Path) -> None:
    for number in range(4):
        film = theatre.begin(tmp_path / f"p{number}", FOUR)
        both = theatre.driver.run(film.job(), film.job())
        for ran in both:
            assert ran.code == 0, ran
            assert "Traceback" not in ran.stderr
            for clip in CLIPS:
                assert f"{clip}.mp4" in ran.stdout
        film.assert_whole(*CLIPS)
        assert theatre.bill().paid_posts_received == len(CLIPS)


def test_two_films_with_one_request_buy_it_once(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    (film.folder / "other.kling").write_text(ONE.replace("SHOT sea", "SHOT waves"))
    both = theatre.driver.run(film.job(), film.job("render", "other.kling"))
    assert [ran.code for ran in both] == [0, 0], both
    assert theatre.bill().paid_posts_received == 1
    assert len(film.rows()) == 1
    locks = [film.home / f"{name}.lock" for name in (FILM, "other.kling")]
    assert [len(lock.read_text().splitlines()) for lock in locks] == [1, 1]


def test_two_renders_at_once_keep_to_one_limit(theatre: Theatre, tmp_path: Path) -> None:
    # Two clips of $1.26 fit, and a third would pass.
    film = theatre.begin(tmp_path / "p", ONE + ROAD, settings='[limits]\ntotal_usd = "$2.60"\n')
    (film.folder / "other.kling").write_text(CHAINED + SEA.replace("sea", "lake").replace("far out", "close by"))
    both = theatre.driver.run(film.job(), film.job("render", "other.kling", "--only", "lake"))
    assert sum(row.order.price_usd for row in film.rows()) <= Decimal("2.60")
    assert theatre.bill().total_usd <= Decimal("2.60")
    assert 3 in [ran.code for ran in both], both


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_once_leaves_what_runs_at_the_provider(
    number: signal.Signals, slow_theatre: Theatre, tmp_path: Path
) -> None:
    film = slow_theatre.begin(tmp_path / "p", FOUR)
    with Process(film, "--concurrency", "2") as process:
        wait_until(lambda: len(slow_theatre.bill().submissions) == 2)
        process.press(number)
        ran = process.end()
    assert ran.code == 4, ran
    assert "Traceback" not in ran.stderr
    assert "nothing more is submitted" in ran.stderr
    assert f"kling render {FILM}" in ran.stdout
    bill = slow_theatre.bill()
    assert (len(bill.submissions), bill.cancelled) == (2, 0)
    assert {row.state for row in film.rows()} == {"submitted"}
    film.render()
    film.assert_whole(*CLIPS)


def test_ctrl_c_twice_leaves_at_once_and_loses_nothing(slow_theatre: Theatre, tmp_path: Path) -> None:
    film = slow_theatre.begin(tmp_path / "p", ONE, Fault("slow-answer", count=1, seconds=30))
    with Process(film) as process:
        wait_until(lambda: len(slow_theatre.bill().submissions) == 1)
        process.press()
        process.wait_for("nothing more is submitted")
        process.press()
        ran = process.end()
    assert ran.code == 130, ran
    assert "nothing is bought twice" in ran.stderr
    assert film.row("sea").state == "intent"
    film.render()
    film.assert_whole("sea")


def test_a_film_over_its_limit_buys_nothing(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED)
    ran = film.render("--max-cost", "$2", code=3)
    assert "$2.52 more would pass this run, $2.00, by $0.52" in " ".join(ran.stderr.split())
    assert theatre.bill().paid_posts_received == 0
    film.render("--only", "door", "--max-cost", "$2")
    film.render("--max-cost", "$2")
    film.assert_whole("door", "reply")


def test_an_edit_buys_what_changed_and_what_continues_it(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", FOUR)
    film.render()
    film.write(FOUR.replace("A door opens.", "A door closes."))
    film.render()
    bought = [job.clip for job in theatre.bill().submissions]
    assert sorted(bought) == ["door", "door", "reply", "reply", "road", "sea"]
    film.write(FOUR)
    film.render()
    assert len(theatre.bill().submissions) == 6


def test_a_take_that_was_stored_before_an_edit_comes_into_the_lock(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    assert film.run(fatal="ledger stored is done#1").code == -signal.SIGKILL
    film.write(ONE.replace("far out", "close by"))
    film.render()
    assert len(film.lock().takes) == 2
    # Also when there is nothing to buy.
    film.lock_path.write_bytes(film.lock_path.read_bytes().splitlines(keepends=True)[0])
    film.render()
    assert {take.request_id for take in film.lock().takes} == {row.request_id for row in film.rows()}


def test_a_take_that_was_ordered_before_an_edit_comes_home(slow_theatre: Theatre, tmp_path: Path) -> None:
    film = slow_theatre.begin(tmp_path / "p", ONE)
    assert film.run(fatal="ledger submitted is done#1").code == -signal.SIGKILL
    film.write(ONE.replace("far out", "close by"))
    film.render()
    rows = film.rows()
    assert [row.state for row in rows] == ["stored", "stored"]
    assert {take.request_id for take in film.lock().takes} == {row.request_id for row in rows}
    assert len(slow_theatre.bill().submissions) == 2


@pytest.mark.parametrize("bought", [True, False])
def test_a_take_that_may_have_been_bought_before_an_edit_is_told_until_it_is_known(
    bought: bool, theatre: Theatre, tmp_path: Path
) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    if bought:
        theatre.sandbox.set_faults(Fault("accept-and-drop", count=1), Fault("history-503"))
        film.render(code=4)
    else:
        assert film.run(fatal="POST job: connection begins#1").code == -signal.SIGKILL
    film.write(ONE.replace("far out", "close by"))
    # The clip of the new version is there after the first time, and what became of the other is not known.
    for _ in range(2):
        told = " ".join(film.render(code=4).stderr.split())
        assert "sea: take 1 of an earlier version, $1.26, may have been bought; `kling reconcile` looks it up" in told
    assert sorted(row.state for row in film.rows()) == ["stored", "uncertain"]
    # Who asks for some clips alone is not held up by others.
    film.render("--only", "sea")
    if bought:
        theatre.sandbox.set_faults()
    else:
        assert film.run("reconcile", "--release", "sea", "--yes").code == 0
    film.render()
    assert {row.state for row in film.rows()} == ({"stored"} if bought else {"stored", "released"})
    assert len(theatre.bill().submissions) == len(film.lock().takes) == 1 + bought


def test_an_upload_that_the_model_cannot_fetch_is_brought_anew(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", HEAD + DOOR)
    film.render()
    theatre.reset()
    # The address of the picture is remembered, and the sandbox that gave it has forgotten it.
    film.write((HEAD + DOOR).replace("A door opens.", "A door bangs."))
    assert "could not fetch one of the files" in film.render(code=4).stdout
    film.run("retake", "door", "--yes")
    assert [row.state for row in film.rows()] == ["stored", "failed", "stored"]
