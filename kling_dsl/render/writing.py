"""Keeps the event loop from waiting for the disk: whatever asks or writes the ledger in a render does so in one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kling-ledger")


async def in_turn(step: Callable[Asked, Answer], *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
    """Call a step of the ledger after those that were asked for before, and return what it returns.

    A commit waits for the disk and holds the ledger meanwhile, so that even a question on the loop would stop it.
    """
    return await asyncio.get_running_loop().run_in_executor(_THREAD, partial(step, *args, **kwargs))
