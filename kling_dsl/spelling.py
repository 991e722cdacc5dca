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


def edit_distance(left: str, right: str) -> int:
    """Count the insertions, deletions, substitutions and swaps of neighbours that turn `left` into `right`.

    The table of distances is held a column at a time, a bit for each of its cells: whether it is one more than the cell
    above (`more`) or one less (`less`), after Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit
    distances" (2003). So a letter costs a few sums, however long the other word is.
    """
    if not left:
        return len(right)
    places: dict[str, int] = {}
    for number, char in enumerate(left):
        places[char] = places.get(char, 0) | 1 << number
    column, last = (1 << len(left)) - 1, 1 << (len(left) - 1)
    more, less, diagonal, before = column, 0, 0, 0
    distance = len(left)
    for char in right:
        here = places.get(char, 0)
        swapped = ((~diagonal & here) << 1) & before
        diagonal = ((((here & more) + more) ^ more) | here | less | swapped) & column
        right_more = less | (column & ~(diagonal | more))
        right_less = diagonal & more
        distance += (right_more & last != 0) - (right_less & last != 0)
        right_more = (right_more << 1 | 1) & column
        right_less = (right_less << 1) & column
        more = right_less | (column & ~(diagonal | right_more))
        less = right_more & diagonal
        before = here
    return distance


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
        distance = _distance(word.casefold(), name.casefold())
        if distance <= limit and (best is None or (distance, name) < best):
            best = (distance, name)
    return best[1] if best else None


def certain(word: str, names: Iterable[str]) -> str | None:
    """Return the one name that a single slip turns into `word`, or None when there is none or more than one."""
    if not _MIN_LETTERS <= len(word) <= _MAX_LETTERS:
        return None
    near: list[str] = []
    cells = 0
    for name in names:
        if abs(len(name) - len(word)) > 1:
            continue
        cells += len(name) * len(word)
        if cells > _MAX_CELLS:
            return None
        if _distance(word.casefold(), name.casefold()) <= 1:
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
def _distance(word: str, name: str) -> int:
    """Return the distance of two words; a word's nearest and its certain name ask for the same."""
    return edit_distance(word, name)
