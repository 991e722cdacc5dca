"""Whatever happens in whatever order: no limit is passed, no take goes a way that is not on the map, nothing is lost."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ledger_samples import AT, CLIP, TAKEN, key_of, order_of

from kling_dsl.ledger import Conflict, Key, Limit, Refused, Reserved, Taken, open_ledger, schema
from kling_dsl.ledger.sqlite import SqliteLedger

RUNS = ("run-a", "run-b", "run-c")
FILMS = ("films/lantern.kling", "films/pier.kling")
PRICES = (Decimal("2.10"), Decimal("0.336"), Decimal("6.30"), Decimal("0.000000001"), Decimal(0))
SUMS = st.sampled_from((Decimal(0), Decimal("2.10"), Decimal("4.2"), Decimal("8.736"), Decimal(13)))

MAP = {
    "submitted": {"intent": "submitted"},
    "completed": {"submitted": "completed"},
    "stored": {"completed": "stored", "failed": "stored"},
    "failed": {"intent": "failed", "submitted": "failed", "completed": "failed"},
    "uncertain": {"intent": "uncertain"},
    "adopted": {"uncertain": "submitted"},
    "released": {"uncertain": "released"},
    "reopened": {"stored": "completed"},
}
ANYONE = {("failed", "stored"), ("uncertain", "adopted"), ("uncertain", "released"), ("stored", "reopened")}


@dataclass(frozen=True)
class Take:
    """A take as this page remembers it."""

    film: str
    price: Decimal
    state: str
    run: str
    owner: str
    hour: int
    billed: str = ""
    clip_is_kept: bool = False
    attempt: int = 1
    steps: int = 1

    @property
    def counted(self) -> Decimal:
        free = self.state == "released" or (self.state == "failed" and self.billed == "no")
        return Decimal(0) if free else self.price


class Crash(Exception):
    """The process is gone."""


class LedgerMachine(RuleBasedStateMachine):
    """Three runs on one ledger, and beside it a dictionary that must always agree."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Path(tempfile.mkdtemp())
        self.lives = 0
        self.takes: dict[Key, Take] = {}
        self.uploads: dict[str, tuple[int, int]] = {}
        self.ledgers: dict[str, SqliteLedger] = {}
        self.open()

    def open(self) -> None:
        self.ledgers = {run: open_ledger(self.folder / "ledger.db", run=run) for run in RUNS}

    @property
    def folder(self) -> Path:
        return self.room / f"{self.lives}"

    def teardown(self) -> None:
        for ledger in self.ledgers.values():
            ledger.close()
        shutil.rmtree(self.room)

    @rule(
        name=st.sampled_from("abcd"),
        take=st.integers(1, 2),
        film=st.sampled_from(FILMS),
        price=st.sampled_from(PRICES),
        run=st.sampled_from(RUNS),
        hour=st.integers(-30, 30),
        run_limit=st.none() | SUMS,
        film_limit=st.none() | SUMS,
        day_limit=st.none() | st.tuples(SUMS, st.integers(-30, 30)),
        total_limit=st.none() | SUMS,
    )
    def reserve(
        self,
        *,
        name: str,
        take: int,
        film: str,
        price: Decimal,
        run: str,
        hour: int,
        run_limit: Decimal | None,
        film_limit: Decimal | None,
        day_limit: tuple[Decimal, int] | None,
        total_limit: Decimal | None,
    ) -> None:
        key, others = key_of(name, take), list(self.takes.values())
        checks: list[tuple[Limit, Decimal]] = []
        if run_limit is not None:
            checks.append((Limit("run", run_limit), sum((t.counted for t in others if t.run == run), Decimal(0))))
        if film_limit is not None:
            checks.append((Limit("film", film_limit), sum((t.counted for t in others if t.film == film), Decimal(0))))
        if day_limit is not None:
            usd, start = day_limit
            since = Limit("day", usd, AT + timedelta(hours=start))
            checks.append((since, sum((t.counted for t in others if t.hour >= start), Decimal(0))))
        if total_limit is not None:
            checks.append((Limit("total", total_limit), sum((t.counted for t in others), Decimal(0))))
        before = self.takes.get(key)
        order = order_of(name, take, film=film, price=price)
        done = self.ledgers[run].reserve(order, [limit for limit, _ in checks], at=AT + timedelta(hours=hour))
        if before and not (before.state == "released" or (before.state == "failed" and before.billed == "no")):
            assert isinstance(done, Taken)
            assert done.row == self.ledgers[run].row(key)
            return
        passed = next(((limit, usd) for limit, usd in checks if usd + price > limit.usd), None)
        if passed:
            assert isinstance(done, Refused)
            assert (done.limit, done.spending.total_usd, done.wanted_usd) == (*passed, price)
            return
        assert isinstance(done, Reserved)
        new = Take(film, price, "intent", run, run, hour)
        if before:
            new = replace(new, attempt=before.attempt + 1, steps=before.steps + 1)
        self.takes[key] = new
        assert (done.row.order, done.row.attempt) == (order, new.attempt)

    @precondition(lambda self: self.takes)
    @rule(
        data=st.data(),
        verb=st.sampled_from(sorted(MAP)),
        run=st.sampled_from(RUNS),
        way=st.sampled_from(("no", "maybe", "quarantine")),
        as_owner=st.booleans(),
    )
    def step(self, *, data: st.DataObject, verb: str, run: str, way: str, as_owner: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.takes)))
        before = self.takes[key]
        run = before.owner if as_owner else run
        target = MAP[verb].get(before.state)
        billed = "no" if way == "no" else "maybe"
        allowed = (
            target is not None
            and (before.owner == run or (before.state, verb) in ANYONE)
            and not (before.state == "failed" and not before.clip_is_kept)
            and not (verb == "failed" and before.state == "intent" and billed == "maybe")
        )
        if not allowed:
            try:
                self.go(verb, key, run=run, way=way)
            except Conflict:
                return
            raise AssertionError(f"{verb} was let through from {before}")
        self.go(verb, key, run=run, way=way)
        self.takes[key] = replace(
            before,
            state=target or "",
            owner=run,
            billed=billed if verb == "failed" else "",
            clip_is_kept=verb == "failed" and way == "quarantine",
            steps=before.steps + 1,
        )

    def go(self, verb: str, key: Key, *, run: str, way: str) -> None:
        ledger = self.ledgers[run]
        if verb == "submitted":
            ledger.submitted(key, **TAKEN, at=AT)
        elif verb == "completed":
            ledger.completed(key, result=b"{}", billed_units=Decimal(5), at=AT)
        elif verb == "stored":
            ledger.stored(key, sha256=CLIP, at=AT)
        elif verb == "failed":
            place = "quarantine/1.mp4" if way == "quarantine" else ""
            ledger.failed(key, billed="no" if way == "no" else "maybe", reason="it broke", quarantine=place, at=AT)
        elif verb == "uncertain":
            ledger.uncertain(key, reason="no answer", at=AT)
        elif verb == "adopted":
            ledger.adopted(key, **TAKEN, reason="found", at=AT)
        elif verb == "released":
            ledger.released(key, reason="not found", at=AT)
        else:
            ledger.reopened(key, at=AT)

    @precondition(lambda self: self.takes)
    @rule(data=st.data(), run=st.sampled_from(RUNS), dead=st.sampled_from(RUNS))
    def take_over(self, *, data: st.DataObject, run: str, dead: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.takes)))
        before = self.takes[key]
        assert self.ledgers[run].take_over(key, from_run=dead, at=AT) == (before.owner == dead)
        if before.owner == dead:
            self.takes[key] = replace(before, owner=run, steps=before.steps + 1)

    @rule(name=st.sampled_from("ab"), run=st.sampled_from(RUNS), hour=st.integers(-9, 9), hours=st.integers(1, 9))
    def upload(self, *, name: str, run: str, hour: int, hours: int) -> None:
        at = AT + timedelta(hours=hour)
        self.ledgers[run].keep_upload(
            name, f"https://media.example/{hour}", at=at, expires_at=at + timedelta(hours=hours)
        )
        self.uploads[name] = (hour, hour + hours)

    @rule(name=st.sampled_from("ab"), run=st.sampled_from(RUNS), hour=st.integers(-20, 20))
    def find(self, *, name: str, run: str, hour: int) -> None:
        first, end = self.uploads.get(name, (0, 0))
        expected = f"https://media.example/{first}" if first <= hour < end else None
        assert self.ledgers[run].find_upload(name, at=AT + timedelta(hours=hour)) == expected

    @rule()
    def close_and_open(self) -> None:
        for ledger in self.ledgers.values():
            ledger.close()
        self.open()

    @rule(
        run=st.sampled_from(RUNS), statement=st.sampled_from(("", "UPDATE takes SET state = 'stored', billed = NULL"))
    )
    def crash(self, *, run: str, statement: str) -> None:
        """Go on with what lies on the disk while a transaction is open, as after a kill."""
        next_folder = self.room / f"{self.lives + 1}"
        ledger = self.ledgers[run]
        with contextlib.suppress(Crash), ledger._transaction():
            if statement:
                ledger._connection.execute(statement)
            shutil.copytree(self.folder, next_folder)
            raise Crash
        for each in self.ledgers.values():
            each.close()
        self.lives += 1
        self.open()

    @invariant()
    def rows_and_sums_agree(self) -> None:
        ledger = self.ledgers["run-a"]
        rows = {row.key: row for row in ledger.rows()}
        assert rows.keys() == self.takes.keys()
        for key, take in self.takes.items():
            row = rows[key]
            assert (row.state, row.billed or "", row.owner, row.run) == (take.state, take.billed, take.owner, take.run)
            assert (row.order.film, row.order.price_usd, row.attempt) == (take.film, take.price, take.attempt)
            assert bool(row.quarantine) == take.clip_is_kept
            events = ledger.events(key)
            assert (len(events), events[-1].to_state) == (take.steps, take.state)
            assert [event.from_state for event in events[1:]] == [event.to_state for event in events[:-1]]
        assert ledger.spending().total_usd == sum(take.counted for take in self.takes.values())
        assert set(ledger._ask(schema.SUMS, ())) == set(ledger._ask(schema.SUMS_ADDED_UP, ()))


LedgerMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
test_ledger_agrees_with_a_dictionary = LedgerMachine.TestCase
