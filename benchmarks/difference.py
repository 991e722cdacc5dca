"""Measures `kling diff` of a one-line edit against a cold compile of the same film, in a repository of its own."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pictures
from measurements import Outcome
from processes import BenchmarkError, Run, alternate, ratio, run, seconds
from stage import Stage

CLIPS = 1000
MEDIA = 200
CLIPS_IN_A_SCENE = 20
NAMES_IN_A_CLIP = 3
MOST_OF_A_COMPILE = 3
EDITED = "turns to the window"

VOCABULARY = (
    "slowly lamplight window silver corridor waits door harbour rain glass shadow leaves steps crosses table cold"
)
WORDS = VOCABULARY.split()


def measure_difference(stage: Stage, *, rounds: int, **_: int) -> Iterator[Outcome]:
    """Compare a film with its own last commit after an edit of one line, without any cache, and with what it kept."""
    folder = stage.folder / "difference"
    make_repository(folder)
    compile_words = ("compile", "film.kling", "--format", "json")
    _timed(stage, folder, "diff", cache=(kept := stage.empty_cache()))
    compiled, cold = alternate(
        rounds,
        lambda: _timed(stage, folder, *compile_words, cache=stage.empty_cache()),
        lambda: _timed(stage, folder, "diff", cache=stage.empty_cache()),
    )
    again, warm = alternate(
        rounds,
        partial(_timed, stage, folder, *compile_words, cache=kept),
        partial(_timed, stage, folder, "diff", cache=kept),
    )
    for what, ours, theirs, most in (
        (f"kling diff, {CLIPS:,} clips, {MEDIA} files, cold", cold, compiled, MOST_OF_A_COMPILE),
        ("the same, when media were digested before", warm, again, None),
    ):
        found = ratio(ours, theirs)
        measured = f"{found.median:.2f}x [{found.least:.2f} to {found.most:.2f}]"
        times = f"({seconds(ours):.2f} against {seconds(theirs):.2f} s)"
        goal, met = ("", None) if most is None else (f"≤ {most}x a compile", found.median <= most)
        yield Outcome(what, goal, f"{measured} {times}", met)


def make_repository(folder: Path) -> None:
    """Make a film with its media in a repository, commit it, and then edit one line."""
    dice = random.Random(4)
    (folder / "refs").mkdir(parents=True)
    cast = [f"CHARACTER Person{number}\n  front: refs/{number}.png\n" for number in range(MEDIA)]
    for number in range(MEDIA):
        (folder / "refs" / f"{number}.png").write_bytes(noise(dice))
    (folder / "cast.kling").write_text("\n".join(cast), encoding="utf-8")
    film = "".join(_scenes(dice))
    path = folder / "film.kling"
    path.write_text(film, encoding="utf-8")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "Write the film")):
        _git(folder, *words)
    # Git does not trust files that are as young as its index, and neither do we.
    for place in (folder / "refs").iterdir():
        os.utime(place, (1_700_000_000, 1_700_000_000))
    path.write_text(film.replace("walks", EDITED, 1), encoding="utf-8")


def noise(dice: random.Random) -> bytes:
    """Return a picture of 300 kB that no compression makes smaller, as photographs are."""
    rows = b"".join(b"\0" + dice.randbytes(3 * pictures.WIDTH) for _ in range(pictures.HEIGHT))
    header = struct.pack(">IIBBBBB", pictures.WIDTH, pictures.HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _scenes(dice: random.Random) -> Iterator[str]:
    yield "Title: The Long Watch\nModel: o3-4k\n\nimport cast.kling\n"
    for clip in range(CLIPS):
        if clip % CLIPS_IN_A_SCENE == 0:
            yield f"\nINT. ROOM {clip // CLIPS_IN_A_SCENE + 1} - NIGHT\n"
        first, *others = (
            f"@Person{number}"
            for number in {clip % MEDIA: 0, **dict.fromkeys(dice.sample(range(MEDIA), NAMES_IN_A_CLIP - 1))}
        )
        words = " ".join(dice.choices(WORDS, k=16))
        yield f"\nSHOT s{clip} {dice.randint(3, 10)}s wide\n{first} walks past {' and '.join(others)}, {words}.\n"


def _git(folder: Path, *words: str) -> None:
    who = {f"GIT_{role}_{part}": "nobody@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ("git", *words), cwd=folder, env={**os.environ, **who, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"git {words[0]} ended with {done.returncode}\n{done.stderr[-2000:]}")


def _timed(stage: Stage, folder: Path, *words: str, cache: Path) -> Run:
    return run(stage.kling(*words, cache=cache), folder=folder, output=stage.folder / f"{words[0]}.out")
