"""The one function that spends: it reserves under every limit, sends one request once, and writes down what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from kling_dsl.ledger import Ledger, Limit, Order, Refused, Taken
from kling_dsl.render.account import Account
from kling_dsl.render.clock import Clock
from kling_dsl.render.failures import told_refusal
from kling_dsl.render.problems import AccountRefused, FromSandbox
from kling_dsl.render.writing import in_turn

if TYPE_CHECKING:
    import httpx

NO_FALLBACK = {"x-app-fal-disable-fallback": "true", "Content-Type": "application/json"}
"""Stay on the model that was asked for and priced: another one may cost more."""

CLIP_HEADER = "x-kling-clip"
"""Tells the sandbox which clip to write on its pictures; sent to nobody else."""

SAID_NO = frozenset((400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 429, 431, 451))
"""Answers by which the provider took no job. Any other failure may come from between us and a queue that took one."""

MAX_WAIT_SECONDS = 300.0
"""The longest that a refusal's own waiting time is believed."""


class Bought(msgspec.Struct, frozen=True):
    """The provider took the job: the row is `submitted`."""

    request_id: str


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
    client: httpx.AsyncClient,
    clock: Clock,
) -> Spent:
    """Buy one take, or say why not.

    The row is written as `intent` in the transaction that checks the limits, before the first byte is sent, and it
    is `intent` only for as long as the request may be on its way. The request is sent once to a host; the second
    host is tried only when no connection to the first was made (API facts, sections 2 and 3: the queue has no
    idempotency key, so a repeated request is a second purchase). Raises `AccountRefused` for a wrong key or an
    exhausted balance and `FromSandbox` when a sandbox answered, after the row was freed again.
    """
    reserved = await in_turn(ledger.reserve, order, limits, at=clock.now())
    if isinstance(reserved, (Taken, Refused)):
        return reserved
    key = order.key
    answer = await _post(order, account, client)
    now = clock.now()
    if isinstance(answer, (NotSent, Declined)):
        await in_turn(ledger.failed, key, billed="no", reason=answer.reason, at=now)
        return answer
    if isinstance(answer, Unsure):
        await in_turn(ledger.uncertain, key, reason=answer.reason, at=now)
        return answer
    if account.meets_sandbox(answer.headers):
        await in_turn(ledger.failed, key, billed="no", reason="a sandbox answered, and nothing was bought", at=now)
        raise FromSandbox
    if answer.is_success:
        return await _accept(answer, order, ledger, now)
    if answer.status_code not in SAID_NO:
        reason = f"the answer was {answer.status_code}, which does not say whether the request was taken"
        await in_turn(ledger.uncertain, key, reason=reason, at=now)
        return Unsure(reason)
    reason = told_refusal(answer.status_code, answer.content)
    await in_turn(ledger.failed, key, billed="no", reason=reason, at=now)
    if answer.status_code in (401, 402, 403):
        raise AccountRefused(reason)
    return Declined(reason, _waiting_time(answer.headers, now) if answer.status_code == 429 else None)


async def _post(
    order: Order, account: Account, client: httpx.AsyncClient
) -> httpx.Response | Declined | NotSent | Unsure:
    """Send the request once; to the next host only if there was no connection to the one before."""
    import httpx

    headers = {**NO_FALLBACK, CLIP_HEADER: order.clip} if account.is_sandbox else NO_FALLBACK
    reason = ""
    for host in account.hosts:
        try:
            return await client.post(f"https://{host}/{order.endpoint}", content=order.request, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as problem:
            # Each of these is raised before the first byte of the request: while looking the name up, connecting,
            # agreeing on keys, opening a proxy's tunnel, or waiting for a free place.
            reason = reason or f"{host} could not be reached: {_words(problem)}"
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as problem:
            return Declined(f"the request could not be made for {host}: {_words(problem)}", None)
        except Exception as problem:  # noqa: BLE001 - whatever else went wrong, a byte may have been sent
            return Unsure(f"the connection was lost after the request was sent: {_words(problem)}")
    return NotSent(reason)


async def _accept(answer: httpx.Response, order: Order, ledger: Ledger, now: datetime) -> Bought | Unsure:
    try:
        job = msgspec.json.decode(answer.content, type=_Submitted)
    except msgspec.MsgspecError:
        reason = f"the answer was {answer.status_code} without a request id that can be read"
        await in_turn(ledger.uncertain, order.key, reason=reason, at=now)
        return Unsure(reason)
    await in_turn(
        ledger.submitted,
        order.key,
        request_id=job.request_id,
        response_url=job.response_url,
        status_url=job.status_url,
        cancel_url=job.cancel_url,
        at=now,
    )
    return Bought(job.request_id)


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
        try:
            seconds = (parsedate_to_datetime(told) - now) / timedelta(seconds=1)
        except (ValueError, TypeError):
            seconds = 0.0
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS)


def _words(problem: Exception) -> str:
    return str(problem).strip() or type(problem).__name__
