"""Large inputs take time in proportion: what is small enough to send in a pull request cannot hold up who checks it."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input import SECONDS, SHOT, kling, write

LARGE = 400_000
"""Characters that a film is filled with: time that grows with their square would pass every limit, and what does not is quick."""


def _fill(piece: str, *, size: int = LARGE) -> str:
    return piece * (size // len(piece))


def _count(write_one: Callable[[int], str], number: int) -> str:
    return "".join(write_one(n) for n in range(number))


def _props() -> str:
    return _count(lambda n: f"PROP Name{n:05d}\nA thing of number {n}.\n\n", 10_000)


FILMS: dict[str, Callable[[], str]] = {
    "notes that never close": lambda: f"SHOT a 5s\n{_fill('[[' + chr(10))}",
    "notes that never close in many shots": lambda: _count(lambda n: f"SHOT a{n} 5s\n[[ sea\n\n", 8_000),
    "mentions of nobody": lambda: f"SHOT a 5s\n{_fill('@x ' * 30 + chr(10))}",
    "mentions of somebody": lambda: f"PROP P\nRed.\n\nSHOT a 5s\n{_fill('@P ' * 30 + chr(10))}",
    "mentions of many": lambda: f"{_props()}SHOT a 5s\n{_count(lambda n: f'@Name{n % 10_000:05d}' + chr(10), 100_000)}",
    "unknown names among many": lambda: (
        f"{_props()}{_count(lambda n: f'SHOT a{n} 5s{chr(10)}@Nxme{n:05d}x{chr(10)}', 5_000)}"
    ),
    "unknown speakers among many": lambda: (
        f"{_props()}{_count(lambda n: f'SHOT a{n} 5s{chr(10)}NXME{n:05d}X: hi{chr(10)}', 5_000)}"
    ),
    "with: of unknown names": lambda: (
        f"{_props()}SHOT a 5s\n  with: {', '.join(f'@Q{n}' for n in range(4_000))}\nSea.\n"
    ),
    "labels on a title page": lambda: f"{_fill('LABEL: x' + chr(10))}\n{SHOT}",
    "keys on a title page": lambda: f"{_count(lambda n: f'Key{n}: v{chr(10)}', 100_000)}\n{SHOT}",
    "labels in a shot": lambda: f"SHOT a 5s\n{_fill('LABEL: x' + chr(10))}",
    "attributes in a shot": lambda: f"SHOT a 5s\n{_count(lambda n: f'  key{n}: x{chr(10)}', 100_000)}",
    "shots that share an id": lambda: _fill(SHOT),
    "names declared again": lambda: _fill("PROP Lamp\nRed.\n\n"),
    "a chain": lambda: _count(
        lambda n: f"SHOT s{n} 5s\n{f'  start: end of s{n - 1}' + chr(10) if n else ''}Sea {n}.\n\n", 20_000
    ),
    "a ring": lambda: _count(lambda n: f"SHOT s{n} 5s\n  start: end of s{(n + 1) % 8_000}\nSea {n}.\n\n", 8_000),
    "frames of nothing": lambda: _count(lambda n: f"SHOT s{n} 5s\n  start: end of q{n}z\nSea {n}.\n\n", 8_000),
    "scenes with looks": lambda: _count(lambda n: f".ROOM {n}\n  look: blue {n}\n\nSHOT s{n} 5s\nSea.\n\n", 10_000),
    "one clip of many shots": lambda: (
        f"CLIP c\n\n{_count(lambda n: f'SHOT s{n} 3s{chr(10)}Sea {n}.{chr(10)}{chr(10)}', 10_000)}END CLIP\n"
    ),
    "clips that never end": lambda: _count(lambda n: f"CLIP c{n}\n\n", 10_000),
    "imports of nothing": lambda: f"{_count(lambda n: f'import c{n}.kling{chr(10)}', 8_000)}{SHOT}",
    "blanks in headings": lambda: _fill("INT. x" + " " * 90_000 + "y\n"),
    "blanks in prose": lambda: f"SHOT a 5s\n{_fill('x' + ' ' * 90_000 + 'y' + chr(10))}",
    "blank lines": lambda: f"SHOT a 5s\nx{chr(10) * LARGE}y\n",
    "brackets": lambda: f"SHOT a 5s\n{_fill('(' * 90_000 + chr(10))}",
    "words of quality": lambda: f"SHOT a 5s\n{_fill('masterpiece, 8k, best quality, ' * 300 + chr(10))}",
    "nearly keywords": lambda: f"SHOT a 5s\n{_fill('SHOOT x 5s' + chr(10))}",
    "accents": lambda: f"PROP E{chr(0x301) * 90_000}\nRed.\n\nSHOT a 5s\n@E{(chr(0x301) + chr(0x323)) * 45_000}\n",
    "an id without end": lambda: f"SHOT {'a' * 99_000} 5s\nSea.\n",
    "digits without end": lambda: f"Budget: ${'9' * 90_000}\nTakes: {'9' * 90_000}\n\nSHOT a {'9' * 90_000}s\nSea.\n",
    "one line of 50 megabytes": lambda: "SHOT a 5s\n" + "@" * 50_000_000,
}
"""Each of these took minutes when time grew with the square of a size that it fills, or would if it did.

Each is written where it is wanted: together they have 64 million characters.
"""

# The processor's time is counted, and not the clock's: what else the machine does is no fault of the program.
LIMITS = {resource.RLIMIT_CPU: SECONDS, resource.RLIMIT_AS: 1 << 30}


@pytest.mark.parametrize("name", FILMS)
def test_a_large_film_ends_in_time_and_in_a_gigabyte(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"film.kling": FILMS[name]()})
    kling("check", "film.kling", cwd=tmp_path, limits=LIMITS, seconds=5 * SECONDS)
