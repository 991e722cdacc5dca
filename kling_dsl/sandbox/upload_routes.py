"""Uploads: tokens, single posts and parts, as fal's Python and JavaScript clients send them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from kling_dsl.sandbox.gate import room
from kling_dsl.sandbox.hosts import UPLOAD_HOST, base_for
from kling_dsl.sandbox.service import Service
from kling_dsl.sandbox.uploads import MAX_PARTS, Upload
from kling_dsl.sandbox.web import (
    MAX_UPLOAD_BYTES,
    Refusal,
    Request,
    Response,
    Route,
    answer,
    read_body,
    read_chunks,
    read_json,
)

_TOKEN_LIFE = timedelta(hours=1)


class _Part(msgspec.Struct, frozen=True, rename={"number": "partNumber"}):
    number: int
    etag: str


class _Parts(msgspec.Struct, frozen=True):
    parts: list[_Part]


class _Announcement(msgspec.Struct, frozen=True):
    file_name: str = "upload.bin"
    content_type: str = "application/octet-stream"


def _number(text: str) -> int:
    """Return the number of a part as it stands in an address; raises Refusal for what can be none."""
    number = int(text) if text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= MAX_PARTS:
        raise Refusal(400, f"a part has a number from 1 to {MAX_PARTS}", kind="bad_request")
    return number


class UploadRoutes:
    """Answers for `rest.fal.ai/storage` and for the CDN behind it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._uploads = service.uploads

    def routes(self) -> list[Route]:
        """Return the routes, with the hosts on which they are found."""
        part = "/files/sandbox/uploads/{key}/{name}/multipart/{id}"
        signed = "/files/sandbox/uploads/{key}/{name}"
        return [
            Route("/storage/auth/token", room("rest", self.give_token), methods=["POST"]),
            Route("/storage/upload/initiate", room("rest", self.initiate), methods=["POST"]),
            Route("/storage/upload/initiate-multipart", room("rest", self.initiate_parts), methods=["POST"]),
            Route("/files/upload", room("media", self.receive), methods=["POST"]),
            Route("/files/upload/multipart", room("media", self.begin_parts), methods=["POST"]),
            Route(f"{part}/complete", room("media", self.complete), methods=["POST"]),
            Route(f"{part}/{{number}}", room("media", self.receive_part), methods=["PUT"]),
            Route(signed, room("media", self.receive_signed), methods=["PUT"]),
        ]

    async def give_token(self, request: Request) -> Response:
        """Give a token for uploads; it is worth nothing anywhere else."""
        await read_body(request)
        token = {"token": "sandbox-upload-token", "token_type": "Bearer", "base_url": self._base(request)}
        return answer({**token, "expires_at": (datetime.now(UTC) + _TOKEN_LIFE).isoformat()})

    async def initiate(self, request: Request) -> Response:
        """Announce a file that will be put at an address."""
        upload = await self._announce(request)
        url = f"{self._base(request)}{upload.path}"
        return answer({"upload_url": f"{url}?signed=sandbox", "file_url": url})

    async def initiate_parts(self, request: Request) -> Response:
        """Announce a file that will be put in parts."""
        upload = await self._announce(request)
        url = f"{self._base(request)}{upload.path}"
        return answer({"upload_url": f"{url}/multipart/{upload.place.name}?signed=sandbox", "file_url": url})

    async def receive(self, request: Request) -> Response:
        """Take a file in one post."""
        self._service.hold_up_upload()
        upload = self._named(request)
        await self._uploads.receive(upload, read_chunks(request, limit=MAX_UPLOAD_BYTES))
        return answer({"access_url": f"{self._base(request)}{upload.path}"})

    async def receive_signed(self, request: Request) -> Response:
        """Take a file at the address that was announced for it."""
        self._service.hold_up_upload()
        upload = self._uploads.at(request.url.path)
        await self._uploads.receive(upload, read_chunks(request, limit=MAX_UPLOAD_BYTES))
        return answer({})

    async def begin_parts(self, request: Request) -> Response:
        """Announce a file that comes in parts under a token."""
        await read_body(request)
        upload = self._named(request)
        return answer({"access_url": f"{self._base(request)}{upload.path}", "uploadId": upload.place.name})

    async def receive_part(self, request: Request) -> Response:
        """Take one part of a file."""
        self._service.hold_up_upload()
        number = _number(request.path_params["number"])
        chunks = read_chunks(request, limit=MAX_UPLOAD_BYTES)
        tag = await self._uploads.receive_part(self._in_parts(request), number, chunks)
        return answer({"partNumber": number, "etag": tag}, headers={"ETag": f'"{tag}"'})

    async def complete(self, request: Request) -> Response:
        """Put a file together from its parts."""
        body = await read_body(request)
        try:
            parts = msgspec.convert(read_json(body), _Parts).parts
        except msgspec.ValidationError as problem:
            raise Refusal(422, str(problem), kind="bad_request") from None
        await self._uploads.join(self._in_parts(request), [(part.number, part.etag) for part in parts])
        return answer({})

    async def _announce(self, request: Request) -> Upload:
        try:
            stated = msgspec.convert(read_json(await read_body(request)), _Announcement)
        except msgspec.ValidationError as problem:
            raise Refusal(422, str(problem), kind="bad_request") from None
        return self._uploads.announce(stated.file_name, stated.content_type)

    def _named(self, request: Request) -> Upload:
        kind = request.headers.get("content-type", "application/octet-stream")
        return self._uploads.announce(request.headers.get("x-fal-file-name", "upload.bin"), kind)

    def _in_parts(self, request: Request) -> Upload:
        upload = self._uploads.at(request.url.path.partition("/multipart/")[0])
        if request.path_params["id"] != upload.place.name:
            raise Refusal(404, "there is no such upload", kind="not_found")
        return upload

    def _base(self, request: Request) -> str:
        return base_for(request.headers["host"].lower(), UPLOAD_HOST)
