"""What must hold of everything that the program says about an input, whatever the input was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache

from bad_input import UNSEEN

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.reports import pages
from kling_dsl.reports.diagnostics_github import render_github
from kling_dsl.reports.diagnostics_json import render_json
from kling_dsl.reports.diagnostics_sarif import render_sarif
from kling_dsl.reports.diagnostics_text import render_summary, render_text
from kling_dsl.source import Span

MOST_WORDS = 2000
"""How much longer than all of the input a message may be: a stranger's words are repeated once, and never multiplied."""


class Broken(AssertionError):
    """A promise that an input broke; the message says which, and never repeats more of the input than it needs."""


def judge(diagnostics: Iterable[Diagnostic], texts: Mapping[str, str]) -> tuple[str, ...]:
    """Raise `Broken` for a diagnostic that no reader could use, and return the slugs.

    Its slug has a page, its places are in their texts, its words are short, and every form that shows diagnostics
    shows it, with nothing in it that a terminal, a page or GitHub would obey.
    """
    found = list(diagnostics)
    rows = {file: _rows(text) for file, text in texts.items()}
    most = MOST_WORDS + sum(map(len, texts.values()))
    for diagnostic in found:
        if diagnostic.slug not in _slugs():
            raise Broken(f"no page explains {diagnostic.slug}")
        for words in (diagnostic.message, diagnostic.hint, diagnostic.label, *(n.message for n in diagnostic.notes)):
            if len(words) > most:
                raise Broken(f"{diagnostic.slug} has {len(words)} characters of words: {words[:200]!r}")
        for span in _spans(diagnostic):
            _judge_place(span, rows, diagnostic.slug)
    _judge_forms(found, texts)
    return tuple(dict.fromkeys(diagnostic.slug for diagnostic in found))


def judge_shown(text: str, what: str) -> None:
    """Raise `Broken` for text that a terminal or a reader would obey, or that no file can hold."""
    unseen = UNSEEN.search(text)
    if unseen:
        near = text[max(0, unseen.start() - 30) : unseen.end() + 30]
        raise Broken(f"{what} shows {unseen[0]!r} as it stands: {near!r}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise Broken(f"{what} cannot be written as UTF-8: {problem.reason}") from None


@cache
def _slugs() -> frozenset[str]:
    return frozenset(pages.slugs())


@cache
def _help(slug: str) -> str | None:
    page = pages.page(slug)
    return None if page is None else page.text


def _rows(text: str) -> list[int]:
    """Return the lengths of a text's lines, as the program counts lines."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return [len(line) for line in text.split("\n")]


def _spans(diagnostic: Diagnostic) -> Iterable[Span]:
    yield diagnostic.span
    yield from diagnostic.also
    yield from (note.span for note in diagnostic.notes if note.span is not None)
    yield from (edit.span for edit in (diagnostic.fix.edits if diagnostic.fix else ()))


def _judge_place(span: Span, rows: Mapping[str, list[int]], slug: str) -> None:
    # A file that could not be read has no lines, and its first one stands for all of it.
    lengths = rows.get(span.file, [0])
    if not 1 <= span.line <= span.end_line <= len(lengths) + 1:
        raise Broken(f"{slug} is at {span}, and its file has {len(lengths)} lines")
    start, end = (lengths[line - 1] if line <= len(lengths) else 0 for line in (span.line, span.end_line))
    # The end is exclusive, and one column behind the last stands for the line's end.
    if not (1 <= span.column <= start + 1 and 1 <= span.end_column <= end + 2):
        raise Broken(f"{slug} is at {span}, and its lines have {start} and {end} characters")
    if (span.end_line, span.end_column) < (span.line, span.column):
        raise Broken(f"{slug} ends before it begins: {span}")


def _judge_forms(found: list[Diagnostic], texts: Mapping[str, str]) -> None:
    judge_shown(render_text(found, source=texts.get), "the report in text")
    judge_shown(render_summary(found), "the summary")
    github = render_github(found)
    judge_shown(github, "the annotations")
    lines = github.splitlines()
    if len(lines) != len(found) or not all(line.startswith(("::error ", "::warning ", "::notice ")) for line in lines):
        raise Broken(f"{len(found)} diagnostics are {len(lines)} annotations, or other commands")
    listed = render_json(found)
    judge_shown(listed.decode("utf-8"), "the report in JSON")
    if len(json.loads(listed)) != len(found):
        raise Broken("the report in JSON lacks diagnostics")
    sarif = render_sarif(found, version="0", help_text=_help)
    judge_shown(sarif.decode("utf-8"), "the report in SARIF")
    if len(json.loads(sarif)["runs"][0]["results"]) != len(found):
        raise Broken("the report in SARIF lacks diagnostics")
