"""Brings one take to its end: buys it, follows it, fetches it; every state of its row has one next step."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kling_dsl.ledger import Key, LedgerError, Order, Refused, Row
from kling_dsl.ledger.leases import is_alive
from kling_dsl.ledger.transitions import may_reserve
from kling_dsl.render.downloads import Gone, NotFetched, fetch
from kling_dsl.render.events import Event, EventKind
from kling_dsl.render.failures import FILE_LOST, Failure
from kling_dsl.render.finishing import Kept, finish
from kling_dsl.render.inheritance import inherit
from kling_dsl.render.jobs import Finished, Progress, follow, video_of
from kling_dsl.render.keeping import LockKeeper
from kling_dsl.render.limits import told
from kling_dsl.render.network import MAX_POSTS
from kling_dsl.render.patience import persist
from kling_dsl.render.problems import AccountRefused, FromSandbox
from kling_dsl.render.provenance import Origin
from kling_dsl.render.spending import Bought, Declined, NotSent, Spent, Unsure, spend
from kling_dsl.render.uploads import forget_files
from kling_dsl.render.writing import in_turn
from kling_dsl.standing import UNDER_WAY, take_of

if TYPE_CHECKING:
    from kling_dsl.render.engine import Tools, Work

Result = TypeVar("Result")

WATCH_SECONDS = 0.5
"""How often a take is looked at that another process works on."""
MAX_TRIES = 6
"""How often a request is offered that was not sent or not taken."""
MAX_TRYING_SECONDS = 900.0
FINISHERS = 4
"""The most clips that are put into the store at once: several that wait for the disk wait no longer than one."""
MEASURERS = 2
"""The most clips that are measured at once: a 4K picture to decode is 12 MB of memory and a core."""


class Ended(msgspec.Struct, frozen=True):
    """How far a take came: its row, None when nothing was ever reserved, and why it went no further."""

    take: int
    row: Row | None
    problem: str = ""
    refused_by_limit: bool = False


class TakeRunner:
    """Runs takes of one render, and keeps their number at the provider within its bound."""

    def __init__(self, work: Work, tools: Tools, keeper: LockKeeper) -> None:
        self._work = work
        self._tools = tools
        self._keeper = keeper
        self._slots = asyncio.Semaphore(work.concurrency)
        self._posts = asyncio.Semaphore(MAX_POSTS)
        self._finishers = asyncio.Semaphore(FINISHERS)
        self._measurers = threading.Semaphore(MEASURERS)
        self._critical: set[asyncio.Task[Any]] = set()
        self._keys: dict[Key, asyncio.Lock] = {}
        self._completed: set[Key] = set()
        self._stopping = False
        self.spent_usd = Decimal(0)

    def stop(self) -> None:
        """Buy nothing more; what is being sent or fetched is brought to its end."""
        self._stopping = True

    async def settle(self) -> None:
        """Wait for what must not be broken off."""
        while self._critical:
            await asyncio.gather(*self._critical, return_exceptions=True)

    async def run(self, key: Key, order: Order | None) -> Ended:
        """Bring a take as far as it goes, step by step; without an order it is followed and never bought.

        A take is offered once in a render: one that failed without being billed is bought by the next render.
        """
        # Two clips with one request share its takes, and a take that is left over may turn out to be wanted.
        async with self._keys.setdefault(key, asyncio.Lock()):
            return await self._run(key, order)

    async def _run(self, key: Key, order: Order | None) -> Ended:
        slot = _Slot(self._slots)
        worked = False
        row: Row | None = None
        try:
            while True:
                row = row or await in_turn(self._tools.ledger, self._tools.ledger.row, key)
                if row is None or may_reserve(row.state, row.billed):
                    if order is None or worked or self._stopping:
                        return Ended(key.take, row, row.reason if row and worked else "")
                    await slot.take()
                    bought = await self._buy(order)
                    if isinstance(bought, Ended):
                        return bought
                    row = bought
                elif row.owner != self._tools.ledger.run and row.state in UNDER_WAY:
                    await self._wait_or_take_over(row)
                    row = None
                elif row.state == "submitted":
                    row = await self._follow(row)
                elif row.state == "completed":
                    slot.give_back()
                    row = await self._whole(self._fetch(row))
                elif row.state == "stored" and not self._tools.store.has(row.sha256) and not worked:
                    row = await in_turn(
                        self._tools.ledger, self._tools.ledger.reopened, key, at=self._tools.clock.now()
                    )
                else:
                    if row.state == "stored" and row.owner != self._tools.ledger.run:
                        # The other process may end before it writes the lock.
                        self._keeper.add(take_of(row))
                        self._tell("stored", row.order, sha256=row.sha256, reason="by another process")
                    return Ended(key.take, row, row.reason if row.state != "stored" else "")
                worked = True
        except (AccountRefused, FromSandbox, LedgerError):
            # What waits for this slot would meet the same end.
            self._stopping = True
            raise
        finally:
            slot.give_back()

    async def _buy(self, order: Order) -> Ended | Row | None:
        """Offer a take until it is taken, refused for good, or somebody else's.

        Returns the row by which it goes on, None when that has to be looked up.
        """
        take = order.key.take
        rules = {"attempts": MAX_TRIES, "timeout": MAX_TRYING_SECONDS, "wait_initial": 1.0, "wait_max": 60.0}
        try:
            spent = await persist(partial(self._offer, order), _wait_for, **rules)
        except _Again as problem:
            self._tell("failed", order, reason=str(problem), billed="no")
            return Ended(take, await in_turn(self._tools.ledger, self._tools.ledger.row, order.key), str(problem))
        if spent is None:
            return Ended(take, None)
        if isinstance(spent, Declined):
            self._tell("failed", order, reason=spent.reason, billed="no")
            return Ended(take, await in_turn(self._tools.ledger, self._tools.ledger.row, order.key), spent.reason)
        if isinstance(spent, Refused):
            reason = told(spent.limit, spent.spending, spent.wanted_usd)
            self._tell("refused", order, reason=reason)
            return Ended(take, None, reason, refused_by_limit=True)
        return spent.row if isinstance(spent, Bought) else None

    async def _offer(self, order: Order) -> Spent | None:
        """Offer a take once; None when the render was stopped before. Raises `_Again` when it may be offered again."""
        # Those that wait are not reserved yet, so that a render that ends now leaves none of them uncertain; and they
        # wait here, where nothing counts the time against them.
        async with self._posts:
            if self._stopping:
                return None
            spent = await self._whole(self._spend(order))
        if isinstance(spent, NotSent):
            raise _Again(spent.reason, 0.0)
        if isinstance(spent, Declined) and spent.retry_after_seconds is not None:
            raise _Again(spent.reason, spent.retry_after_seconds)
        return spent

    async def _spend(self, order: Order) -> Spent:
        tools = self._tools
        spent = await spend(
            order,
            self._work.limits,
            ledger=tools.ledger,
            account=tools.account,
            line=tools.network.paying,
            clock=tools.clock,
        )
        if isinstance(spent, Bought):
            self.spent_usd += order.price_usd
            self._tell("submitted", order, request_id=spent.row.request_id)
        elif isinstance(spent, Unsure):
            self.spent_usd += order.price_usd
            self._tell("uncertain", order, reason=spent.reason)
        elif isinstance(spent, NotSent) or (isinstance(spent, Declined) and spent.retry_after_seconds is not None):
            self._tell("retrying", order, reason=spent.reason)
        return spent

    async def _wait_or_take_over(self, row: Row) -> None:
        """Wait for the process that works on a take, or take its place when it is gone."""
        tools = self._tools
        if is_alive(self._work.stage.runs, row.owner):
            self._tell("elsewhere", row.order, reason="another process is rendering it")
            await tools.clock.sleep(WATCH_SECONDS)
            return
        now = inherit(row, tools.ledger, at=tools.clock.now())
        if now is not None and now.state == "uncertain":
            self._tell("uncertain", row.order, reason=now.reason)

    async def _follow(self, row: Row) -> Row:
        tools = self._tools
        seen: Progress | None = None

        def tell(progress: Progress) -> None:
            nonlocal seen
            if progress != seen:
                seen = progress
                kind: EventKind = "running" if progress.position is None else "queued"
                self._tell(kind, row.order, position=progress.position, request_id=row.request_id)

        result = await follow(row, tools.account, tools.network.asking, tools.clock, pace=self._work.pace, seen=tell)
        if not isinstance(result, Finished):
            return await self._whole(self._fail(row, result))
        now, units = tools.clock.now(), result.billed_units
        completed = await self._whole(
            in_turn(tools.ledger, tools.ledger.completed, row.key, result=result.body, billed_units=units, at=now)
        )
        self._completed.add(row.key)
        self._tell("completed", row.order, request_id=row.request_id)
        return completed

    async def _fetch(self, row: Row) -> Row:
        """Download a finished clip, measure it, and put it where it belongs."""
        tools, key = self._tools, row.key
        if key not in self._completed and (sha256 := tools.store.find_request(row.request_id)):
            # A run ended after the clip was in the store and before its row said so.
            return await self._stored(row, sha256)
        video = video_of(row.result)
        if video is None:
            return await self._fail(row, Failure("the result names no video", "maybe"))
        part = tools.store.part(key.fingerprint, key.take)
        part.unlink(missing_ok=True)
        self._tell("fetching", row.order, bytes=video.file_size)
        try:
            await fetch(video, part, line=tools.network.fetching)
        except (Gone, NotFetched) as problem:
            return await self._fail(row, Failure(str(problem), "maybe"))
        async with self._finishers:
            result = await asyncio.to_thread(
                finish, part, row, self._origin(row), tools.store, place_to_measure=self._measurers
            )
        if isinstance(result, Kept):
            return await self._stored(row, result.sha256, reason="; ".join(result.notes))
        reason = f"what came is not what was asked for: {result.reason}"
        place = str(result.place.relative_to(self._work.stage.root))
        return await self._fail(row, Failure(reason, "maybe"), quarantine=place)

    def _origin(self, row: Row) -> Origin:
        work = self._work
        profile = work.compilation.profiles.get(row.order.model)
        return Origin(profile, work.commit, scaled=not work.stage.spends)

    async def _stored(self, row: Row, sha256: str, *, reason: str = "") -> Row:
        tools = self._tools
        stored = await in_turn(tools.ledger, tools.ledger.stored, row.key, sha256=sha256, at=tools.clock.now())
        self._keeper.add(take_of(stored))
        path = tools.store.path(sha256).relative_to(self._work.stage.root).as_posix()
        self._tell("stored", row.order, sha256=sha256, path=path, reason=reason, request_id=row.request_id)
        return stored

    async def _fail(self, row: Row, failure: Failure, *, quarantine: str = "") -> Row:
        failed = await in_turn(
            self._tools.ledger,
            self._tools.ledger.failed,
            row.key,
            billed=failure.billed,
            reason=failure.reason,
            quarantine=quarantine,
            at=self._tools.clock.now(),
        )
        if failure.kind in FILE_LOST:
            await in_turn(
                self._tools.ledger, forget_files, row.order.canonical, self._tools.ledger, self._tools.account
            )
        if failure.billed == "no":
            self.spent_usd -= row.order.price_usd
        self._tell(
            "failed",
            row.order,
            reason=failure.reason,
            billed=failure.billed,
            path=quarantine,
            request_id=row.request_id,
        )
        return failed

    def _tell(self, kind: EventKind, order: Order, **details: Any) -> None:
        event = Event(
            kind,
            clip=order.clip,
            take=order.key.take,
            file=order.file,
            line=order.line,
            cost_usd=order.price_usd,
            spent_usd=self.spent_usd,
            **details,
        )
        self._tools.listener(event)

    async def _whole(self, step: Coroutine[Any, Any, Result]) -> Result:
        """Bring a step to its end even when the one who waits for it is stopped."""
        task = asyncio.create_task(step)
        self._critical.add(task)
        task.add_done_callback(self._critical.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with contextlib.suppress(BaseException):
                await asyncio.wait({task})
            raise


class _Again(Exception):
    """The request was not taken, and may be offered again after a while."""

    def __init__(self, reason: str, wait_seconds: float) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


def _wait_for(problem: Exception) -> bool | float:
    """Tell stamina how long to wait: as long as the provider said, else by its own growing and jittered steps."""
    if isinstance(problem, _Again):
        return problem.wait_seconds or True
    return False


class _Slot:
    """One place among the takes that are at the provider."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def take(self) -> None:
        """Wait for a place, unless it is held already."""
        if not self._held:
            await self._slots.acquire()
            self._held = True

    def give_back(self) -> None:
        """Give the place to the next."""
        if self._held:
            self._held = False
            self._slots.release()
