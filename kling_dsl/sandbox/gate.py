"""The door of the sandbox: which host is meant, whether there is a key, and the proxy of fal's JavaScript client."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Literal
from urllib.parse import urlsplit

from kling_dsl.sandbox.bill import Counts
from kling_dsl.sandbox.hosts import HOSTS, Room, room_of
from kling_dsl.sandbox.web import ASGIApp, Handler, Message, Receive, Request, Response, Scope, Send, refuse

TRANSPORT = "kling.transport"
"""Where the server puts the connection of a request into its scope."""

PROXY_PATH = "/api/fal/proxy"
TARGET_HEADER = b"x-fal-target-url"
MARK = (b"x-kling-sandbox", b"1")
SANDBOX_KEY = "sandbox:sandbox"

_ROOM = "kling.room"
_KEY = re.compile(r"(?i:key) [^\s:]+:\S+|(?i:bearer) \S+")
_KEYED = ("queue", "rest", "api")
_PROXIED = ("queue", "rest", "api")


def room(name: Room | Literal["control"], handler: Handler) -> Handler:
    """Return a handler that answers on the hosts of one room alone, and only with a key where one is needed."""

    async def answer_in_room(request: Request) -> Response:
        if request.scope[_ROOM] not in (name, "all"):
            return refuse(404, f"this host has no {request.url.path}", kind="not_found")
        if name in _KEYED and not _KEY.fullmatch(request.headers.get("authorization", "")):
            return refuse(401, "there is no key: Authorization has to be 'Key <id>:<secret>'", kind="unauthorized")
        return await handler(request)

    return answer_in_room


async def drop(request: Request) -> Response:
    """Break the connection of a request off; what is returned is never sent."""
    await leave(request.scope[TRANSPORT].abort, request.receive)
    return Response()


class BrokenDownload(Response):
    """A download that stops: `orderly` by closing the connection, else by breaking it off."""

    def __init__(self, content: bytes, *, sent: int, content_type: str, how: Literal["orderly", "broken"]) -> None:
        super().__init__(b"", 200, {"Content-Length": str(len(content))}, media_type=content_type)
        self._content = content[:sent]
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the beginning, and no end."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await send({"type": "http.response.body", "body": self._content, "more_body": True})
        transport: asyncio.Transport = scope[TRANSPORT]
        await leave(transport.close if self._how == "orderly" else transport.abort, receive)


async def leave(close: Callable[[], None], receive: Receive) -> None:
    """Close a connection, and wait until it is gone: a request that ends without an answer gets a 500 otherwise."""
    close()
    while (await receive())["type"] != "http.disconnect":
        pass


class Gate:
    """The application as the server sees it: every request goes through here first, and every answer is marked."""

    def __init__(self, inner: ASGIApp, *, port: int, counts: Counts) -> None:
        self._inner = inner
        self._port = port
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], MARK]
            await send(message)

        headers = dict(scope["headers"])
        found = room_of(headers.get(b"host", b"").decode("latin-1").lower(), self._port)
        if found is None:
            refusal: Response | None = refuse(421, "the sandbox is not this host", kind="not_found")
        else:
            scope[_ROOM] = found
            if headers.get(b"authorization", b"").lower().startswith(b"key ") and scope["path"].startswith("/files/"):
                self._counts.key_on_media_host += 1
            # On loopback this is what a page of the writer's own server would do: pass on what the client wants.
            proxied = found == "all" and scope["path"] == PROXY_PATH
            refusal = _aim(scope, headers.get(TARGET_HEADER, b"").decode("latin-1")) if proxied else None
        try:
            await (refusal or self._inner)(scope, receive, send_marked)
        except Exception as problem:
            # The answer is a bare 500; what was wrong stands in the bill, for whoever mends the sandbox.
            self._counts.note_problem(f"{scope['method']} {scope['path'][:200]}: {type(problem).__name__}: {problem}")
            raise


def _aim(scope: Scope, target: str) -> Response | None:
    """Turn a request for the proxy into the one that it asks for; nothing goes anywhere but into this process."""
    if not target:
        return refuse(400, f"the header {TARGET_HEADER.decode()} is missing", kind="bad_request")
    try:
        parts = urlsplit(target)
        meant = HOSTS.get(parts.hostname or "") if parts.scheme == "https" and parts.netloc == parts.hostname else None
        path = parts.path.encode("ascii")
        query = parts.query.encode("ascii")
    except (ValueError, UnicodeEncodeError):
        meant, path, query = None, b"", b""
    if meant not in _PROXIED:
        return refuse(412, "the proxy leads to fal's queue, storage and API alone", kind="bad_request")
    scope["path"], scope["raw_path"], scope["query_string"] = path.decode(), path, query
    scope["headers"] = list(_with_key(scope["headers"]))
    scope[_ROOM] = meant
    return None


def _with_key(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Yield headers with a key among them, as the writer's own proxy adds it for a browser, which has none."""
    has_key = False
    for name, value in headers:
        has_key = has_key or name == b"authorization"
        yield name, value
    if not has_key:
        yield b"authorization", f"Key {SANDBOX_KEY}".encode()
