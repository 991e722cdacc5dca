"""The outside world as the compiler asks for it: texts and media facts, by path from the project's root."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Media(msgspec.Struct, frozen=True):
    """What is known of a local media file, read from its content and never from its name.

    `kind` is `jpeg`, `png`, `webp`, `gif`, `avif`, `mp4`, `mov`, another lower-case format name, or empty when the
    content is none that we know. Width and height are in pixels as displayed, 0 when unknown. `seconds` and
    `frames_per_second` are of a video, None when they were not measured.
    """

    sha256: str
    bytes: int
    kind: str
    width: int = 0
    height: int = 0
    seconds: float | None = None
    frames_per_second: float | None = None
    problem: str = ""
    """Why the file cannot be opened although its first bytes name a kind (truncated, say), or empty."""


class Unreadable(msgspec.Struct, frozen=True):
    """Why a path gave nothing, with the details in `message`.

    The reason is `missing`, `outside` (of the project's root, symlinks resolved), `directory`, `not-utf-8`,
    `too-large` or `unreadable`.
    """

    reason: str
    message: str


class World(Protocol):
    """What the compiler may ask of the outside. Paths are relative to the project's root, with `/`."""

    def read_text(self, path: str) -> str | Unreadable:
        """Return the text of a file, newlines as they stand, without a byte order mark."""
        ...

    def media(self, path: str) -> Media | Unreadable:
        """Return the facts of a media file."""
        ...
