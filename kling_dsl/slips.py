"""Finds the slips in lines of prose: constructs in the wrong case or place, keys and attributes that went astray."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kling_dsl import spelling
from kling_dsl.diagnostics import Diagnostic, Edit, Fix, error, rewrite, warning
from kling_dsl.nodes import Passage
from kling_dsl.patterns import Rare
from kling_dsl.source import Span, Text
from kling_dsl.vocabulary import KEYWORDS, MARGIN_KEYS, TITLE_KEYS

Report = Callable[[Diagnostic], None]

INDENTED_WORD = Rare(r"[ \t]+([^\W\d_A-Z][\w-]*)[ \t]*:")
LABEL = Rare(r"([A-Za-z]+)(?:[ \t]+[\w-]+)?[ \t]*:")
SUSPECT = re.compile(
    r"^[ \t]*(?:[A-Z]{3,}|(?i:shot|clip|end[ \t]+clip|character|prop|place|style|import|expect|int|ext|est|i/e))(?=\W)",
    re.MULTILINE,
)
_OTHER_CASE = Rare(
    r"(?i:(?P<unit>shot|clip)[ \t]+(?:[\w-]+[ \t]*\n|[\w-]+[ \t]+[0-9])"
    r"|(?P<close>end[ \t]+clip)[ \t]*\n"
    r"|(?P<kind>character|prop|place|style)[ \t]+\w+[ \t]*\n"
    r"|(?P<load>import)[ \t]+\S+\.kling[ \t]*\n"
    r"|(?P<test>expect)[ \t][^\n]*[<>=$]"
    r"|(?P<heading>int\.?/ext\.|i/e\.|int\.|ext\.|est\.)[ \t])"
)
NOTE = Rare(r"(?<!\\)(?<!\\\[)\[\[.*?\]\]", re.DOTALL)
"""A note; brackets after a backslash are meant as they stand."""


class Piece(NamedTuple):
    """A terminal of the grammar as the writer wrote it: `line` counts from 0 in its block, `column` from 1."""

    kind: str
    text: str
    line: int
    column: int

    def after(self, start: str) -> Text:
        """Return what follows the piece's first characters, without the blanks around it."""
        rest = self.text[len(start) :]
        bare = rest.lstrip(" \t")
        return Text(bare.rstrip(), self.line, self.column + len(self.text) - len(bare))


def report_misplaced_key(piece: Piece, match: re.Match[str], report: Report) -> bool:
    """Report a key of the title page, or an attribute at the margin, among prose; say whether it was one."""
    word = match[1]
    place = Text(word, piece.line, piece.column)
    if word in TITLE_KEYS:
        report(
            error(
                "misplaced-title-key",
                f"{word}: belongs on the title page, and the title page ended with the first blank line",
                place.span,
                hint="move it above that blank line, or begin the line with ! to send it as prose",
            )
        )
        return True
    if word in MARGIN_KEYS:
        report(
            error(
                "misplaced-attribute",
                f"{word}: is an attribute, but it is not indented",
                place.span,
                hint="indent it, straight under the line it belongs to, or begin the line with ! to send it as prose",
            )
        )
        return True
    return False


def report_misplaced_attribute(piece: Piece, match: re.Match[str], report: Report) -> None:
    """Report an indented `word:` that does not stand straight under the line it belongs to."""
    report(
        error(
            "misplaced-attribute",
            f"{match[1]}: looks like an attribute, but it does not stand straight under the line it belongs to",
            Text(match[1], piece.line, piece.column + match.start(1)).span,
            hint="move it up, above the prose and any blank line, or begin the line with ! to send it as prose",
        )
    )


def report_stray_text(piece: Piece, report: Report, where: str, slug: str = "text-outside-shot") -> None:
    """Report text that no shot holds, so that it would never be sent; notes and blank lines are none."""
    if piece.kind in ("PROSE", "LABELLED"):
        _report_stray(piece, report, where, slug)


def _report_stray(piece: Piece, report: Report, where: str, slug: str = "text-outside-shot") -> None:
    """Report text that no shot holds, unless it is made of notes alone."""
    if piece.kind == "LABELLED":
        if match := INDENTED_WORD().match(piece.text):
            report_misplaced_attribute(piece, match, report)
            return
        if (match := LABEL().match(piece.text)) and report_misplaced_key(piece, match, report):
            return
    bare = NOTE().sub(lambda note: "\n" * note[0].count("\n"), piece.text)
    if not bare.strip():
        return
    passage = Passage(piece.text, piece.line, piece.column)
    if SUSPECT.search(piece.text) and judge_prose(passage, report):
        return
    blank = len(bare) - len(bare.lstrip())
    line = piece.line + bare.count("\n", 0, blank)
    first = piece.text.split("\n")[line - piece.line].rstrip()
    start = len(first) - len(first.lstrip())
    report(
        error(
            slug,
            f"this text {where}, so it would never be sent",
            Span("", line, piece.column + start, line, piece.column + len(first)),
            hint="put it under a SHOT line, make it a note [[ … ]], or comment it out with #",
        )
    )


def judge_prose(passage: Passage, report: Report) -> bool:
    """Report lines of prose that were most likely meant as constructs; say whether an error was among them."""
    failed = False
    raw = NOTE().sub(lambda note: "." * len(note[0]), passage.raw)
    match = SUSPECT.search(raw)
    while match:
        start = match.start() + len(match.group()) - len(match.group().lstrip(" \t"))
        word = raw[start : match.end()]
        if other := _OTHER_CASE().match(raw, start):
            failed = True
            _report_case(passage, other, match.start(), report)
        elif start == match.start() and word.isupper() and (near := spelling.nearest(word, KEYWORDS, within=2)):
            shown = "END CLIP" if near == "END" else "import" if near == "IMPORT" else near
            report(
                warning(
                    "keyword-lookalike",
                    f"{word} is read as prose and sent, but it is close to the keyword {shown}",
                    passage.span(start, match.end()),
                    hint=f"write {shown} if you meant it, or begin the line with ! if it is prose",
                )
            )
        match = SUSPECT.search(raw, match.end())
    return failed


def _report_case(passage: Passage, match: re.Match[str], line: int, report: Report) -> None:
    """Report a construct in another case than its keyword's, or one that does not begin at the margin (at `line`)."""
    group = match.lastgroup or ""
    word = match[group]
    right = "import" if group == "load" else word.upper()
    if match.start() > line:
        report(
            error(
                "indented-keyword",
                f"{right} begins at the margin, and an indented line is prose",
                passage.span(match.start(group), match.end(group)),
                hint="delete the blanks before it, or begin the line with ! if it is prose",
                fix=Fix("delete the blanks before it", (Edit(passage.span(line, match.start()), ""),)),
            )
        )
        return
    if word == right:
        return
    report(
        error(
            "keyword-case",
            f'"{word}" is written {right}',
            passage.span(match.start(group), match.end(group)),
            hint=f"did you mean {right}? Begin the line with ! if it is prose",
            fix=rewrite(passage.span(match.start(group), match.end(group)), right),
        )
    )
