"""Asks after jobs at the provider until they are done, and fetches what became of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from kling_dsl.ledger import Row
from kling_dsl.render.account import Account
from kling_dsl.render.answers import decode
from kling_dsl.render.clock import Clock
from kling_dsl.render.failures import MAX_WORDS, Failure, failed_job, failed_result, is_list_of_errors, read_details
from kling_dsl.render.patience import persist
from kling_dsl.render.problems import AccountRefused, FromSandbox, RenderProblem

if TYPE_CHECKING:
    import httpx

MAX_UNKNOWN = 5
"""How often in a row the queue may not know a job before that is believed: it was there when the job was taken."""


MAX_UNIT_DIGITS = 15
"""The most digits before and behind the point of the units that a provider bills."""


class Pace(msgspec.Struct, frozen=True):
    """How often a job is asked after: first after `first_seconds`, then ever less often, at most `most_seconds` apart."""

    first_seconds: float = 2.0
    growth: float = 1.3
    most_seconds: float = 10.0
    outage_seconds: float = 600.0
    """How long nobody may answer before the job is left to the next render: a laptop may have been closed."""


class Progress(msgspec.Struct, frozen=True):
    """How a job stands at the provider: its place in the queue, or None when it runs."""

    position: int | None


class Finished(msgspec.Struct, frozen=True):
    """A job's result: its body as it came, and the units that the provider bills, when it says them."""

    body: bytes
    billed_units: Decimal | None


class Unreachable(RenderProblem):
    """The job is at the provider, and it cannot be asked after for now; it is asked again at the next render."""


async def follow(
    row: Row, account: Account, client: httpx.AsyncClient, clock: Clock, *, pace: Pace, seen: Callable[[Progress], None]
) -> Finished | Failure:
    """Wait until a job is done and return its result; raises `Unreachable` and `AccountRefused`.

    The addresses are those that the provider named when it took the job. The handle of fal-client asks again by
    itself after a drop or a busy gateway.
    """
    import fal_client
    import httpx

    for url in (row.status_url, row.response_url):
        if not account.may_show_key(url):
            raise Unreachable(
                f"the provider named an address that is not its own, and the key was not sent there: {url[:MAX_WORDS]}"
            )
    handle = fal_client.AsyncRequestHandle(row.request_id, row.response_url, row.status_url, row.cancel_url, client)
    wait = pace.first_seconds
    unknown = 0
    answered = clock.elapsed()
    while True:
        await clock.sleep(clock.jittered(wait))
        wait = min(wait * pace.growth, pace.most_seconds)
        try:
            status = await handle.status()
        except fal_client.FalClientHTTPError as problem:
            unknown = unknown + 1 if problem.status_code in (404, 410) else 0
            if unknown >= MAX_UNKNOWN:
                # The queue forgets; the result may still be there, and says more.
                return await fetch_result(row, account, client, failed=None)
            _look_at(problem.status_code, problem.response.content)
            _outlast(clock.elapsed() - answered, pace, f"the provider answers {problem.status_code}")
            continue
        except httpx.HTTPError as problem:
            _outlast(clock.elapsed() - answered, pace, str(problem).strip() or type(problem).__name__)
            continue
        except (KeyError, ValueError, TypeError, RecursionError):
            # A status that cannot be read, as a gateway's page is; the next one may be whole.
            _outlast(clock.elapsed() - answered, pace, "the provider's answer makes no sense")
            continue
        unknown, answered = 0, clock.elapsed()
        if isinstance(status, fal_client.Queued):
            seen(Progress(status.position))
        elif isinstance(status, fal_client.InProgress):
            seen(Progress(None))
        elif isinstance(status, fal_client.Completed):
            failed = failed_job(status.error, status.error_type or "") if status.error else None
            return await fetch_result(row, account, client, failed=failed)


async def fetch_result(
    row: Row, account: Account, client: httpx.AsyncClient, *, failed: Failure | None
) -> Finished | Failure:
    """Return what stands at a job's result address; `failed` is what its status said of a failure.

    Raises `Unreachable`, `AccountRefused`, and `FromSandbox`: a sandbox has no job of fal's, and would have it lost.
    """

    async def ask() -> httpx.Response:
        answer = await _get(row.response_url, client)
        if answer.status_code in (408, 425, 429, 502, 503, 504) and failed is None and not _is_from_model(answer):
            raise _Again(f"the provider answered {answer.status_code}")
        return answer

    try:
        answer = await persist(ask, _Again, attempts=5, timeout=60.0, wait_initial=0.5, wait_max=10.0)
    except _Again as problem:
        raise Unreachable(f"the job is done, and its result cannot be fetched for now: {problem}") from problem
    if account.meets_sandbox(answer.headers):
        raise FromSandbox
    if answer.is_success and failed is None:
        return Finished(answer.content, _units(answer.headers.get("x-fal-billable-units")))
    if answer.is_success:
        return failed or Failure("the job failed", "maybe")
    if answer.status_code in (404, 410):
        gone = "the provider no longer has the result: it is kept for about an hour"
        return Failure(f"{gone} ({answer.status_code})", "maybe")
    if answer.status_code == 401 or (failed is None and not _is_from_model(answer)):
        # The clip may be there all the same, and is paid for: it is asked for until the provider says that it is gone.
        raise _refused(answer.status_code, answer.content)
    return failed_result(answer.status_code, answer.content)


class Video(msgspec.Struct, frozen=True):
    """The video that a result names."""

    url: str
    file_size: int | None = None


class _Result(msgspec.Struct, frozen=True):
    video: Video


def video_of(result: bytes) -> Video | None:
    """Return the video of a result, or None when there is none in it."""
    found = decode(result, _Result)
    return None if found is None else found.video


class _Again(Exception):
    """Asking again may help."""


async def _get(url: str, client: httpx.AsyncClient) -> httpx.Response:
    import httpx

    try:
        return await client.request("GET", url)
    except httpx.HTTPError as problem:
        raise _Again(str(problem).strip() or type(problem).__name__) from problem


def _is_from_model(answer: httpx.Response) -> bool:
    """Say whether an error is the end of the job, and not what a gateway or the platform thinks of the question.

    The model's errors are a list; those of what ran it have a type in a header (API facts, section 2, medium).
    """
    if answer.status_code in (401, 402, 403):
        return is_list_of_errors(answer.content)
    return (
        "x-fal-request-id" in answer.headers
        or "x-fal-error-type" in answer.headers
        or is_list_of_errors(answer.content)
    )


def _outlast(seconds: float, pace: Pace, reason: str) -> None:
    """Raise when nothing sensible was heard of a job for too long; it is at the provider all the same."""
    if seconds > pace.outage_seconds:
        raise Unreachable(f"the job cannot be asked after: {reason}")


def _look_at(status: int, body: bytes) -> None:
    """Raise when asking again is of no use; a busy gateway, or a queue that does not know the job yet, is asked again."""
    if status < 500 and status not in (404, 408, 409, 410, 425, 429):
        raise _refused(status, body)


def _refused(status: int, body: bytes) -> RenderProblem:
    words = read_details(body).words
    if status in (401, 402, 403):
        return AccountRefused(
            f"the provider refuses the key ({status}, {words}): jobs it has are asked after next time"
        )
    return Unreachable(f"the provider answered {status} when asked after the job: {words}")


def _units(told: str | None) -> Decimal | None:
    try:
        units = Decimal(told) if told else None
    except InvalidOperation:
        return None
    if units is None or not units.is_finite() or units < 0:
        return None
    # A few digits of exponent make a number that fills the memory once it is written out.
    exponent = units.as_tuple().exponent
    is_short = isinstance(exponent, int) and -MAX_UNIT_DIGITS <= exponent <= units.adjusted() <= MAX_UNIT_DIGITS
    if is_short:
        return units
    return None if units else Decimal(0)
