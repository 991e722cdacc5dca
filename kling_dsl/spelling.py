"""Nearest names: how far two words are apart, and which of a set a misspelt word most likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import islice
from typing import NamedTuple

_MIN_LETTERS = 3
"""One or two letters are near to any others; they may lack a letter, but not have a wrong one."""
_MAX_LETTERS = 80
_MAX_CELLS = 5_000
"""Letters compared with letters for one suggestion, enough for fifty names of ten; of more, those that begin alike
are compared. With thousands of slips among thousands of names it would take minutes otherwise."""


class Names:
    """Names that many words may be compared with, told apart by their first letters and by their lengths once."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def beginning_like(self, word: str) -> Iterator[str]:
        """Yield the names to compare a word with, those that begin alike first."""
        start = word[:1].casefold()
        yield from self._by_start.get(start, ())
        yield from islice((name for name in self._names if name[:1].casefold() != start), _MAX_CELLS)

    def as_long_as(self, word: str) -> Iterator[str]:
        """Yield the names that have as many letters as a word, or one more or less."""
        for length in (len(word) - 1, len(word), len(word) + 1):
            yield from self._by_length.get(length, ())

    @cached_property
    def _by_start(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._names:
            found.setdefault(name[:1].casefold(), []).append(name)
        return found

    @cached_property
    def _by_length(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for name in self._names:
            found.setdefault(len(name), []).append(name)
        return found


def nearest(word: str, names: Iterable[str], *, within: int | None = None) -> str | None:
    """Return the name most like `word`, letter case apart, or None when none is near (a third of its letters by default).

    Whoever asks for many words makes one `Names` of the names first.
    """
    if not word or len(word) > _MAX_LETTERS:
        return None
    limit = max(1, (len(word) + 2) // 3) if within is None else within
    compared: list[str] = []
    cells = 0
    for name in _names(names).beginning_like(word):
        if abs(len(name) - len(word)) > limit or (len(word) < _MIN_LETTERS and len(name) <= len(word)):
            continue
        cells += len(name) * len(word)
        if cells > _MAX_CELLS:
            break
        compared.append(name)
    near = [(distance, name) for distance, name in _compare(word, compared) if distance <= limit]
    return min(near)[1] if near else None


def certain(word: str, names: Iterable[str]) -> str | None:
    """Return the one name that a single slip turns into `word`, or None when there is none or more than one."""
    if not _MIN_LETTERS <= len(word) <= _MAX_LETTERS:
        return None
    compared: list[str] = []
    cells = 0
    for name in _names(names).as_long_as(word):
        cells += len(name) * len(word)
        if cells > _MAX_CELLS:
            return None
        compared.append(name)
    near = [name for distance, name in _compare(word, compared) if distance <= 1]
    return near[0] if len(near) == 1 else None


def _names(names: Iterable[str]) -> Names:
    return names if isinstance(names, Names) else Names(names)


def _compare(word: str, names: list[str]) -> Iterator[tuple[int, str]]:
    """Yield names, each with its distance from a word, letter case apart."""
    distances = edit_distances(word.casefold(), tuple([name.casefold() for name in names])) if names else ()
    return zip(distances, names, strict=True)


def edit_distances(word: str, names: tuple[str, ...]) -> list[int]:
    """Count for each name the insertions, deletions, substitutions and swaps of neighbours that turn it into `word`.

    The table of distances is held a column at a time, a bit for each of its cells: whether it is one more than the cell
    above (`more`) or one less (`less`), after Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit
    distances" (2003). The columns of all names stand one above the other in the same number, so that a letter of the word
    costs a few sums, however many and long the names are.
    """
    cells, firsts, places, lanes = _stack(names)
    more, less, diagonal, before = cells, 0, 0, 0
    for char in word:
        here = places.get(char, 0)
        swapped = ((here & (cells ^ diagonal)) << 1) & before
        diagonal = ((((here & more) + more) ^ more) | here | less | swapped) & cells
        right_more = ((less | (cells ^ (diagonal | more))) << 1 | firsts) & cells
        right_less = ((diagonal & more) << 1) & cells
        more = right_less | (cells ^ (diagonal | right_more))
        less = right_more & diagonal
        before = here
    # The topmost cell of the last column is as far from zero as the word is long; each step down is one more or less.
    return [
        len(word) + (more >> bottom & lane).bit_count() - (less >> bottom & lane).bit_count() for bottom, lane in lanes
    ]


class _Stack(NamedTuple):
    """The columns of many names in one number, a bit for each letter, with a bit between them that takes a sum's carry."""

    cells: int
    firsts: int
    places: dict[str, int]
    lanes: tuple[tuple[int, int], ...]


@lru_cache(maxsize=64)
def _stack(names: tuple[str, ...]) -> _Stack:
    """Stack names; words that are misspelt alike are compared with the same ones again and again."""
    cells = firsts = bottom = 0
    places: dict[str, int] = {}
    lanes: list[tuple[int, int]] = []
    for name in names:
        lane = (1 << len(name)) - 1
        lanes.append((bottom, lane))
        cells |= lane << bottom
        firsts |= 1 << bottom
        for at, char in enumerate(name, bottom):
            places[char] = places.get(char, 0) | 1 << at
        bottom += len(name) + 1
    return _Stack(cells, firsts, places, tuple(lanes))
