"""Re-checks a long film in one process after edits of one line, as an editor does, and prints how long that took."""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import time
from collections.abc import Callable

import films
import msgspec
import notations
import pictures

from kling_dsl.compiler import Compilation, Options, Session
from kling_dsl.sheets import Profiles
from kling_dsl.world import Media, Unreadable

FILM = "film.kling"
SHOTS_STEP = 20


class MemoryWorld:
    """A world of one film whose text is given; every picture is there and different."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read_text(self, path: str) -> str | Unreadable:
        """Return the film."""
        return self.text if path == FILM else Unreadable("missing", "there is only the film")

    def media(self, path: str) -> Media | Unreadable:
        """Return the facts of a picture like those that the generator makes."""
        digest = hashlib.sha256(path.encode()).hexdigest()
        return Media(digest, bytes=1000, kind="png", width=pictures.WIDTH, height=pictures.HEIGHT)


class Kind(msgspec.Struct, frozen=True):
    """A kind of edit: how a line that it takes begins, what becomes of it, and how many diagnostics that gives."""

    begins: str
    edit: Callable[[str], str]
    diagnostics: int = 0


KINDS = {
    "prose": Kind("@", lambda line: line + " tonight"),
    "camera words": Kind("SHOT ", lambda line: line + ", rain on the lens"),
    "misspelt name": Kind("@", lambda line: line.replace("@", "@Qu", 1), diagnostics=1),
    "added line": Kind("@", lambda line: f"# a note to the editor\n{line}"),
    "picture of the cast": Kind("  front: ", lambda line: line.replace("front.png", "other.png")),
}


def main() -> None:
    """Print as JSON, in milliseconds, the first check and the median, least and most of each kind of edit."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python benchmarks/recheck.py --edits 10")
    parser.add_argument("--lines", type=int, default=10_000, help="lines of the film at least (%(default)s)")
    parser.add_argument("--edits", type=int, default=25, help="edits of each kind (%(default)s)")
    arguments = parser.parse_args()
    text = write_lines(arguments.lines)
    world = MemoryWorld(text)
    session = Session(Profiles.of({}))
    first, compilation = timed(session, world)
    expect(compilation, 0)
    dice = random.Random(4)
    found = {name: measure(kind, session, text, edits=arguments.edits, dice=dice) for name, kind in KINDS.items()}
    print(msgspec.json.encode({"lines": text.count("\n"), "first": first, "kinds": found}).decode())


def write_lines(lines: int) -> str:
    """Return the shortest film of whole scenes that has at least so many lines."""
    shots = SHOTS_STEP
    while (text := notations.write(films.make_film(shots))[FILM]).count("\n") < lines:
        missing = lines - text.count("\n")
        shots += max(SHOTS_STEP, missing // 6 // SHOTS_STEP * SHOTS_STEP)
    return text


def measure(kind: Kind, session: Session, text: str, *, edits: int, dice: random.Random) -> dict[str, float]:
    """Edit one line after the other, each time from the same text, and time what the compiler then does."""
    lines = text.split("\n")
    places = dice.sample([number for number, line in enumerate(lines) if line.startswith(kind.begins)], edits)
    taken = []
    for place in places:
        edited = [*lines[:place], kind.edit(lines[place]), *lines[place + 1 :]]
        milliseconds, compilation = timed(session, MemoryWorld("\n".join(edited)))
        expect(compilation, kind.diagnostics)
        taken.append(milliseconds)
        timed(session, MemoryWorld(text))
    return {"median": statistics.median(taken), "least": min(taken), "most": max(taken)}


def timed(session: Session, world: MemoryWorld) -> tuple[float, Compilation]:
    """Compile the film of a world; return the milliseconds it took, and the compilation."""
    began = time.perf_counter()
    compilation = session.compile(FILM, world, Options())
    return (time.perf_counter() - began) * 1000, compilation


def expect(compilation: Compilation, diagnostics: int) -> None:
    """End the process unless the film has so many diagnostics: what is timed has to be a whole check."""
    if len(compilation.diagnostics) != diagnostics:
        raise SystemExit(f"{diagnostics} diagnostics were expected, there are {compilation.diagnostics[:3]}")


if __name__ == "__main__":
    main()
