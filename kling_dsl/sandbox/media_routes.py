"""The media hosts: finished clips and uploaded files, whole or in part."""

from __future__ import annotations

import asyncio
import re
from typing import Literal

from kling_dsl.sandbox.clips import Clip
from kling_dsl.sandbox.gate import BrokenDownload, room
from kling_dsl.sandbox.service import Service
from kling_dsl.sandbox.web import Request, Response, Route, file_answer, refuse

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class MediaRoutes:
    """Answers for `v3b.fal.media` and its kin; they need no key, and whoever sends one is counted."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/files/sandbox/clips/{id}/{name}", room("media", self.clip), methods=["GET"]),
            Route("/files/sandbox/uploads/{key}/{name}", room("media", self.upload), methods=["GET"]),
        ]

    async def clip(self, request: Request) -> Response:
        """Give a clip, unless a fault is in the way."""
        service = self._service
        clip = service.clips.find(request.url.path)
        if clip is None:
            return refuse(404, "there is no such file", kind="not_found")
        service.counts.downloads += request.method == "GET"
        fault = service.faults.strike("media") if request.method == "GET" else None
        if fault is not None:
            content = await _content(clip)
            how: Literal["orderly", "broken"] = "orderly" if fault.kind == "media-truncated" else "broken"
            return BrokenDownload(content, sent=len(content) // 2, content_type=clip.content_type, how=how)
        if clip.place is not None:
            return file_answer(clip.place, content_type=clip.content_type)
        return _part_of(clip.content, request.headers.get("range", ""), clip.content_type)

    async def upload(self, request: Request) -> Response:
        """Give a file that was uploaded."""
        upload = self._service.uploads.at(request.url.path)
        if upload.media is None:
            return refuse(404, "the file was announced and never sent", kind="not_found")
        return file_answer(upload.place, content_type=upload.content_type)


async def _content(clip: Clip) -> bytes:
    return clip.content if clip.place is None else await asyncio.to_thread(clip.place.read_bytes)


def _part_of(content: bytes, wanted: str, content_type: str) -> Response:
    """Return bytes whole, or the one part that a Range names."""
    headers = {"Accept-Ranges": "bytes"}
    found = _RANGE.fullmatch(wanted)
    if found is None or not (found[1] or found[2]):
        return Response(content, 200, headers, media_type=content_type)
    size = len(content)
    first = int(found[1]) if found[1] else max(size - int(found[2]), 0)
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first > last:
        return Response(b"", 416, {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(content[first : last + 1], 206, headers, media_type=content_type)
