"""What the ledger says when it says no, word for word: who reads it has money at stake."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_samples import AT, CLIP, TAKEN, complete, doubt, fail_billed, key_of, reserve, store, submit
from told import check_kept

from kling_dsl.ledger import Conflict, Key, Ledger, LedgerError, NewerLedger, open_ledger
from kling_dsl.ledger.errors import BusyLedger, DamagedLedger, UnwritableLedger

TOLD = Path(__file__).parent / "told" / "ledger.txt"
PLACE = Path("film/.kling/ledger.db")


REFUSALS: dict[str, Callable[[], LedgerError]] = {
    "NewerLedger": lambda: NewerLedger(PLACE, version=7, known=1),
    "DamagedLedger": lambda: DamagedLedger(PLACE, "it is cut off"),
    "UnwritableLedger": lambda: UnwritableLedger(PLACE, "No space left on device"),
    "BusyLedger": lambda: BusyLedger(PLACE, "database is locked"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_file_that_cannot_be_used_is_told_with_what_to_do(name: str) -> None:
    check_kept(TOLD, name, f"{REFUSALS[name]()}\n")


STEPS: dict[str, Callable[[Ledger, Key], object]] = {
    "submitted": lambda ledger, key: ledger.submitted(key, **TAKEN, at=AT),
    "completed": lambda ledger, key: ledger.completed(key, result=b"{}", billed_units=None, at=AT),
    "stored": lambda ledger, key: ledger.stored(key, sha256=CLIP, at=AT),
    "failed": lambda ledger, key: ledger.failed(key, billed="maybe", reason="lost", at=AT),
    "uncertain": lambda ledger, key: ledger.uncertain(key, reason="lost", at=AT),
    "adopted": lambda ledger, key: ledger.adopted(key, **TAKEN, reason="found", at=AT),
    "released": lambda ledger, key: ledger.released(key, reason="never sent", at=AT),
    "reopened": lambda ledger, key: ledger.reopened(key, at=AT),
    "taken over": lambda ledger, key: ledger.take_over(key, from_run="other", at=AT),
}
STANDINGS: dict[str, Callable[[Ledger, str], Key]] = {
    "no row": lambda ledger, name: key_of(name),
    "intent": reserve,
    "submitted": submit,
    "completed": complete,
    "stored": store,
    "failed": fail_billed,
    "uncertain": doubt,
}


@pytest.mark.parametrize("standing", STANDINGS)
def test_a_step_that_may_not_be_gone_says_why(tmp_path: Path, standing: str) -> None:
    told: list[str] = []
    path = tmp_path / "ledger.db"
    with open_ledger(path, run="ours") as ours, open_ledger(path, run="other") as other:
        key = STANDINGS[standing](ours, "door")
        for name, step in STEPS.items():
            for who in (ours, other):
                try:
                    step(who, key)
                except Conflict as conflict:
                    told.append(f"{who.run}: {conflict}")
                else:
                    key = STANDINGS[standing](ours, f"door after {name} by {who.run}")
    check_kept(TOLD, f"Conflict {standing}", "".join(f"{line}\n" for line in told))


def test_what_is_no_amount_and_no_time_is_named(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger.db", run="ours") as ledger:
        key = complete(ledger, "door")
        with pytest.raises(ValueError, match=r"^a clip that was delivered may have been billed$"):
            ledger.failed(key, billed="no", reason="cut", quarantine="q/1", at=AT)
        with pytest.raises(ValueError, match=r"^2026-11-22 17:03:42.123456 has no time zone$"):
            ledger.stored(key, sha256=CLIP, at=AT.replace(tzinfo=None))


def test_a_ledger_that_forgot_its_form_is_damaged_and_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path, run="ours") as ledger:
        assert ledger.spending().total_usd == Decimal("0.00")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with pytest.raises(DamagedLedger) as caught:
        open_ledger(path, run="ours")
    assert str(caught.value).startswith(f"{path} is damaged: it does not say which form it has. ")
