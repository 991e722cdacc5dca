"""Renders a film: brings every take that is wanted to its end, many at a time, and each through its one legal next step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from kling_dsl.calls import Call
from kling_dsl.compiler import Compilation
from kling_dsl.footage import Undecodable, last_frame
from kling_dsl.ledger import Key, Ledger, LedgerError, Limit, Order, Row
from kling_dsl.lock import Lock, LockError
from kling_dsl.project import DiskWorld
from kling_dsl.render.account import Account
from kling_dsl.render.clock import Clock
from kling_dsl.render.events import Event, Listener
from kling_dsl.render.jobs import Pace
from kling_dsl.render.keeping import LockKeeper
from kling_dsl.render.network import Network
from kling_dsl.render.problems import AccountRefused, FromSandbox, RenderProblem, UploadFailed
from kling_dsl.render.provenance import Commit
from kling_dsl.render.stage import Stage
from kling_dsl.render.takes import Ended, TakeRunner
from kling_dsl.render.uploads import Uploader, fill
from kling_dsl.render.writing import in_turn
from kling_dsl.standing import UNDER_WAY, Records, Standing, Standings, by_fingerprint, next_takes, take_of
from kling_dsl.store import Store

Result = TypeVar("Result")


class Work(msgspec.Struct, frozen=True, eq=False):
    """What a render is asked for.

    `only` names the clips to render, all of them when it is None. `extra` asks for more takes of a clip than the
    film does, by its id.
    """

    compilation: Compilation
    world: DiskWorld
    stage: Stage
    limits: tuple[Limit, ...]
    concurrency: int
    commit: Commit = Commit()
    pace: Pace = Pace()
    only: frozenset[str] | None = None
    extra: Mapping[str, int] = {}


class Tools(msgspec.Struct, frozen=True, eq=False):
    """What a render works with; all of it is open, and closed by whoever opened it."""

    ledger: Ledger
    store: Store
    account: Account
    network: Network
    clock: Clock
    listener: Listener


class ClipEnd(msgspec.Struct, frozen=True):
    """How a clip stood at the end of a render, and what became of each of its takes that were worked on."""

    standing: Standing
    takes: tuple[Ended, ...] = ()
    problem: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What a render came to. `problem` is what ended it for all clips, or empty."""

    clips: tuple[ClipEnd, ...]
    spent_usd: Decimal
    stopped: bool
    problem: str


class Render:
    """One render of one film. `stop` may be called at any time from the loop's thread."""

    def __init__(self, work: Work, tools: Tools, *, lock: Lock) -> None:
        self._work = work
        self._tools = tools
        self._lock = lock
        self._standings = Standings(work.compilation)
        self._uploader = Uploader(work.world, tools.ledger, tools.account, tools.clock)
        film = work.compilation.file
        self._keeper = LockKeeper(work.stage.lock(film), guard=work.stage.guard(film))
        self._runner = TakeRunner(work, tools, self._keeper)
        self._frames: dict[str, asyncio.Future[str]] = {}
        self._awaited = frozenset(other for call in work.compilation.calls for other in call.after)
        self._clips: list[asyncio.Task[Any]] = []
        self._stopping = False
        self._problem = ""

    async def run(self) -> Outcome:
        """Render until nothing more can be done, and return what it came to; problems of one clip stop no other."""
        standings = self._standings.all(self._records_of_all())
        loop = asyncio.get_running_loop()
        self._frames = {standing.call.id: loop.create_future() for standing in standings}
        self._keep_left_out()
        for standing in standings:
            self._keep_known(standing)
        tasks: dict[str, asyncio.Task[ClipEnd]] = {}
        for standing in standings:
            if self._is_wanted(standing):
                tasks[standing.call.id] = asyncio.create_task(self._clip(standing))
            else:
                self._frames[standing.call.id].set_result(standing.frame_source)
        leftovers = asyncio.create_task(self._finish_leftovers({standing.fingerprint for standing in standings}))
        self._clips = [*tasks.values(), leftovers]
        try:
            ends = await asyncio.gather(*tasks.values(), return_exceptions=True)
            await asyncio.wait({leftovers})
            await self._runner.settle()
        finally:
            for future in self._frames.values():
                future.cancel()
            await self._close_keeper()
        by_id = dict(zip(tasks, ends, strict=True))
        # Rows have moved on since each clip ended: what was being sent when all was stopped is ordered by now.
        clips = tuple(
            self._end_of(standing, by_id.get(standing.call.id))
            for standing in self._standings.all(self._records_of_all())
        )
        return Outcome(clips, self._runner.spent_usd, self._stopping, self._problem)

    def stop(self) -> None:
        """Submit nothing more, and leave what runs at the provider; requests and downloads under way are finished."""
        if not self._stopping:
            self._stopping = True
            self._runner.stop()
            self._tools.listener(Event("stopping", spent_usd=self._runner.spent_usd))
            for task in self._clips:
                task.cancel()

    def _records(self) -> Records:
        """Return what is known of takes, looked up for one clip at a time."""
        ledger, store = self._tools.ledger, self._tools.store
        return Records(self._lock, lambda fingerprint: ledger.rows(fingerprints=(fingerprint,)), store.has)

    def _records_of_all(self) -> Records:
        """Return what is known of takes at this moment, with the rows of the whole film read at once."""
        one = self._records()
        fingerprints = {call.fingerprint for call in self._work.compilation.calls}
        found = by_fingerprint(self._tools.ledger.rows(fingerprints=fingerprints))
        return Records(
            one.lock,
            # The fingerprint of a clip that continues another is known when the other's last picture is.
            lambda fingerprint: found(fingerprint) if fingerprint in fingerprints else one.rows(fingerprint),
            one.has,
        )

    def _is_wanted(self, standing: Standing) -> bool:
        if self._work.only is not None and standing.call.id not in self._work.only:
            return False
        under_way = any(row.state in UNDER_WAY for row in standing.rows)
        more = standing.call.id in self._work.extra
        return bool(standing.to_buy or standing.lacking or under_way or more)

    def _keep_known(self, standing: Standing) -> None:
        """Bring takes into the lock that the ledger has and the lock lacks, as after a crash between the two."""
        known = {(take.sha256, take.request_id) for take in self._lock.of(standing.fingerprint)}
        for take in standing.takes:
            if (take.sha256, take.request_id) not in known:
                self._keeper.add(take)

    def _keep_left_out(self) -> None:
        """Bring takes of requests into the lock that the film made before an edit, after which they may come again."""
        known = {(take.sha256, take.request_id) for take in self._lock.takes}
        for row in self._tools.ledger.rows(film=self._work.compilation.file, states=("stored",)):
            if (row.sha256, row.request_id) not in known:
                self._keeper.add(take_of(row))

    async def _clip(self, standing: Standing) -> ClipEnd:
        name = standing.call.id
        try:
            end = await self._render_clip(standing)
            if not self._frames[name].done():
                self._frames[name].set_result(end.standing.frame_source)
            return end
        except (AccountRefused, FromSandbox, LedgerError) as problem:
            # What ends one purchase this way ends every other one as well.
            self._problem = self._problem or str(problem)
            self.stop()
            return ClipEnd(standing, problem=str(problem))
        except (RenderProblem, OSError) as problem:
            words = _told(problem)
            self._tools.listener(_about(standing.call, "lost", reason=words))
            return ClipEnd(standing, problem=words)
        finally:
            if not self._frames[name].done():
                self._frames[name].set_result("")

    async def _render_clip(self, standing: Standing) -> ClipEnd:
        call = standing.call
        frames = {other: await asyncio.shield(self._frames[other]) for other in call.after}
        lost = [other for other, digest in frames.items() if not digest]
        if lost:
            self._tools.listener(_about(call, "waiting", reason=standing.why))
            return ClipEnd(standing, problem=f"needs the last frame of {' and '.join(lost)}")
        if frames:
            standing = await in_turn(self._tools.ledger, self._standings.one, call.id, frames, self._records())
            self._keep_known(standing)
        numbers = [*standing.to_buy, *next_takes(standing, self._work.extra.get(call.id, 0))]
        under_way = [row.key.take for row in standing.rows if row.state in UNDER_WAY]
        lacking = [row.key.take for row in self._lacking_rows(standing)]
        request = await self._request(call, frames) if numbers else b""
        takes: list[Coroutine[Any, Any, Ended]] = []
        for number in dict.fromkeys([*under_way, *lacking, *numbers]):
            key = Key(standing.fingerprint, number)
            order = self._order(key, standing, request) if number in numbers else None
            takes.append(self._runner.run(key, order))
        ended = tuple(await _together(takes))
        if call.id in self._awaited:
            standing = await in_turn(self._tools.ledger, self._standings.one, call.id, frames, self._records())
        return ClipEnd(standing, ended)

    def _lacking_rows(self, standing: Standing) -> list[Row]:
        """Return the rows of takes whose file is gone here and may be fetched once more, since they were bought here."""
        rows = self._tools.ledger.rows(fingerprints=(standing.fingerprint,)) if standing.lacking else ()
        return [row for row in rows if row.state == "stored" and row.sha256 in standing.lacking]

    def _order(self, key: Key, standing: Standing, request: bytes) -> Order:
        call = standing.call
        return Order(
            key=key,
            film=self._work.compilation.file,
            clip=call.id,
            file=call.file,
            line=call.line,
            model=call.model,
            endpoint=call.endpoint,
            request=request,
            canonical=standing.canonical,
            seconds=call.seconds,
            price_usd=call.price_usd,
        )

    async def _finish_leftovers(self, current: set[str]) -> None:
        """Bring takes home that the film no longer asks for: they were ordered before an edit, and are paid for."""
        rows = self._tools.ledger.rows(film=self._work.compilation.file, states=UNDER_WAY)
        left = [row for row in rows if row.key.fingerprint not in current]
        for row, end in zip(left, await asyncio.gather(*map(self._finish, left)), strict=True):
            if end:
                about = Event("lost", clip=row.order.clip, take=row.key.take, file=row.order.file, line=row.order.line)
                self._tools.listener(msgspec.structs.replace(about, reason=end))

    async def _finish(self, row: Row) -> str:
        try:
            return (await self._runner.run(row.key, None)).problem
        except (RenderProblem, LedgerError, OSError) as problem:
            return _told(problem)

    async def _request(self, call: Call, frames: Mapping[str, str]) -> bytes:
        """Return the exact body that is sent, after everything that it names was brought to the provider."""
        if call.assets or frames:
            self._tools.listener(_about(call, "uploading"))
        addresses = {asset.address: await self._uploader.bring(asset) for asset in call.assets}
        for other, digest in frames.items():
            try:
                # What comes of this picture is paid for, and found again by the digest of the clip.
                if wrong := await asyncio.to_thread(self._tools.store.check, digest):
                    raise UploadFailed(f"the last frame of {other} cannot be taken: its clip is {wrong}")
                clip = self._tools.store.path(digest)
                picture = await asyncio.to_thread(last_frame, clip, most_bytes=self._most_bytes(call))
            except (OSError, Undecodable) as problem:
                raise UploadFailed(f"the last frame of {other} cannot be taken: {problem}") from problem
            addresses[f"frame:{other}/end"] = await self._uploader.bring_picture(picture)
        return msgspec.json.encode(fill(call.arguments, addresses))

    def _most_bytes(self, call: Call) -> int | None:
        """Return how large a picture may be that a call's model is given."""
        profile = self._work.compilation.profiles.get(call.model)
        assert profile is not None, "a call is made with its sheet"
        return profile.media.image.max_bytes if profile.media.image else None

    async def _close_keeper(self) -> None:
        try:
            await self._keeper.close()
        except (OSError, LockError) as problem:
            self._problem = (
                self._problem or f"the lock could not be written, and the ledger has every take: {_told(problem)}"
            )

    def _end_of(self, standing: Standing, end: ClipEnd | BaseException | None) -> ClipEnd:
        if isinstance(end, ClipEnd):
            return ClipEnd(standing, end.takes, end.problem)
        if end is None or isinstance(end, asyncio.CancelledError):
            return ClipEnd(standing)
        raise end


async def _together(coroutines: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines to their ends and return their results; the first exception is raised when all have ended."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _about(call: Call, kind: Any, *, reason: str = "") -> Event:
    return Event(kind, clip=call.id, file=call.file, line=call.line, reason=reason)


def _told(problem: Exception) -> str:
    if isinstance(problem, OSError):
        place = f": {problem.filename}" if problem.filename else ""
        return f"{problem.strerror or problem}{place}"
    return str(problem)
