"""Runs what asks the provider: opens ledger, store and connections, and turns problems into messages and exit codes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from kling_dsl.cli.stages import INCOMPLETE

if TYPE_CHECKING:
    from kling_dsl.render.engine import Tools
    from kling_dsl.render.events import Event
    from kling_dsl.render.stage import Stage

Result = TypeVar("Result")

GARBAGE = 20_000
"""After how many new objects a render looks for garbage; each job that is under way has some hundreds."""


class Session(msgspec.Struct, frozen=True, eq=False):
    """What an asynchronous verb works with: the tools that are open, and the stage."""

    tools: Tools
    stage: Stage


def run_with_tools(
    stage: Stage, listener: Callable[[Event], None], job: Callable[[Session], Awaitable[Result]]
) -> Result:
    """Open the ledger, the store and the connections for a job, and run it; problems end the command with a message."""
    import asyncio
    import gc

    from kling_dsl.cli.desk import told_problems
    from kling_dsl.ledger import open_ledger
    from kling_dsl.ledger.leases import Lease
    from kling_dsl.render.problems import NoKey, RenderProblem
    from kling_dsl.reports.escaping import visible

    # A render waits for minutes and makes garbage all the while. The film stays to the end, and is not looked through
    # for garbage each time; and there is always so much under way that looking more often finds nothing more.
    gc.freeze()
    gc.set_threshold(GARBAGE)
    gc.enable()
    try:
        with told_problems(), Lease(stage.runs) as lease, open_ledger(stage.ledger, run=lease.run) as ledger:
            return asyncio.run(_run(stage, ledger, listener, job))
    except NoKey as problem:
        raise click.UsageError(str(problem)) from None
    except RenderProblem as problem:
        click.echo(visible(f"kling: {problem}"), err=True)
        raise click.exceptions.Exit(INCOMPLETE) from None


async def _run(
    stage: Stage, ledger: Any, listener: Callable[[Event], None], job: Callable[[Session], Awaitable[Result]]
) -> Result:
    from kling_dsl.render.account import find_account, sandbox_account
    from kling_dsl.render.clock import Clock
    from kling_dsl.render.engine import Tools
    from kling_dsl.render.network import connect, spare_imports
    from kling_dsl.store import Store

    spare_imports()
    account = await find_account() if stage.spends else sandbox_account()
    async with connect(account) as network:
        tools = Tools(ledger, Store(stage.store), account, network, Clock(), listener)
        return await job(Session(tools, stage))


@contextlib.asynccontextmanager
async def stoppable(stop: Callable[[], None], leave: Callable[[], None]) -> AsyncIterator[None]:
    """Let the first Ctrl-C stop a render and the second one leave at once; a request to terminate stops it, too."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            stop()
        else:
            leave()

    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in signals:
            loop.add_signal_handler(number, press)
    except NotImplementedError:
        # This system has no such handlers: Ctrl-C then interrupts as it always does, and nothing paid is lost.
        yield
        return
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
