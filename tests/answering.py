"""Stands where a line to the provider does, and gives one answer to whatever is asked."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any


class Answering:
    """A line whose other end says the same to everybody; `asked` counts the requests, and `read` the bytes that went."""

    def __init__(self, content: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.asked = self.read = 0
        self._answer = SimpleNamespace(status=status, headers=dict(headers or {}), content=self)
        self._content = content

    @contextlib.asynccontextmanager
    async def request(self, _method: str, _url: str, **_options: Any) -> AsyncIterator[Any]:
        """Give the answer."""
        self.asked += 1
        yield self._answer

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Give its body in pieces, which may end in the middle of a character."""
        for at in range(0, len(self._content), 1000):
            piece = self._content[at : at + 1000]
            self.read += len(piece)
            yield piece
