"""Keeps the event loop from waiting for the disk: whatever asks or writes the ledger in a render does so in one thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

import msgspec

from kling_dsl.ledger import Ledger

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

MAX_TOGETHER = 64
"""The most steps that go to the disk together: other processes wait for the ledger meanwhile."""


async def in_turn(ledger: Ledger, step: Callable[Asked, Answer], *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
    """Call a step of a ledger after those that were asked for before, and return what it returns.

    It returns when the step is on the disk. A commit waits for the disk and holds the ledger meanwhile, so that even a
    question on the loop would stop it; the steps that were asked for in that time share the next commit.
    """
    loop = asyncio.get_running_loop()
    wanted = _Wanted(ledger, partial(step, *args, **kwargs), loop, loop.create_future())
    _DESK.take(wanted)
    answer: Answer = await wanted.answer
    return answer


class _Wanted(msgspec.Struct, frozen=True, eq=False):
    """A step that somebody waits for."""

    ledger: Ledger
    step: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


_Done = tuple[_Wanted, Any, BaseException | None]


class _Desk:
    """Does one step after the other in a thread of its own, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kling-ledger")
        self._waiting: deque[_Wanted] = deque()
        self._guard = threading.Lock()
        self._is_working = False

    def take(self, wanted: _Wanted) -> None:
        """Have a step done after all others."""
        with self._guard:
            self._waiting.append(wanted)
            if self._is_working:
                return
            self._is_working = True
        wanted.loop.run_in_executor(self._thread, self._work)

    def _work(self) -> None:
        while steps := self._next():
            done = _do_together(steps)
            # A loop that was closed has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                steps[0].loop.call_soon_threadsafe(_tell, done)

    def _next(self) -> list[_Wanted]:
        """Return the steps that go to the disk together: those of one ledger and one loop that wait by now."""
        steps: list[_Wanted] = []
        with self._guard:
            while self._waiting and len(steps) < MAX_TOGETHER:
                first = self._waiting[0]
                if steps and (first.ledger is not steps[0].ledger or first.loop is not steps[0].loop):
                    break
                steps.append(self._waiting.popleft())
            self._is_working = bool(steps)
        return steps


_DESK = _Desk()


def _do_together(steps: list[_Wanted]) -> list[_Done]:
    done: list[_Done] = []
    try:
        with steps[0].ledger.together():
            for wanted in steps:
                # Whoever was stopped before its step began wants it no more.
                if not wanted.answer.cancelled():
                    done.append(_do(wanted))
    except BaseException:  # noqa: BLE001 - each step is told below what goes wrong with it
        # Nothing of it is on the disk, whatever each step came to. The id of a paid job must not be lost because the step
        # beside it is too large for the disk, so each is done once more, alone.
        return [_do(wanted) for wanted in steps if not wanted.answer.cancelled()]
    return done


def _do(wanted: _Wanted) -> _Done:
    try:
        return wanted, wanted.step(), None
    except BaseException as problem:  # noqa: BLE001 - it belongs to the one who waits for this step
        return wanted, None, problem


def _tell(done: list[_Done]) -> None:
    for wanted, answer, problem in done:
        if wanted.answer.done():
            continue
        if problem is None:
            wanted.answer.set_result(answer)
        else:
            wanted.answer.set_exception(problem)
