"""Fetches finished clips into the store's folder for parts, in pieces, with a limit and without the key."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kling_dsl.render.jobs import Video
from kling_dsl.render.patience import persist
from kling_dsl.render.problems import RenderProblem

if TYPE_CHECKING:
    import aiohttp

    from kling_dsl.render.network import Line

MAX_CLIP_BYTES = 4 * 1024 * 1024 * 1024
"""The largest clip that is fetched: fifteen seconds of 4K at a hundred times a usual rate stay below."""
ATTEMPTS = 4
PIECE_BYTES = 256 * 1024


class Gone(RenderProblem):
    """The provider has no such file, and says so for good."""


class Interrupted(RenderProblem):
    """The file could not be fetched for now; it is fetched again at the next render."""


class NotFetched(RenderProblem):
    """The address is none from which a clip may be fetched."""


async def fetch(video: Video, part: Path, *, line: Line, progress: Callable[[int], None] = lambda _: None) -> None:
    """Write a video to `part`; `progress` is told the bytes so far.

    A connection that breaks is taken up where it broke when the server can. Raises `Gone`, `Interrupted` and
    `NotFetched`; a full disk is an OSError that passes through.
    """
    if not video.url.lower().startswith("https://"):
        raise NotFetched("the result names a video that has no https address")
    step = partial(_attempt, video.url, part, line, progress)
    await persist(step, Interrupted, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=10.0)


async def _attempt(url: str, part: Path, line: Line, progress: Callable[[int], None]) -> None:
    import aiohttp

    # Only the attempt before in this very run is continued: what an earlier run left behind may be of another answer.
    already = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={already}-"} if already else {}
    try:
        async with line.request("GET", url, headers=headers, auto_decompress=False) as answer:
            if answer.url.scheme != "https":
                raise NotFetched("the address of the video leads to one that is not https")
            if answer.status in (403, 404, 410):
                raise Gone(f"the provider no longer has the video ({answer.status})")
            if answer.status == 416:
                part.unlink(missing_ok=True)
                raise Interrupted("the provider has another file there than before")
            if not 200 <= answer.status < 300:
                raise Interrupted(f"the provider answered {answer.status} when asked for the video")
            resumed = answer.status == 206 and already > 0
            with _opened(part, "ab" if resumed else "wb") as file:
                await _write(answer, file, already if resumed else 0, progress)
    except aiohttp.InvalidURL as problem:
        raise NotFetched(
            f"the result names a video at an address that makes no sense: {problem.description}"
        ) from problem
    except (aiohttp.ClientError, TimeoutError) as problem:
        raise Interrupted(f"the connection broke: {str(problem).strip() or type(problem).__name__}") from problem


async def _write(answer: aiohttp.ClientResponse, file: BinaryIO, written: int, progress: Callable[[int], None]) -> None:
    expected = answer.headers.get("content-length", "")
    total = written + int(expected) if expected.isdigit() else None
    async for piece in answer.content.iter_chunked(PIECE_BYTES):
        written += len(piece)
        if written > MAX_CLIP_BYTES:
            raise NotFetched(f"the video is larger than the {MAX_CLIP_BYTES // 2**30} GiB that a clip may have")
        file.write(piece)
        progress(written)
    if total is not None and written < total:
        raise Interrupted(f"only {written} of {total} bytes came")


def _opened(part: Path, mode: str) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if mode == "ab" else os.O_TRUNC) | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(part, flags, 0o600), mode)  # type: ignore[return-value]
