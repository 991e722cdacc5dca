"""The files that callers have uploaded: kept on the disk of this machine, measured once, found by their address."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from kling_dsl.project.media import describe_media
from kling_dsl.sandbox.bill import Counts
from kling_dsl.sandbox.hosts import OWN_PATH, own_path
from kling_dsl.sandbox.web import MAX_UPLOAD_BYTES, Refusal
from kling_dsl.world import Media

MAX_PARTS = 10_000
_KIND = re.compile(r"(?:image|video|audio)/[a-z0-9.+-]{1,40}")
"""What a file may say that it is; anything else, such as a page, is handed back as bytes."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Upload:
    """One file: announced, then received, then measured."""

    def __init__(self, path: str, place: Path, content_type: str) -> None:
        self.path = path
        self.place = place
        self.content_type = content_type
        self.media: Media | None = None
        self.parts: dict[int, int] = {}
        """The bytes of each part that has arrived, for a file that comes in several."""


class Uploads:
    """All files of a sandbox, under one folder."""

    def __init__(self, folder: Path, counts: Counts, *, frame_sizes: Mapping[tuple[int, int], tuple[int, int]]) -> None:
        """Begin without files; `frame_sizes` gives for the size of each placeholder the size that it stands for."""
        self._folder = folder
        self._counts = counts
        self._frame_sizes = frame_sizes
        self._files: dict[str, Upload] = {}
        folder.mkdir(mode=0o700, exist_ok=True)

    def clear(self) -> None:
        """Forget every file."""
        for upload in self._files.values():
            for place in (upload.place, *(self._part(upload, number) for number in upload.parts)):
                place.unlink(missing_ok=True)
        self._files.clear()

    def announce(self, name: str, content_type: str) -> Upload:
        """Give a file its address; nothing is there until it is received."""
        key = uuid.uuid4().hex
        # The name is a stranger's: it stands in the address and never in a path on the disk.
        shown = _UNSAFE.sub("_", name)[-80:].lstrip(".") or "upload.bin"
        kind = content_type if _KIND.fullmatch(content_type) else "application/octet-stream"
        upload = Upload(f"{OWN_PATH}uploads/{key}/{shown}", self._folder / key, kind)
        self._files[upload.path] = upload
        return upload

    def at(self, path: str) -> Upload:
        """Return the file that was announced at a path; raises Refusal when none was."""
        upload = self._files.get(path)
        if upload is None:
            raise Refusal(404, "there is no such file", kind="not_found")
        return upload

    async def receive(self, upload: Upload, chunks: AsyncIterator[bytes]) -> None:
        """Write a file as it arrives, and measure it."""
        await _write(upload.place, chunks)
        await self._finish(upload)

    async def receive_part(self, upload: Upload, number: int, chunks: AsyncIterator[bytes]) -> str:
        """Write one part of a file, and return its tag; raises Refusal when the whole would become too large."""
        size = await _write(self._part(upload, number), chunks)
        upload.parts[number] = size
        if sum(upload.parts.values()) > MAX_UPLOAD_BYTES:
            self._part(upload, number).unlink()
            del upload.parts[number]
            raise Refusal(413, f"a file has {MAX_UPLOAD_BYTES} bytes at most", kind="request_too_large")
        return f"{upload.place.name}-{number}"

    async def join(self, upload: Upload, tags: list[tuple[int, str]]) -> None:
        """Put a file together from its parts; raises Refusal when a part or its tag is not known."""
        for number, tag in tags:
            if number not in upload.parts or tag.strip('"') != f"{upload.place.name}-{number}":
                raise Refusal(400, f"part {number} was never received, or has another etag", kind="bad_request")
        if not tags or sorted(upload.parts) != sorted(number for number, _ in tags):
            raise Refusal(400, "the list of parts is not the list of those that were received", kind="bad_request")
        await asyncio.to_thread(self._join, upload)
        await self._finish(upload)

    def find(self, address: str, port: int) -> Media | str | None:
        """Return what lies at an address, why nothing does, or None when it is none of ours."""
        path = own_path(address, port)
        if path is None:
            return None
        upload = self._files.get(path)
        if upload is None or upload.media is None:
            return "the file could not be downloaded: the sandbox has nothing at this address"
        return upload.media

    def place(self, address: str, port: int) -> Path | None:
        """Return the file behind an address of ours, or None."""
        path = own_path(address, port)
        upload = self._files.get(path) if path else None
        return upload.place if upload is not None and upload.media is not None else None

    async def _finish(self, upload: Upload) -> None:
        media = await asyncio.to_thread(_measure, upload.place)
        # A clip is drawn smaller than it will be; its last frame, sent back as the next one's start, is judged by
        # the size that it stands for.
        width, height = self._frame_sizes.get((media.width, media.height), (media.width, media.height))
        upload.media = Media(
            media.sha256, media.bytes, media.kind, width, height, media.seconds, media.frames_per_second, media.problem
        )
        self._counts.uploads += 1
        self._counts.upload_bytes += media.bytes

    def _part(self, upload: Upload, number: int) -> Path:
        return upload.place.with_suffix(f".{number}")

    def _join(self, upload: Upload) -> None:
        with upload.place.open("wb") as whole:
            for number in sorted(upload.parts):
                part = self._part(upload, number)
                whole.write(part.read_bytes())
                part.unlink()
        upload.parts.clear()


async def _write(place: Path, chunks: AsyncIterator[bytes]) -> int:
    """Write what arrives, without holding up others; what was cut off in the middle is removed."""
    small = io.BytesIO()
    size = 0
    try:
        with contextlib.ExitStack() as stack:
            file = None
            async for chunk in chunks:
                size += small.write(chunk)
                if small.tell() >= _FLUSH_BYTES:
                    file = file or stack.enter_context(place.open("wb"))
                    await asyncio.to_thread(file.write, small.getvalue())
                    small = io.BytesIO()
            file = file or stack.enter_context(place.open("wb"))
            file.write(small.getvalue())
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    return size


_FLUSH_BYTES = 1024 * 1024


def _measure(place: Path) -> Media:
    with place.open("rb") as file:
        media = describe_media(file, limit=MAX_UPLOAD_BYTES)
    assert media is not None, "a file larger than an upload may be was refused while it arrived"
    return media
