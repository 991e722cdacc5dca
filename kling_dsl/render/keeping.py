"""Writes stored takes into the film's lock, several at a time, beside the render that goes on."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from kling_dsl.lock import LockError, Take, add_records

GATHER_SECONDS = 0.5
"""How long takes are gathered before the lock is written: it is written whole each time."""


class LockKeeper:
    """Brings takes into a lock file. The ledger has each of them already, so that a crash before loses none."""

    def __init__(self, path: Path, *, guard: Path) -> None:
        self._path = path
        self._guard = guard
        self._waiting: list[Take] = []
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def add(self, take: Take) -> None:
        """Have a take written soon."""
        self._waiting.append(take)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_later())

    async def close(self) -> None:
        """Write what is left without waiting for more, and raise the problem of a lock that could not be written."""
        self._closing.set()
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        await self._flush()

    async def _write_later(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), GATHER_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        takes, self._waiting = self._waiting, []
        if not takes:
            return
        try:
            await asyncio.to_thread(add_records, self._path, tuple(takes), guard=self._guard)
        except (OSError, LockError):
            self._waiting = [*takes, *self._waiting]
            raise
