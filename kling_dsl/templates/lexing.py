"""Tokens and syntax trees of a template whose "line numbers" are offsets into its text."""

from __future__ import annotations

import math
import warnings
from ast import literal_eval
from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import Token as JinjaToken
from jinja2.lexer import TokenStream, operators

from kling_dsl.templates.budget import too_much

if TYPE_CHECKING:
    from jinja2.lexer import Lexer

MAX_LITERAL_CHARACTERS = 1000
"""The longest number that a template may spell out."""
SPLIT = "split it into several files"
MAX_TOKENS = 100_000
"""The most tokens of one template: some 16,000 tags, which take about 3 seconds and 450 MB to compile. A film of more
shots is written with loops, or in several files."""

MAX_NESTED_TOKENS = 400_000
"""The most tokens of one template, each counted once for every tag that is open around it: the compiler looks at each
part of a template again for every tag around it."""

UNCLOSED = {"comment_begin": "comment tag", "raw_begin": "raw directive"}
SKIPPED = frozenset(
    {
        "comment_begin",
        "comment",
        "comment_end",
        "whitespace",
        "linecomment_begin",
        "linecomment_end",
        "linecomment",
        "raw_begin",
        "raw_end",
    }
)


class Layout:
    """Where the tags of one template stand: the offsets of each `{{ … }}` and `{% … %}`, in order."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.last = 0

    def tag(self, offset: int) -> int:
        """Return the tag that stands at an offset, or else the last one before it; -1 if there is none."""
        return bisect_right(self.starts, offset) - 1

    def tag_range(self, offset: int) -> tuple[int, int]:
        """Return the offsets of the tag at or before an offset; the offset's own character where there is none."""
        tag = self.tag(offset)
        if tag < 0:
            return offset, min(offset + 1, len(self.text))
        end = self.ends[tag] if tag < len(self.ends) else self.text.find("\n", offset)
        return self.starts[tag], end if end >= 0 else len(self.text)

    def unclosed(self) -> tuple[str, int] | None:
        """Return the name and number of the last block tag that lacks its end tag, if there is one."""
        open_tags: list[tuple[str, int]] = []
        for tag, (start, end) in enumerate(zip(self.starts, self.ends, strict=False)):
            words = self.text[start + 2 : end - 2].strip("-+ \t\n").split(None, 2)
            if not words or self.text[start + 1] == "{":
                continue
            if words[0].startswith("end"):
                while open_tags and open_tags.pop()[0] != words[0][3:]:
                    pass
            elif words[0] in PAIRED or (words[0] == "set" and "=" not in self.text[start:end]):
                open_tags.append((words[0], tag))
        return open_tags[-1] if open_tags else None


PAIRED = frozenset({"for", "if", "macro", "call", "filter", "block", "with", "autoescape"})


def tokenize(lexer: Lexer, layout: Layout) -> TokenStream:
    """Return the tokens of a template as the parser wants them, each with its offset in place of its line number."""
    return TokenStream(read_tokens(lexer, layout), None, None)


def read_tokens(lexer: Lexer, layout: Layout) -> Iterator[JinjaToken]:
    """Yield the tokens that matter and write down where the tags stand."""
    measure = Measure()
    for start, kind, value in place_tokens(lexer, layout):
        layout.last = start
        measure.take(kind, value)
        if kind in ("block_begin", "variable_begin"):
            layout.starts.append(start)
        elif kind in ("block_end", "variable_end"):
            layout.ends.append(start + len(value.rstrip()))
        if kind in SKIPPED:
            continue
        if kind == "operator":
            yield JinjaToken(start, operators[value], value)
        elif kind in ("integer", "float", "string", "name"):
            yield JinjaToken(start, kind, read_value(kind, value, start))
        else:
            yield JinjaToken(start, kind, value)


class Measure:
    """Counts the tokens of a template, and the tags that are open around each."""

    def __init__(self) -> None:
        self.tokens = 0
        self.nested = 0
        self.depth = 0
        self.name_comes = False
        self.in_set = False

    def take(self, kind: str, value: str) -> None:
        """Count a token; raises `Refusal` when they are too many."""
        self.tokens += 1
        self.nested += self.depth
        if self.tokens > MAX_TOKENS:
            raise too_much(f"this template has more than {MAX_TOKENS:,} parts", hint=SPLIT)
        if self.nested > MAX_NESTED_TOKENS:
            raise too_much("too much of this template stands in tags that stand in other tags", hint=SPLIT)
        if kind == "block_begin":
            self.name_comes = True
        elif kind == "name" and self.name_comes:
            self.name_comes = False
            self.in_set = value == "set"
            if value in PAIRED or value == "set":
                self.depth += 1
            elif value.startswith("end"):
                self.depth = max(0, self.depth - 1)
        elif self.in_set and value in ("=", "|", "%}"):
            # Only `set name = value` has no end tag; an equals sign behind a filter belongs to the filter.
            self.depth -= value == "="
            self.in_set = False


def place_tokens(lexer: Lexer, layout: Layout) -> Iterator[tuple[int, str, str]]:
    """Yield (offset, kind, text) of every token of the template.

    The tokens lie behind one another without gaps, but for the white space that a tag with a minus sign takes away
    before itself.
    """
    text, position = layout.text, 0
    start, kind = 0, ""
    try:
        for _, kind, value in lexer.tokeniter(text, None):
            if not text.startswith(value, position):
                while text[position].isspace():
                    position += 1
            start = position
            position += len(value)
            yield start, kind, value
        if kind in ("comment_begin", "raw_begin"):
            raise TemplateSyntaxError(f"Missing end of {UNCLOSED[kind]}", start)
    except TemplateSyntaxError as error:
        at = start if "end of" in (error.message or "") else position
        raise TemplateSyntaxError(error.message or "", at) from None


def read_value(kind: str, text: str, offset: int) -> Any:
    """Return the value of a literal or the name; raises `TemplateSyntaxError`."""
    if kind == "name":
        if not text.isidentifier():
            raise TemplateSyntaxError(f"{text!r} is no name", offset)
        return text
    if kind == "string":
        return read_string(text, offset)
    if len(text) > MAX_LITERAL_CHARACTERS:
        raise too_much(f"a number of {len(text):,} characters is more than a template can use")
    if kind == "integer":
        return int(text.replace("_", ""), 0)
    number = literal_eval(text.replace("_", ""))
    if not math.isfinite(number):
        raise TemplateSyntaxError(f"the number {text} is too large", offset)
    return number


def read_string(text: str, offset: int) -> str:
    """Return the value of a quoted string; raises `TemplateSyntaxError` for a broken escape."""
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    try:
        with warnings.catch_warnings():
            # An unknown escape stands for itself; that it may become an error one day is no news for a writer.
            warnings.simplefilter("ignore")
            value = inner.encode("ascii", "backslashreplace").decode("unicode-escape")
    except UnicodeDecodeError as error:
        raise TemplateSyntaxError(f"a broken escape in a string: {error.reason}", offset) from None
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise TemplateSyntaxError("an escape in this string gives half of a character (a lone surrogate)", offset)
    return value
