"""Cuts a screenplay into blocks at the lines that begin a construct, and parses each block on its own.

A broken block costs its own diagnostics and no other's, and a block whose text was seen before is not parsed again.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from kling_dsl import blocks, nodes, resources, saved, slips
from kling_dsl.diagnostics import Diagnostic, error, warning
from kling_dsl.source import Span, span_of_offsets

if TYPE_CHECKING:
    from lark import Lark, Token

    from kling_dsl.statements import Branch

MAX_LINE_CHARACTERS = 100_000
"""Far beyond any prompt; what is longer is no screenplay, and a bound on it keeps every scan of a line short."""

MAX_BLOCK_CHARACTERS = 200_000
"""Comments apart, some eighty times the longest prompt; a bound on it keeps every pass over a block short."""

MAX_BLOCK_LINES = 1_000_000
"""Ten films of a hundred thousand shots could be commented out below one line and still be read."""

_WIDEST = 2**63 - 1
BATCH_SIZE = 256
"""Blocks that are read before their nodes are built: a fifth faster than going to and fro for each block."""

Blocks = dict[str, nodes.Block]
"""Parsed blocks by their text; a caller that parses again hands in the same one."""

_MASK = "\ue000"
# The line feed before it comes first because a text is searched for one character many times as fast as for lines.
_CUT = re.compile(
    r"""\n(?:
      (?P<shot>SHOT)(?=[ \t\n])
    | (?P<clip>CLIP)(?=[ \t\n])
    | (?P<end_clip>END[ \t]+CLIP)(?=[ \t\n])
    | (?P<heading>(?:INT\.?/EXT|I/E|INT|EXT|EST)(?:\.|(?=[ \t]))|\.(?=[^\W\d_]))
    | (?P<definition>CHARACTER|PROP|PLACE|STYLE)(?=[ \t\n])
    | (?P<import_line>import)(?=[ \t\n])
    | (?P<expectation>EXPECT)(?=[ \t\n])
    )""",
    re.VERBOSE,
)
_OPENING = re.compile(r"\n+|[ \t]*(?:\#[^\n]*|\[\[(?:(?!\]\])[\s\S])*\]\][ \t]*)?\n")
_NOTE = re.compile(r"^[ \t]*\#[^\n]*|\\\[\[|\[\[", re.MULTILINE)
_COMMENT = re.compile(r"\n([ \t]*#[^\n]*)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")


def parse(text: str, *, file: str, known: Blocks) -> nodes.Screenplay:
    """Parse the text of one file; what is wrong with a block stands in the block.

    `text` has `\\n` between its lines. `known` is read and added to. Never raises on any text.
    """
    if not text.endswith("\n"):
        text += "\n"
    cuts, lines = _cut(text)
    fresh = [(piece, rule) for _, piece, rule in cuts if piece not in known]
    for start in range(0, len(fresh), BATCH_SIZE):
        drafts = [_read_block(piece, rule) for piece, rule in fresh[start : start + BATCH_SIZE]]
        for draft in drafts:
            known[draft.text] = _build_block(draft)
    return nodes.Screenplay(file, tuple([nodes.Placed(line, known[piece]) for line, piece, _ in cuts]), lines)


def _cut(text: str) -> tuple[list[tuple[int, str, str]], int]:
    """Return the blocks of a text, each with its line and the rule of the grammar it follows, and the number of lines."""
    lines = f"\n{text}"
    first = _CUT.search(lines)
    start = 0
    while opening := _OPENING.match(text, start, first.start() if first else len(text)):
        start = opening.end()
    line = 1 + text.count("\n", 0, start)
    rule = "title_page"
    cuts: list[tuple[int, str, str]] = []
    for match in _CUT.finditer(lines, start):
        at = match.start()
        if at > start:
            piece = text[start:at]
            cuts.append((line, piece, rule))
            line += piece.count("\n")
        start = at
        rule = match.lastgroup or rule
    piece = text[start:]
    if piece:
        cuts.append((line, piece, rule))
        line += piece.count("\n")
    return cuts, line - 1


class _Draft(NamedTuple):
    """A block whose lines have been told apart; no pieces when they do not fit together."""

    text: str
    rule: str
    pieces: list[slips.Piece] | None
    found: list[Diagnostic]


def _read_block(text: str, rule: str) -> _Draft:
    found: list[Diagnostic] = []
    if _CONTROL.search(text) or not text.isascii():
        found += _bad_characters(text)
    masked, unclosed = _mask_notes(text)
    found += unclosed
    if len(text) > MAX_LINE_CHARACTERS and (long := _too_long(text)):
        return _Draft(text, rule, None, [*found, long])
    parse_block, unfit = _lark()
    try:
        tree = parse_block(masked, rule)
    except unfit as problem:
        found.append(_misfit(text, rule, getattr(problem, "pos_in_stream", None) or 0))
        return _Draft(text, rule, None, found)
    tokens = cast("list[Token]", tree.children)
    if masked is text:
        pieces = [slips.Piece(t.type, str(t), (t.line or 1) - 1, t.column or 1) for t in tokens]
    else:
        pieces = [_unmasked(token, text) for token in tokens]
    if "#" in text:
        pieces = [_without_comments(piece, token) for piece, token in zip(pieces, tokens, strict=True)]
    return _Draft(text, rule, pieces, found)


def _unmasked(token: Token, text: str) -> slips.Piece:
    """Return the piece of a token from a block with notes, whose lines the lexer could not count."""
    start, end = token.start_pos or 0, token.end_pos or 0
    return slips.Piece(token.type, text[start:end], text.count("\n", 0, start), start - text.rfind("\n", 0, start))


def _without_comments(piece: slips.Piece, token: Token) -> slips.Piece:
    """Return a piece with the comments among its lines blanked, places kept; inside a note, which the token hides, is none."""
    text = piece.text
    parts: list[str] = []
    done = 0
    for match in _COMMENT.finditer(token):
        start, end = match.span(1)
        parts += (text[done:start], " " * (end - start))
        done = end
    return piece._replace(text="".join((*parts, text[done:]))) if parts else piece


def _build_block(draft: _Draft) -> nodes.Block:
    if draft.pieces is None:
        return nodes.Block(None, tuple(draft.found))
    node = blocks.BUILDERS[draft.rule](draft.pieces, draft.found.append)
    if type(node) is nodes.Expectation:
        node = _read_words(node, draft.found.append)
    return nodes.Block(node, tuple(draft.found))


def _read_words(node: nodes.Expectation, report: slips.Report) -> nodes.Expectation | None:
    """Return an EXPECT with what its words state; None when they state nothing that can be tested."""
    from lark.exceptions import UnexpectedInput

    from kling_dsl import statements

    text = statements.bare_words(node.words)
    if "[[" in text and "\\[[" not in text:
        return None  # a note that is never closed was reported, and may have swallowed any of the words
    if not text.strip():
        statements.report_nothing(report)
        return None
    start = len(text) - len(text.lstrip(" "))
    try:
        tree = words_grammar().parse(text[start:])
    except UnexpectedInput as problem:
        ended = getattr(getattr(problem, "token", None), "type", "") == "$END"
        at = len(text) if ended else start + (problem.pos_in_stream or 0)
        resumed = cast("Any", problem).interactive_parser
        statements.report_misfit(node.words, at, sorted(resumed.accepts()), report)
        return None
    statement = statements.build_statement(_branch(tree, start), node.words, report)
    return None if statement is None else nodes.Expectation(node.words, statement, " ".join(text.split()))


def _branch(tree: Any, start: int) -> Branch:
    from kling_dsl import statements

    return statements.Branch(
        str(tree.data),
        tuple(
            _branch(part, start)
            if hasattr(part, "data")
            else statements.Leaf(part.type, str(part), start + (part.start_pos or 0))
            for part in tree.children
        ),
    )


def _misfit(text: str, rule: str, at: int) -> Diagnostic:
    at = min(at, len(text) - 1)
    what = rule.replace("_", " ")
    return error(
        "syntax",
        f"this does not fit into a {what}",
        span_of_offsets(text, at, max(at + 1, text.find("\n", at))),
        hint="see `kling explain syntax` for what each line may hold, or begin the line with ! to make it prose",
    )


def _mask_notes(text: str) -> tuple[str, list[Diagnostic]]:
    """Hide the notes of a block from the lexer, length kept, so that one may span lines of any shape."""
    if "[[" not in text:
        return text, []
    found: list[Diagnostic] = []
    parts: list[str] = []
    position = done = 0
    while match := _NOTE.search(text, position):
        position = match.end()
        if match.group() != "[[":
            continue
        close = text.find("]]", position)
        if close < 0:
            found.append(
                error(
                    "unclosed-note",
                    "this note is never closed",
                    span_of_offsets(text, match.start(), match.end()),
                    hint="end it with ]] before the next SHOT, CLIP or heading, or write \\[[ for the two characters",
                )
            )
            break
        position = close + 2
        parts += [text[done : match.start()], _MASK * (position - match.start())]
        done = position
    parts.append(text[done:])
    return "".join(parts), found


def _bad_characters(text: str) -> Iterator[Diagnostic]:
    if match := _CONTROL.search(text):
        yield error(
            "control-character",
            f"the control character U+{ord(match.group()):04X} cannot stand in a screenplay",
            span_of_offsets(text, match.start(), match.end()),
            hint="delete it: it cannot be seen, and a terminal or the provider would act on it",
        )
    if not text.isascii() and (match := _DIRECTION.search(text)):
        yield warning(
            "reading-direction",
            f"U+{ord(match.group()):04X} turns the reading direction, so that what is read is not what is sent",
            span_of_offsets(text, match.start(), match.end()),
            hint="delete it unless you put it there",
        )


def _too_long(text: str) -> Diagnostic | None:
    total = text.count("\n")
    if total > MAX_BLOCK_LINES:
        return _block_too_long(f"{total:,} lines, and {MAX_BLOCK_LINES:,}")
    total = 0
    for number, line in enumerate(text.split("\n")):
        if len(line) > MAX_LINE_CHARACTERS:
            return error(
                "line-too-long",
                f"this line has {len(line):,} characters, and {MAX_LINE_CHARACTERS:,} are the most that are read",
                Span("", number, 1, number, 2),
                hint="break it into lines: they are joined with one space",
            )
        total += 0 if line.lstrip(" \t").startswith("#") else len(line) + 1
    if total > MAX_BLOCK_CHARACTERS:
        return _block_too_long(f"{total:,} characters, and {MAX_BLOCK_CHARACTERS:,}")
    return None


def _block_too_long(much: str) -> Diagnostic:
    return error(
        "block-too-long",
        f"what begins here has {much} are the most that are read",
        Span("", 0, 1, 0, 2),
        hint="split it: begin a new SHOT, a new definition or a new scene",
    )


@cache
def _lark() -> tuple[Callable[[str, str], Any], type[Exception]]:
    """Return what parses a block by a start rule, and what it raises for one that does not fit."""
    from lark.exceptions import UnexpectedInput

    return grammar().parse, UnexpectedInput


@cache
def grammar() -> Lark:
    """Return the parser of blocks made from `grammar/kling.lark`, from its saved form where there is one."""
    return _make_parser(tuple(blocks.BUILDERS))


@cache
def words_grammar() -> Lark:
    """Return the parser of the words of an EXPECT, made from the same grammar."""
    return _make_parser(("expected",))


def _make_parser(starts: tuple[str, ...]) -> Lark:
    """Return a parser with these start rules, from its saved form where there is one.

    Lark would save and load itself as a pickle, which runs what it reads; the saved form is plain data, kept as such.
    """
    import lark
    import msgspec

    text = resources.grammar_path().read_text("utf-8")
    key = saved.key_of("plain", text, lark.__version__, ",".join(starts))
    if payload := saved.load("grammar", key):
        with contextlib.suppress(Exception):  # a saved form that does not load is as good as none
            return lark.Lark.load(msgspec.msgpack.decode(payload, strict=False))
    parser = lark.Lark(text, parser="lalr", lexer="contextual", start=list(starts), maybe_placeholders=False)
    saved.store("grammar", key, msgspec.msgpack.encode(_plain_form(parser)))
    return parser


def _plain_form(parser: Lark) -> object:
    """Return what Lark saves of itself, as the mappings, lists, texts and numbers that it is made of."""
    import pickle
    from io import BytesIO

    buffer = BytesIO()
    parser.save(buffer)
    return _within_reach(pickle.loads(buffer.getvalue()))  # noqa: S301 -- made just above, and read from nowhere else


def _within_reach(value: object) -> object:
    """Return plain data with the widths of endless patterns, which are only compared, cut to what can be saved."""
    if isinstance(value, dict):
        return {_within_reach(key): _within_reach(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_within_reach(part) for part in value]
    return min(value, _WIDEST) if isinstance(value, int) and not isinstance(value, bool) else value
