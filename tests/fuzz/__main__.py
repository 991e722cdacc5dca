"""The fuzzer's command line: `python -m fuzz`, from `tests/`; `make fuzz` calls it."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from pathlib import Path

from fuzz.campaign import attempt, run_campaign
from fuzz.corpus import content_of
from fuzz.targets import TARGETS

ROUND_SECONDS = 30.0
"""How long each target has its turn while several are run without end."""


def main() -> int:
    """Run what is asked for; 0 when nothing was found, 1 when something was, 2 for wrong usage."""
    asked = _parser().parse_args()
    tell = _Teller()
    names = list(TARGETS) if asked.target == "all" else [asked.target]
    # What the program remembers between runs is this fuzzer's own, and not that of whoever runs it.
    os.environ["KLING_CACHE_DIR"] = str(asked.out.resolve() / "cache")
    if asked.replay:
        return _replay(names[0], asked.replay) if len(names) == 1 else _complain("a replay needs its target")
    if asked.engine == "atheris":
        from fuzz import guided

        return guided.run(names, seconds=asked.seconds, seed=asked.seed, folder=asked.out, tell=tell)
    tell(f"seed {asked.seed}: the same seed tries the same inputs")
    begun = time.monotonic()
    try:
        for turn, name in _turns(names):
            left = asked.seconds - (time.monotonic() - begun) if asked.seconds else None
            if left is not None and left <= 0:
                break
            share = ROUND_SECONDS if left is None or len(names) > 1 else left
            share = share if left is None else min(share, max(1.0, asked.seconds / len(names)), left)
            ended = run_campaign(
                TARGETS[name], seed=asked.seed + turn, seconds=share, most=None, folder=asked.out, tell=tell
            )
            tell(
                f"{name}: {ended.tried} inputs, seed {asked.seed + turn}, {'found' if ended.find else 'nothing found'}"
            )
            if ended.find is not None:
                return 1
    except KeyboardInterrupt:
        tell("stopped; nothing was found")
    return 0


def _turns(names: list[str]) -> itertools.chain[tuple[int, str]]:
    return itertools.chain.from_iterable(((turn, name) for name in names) for turn in itertools.count())


def _replay(name: str, path: Path) -> int:
    failure, answer = attempt(TARGETS[name], content_of(path))
    sys.stdout.write(f"{failure.where}\n{failure.words}\n" if failure else f"nothing is broken: {answer!r}\n")
    return 1 if failure else 0


def _complain(words: str) -> int:
    sys.stderr.write(f"fuzz: {words}\n")
    return 2


class _Teller:
    """Writes lines with the seconds since the start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self, words: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - self._begun:6.1f} s] {words}\n")
        sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--target", default="all", choices=("all", *TARGETS), help="which door to knock at")
    parser.add_argument("--seconds", type=float, default=0.0, help="for how long; 0 is until it is interrupted")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"), help="chooses the inputs")
    parser.add_argument("--engine", default="plain", choices=("plain", "atheris"))
    parser.add_argument(
        "--out", type=Path, default=Path("out/fuzz"), help="where inputs that break something are written"
    )
    parser.add_argument("--replay", type=Path, help="run this one input")
    return parser


if __name__ == "__main__":
    sys.exit(main())
