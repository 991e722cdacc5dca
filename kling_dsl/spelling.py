"""Nearest names: how far two words are apart, and which of a set a misspelt word most likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

_MIN_LETTERS = 3
"""One or two letters are near to any others; they may lack a letter, but not have a wrong one."""
_MAX_LETTERS = 80
_MAX_CELLS = 5_000
"""Letters compared with letters for one suggestion, enough for fifty names of ten; of more, those that begin alike
are compared. With thousands of slips among thousands of names it would take minutes otherwise."""


def edit_distance(left: str, right: str, *, most: int | None = None) -> int:
    """Count the insertions, deletions, substitutions and swaps of neighbours that turn `left` into `right`.

    With `most`, counting stops when there are more, and any number above it is returned.
    """
    start = 0
    for char, other in zip(left, right, strict=False):
        if char != other:
            break
        start += 1
    left, right = left[start:], right[start:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    if most is not None and abs(len(left) - len(right)) > most:
        return most + 1
    return _count_edits(left, right, len(left) + len(right) if most is None else most)


def _count_edits(left: str, right: str, most: int) -> int:
    """Fill the table of distances row by row, with the cell to the left and those above at hand."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    above_char = ""
    for i, char in enumerate(left, 1):
        before, row, last = row, [i], before
        beside, corner, previous = i, i - 1, ""
        for j, other in enumerate(right, 1):
            above = before[j]
            # Letters that agree cost nothing, and no other way is ever shorter than that one.
            if char != other:
                if corner <= above and corner <= beside:
                    beside = corner + 1
                elif above <= beside:
                    beside = above + 1
                else:
                    beside += 1
                if char == previous and above_char == other and last[j - 2] < beside:
                    beside = last[j - 2] + 1
            else:
                beside = corner
            row.append(beside)
            corner, previous = above, other
        if min(row) > most and min(before) > most:
            return most + 1
        above_char = char
    return row[-1]


def nearest(word: str, names: Iterable[str], *, within: int | None = None) -> str | None:
    """Return the name most like `word`, letter case apart, or None when none is near (a third of its letters by default)."""
    if not word or len(word) > _MAX_LETTERS:
        return None
    limit = max(1, (len(word) + 2) // 3) if within is None else within
    best: tuple[int, str] | None = None
    cells = 0
    for name in _candidates(word, names):
        if abs(len(name) - len(word)) > limit or (len(word) < _MIN_LETTERS and len(name) <= len(word)):
            continue
        cells += len(name) * len(word)
        if cells > _MAX_CELLS:
            break
        distance = _distance(word.casefold(), name.casefold(), limit)
        if distance <= limit and (best is None or (distance, name) < best):
            best = (distance, name)
    return best[1] if best else None


def certain(word: str, names: Iterable[str]) -> str | None:
    """Return the one name that a single slip turns into `word`, or None when there is none or more than one."""
    if not _MIN_LETTERS <= len(word) <= _MAX_LETTERS:
        return None
    near: list[str] = []
    limit = max(1, (len(word) + 2) // 3)
    cells = 0
    for name in names:
        if abs(len(name) - len(word)) > 1:
            continue
        cells += len(name) * len(word)
        if cells > _MAX_CELLS:
            return None
        if _distance(word.casefold(), name.casefold(), limit) <= 1:
            near.append(name)
    return near[0] if len(near) == 1 else None


def _candidates(word: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the names to compare a word with, those that begin alike first."""
    start = word[:1].casefold()
    others: list[str] = []
    for name in names:
        if name[:1].casefold() == start:
            yield name
        elif len(others) < _MAX_CELLS:
            others.append(name)
    yield from others


@lru_cache(maxsize=1024)
def _distance(word: str, name: str, most: int) -> int:
    """Return the distance of two words as far as it matters; a word's nearest and its certain name ask for the same."""
    return edit_distance(word, name, most=most)
