"""Names every step of a render that a crash can come before or after, and kills the process at one of them."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

FILE_STEPS = ("replace", "rename", "unlink", "fsync", "link", "chmod")
"""What of the module `os` puts clips, records and locks into their places."""

LEDGER_STEPS = (
    *("reserve", "submitted", "completed", "stored", "failed", "uncertain", "adopted", "reopened"),
    *("take_over", "keep_upload", "forget_upload"),
)
"""The transactions of a render."""

WIRE_STEPS = (
    "connection.connect_tcp.started",
    "connection.connect_tcp.complete",
    "connection.start_tls.complete",
    "http11.send_request_headers.complete",
    "http11.send_request_body.complete",
    "http11.receive_response_headers.complete",
    "http11.receive_response_body.complete",
)
"""What happens to a request on the wire, as httpcore tells it."""

UPLOAD_STEPS = ("http11.send_request_body.complete", "http11.receive_response_body.complete")
"""As much of that as matters for an upload, which costs nothing and may be repeated."""

PIECE_BYTES = 1000
"""So small that a download comes in several pieces."""


class Boundaries:
    """The boundaries that a process has crossed; it is killed at the one called `fatal`, as `name#3` for the third."""

    def __init__(self, fatal: str = "") -> None:
        self.crossed: list[str] = []
        self._fatal = fatal
        self._counts: Counter[str] = Counter()

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
        note = SqliteLedger._note

        def written(*words: Any, **settings: Any) -> None:
            note(*words, **settings)
            self.cross("ledger: written and not committed")

        SqliteLedger._note = written  # type: ignore[method-assign]

    def _around(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*words: Any, **settings: Any) -> Any:
            self.cross(f"{name} begins")
            found = real(*words, **settings)
            self.cross(f"{name} is done")
            return found

        return call

    def _watch_paid_posts(self) -> None:
        import httpx

        real = httpx.AsyncHTTPTransport.handle_async_request

        async def handle(transport: Any, request: httpx.Request) -> httpx.Response:
            kind = _kind_of(request)
            name, steps = f"{request.method} {kind}", UPLOAD_STEPS if kind == "upload" else WIRE_STEPS

            async def trace(event: str, _: Any) -> None:
                if event in steps:
                    self.cross(f"{name}: {event.partition('.')[2]}")

            request.extensions = {**request.extensions, "trace": trace}
            return await real(transport, request)

        httpx.AsyncHTTPTransport.handle_async_request = handle  # type: ignore[method-assign,assignment]

    def _watch_requests(self) -> None:
        import httpx
        from httpx_aiohttp import AiohttpTransport

        from kling_dsl.render import downloads

        real, pieces = AiohttpTransport.handle_async_request, httpx.Response.aiter_raw
        downloads.PIECE_BYTES = PIECE_BYTES

        async def handle(transport: Any, request: httpx.Request) -> httpx.Response:
            name = f"{request.method} {_kind_of(request)}"
            self.cross(f"{name} begins")
            answer = await real(transport, request)
            self.cross(f"{name} is answered")
            return answer

        async def raw(answer: httpx.Response, *words: Any) -> AsyncIterator[bytes]:
            async for piece in pieces(answer, *words):
                yield piece
                if _kind_of(answer.request) == "clip":
                    self.cross("a piece of a clip is written")

        AiohttpTransport.handle_async_request = handle  # type: ignore[method-assign,assignment]
        httpx.Response.aiter_raw = raw  # type: ignore[method-assign,assignment]

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


def _kind_of(request: Any) -> str:
    """Return what a request is about."""
    path = request.url.path
    if path.startswith("/files/sandbox/clips/"):
        return "clip"
    if path.startswith("/v1/models/requests"):
        return "history"
    if request.url.host not in ("127.0.0.1", "localhost") and not request.url.host.startswith("queue."):
        return "upload"
    return "status" if path.endswith("/status") else "result" if "/requests/" in path else "job"


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
