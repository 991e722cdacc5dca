"""Reads a page: which films it shows, and what it says of them."""

from __future__ import annotations

import msgspec

from kling_dsl.reports.markdown import Block, MarkdownError, Words, read_words, split_markdown

MAIN_FILE = "film.kling"
"""The name of a film whose block gives none."""

SAYINGS = ("diagnostics", "prompt", "request", "arguments", "expanded")
"""What a page can say of a film, each in blocks of its own; a console block tells what commands print."""


class PageError(Exception):
    """A block that the form of a page does not know: the page's own mistake, with its line (from 1)."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class File(msgspec.Struct, frozen=True):
    """A file that a page writes; `same` is the film whose requests it must ask for as well."""

    name: str
    block: Block
    same: str = ""


class Saying(msgspec.Struct, frozen=True):
    """What a page says of the film: `kind` is one of `SAYINGS`, `of` the shot or clip that it speaks of."""

    kind: str
    of: str
    block: Block


class Scene(msgspec.Struct, frozen=True):
    """A stretch of an example: its files are written, its sayings are compared, then its commands are run.

    The next one begins behind the commands, and where a file is written again of which something was said.
    """

    files: tuple[File, ...]
    sayings: tuple[Saying, ...]
    console: Block | None


class Example(msgspec.Struct, frozen=True):
    """A film on a page with all that is said of it, to be run in an empty folder.

    `heading` is the nearest one above, `line` where the example begins. `main` is the film's file, "" when there is
    none and only commands are run; `model`, `parameters` and `data` are what the command line would give.
    """

    heading: str
    line: int
    main: str
    scenes: tuple[Scene, ...]
    model: str | None = None
    parameters: dict[str, str] = {}
    data: dict[str, str] = {}


def read_examples(text: str) -> tuple[Example, ...]:
    """Return the examples of a page in order. Raises PageError for a block that says nothing that can be tested.

    An example begins with a film (a `kling` block without `file=`), or with a `console` block where there is none. It
    ends before the next film, and before a heading that is not deeper than the one it stands under.
    """
    examples: list[Example] = []
    heading, level = "", 0
    blocks: list[Block] = []
    began = ("", 0)
    try:
        pieces = split_markdown(text)
    except MarkdownError as problem:
        raise PageError(problem.line, problem.reason) from None
    for piece in pieces:
        if isinstance(piece, Block):
            if blocks and _is_film(piece):
                examples.append(_example(began[0], blocks))
                blocks = []
            began = began if blocks else (heading, level)
            blocks.append(piece)
        elif piece.startswith("#"):
            title = piece.lstrip("#")
            heading, level = title.strip(), len(piece) - len(title)
            if blocks and level <= began[1]:
                examples.append(_example(began[0], blocks))
                blocks = []
    if blocks:
        examples.append(_example(began[0], blocks))
    return tuple(examples)


def _is_film(block: Block) -> bool:
    return block.kind == "kling" and not any(word.startswith("file=") for word in block.info.split())


def _example(heading: str, blocks: list[Block]) -> Example:
    first = blocks[0]
    info = Words()
    if _is_film(first):
        info = _read_words(first)
        _allow(first, info, {"main", "model"})
    elif first.kind != "console":
        raise PageError(
            first.line - 1, "an example begins with its film, a kling block without file=, or with a console"
        )
    main = info.options.get("main", MAIN_FILE) if _is_film(first) else ""
    scenes: list[Scene] = []
    files: list[File] = []
    sayings: list[Saying] = []
    for block in blocks:
        if block is first and main:
            files.append(File(main, block))
        elif block.kind == "console":
            scenes.append(Scene(tuple(files), tuple(sayings), block))
            files, sayings = [], []
        elif file := _file(block):
            if any(other.name == file.name for other in files):
                if not sayings:
                    raise PageError(block.line - 1, f"{file.name} is written twice, and nothing is said of the first")
                scenes.append(Scene(tuple(files), tuple(sayings), None))
                files, sayings = [], []
            files.append(file)
        else:
            sayings.append(_saying(block))
    if files or sayings:
        scenes.append(Scene(tuple(files), tuple(sayings), None))
    model = info.options.get("model")
    return Example(heading, first.line - 1, main, tuple(scenes), model, info.parameters, info.data)


def _file(block: Block) -> File | None:
    if not any(word.startswith("file=") for word in block.info.split()):
        return None
    info = _read_words(block)
    _allow(block, info, {"file", "same"})
    return File(info.options["file"], block, info.options.get("same", ""))


def _saying(block: Block) -> Saying:
    words = block.info.split()
    kind, of = words[0] if words else "", ""
    if kind == "json" and len(words) == 2:
        kind, _, of = words[1].partition("=")
    elif kind == "prompt" and len(words) == 2:
        of = words[1]
    elif len(words) != 1:
        kind = ""
    if kind not in SAYINGS or bool(of) != (kind in ("prompt", "request", "arguments")):
        raise PageError(
            block.line - 1,
            f"'{block.info}' says nothing that can be tested: write diagnostics, expanded, `prompt ID`, `json request=ID`, "
            "`json arguments=ID`, console, or give the block a file= name",
        )
    return Saying(kind, of, block)


def _read_words(block: Block) -> Words:
    try:
        return read_words(block)
    except MarkdownError as problem:
        raise PageError(problem.line, problem.reason) from None


def _allow(block: Block, info: Words, keys: set[str]) -> None:
    for key in info.options:
        if key not in keys:
            raise PageError(block.line - 1, f"a page knows no {key}= here, only {', '.join(sorted(keys))}")
