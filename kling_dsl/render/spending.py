"""The one function that spends: it reserves under every limit, sends one request once, and writes down what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from kling_dsl.ledger import Ledger, Limit, Order, Refused, Row, Taken
from kling_dsl.render.account import Account
from kling_dsl.render.answers import decode, read_date
from kling_dsl.render.clock import Clock
from kling_dsl.render.failures import told_refusal
from kling_dsl.render.network import read_body
from kling_dsl.render.problems import AccountRefused, FromSandbox
from kling_dsl.render.writing import in_turn

if TYPE_CHECKING:
    from kling_dsl.render.network import Line

NO_FALLBACK = {"x-app-fal-disable-fallback": "true", "Content-Type": "application/json"}
"""Stay on the model that was asked for and priced: another one may cost more."""

CLIP_HEADER = "x-kling-clip"
"""Tells the sandbox which clip to write on its pictures; sent to nobody else."""

SAID_NO = frozenset((400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 429, 431, 451))
"""Answers by which the provider took no job. Any other failure may come from between us and a queue that took one."""

MAX_ANSWER_BYTES = 1024 * 1024
"""The most that is read of an answer, which names a job in some hundred bytes, or says why there is none."""

MAX_WAIT_SECONDS = 300.0
"""The longest that a refusal's own waiting time is believed."""


class Bought(msgspec.Struct, frozen=True):
    """The provider took the job: the row is `submitted`."""

    row: Row


class Declined(msgspec.Struct, frozen=True):
    """The provider said no, and nothing was bought; `retry_after_seconds` is None when asking again is of no use."""

    reason: str
    retry_after_seconds: float | None


class NotSent(msgspec.Struct, frozen=True):
    """No byte of the request can have arrived, and nothing was bought."""

    reason: str


class Unsure(msgspec.Struct, frozen=True):
    """Nobody can say from here whether the job was taken: the row is `uncertain`."""

    reason: str


Spent = Bought | Declined | NotSent | Unsure | Taken | Refused


async def spend(
    order: Order,
    limits: Sequence[Limit],
    *,
    ledger: Ledger,
    account: Account,
    line: Line,
    clock: Clock,
) -> Spent:
    """Buy one take, or say why not.

    The row is written as `intent` in the transaction that checks the limits, before the first byte is sent, and it
    is `intent` only for as long as the request may be on its way. The request is sent once to a host; the second
    host is tried only when no connection to the first was made (API facts, sections 2 and 3: the queue has no
    idempotency key, so a repeated request is a second purchase). Raises `AccountRefused` for a wrong key or an
    exhausted balance and `FromSandbox` when a sandbox answered, after the row was freed again.
    """
    reserved = await in_turn(ledger, ledger.reserve, order, limits, at=clock.now())
    if isinstance(reserved, (Taken, Refused)):
        return reserved
    key = order.key
    answer = await _post(order, account, line)
    now = clock.now()
    if isinstance(answer, (NotSent, Declined)):
        await in_turn(ledger, ledger.failed, key, billed="no", reason=answer.reason, at=now)
        return answer
    if isinstance(answer, Unsure):
        await in_turn(ledger, ledger.uncertain, key, reason=answer.reason, at=now)
        return answer
    if account.meets_sandbox(answer.headers):
        await in_turn(
            ledger, ledger.failed, key, billed="no", reason="a sandbox answered, and nothing was bought", at=now
        )
        raise FromSandbox
    if 200 <= answer.status < 300:
        return await _accept(answer, order, ledger, now)
    if answer.status not in SAID_NO:
        reason = f"the answer was {answer.status}, which does not say whether the request was taken"
        await in_turn(ledger, ledger.uncertain, key, reason=reason, at=now)
        return Unsure(reason)
    reason = told_refusal(answer.status, answer.content)
    await in_turn(ledger, ledger.failed, key, billed="no", reason=reason, at=now)
    if answer.status in (401, 402, 403):
        raise AccountRefused(reason)
    return Declined(reason, _waiting_time(answer.headers, now) if answer.status == 429 else None)


async def _post(order: Order, account: Account, line: Line) -> _Answer | Declined | NotSent | Unsure:
    """Send the request once; to the next host only if there was no connection to the one before."""
    import aiohttp

    headers = {**NO_FALLBACK, CLIP_HEADER: order.clip} if account.is_sandbox else NO_FALLBACK
    reason = ""
    for host in account.hosts:
        try:
            return await _send(line, f"https://{host}/{order.endpoint}", order.request, headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError) as problem:
            # Each of these is raised before the first byte of the request: while looking the name up, connecting,
            # agreeing on keys, opening a proxy's tunnel, or waiting for a free place.
            reason = reason or f"{host} could not be reached: {_words(problem)}"
        except aiohttp.InvalidURL as problem:
            return Declined(f"the request could not be made for {host}: {_words(problem)}", None)
        except Exception as problem:  # noqa: BLE001 - whatever else went wrong, a byte may have been sent
            return Unsure(f"the connection was lost after the request was sent: {_words(problem)}")
    return NotSent(reason)


async def _send(line: Line, url: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
    async with line.request("POST", url, data=body, headers=headers, allow_redirects=False) as answer:
        return _Answer(answer.status, answer.headers, await read_body(answer, most_bytes=MAX_ANSWER_BYTES))


async def _accept(answer: _Answer, order: Order, ledger: Ledger, now: datetime) -> Bought | Unsure:
    job = decode(answer.content, _Submitted)
    if job is None:
        reason = f"the answer was {answer.status} without a request id that can be read"
        await in_turn(ledger, ledger.uncertain, order.key, reason=reason, at=now)
        return Unsure(reason)
    row = await in_turn(
        ledger,
        ledger.submitted,
        order.key,
        request_id=job.request_id,
        response_url=job.response_url,
        status_url=job.status_url,
        cancel_url=job.cancel_url,
        at=now,
    )
    return Bought(row)


class _Answer(msgspec.Struct, frozen=True):
    # Headers are found in any case of letters; a body that is too long ends early, and makes no sense then.
    status: int
    headers: Mapping[str, str]
    content: bytes


class _Submitted(msgspec.Struct, frozen=True):
    # What the lock can hold; an id of another kind is none that we could ask after.
    request_id: Annotated[str, msgspec.Meta(pattern=r"\A[\x21-\x7e]{1,200}\Z")]
    response_url: str
    status_url: str
    cancel_url: str


def _waiting_time(headers: Mapping[str, str], now: datetime) -> float:
    """Return the seconds that a refusal asks us to wait, in either of the two ways of saying it; 0 when it says none."""
    told = headers.get("retry-after", "").strip()
    if told.isdigit():
        seconds = float(told)
    else:
        until = read_date(told)
        seconds = 0.0 if until is None else (until - now).total_seconds()
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS)


def _words(problem: Exception) -> str:
    return str(problem).strip() or type(problem).__name__
