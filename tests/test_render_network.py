"""What is asked of the provider goes over lines that hand every trouble on in the words of httpx, as fal-client expects."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import httpx
import pytest

from kling_dsl.render import network as lines
from kling_dsl.render.account import sandbox_account
from kling_dsl.render.network import connect

JSON = b'{"status": "COMPLETED"}'


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return what a server writes that then closes."""
    head = "\r\n".join((f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""))
    return head.encode() + body


def asked(
    *answers: bytes | None, ask: Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]] | None = None
) -> tuple[httpx.Response, list[bytes]]:
    """Ask a server that gives these answers in turn, None for silence; return what came, and what it was asked."""
    left, heard = list(answers), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        heard.append(head + await reader.readexactly(length))
        # What is only a question may be put once more when the connection breaks.
        content = left.pop(0) if len(left) > 1 else left[0]
        if content is None:
            await reader.read()
        else:
            writer.write(content)
        writer.close()

    async def go() -> httpx.Response:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/requests/one"
        async with server, connect(sandbox_account()) as network:
            return await (ask or get)(network.asking, url)

    return asyncio.run(go()), heard


async def get(client: httpx.AsyncClient, url: str) -> httpx.Response:
    return await client.request("GET", url, timeout=httpx.Timeout(1.0))


def test_a_question_carries_the_key_and_its_answer_is_read() -> None:
    found, (question,) = asked(answer(JSON, "Content-Type: application/json", "X-Fal-Request-Id: one"))
    assert (found.status_code, found.json(), found.headers["x-fal-request-id"]) == (200, {"status": "COMPLETED"}, "one")
    assert b"\r\nauthorization: key sandbox:sandbox\r\n" in question.lower()
    assert found.request.url.path == "/requests/one"


def test_an_answer_that_travelled_small_is_read_in_full_length() -> None:
    body = JSON * 100
    found, _ = asked(answer(gzip.compress(body), "Content-Encoding: gzip"))
    assert found.content == body
    assert "content-encoding" not in found.headers
    assert int(found.headers["content-length"]) == len(body)


def test_a_question_is_put_anew_each_time() -> None:
    async def twice(client: httpx.AsyncClient, url: str) -> httpx.Response:
        assert (await get(client, url)).content == b"first"
        return await get(client, url)

    found, questions = asked(answer(b"first"), answer(b"second"), ask=twice)
    assert found.content == b"second"
    assert questions[0] == questions[1]


def test_what_is_no_question_keeps_its_body() -> None:
    found, (sent,) = asked(answer(b""), ask=lambda client, url: client.request("PUT", url, json={"a": 1}))
    assert (found.status_code, sent.split(b"\r\n\r\n")[1]) == (200, b'{"a":1}')
    assert sent.startswith(b"PUT /requests/one ")


def test_nobody_is_led_elsewhere() -> None:
    found, questions = asked(answer(b"", "Location: http://127.0.0.1:9/", status="307 Temporary Redirect"))
    assert (found.status_code, len(questions)) == (307, 1)


def test_an_answer_without_end_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_ANSWER_BYTES", 1_000_000)
    # The server would be left with most of it.
    found, _ = asked(answer(b"x" * 50_000_000))
    assert 1_000_000 < len(found.content) < 10_000_000


@pytest.mark.parametrize(
    ("content", "trouble"),
    [
        (b"", httpx.ReadError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", httpx.ReadError),
        (answer(JSON)[:-5], httpx.ReadError),
        (answer(b"no gzip", "Content-Encoding: gzip"), httpx.ReadError),
        (None, httpx.ReadTimeout),
    ],
    ids=("it closes", "it speaks otherwise", "it breaks off", "it packs wrongly", "it is silent"),
)
def test_a_server_that_fails_is_told_as_httpx_tells_it(content: bytes | None, trouble: type[Exception]) -> None:
    with pytest.raises(httpx.HTTPError) as told:
        asked(content)
    assert type(told.value) is trouble


@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        ("https://127.0.0.1:9/", httpx.ConnectError),
        ("https://" + "a" * 70_000, httpx.InvalidURL),
        ("https://", httpx.UnsupportedProtocol),
        ("ftp://127.0.0.1/", httpx.UnsupportedProtocol),
    ],
    ids=("nobody listens", "no host has this name", "no host", "another protocol"),
)
def test_an_address_that_leads_nowhere_is_told_as_httpx_tells_it(url: str, trouble: type[Exception]) -> None:
    with pytest.raises(trouble):
        asked(ask=lambda client, _: client.request("GET", url))
