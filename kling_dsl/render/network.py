"""The connections of a render: one line that pays and never repeats itself, others for all that may be repeated."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from kling_dsl import __version__
from kling_dsl.render.account import Account

if TYPE_CHECKING:
    import aiohttp
    import httpx
    import yarl

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
        self._ways: dict[str | None, dict[str, Any]] = {}

    @contextlib.asynccontextmanager
    async def request(self, method: str, url: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request with aiohttp's own options, and give its answer, whose body is not read yet."""
        import aiohttp
        import httpx
        import yarl

        try:
            address = yarl.URL(url)
            way = self._way(address)
        except (httpx.InvalidURL, ValueError) as problem:
            raise aiohttp.InvalidURL(url, str(problem)) from problem
        async with self._session.request(method, address, **way, **options) as answer:
            yield answer

    def _way(self, address: yarl.URL) -> dict[str, Any]:
        """Return the proxy for an address; aiohttp would look it up at each request, in a thread that it starts for that."""
        import httpx

        host = address.host
        if host not in self._ways:
            # It refuses hosts that can be none, which aiohttp only notices while it looks for them.
            httpx.URL(str(address))
            self._ways[host] = _way_by_environment(address)
        return self._ways[host]


async def read_body(answer: aiohttp.ClientResponse, *, most_bytes: int) -> bytes:
    """Return the body of an answer; of one that is longer, some more than its first `most_bytes` bytes."""
    content = bytearray()
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > most_bytes:
            break
    return bytes(content)


class Network(msgspec.Struct, frozen=True):
    """The ways out of a render. `paying` and `asking` carry the key; `fetching` never does."""

    paying: Line
    asking: httpx.AsyncClient
    fetching: Line


def spare_imports() -> None:
    """Spare what takes time and serves nobody: to be called before httpx is imported for the first time.

    httpx brings its own command line with it, and rich for that, where that can be imported; httpcore searches every
    folder of packages for `sniffio` several times at each request.
    """
    import importlib.util
    import sys

    # What stands here as None is not there, and nobody looks for it again.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    if "sniffio" not in sys.modules and importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


@contextlib.asynccontextmanager
async def connect(account: Account) -> AsyncIterator[Network]:
    """Open the connections; proxies and certificates come from the environment, as for fal-client."""
    import aiohttp
    import httpx

    _be_quiet()
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
    polling = _session(
        # httpx's own pool slows down with the square of the requests that wait in it.
        aiohttp.TCPConnector(limit=MAX_POLLS, ssl=context),
        {},
        aiohttp.ClientTimeout(total=None),
    )
    patient = httpx.Timeout(120.0, connect=30.0)
    asking = _asker(keyed, _with_backup(_over(Line(polling)), account), patient)
    async with paying, asking, polling, fetching:
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
            await answer.aread()
            return answer

    questions: dict[tuple[str, str], httpx.Request] = {}
    return Asker(headers=headers, transport=transport, timeout=timeout, follow_redirects=False)


def _with_backup(transport: httpx.AsyncBaseTransport, account: Account) -> httpx.AsyncBaseTransport:
    """Return a transport that asks fal's second address when the first cannot be reached: asking may be repeated."""
    if len(account.hosts) == 1:
        return transport
    from fal_client.client import AsyncBackupDomainTransport

    return AsyncBackupDomainTransport(transport=transport)


def _over(line: Line) -> httpx.AsyncBaseTransport:
    """Return a transport that sends the requests of httpx over a line, and gives answers whose bodies are read."""
    import aiohttp
    import httpx

    def translate(problem: Exception) -> httpx.HTTPError:
        words = str(problem)
        if isinstance(problem, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
            return httpx.UnsupportedProtocol(words)
        if isinstance(problem, aiohttp.ConnectionTimeoutError):
            return httpx.ConnectTimeout(words)
        if isinstance(problem, TimeoutError):
            return httpx.ReadTimeout(words)
        if isinstance(problem, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
            return httpx.ProxyError(words)
        if isinstance(problem, aiohttp.ClientConnectorError):
            return httpx.ConnectError(words)
        return httpx.ReadError(words)

    class OverLine(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            body = await request.aread()
            patience = request.extensions.get("timeout", {})
            try:
                async with line.request(
                    request.method,
                    str(request.url),
                    headers=request.headers,
                    data=body or None,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        connect=patience.get("pool"),
                        sock_connect=patience.get("connect"),
                        sock_read=patience.get("read"),
                    ),
                ) as answer:
                    content = await read_body(answer, most_bytes=MAX_ANSWER_BYTES)
            except (aiohttp.ClientError, TimeoutError) as problem:
                raise translate(problem) from problem
            headers = [pair for pair in answer.raw_headers if pair[0].lower() not in _OF_TRAVEL]
            return httpx.Response(answer.status, headers=headers, content=content, request=request)

    return OverLine()


_OF_TRAVEL = frozenset((b"content-encoding", b"content-length", b"transfer-encoding"))
"""Headers that speak of a body as it travelled, and not of what was read."""


def _way_by_environment(address: yarl.URL) -> dict[str, Any]:
    """Return aiohttp's options for the proxy that the environment names for a host; none where it names none."""
    from aiohttp.helpers import get_env_proxy_for_url

    try:
        proxy, authorization = get_env_proxy_for_url(address)
    except LookupError:
        return {}
    headers = {"Proxy-Authorization": authorization.encode()} if authorization else None
    return {"proxy": proxy, "proxy_headers": headers}
