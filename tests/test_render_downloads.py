"""A result may name a video anywhere: what is no address is told as such, and nothing is asked for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kling_dsl.render.account import sandbox_account
from kling_dsl.render.downloads import NotFetched, fetch
from kling_dsl.render.jobs import Video
from kling_dsl.render.network import connect

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
