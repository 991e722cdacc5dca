"""The terminal columns that a line of source takes: one cell for each thing that a reader sees as one character."""

from __future__ import annotations

import unicodedata

import msgspec

from kling_dsl.reports.escaping import escape, is_unseen

TAB_STOP = 4

_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"
_MARKS = frozenset({"Mn", "Me", "Mc"})


class Cell(msgspec.Struct, frozen=True):
    """What stands for `line[start:end]` on the screen: `text`, which is `columns` wide from column `left` (from 0)."""

    text: str
    start: int
    end: int
    left: int
    columns: int

    @property
    def right(self) -> int:
        """The column after the cell."""
        return self.left + self.columns


def cells(line: str) -> list[Cell]:
    """Split one line into cells: clusters stay whole, tabs become spaces, unseen characters become their escapes."""
    if line.isascii() and line.isprintable():
        return [Cell(char, at, at + 1, at, 1) for at, char in enumerate(line)]
    found: list[Cell] = []
    left = start = 0
    while start < len(line):
        char = line[start]
        end = start + 1
        if char == "\t":
            columns = TAB_STOP - left % TAB_STOP
            text = " " * columns
        elif is_unseen(char, line[start - 1] if start else ""):
            text = escape(char)
            columns = len(text)
        else:
            end = start + 1 if char < "\x7f" and _is_ascii_at(line, end) else _cluster_end(line, start)
            text = line[start:end]
            columns = _cluster_columns(text)
        found.append(Cell(text, start, end, left, columns))
        left += columns
        start = end
    return found


def _is_ascii_at(line: str, at: int) -> bool:
    return at >= len(line) or line[at] < "\x7f"


def _cluster_end(line: str, start: int) -> int:
    """Return where the cluster from `start` ends: marks, joined emoji, skin tones and flag pairs stay in it."""
    end = start + 1
    if _is_regional(line[start]):
        return end + (end < len(line) and _is_regional(line[end]))
    while end < len(line):
        char = line[end]
        if _is_mark(char) or (_is_skin_tone(char) and _is_picture(line[end - 1])):
            end += 1
        elif char == _JOINER and _is_joinable(line[end - 1]) and end + 1 < len(line) and _is_picture(line[end + 1]):
            end += 2
        elif char in ("\u200c", _JOINER) and not is_unseen(char, line[end - 1]):
            end += 1
        else:
            break
    return end


def _cluster_columns(text: str) -> int:
    """Count the columns of one cluster, the way terminals with modern emoji do; spacing marks (Mc) take one each."""
    if len(text) == 1:
        return _char_columns(text)
    if _is_regional(text[0]) or (_is_picture(text[0]) and _JOINER in text[1:-1]):
        return 2
    if _EMOJI_STYLE in text and not text[0].isalpha():
        return 2
    return _char_columns(text[0]) + sum(unicodedata.category(char) == "Mc" for char in text[1:])


def _char_columns(char: str) -> int:
    if char < "\x7f":
        return 1
    if unicodedata.category(char) in ("Mn", "Me") or char in ("\u200c", _JOINER):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _is_skin_tone(char: str) -> bool:
    return "\U0001f3fb" <= char <= "\U0001f3ff"


def _is_mark(char: str) -> bool:
    # The vowels and finals of a Hangul syllable in conjoining form sit inside the syllable's own two columns.
    return unicodedata.category(char) in _MARKS or "\u1160" <= char <= "\u11ff"


def _is_picture(char: str) -> bool:
    return unicodedata.category(char) == "So"


def _is_joinable(char: str) -> bool:
    return char == _EMOJI_STYLE or _is_skin_tone(char) or _is_picture(char)
