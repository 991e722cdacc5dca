"""The connections of a render: one line that pays and never repeats itself, others for all that may be repeated."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from kling_dsl import __version__
from kling_dsl.render.account import Account

if TYPE_CHECKING:
    import ssl

    import aiohttp
    import httpx

USER_AGENT = f"kling-dsl/{__version__}"
MAX_POSTS = 32
"""The most paid requests that are on their way at once."""
MAX_POLLS = 64
"""The most connections on which jobs are asked after, whatever their number."""
MAX_DOWNLOADS = 8
"""The most clips that are fetched at once."""
MAX_QUESTIONS = 4096
"""The most questions that are kept ready to be asked again."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""The most that is read of an answer: a page of the request history holds the inputs of many jobs, a result some bytes."""
POST_SECONDS = 120.0
"""How long an answer to a paid request is waited for, as long as fal-client waits; after that it is uncertain."""
CONNECT_SECONDS = 15.0


class Line:
    """Requests over aiohttp, each sent once, by way of the proxy that the environment names for its host.

    What goes wrong is raised as aiohttp tells it: `aiohttp.InvalidURL`, `aiohttp.ClientConnectorError`,
    `aiohttp.ConnectionTimeoutError` and `aiohttp.ClientHttpProxyError` before the first byte of a request, anything else
    perhaps after it.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._proxies: dict[str, dict[str, Any]] = {}

    @contextlib.asynccontextmanager
    async def request(self, method: str, url: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request with aiohttp's own options, and give its answer, whose body is not read yet."""
        async with self._session.request(method, url, **self._way(url), **options) as answer:
            yield answer

    def _way(self, url: str) -> dict[str, Any]:
        """Return the proxy for an address; aiohttp would look it up at each request, in a thread that it starts for that."""
        import aiohttp
        import httpx

        try:
            place = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as problem:
            raise aiohttp.InvalidURL(url, str(problem)) from problem
        host = place.host
        if host not in self._proxies:
            proxy, authorization = _proxy_for(place)
            headers = {"Proxy-Authorization": authorization} if authorization else None
            self._proxies[host] = {"proxy": proxy, "proxy_headers": headers} if proxy else {}
        return self._proxies[host]


class Network(msgspec.Struct, frozen=True):
    """The ways out of a render. `paying` and `asking` carry the key; `fetching` never does."""

    paying: Line
    asking: httpx.AsyncClient
    fetching: Line


@contextlib.asynccontextmanager
async def connect(account: Account) -> AsyncIterator[Network]:
    """Open the connections; proxies and certificates come from the environment, as for fal-client."""
    import aiohttp
    import httpx

    _be_quiet()
    _search_once()
    # One for all: to read the certificates that the system trusts takes longer than many a request.
    context = httpx.create_ssl_context()
    keyed = {"Authorization": account.authorization, "User-Agent": USER_AGENT, "Accept": "application/json"}
    # Every paid request gets a connection of its own: one that was kept open can be closed by the other side while we
    # begin to write, and then nobody knows. It goes over aiohttp itself, which tells a connection that could not be made
    # from a lost answer without fail; httpx's transport over aiohttp calls both the former.
    paying = _session(
        aiohttp.TCPConnector(limit=MAX_POSTS, force_close=True, ssl=context),
        keyed,
        # Not even an answer that comes in drops is waited for longer; what stops waiting after a byte was sent is uncertain.
        aiohttp.ClientTimeout(
            total=POST_SECONDS + 2 * CONNECT_SECONDS,
            connect=2 * CONNECT_SECONDS,
            sock_connect=CONNECT_SECONDS,
            sock_read=POST_SECONDS,
        ),
    )
    fetching = _session(
        aiohttp.TCPConnector(limit=MAX_DOWNLOADS, ssl=context),
        # A clip is written as it travels, and its length is the one that was told.
        {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        aiohttp.ClientTimeout(total=None, sock_connect=30.0, sock_read=120.0),
    )
    patient = httpx.Timeout(120.0, connect=30.0)
    asking = _asker(keyed, _with_backup(_pooled(MAX_POLLS, context), account), patient)
    async with paying, asking, fetching:
        yield Network(Line(paying), asking, Line(fetching))


def _session(
    connector: aiohttp.TCPConnector, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    )


def _be_quiet() -> None:
    """Keep libraries from writing to the terminal on their own: what is tried again is told by our events."""
    import logging

    import stamina

    stamina.instrumentation.set_on_retry_hooks([])
    for name in ("fal_client", "aiohttp", "httpx"):
        logging.getLogger(name).addHandler(logging.NullHandler())


def _search_once() -> None:
    """Spare httpcore its search for `sniffio` through every folder of packages, several times at each request."""
    import importlib.util
    import sys

    if "sniffio" not in sys.modules and importlib.util.find_spec("sniffio") is None:
        # What stands here as None is not there, and nobody looks for it again.
        sys.modules["sniffio"] = None  # type: ignore[assignment]


def _asker(headers: dict[str, str], transport: httpx.AsyncBaseTransport, timeout: httpx.Timeout) -> httpx.AsyncClient:
    """Return a client that follows no redirects and makes each of its questions once, however often it is asked.

    A job is asked after many times in the very same words, and making them took httpx as long as asking.
    """
    import httpx

    class Asker(httpx.AsyncClient):
        async def request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Response:
            if method != "GET" or options.keys() - {"params", "timeout"}:
                return await super().request(method, url, **options)
            words = (str(url), repr(options))
            question = questions.get(words)
            if question is None:
                if len(questions) >= MAX_QUESTIONS:
                    questions.clear()
                question = questions[words] = httpx.Request(
                    method,
                    url,
                    params=options.get("params"),
                    headers=self.headers,
                    extensions={"timeout": httpx.Timeout(options.get("timeout", timeout)).as_dict()},
                )
            answer = await transport.handle_async_request(question)
            content = b""
            async with contextlib.aclosing(answer):
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > MAX_ANSWER_BYTES:
                        break
            return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=content, request=question)

    questions: dict[tuple[str, str], httpx.Request] = {}
    return Asker(headers=headers, transport=transport, timeout=timeout, follow_redirects=False)


def _with_backup(transport: httpx.AsyncBaseTransport, account: Account) -> httpx.AsyncBaseTransport:
    """Return a transport that asks fal's second address when the first cannot be reached: asking may be repeated."""
    if len(account.hosts) == 1:
        return transport
    from fal_client.client import AsyncBackupDomainTransport

    return AsyncBackupDomainTransport(transport=transport)


def _pooled(connections: int, context: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    """Return a transport over aiohttp: the pool of httpx itself slows down with the square of its waiting requests."""
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, ssl=context)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    class ByWayOfProxies(httpx.AsyncBaseTransport):
        """Asks each host by the proxy that the environment names for it, which aiohttp would look up at each request.

        For that it starts a thread every time. All hosts without a proxy share their connections.
        """

        def __init__(self) -> None:
            self._proxies: dict[str, tuple[str, str]] = {}
            self._transports: dict[tuple[str, str], AiohttpTransport] = {}

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            host = request.url.host
            if host not in self._proxies:
                self._proxies[host] = _proxy_for(request.url)
            way = self._proxies[host]
            if way not in self._transports:
                address, authorization = way
                headers = {"Proxy-Authorization": authorization} if authorization else None
                proxy = httpx.Proxy(address, headers=headers) if address else None
                self._transports[way] = AiohttpTransport(verify=context, client=session, proxy=proxy)
            return await self._transports[way].handle_async_request(request)

        async def aclose(self) -> None:
            for transport in self._transports.values():
                await transport.aclose()

    return ByWayOfProxies()


def _plain(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """Return headers without those that speak of the body as it travelled."""
    return [pair for pair in headers.raw if pair[0].lower() not in _OF_TRAVEL]


_OF_TRAVEL = frozenset((b"content-encoding", b"content-length", b"transfer-encoding"))


def _proxy_for(url: httpx.URL) -> tuple[str, str]:
    """Return the proxy that the environment names for a host and what it is told of who we are; empty where none is."""
    from aiohttp.helpers import get_env_proxy_for_url

    try:
        # It asks an address for its scheme and its host, and for nothing else.
        proxy, auth = get_env_proxy_for_url(url)  # type: ignore[arg-type]
    except LookupError:
        return "", ""
    return str(proxy), auth.encode() if auth else ""
