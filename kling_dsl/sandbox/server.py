"""Serves a sandbox over TLS on loopback, from a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from email.utils import formatdate
from typing import Any, TypeVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from kling_dsl.sandbox.bill import Counts
from kling_dsl.sandbox.gate import TRANSPORT
from kling_dsl.sandbox.proxy import Proxy
from kling_dsl.sandbox.web import ASGIApp, Receive, Scope, Send

Answer = TypeVar("Answer")
Make = Callable[[], Awaitable[tuple[ASGIApp, Callable[[], Awaitable[None]]]]]
"""Makes an application, and what ends it."""

_KEEP_ALIVE_SECONDS = 600
"""How long an idle connection stays open: a client that asks every ten seconds must never find it closed under its
question, which would look like a lost answer."""

_BACKLOG = 2048
_TLS_SECONDS = 10.0


def open_plug(port: int) -> socket.socket:
    """Return a socket that is bound to a loopback port, 0 for any; raises OSError when it is taken."""
    # With the protocol named, asyncio sends each write at once; without it, every answer waits 40 ms for the kernel.
    plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        plug.bind(("127.0.0.1", port))
    except BaseException:
        plug.close()
        raise
    return plug


class Server:
    """An application on a loopback socket, and the proxy that leads to it."""

    def __init__(self, plug: socket.socket, context: ssl.SSLContext, *, counts: Counts) -> None:
        self._plug = plug
        self._context = context
        self._counts = counts
        self.proxy = Proxy(plug.getsockname()[1], refused=counts.refuse_host)
        self.proxy_port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self, make: Make) -> None:
        """Serve what `make` returns, an application and how to end it; it is called in the server's own thread."""
        ready: Future[None] = Future()

        def run() -> None:
            try:
                asyncio.run(self._serve(make, ready))
            except BaseException as problem:
                if ready.done():
                    raise
                ready.set_exception(problem)

        self._thread = threading.Thread(target=run, name="kling-sandbox", daemon=True)
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self._plug.close()
            raise

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Call a function in the server's thread, and return what it returns; after the end it is called here."""
        if self._loop is None or self._stop is None or self._loop.is_closed():
            return question()

        async def call() -> Answer:
            return question()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def stop(self) -> None:
        """End the server: every connection is closed, and its thread is over."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._loop = None

    def _hear(self, _loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        """Note what went wrong in the loop, unless it is a caller that has gone away or speaks no TLS."""
        problem = told.get("exception")
        if not isinstance(problem, (OSError, asyncio.CancelledError)):
            self._counts.note_problem(f"{told['message']}: {type(problem).__name__}: {problem}")

    async def _serve(self, make: Make, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._hear)
        app, end = await make()
        state = ServerState()
        config = uvicorn.Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="critical",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        config.load()
        server = await self._loop.create_server(
            lambda: _Protocol(config, state, {}),
            sock=self._plug,
            ssl=self._context,
            backlog=_BACKLOG,
            ssl_handshake_timeout=_TLS_SECONDS,
            ssl_shutdown_timeout=_TLS_SECONDS / 10,
        )
        try:
            self.proxy_port = await self.proxy.start()
            _tell_time(state)
            ready.set_result(None)
            while not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), timeout=1.0)
                _tell_time(state)
        finally:
            server.close()
            await self.proxy.stop()
            await _close(state)
            await end()


class _Protocol(H11Protocol):
    """A connection that the application can break off: its transport stands in the scope of each request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner: Any = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app


def _tell_time(state: ServerState) -> None:
    """Let answers say when they were given, to the second, as web servers do."""
    state.default_headers = [(b"date", formatdate(usegmt=True).encode("ascii"))]


async def _close(state: ServerState) -> None:
    for connection in tuple(state.connections):
        connection.transport.abort()
    tasks = tuple(state.tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # An abort takes effect when the loop comes round again; two rounds for the connection under TLS.
    for _ in range(3):
        await asyncio.sleep(0)
