"""Files go to the provider as they were planned with and once each; what cannot be brought is told before money moves."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from commands import picture

from kling_dsl.calls import Asset
from kling_dsl.ledger import open_ledger
from kling_dsl.project import DiskWorld
from kling_dsl.render.account import Account
from kling_dsl.render.clock import Clock
from kling_dsl.render.problems import AccountRefused, FromSandbox, UploadFailed
from kling_dsl.render.uploads import Uploader

ACCOUNT = Account("Key x:y", "queue.fal.run", "x:y")
ADDRESS = "https://v3b.fal.media/files/ink.png"


class Storage:
    """Stands where fal-client does, and answers an upload as it is told; `sent` are the names and types."""

    def __init__(self, answer: object) -> None:
        self._answer = answer
        self.sent: list[tuple[str, str]] = []

    def __call__(self, *, key: str | None) -> Storage:
        assert key == ACCOUNT.key
        return self

    async def upload(self, _content: bytes, content_type: str, name: str, **_: Any) -> object:
        self.sent.append((name, content_type))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def refusal(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "https://rest.fal.ai/storage")
    answer = httpx.Response(status, json={"detail": "no such key"}, request=request)
    return httpx.HTTPStatusError("refused", request=request, response=answer)


class Room:
    """A project with a picture, and an uploader for it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._patch = monkeypatch
        self.file = root / "ink.png"
        self.file.write_bytes(picture())
        self.asset = Asset(path="ink.png", sha256=hashlib.sha256(picture()).hexdigest())

    def bring(self, answer: object = ADDRESS, *, times: int = 1) -> tuple[list[str], list[tuple[str, str]]]:
        """Bring the picture so many times; return the addresses, and what went to the provider for them."""
        storage = Storage(answer)
        self._patch.setattr("fal_client.AsyncClient", storage)

        async def go() -> list[str]:
            with open_ledger(self.root / "ledger.db", run="run") as ledger:
                uploader = Uploader(DiskWorld(self.root), ledger, ACCOUNT, Clock())
                return [await uploader.bring(self.asset) for _ in range(times)]

        return asyncio.run(go()), storage.sent


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(tmp_path, monkeypatch)


def test_a_file_goes_once_and_its_name_tells_nothing(room: Room) -> None:
    sent = (f"{room.asset.sha256[:16]}.png", "image/png")
    assert room.bring(times=3) == ([ADDRESS] * 3, [sent])
    assert room.bring() == ([ADDRESS], [])


def test_a_file_that_changed_since_the_plan_is_not_sent(room: Room) -> None:
    room.file.write_bytes(picture(320, 180))
    with pytest.raises(UploadFailed, match=r"ink\.png has changed since the plan was made: run the command again"):
        room.bring()


@pytest.mark.parametrize("kind", ["gone", "a folder", "leads outside"])
def test_a_file_that_cannot_be_read_is_told(room: Room, kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    room.file.unlink()
    if kind == "a folder":
        room.file.mkdir()
    elif kind == "leads outside":
        other = tmp_path_factory.mktemp("outside") / "ink.png"
        other.write_bytes(picture())
        room.file.symlink_to(other)
    words = {"gone": "does not exist", "a folder": "is a folder", "leads outside": "leads out of the project folder"}
    with pytest.raises(UploadFailed, match=rf"^ink\.png {words[kind]}$"):
        room.bring()


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_ends_the_render(room: Room, status: int) -> None:
    with pytest.raises(
        AccountRefused, match=rf"refuses the key for uploads \({status}, no such key\): look at FAL_KEY"
    ):
        room.bring(refusal(status))


@pytest.mark.parametrize("status", [400, 413, 500])
def test_an_upload_that_is_refused_is_told_in_the_providers_words(room: Room, status: int) -> None:
    with pytest.raises(UploadFailed, match=f"could not be uploaded: the provider answered {status}, no such key"):
        room.bring(refusal(status))
    assert room.bring()[0] == [ADDRESS]


@pytest.mark.parametrize("answer", [None, 5, "", "http://v3b.fal.media/ink.png", "file:///etc/passwd"])
def test_an_address_that_nobody_can_fetch_is_not_sent_to_a_model(room: Room, answer: object) -> None:
    with pytest.raises(UploadFailed, match="was uploaded, and the provider named no https address for it"):
        room.bring(answer)
    assert room.bring()[0] == [ADDRESS]


def test_an_address_of_a_sandbox_is_not_remembered(room: Room) -> None:
    from kling_dsl.sandbox.hosts import OWN_PATH

    with pytest.raises(FromSandbox):
        room.bring(f"https://127.0.0.1{OWN_PATH}ink.png")
    addresses, sent = room.bring()
    assert (addresses, len(sent)) == ([ADDRESS], 1)
