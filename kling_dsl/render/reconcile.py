"""Finds out about uncertain takes from the provider's request history, and adopts those that were bought."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from kling_dsl.ledger import Ledger, Row
from kling_dsl.render.account import API_URL, Account
from kling_dsl.render.answers import decode, read_date
from kling_dsl.render.clock import Clock
from kling_dsl.render.failures import read_details
from kling_dsl.render.network import POST_SECONDS
from kling_dsl.render.problems import AccountRefused, FromSandbox, RenderProblem

if TYPE_CHECKING:
    import httpx

SKEW = timedelta(minutes=5)
"""How far the provider's clock and ours may lie apart without anybody noticing."""
MOST_LEAD = timedelta(days=366)
"""How far they can lie apart at most: TLS refuses the provider's certificate on a day for which it is not valid."""
MAX_PAGES = 200
"""The most pages of history that are read for one endpoint."""
PAGE_SIZE = 100


class HistoryUnavailable(RenderProblem):
    """The request history could not be read; what is uncertain stays so. `told_at` is the provider's time, if it was told."""

    def __init__(self, words: str, told_at: datetime | None = None) -> None:
        super().__init__(words)
        self.told_at = told_at


class Past(msgspec.Struct, frozen=True):
    """A request of the provider's history."""

    request_id: str
    sent_at: datetime
    json_input: Any = None

    @property
    def moment(self) -> datetime:
        """When it was sent; a time without a zone is one of UTC, as all times of the provider are."""
        return self.sent_at if self.sent_at.tzinfo is not None else self.sent_at.replace(tzinfo=UTC)


class History(msgspec.Struct, frozen=True):
    """The requests to an endpoint, oldest first, and the time that the provider told with them."""

    requests: tuple[Past, ...]
    told_at: datetime | None = None


class Found(msgspec.Struct, frozen=True):
    """An uncertain take that was bought after all: it is `submitted` now."""

    row: Row
    request_id: str


class NotFound(msgspec.Struct, frozen=True):
    """An uncertain take that the history does not hold: it may still appear, and only its owner can release it."""

    row: Row


async def reconcile(
    rows: Sequence[Row], *, ledger: Ledger, account: Account, client: httpx.AsyncClient, clock: Clock
) -> tuple[Found | NotFound, ...]:
    """Look uncertain rows up and adopt what is theirs; raises `HistoryUnavailable`, `AccountRefused` and `FromSandbox`.

    A request of the history is a row's own when it went to the same endpoint with exactly the same input, in the
    time in which the row was sent, and belongs to no other row (API facts, section 2: the queue has no other mark).
    Where the provider's answers show that our clock is wrong, what is not found then is looked for at the time that was
    the provider's when the row was sent by that clock.
    """
    uncertain = [row for row in rows if row.state == "uncertain"]
    known = {row.request_id for row in ledger.rows() if row.request_id}
    outcomes: list[Found | NotFound] = []

    async def look(mine: Sequence[Row], lead: timedelta) -> tuple[list[Row], datetime | None]:
        since = min(_begin(row) for row in mine) + lead
        history = await read_history(mine[0].order.endpoint, since, account=account, client=client)
        missing = []
        for row in mine:
            past = _match(row, history.requests, known, lead)
            if past is None:
                missing.append(row)
                continue
            known.add(past.request_id)
            _adopt(row, past, ledger, client, clock.now())
            outcomes.append(Found(row, past.request_id))
        return missing, history.told_at

    for endpoint in dict.fromkeys(row.order.endpoint for row in uncertain):
        missing = [row for row in uncertain if row.order.endpoint == endpoint]
        try:
            missing, told_at = await look(missing, timedelta())
            lead = _lead(told_at, clock)
        except HistoryUnavailable as problem:
            # A clock that is far out asks for a time to come, or for more pages than anybody reads.
            lead = _lead(problem.told_at, clock)
            if not lead:
                raise
        if missing and lead:
            missing, _ = await look(missing, lead)
        outcomes += map(NotFound, missing)
    return tuple(outcomes)


async def read_history(endpoint: str, since: datetime, *, account: Account, client: httpx.AsyncClient) -> History:
    """Return the requests to an endpoint since a moment, with their inputs."""
    found: dict[str, Past] = {}
    cursor = ""
    told_at = None
    for _ in range(MAX_PAGES):
        page, told_at = await _read_page(endpoint, since, cursor, account, client)
        found |= {past.request_id: past for past in page.items}
        cursor = page.next_cursor or ""
        if not page.has_more or not cursor:
            return History(tuple(sorted(found.values(), key=lambda past: past.moment)), told_at)
    words = f"the request history has more than {MAX_PAGES} pages since {since:%Y-%m-%d %H:%M} UTC"
    raise HistoryUnavailable(words, told_at)


def _lead(told_at: datetime | None, clock: Clock) -> timedelta:
    """Return how far the provider's clock is ahead of ours, nothing when that is not told, too little or past belief."""
    lead = timedelta() if told_at is None else told_at - clock.now()
    return lead if SKEW < abs(lead) <= MOST_LEAD else timedelta()


class _Page(msgspec.Struct, frozen=True):
    items: tuple[Past, ...] = ()
    next_cursor: str | None = None
    has_more: bool = False


class _Busy(Exception):
    """The history may answer a little later."""


async def _read_page(
    endpoint: str, since: datetime, cursor: str, account: Account, client: httpx.AsyncClient
) -> tuple[_Page, datetime | None]:
    """Return a page, and when the provider says that it gave it."""
    import httpx
    import stamina

    url = f"{API_URL}/v1/models/requests/by-endpoint"
    assert account.may_show_key(url), "the history is asked for at the provider"
    params = {
        "endpoint_id": endpoint,
        "start": since.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "limit": str(PAGE_SIZE),
        "expand": "payloads",
    }
    if cursor:
        params["cursor"] = cursor
    try:
        async for attempt in stamina.retry_context(on=_Busy, attempts=4, timeout=60.0, wait_initial=0.5, wait_max=8.0):
            with attempt:
                try:
                    answer = await client.get(url, params=params)
                except httpx.HTTPError as problem:
                    raise _Busy(str(problem).strip() or type(problem).__name__) from problem
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise _Busy(f"the provider answered {answer.status_code}")
                if account.meets_sandbox(answer.headers):
                    raise FromSandbox
                return _page_of(answer), read_date(answer.headers.get("Date", ""))
    except _Busy as problem:
        raise HistoryUnavailable(f"the request history cannot be read for now: {problem}") from problem
    raise AssertionError("the loop ends with an answer or an exception")


def _page_of(answer: httpx.Response) -> _Page:
    if answer.status_code in (401, 402, 403):
        words = read_details(answer.content).words
        raise AccountRefused(f"the provider refuses the key for the request history ({answer.status_code}, {words})")
    if not answer.is_success:
        words = f"the provider answered {answer.status_code} when asked for the request history"
        raise HistoryUnavailable(words, read_date(answer.headers.get("Date", "")))
    page = decode(answer.content, _Page)
    if page is None:
        raise HistoryUnavailable("the request history is not what we can read")
    return page


def _begin(row: Row) -> datetime:
    assert row.reserved_at is not None, "a row is written when it is reserved"
    return row.reserved_at - SKEW


def _match(row: Row, history: Sequence[Past], known: set[str], lead: timedelta) -> Past | None:
    wanted = msgspec.json.decode(row.order.request)
    first = _begin(row) + lead
    last = first + 2 * SKEW + timedelta(seconds=POST_SECONDS)
    for past in history:
        if past.request_id not in known and first <= past.moment <= last and _input(past) == wanted:
            return past
    return None


def _input(past: Past) -> Any:
    """Return what a request was sent with; the history may hold it as an object or as its JSON text."""
    return decode(past.json_input, object) if isinstance(past.json_input, str) else past.json_input


def _adopt(row: Row, past: Past, ledger: Ledger, client: httpx.AsyncClient, now: datetime) -> None:
    import fal_client

    # The addresses were in the answer that was lost; fal-client makes them from an id for such cases.
    handle = fal_client.AsyncRequestHandle.from_request_id(client, row.order.endpoint, past.request_id)
    ledger.adopted(
        row.order.key,
        request_id=past.request_id,
        response_url=handle.response_url,
        status_url=handle.status_url,
        cancel_url=handle.cancel_url,
        reason=f"found in the provider's history, sent {past.sent_at:%Y-%m-%d %H:%M:%S} UTC",
        at=now,
    )
