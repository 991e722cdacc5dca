"""The ledger lets a take go only where it may, counts every cent, and forgets nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from pathlib import Path
from typing import get_args

import pytest
from ledger_samples import (
    AT,
    CLIP,
    FILM,
    PRICE,
    STANDINGS,
    TAKEN,
    VERBS,
    complete,
    doubt,
    fail_billed,
    fail_free,
    key_of,
    later,
    order_of,
    quarantine,
    release,
    reserve,
    store,
    submit,
    total,
)

from kling_dsl.ledger import (
    STATES,
    Conflict,
    Key,
    Ledger,
    Limit,
    Refused,
    Reserved,
    Row,
    Scope,
    Spending,
    State,
    Taken,
    open_ledger,
)
from kling_dsl.ledger.sqlite import SqliteLedger
from kling_dsl.ledger.values import RESERVED

OURS = "20261122T170342-aaaaaaaa"
THEIRS = "20261122T170343-bbbbbbbb"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".kling" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    with open_ledger(path, run=OURS) as opened:
        yield opened


@pytest.fixture
def theirs(ledger: SqliteLedger, path: Path) -> Iterator[SqliteLedger]:
    """The same ledger, opened by another run."""
    with open_ledger(path, run=THEIRS) as opened:
        yield opened


LEGAL: dict[tuple[str, str], State] = {
    ("none", "reserve"): "intent",
    ("failed (no)", "reserve"): "intent",
    ("released", "reserve"): "intent",
    ("intent", "submitted"): "submitted",
    ("submitted", "completed"): "completed",
    ("completed", "stored"): "stored",
    ("failed (quarantine)", "stored"): "stored",
    ("intent", "failed (no)"): "failed",
    ("submitted", "failed (no)"): "failed",
    ("submitted", "failed (maybe)"): "failed",
    ("completed", "failed (no)"): "failed",
    ("completed", "failed (maybe)"): "failed",
    ("intent", "uncertain"): "uncertain",
    ("uncertain", "adopted"): "submitted",
    ("uncertain", "released"): "released",
    ("stored", "reopened"): "completed",
}
"""Every step that may be gone, and where it leads; every other pair must be refused."""

FOR_ANYONE = {
    *(("none", "reserve"), ("failed (no)", "reserve"), ("released", "reserve"), ("failed (quarantine)", "stored")),
    *(("uncertain", "adopted"), ("uncertain", "released"), ("stored", "reopened")),
}
"""Those that a run may go with a row of another."""


@pytest.mark.parametrize("who", [OURS, THEIRS])
@pytest.mark.parametrize("standing", STANDINGS)
def test_each_verb_goes_only_where_it_may(ledger: SqliteLedger, theirs: SqliteLedger, standing: str, who: str) -> None:
    mover = ledger if who == OURS else theirs
    for verb, go in VERBS.items():
        key = STANDINGS[standing](ledger, verb)
        before, history = ledger.row(key), ledger.events(key)
        target = LEGAL.get((standing, verb))
        if target and (who == OURS or (standing, verb) in FOR_ANYONE):
            assert isinstance(go(mover, key), Reserved | Row)
            row = ledger.row(key)
            assert row is not None
            assert (row.state, row.owner) == (target, who), verb
            event = ledger.events(key)[-1]
            assert (event.from_state, event.to_state, event.run) == (before.state if before else None, target, who)
            assert len(ledger.events(key)) == len(history) + 1
            continue
        if verb == "reserve":
            assert go(mover, key) == Taken(before) if before else None
        else:
            with pytest.raises(Conflict, match=verb.partition(" ")[0]):
                go(mover, key)
        assert (ledger.row(key), ledger.events(key)) == (before, history), verb


def test_the_table_above_knows_every_state() -> None:
    assert {standing.partition(" ")[0] for standing in STANDINGS} == {"none", *get_args(State)}
    assert set(STATES) == set(get_args(State)) == {"none", *LEGAL.values(), "released"} - {"none"}


def test_a_new_row_holds_the_whole_order(ledger: SqliteLedger) -> None:
    order = order_of("door", 2)
    done = ledger.reserve(order, (), at=AT)
    assert isinstance(done, Reserved)
    row = done.row
    assert row.order == order
    assert (row.state, row.run, row.owner, row.number, row.attempt) == ("intent", OURS, OURS, 1, 1)
    assert (row.reserved_at, row.updated_at) == (AT, AT)
    assert (row.submitted_at, row.completed_at, row.stored_at, row.billed, row.billed_units) == (None,) * 5
    assert (row.reason, row.quarantine, row.request_id, row.sha256, row.result) == ("", "", "", "", b"")
    assert ledger.row(Key("door", 2)) == row
    assert ledger.row(Key("door", 1)) is None


def test_a_row_keeps_what_each_step_told_and_when(ledger: SqliteLedger) -> None:
    key = reserve(ledger, "door")
    ledger.submitted(key, **TAKEN, at=later(1))
    ledger.completed(key, result=b'{"seed":\xff}', billed_units=Decimal("5.50"), at=later(2))
    ledger.stored(key, sha256=CLIP, at=later(3))
    row = ledger.row(key)
    assert row is not None
    assert {name: getattr(row, name) for name in TAKEN} == TAKEN
    assert (row.result, str(row.billed_units), row.sha256) == (b'{"seed":\xff}', "5.50", CLIP)
    assert (row.reserved_at, row.submitted_at, row.completed_at, row.stored_at) == (AT, later(1), later(2), later(3))
    assert row.updated_at == later(3)


def test_the_history_is_complete_over_several_attempts(ledger: SqliteLedger, theirs: SqliteLedger) -> None:
    key = complete(ledger, "door")
    ledger.failed(key, billed="no", reason="the runner broke", at=later(1))
    assert isinstance(theirs.reserve(order_of("door", price=Decimal("0.42")), (), at=later(2)), Reserved)
    row = ledger.row(key)
    assert row is not None
    assert (row.attempt, row.run, row.owner, row.number) == (2, THEIRS, THEIRS, 1)
    assert (row.request_id, row.result, row.reason, row.billed, row.submitted_at, row.completed_at) == (
        *("", b"", "", None),
        *(None, None),
    )
    assert (row.reserved_at, row.order.price_usd) == (later(2), Decimal("0.42"))
    events = ledger.events(key)
    assert [(event.run, event.from_state, event.to_state) for event in events] == [
        (OURS, None, "intent"),
        (OURS, "intent", "submitted"),
        (OURS, "submitted", "completed"),
        (OURS, "completed", "failed"),
        (THEIRS, "failed", "intent"),
    ]
    assert [event.at for event in events] == [AT, AT, AT, later(1), later(2)]
    assert [event.number for event in events] == sorted({event.number for event in events})
    # What the second attempt cleared in the row is still told.
    assert events[1].details["request_id"] == "request-1"
    assert "media.example" in events[2].details["result"]
    assert events[3].details == {"billed": "no", "reason": "the runner broke", "quarantine": ""}
    assert (events[0].details["price_usd"], events[4].details["price_usd"]) == ("2.10", "0.42")


def test_history_and_takes_cannot_be_removed(ledger: SqliteLedger) -> None:
    store(ledger, "door")
    for statement, why in (
        ("DELETE FROM takes", "a take is never deleted"),
        ("DELETE FROM events", "history stays"),
        ("UPDATE events SET run = ''", "history stays"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=f"^{why}$"):
            ledger._connection.execute(statement)
    assert len(ledger.events(key_of("door"))) == 4


def test_taking_over_needs_the_owner_to_be_who_was_thought(ledger: SqliteLedger, theirs: SqliteLedger) -> None:
    key = reserve(ledger, "door")
    assert theirs.take_over(key, from_run=OURS, at=later(1))
    assert not theirs.take_over(key, from_run=OURS, at=later(2))
    row = ledger.row(key)
    assert row is not None
    assert (row.owner, row.run, row.state, row.updated_at) == (THEIRS, OURS, "intent", later(1))
    with pytest.raises(Conflict, match=f"belongs to the run {THEIRS}"):
        ledger.submitted(key, **TAKEN, at=later(3))
    event = ledger.events(key)[-1]
    assert (event.from_state, event.to_state, event.details) == ("intent", "intent", {"taken_over_from": OURS})
    with pytest.raises(Conflict, match="never reserved"):
        theirs.take_over(key_of("window"), from_run=OURS, at=AT)


def test_a_delivered_clip_is_never_said_to_be_free(ledger: SqliteLedger) -> None:
    key = complete(ledger, "door")
    with pytest.raises(ValueError, match="may have been billed"):
        ledger.failed(key, billed="no", reason="too short", quarantine="quarantine/door-1-1.mp4", at=AT)
    row = ledger.row(key)
    assert row is not None
    assert row.state == "completed"


def test_a_kept_clip_is_spent_as_before(ledger: SqliteLedger) -> None:
    key = quarantine(ledger, "door")
    before = ledger.spending()
    ledger.stored(key, sha256=CLIP, at=AT)
    assert ledger.spending() == before == Spending(PRICE, Decimal(0))
    row = ledger.row(key)
    assert row is not None
    assert (row.quarantine, row.reason, row.billed, row.sha256) == ("", "", None, CLIP)


COUNTED = {
    **dict.fromkeys(("intent", "submitted", "completed", "uncertain"), ("0", "2.10")),
    **dict.fromkeys(("stored", "failed (maybe)", "failed (quarantine)"), ("2.10", "0")),
    **dict.fromkeys(("none", "failed (no)", "released"), ("0", "0")),
}


REFUSED_BY_THE_FILE = (
    ("UPDATE takes SET fingerprint = ''", "CHECK"),
    ("UPDATE takes SET take = 0", "CHECK"),
    ("UPDATE takes SET price_nanos = -1", "CHECK"),
    ("UPDATE takes SET price_nanos = 0.5", "CHECK"),
    ("UPDATE takes SET state = 'lost'", "CHECK"),
    ("UPDATE takes SET billed = 'no'", "CHECK"),
    ("UPDATE takes SET state = 'failed'", "CHECK"),
    ("UPDATE takes SET state = 'failed', billed = 'perhaps'", "CHECK"),
    ("UPDATE takes SET fingerprint = 'window' WHERE number = 1", "UNIQUE"),
    (
        "INSERT INTO events (take_number, at, run, to_state, details) VALUES (99, '', '', 'stored', '')",
        "FOREIGN KEY",
    ),
)


def test_the_file_itself_refuses_what_no_take_can_be(ledger: SqliteLedger) -> None:
    store(ledger, "door")
    store(ledger, "window")
    for statement, kind in REFUSED_BY_THE_FILE:
        with pytest.raises(sqlite3.IntegrityError, match=f"^{kind} constraint failed"):
            ledger._connection.execute(statement)


@pytest.mark.parametrize("standing", STANDINGS)
def test_what_counts_as_spent_and_what_as_reserved(ledger: SqliteLedger, standing: str) -> None:
    STANDINGS[standing](ledger, "door")
    spent, reserved = map(Decimal, COUNTED[standing])
    expected = Spending(spent, reserved)
    assert ledger.spending() == expected
    assert ledger.spending(film=FILM) == ledger.spending(run=OURS) == ledger.spending(since=AT) == expected
    assert ledger.spending(film=FILM, run=OURS) == ledger.spending(film=FILM, run=OURS, since=AT) == expected
    nothing = Spending(Decimal(0), Decimal(0))
    assert ledger.spending(film="films/other.kling") == ledger.spending(run=THEIRS) == nothing
    assert ledger.spending(since=later(1)) == ledger.spending(film=FILM, run=THEIRS) == nothing
    assert (reserved > 0) == (standing in RESERVED)


def test_a_limit_is_kept_to_the_cent(ledger: SqliteLedger) -> None:
    limits = (total("4.20"),)
    assert isinstance(ledger.reserve(order_of("one"), limits, at=AT), Reserved)
    assert isinstance(ledger.reserve(order_of("two"), limits, at=AT), Reserved)
    refused = ledger.reserve(order_of("three", price=Decimal("0.000000001")), limits, at=AT)
    assert refused == Refused(limits[0], Spending(Decimal(0), Decimal("4.20")), Decimal("0.000000001"))
    assert ledger.row(key_of("three")) is None
    assert ledger.events(key_of("three")) == ()
    # A take that is bought already is not refused for money.
    assert isinstance(ledger.reserve(order_of("one"), (total("0"),), at=AT), Taken)


def test_a_refused_second_attempt_leaves_the_first_as_it_was(ledger: SqliteLedger) -> None:
    key = fail_free(ledger, "door")
    before = ledger.row(key)
    assert isinstance(ledger.reserve(order_of("door"), (total("2.09"),), at=AT), Refused)
    assert ledger.row(key) == before
    assert len(ledger.events(key)) == 2


def test_each_scope_counts_its_own(ledger: SqliteLedger, theirs: SqliteLedger) -> None:
    day = datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=1)))
    assert isinstance(theirs.reserve(order_of("old"), (), at=day - timedelta(seconds=1)), Reserved)
    assert isinstance(theirs.reserve(order_of("new", film="films/other.kling"), (), at=day), Reserved)
    assert isinstance(ledger.reserve(order_of("ours"), (), at=AT), Reserved)
    spent = {}
    for limit in (Limit("run", PRICE), Limit("film", PRICE), Limit("day", PRICE, day), Limit("total", PRICE)):
        refused = ledger.reserve(order_of("wanted"), (limit,), at=AT)
        assert isinstance(refused, Refused)
        spent[limit.scope] = refused.spending.total_usd / PRICE
    assert spent == {"run": 1, "film": 2, "day": 2, "total": 3}
    every = (Limit("run", 2 * PRICE), Limit("film", 3 * PRICE), Limit("day", 3 * PRICE, day), Limit("total", 4 * PRICE))
    assert isinstance(ledger.reserve(order_of("wanted"), every, at=AT), Reserved)
    tightest = ledger.reserve(order_of("more"), every, at=AT)
    assert isinstance(tightest, Refused)
    assert tightest.limit.scope == "run"
    with pytest.raises(ValueError, match="when the day began"):
        ledger.reserve(order_of("more"), (Limit("day", PRICE),), at=AT)


def every_scope(usd: Decimal) -> Iterator[Limit]:
    for scope in get_args(Scope):
        yield Limit(scope, usd, since=AT if scope == "day" else None)


@pytest.mark.parametrize("stand", [reserve, submit, complete, store, fail_billed, quarantine, doubt])
def test_every_limit_counts_the_money_of_every_take_that_may_be_billed(
    ledger: SqliteLedger, stand: Callable[[Ledger, str], Key]
) -> None:
    stand(ledger, "door")
    for limit in every_scope(2 * PRICE - Decimal("0.01")):
        refused = ledger.reserve(order_of("window"), (limit,), at=AT)
        assert isinstance(refused, Refused), limit.scope
        assert refused.spending.total_usd == PRICE
    assert isinstance(ledger.reserve(order_of("window"), (*every_scope(2 * PRICE),), at=AT), Reserved)


@pytest.mark.parametrize("stand", [fail_free, release])
def test_no_limit_counts_the_money_that_is_free_again(
    ledger: SqliteLedger, stand: Callable[[Ledger, str], Key]
) -> None:
    stand(ledger, "door")
    assert isinstance(ledger.reserve(order_of("window"), (*every_scope(PRICE),), at=AT), Reserved)


def test_a_clock_that_goes_back_buys_nothing_extra(ledger: SqliteLedger) -> None:
    today = Limit("day", PRICE, AT)
    assert isinstance(ledger.reserve(order_of("tomorrow"), (today,), at=later(86400)), Reserved)
    yesterday = Limit("day", PRICE, later(-86400))
    assert isinstance(ledger.reserve(order_of("again"), (yesterday,), at=later(-3600)), Refused)
    # Order is by number and not by time, and a step may be dated before the one that it follows.
    key = key_of("tomorrow")
    ledger.submitted(key, **TAKEN, at=later(-3600))
    reserve(ledger, "second")
    assert [row.order.clip for row in ledger.rows()] == ["tomorrow", "second"]
    assert [event.to_state for event in ledger.events(key)] == ["intent", "submitted"]


@pytest.mark.parametrize(
    ("price", "kept"),
    [
        ("2.10", "2.10"),
        ("0.336", "0.336"),
        ("0", "0"),
        ("0.1234567891", "0.123456790"),
        ("1e-30", "0.000000001"),
        ("999999999.999999999", "999999999.999999999"),
        ("2.1" + "0" * 40, "2.10"),
    ],
)
def test_money_comes_back_as_it_went_in(ledger: SqliteLedger, price: str, kept: str) -> None:
    with localcontext(prec=3):
        done = ledger.reserve(order_of("door", price=Decimal(price)), (), at=AT)
    assert isinstance(done, Reserved)
    assert done.row.order.price_usd == Decimal(kept)
    assert ledger.spending().reserved_usd == Decimal(kept)


@pytest.mark.parametrize("price", ["-0.01", "NaN", "Infinity", "1e12"])
def test_what_is_no_price_is_refused_before_anything_is_written(ledger: SqliteLedger, price: str) -> None:
    with pytest.raises(ValueError, match="dollars"):
        ledger.reserve(order_of("door", price=Decimal(price)), (), at=AT)
    assert ledger.rows() == ()


def test_many_small_amounts_add_up_exactly(ledger: SqliteLedger) -> None:
    limits = (total("1"),)
    outcomes = [ledger.reserve(order_of(f"{n}", price=Decimal("0.1")), limits, at=AT) for n in range(11)]
    assert [type(outcome) for outcome in outcomes] == [Reserved] * 10 + [Refused]
    assert ledger.spending().total_usd == 1


def test_rows_are_found_by_film_state_and_fingerprint(ledger: SqliteLedger) -> None:
    store(ledger, "a")
    doubt(ledger, "b")
    submit(ledger, "c")
    ledger.reserve(order_of("c", 2), (), at=AT)
    ledger.reserve(order_of("d", film="films/other.kling"), (), at=AT)

    def found(**wanted: object) -> list[tuple[str, int]]:
        rows = ledger.rows(**wanted)  # type: ignore[arg-type]
        assert [row.number for row in rows] == sorted(row.number for row in rows)
        return [(row.key.fingerprint, row.key.take) for row in rows]

    assert found() == [("a", 1), ("b", 1), ("c", 1), ("c", 2), ("d", 1)]
    assert found(film="films/other.kling") == [("d", 1)]
    assert found(states=("uncertain", "submitted")) == [("b", 1), ("c", 1)]
    assert found(fingerprints=("d", "c", "nowhere")) == [("c", 1), ("c", 2), ("d", 1)]
    assert found(film=FILM, states=("intent", "stored"), fingerprints={"a", "c", "d"}) == [("a", 1), ("c", 2)]
    assert found(fingerprints=()) == []
    assert found(fingerprints=[f"{number}" for number in range(40_000)] + ["a"]) == [("a", 1)]


def test_an_upload_is_found_until_it_may_have_expired(ledger: SqliteLedger) -> None:
    ledger.keep_upload(CLIP, "https://media.example/lamp.png", at=AT, expires_at=later(60))
    assert ledger.find_upload(CLIP, at=AT) == ledger.find_upload(CLIP, at=later(59)) == "https://media.example/lamp.png"
    assert ledger.find_upload(CLIP, at=later(60)) is None
    # Before it was uploaded: the clock went back, and it may have expired long ago.
    assert ledger.find_upload(CLIP, at=later(-1)) is None
    assert ledger.find_upload("d" * 64, at=AT) is None
    ledger.keep_upload(CLIP, "https://media.example/again.png", at=later(60), expires_at=later(120))
    assert ledger.find_upload(CLIP, at=later(90)) == "https://media.example/again.png"
    ledger.forget_upload(CLIP)
    ledger.forget_upload(CLIP)
    assert ledger.find_upload(CLIP, at=later(90)) is None


def test_whatever_the_provider_says_can_be_kept(ledger: SqliteLedger) -> None:
    key = submit(ledger, "door")
    ledger.failed(key, billed="maybe", reason="half a pair \ud83d, a NUL \0, quotes '\" and 灯\U0001f3ee", at=AT)
    row = ledger.row(key)
    assert row is not None
    assert row.reason == "half a pair \\ud83d, a NUL \0, quotes '\" and 灯\U0001f3ee"
    assert ledger.events(key)[-1].details["reason"] == row.reason


def test_a_time_without_a_zone_is_refused(ledger: SqliteLedger) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        ledger.reserve(order_of("door"), (), at=AT.replace(tzinfo=None))
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))
    done = ledger.reserve(order_of("door"), (), at=tokyo)
    assert isinstance(done, Reserved)
    assert (done.row.reserved_at, done.row.reserved_at.tzinfo) == (AT, UTC)


def test_threads_take_turns(ledger: SqliteLedger) -> None:
    outcomes: list[object] = []

    def buy() -> None:
        for number in range(10):
            outcomes.append(ledger.reserve(order_of(f"{number}"), (total("10.50"),), at=AT))

    threads = [threading.Thread(target=buy) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [isinstance(outcome, Reserved) for outcome in outcomes].count(True) == 5
    assert ledger.spending().total_usd == Decimal("10.50")


def test_the_class_keeps_the_protocol(ledger: SqliteLedger) -> None:
    kept: Ledger = ledger
    assert kept.run == OURS


def test_a_reopened_clip_is_fetched_and_not_bought(ledger: SqliteLedger, theirs: SqliteLedger) -> None:
    key = store(ledger, "door")
    theirs.reopened(key, at=later(1))
    row = ledger.row(key)
    assert row is not None
    assert (row.state, row.sha256, row.stored_at) == ("completed", CLIP, None)
    assert b"media.example" in row.result
    assert isinstance(theirs.reserve(order_of("door"), (), at=later(2)), Taken)
    theirs.stored(key, sha256=CLIP, at=later(3))
    assert ledger.spending() == Spending(PRICE, Decimal(0))


def test_released_and_failed_takes_may_be_bought_again_and_others_not(ledger: SqliteLedger) -> None:
    again = {
        build.__name__: ledger.reserve(order_of(build(ledger, build.__name__).fingerprint), (), at=AT)
        for build in (release, fail_free, fail_billed, quarantine, doubt, store)
    }
    bought = {name for name, outcome in again.items() if isinstance(outcome, Reserved)}
    assert bought == {"release", "fail_free"}
    assert all(isinstance(outcome, Taken) for name, outcome in again.items() if name not in bought)
