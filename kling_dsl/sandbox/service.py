"""What a sandbox knows and does, apart from how it is asked: models, jobs, uploads, clips, faults and the bill."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl.profiles import Profile
from kling_dsl.sandbox.bill import Bill, Counts, Submission
from kling_dsl.sandbox.clips import ClipMaker, Order, scaled_size
from kling_dsl.sandbox.faults import Fault, FaultBook
from kling_dsl.sandbox.hosts import OWN_PATH
from kling_dsl.sandbox.jobs import Job, Outcome, Queue
from kling_dsl.sandbox.mistakes import content_refusal, detail
from kling_dsl.sandbox.settings import Settings
from kling_dsl.sandbox.uploads import Uploads
from kling_dsl.sandbox.validation import Judge
from kling_dsl.sandbox.web import Refusal
from kling_dsl.sheets import Profiles

Tell = Callable[[str], None]


class Service:
    """One sandbox; all of it lives in the thread of its event loop."""

    def __init__(self, settings: Settings, *, folder: Path, profiles: Profiles, port: int, tell: Tell) -> None:
        self.settings = settings
        self.port = port
        self.counts = Counts()
        self.faults = FaultBook(settings.faults, seed=settings.seed)
        self.jobs: dict[str, Job] = {}
        self._tell = tell
        self._models = _by_endpoint(profiles)
        sizes = _frame_sizes(self._models.values(), settings.scale)
        self.uploads = Uploads(folder / "uploads", self.counts, frame_sizes=sizes)
        self.clips = ClipMaker(
            folder / "clips", settings, find_upload=lambda address: self.uploads.place(address, port)
        )
        self._judges: dict[str, Judge] = {}
        self._numbers = itertools.count(1)
        self.queue = self._new_queue()

    def endpoints(self) -> dict[str, Profile]:
        """Return the sheet of every endpoint that can be called."""
        return self._models

    def accept(self, endpoint: str, body: bytes, content: Any, *, clip: str) -> tuple[Job, int]:
        """Take a job into the queue, and return it with the number of jobs before it."""
        verdict = self._judge(endpoint).judge(content)
        job = Job(
            next(self._numbers),
            endpoint=endpoint,
            clip=clip,
            body=body,
            verdict=verdict,
            faults=self.faults.strike_all("job"),
        )
        self.jobs[job.request_id] = job
        position = self.queue.enter(job)
        named = f" {clip}" if clip else ""
        self._tell(f"submission {job.number}{named}: {endpoint}, {verdict.seconds} s, {job.request_id}")
        return job, position

    def job(self, request_id: str) -> Job:
        """Return a job; raises Refusal when there is none."""
        found = self.jobs.get(request_id)
        if found is None:
            raise Refusal(404, "Request not found", kind="not_found")
        return found

    def hold_up_upload(self) -> None:
        """Raise the Refusal that a fault of uploads asks for now."""
        if self.faults.strike("upload") is not None:
            raise Refusal(503, "the storage is busy", kind="upload_unavailable")

    def replace_faults(self, faults: tuple[Fault, ...]) -> None:
        """Inject these faults from now on, and none of those before."""
        self.faults.replace(faults)

    async def reset(self) -> None:
        """Begin anew: no jobs, no uploads, no bill, and the faults of the settings."""
        await self.queue.stop()
        self.queue = self._new_queue()
        self.jobs.clear()
        self.uploads.clear()
        self.clips.clear()
        self.counts.clear()
        self.faults.replace(self.settings.faults)

    async def stop(self) -> None:
        """Break every job off, and wait for what is being drawn."""
        await self.queue.stop()
        self.clips.stop()

    def bill(self) -> Bill:
        """Return what was counted until now."""
        counts = self.counts
        return Bill(
            total_usd=counts.total_usd,
            submissions=tuple([_submission(job) for job in self.jobs.values()]),
            paid_posts_received=counts.paid_posts_received,
            status_requests=counts.status_requests,
            cancelled=counts.cancelled,
            uploads=counts.uploads,
            upload_bytes=counts.upload_bytes,
            downloads=counts.downloads,
            key_on_media_host=counts.key_on_media_host,
            refused_hosts=tuple(counts.refused_hosts),
            problems=tuple(counts.problems),
        )

    def _new_queue(self) -> Queue:
        return Queue(runners=self.settings.runners, job_seconds=self.settings.job_seconds, finish=self._finish)

    def _judge(self, endpoint: str) -> Judge:
        if endpoint not in self._judges:
            profile = self._models[endpoint]
            self._judges[endpoint] = Judge(profile, lambda address: self.uploads.find(address, self.port))
        return self._judges[endpoint]

    async def _finish(self, job: Job) -> Outcome:
        try:
            outcome = await self._outcome(job)
        except Exception as problem:  # noqa: BLE001 - a job that never ends would keep its caller waiting for ever
            self.counts.note_problem(f"job {job.request_id}: {type(problem).__name__}: {problem}")
            words = "the sandbox could not make this clip"
            outcome = Outcome(500, _text(words), error=words, error_type="internal_error")
        if outcome.billed:
            self.counts.total_usd += job.verdict.cost_usd
        self._tell(f"submission {job.number}: {_told(outcome)}, bill ${self.counts.total_usd}")
        return outcome

    async def _outcome(self, job: Job) -> Outcome:
        """Decide what a job ends with, and draw its clip."""
        verdict = job.verdict
        if "job-error" in job.faults:
            words = "the runner ended with an error (the sandbox was asked to)"
            return Outcome(500, _text(words), error=words, error_type="runner_server_error")
        if verdict.mistakes:
            return Outcome(422, msgspec.json.encode(detail(verdict.mistakes)))
        if job.faults & {"content-refusal", "content-refusal-billed"}:
            refusal = msgspec.json.encode(detail((content_refusal(str(verdict.arguments.get("prompt"))),)))
            return Outcome(422, refusal, billed="content-refusal-billed" in job.faults)
        path = f"{OWN_PATH}clips/{job.request_id}/output.mp4"
        order = Order(
            self._models[job.endpoint],
            verdict.arguments,
            seconds=verdict.seconds,
            clip=job.clip,
            request_id=job.request_id,
        )
        size = await self.clips.make(path, order, job.faults)
        if "result-gone" in job.faults:
            return Outcome(404, _text("Request not found"), billed=True)
        return Outcome(200, clip_path=path, file_size=size, billed=True)


def _by_endpoint(profiles: Profiles) -> dict[str, Profile]:
    found: dict[str, Profile] = {}
    for name in profiles.names():
        profile = profiles.get(name)
        if profile is not None:
            found.setdefault(profile.endpoint, profile)
    return found


def _frame_sizes(profiles: Any, scale: float) -> dict[tuple[int, int], tuple[int, int]]:
    sizes = {size for profile in profiles for size in profile.output.sizes.values()}
    return {scaled_size(size, scale): size for size in sorted(sizes)}


def _submission(job: Job) -> Submission:
    outcome = job.outcome
    try:
        arguments = msgspec.json.decode(job.body)
    except (msgspec.DecodeError, RecursionError):
        arguments = None
    return Submission(
        request_id=job.request_id,
        endpoint=job.endpoint,
        clip=job.clip,
        seconds=job.verdict.seconds,
        cost_usd=job.verdict.cost_usd,
        billed=outcome is not None and outcome.billed,
        status=job.state,
        error="" if outcome is None or outcome.status == 200 else _told(outcome),
        cancelled=job.cancelled,
        sent_at=job.sent_at.isoformat(),
        arguments=arguments,
        ignored=job.verdict.ignored,
    )


def _told(outcome: Outcome) -> str:
    return "completed" if outcome.status == 200 else f"{outcome.status} {outcome.error_type}".strip()


def _text(words: str) -> bytes:
    return msgspec.json.encode({"detail": words})
