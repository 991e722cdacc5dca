"""The clock of a render: the moment for records, and waiting that is never longer because a clock was set."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Tells the time and waits. Only records use the time of day; waiting goes by the loop's own clock."""

    def now(self) -> datetime:
        """Return this moment, in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Return seconds on a clock that nobody sets."""
        return time.monotonic()

    def start_of_day(self) -> datetime:
        """Return when the day began where the writer is."""
        return datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio

        await asyncio.sleep(seconds)

    def jittered(self, seconds: float) -> float:
        """Return seconds up to a fifth longer or shorter, so that many waits do not end together."""
        import random

        return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
