"""Campaigns that are led by what the program's code did with an input: with atheris, in a process for each target."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TURN_SECONDS = 60.0
"""How long each target has its turn while several are run without end."""

FOUND = 1
OVER = 0


def run(names: Sequence[str], *, seconds: float, seed: int, folder: Path, tell: Callable[[str], None]) -> int:
    """Run targets in turn, each in a process of its own; 1 when one found something, 2 when atheris is not there."""
    if importlib.util.find_spec("atheris") is None:
        tell("atheris is not installed: `make fuzz-guided` installs it where it runs, `make fuzz` does without it")
        return 2
    share = max(1.0, seconds / len(names)) if seconds else TURN_SECONDS
    turn = 0
    try:
        while True:
            for name in names:
                words = (sys.executable, "-m", "fuzz.guided", name, str(seed + turn), str(share), str(folder.resolve()))
                tell(f"{name}: {share:.0f} s, seed {seed + turn}")
                done = subprocess.run(words, cwd=HERE.parent, check=False)
                if done.returncode != OVER:
                    # A library that is not Python may have taken the process with it: then the engine kept the input.
                    tell(f"{name} ended with code {done.returncode}; inputs are in {folder}")
                    return FOUND
            turn += 1
            if seconds:
                return OVER
    except KeyboardInterrupt:
        tell("stopped; nothing was found")
        return OVER


def main() -> None:
    """Run one target in this process until its time is over or something is found; never returns."""
    name, seed, seconds, folder = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["kling_dsl"], enable_loader_override=False):
        _import_everything()
        campaign: Any = importlib.import_module("fuzz.campaign")
    targets: Any = importlib.import_module("fuzz.targets")
    corpus: Any = importlib.import_module("fuzz.corpus")
    mutations: Any = importlib.import_module("fuzz.mutations")
    target, seeds = targets.TARGETS[name], corpus.seeds_of(name)
    inputs = _inputs(folder / "guided" / name, seeds)

    def test_one(data: bytes) -> None:
        failure, _ = campaign.attempt(target, data)
        if failure is not None:
            campaign.report(target, data, failure, folder, _tell)
            os._exit(FOUND)

    def change(data: bytes, most: int, given: int) -> bytes:
        dice = random.Random(given)
        # Half of the changes are the engine's own, which knows what was compared with what.
        if dice.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return bytes(mutations.mutate(data, dice, words=target.words, others=seeds))[:most]

    options = [
        *(
            "-verbosity=1",
            "-print_final_stats=1",
            f"-max_len={mutations.LARGEST}",
            "-timeout=300",
            "-rss_limit_mb=3072",
        ),
        *(f"-seed={seed}", f"-max_total_time={max(1, round(seconds))}", f"-artifact_prefix={inputs.parent}{os.sep}"),
    ]
    atheris.Setup([sys.argv[0], *options, str(inputs)], test_one, custom_mutator=change)
    atheris.Fuzz()


def _import_everything() -> None:
    """Import every module of the package now, since what is imported later is not led by."""
    package = importlib.import_module("kling_dsl")
    for module in pkgutil.walk_packages(package.__path__, "kling_dsl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _inputs(folder: Path, seeds: Sequence[bytes]) -> Path:
    """Return the folder in which the engine keeps its inputs from one campaign to the next, with ours in it."""
    place = folder / "inputs"
    place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (place / f"seed-{number:04d}").write_bytes(seed)
    return place


def _tell(words: str) -> None:
    sys.stderr.write(f"[{time.strftime('%H:%M:%S')}] {words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
