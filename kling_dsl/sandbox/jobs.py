"""The queue: jobs that wait for a runner, run for a while, and end with an answer."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from kling_dsl.sandbox.validation import Verdict

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]


class Outcome(msgspec.Struct, frozen=True):
    """What a job ends with: the status and body of its result; `error` and `error_type` if the platform failed it.

    A clip's address depends on who asks, so a result with a clip has its path on the media host in place of a body.
    """

    status: int
    body: bytes = b""
    clip_path: str = ""
    file_size: int = 0
    error: str = ""
    error_type: str = ""
    billed: bool = False


class Job:
    """One submission that was accepted."""

    __slots__ = (
        *("body", "cancelled", "clip", "ended_at", "endpoint", "faults", "number", "outcome", "place"),
        *("request_id", "requeued", "run_seconds", "sent_at", "sent_time", "started_at", "state", "verdict"),
    )

    def __init__(
        self, number: int, *, endpoint: str, clip: str, body: bytes, verdict: Verdict, faults: frozenset[str]
    ) -> None:
        self.number = number
        # Never the same again, even in another run: a caller may keep these across runs, as with the real service.
        self.request_id = str(uuid.uuid4())
        self.endpoint = endpoint
        self.clip = clip
        self.body = body
        self.verdict = verdict
        self.faults = faults
        self.state: State = "IN_QUEUE"
        self.place = 0
        self.cancelled = False
        self.requeued = False
        self.outcome: Outcome | None = None
        self.sent_at = datetime.now(UTC)
        self.sent_time = time.monotonic()
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.run_seconds = 0.0


class Queue:
    """Jobs in the order in which they came; `runners` of them run at a time, each for `job_seconds`."""

    def __init__(self, *, runners: int, job_seconds: float, finish: Callable[[Job], Awaitable[Outcome]]) -> None:
        self._runners = runners
        self._job_seconds = job_seconds
        self._finish = finish
        self._places = itertools.count()
        self._waiting: list[Job] = []
        self._running: set[asyncio.Task[None]] = set()

    def enter(self, job: Job) -> int:
        """Put a job at the end of the queue, and return how many wait before it."""
        self._line_up(job)
        position = len(self._waiting) - 1
        self._start()
        return position

    def position(self, job: Job) -> int:
        """Return how many jobs wait before a waiting one."""
        return bisect.bisect_left(self._waiting, job.place, key=_place_of)

    def cancel(self, job: Job) -> bool:
        """Take a job off the queue; one that runs already runs on, is billed, and False is returned."""
        job.cancelled = True
        if job.state != "IN_QUEUE":
            return False
        del self._waiting[self.position(job)]
        words = "the request was cancelled before it ran"
        outcome = Outcome(499, msgspec.json.encode({"detail": words}), error=words, error_type="client_cancelled")
        _end(job, outcome)
        return True

    async def stop(self) -> None:
        """Break every job off."""
        self._waiting.clear()
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _line_up(self, job: Job) -> None:
        job.state, job.place = "IN_QUEUE", next(self._places)
        self._waiting.append(job)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._runners:
            job = self._waiting.pop(0)
            job.state, job.started_at = "IN_PROGRESS", datetime.now(UTC)
            task = asyncio.get_running_loop().create_task(self._run(job))
            self._running.add(task)
            task.add_done_callback(self._next)

    def _next(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            self._start()

    async def _run(self, job: Job) -> None:
        begun = time.monotonic()
        if "requeue" in job.faults and not job.requeued:
            job.requeued = True
            await asyncio.sleep(self._job_seconds / 2)
            self._line_up(job)
            # The runner that gave the job up comes back after a while, so that the job is seen to wait.
            await asyncio.sleep(self._job_seconds / 2)
            return
        await asyncio.sleep(self._job_seconds)
        outcome = await self._finish(job)
        job.run_seconds = time.monotonic() - begun
        _end(job, outcome)


def _end(job: Job, outcome: Outcome) -> None:
    job.outcome, job.state, job.ended_at = outcome, "COMPLETED", datetime.now(UTC)


def _place_of(job: Job) -> int:
    return job.place
