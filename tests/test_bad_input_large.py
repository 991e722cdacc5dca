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


PROPS = _count(lambda n: f"PROP Name{n:05d}\nA thing of number {n}.\n\n", 10_000)

FILMS: dict[str, str] = {
    "notes that never close": f"SHOT a 5s\n{_fill('[[' + chr(10))}",
    "notes that never close in many shots": _count(lambda n: f"SHOT a{n} 5s\n[[ sea\n\n", 8_000),
    "mentions of nobody": f"SHOT a 5s\n{_fill('@x ' * 30 + chr(10))}",
    "mentions of somebody": f"PROP P\nRed.\n\nSHOT a 5s\n{_fill('@P ' * 30 + chr(10))}",
    "mentions of many": f"{PROPS}SHOT a 5s\n{_count(lambda n: f'@Name{n % 10_000:05d}' + chr(10), 100_000)}",
    "unknown names among many": f"{PROPS}{_count(lambda n: f'SHOT a{n} 5s{chr(10)}@Nxme{n:05d}x{chr(10)}', 5_000)}",
    "unknown speakers among many": f"{PROPS}{_count(lambda n: f'SHOT a{n} 5s{chr(10)}NXME{n:05d}X: hi{chr(10)}', 5_000)}",
    "with: of unknown names": f"{PROPS}SHOT a 5s\n  with: {', '.join(f'@Q{n}' for n in range(4_000))}\nSea.\n",
    "labels on a title page": f"{_fill('LABEL: x' + chr(10))}\n{SHOT}",
    "keys on a title page": f"{_count(lambda n: f'Key{n}: v{chr(10)}', 100_000)}\n{SHOT}",
    "labels in a shot": f"SHOT a 5s\n{_fill('LABEL: x' + chr(10))}",
    "attributes in a shot": f"SHOT a 5s\n{_count(lambda n: f'  key{n}: x{chr(10)}', 100_000)}",
    "shots that share an id": _fill(SHOT),
    "names declared again": _fill("PROP Lamp\nRed.\n\n"),
    "a chain": _count(
        lambda n: f"SHOT s{n} 5s\n{f'  start: end of s{n - 1}' + chr(10) if n else ''}Sea {n}.\n\n", 20_000
    ),
    "a ring": _count(lambda n: f"SHOT s{n} 5s\n  start: end of s{(n + 1) % 8_000}\nSea {n}.\n\n", 8_000),
    "frames of nothing": _count(lambda n: f"SHOT s{n} 5s\n  start: end of q{n}z\nSea {n}.\n\n", 8_000),
    "scenes with looks": _count(lambda n: f".ROOM {n}\n  look: blue {n}\n\nSHOT s{n} 5s\nSea.\n\n", 10_000),
    "one clip of many shots": f"CLIP c\n\n{_count(lambda n: f'SHOT s{n} 3s{chr(10)}Sea {n}.{chr(10)}{chr(10)}', 10_000)}END CLIP\n",
    "clips that never end": _count(lambda n: f"CLIP c{n}\n\n", 10_000),
    "imports of nothing": f"{_count(lambda n: f'import c{n}.kling{chr(10)}', 8_000)}{SHOT}",
    "blanks in headings": _fill("INT. x" + " " * 90_000 + "y\n"),
    "blanks in prose": f"SHOT a 5s\n{_fill('x' + ' ' * 90_000 + 'y' + chr(10))}",
    "blank lines": f"SHOT a 5s\nx{chr(10) * LARGE}y\n",
    "brackets": f"SHOT a 5s\n{_fill('(' * 90_000 + chr(10))}",
    "words of quality": f"SHOT a 5s\n{_fill('masterpiece, 8k, best quality, ' * 300 + chr(10))}",
    "nearly keywords": f"SHOT a 5s\n{_fill('SHOOT x 5s' + chr(10))}",
    "accents": f"PROP E{chr(0x301) * 90_000}\nRed.\n\nSHOT a 5s\n@E{(chr(0x301) + chr(0x323)) * 45_000}\n",
    "an id without end": f"SHOT {'a' * 99_000} 5s\nSea.\n",
    "digits without end": f"Budget: ${'9' * 90_000}\nTakes: {'9' * 90_000}\n\nSHOT a {'9' * 90_000}s\nSea.\n",
    "one line of 50 megabytes": "SHOT a 5s\n" + "@" * 50_000_000,
}
"""Each of these took minutes when time grew with the square of a size that it fills, or would if it did."""

# The processor's time is counted, and not the clock's: what else the machine does is no fault of the program.
LIMITS = {resource.RLIMIT_CPU: SECONDS, resource.RLIMIT_AS: 1 << 30}


@pytest.mark.parametrize("name", FILMS)
def test_a_large_film_ends_in_time_and_in_a_gigabyte(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"film.kling": FILMS[name]})
    kling("check", "film.kling", cwd=tmp_path, limits=LIMITS, seconds=5 * SECONDS)
