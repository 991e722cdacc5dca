"""The page of each diagnostic in `specs/diagnostics/`: read, listed, taken apart into examples, laid out to be read."""

from __future__ import annotations

import re
from typing import Literal, cast

import msgspec

from kling_dsl.diagnostics import Severity
from kling_dsl.reports.escaping import visible_lines
from kling_dsl.reports.markdown import Block, MarkdownError, Words, read_words, split_markdown
from kling_dsl.reports.palette import PLAIN, Palette
from kling_dsl.resources import specs_path

MAIN_FILE = "film.kling"
"""The name of an example's film when its block gives none."""

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LAID_OUT = re.compile(r"[ \t]|[#|>]|[-*] |[0-9]+\. ")
"""How a line begins that is no running text: an indented one, a heading, a table, a list."""
_VERDICT = re.compile(r"(error|warning|note): (\S.*)")
_EXPECTED = re.compile(r"(?:(?P<file>[^\s:]+):)?(?P<line>\d+):(?P<column>\d+) (?P<slug>[a-z0-9-]+)")


class PageError(Exception):
    """A page that breaks the format of `specs/diagnostics/README.md`: our own mistake, with the slug and the line."""


class Expected(msgspec.Struct, frozen=True):
    """A diagnostic that an example must report; line and column from 1, `file` is one of the example's files."""

    file: str
    line: int
    column: int
    slug: str


class Example(msgspec.Struct, frozen=True):
    """A film on a page: its files by name, which of them is the film, and the diagnostics that it must report.

    `options` are the command-line options that it needs, such as `model`; `parameters` and `data` are what `--set` and
    `--data` would give. `line` is the first line of the film in its page, so that a failure can be found.
    """

    kind: Literal["wrong", "right"]
    files: dict[str, str]
    main: str
    expected: tuple[Expected, ...]
    line: int
    options: dict[str, str]
    parameters: dict[str, str]
    data: dict[str, str]


class Page(msgspec.Struct, frozen=True):
    """What is known of one slug: a one-line title, how grave it is, the page's Markdown and its examples in order."""

    slug: str
    title: str
    severity: Severity
    text: str
    examples: tuple[Example, ...]


def slugs() -> tuple[str, ...]:
    """Return the slugs that have a page, sorted."""
    return tuple(sorted(path.stem for path in specs_path("diagnostics").glob("*.md") if _SLUG.fullmatch(path.stem)))


def page(slug: str) -> Page | None:
    """Return the page of a slug, or None when there is none. Raises PageError when the page breaks the format."""
    path = specs_path("diagnostics", f"{slug}.md")
    if not _SLUG.fullmatch(slug) or not path.is_file():
        return None
    return parse_page(path.read_text(encoding="utf-8"), slug)


def parse_page(text: str, slug: str) -> Page:
    """Take a page's Markdown apart. Raises PageError with the line where it breaks the format."""
    lines = text.split("\n")
    if lines[0] != f"# {slug}":
        raise PageError(f"{slug}:1: the first line must be '# {slug}'")
    verdict = _VERDICT.fullmatch(lines[2]) if len(lines) > 2 else None
    if verdict is None:
        raise PageError(f"{slug}:3: the third line must be 'error: title', 'warning: title' or 'note: title'")
    return Page(slug, verdict[2], cast("Severity", verdict[1]), text, _examples(text, slug))


def title_of(text: str) -> str:
    """Return the title of a page's Markdown, or "" when it has none."""
    found = (_VERDICT.fullmatch(line) for line in text.split("\n", 4)[:4])
    return next((match[2] for match in found if match), "")


def render_page(page: Page, *, palette: Palette = PLAIN, width: int = 120) -> str:
    """Lay a page out for a terminal of `width` columns.

    Headings are strong, prose is wrapped, code indented, an example's further files under their names.
    """
    import textwrap

    out: list[str] = []
    for piece in _joined(_pieces(visible_lines(page.text), page.slug)):
        if isinstance(piece, Block):
            words = piece.info.split()
            caption = next((word.removeprefix("file=") for word in words if word.startswith("file=")), "")
            caption = "reported" if words[:1] == ["diagnostics"] else caption
            out += [f"  {palette.paint(f'{caption}:', palette.place)}"] if caption else []
            out += [f"    {line}".rstrip() for line in piece.text.removesuffix("\n").split("\n")]
        elif piece.startswith("#"):
            out.append(palette.paint(piece.lstrip("# "), palette.strong))
        elif match := _VERDICT.fullmatch(piece):
            out.append(f"{palette.paint(match[1], palette.of_severity(match[1]))}: {match[2]}")
        elif _LAID_OUT.match(piece):
            out.append(piece)
        else:
            out += textwrap.wrap(piece, width, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(out).rstrip("\n") + "\n"


def _joined(pieces: tuple[str | Block, ...]) -> list[str | Block]:
    """Return the pieces with the lines of each paragraph in one; lists and tables stay as they are laid out."""
    joined: list[str | Block] = []
    for piece in pieces:
        before = joined[-1] if joined else ""
        goes_on = isinstance(piece, str) and isinstance(before, str) and bool(piece) and bool(before)
        if goes_on and not any(_LAID_OUT.match(str(line)) or _VERDICT.fullmatch(str(line)) for line in (piece, before)):
            joined[-1] = f"{before} {piece}"
        else:
            joined.append(piece)
    return joined


def _pieces(text: str, slug: str) -> tuple[str | Block, ...]:
    try:
        return split_markdown(text)
    except MarkdownError as problem:
        raise PageError(f"{slug}:{problem}") from None


def _examples(text: str, slug: str) -> tuple[Example, ...]:
    """Return the films under `## Wrong` and `## Right`; a page needs at least one of each."""
    examples: list[Example] = []
    kind: Literal["wrong", "right"] | None = None
    film: list[Block] = []
    for piece in _pieces(text, slug):
        starts = isinstance(piece, Block) and _is_film(piece)
        if film and kind and (starts or (isinstance(piece, str) and piece.startswith("#"))):
            examples.append(_example(kind, film, slug))
            film = []
        if isinstance(piece, Block):
            if kind and not film and not starts:
                raise PageError(
                    f"{slug}:{piece.line - 1}: an example begins with its film, a kling block without file="
                )
            film += [piece] if kind else []
        elif piece.startswith("## "):
            headings: dict[str, Literal["wrong", "right"]] = {"## Wrong": "wrong", "## Right": "right"}
            kind = headings.get(piece.rstrip())
    if film and kind:
        examples.append(_example(kind, film, slug))
    for needed in ("wrong", "right"):
        if all(example.kind != needed for example in examples):
            raise PageError(f"{slug}: no example under '## {needed.capitalize()}'")
    return tuple(examples)


def _is_film(block: Block) -> bool:
    words = block.info.split()
    return words[:1] == ["kling"] and not any(word.startswith("file=") for word in words)


def _example(kind: Literal["wrong", "right"], blocks: list[Block], slug: str) -> Example:
    film = blocks[0]
    info = _words(film, slug)
    main = info.options.pop("main", "") or MAIN_FILE
    files = {main: film.text}
    lists = [block for block in blocks[1:] if block.kind == "diagnostics"]
    for block in blocks[1:]:
        if block in lists:
            continue
        name = _words(block, slug).options.get("file", "")
        if not name or name in files:
            raise PageError(f"{slug}:{block.line - 1}: a further file of an example needs a file= name of its own")
        files[name] = block.text
    expected = tuple(one for block in lists for one in _expected(block, slug, (main, *files)))
    named = any(one.slug == slug for one in expected)
    if kind == "wrong" and not named:
        raise PageError(f"{slug}:{film.line - 1}: a wrong example needs a diagnostics block that names {slug}")
    if kind == "right" and named:
        raise PageError(f"{slug}:{film.line - 1}: a right example cannot report {slug}")
    return Example(kind, files, main, expected, film.line, info.options, info.parameters, info.data)


def _words(block: Block, slug: str) -> Words:
    try:
        return read_words(block)
    except MarkdownError as problem:
        raise PageError(f"{slug}:{problem}") from None


def _expected(block: Block, slug: str, files: tuple[str, ...]) -> list[Expected]:
    """Return what a diagnostics block lists; a line without a file means the film, the first of `files`."""
    expected: list[Expected] = []
    for at, line in enumerate(block.text.splitlines()):
        match = _EXPECTED.fullmatch(line.strip())
        file = (match["file"] or files[0]) if match else ""
        if match is None or file not in files:
            raise PageError(f"{slug}:{block.line + at}: expected 'line:column slug' or 'file:line:column slug'")
        expected.append(Expected(file, int(match["line"]), int(match["column"]), match["slug"]))
    return expected
