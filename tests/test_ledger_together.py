"""Steps that are taken together share one commit: all of them are on the disk at its end, or none is."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_samples import AT, TAKEN, order_of, total

from kling_dsl.ledger import Conflict, Refused, Reserved, UnwritableLedger, open_ledger, read_ledger
from kling_dsl.ledger.sqlite import SqliteLedger
from kling_dsl.render.writing import MAX_TOGETHER, in_turn

ROOM_BYTES = 512 * 1024
"""Enough for small steps, each alone, and not for a large result; less than what SQLite keeps in memory until a commit."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    with open_ledger(path, run="20261122T170342-aaaaaaaa") as found:
        yield found


def seen(path: Path) -> list[tuple[str, str]]:
    """Return what another process sees of the takes."""
    with read_ledger(path) as reader:
        return [(row.key.fingerprint, row.state) for row in reader.rows()]


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let this process make no file larger for a while: a commit then fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_steps_are_seen_by_others_when_all_of_them_are_taken(ledger: SqliteLedger, path: Path) -> None:
    with ledger.together():
        for name in ("a", "b"):
            assert isinstance(ledger.reserve(order_of(name), (), at=AT), Reserved)
        assert seen(path) == []
    assert seen(path) == [("a", "intent"), ("b", "intent")]


def test_a_step_that_is_refused_takes_no_other_with_it(ledger: SqliteLedger, path: Path) -> None:
    with ledger.together():
        ledger.reserve(order_of("a"), (), at=AT)
        with pytest.raises(Conflict):
            ledger.completed(order_of("a").key, result=b"", billed_units=None, at=AT)
        ledger.reserve(order_of("b"), (), at=AT)
    assert seen(path) == [("a", "intent"), ("b", "intent")]
    assert [event.to_state for event in ledger.events(order_of("a").key)] == ["intent"]


def test_a_limit_counts_what_is_reserved_together(ledger: SqliteLedger) -> None:
    order = order_of("a")
    limit = total(str(order.price_usd))
    with ledger.together():
        assert isinstance(ledger.reserve(order, (limit,), at=AT), Reserved)
        assert isinstance(ledger.reserve(order_of("b"), (limit,), at=AT), Refused)


def test_nothing_is_kept_when_what_happens_inside_fails(ledger: SqliteLedger, path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), ledger.together():
        ledger.reserve(order_of("a"), (), at=AT)
        raise ZeroDivisionError
    assert seen(path) == []
    assert isinstance(ledger.reserve(order_of("a"), (), at=AT), Reserved)
    assert seen(path) == [("a", "intent")]


def test_on_a_full_disk_what_was_answered_is_what_was_kept(ledger: SqliteLedger, path: Path) -> None:
    ledger.reserve(order_of("before"), (), at=AT)
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    names = [f"n{number}" for number in range(MAX_TOGETHER)]

    async def reserve_all() -> list[object]:
        steps = [in_turn(ledger, ledger.reserve, order_of(name), (), at=AT) for name in names]
        return await asyncio.gather(*steps, return_exceptions=True)

    found = dict(zip(names, asyncio.run(reserve_all()), strict=True))
    kept = [name for name, answer in found.items() if isinstance(answer, Reserved)]
    assert seen(path) == [(name, "intent") for name in ("before", *kept)]
    assert all(isinstance(answer, Reserved | UnwritableLedger) for answer in found.values())
    assert len(kept) < len(names)


def test_steps_in_turn_keep_their_order_and_each_has_its_own_answer(ledger: SqliteLedger) -> None:
    async def go() -> list[object]:
        order = order_of("a")
        found = await asyncio.gather(
            in_turn(ledger, ledger.reserve, order, (), at=AT),
            in_turn(ledger, ledger.completed, order.key, result=b"", billed_units=None, at=AT),
            in_turn(ledger, ledger.submitted, order.key, **TAKEN, at=AT),
            in_turn(ledger, ledger.completed, order.key, result=b"{}", billed_units=Decimal(1), at=AT),
            return_exceptions=True,
        )
        return [*found]

    reserved, early, submitted, completed = asyncio.run(go())
    assert isinstance(reserved, Reserved)
    assert isinstance(early, Conflict)
    assert [getattr(row, "state", None) for row in (submitted, completed)] == ["submitted", "completed"]


def test_many_steps_at_once_need_few_commits(ledger: SqliteLedger) -> None:
    commits: list[str] = []
    ledger._connection.set_trace_callback(
        lambda statement: commits.append(statement) if statement == "COMMIT" else None
    )

    async def go() -> None:
        await asyncio.gather(
            *(in_turn(ledger, ledger.reserve, order_of(f"n{number}"), (), at=AT) for number in range(200))
        )

    asyncio.run(go())
    assert len(ledger.rows()) == 200
    # The first may go alone; the others wait meanwhile, and share the following ones.
    assert 200 // MAX_TOGETHER <= len(commits) <= 20


def test_a_step_that_does_not_fit_on_the_disk_takes_no_other_with_it(ledger: SqliteLedger, path: Path) -> None:
    # The ids of jobs that are paid for wait for the same commit as a result for which there is no room.
    names = [f"n{number}" for number in range(8)]
    for name in (*names, "large"):
        ledger.reserve(order_of(name), (), at=AT)
    ledger.submitted(order_of("large").key, **TAKEN, at=AT)
    waiting = path.with_name(f"{path.name}-wal").stat().st_size

    async def go() -> list[object]:
        def submit(name: str) -> asyncio.Task[object]:
            return asyncio.ensure_future(in_turn(ledger, ledger.submitted, order_of(name).key, **TAKEN, at=AT))

        large = bytes(2 * ROOM_BYTES)
        complete = in_turn(ledger, ledger.completed, order_of("large").key, result=large, billed_units=None, at=AT)
        with ledger._turn:
            tasks = [*map(submit, names[:4]), asyncio.ensure_future(complete), *map(submit, names[4:])]
            await asyncio.sleep(0)
        return [*await asyncio.gather(*tasks, return_exceptions=True)]

    with largest_file(waiting + ROOM_BYTES):
        answers = asyncio.run(go())
    assert [type(answer).__name__ for answer in answers] == [*["Row"] * 4, "UnwritableLedger", *["Row"] * 4]
    assert seen(path) == [*((name, "submitted") for name in names), ("large", "submitted")]


def test_a_commit_that_fails_undoes_all_steps_and_says_so(ledger: SqliteLedger, path: Path) -> None:
    ledger.reserve(order_of("large"), (), at=AT)
    ledger.submitted(order_of("large").key, **TAKEN, at=AT)
    with largest_file(path.with_name(f"{path.name}-wal").stat().st_size):
        with pytest.raises(UnwritableLedger), ledger.together():
            ledger.completed(order_of("large").key, result=bytes(ROOM_BYTES), billed_units=None, at=AT)
        assert seen(path) == [("large", "submitted")]
    ledger.completed(order_of("large").key, result=bytes(ROOM_BYTES), billed_units=None, at=AT)
    assert seen(path) == [("large", "completed")]


def test_steps_of_two_ledgers_share_no_commit(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(6)]
    paths = [tmp_path / "first.db", tmp_path / "second.db"]
    with open_ledger(paths[0], run="first") as first, open_ledger(paths[1], run="second") as second:

        async def go() -> None:
            both = [(ledger, name) for name in names for ledger in (first, second)]
            await asyncio.gather(*(in_turn(ledger, ledger.reserve, order_of(name), (), at=AT) for ledger, name in both))

        asyncio.run(go())
    assert [sorted(seen(path)) for path in paths] == [[(name, "intent") for name in names]] * 2


def test_a_step_that_nobody_waits_for_any_more_is_not_taken_and_stops_no_other(
    ledger: SqliteLedger, path: Path
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(10)

    async def go() -> None:
        first = asyncio.create_task(in_turn(ledger, wait))
        await asyncio.to_thread(begun.wait, 10)
        names = ("before", "stopped", "after")
        steps = [asyncio.create_task(in_turn(ledger, ledger.reserve, order_of(name), (), at=AT)) for name in names]
        await asyncio.sleep(0)
        # The first is on its way already, and its answer comes to nobody; the second was never begun.
        first.cancel()
        steps[1].cancel()
        await asyncio.sleep(0)
        go_on.set()
        ends = await asyncio.gather(first, *steps, return_exceptions=True)
        assert [isinstance(end, asyncio.CancelledError) for end in ends] == [True, False, True, False]

    asyncio.run(go())
    assert sorted(seen(path)) == [("after", "intent"), ("before", "intent")]
