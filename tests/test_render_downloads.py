"""A result may name a video anywhere, and what stands there may be anything: what is fetched is whole, or told of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kling_dsl.render import downloads
from kling_dsl.render.account import sandbox_account
from kling_dsl.render.downloads import Gone, Interrupted, NotFetched, fetch
from kling_dsl.render.jobs import Video
from kling_dsl.render.network import connect
from kling_dsl.render.problems import RenderProblem

NO_ADDRESSES = (
    *("http://127.0.0.1/clip.mp4", "file:///etc/passwd", "clip.mp4", "", "https://", "https://[", "https://[::1"),
    *("https://\x00", "https://127.0.0.1:99999/x", "https://127.0.0.1:x/", "https://" + "a" * 70_000),
)


@pytest.mark.parametrize("url", NO_ADDRESSES, ids=lambda url: repr(url[:24]))
def test_what_is_no_address_is_not_fetched(url: str, tmp_path: Path) -> None:
    part = tmp_path / "clip.part"

    async def go() -> None:
        async with connect(sandbox_account()) as network:
            await fetch(Video(url), part, line=network.fetching)

    with pytest.raises(NotFetched):
        asyncio.run(go())
    assert not part.exists()


class Pieces:
    """The body of an answer, in pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Serving:
    """A line whose other end gives its answers in turn, and remembers from which byte on each was asked for."""

    def __init__(self, *answers: SimpleNamespace) -> None:
        self._answers = list(answers)
        self.ranges: list[str] = []

    @contextlib.asynccontextmanager
    async def request(self, _method: str, _url: str, *, headers: dict[str, str], **_: Any) -> AsyncIterator[Any]:
        self.ranges.append(headers.get("Range", ""))
        yield self._answers.pop(0)


def answer(status: int, *pieces: bytes, told: int | None = None, scheme: str = "https") -> SimpleNamespace:
    """Return an answer with a body; `told` is the length that its headers tell."""
    headers = {} if told is None else {"content-length": str(told)}
    return SimpleNamespace(status=status, headers=headers, url=SimpleNamespace(scheme=scheme), content=Pieces(pieces))


WHOLE = (b"first half, ", b"second half")


def fetched(part: Path, *answers: SimpleNamespace) -> tuple[bytes | RenderProblem, list[str]]:
    """Return what was fetched or why nothing was, and from where on each attempt went."""
    line = Serving(*answers)
    told: Any = line
    try:
        asyncio.run(fetch(Video("https://v3.fal.media/x.mp4"), part, line=told))
    except (Gone, Interrupted, NotFetched) as problem:
        return problem, line.ranges
    return part.read_bytes(), line.ranges


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    import stamina

    real = stamina.retry_context
    monkeypatch.setattr(stamina, "retry_context", lambda **rules: real(**{**rules, "wait_initial": 0, "wait_max": 0}))


@pytest.mark.usefixtures("_quick")
def test_a_download_that_ends_early_goes_on_where_it_ended(tmp_path: Path) -> None:
    first, second = WHOLE
    both = len(first) + len(second)
    cut, rest = answer(200, first, told=both), answer(206, second, told=len(second))
    assert fetched(tmp_path / "part", cut, rest) == (b"".join(WHOLE), ["", f"bytes={len(first)}-"])


@pytest.mark.usefixtures("_quick")
def test_a_server_that_begins_anew_is_followed(tmp_path: Path) -> None:
    first, _ = WHOLE
    cut, whole = answer(200, first, told=99), answer(200, *WHOLE)
    assert fetched(tmp_path / "part", cut, whole) == (b"".join(WHOLE), ["", f"bytes={len(first)}-"])


@pytest.mark.usefixtures("_quick")
def test_a_part_that_is_none_of_the_file_is_thrown_away(tmp_path: Path) -> None:
    cut, other, whole = answer(200, b"x" * 50, told=99), answer(416), answer(200, *WHOLE)
    assert fetched(tmp_path / "part", cut, other, whole) == (b"".join(WHOLE), ["", "bytes=50-", ""])


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
def test_a_host_that_fails_is_asked_again_and_then_left_to_the_next_render(tmp_path: Path, status: int) -> None:
    assert fetched(tmp_path / "part", answer(status), answer(200, *WHOLE)) == (b"".join(WHOLE), ["", ""])
    problem, ranges = fetched(tmp_path / "other", *(answer(status) for _ in range(5)))
    assert isinstance(problem, Interrupted)
    assert (str(problem), ranges) == (f"the provider answered {status} when asked for the video", [""] * 4)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_video_that_is_gone_is_not_asked_for_again(tmp_path: Path, status: int) -> None:
    problem, ranges = fetched(tmp_path / "part", answer(status))
    assert isinstance(problem, Gone)
    assert (str(problem), ranges) == (f"the provider no longer has the video ({status})", [""])


def test_a_video_is_taken_from_no_address_without_encryption(tmp_path: Path) -> None:
    problem, _ = fetched(tmp_path / "part", answer(200, *WHOLE, scheme="http"))
    assert isinstance(problem, NotFetched)
    assert str(problem) == "the address of the video leads to one that is not https"
    assert not (tmp_path / "part").exists()


def test_a_video_without_end_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_CLIP_BYTES", 100)
    problem, _ = fetched(tmp_path / "part", answer(200, *(b"x" * 40 for _ in range(1000))))
    assert isinstance(problem, NotFetched)
    assert (tmp_path / "part").stat().st_size <= 100
