"""Whatever a provider answers, nothing raises, and a take that may have been bought is never an intent for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from answering import Answering
from ledger_samples import order_of

from kling_dsl.ledger import open_ledger
from kling_dsl.render import failures, spending
from kling_dsl.render.account import Account
from kling_dsl.render.clock import Clock
from kling_dsl.render.jobs import Finished, fetch_result, video_of
from kling_dsl.render.reconcile import HistoryUnavailable, read_history
from kling_dsl.render.spending import Unsure, spend

ACCOUNT = Account("Key x:y", "queue.fal.run", "x:y")
SINCE = datetime(2026, 11, 22, tzinfo=UTC)

NO_JSON = {
    "nothing": b"",
    "no UTF-8": b'{"video":{"url":"\xff"},"request_id":"\xff","next_cursor":"\xff"}',
    "half a character": b'{"video":{"url":"\\ud800"},"request_id":"\\ud800"}',
    "too deep": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "another form": b'{"video":5,"request_id":5,"items":5}',
    "cut": b'{"video":{"url":"https://v3.fal.media/x.mp4"',
}


def client(content: bytes, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=content, headers=headers))
    )


@pytest.mark.parametrize("name", NO_JSON)
def test_an_answer_to_a_purchase_that_cannot_be_read_leaves_the_take_uncertain(tmp_path: Path, name: str) -> None:
    line: Any = Answering(NO_JSON[name])
    with open_ledger(tmp_path / "ledger.db", run="run") as ledger:
        bought = spend(order_of(), (), ledger=ledger, account=ACCOUNT, line=line, clock=Clock())
        assert isinstance(asyncio.run(bought), Unsure)
        assert [row.state for row in ledger.rows()] == ["uncertain"]
    assert line.asked == 1


def test_an_answer_to_a_purchase_without_end_is_read_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending, "MAX_ANSWER_BYTES", 10_000)
    line: Any = Answering(b"x" * 10_000_000)
    with open_ledger(tmp_path / "ledger.db", run="run") as ledger:
        bought = spend(order_of(), (), ledger=ledger, account=ACCOUNT, line=line, clock=Clock())
        assert isinstance(asyncio.run(bought), Unsure)
        assert [row.state for row in ledger.rows()] == ["uncertain"]
    assert (line.asked, line.read) == (1, 11_000)


@pytest.mark.parametrize("name", NO_JSON)
def test_a_result_that_cannot_be_read_has_no_video(name: str) -> None:
    assert video_of(NO_JSON[name]) is None


@pytest.mark.parametrize("name", NO_JSON)
def test_a_history_that_cannot_be_read_is_none(name: str) -> None:
    async def ask() -> None:
        async with client(NO_JSON[name]) as asked:
            await read_history("a/b", SINCE, account=ACCOUNT, client=asked)

    with pytest.raises(HistoryUnavailable, match="not what we can read"):
        asyncio.run(ask())


def test_a_history_without_zones_is_in_utc() -> None:
    items = (
        '{"request_id":"b","sent_at":"2026-11-22T10:00:01"}',
        '{"request_id":"a","sent_at":"2026-11-22T10:00:00Z"}',
    )
    page = f'{{"items":[{",".join(items)}]}}'.encode()

    async def ask() -> list[tuple[str, datetime]]:
        async with client(page) as asked:
            history = await read_history("a/b", SINCE, account=ACCOUNT, client=asked)
        return [(past.request_id, past.moment) for past in history.requests]

    assert asyncio.run(ask()) == [
        ("a", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("b", datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("told", "units"),
    [
        ("5", "5"),
        ("5.50", "5.50"),
        ("1E+3", "1000"),
        ("0", "0"),
        ("0e-20000000", "0"),
        ("1e20000000", None),
        ("1e-20000000", None),
        ("-1", None),
        ("NaN", None),
        ("many", None),
    ],
)
def test_units_are_a_number_that_can_be_written_down(tmp_path: Path, told: str, units: str | None) -> None:
    from ledger_samples import submit

    async def ask() -> Decimal | None:
        with open_ledger(tmp_path / "ledger.db", run="run") as ledger:
            submit(ledger, "door")
            (row,) = ledger.rows()
        async with client(b"{}", **{"x-fal-billable-units": told}) as asked:
            finished = await fetch_result(row, ACCOUNT, asked, failed=None)
        assert isinstance(finished, Finished)
        return finished.billed_units

    found = asyncio.run(ask())
    assert (None if found is None else format(found, "f")) == units


@pytest.mark.parametrize("body", [b'{"error_type":"%s"}', b'{"detail":[{"type":"%s"}]}'])
def test_a_type_is_told_as_briefly_and_as_discreetly_as_any_word(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(failures, "_secrets", set())
    failures.hide("id:5ecret5ecret5ecret")
    told = failures.told_refusal(422, body % b"5ecret5ecret5ecret")
    assert ("5ecret" in told, "(the key)" in told) == (False, True)
    assert len(failures.told_refusal(422, body % (b"a" * 5000))) < 2 * failures.MAX_WORDS
