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


class Words(msgspec.Struct, frozen=True):
    """The words after a fence: `key=value` options, and what `set` and `data` give."""

    options: dict[str, str] = {}
    parameters: dict[str, str] = {}
    data: dict[str, str] = {}


def read_words(block: Block) -> Words:
    """Read the words behind the kind of a block. Raises MarkdownError, with the line of the fence, for what is no such."""
    import shlex

    line = block.line - 1
    try:
        words = shlex.split(block.info)[1:]
    except ValueError as problem:
        raise MarkdownError(line, f"the words after the fence cannot be read: {problem}") from None
    given: dict[str, dict[str, str]] = {"": {}, "set": {}, "data": {}}
    into = ""
    for word in words:
        if word in ("set", "data") and not into:
            into = word
            continue
        key, equals, value = word.partition("=")
        if not equals or not key or key in given[into]:
            raise MarkdownError(line, f"'{word}' is no key=value, or its key is given twice")
        given[into][key] = value
        into = ""
    if into:
        raise MarkdownError(line, f"'{into}' needs a name=value after it")
    return Words(given[""], given["set"], given["data"])


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
