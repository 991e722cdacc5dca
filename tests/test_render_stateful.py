"""Whatever happens in whatever order, no limit is passed, no clip is lost, and none that is kept is bought again."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from render_boundaries import SENT
from render_films import FILM, Film, Ran, Theatre, staged

from kling_dsl.ledger import Event, Row
from kling_dsl.sandbox import Fault

EXAMPLES = int(os.environ.get("KLING_STATEFUL_EXAMPLES", "16"))
STEPS = int(os.environ.get("KLING_STATEFUL_STEPS", "10"))
"""How much is tried; more than by default makes sense after a change to the engine."""

TEXT = """Title: A Film
Model: o3-4k

INT. ROOM - NIGHT

SHOT sea 3s wide
The sea at night, {sea}.

SHOT road 3s wide
An empty road, {road}.

SHOT tail 3s close-up
  start: end of sea
A light goes out.
"""

CLIPS = ("sea", "road", "tail")
WORDS = ("in the rain", "in the snow", "under stars")
PRICE_USD = Decimal("1.26")
LIMITS = (None, "$1.26", "$3.78", "$7.56")

FAULTS = (
    *("accept-and-drop", "drop-before-accept", "http-502", "refuse-429", "unauthorized", "job-error", "requeue"),
    *("content-refusal", "result-gone", "media-missing", "media-not-video", "media-truncated", "media-wrong-length"),
    *("status-503", "upload-503", "history-503"),
)

POINTS = (
    *("ledger reserve begins", "ledger reserve is done", "POST job: connection is made", "POST job: body begins", SENT),
    *("POST job: answer begins", "ledger submitted begins", "ledger submitted is done"),
    *("GET result is answered", "ledger completed is done", "a piece of a clip is written", "replace store"),
    *("chmod store", "ledger stored begins", "ledger stored is done", "fsync lock", "replace lock", "unlink lease"),
    *("GET history is answered", "ledger adopted begins", "ledger take_over is done", "ledger uncertain is done"),
    *("ledger: written and not committed", "ledger keep_upload is done", "replace out"),
)

COUNTED = ("intent", "submitted", "completed", "uncertain", "stored")


class Step(msgspec.Struct, frozen=True):
    """Limits that held while a command ran, and how many events the ledger had when it began."""

    first_event: int
    run_usd: Decimal | None
    total_usd: Decimal | None


class Renders(RuleBasedStateMachine):
    """A person, a film and a provider on a bad day."""

    theatre: Theatre
    folder: Path

    @initialize(rendered=some.booleans())
    def begin(self, rendered: bool) -> None:
        here = Path(tempfile.mkdtemp(dir=self.folder))
        self.film: Film = self.theatre.begin(here / "p", "")
        self.words = {"sea": WORDS[0], "road": WORDS[0]}
        self.total: str | None = None
        self.steps: list[Step] = []
        self.ended = False
        self.write()
        if rendered:
            self.run("render", FILM, codes=(0,))

    def write(self) -> None:
        self.film.write(TEXT.format(**self.words))

    @rule(clip=some.sampled_from(("sea", "road")), words=some.sampled_from(WORDS))
    def edit(self, clip: str, words: str) -> None:
        self.words[clip] = words
        self.write()

    @rule(usd=some.sampled_from(LIMITS))
    def limit(self, usd: str | None) -> None:
        self.total = usd
        (self.film.folder / "kling.toml").write_text(f'[limits]\ntotal_usd = "{usd}"\n' if usd else "")

    @rule(kind=some.sampled_from(FAULTS), count=some.integers(1, 2))
    def fault(self, kind: str, count: int) -> None:
        self.theatre.sandbox.set_faults(Fault(kind, count=count))

    @rule(most=some.sampled_from(LIMITS))
    def render(self, most: str | None) -> None:
        self.run("render", FILM, most=most, codes=(0, 3, 4))

    @rule(point=some.sampled_from(POINTS), number=some.integers(1, 3))
    def crash(self, point: str, number: int) -> None:
        self.run("render", FILM, codes=(0, 3, 4, -signal.SIGKILL), fatal=f"{point}#{number}")

    @rule(clip=some.sampled_from(CLIPS), most=some.sampled_from(LIMITS))
    def retake(self, clip: str, most: str | None) -> None:
        self.run("retake", clip, most=most, codes=(0, 3, 4))

    @rule(clips=some.lists(some.sampled_from(CLIPS), min_size=1, max_size=3), room=some.integers(1, 2))
    def at_once(self, clips: list[str], room: int) -> None:
        """Render and retake at once when few takes more are allowed: only the ledger can keep all to one limit."""
        counted = sum((row.order.price_usd for row in self.rows() if self.counts(row)), Decimal(0))
        self.limit(f"${counted + room * PRICE_USD}")
        self.steps.append(Step(len(self.events()), None, usd_of(self.total)))
        ended = self.theatre.driver.run(self.film.job(), *(self.film.job("retake", clip) for clip in clips))
        assert {ran.code for ran in ended} <= {0, 3, 4}, ended
        assert not [ran for ran in ended if "Traceback" in ran.stderr], ended
        self.ended = False

    @rule(clip=some.sampled_from(CLIPS), number=some.integers(1, 3))
    def pick(self, clip: str, number: int) -> None:
        self.run("pick", clip, str(number), codes=(0, 2, 3))

    @rule()
    def reconcile(self) -> None:
        self.run("reconcile", codes=(0, 4))

    @rule()
    def release(self) -> None:
        """Free what the provider certainly does not have, as a careful person would."""
        if self.unknown_jobs() or not self.film.home.exists():
            return
        for clip in {row.order.clip for row in self.rows() if row.state == "uncertain"}:
            self.run("reconcile", "--release", clip, codes=(0,))

    def run(self, *words: str, codes: tuple[int, ...], most: str | None = None, **settings: Any) -> Ran:
        """Run a command under the limits of now."""
        self.steps.append(Step(len(self.events()), usd_of(most), usd_of(self.total)))
        limited = ("--max-cost", most) if most else ()
        ran = self.film.run(*words, *limited, **settings)
        assert ran.code in codes, ran
        self.ended = words[0] == "render" and ran.code in (0, 4)
        if words[0] == "render" and ran.code == 0:
            for clip in CLIPS:
                assert (self.film.out / f"{clip}.mp4").stat().st_size > 0
        return ran

    def rows(self) -> tuple[Row, ...]:
        return self.film.rows() if self.film.home.exists() else ()

    def events(self) -> list[Event]:
        found = self.film.events() if self.film.home.exists() else ()
        return sorted(found, key=lambda event: event.number)

    def counts(self, row: Row) -> bool:
        return row.state in COUNTED or row.billed == "maybe"

    def unknown_jobs(self) -> list[str]:
        """Return the jobs of the provider that the ledger never heard of."""
        known = {event.details.get("request_id") for event in self.events()}
        return [job.request_id for job in self.theatre.bill().submissions if job.request_id not in known]

    @invariant()
    def no_limit_is_ever_passed(self) -> None:
        if not hasattr(self, "film"):
            return
        prices: dict[object, Decimal] = {}
        counted: dict[object, Decimal] = {}
        runs: dict[object, str] = {}
        for at, event in enumerate(self.events()):
            if event.to_state == "intent" and event.from_state != "intent":
                prices[event.key], runs[event.key] = Decimal(event.details["price_usd"]), event.run
            counts = event.to_state in COUNTED or event.details.get("billed") == "maybe"
            counted[event.key] = prices[event.key] if counts else Decimal(0)
            if event.to_state != "intent" or event.from_state == "intent":
                continue
            step = [step for step in self.steps if step.first_event <= at][-1]
            if step.total_usd is not None:
                assert sum(counted.values()) <= step.total_usd
            if step.run_usd is not None:
                mine = [usd for key, usd in counted.items() if runs[key] == event.run]
                assert sum(mine) <= step.run_usd

    @invariant()
    def the_bill_is_in_the_ledger(self) -> None:
        if not hasattr(self, "film"):
            return
        bill = self.theatre.bill()
        assert bill.problems == ()
        open_rows = [row for row in self.rows() if row.state in ("intent", "uncertain")]
        assert len(self.unknown_jobs()) <= len(open_rows)
        spent = sum(row.order.price_usd for row in self.rows() if row.state != "released" and row.billed != "no")
        assert bill.total_usd <= spent

    @invariant()
    def what_is_kept_is_never_bought_again(self) -> None:
        if not hasattr(self, "film"):
            return
        kept: set[object] = set()
        jobs: dict[object, list[str]] = {}
        billed = {job.request_id for job in self.theatre.bill().submissions if job.billed}
        for event in self.events():
            assert not (event.to_state == "intent" and event.key in kept)
            if event.to_state == "stored":
                kept.add(event.key)
            if request := event.details.get("request_id"):
                jobs.setdefault(event.key, []).append(request)
        for requests in jobs.values():
            # Only a job that cost nothing is ever ordered again under one number.
            assert billed.isdisjoint(requests[:-1])

    @invariant()
    def what_is_stored_is_in_the_lock_once(self) -> None:
        if not hasattr(self, "film"):
            return
        stored = sorted(row.request_id for row in self.rows() if row.state == "stored")
        for row in self.rows():
            assert row.state != "stored" or self.film.store.has(row.sha256)
        lock = self.film.lock()
        assert lock.problems == ()
        locked = sorted(take.request_id for take in lock.takes)
        assert len(set(locked)) == len(locked)
        assert set(locked) <= set(stored)
        if self.ended:
            assert locked == stored

    def teardown(self) -> None:
        """When luck is back, everything comes to its end, but for what may have been paid without a clip."""
        if not hasattr(self, "film"):
            return
        self.theatre.sandbox.set_faults()
        self.limit(None)
        self.run("render", FILM, codes=(0, 4))
        self.release()
        last = self.run("render", FILM, codes=(0, 4))
        lost = [row for row in self.rows() if row.state == "failed" and row.billed == "maybe"]
        assert last.code == 0 or lost, last
        self.no_limit_is_ever_passed()
        self.the_bill_is_in_the_ledger()
        self.what_is_kept_is_never_bought_again()
        self.what_is_stored_is_in_the_lock_once()
        assert not self.unknown_jobs()
        assert {row.state for row in self.rows()} <= {"stored", "failed", "released"}


def usd_of(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text.removeprefix("$"))


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Theatre]:
    with staged(tmp_path / "sandbox") as found:
        yield found


def test_whatever_happens_money_and_clips_are_accounted_for(theatre: Theatre, tmp_path: Path) -> None:
    Renders.theatre, Renders.folder = theatre, tmp_path
    run_state_machine_as_test(
        Renders,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="KLING_STATEFUL_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            report_multiple_bugs=False,
        ),
    )
