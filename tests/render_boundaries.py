"""Names every step of a render that a crash can come before or after, and kills the process at one of them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

FILE_STEPS = ("replace", "rename", "unlink", "fsync", "link", "chmod")
"""What of the module `os` puts clips, records and locks into their places."""

LEDGER_STEPS = (
    *("reserve", "submitted", "completed", "stored", "failed", "uncertain", "adopted", "reopened"),
    *("take_over", "keep_upload", "forget_upload"),
)
"""The transactions of a render."""

WIRE_STEPS = {
    "connection_create_start": "connection begins",
    "connection_create_end": "connection is made",
    "request_chunk_sent": "body begins",
    "request_end": "answer begins",
}
"""What happens to a paid request on the wire, by the names of aiohttp's tracing."""

SENT = "POST job: body is written"
"""The paid request is on its way, and its answer is not read."""

UPLOAD_STEPS = ("http11.send_request_body.complete", "http11.receive_response_body.complete")
"""What matters of an upload, which costs nothing and may be repeated, as httpcore tells it."""

PIECE_BYTES = 1000
"""So small that a download comes in several pieces."""


class Boundaries:
    """The boundaries that a process has crossed; it is killed at the one called `fatal`, as `name#3` for the third."""

    def __init__(self, fatal: str = "") -> None:
        self.crossed: list[str] = []
        self._fatal = fatal
        self._counts: Counter[str] = Counter()
        self._ended: list[str] = []

    def cross(self, name: str) -> None:
        """Note a boundary, and die at the fatal one."""
        self._counts[name] += 1
        label = f"{name}#{self._counts[name]}"
        self.crossed.append(label)
        if label == self._fatal:
            self.die()

    def die(self) -> None:
        """End this process as a power cut would."""
        os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Watch the ledger, the network and the files of this process from now on."""
        self._watch_ledger()
        self._watch_paid_posts()
        self._watch_requests()
        self._watch_files()

    def _watch_ledger(self) -> None:
        from kling_dsl.ledger.sqlite import SqliteLedger

        for verb in LEDGER_STEPS:
            real = getattr(SqliteLedger, verb)
            setattr(SqliteLedger, verb, self._around(real, f"ledger {verb}"))
        note, together = SqliteLedger._note, SqliteLedger.together

        @contextlib.contextmanager
        def gathered(ledger: SqliteLedger) -> Iterator[None]:
            with together(ledger):
                yield
                self.cross("ledger: steps wait for their commit")
            done, self._ended = self._ended, []
            for name in done:
                self.cross(name)

        def written(*words: Any, **settings: Any) -> None:
            note(*words, **settings)
            self.cross("ledger: written and not committed")

        SqliteLedger._note = written  # type: ignore[method-assign]
        SqliteLedger.together = gathered  # type: ignore[method-assign,assignment]

    def _around(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(ledger: Any, *words: Any, **settings: Any) -> Any:
            self.cross(f"{name} begins")
            found = real(ledger, *words, **settings)
            if ledger._gathering:
                # It is on the disk when the steps that were taken with it are.
                self._ended.append(f"{name} is done")
            else:
                self.cross(f"{name} is done")
            return found

        return call

    def _watch_paid_posts(self) -> None:
        import aiohttp

        real, write = aiohttp.ClientSession.__init__, aiohttp.ClientRequest.write_bytes

        def opened(session: aiohttp.ClientSession, *words: Any, **settings: Any) -> None:
            real(session, *words, trace_configs=[self._tracing()], **settings)

        async def written(request: aiohttp.ClientRequest, *words: Any, **settings: Any) -> None:
            await write(request, *words, **settings)
            if request.method == "POST" and _kind_of(request.url) == "job":
                self.cross(SENT)

        aiohttp.ClientSession.__init__ = opened  # type: ignore[method-assign,assignment]
        aiohttp.ClientRequest.write_bytes = written  # type: ignore[method-assign,assignment]

    def _tracing(self) -> Any:
        """Return what makes aiohttp tell of each step of a paid request."""
        import aiohttp

        tracing = aiohttp.TraceConfig()

        async def begin(_: Any, context: Any, told: aiohttp.TraceRequestStartParams) -> None:
            context.is_paid = told.method == "POST" and _kind_of(told.url) == "job"

        def crossing(name: str) -> Callable[..., Any]:
            async def cross(_: Any, context: Any, __: Any) -> None:
                if context.is_paid:
                    self.cross(f"POST job: {name}")

            return cross

        tracing.on_request_start.append(begin)
        for step, name in WIRE_STEPS.items():
            getattr(tracing, f"on_{step}").append(crossing(name))
        return tracing

    def _watch_requests(self) -> None:
        import httpx

        from kling_dsl.render import downloads, network

        sent, asked, attempt = (
            httpx.AsyncHTTPTransport.handle_async_request,
            network.Line.request,
            downloads._attempt,
        )
        downloads.PIECE_BYTES = PIECE_BYTES

        async def send(transport: Any, request: httpx.Request) -> httpx.Response:
            name = f"{request.method} {_kind_of(request.url)}"

            async def trace(event: str, _: Any) -> None:
                if event in UPLOAD_STEPS:
                    self.cross(f"{name}: {event.partition('.')[2]}")

            request.extensions = {**request.extensions, "trace": trace}
            return await sent(transport, request)

        @contextlib.asynccontextmanager
        async def ask(line: network.Line, method: str, url: str, **settings: Any) -> AsyncIterator[Any]:
            cross = self.cross if method == "GET" else lambda _: None
            kind = _kind_of(httpx.URL(url))
            cross(f"GET {kind} begins")
            async with asked(line, method, url, **settings) as answer:
                cross(f"GET {kind} is answered")
                yield answer

        async def attempted(url: str, part: Any, line: network.Line, _: Any) -> None:
            await attempt(url, part, line, lambda _: self.cross("a piece of a clip is written"))

        httpx.AsyncHTTPTransport.handle_async_request = send  # type: ignore[method-assign,assignment]
        network.Line.request = ask  # type: ignore[method-assign,assignment]
        downloads._attempt = attempted  # type: ignore[assignment]

    def _watch_files(self) -> None:
        for step in FILE_STEPS:
            setattr(os, step, self._before(getattr(os, step), step))

    def _before(self, real: Callable[..., Any], step: str) -> Callable[..., Any]:
        def call(*words: Any, **settings: Any) -> Any:
            place = _place_of(words[-1] if step in ("replace", "rename", "link") else words[0])
            if place:
                self.cross(f"{step} {place}")
            return real(*words, **settings)

        return call


def _kind_of(url: Any) -> str:
    """Return what a request to an address is about."""
    if url.path.startswith("/v1/models/requests"):
        return "history"
    if url.path.endswith(".mp4"):
        return "clip"
    if url.host not in ("127.0.0.1", "localhost") and not url.host.startswith("queue."):
        return "upload"
    return "status" if url.path.endswith("/status") else "result" if "/requests/" in url.path else "job"


def _place_of(path: Any) -> str:
    """Return which of a project's files a path is; empty for one outside of it, as those of the cache are."""
    text = os.path.abspath(os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path)
    if not text.startswith(os.getcwd()):
        return ""
    for mark, name in (
        ("/runs/", "lease"),
        ("/store/incoming", "part"),
        ("/store/quarantine", "quarantine"),
        ("/store", "store"),
        ("/guards", "lock"),
        (".lock", "lock"),
        ("/out/", "out"),
        ("ledger.db", "ledger"),
    ):
        if mark in text:
            return name
    return "folder"
