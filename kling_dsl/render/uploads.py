"""Brings files to the provider, each content once for as long as its address lasts."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from kling_dsl.calls import Asset
from kling_dsl.ledger import Ledger
from kling_dsl.project import DiskWorld
from kling_dsl.render.account import Account
from kling_dsl.render.clock import Clock
from kling_dsl.render.failures import read_details
from kling_dsl.render.problems import AccountRefused, FromSandbox, UploadFailed
from kling_dsl.sandbox.hosts import OWN_PATH
from kling_dsl.world import Unreadable

LASTS: Literal["7d"] = "7d"
"""How long an upload is asked to be kept; fal-client 1.0.3 knows the words (medium)."""
USED_FOR = timedelta(days=6)
"""How long its address is used again: a day less, for the time that a job waits in the queue."""
MAX_UPLOADS = 4
"""The most files that are uploaded at once."""

TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
"""Content types by the kind of a media file."""


class Uploader:
    """Uploads the files of a render through fal-client; only files inside the project's root can be named."""

    def __init__(self, world: DiskWorld, ledger: Ledger, account: Account, clock: Clock) -> None:
        self._world = world
        self._ledger = ledger
        self._account = account
        self._clock = clock
        self._places = asyncio.Semaphore(MAX_UPLOADS)
        self._under_way: dict[str, asyncio.Task[str]] = {}
        self._client: Any = None

    async def bring(self, asset: Asset) -> str:
        """Return the address of a local file at the provider, uploading it when need be; raises `UploadFailed`."""
        return await self._once(self._key(asset.sha256), asset)

    async def bring_picture(self, content: bytes) -> str:
        """Return the address of a PNG or JPEG that was made here, such as a clip's last frame; raises `UploadFailed`."""
        return await self._once(self._key(hashlib.sha256(content).hexdigest()), content)

    def _key(self, sha256: str) -> str:
        return _key_of(sha256, self._account)

    async def _once(self, sha256: str, source: Asset | bytes) -> str:
        known = self._ledger.find_upload(sha256, at=self._clock.now())
        if known is not None:
            return known
        if sha256 not in self._under_way:
            self._under_way[sha256] = asyncio.create_task(self._upload(sha256, source))
        task = self._under_way[sha256]
        try:
            # Several clips wait for one upload: the one that is stopped must not stop it for the others.
            return await asyncio.shield(task)
        finally:
            if task.done():
                self._under_way.pop(sha256, None)

    async def _upload(self, sha256: str, source: Asset | bytes) -> str:
        content, kind = (source, _kind(source)) if isinstance(source, bytes) else self._read(source)
        # The name says nothing of the writer's folders, and is ASCII: it travels in a header.
        name = f"{sha256[:16]}.{kind}"
        async with self._places:
            url = await self._send(content, TYPES.get(kind, "application/octet-stream"), name)
        now = self._clock.now()
        self._ledger.keep_upload(sha256, url, at=now, expires_at=now + USED_FOR)
        return url

    def _read(self, asset: Asset) -> tuple[bytes, str]:
        """Return a file's content and kind, when it still is what was planned with."""
        content = self._world.read_media(asset.path)
        if isinstance(content, Unreadable):
            raise UploadFailed(f"{asset.path} {content.message}")
        if hashlib.sha256(content).hexdigest() != asset.sha256:
            raise UploadFailed(f"{asset.path} has changed since the plan was made: run the command again")
        media = self._world.media(asset.path)
        return content, "" if isinstance(media, Unreadable) else media.kind

    async def _send(self, content: bytes, content_type: str, name: str) -> str:
        import fal_client
        import httpx

        if self._client is None:
            self._client = fal_client.AsyncClient(key=self._account.key)
        try:
            # Without a second repository: the client would send the account's key to the storage host there.
            url = await self._client.upload(
                content,
                content_type,
                name,
                fallback_repository=[],
                lifecycle=fal_client.StorageSettings(expires_in=LASTS),
            )
        except (httpx.HTTPStatusError, fal_client.FalClientHTTPError) as problem:
            status = problem.response.status_code
            words = read_details(problem.response.content).words
            if status in (401, 402, 403):
                told = f"the provider refuses the key for uploads ({status}, {words}): look at FAL_KEY and the balance"
                raise AccountRefused(told) from problem
            raise UploadFailed(f"{name} could not be uploaded: the provider answered {status}, {words}") from problem
        except httpx.HTTPError as problem:
            reason = str(problem).strip() or type(problem).__name__
            raise UploadFailed(f"{name} could not be uploaded: {reason}") from problem
        if not isinstance(url, str) or not url.startswith("https://"):
            raise UploadFailed(f"{name} was uploaded, and the provider named no https address for it")
        if urlsplit(url).path.startswith(OWN_PATH) and not self._account.is_sandbox:
            # Its address would be remembered for days, and sent to fal in a request that is paid for.
            raise FromSandbox
        return url


def forget_files(canonical: bytes, ledger: Ledger, account: Account) -> None:
    """Forget the addresses of a request's files, which the model could not fetch: the next take brings them anew."""
    for digest in sorted(set(_ASSET.findall(canonical))):
        ledger.forget_upload(_key_of(digest.decode("ascii"), account))


_ASSET = re.compile(rb'"asset:([0-9a-f]{64})"')


def _key_of(sha256: str, account: Account) -> str:
    """Return what an upload is remembered by: of a sandbox, which ends, by the sandbox as well."""
    if not account.is_sandbox:
        return sha256
    return hashlib.sha256(f"{sha256} {account.queue_host}".encode()).hexdigest()


def _kind(picture: bytes) -> str:
    return "png" if picture.startswith(b"\x89PNG") else "jpeg"


def fill(arguments: Mapping[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return arguments with each stand-in for a file or frame in place of which `addresses` has an address."""

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return addresses.get(value, value)
        if isinstance(value, list):
            return [filled(item) for item in value]
        if isinstance(value, dict):
            return {name: filled(item) for name, item in value.items()}
        return value

    return {name: filled(value) for name, value in arguments.items()}
