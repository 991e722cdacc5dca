"""Takes Markdown apart into its lines and its fenced blocks."""

from __future__ import annotations

import re

import msgspec

_FENCE = re.compile(r"(`{3,})([^`]*)")


class MarkdownError(Exception):
    """A page that cannot be taken apart, with the line (from 1) and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"{line}: {reason}")
        self.line = line
        self.reason = reason


class Block(msgspec.Struct, frozen=True):
    """A fenced block: the words after its fence, its text, and the page's line (from 1) where that text begins."""

    info: str
    text: str
    line: int

    @property
    def kind(self) -> str:
        """The first word after the fence."""
        return self.info.partition(" ")[0]


def split_markdown(text: str) -> tuple[str | Block, ...]:
    """Return the lines of a page, each fenced block in one piece. Raises MarkdownError for a block without an end."""
    lines = text.split("\n")
    pieces: list[str | Block] = []
    at = 0
    while at < len(lines):
        fence = _FENCE.fullmatch(lines[at])
        if fence is None:
            pieces.append(lines[at])
            at += 1
            continue
        end = next((end for end in range(at + 1, len(lines)) if lines[end].rstrip() == fence[1]), None)
        if end is None:
            raise MarkdownError(at + 1, "this block is never closed")
        pieces.append(Block(fence[2].strip(), "".join(f"{line}\n" for line in lines[at + 1 : end]), at + 2))
        at = end + 1
    return tuple(pieces)
