"""The connections of a render: one client that pays and never repeats itself, one for all that may be repeated."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from kling_dsl import __version__
from kling_dsl.render.account import Account

if TYPE_CHECKING:
    import httpx

USER_AGENT = f"kling-dsl/{__version__}"
MAX_POSTS = 32
"""The most paid requests that are on their way at once."""
MAX_POLLS = 64
"""The most connections on which jobs are asked after, whatever their number."""
MAX_DOWNLOADS = 8
"""The most clips that are fetched at once."""
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
    keyed = {"Authorization": account.authorization, "User-Agent": USER_AGENT, "Accept": "application/json"}
    # The paid request goes over httpx's own transport, which tells a failed connection from a lost answer without fail;
    # the transport over aiohttp calls both a connection that could not be made. Every paid request gets a connection of
    # its own: one that was kept open can be closed by the other side while we begin to write, and then nobody knows.
    paying = httpx.AsyncClient(
        headers=keyed,
        timeout=httpx.Timeout(POST_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=MAX_POSTS, max_keepalive_connections=0),
        follow_redirects=False,
    )
    patient = httpx.Timeout(120.0, connect=30.0)
    asking = httpx.AsyncClient(
        headers=keyed, transport=_with_backup(_pooled(MAX_POLLS), account), timeout=patient, follow_redirects=False
    )
    fetching = httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT}, transport=_pooled(MAX_DOWNLOADS), timeout=patient, follow_redirects=True
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


def _with_backup(transport: httpx.AsyncBaseTransport, account: Account) -> httpx.AsyncBaseTransport:
    """Return a transport that asks fal's second address when the first cannot be reached: asking may be repeated."""
    if len(account.hosts) == 1:
        return transport
    from fal_client.client import AsyncBackupDomainTransport

    return AsyncBackupDomainTransport(transport=transport)


def _pooled(connections: int) -> httpx.AsyncBaseTransport:
    """Return a transport over aiohttp: the pool of httpx itself slows down with the square of its waiting requests."""
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport

    context = httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, ssl=context)
        return aiohttp.ClientSession(connector=connector, trust_env=True, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(client=session)
