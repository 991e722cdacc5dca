"""Tries again what may be tried again, by the rules of stamina, and costs nothing where the first try succeeds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def persist(
    step: Callable[[], Awaitable[Result]], on: type[Exception] | Callable[[Exception], bool | float], **rules: Any
) -> Result:
    """Return what a step returns, tried again while it raises `on`; `rules` are those of `stamina.retry_context`.

    Nearly every step succeeds at once, and setting up to try again takes longer than many a step: that waits until the
    first try has failed, which then counts as the first of the attempts. The last problem passes through.
    """
    import stamina

    try:
        return await step()
    except Exception as problem:  # noqa: BLE001 - stamina is told of it just below, and raises what is none of its
        failed = [problem]
    async for attempt in stamina.retry_context(on=on, **rules):
        with attempt:
            if failed:
                raise failed.pop()
            return await step()
    raise AssertionError("stamina ends with a result or with the last problem")
