"""The connections of a render: one client that pays and never repeats itself, one for all that may be repeated."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from kling_dsl import __version__
from kling_dsl.render.account import Account

if TYPE_CHECKING:
    import ssl

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
POST_SECONDS = 120.0
"""How long an answer to a paid request is waited for, as long as fal-client waits; after that it is uncertain."""
CONNECT_SECONDS = 15.0


class Network(msgspec.Struct, frozen=True):
    """The clients of a render. `paying` and `asking` carry the key; `fetching` never does."""

    paying: httpx.AsyncClient
    asking: httpx.AsyncClient
    fetching: httpx.AsyncClient


@contextlib.asynccontextmanager
async def connect(account: Account) -> AsyncIterator[Network]:
    """Open the clients; proxies and certificates come from the environment, as for fal-client."""
    import httpx

    _be_quiet()
    _search_once()
    # One for all: to read the certificates that the system trusts takes longer than many a request.
    context = httpx.create_ssl_context()
    keyed = {"Authorization": account.authorization, "User-Agent": USER_AGENT, "Accept": "application/json"}
    # The paid request goes over httpx's own transport, which tells a failed connection from a lost answer without fail;
    # the transport over aiohttp calls both a connection that could not be made. Every paid request gets a connection of
    # its own: one that was kept open can be closed by the other side while we begin to write, and then nobody knows.
    paying = httpx.AsyncClient(
        headers=keyed,
        verify=context,
        timeout=httpx.Timeout(POST_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=MAX_POSTS, max_keepalive_connections=0),
        follow_redirects=False,
    )
    patient = httpx.Timeout(120.0, connect=30.0)
    asking = _asker(keyed, _with_backup(_pooled(MAX_POLLS, context), account), patient)
    fetching = httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT},
        transport=_pooled(MAX_DOWNLOADS, context),
        timeout=patient,
        follow_redirects=True,
    )
    async with paying, asking, fetching:
        yield Network(paying, asking, fetching)


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
                question = questions[words] = self.build_request(method, url, **options)
            answer = await transport.handle_async_request(question)
            try:
                await answer.aread()
            except BaseException:
                await answer.aclose()
                raise
            answer.request = question
            return answer

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
            self._proxies: dict[str, str] = {}
            self._transports: dict[str, AiohttpTransport] = {}

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            host = request.url.host
            if host not in self._proxies:
                self._proxies[host] = _proxy_for(request.url)
            proxy = self._proxies[host]
            if proxy not in self._transports:
                way = httpx.Proxy(proxy) if proxy else None
                self._transports[proxy] = AiohttpTransport(verify=context, client=session, proxy=way)
            return await self._transports[proxy].handle_async_request(request)

        async def aclose(self) -> None:
            for transport in self._transports.values():
                await transport.aclose()

    return ByWayOfProxies()


def _proxy_for(url: httpx.URL) -> str:
    """Return the address of the proxy that the environment names for a host, or nothing."""
    from aiohttp.helpers import get_env_proxy_for_url

    try:
        # It asks an address for its scheme and its host, and for nothing else.
        proxy, auth = get_env_proxy_for_url(url)  # type: ignore[arg-type]
    except LookupError:
        return ""
    return str(proxy.with_user(auth.login).with_password(auth.password) if auth else proxy)
