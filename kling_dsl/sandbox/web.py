"""The parts of starlette that the sandbox uses, and the forms of its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "MAX_JSON_BYTES",
    "MAX_UPLOAD_BYTES",
    "ASGIApp",
    "ClientDisconnect",
    "Handler",
    "Message",
    "Receive",
    "Refusal",
    "Request",
    "Response",
    "Route",
    "Scope",
    "Send",
    "Starlette",
    "StreamingResponse",
    "answer",
    "answer_refusal",
    "file_answer",
    "gateway_page",
    "read_body",
    "read_chunks",
    "read_json",
    "refuse",
]

Handler = Callable[[Request], Awaitable[Response]]

MAX_JSON_BYTES = 1024 * 1024
MAX_UPLOAD_BYTES = 250 * 1024 * 1024
_MAX_LEFT_BYTES = 8 * 1024 * 1024


def answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def refuse(status: int, words: str, *, kind: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as fal's platform words it: a string under `detail`, and its type beside it."""
    typed = {"error_type": kind} if kind else {}
    retryable = {"X-Fal-Retryable": "true" if status >= 500 or status == 429 else "false"}
    named = {"X-Fal-Error-Type": kind} if kind else {}
    return answer({"detail": words, **typed}, status=status, headers={**retryable, **named, **(headers or {})})


def gateway_page(status: int, reason: str) -> Response:
    """Return the page with which an nginx in front of the platform answers."""
    title = f"{status} {reason}"
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center><hr><center>nginx</center></body></html>"
    return Response(page.replace("><", ">\r\n<"), status, media_type="text/html")


def file_answer(path: Path, *, content_type: str) -> Response:
    """Return a file, or the part of it that the request's Range names."""
    return FileResponse(path, media_type=content_type)


class Refusal(Exception):
    """A request that is answered with an error of the platform."""

    def __init__(self, status: int, words: str, *, kind: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.kind = kind


async def answer_refusal(request: Request, refusal: Exception) -> Response:
    """Answer with the error that a handler raised."""
    assert isinstance(refusal, Refusal)
    # What is left of the body is not read, so that nothing else can come on this connection.
    closing = {"Connection": "close"} if refusal.status == 413 else {}
    return refuse(refusal.status, refusal.words, kind=refusal.kind, headers=closing)


async def read_body(request: Request, *, limit: int = MAX_JSON_BYTES) -> bytes:
    """Return a body; raises Refusal when it is larger than the limit, ClientDisconnect when it never ends."""
    return b"".join([chunk async for chunk in read_chunks(request, limit=limit)])


async def read_chunks(request: Request, *, limit: int) -> AsyncIterator[bytes]:
    """Yield a body in pieces; raises Refusal when it is larger than the limit, ClientDisconnect when it never ends."""
    stated = request.headers.get("content-length", "0")
    total = int(stated) if stated.isdigit() and len(stated) < 18 else 0
    is_too_large = total > limit
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        is_too_large = is_too_large or total > limit
        if not is_too_large:
            yield chunk
        elif total > limit + _MAX_LEFT_BYTES:
            break
    # What is too large by a little is read to its end all the same: an answer in the middle of it would be lost.
    if is_too_large:
        raise Refusal(413, f"the body is larger than the {limit} bytes it may have", kind="request_too_large")


def read_json(body: bytes) -> Any:
    """Return the value that a body holds; raises Refusal when it holds none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Refusal(400, f"the body is no JSON: {problem}", kind="bad_request") from None
