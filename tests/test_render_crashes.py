"""A render that is killed anywhere is finished by the next one: every clip is bought once, and none is lost."""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from pathlib import Path

import pytest
from render_boundaries import SENT, WIRE_STEPS
from render_films import FILM, FOUR, Film, Ran, Theatre

CHUNKS = 8
"""In how many tests the points of the crash test are spread, so that several workers share them."""

FIRST_SENT = f"{SENT}#1"


@pytest.fixture(scope="module")
def points(theatre: Theatre, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return every boundary that a render of the chained film crosses."""
    film = theatre.begin(tmp_path_factory.mktemp("first") / "p")
    return film.render().crossed


@pytest.fixture(scope="module")
def points_of_four(theatre: Theatre, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the boundaries of a render of four clips at once, one of each kind: neither the first nor the last."""
    film = theatre.begin(tmp_path_factory.mktemp("first") / "p", FOUR)
    crossed = film.render("--concurrency", "4").crossed
    assert {take.clip for take in film.lock().takes} == {"door", "reply", "sea", "road"}
    counts = Counter(point.partition("#")[0] for point in crossed)
    return tuple(f"{name}#{(count + 1) // 2}" for name, count in counts.items())


def assert_honest(film: Film) -> None:
    """Assert what holds at every moment: a paid job has a row that counts it, and no clip is bought twice."""
    bill = film.theatre.bill()
    assert bill.problems == ()
    assert set(Counter(job.clip for job in bill.submissions).values()) <= {1}
    rows = {row.order.clip: row for row in film.rows()} if (film.home / "ledger.db").exists() else {}
    for job in bill.submissions:
        row = rows[job.clip]
        assert row.state in ("intent", "submitted", "completed", "stored", "uncertain")
        assert row.request_id in ("", job.request_id)
        assert row.request_id or row.state in ("intent", "uncertain")


def finish(film: Film, *clips: str, words: tuple[str, ...] = ()) -> str:
    """Render to the end after a crash, and assert that it is one; return what there was to do on the way."""
    assert_honest(film)
    ran = film.run("render", FILM, *words)
    assert_honest(film)
    how = "resumed"
    if ran.code:
        assert ran.code == 4, ran
        how = release(film, ran)
        film.render(*words)
    film.assert_whole(*clips)
    again = film.render(*words)
    assert not [point for point in again.crossed if point.startswith(("POST", "GET"))]
    film.assert_whole(*clips)
    return how


def release(film: Film, ran: Ran) -> str:
    """Release what nobody can know: a request that was being sent, and that the provider has not."""
    uncertain = [row.order.clip for row in film.rows() if row.state == "uncertain"]
    assert uncertain, ran
    bought = {job.clip for job in film.theatre.bill().submissions}
    assert not bought & set(uncertain), "it is in the provider's history, and was not found there"
    for clip in uncertain:
        released = film.run("reconcile", "--release", clip)
        assert released.code == 0, released
    return "released"


def test_a_render_crosses_every_kind_of_boundary(points: tuple[str, ...]) -> None:
    names = {point.partition("#")[0] for point in points}
    for verb in ("keep_upload", "reserve", "submitted", "completed", "stored"):
        assert {f"ledger {verb} begins", f"ledger {verb} is done"} <= names
    assert {SENT, *(f"POST job: {name}" for name in WIRE_STEPS.values())} <= names
    for kind in ("status", "result", "clip"):
        assert {f"GET {kind} begins", f"GET {kind} is answered"} <= names
    assert {"ledger: written and not committed", "fsync part", "fsync store", "replace store", "unlink part"} <= names
    assert {"fsync lock", "replace lock", "unlink lease", "link out", "replace out"} <= names
    assert "a piece of a clip is written#4" in points
    assert len(points) > 100


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_render_that_is_killed_anywhere_is_resumed(
    chunk: int, theatre: Theatre, points: tuple[str, ...], tmp_path: Path
) -> None:
    how: Counter[str] = Counter()
    for number, point in enumerate(points[chunk::CHUNKS]):
        film = theatre.begin(tmp_path / f"p{number}")
        killed = film.run(fatal=point)
        # How often a job is asked after depends on the moment.
        assert killed.code == -signal.SIGKILL or (killed.code == 0 and "status" in point), (point, killed)
        how[finish(film, "door", "reply")] += 1
    assert how["resumed"] > how["released"]


def test_a_resumed_render_that_is_killed_again_is_resumed(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "first")
    assert film.run(fatal=FIRST_SENT).code == -signal.SIGKILL
    crossed = film.render().crossed
    wanted = ("ledger take_over", "ledger uncertain", "ledger adopted", "GET history")
    points = [point for point in crossed if point.startswith(wanted)]
    points += [point for point in crossed if point.startswith("ledger: written")][:3]
    assert {f"{name} begins#1" for name in wanted} < set(points)
    for number, point in enumerate(points):
        film = theatre.begin(tmp_path / f"p{number}")
        assert film.run(fatal=FIRST_SENT).code == -signal.SIGKILL
        assert film.run(fatal=point).code == -signal.SIGKILL, point
        assert finish(film, "door", "reply") == "resumed"


@pytest.mark.parametrize("chunk", range(3))
def test_a_render_of_several_at_once_that_is_killed_is_resumed(
    chunk: int, theatre: Theatre, points_of_four: tuple[str, ...], tmp_path: Path
) -> None:
    killed = 0
    for number, point in enumerate(points_of_four[chunk::3]):
        film = theatre.begin(tmp_path / f"p{number}", FOUR)
        ran = film.run("render", FILM, "--concurrency", "4", fatal=point)
        assert ran.code in (0, -signal.SIGKILL), ran
        killed += ran.code != 0
        finish(film, "door", "reply", "sea", "road", words=("--concurrency", "4"))
    assert killed >= 10


@pytest.mark.parametrize("chunk", range(2))
def test_one_of_two_renders_is_killed_and_the_other_ends_with_all_clips(
    chunk: int, theatre: Theatre, points_of_four: tuple[str, ...], tmp_path: Path
) -> None:
    killed = survived = 0
    for number, point in enumerate(itertools.islice(points_of_four, chunk, None, 4)):
        film = theatre.begin(tmp_path / f"p{number}", FOUR)
        first, second = theatre.driver.run(film.job(fatal=point), film.job())
        assert first.code in (0, 4, -signal.SIGKILL), first
        assert second.code in (0, 4), second
        assert "Traceback" not in first.stderr + second.stderr
        killed += first.code < 0
        if first.code < 0 and second.code == 0:
            survived += 1
            film.assert_whole("door", "reply", "sea", "road")
        finish(film, "door", "reply", "sea", "road")
    assert killed >= survived >= 3
