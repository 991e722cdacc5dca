"""Builds the node of a block from its pieces, and judges what the grammar takes loosely."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kling_dsl import spelling
from kling_dsl.diagnostics import error, rewrite
from kling_dsl.nodes import (
    Attribute,
    Body,
    Break,
    Clip,
    Definition,
    Dialogue,
    EndClip,
    Entry,
    Expectation,
    Heading,
    Import,
    Length,
    Node,
    Passage,
    Shot,
    TitlePage,
)
from kling_dsl.patterns import Rare
from kling_dsl.slips import (
    INDENTED_WORD,
    LABEL,
    NOTE,
    SUSPECT,
    Piece,
    Report,
    judge_prose,
    report_misplaced_attribute,
    report_misplaced_key,
    report_stray_text,
)
from kling_dsl.source import Span, Text
from kling_dsl.vocabulary import MAX_NAME_CHARACTERS, TEST_KEYS, TITLE_KEYS

_UNIT = re.compile(
    r"(?:SHOT|CLIP)(?:[ \t]+(?P<id>(?![0-9])[^\s]+))?"
    r"(?:[ \t]+(?P<length>[0-9]+(?:[.,][0-9]+)?(?:[ \t]?(?:seconds|second|secs|sec|s|S))?)(?=[\s,;]))?"
)
_ID = re.compile(rf"[a-z][a-z0-9-]{{0,{MAX_NAME_CHARACTERS - 1}}}\Z")
_MAX_DIGITS = 7
"""More than any length has, and few enough that reading the number costs nothing."""
_LENGTH = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?[ \t]?([a-zA-Z]*)\Z")
_CUE = Rare(r"[ \t]*([^\s:：(][^\n:：(]*?)[ \t]*(?:\(([^()\n]*)\))?[ \t]*[:：][ \t]*")
_BLANK_LINE = re.compile(r"\n(?:[ \t]*\n)+")
_NUMBER = re.compile(r"[\w.-]+\Z")
_END_CLIP = Rare(r"END[ \t]+CLIP")


def build_title_page(pieces: Sequence[Piece], report: Report) -> TitlePage:
    """Build the title page; a line in it that is no `Key: value` is an error, and so is text after its blank line."""
    entries: list[Entry] = []
    for piece in pieces:
        if piece.kind in ("ENTRY", "INDENTED"):
            if not NOTE().sub("", piece.text).strip():
                continue
            if SUSPECT.match(piece.text) and judge_prose(Passage(piece.text, piece.line, piece.column), report):
                # What follows belongs to the construct that was meant; one mistake is reported once.
                break
            if entry := _entry(piece, report):
                entries.append(entry)
        else:
            report_stray_text(piece, report, "belongs to no shot")
    return TitlePage(tuple(entries))


def build_import(pieces: Sequence[Piece], report: Report) -> Import | None:
    """Build an import."""
    path = pieces[0].after("import")
    for piece in pieces[1:]:
        report_stray_text(piece, report, "stands under an import and belongs to no shot")
    if not path.value.endswith(".kling"):
        span = path.span if path.value else Span("", 0, 1, 0, 7)
        report(
            error(
                "bad-import",
                "import takes the path of a .kling file",
                span,
                hint="write `import cast.kling`, or begin the line with ! if it is prose",
            )
        )
        return None
    return Import(path)


def build_definition(pieces: Sequence[Piece], report: Report) -> Definition | None:
    """Build a definition of a reference."""
    kind = pieces[0].text.split(None, 1)[0]
    name = pieces[0].after(kind)
    attributes = _attributes(pieces)
    body = _description(pieces, report)
    if not name.value.isidentifier() or len(name.value) > MAX_NAME_CHARACTERS:
        span = name.span if name.value else Span("", 0, 1, 0, len(kind) + 1)
        report(
            error(
                "bad-name",
                f'"{name.value}" is no name' if name.value else f"this {kind} has no name",
                span,
                hint=f"a name is one word of up to {MAX_NAME_CHARACTERS} letters, digits and _, as in `{kind} Mira`; begin the line with ! if it is prose",
            )
        )
        return None
    return Definition(kind, name, attributes, body)


def build_heading(pieces: Sequence[Piece], report: Report) -> Heading:
    """Build a scene heading, without its number and its forcing dot."""
    first = pieces[0]
    raw, column = first.text.rstrip(), first.column
    bare, _, number = raw.removesuffix("#").rpartition("#")
    if raw.endswith("#") and bare and _NUMBER.match(number):
        raw = bare.rstrip()
    else:
        number = ""
    if raw.startswith("."):
        raw, column = raw[1:], column + 1
    for piece in pieces[1:]:
        report_stray_text(piece, report, "stands under a scene heading and belongs to no shot")
    return Heading(Passage(raw, first.line, column), number, _attributes(pieces))


def build_shot(pieces: Sequence[Piece], report: Report) -> Shot | None:
    """Build a shot; None when it has no usable id."""
    name, length, rest = _unit(pieces[0], report)
    attributes: list[Attribute] = []
    body: list[Passage | Dialogue | Break] = []
    for piece in pieces:
        kind = piece.kind
        if kind == "PROSE":
            passage = Passage(piece.text, piece.line, piece.column)
            if SUSPECT.search(piece.text):
                judge_prose(passage, report)
            _add_paragraphs(passage, body)
        elif kind == "BLANK":
            body.append(_BREAK)
        elif kind == "ATTRIBUTE":
            attributes.append(_attribute(piece))
        elif kind == "LABELLED":
            body.append(_labelled(piece, report))
    if not _is_id(name, "SHOT", report):
        return None
    assert name is not None
    camera = Passage(rest.value, rest.line, rest.column) if rest.value else None
    return Shot(name, length, camera, tuple(attributes), tuple(body))


def build_clip(pieces: Sequence[Piece], report: Report) -> Clip | None:
    """Build the first line of a group; text straight in it, before a SHOT, is an error."""
    name, length, rest = _unit(pieces[0], report)
    if rest.value and name is not None:
        report(
            error(
                "clip-words",
                "a CLIP line holds an id and a length only",
                rest.span,
                hint="camera words belong to the SHOT lines inside the group",
            )
        )
    for piece in pieces[1:]:
        report_stray_text(
            piece, report, "stands in a CLIP before its first SHOT and belongs to no shot", "text-in-clip"
        )
    if not _is_id(name, "CLIP", report):
        return None
    assert name is not None
    return Clip(name, length, _attributes(pieces))


def build_end_clip(pieces: Sequence[Piece], report: Report) -> EndClip:
    """Build the end of a group."""
    rest = pieces[0].after(_END_CLIP().match(pieces[0].text)[0])  # type: ignore[index]
    if rest.value:
        report(error("clip-words", "END CLIP takes nothing after it", rest.span, hint="delete the rest of the line"))
    for piece in pieces[1:]:
        report_stray_text(piece, report, "stands after END CLIP and belongs to no shot")
    return EndClip()


def build_expectation(pieces: Sequence[Piece], report: Report) -> Expectation:
    """Build an EXPECT line; its words are still to be read."""
    words = pieces[0].after("EXPECT")
    for piece in pieces[1:]:
        report_stray_text(piece, report, "stands under an EXPECT and belongs to no shot")
    return Expectation(Passage(words.value, words.line, words.column))


BUILDERS: dict[str, Callable[[Sequence[Piece], Report], Node | None]] = {
    "title_page": build_title_page,
    "import_line": build_import,
    "definition": build_definition,
    "heading": build_heading,
    "shot": build_shot,
    "clip": build_clip,
    "end_clip": build_end_clip,
    "expectation": build_expectation,
}
"""The start rules of the grammar, and what makes a node of each."""

_BREAK = Break()


def _is_id(name: Text | None, keyword: str, report: Report) -> bool:
    if name is not None and _ID.match(name.value):
        return True
    example = "`SHOT door 5s wide`" if keyword == "SHOT" else "`CLIP window 9s`"
    if name is None:
        span = Span("", 0, 1, 0, len(keyword) + 1)
        report(error("bad-id", f"this {keyword} has no id", span, hint=f"the id comes first, as in {example}"))
        return False
    lowered = re.sub(r"[^a-z0-9-]+", "-", name.value.lower()).strip("-")
    hint = f"an id is up to {MAX_NAME_CHARACTERS} lower-case letters, digits and -, beginning with a letter, as in {example}; begin the line with ! if it is prose"
    fix = rewrite(name.span, lowered if _ID.match(lowered) else None)
    report(error("bad-id", f'"{name.value}" is no {keyword.lower()} id', name.span, hint=hint, fix=fix))
    return False


def _unit(piece: Piece, report: Report) -> tuple[Text | None, Length | None, Text]:
    """Split the first line of a shot or a clip into its id, its length and the rest."""
    match = _UNIT.match(piece.text)
    assert match is not None, "the grammar takes no other line for a shot or a clip"
    name = match["id"]
    length = match["length"]
    return (
        None if name is None else Text(name, piece.line, piece.column + match.start("id")),
        None if length is None else _length(Text(length, piece.line, piece.column + match.start("length")), report),
        piece.after(match[0]),
    )


def _length(words: Text, report: Report) -> Length:
    if words.value[-1] == "s" and len(words.value) < _MAX_DIGITS and words.value[:-1].isdigit():
        return Length(int(words.value[:-1]), words.span)
    match = _LENGTH.match(words.value)
    assert match is not None, "a length begins with digits"
    whole, part, unit = match.groups()
    if len(whole) >= _MAX_DIGITS:
        report(
            error(
                "bad-length",
                f"{words.value} is longer than any clip",
                words.span,
                hint="write whole seconds, as in `5s`",
            )
        )
        return Length(0, words.span, is_unclear=True)
    if part is not None and part.strip("0"):
        # What either neighbour costs is known only when the request is; it is reported there.
        return Length(int(whole) + 1, words.span, fraction=words.value)
    if unit != "s" or part is not None or words.value != f"{whole}s":
        right = f"{int(whole)}s"
        report(
            error(
                "bad-length",
                f"{words.value} is no length: seconds are written {right}",
                words.span,
                hint=f"write {right}",
                fix=rewrite(words.span, right),
            )
        )
    return Length(int(whole), words.span)


def _entry(piece: Piece, report: Report) -> Entry | None:
    line = piece.text.rstrip()
    key, colon, _ = line.partition(":")
    words = key.split()
    if not colon or not words or piece.kind == "INDENTED":
        report(
            error(
                "title-line",
                "this line is no part of a title page",
                Text(line, piece.line, piece.column).span,
                hint="the title page has one `Key: value` a line, and ends with the first blank line",
            )
        )
        return None
    place = Text(words[0], piece.line, piece.column)
    value = piece.after(f"{key}:")
    named = words[0] in ("Param", "Data")
    if (named and len(words) == 2) or (not named and len(words) == 1 and words[0] in (*TITLE_KEYS, *TEST_KEYS)):
        name = Text(words[1], piece.line, piece.column + key.index(words[1], len(words[0]))) if named else None
        return Entry(place, name, value)
    if named:
        message = f"{words[0]} takes one name before its colon"
        hint, fix = f"write `{words[0]} name: {'file.csv' if words[0] == 'Data' else 'value'}`", None
    else:
        shown = key.strip()
        near = spelling.nearest(shown, TITLE_KEYS)
        message = f'"{shown}" is no key of the title page'
        hint = f"did you mean {near}?" if near else f"the keys are {', '.join(TITLE_KEYS)}"
        fix = rewrite(Text(shown, piece.line, piece.column).span, spelling.certain(shown, TITLE_KEYS))
    report(error("unknown-title-key", message, Text(key.rstrip(), piece.line, piece.column).span, hint=hint, fix=fix))
    return None


def _attributes(pieces: Sequence[Piece]) -> tuple[Attribute, ...]:
    return tuple(_attribute(piece) for piece in pieces if piece.kind == "ATTRIBUTE")


def _attribute(piece: Piece) -> Attribute:
    key, _, _ = piece.text.partition(":")
    word = key.strip(" \t")
    return Attribute(Text(word, piece.line, piece.column + key.index(word)), piece.after(f"{key}:"))


def _description(pieces: Sequence[Piece], report: Report) -> Body:
    body: list[Passage | Dialogue | Break] = []
    for piece in pieces:
        if piece.kind == "LABELLED" and (match := INDENTED_WORD().match(piece.text)):
            report_misplaced_attribute(piece, match, report)
        elif piece.kind in ("PROSE", "LABELLED"):
            _add_paragraphs(Passage(piece.text, piece.line, piece.column), body)
        elif piece.kind == "BLANK":
            body.append(_BREAK)
    return tuple(body)


def _add_paragraphs(passage: Passage, body: list[Passage | Dialogue | Break]) -> None:
    """Add a run of prose to a body, cut at its blank lines (but not at those inside a note)."""
    raw = passage.raw
    text = raw.rstrip()
    if "\n\n" not in text and "\n " not in text and "\n\t" not in text:
        body.append(passage)
        if raw.count("\n", len(text)) > 1:
            body.append(_BREAK)
        return
    seen = NOTE().sub(lambda note: "." * len(note[0]), raw) if "[[" in raw else raw
    start = 0
    for match in _BLANK_LINE.finditer(seen):
        body += (Passage(raw[start : match.start() + 1], passage.line + raw.count("\n", 0, start), 1), _BREAK)
        start = match.end()
    if start < len(raw):
        body.append(Passage(raw[start:], passage.line + raw.count("\n", 0, start), 1))


def _labelled(piece: Piece, report: Report) -> Passage | Dialogue:
    text = piece.text
    prose = Passage(text, piece.line, piece.column)
    if match := INDENTED_WORD().match(text):
        report_misplaced_attribute(piece, match, report)
        return prose
    if (match := _CUE().match(text)) and _is_capitals(match[1]):
        name = Text(match[1], piece.line, piece.column + match.start(1))
        manner = Text(match[2].strip(), piece.line, piece.column + match.start(2)) if match[2] is not None else None
        return Dialogue(name, manner, Passage(text[match.end() :], piece.line, piece.column + match.end()))
    if (match := LABEL().match(text)) and not report_misplaced_key(piece, match, report) and SUSPECT.match(text):
        judge_prose(prose, report)
    return prose


def _is_capitals(name: str) -> bool:
    if name != name.upper() or len(name) > 40:
        return False
    if name != name.lower():
        return True
    # A script without letter case: one word of it before a colon reads as a cue.
    return name.isidentifier()
