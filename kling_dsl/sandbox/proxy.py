"""A proxy that leads fal's hosts to the sandbox on this machine, and refuses every other host."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable

from kling_dsl.sandbox.hosts import HOSTS

_MAX_HEAD_BYTES = 16 * 1024
_HEAD_SECONDS = 30.0
_STEP = 64 * 1024
_TLS_PORT = "443"


class Proxy:
    """Listens on loopback for CONNECT, and for nothing else; it never opens a connection to another machine."""

    def __init__(self, port: int, *, refused: Callable[[str], None]) -> None:
        self._target = port
        self._refused = refused
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Begin to listen, and return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_MAX_HEAD_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close the door and every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own, so that stopping can wait for it; it is gone from the set when it ends.
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._leave, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await self._admit(reader, writer):
                await self._lead(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            return

    def _leave(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        """Close the connection of a task that is over, one that never began to run included."""
        self._tasks.discard(task)
        writer.transport.abort()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read the head of a request; say 403 to everything but CONNECT to a host of ours."""
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        method, target = (words[0], words[1]) if len(words) == 3 else ("", "")
        host, _, port = target.partition(":")
        if method == "CONNECT" and host.lower() in HOSTS and port == _TLS_PORT:
            return True
        self._refused(target[:200])
        body = b"The kling sandbox leads to fal's hosts only; nothing leaves this machine.\n"
        writer.write(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nx-kling-sandbox: 1\r\n")
        writer.write(b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.write_eof()
        # The rest of what was sent is taken in: closing over unread bytes would reset the answer on its way.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(_STEP), 1.0)
        return False

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            # A side that ends takes the other with it: under TLS no half of a connection is of use alone.
            ways = [asyncio.ensure_future(_pour(reader, outer)), asyncio.ensure_future(_pour(inner, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(_flush(writer, outer), 1.0)
        finally:
            outer.transport.abort()


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_STEP):
        target.write(data)
        await target.drain()


async def _flush(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        await writer.wait_closed()
