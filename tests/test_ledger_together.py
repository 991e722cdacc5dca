"""Steps that are taken together share one commit: all of them are on the disk at its end, or none is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_samples import AT, TAKEN, order_of, total

from kling_dsl.ledger import Conflict, Refused, Reserved, UnwritableLedger, open_ledger, read_ledger
from kling_dsl.ledger.sqlite import SqliteLedger
from kling_dsl.render.writing import MAX_TOGETHER, in_turn


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


def test_a_full_disk_undoes_all_steps_and_is_told_to_everyone(ledger: SqliteLedger, path: Path) -> None:
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
