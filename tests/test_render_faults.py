"""Under every fault the paid request is sent once, and the next render does what is right by what is known of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from render_films import CHAINED, DOOR, FILM, HEAD, ONE, Film, Theatre, staged

from kling_dsl.render.takes import MAX_TRIES
from kling_dsl.sandbox import FAULTS, Fault

SOUND = ONE.replace("Aspect: 16:9", "Aspect: 16:9\nAudio: on")
LINE = ONE.split("\n").index("SHOT sea 3s wide") + 1


class Case(msgspec.Struct, frozen=True):
    """What a fault comes to: the state after the render, how often the paid request was received, and what is said.

    `later` is the state after the next render, to which no fault happens, and `later_posts` what was received by then.
    """

    faults: tuple[Fault, ...]
    state: str
    posts: int = 1
    code: int = 4
    billed: str | None = None
    says: str = ""
    set_aside: bool = False
    later: str = "stored"
    later_posts: int = 1
    film: str = ONE
    settings: Mapping[str, Any] = {}


def once(kind: str, **settings: Any) -> tuple[Fault, ...]:
    return (Fault(kind, count=1, **settings),)


NO_HISTORY = Fault("history-503")
LOST = "the connection was lost after the request was sent"
SLOW = {"patches": {"kling_dsl.render.network:POST_SECONDS": 0.3}}

CASES = {
    # The job was made, and the history says so before the render has ended.
    "accept-and-drop": Case(once("accept-and-drop"), "stored", code=0, says="may have been bought"),
    "accept-and-504": Case(once("accept-and-504"), "stored", code=0, says="504"),
    "slow-answer": Case(once("slow-answer", seconds=0.7), "stored", code=0, settings=SLOW),
    # The job was made, and nobody says so until later.
    "accept-and-drop, no history": Case((*once("accept-and-drop"), NO_HISTORY), "uncertain", says=LOST),
    "accept-and-504, no history": Case((*once("accept-and-504"), NO_HISTORY), "uncertain", says="504"),
    "slow-answer, no history": Case(
        (*once("slow-answer", seconds=0.7), NO_HISTORY), "uncertain", says=LOST, settings=SLOW
    ),
    # No job was made, and nobody can say that from here.
    "drop-before-accept": Case(once("drop-before-accept"), "uncertain", says=LOST, later="uncertain"),
    "http-500": Case(once("http-500"), "uncertain", says="500", later="uncertain"),
    "http-502": Case(once("http-502"), "uncertain", says="502", later="uncertain"),
    "http-503": Case(once("http-503"), "uncertain", says="503", later="uncertain"),
    "http-504": Case(once("http-504"), "uncertain", says="504", later="uncertain"),
    # The provider said no.
    "refuse-429": Case(once("refuse-429"), "stored", code=0, posts=2, later_posts=2, says="429"),
    "refuse-429@1": Case(once("refuse-429", retry_after=1), "stored", code=0, posts=2, later_posts=2, says="429"),
    "refuse-429, always": Case(
        (Fault("refuse-429"),), "failed", posts=MAX_TRIES, billed="no", says="429", later_posts=MAX_TRIES + 1
    ),
    "unauthorized": Case(once("unauthorized"), "failed", billed="no", says="look at FAL_KEY", later_posts=2),
    "exhausted": Case(once("exhausted"), "failed", billed="no", says="look at the balance", later_posts=2),
    # The job failed.
    "job-error": Case(once("job-error"), "failed", billed="no", says="the runner ended with an error", later_posts=2),
    "content-refusal": Case(once("content-refusal"), "failed", billed="maybe", says="reword the shot", later="failed"),
    "content-refusal-billed": Case(
        once("content-refusal-billed"), "failed", billed="maybe", says="reword the shot", later="failed"
    ),
    "result-gone": Case(once("result-gone"), "failed", billed="maybe", says="no longer has the result", later="failed"),
    # The clip is not what it should be.
    "media-missing": Case(once("media-missing"), "failed", billed="maybe", says="no longer has", later="failed"),
    "media-cut": Case(once("media-cut"), "failed", billed="maybe", set_aside=True, later="failed"),
    "media-wrong-length": Case(
        once("media-wrong-length"), "failed", billed="maybe", says="6", set_aside=True, later="failed"
    ),
    "media-not-video": Case(once("media-not-video"), "failed", billed="maybe", set_aside=True, later="failed"),
    "media-silent": Case(
        once("media-silent"), "failed", billed="maybe", says="sound", set_aside=True, later="failed", film=SOUND
    ),
    # The clip comes at last.
    "media-truncated": Case(once("media-truncated"), "stored", code=0),
    "media-drop-midway": Case(once("media-drop-midway"), "stored", code=0),
    "media-truncated, always": Case((Fault("media-truncated"),), "completed", says="bytes"),
    "media-drop-midway, always": Case((Fault("media-drop-midway"),), "completed", says="connection"),
    "requeue": Case(once("requeue"), "stored", code=0),
    "status-503": Case((Fault("status-503", count=2),), "stored", code=0),
    "status-drop": Case((Fault("status-drop", count=2),), "stored", code=0),
}


def test_every_fault_of_the_sandbox_is_tried() -> None:
    tried = {fault.kind for case in CASES.values() for fault in case.faults}
    assert tried | {"upload-503"} == set(FAULTS)


@pytest.mark.parametrize("name", CASES)
def test_a_fault_never_buys_twice(name: str, theatre: Theatre, tmp_path: Path) -> None:
    case = CASES[name]
    film = theatre.begin(tmp_path / "p", case.film, *case.faults)
    ran = film.render(code=case.code, **case.settings)
    row = film.row("sea")
    assert (row.state, row.billed) == (case.state, case.billed)
    assert theatre.bill().paid_posts_received == case.posts
    told = " ".join((ran.stdout + ran.stderr).split())
    assert case.says in told, told
    line = LINE + case.film.count("Audio")
    if case.code:
        assert f"{FILM}:{line}" in told, told
    aside = [place.name for place in film.home.glob("store/quarantine/*")]
    if case.set_aside:
        assert (film.folder / row.quarantine).read_bytes()
        assert row.quarantine in told.replace(" ", ""), told
        assert len(aside) == 3, aside
    else:
        assert not aside
    assert_counted(film)

    theatre.sandbox.set_faults()
    film.render(code=0 if case.later == "stored" else 4)
    assert film.row("sea").state == case.later
    assert theatre.bill().paid_posts_received == case.later_posts
    assert len([job for job in theatre.bill().submissions if job.billed]) <= 1
    assert_counted(film)
    if case.later == "stored":
        assert len(film.lock().takes) == 1
        assert film.store.check(film.row("sea").sha256) == ""


def assert_counted(film: Film) -> None:
    """Assert that whatever the sandbox bills is spent or reserved in the ledger, and each of its jobs is in a row."""
    bill = film.theatre.bill()
    counted = [row for row in film.rows() if row.state not in ("released", "failed") or row.billed == "maybe"]
    assert sum(row.order.price_usd for row in counted) >= bill.total_usd
    known = {row.request_id for row in film.rows()}
    open_rows = sum(row.state == "uncertain" for row in film.rows())
    assert sum(job.billed and job.request_id not in known for job in bill.submissions) <= open_rows


def test_a_take_that_may_be_billed_is_bought_again_by_word_alone(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE, *once("content-refusal"))
    film.render(code=4)
    film.render(code=4)
    assert theatre.bill().paid_posts_received == 1
    retaken = film.run("retake", "sea")
    assert retaken.code == 0, retaken
    assert theatre.bill().paid_posts_received == 2
    assert [(row.key.take, row.state) for row in film.rows()] == [(1, "failed"), (2, "stored")]
    film.render()
    assert theatre.bill().paid_posts_received == 2


def test_a_clip_that_turns_out_to_be_bought_is_followed_by_those_that_continue_it(
    theatre: Theatre, tmp_path: Path
) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED, *once("accept-and-drop"))
    film.render()
    film.assert_whole("door", "reply")
    assert theatre.bill().paid_posts_received == 2


def test_an_uncertain_take_that_was_never_bought_is_bought_when_it_is_released(
    theatre: Theatre, tmp_path: Path
) -> None:
    film = theatre.begin(tmp_path / "p", ONE, *once("http-502"))
    film.render(code=4)
    looked = film.run("reconcile")
    assert (looked.code, theatre.bill().paid_posts_received) == (4, 1)
    assert f"{FILM}:{LINE}" in looked.stdout
    assert film.run("reconcile", "--release", "sea").code == 0
    film.render()
    film.assert_whole("sea")
    assert theatre.bill().paid_posts_received == 2


def test_uploads_that_fail_buy_nothing(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", HEAD + DOOR, Fault("upload-503"))
    ran = film.render(code=4)
    assert theatre.bill().paid_posts_received == 0
    assert film.rows() == ()
    assert "could not be uploaded" in ran.stdout + ran.stderr
    assert f"{FILM}:{HEAD.count(chr(10)) + 2}" in ran.stdout + ran.stderr
    theatre.sandbox.set_faults()
    film.render()
    film.assert_whole("door")


def test_one_clip_that_fails_stops_no_other(theatre: Theatre, tmp_path: Path) -> None:
    from render_films import FOUR

    film = theatre.begin(tmp_path / "p", FOUR, *once("drop-before-accept"))
    # One at a time: the door is bought first, and the reply begins where the door ends.
    ran = film.render("--concurrency", "1", code=4)
    states = {row.order.clip: row.state for row in film.rows()}
    assert sorted(states.values()) == ["stored", "stored", "uncertain"] or states == {
        "door": "stored",
        "reply": "stored",
        **{clip: states[clip] for clip in ("sea", "road")},
    }
    assert len(theatre.bill().submissions) == sum(state == "stored" for state in states.values())
    assert "uncertain" in ran.stdout + ran.stderr


@contextlib.contextmanager
def refused_port() -> Iterator[int]:
    """Give a port at which nothing listens, and which nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def counting_port(seen: list[int]) -> Iterator[int]:
    """Give a port that closes every connection at once and counts them."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    seen.append(1)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


FIRST, SECOND = "queue.fal.run", "queue.falrun.com"
DIRECT = {"HTTPS_PROXY": "", "https_proxy": ""}
QUEUE = "fal_client.auth:FAL_QUEUE_RUN_HOST"


def hosts_at(theatre: Theatre, **others: int) -> dict[str, int]:
    port = int(theatre.sandbox.host.partition(":")[2])
    names = (FIRST, SECOND, "api.fal.ai", "rest.fal.ai", "v3b.fal.media", "v3.fal.media")
    return {**dict.fromkeys(names, port), **others}


def test_a_host_of_its_own_that_is_not_there_has_no_second(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    with refused_port() as port:
        ran = film.render(code=4, patches={QUEUE: f"127.0.0.1:{port}", "kling_dsl.render.takes:MAX_TRIES": 2})
    assert (film.row("sea").state, film.row("sea").billed, film.row("sea").attempt) == ("failed", "no", 2)
    assert "could not be reached" in ran.stderr
    assert theatre.bill().paid_posts_received == 0
    film.render()
    film.assert_whole("sea")


def test_the_second_host_is_used_when_the_first_cannot_be_reached(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE)
    with refused_port() as port:
        film.render(patches={QUEUE: FIRST}, hosts=hosts_at(theatre, **{FIRST: port}), environment=DIRECT)
    assert theatre.bill().paid_posts_received == 1
    assert SECOND in film.row("sea").status_url
    film.assert_whole("sea")


def test_the_second_host_is_left_alone_when_the_first_was_sent_anything(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE, *once("drop-before-accept"))
    seen: list[int] = []
    with counting_port(seen) as port:
        film.render(code=4, patches={QUEUE: FIRST}, hosts=hosts_at(theatre, **{SECOND: port}), environment=DIRECT)
    assert (theatre.bill().paid_posts_received, seen) == (1, [])
    assert film.row("sea").state == "uncertain"


@pytest.mark.parametrize("kind", ["accept-and-drop", "accept-and-504"])
def test_what_the_history_has_is_adopted_whatever_its_pages(kind: str, tmp_path: Path) -> None:
    with staged(tmp_path / "sandbox") as theatre:
        film = theatre.begin(tmp_path / "p", ONE)
        # Other requests of the account, on pages of their own.
        film.render()
        film.write(ONE.replace("far out", "quite near"))
        theatre.sandbox.set_faults(Fault(kind, count=1))
        film.render(patches={"kling_dsl.render.reconcile:PAGE_SIZE": 1})
        assert theatre.bill().paid_posts_received == 2
        assert [row.state for row in film.rows()] == ["stored", "stored"]
        (adopted,) = [event for event in film.events() if "found in the provider's history" in str(event.details)]
        assert adopted.key == film.rows()[1].key


def test_a_history_that_lags_is_waited_for(tmp_path: Path) -> None:
    with staged(tmp_path / "sandbox", history_delay_seconds=1.5) as theatre:
        film = theatre.begin(tmp_path / "p", ONE, *once("accept-and-drop"))
        film.render(code=4)
        assert film.row("sea").state == "uncertain"
        film.render(code=4)
        assert theatre.bill().paid_posts_received == 1
        appeared = threading.Event()
        for _ in range(20):
            appeared.wait(0.2)
            if film.run().code == 0:
                break
        film.assert_whole("sea")
        assert theatre.bill().paid_posts_received == 1
