"""Takes of which nobody knows, and those that a run left behind: looked up, adopted or freed, and never bought twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from ledger_samples import AT, order_of
from render_films import FILM, ONE, ROAD, Theatre
from rendered import DEAD, Rendered

from kling_dsl.ledger import Ledger, open_ledger
from kling_dsl.ledger.leases import Lease
from kling_dsl.render.account import Account, sandbox_account
from kling_dsl.render.clock import Clock
from kling_dsl.render.engine import Tools
from kling_dsl.render.inheritance import inherit
from kling_dsl.render.problems import AccountRefused
from kling_dsl.render.reconcile import History, HistoryUnavailable, read_history, reconcile
from kling_dsl.render.recovery import Recovered, recover
from kling_dsl.sandbox import Fault

LOST = (Fault("accept-and-drop", count=1), Fault("history-503"))
PAGES = "kling_dsl.render.reconcile:PAGE_SIZE"
MOST_PAGES = "kling_dsl.render.reconcile:MAX_PAGES"
ACCOUNT = Account("Key x:y", "queue.fal.run", "x:y")


def test_what_is_found_on_a_later_page_of_the_history_is_adopted_and_told(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE, *LOST)
    film.render(code=4)
    assert film.row("sea").state == "uncertain"
    film.write(ONE + ROAD)
    # The history begins with the newest, so that the one that was lost stands behind the one that came after it.
    second = film.render("--format", "json", code=4)
    assert "1 uncertain: the request history cannot be read for now: the provider answered 503" in second.stderr
    assert {row.order.clip: row.state for row in film.rows()} == {"sea": "uncertain", "road": "stored"}

    theatre.sandbox.set_faults()
    short = film.run("reconcile", patches={PAGES: 1, MOST_PAGES: 1})
    assert short.code == 4, short
    assert "the request history has more than 1 pages since" in short.stderr
    assert film.row("sea").state == "uncertain"

    found = film.run("reconcile", patches={PAGES: 1})
    assert found.code == 0, found
    bought = next(job.request_id for job in theatre.bill().submissions if job.clip == "sea")
    assert found.stdout == f"sea: take 1 was bought, request {bought}; `kling render {FILM}` brings it home\n"
    assert film.run("reconcile").stdout == "nothing is uncertain\n"
    film.render()
    film.assert_whole("sea", "road")
    assert theatre.bill().paid_posts_received == 2


def history(*answers: httpx.Response | httpx.HTTPError) -> tuple[Any, int]:
    """Return what reading the history came to, and how often it was asked for."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        given = left.pop(0)
        if isinstance(given, httpx.HTTPError):
            raise given
        return given

    async def ask() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await read_history("a/b", AT, account=ACCOUNT, client=client)

    try:
        found = asyncio.run(ask())
    except (AccountRefused, HistoryUnavailable) as problem:
        found = problem
    return found, len(answers) - len(left)


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_refused_key_is_told_as_such_and_not_as_a_history_without_the_take(code: int) -> None:
    found, asked = history(httpx.Response(code, json={"detail": "no"}))
    assert isinstance(found, AccountRefused)
    assert (str(found), asked) == (f"the provider refuses the key for the request history ({code}, no)", 1)


@pytest.mark.parametrize("code", [302, 400, 404, 422])
def test_a_history_that_is_not_there_leaves_the_take_uncertain(code: int) -> None:
    found, asked = history(httpx.Response(code, json={"items": []}))
    assert isinstance(found, HistoryUnavailable)
    assert (str(found), asked) == (f"the provider answered {code} when asked for the request history", 1)


def test_a_history_that_breaks_off_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import stamina

    real = stamina.retry_context
    monkeypatch.setattr(stamina, "retry_context", lambda **rules: real(**{**rules, "wait_initial": 0, "wait_max": 0}))
    broken = httpx.ReadError("")
    assert history(broken, httpx.Response(503), httpx.Response(429), httpx.Response(200, json={})) == (History(()), 4)
    found, asked = history(*(broken,) * 5)
    assert isinstance(found, HistoryUnavailable)
    assert (str(found), asked) == ("the request history cannot be read for now: ReadError", 4)


@pytest.mark.parametrize(
    ("date", "hour"),
    [
        ("Mon, 30 Nov 2026 10:00:00 GMT", 10),
        ("Mon, 30 Nov 2026 10:00:00 -0000", 10),
        ("Mon, 30 Nov 2026 10:00:00 +0200", 8),
        ("Mon, 30 Nov 99999 10:00:00 GMT", None),
        ("half past ten", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("code", [200, 422])
def test_the_history_tells_the_time_also_when_it_refuses(code: int, date: str, hour: int | None) -> None:
    found, _ = history(httpx.Response(code, json={}, headers={"Date": date}))
    assert found.told_at == (None if hour is None else datetime(2026, 11, 30, hour, tzinfo=UTC))


class Wrong(Clock):
    """A clock that is wrong by some days, and has stopped."""

    def __init__(self, days: int) -> None:
        self._days = days

    def now(self) -> datetime:
        return AT + timedelta(days=self._days)


@pytest.mark.parametrize("days", [3, -3], ids=["refused", "more pages than are read"])
def test_a_history_that_cannot_be_read_by_our_time_is_asked_with_its_own(days: int, tmp_path: Path) -> None:
    clock = Wrong(days)

    def answer(request: httpx.Request) -> httpx.Response:
        told = {"Date": format_datetime(AT, usegmt=True)}
        start = datetime.fromisoformat(request.url.params["start"])
        if start < AT - timedelta(days=1):
            return httpx.Response(200, json={"items": [], "has_more": True, "next_cursor": "on"}, headers=told)
        if start > AT:
            return httpx.Response(422, json={"detail": "start lies in the future"}, headers=told)
        past = {"request_id": "ours", "sent_at": AT.isoformat(), "json_input": order_of().request.decode()}
        return httpx.Response(200, json={"items": [past]}, headers=told)

    async def look(ledger: Ledger) -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await reconcile(ledger.rows(), ledger=ledger, account=ACCOUNT, client=client, clock=clock)

    with open_ledger(tmp_path / "ledger.db", run="run") as ledger:
        ledger.reserve(order_of(), (), at=clock.now())
        ledger.uncertain(order_of().key, reason="the connection was lost", at=clock.now())
        (found,) = asyncio.run(look(ledger))
        assert (found.request_id, ledger.rows()[0].state) == ("ours", "submitted")


def recovered(project: Rendered, run: str, *, is_new: bool) -> Recovered:
    """Return what a run finds out that has no network: whatever asks the provider fails."""
    import msgspec

    stage = msgspec.structs.replace(project.desk().stage, is_new=is_new)
    nothing: Any = None
    with open_ledger(stage.ledger, run=run) as ledger:
        tools = Tools(ledger, nothing, sandbox_account(), nothing, Clock(), nothing)
        return asyncio.run(recover(tools, stage))


def test_takes_of_a_sandbox_that_has_ended_are_free_again(tmp_path: Path) -> None:
    project = Rendered(tmp_path / "p", sandbox=True)
    project.bring("wake", to="intent")
    project.bring("stove", to="submitted")
    project.bring("stove", 2, to="uncertain")
    with Lease(project.desk().stage.runs) as now:
        assert recovered(project, now.run, is_new=True) == Recovered()
    with project.ledger() as ledger:
        states = {(row.order.clip, row.key.take): (row.state, row.billed, row.reason) for row in ledger.rows()}
    ended = "the sandbox that was making it has ended"
    assert states == {
        ("wake", 1): ("released", None, ended),
        ("stove", 1): ("failed", "no", ended),
        ("stove", 2): ("released", None, ended),
    }


def test_takes_of_a_sandbox_that_another_run_still_uses_are_left_alone(tmp_path: Path) -> None:
    project = Rendered(tmp_path / "p", sandbox=True)
    runs = project.desk().stage.runs
    with Lease(runs) as other, Lease(runs) as now:
        project.bring("wake", to="intent", run=other.run)
        project.bring("stove", to="submitted", run=other.run)
        project.bring("stove", 2, to="submitted", run=now.run)
        assert recovered(project, now.run, is_new=True) == Recovered()
        with project.ledger() as ledger:
            assert [row.state for row in ledger.rows()] == ["intent", "submitted", "submitted"]


def test_a_run_that_is_gone_is_inherited_by_one_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path, run=DEAD) as gone:
        gone.reserve(order_of(), (), at=AT)
        (row,) = gone.rows()
    with open_ledger(path, run="first") as first, open_ledger(path, run="second") as second:
        ours = inherit(row, first, at=AT)
        assert ours is not None
        assert (ours.state, ours.owner) == ("uncertain", "first")
        assert inherit(row, second, at=AT) is None
        assert [(each.state, each.owner) for each in second.rows()] == [("uncertain", "first")]
