"""Writes one made-up film in every notation that the benchmarks compare, the same at every run."""

from __future__ import annotations

import argparse
import random
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import notations
import pictures
from story import Clip, Film, Reference, Scene, Shot

SCENE_SHOTS = 20
ACTION_CHARACTERS = 200
CLIP_LENGTHS = ((3, 3, 4, 5), (4, 3, 3, 3), (3, 4, 4, 4), (5, 3, 4, 3), (3, 3, 3, 3), (4, 4, 3, 4))
SHEET = Path(__file__).resolve().parent.parent / "specs" / "models" / "o3-4k.toml"

CHARACTER_NAMES = (
    "Mira Keeper Tomas Ines Jonas Paloma Ruben Sefa Viggo Yara Anselm Brigid "
    "Cato Dagny Emeka Farid Gudrun Hamid Ilse Kwame Leonor Nadia Oskar Petra"
)
PROP_NAMES = "Lantern Compass Telescope Oilcan Barometer Accordion Rowboat Sextant Gramophone Harpoon"
PLACE_NAMES = "Lighthouse Harbour Causeway Boathouse Chapel Saltworks"

SIZES = ("wide", "medium", "close-up", "medium two-shot", "over-the-shoulder", "low angle", "high angle")
MOVES = ("slow push-in", "static", "handheld", "pan left", "tracking from behind", "crane down", "locked off")
SETS = ("LIGHTHOUSE STAIR", "HARBOUR WALL", "BOATHOUSE", "CAUSEWAY", "CHAPEL LOFT", "SALTWORKS YARD")
HOURS = ("NIGHT", "DAWN", "DAY", "DUSK")
VERBS = ("crosses", "watches", "follows", "approaches", "circles", "passes", "leaves", "studies", "reaches")
VOCABULARY = (
    "beyond slowly windows breathes harbour-side weather through lanternlight shutter against morning "
    "gathers yellow oilskin corridor scattered reflection silver beneath current barnacled whitewash "
    "drifting sunlight doorway railing patience dripping hushed distance glimmer carries timber "
    "unsteady mooring horizon hollow echoes stairwell shadow follows evenly across footprints vanish "
    "moss gull surf spray brine"
)
WORDS = VOCABULARY.split()


def make_film(shots: int, *, seed: int = 4) -> Film:
    """Make a film of `shots` shots: scenes of 20, two references a shot, one shot in four inside clips of four."""
    dice = random.Random(seed)
    scenes = tuple(_make_scenes(shots, dice))
    used = {name for scene in scenes for take in scene.takes for name in _names_of(take)}
    cast = tuple(reference for reference in _whole_cast() if reference.name in used)
    return Film("The Long Watch", _price_of_a_second(), cast, scenes)


def write_film(film: Film, folder: Path) -> None:
    """Write the film in every notation, with its pictures, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in notations.write(film).items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder / "totals.json").write_bytes(msgspec.json.encode(totals(film)))
    for number, path in enumerate(path for reference in film.cast for path in (reference.front, *reference.angles)):
        target = folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(pictures.one_colour(number))


def totals(film: Film) -> dict[str, str | int]:
    """Return what every notation must come to: requests, shots, seconds and dollars."""
    takes = [take for scene in film.scenes for take in scene.takes]
    seconds = sum(take.seconds for take in takes)
    shots = sum(len(take.shots) if isinstance(take, Clip) else 1 for take in takes)
    cost = seconds * Decimal(film.usd_per_second)
    return {"requests": len(takes), "shots": shots, "seconds": seconds, "cost_usd": f"{cost:.2f}"}


def _whole_cast() -> Iterator[Reference]:
    for kind, names in (("CHARACTER", CHARACTER_NAMES), ("PROP", PROP_NAMES), ("PLACE", PLACE_NAMES)):
        for name in names.split():
            stem = f"refs/{name.lower()}"
            yield Reference(kind, name, f"{stem}-front.png", (f"{stem}-left.png", f"{stem}-back.png"))


def _make_scenes(shots: int, dice: random.Random) -> Iterator[Scene]:
    names = [reference.name for reference in _whole_cast()]
    written = 0
    while written < shots:
        number = written // SCENE_SHOTS + 1
        count = min(SCENE_SHOTS, shots - written)
        # Five of twenty shots are owed to clips of four: one clip a scene, and a second in every fourth.
        clips = min(2 if number % 4 == 0 else 1, count // 4)
        slots = ["clip"] * clips + ["shot"] * (count - 4 * clips)
        dice.shuffle(slots)
        takes: list[Shot | Clip] = []
        for slot in slots:
            if slot == "clip":
                takes.append(_make_clip(written, names, dice))
                written += 4
            else:
                written += 1
                takes.append(_make_shot(f"s{written}", dice.randint(3, 10), names, dice))
        heading = f"{dice.choice(('INT.', 'EXT.'))} {dice.choice(SETS)} {number} - {dice.choice(HOURS)}"
        yield Scene(heading, tuple(takes))


def _make_clip(written: int, names: list[str], dice: random.Random) -> Clip:
    company = dice.sample(names, 4)
    lengths = dice.choice(CLIP_LENGTHS)
    shots = (_make_shot(f"s{written + 1 + n}", seconds, company, dice) for n, seconds in enumerate(lengths))
    return Clip(f"c{written + 1}", tuple(shots))


def _make_shot(shot_id: str, seconds: int, names: list[str], dice: random.Random) -> Shot:
    first, second = dice.sample(names, 2)
    words = [f"@{first} {dice.choice(VERBS)}", *dice.choices(WORDS, k=4), f"@{second}"]
    action = " ".join(words)
    while (left := ACTION_CHARACTERS - len(action) - 1) > 22:
        action += " " + dice.choice(WORDS)
    # What is left is two words and their spaces: chosen by length, so that every action measures the same.
    for length in ((left - 2) // 2, left - 2 - (left - 2) // 2):
        action += " " + dice.choice([word for word in WORDS if len(word) == length])
    return Shot(shot_id, seconds, f"{dice.choice(SIZES)}, {dice.choice(MOVES)}", action + ".", (first, second))


def _names_of(take: Shot | Clip) -> tuple[str, ...]:
    return take.names if isinstance(take, Shot) else tuple(name for shot in take.shots for name in shot.names)


def _price_of_a_second() -> str:
    sheet = tomllib.loads(SHEET.read_text(encoding="utf-8"), parse_float=str)
    return next(str(price["usd_per_second"]) for price in sheet["prices"] if not price.keys() & {"when", "given"})


def main() -> None:
    """Write the film that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python benchmarks/films.py out --shots 40")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shots", type=int, default=10_000)
    arguments = parser.parse_args()
    film = make_film(arguments.shots)
    write_film(film, arguments.folder)
    print(msgspec.json.encode(totals(film)).decode())


if __name__ == "__main__":
    main()
