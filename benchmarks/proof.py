"""Measures what it costs to test: a film by `kling test`, a user's pytest run that has no film, and our own suite."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from measurements import Outcome
from processes import Command, Run, alternate, run, seconds
from stage import HERE, Stage

FILM_TEST_ROUNDS = 4
PLUGIN_ROUNDS = 8
MOST_FILM_SECONDS = 0.5
MOST_PLUGIN_MILLISECONDS = 20
MOST_SUITE_SECONDS = 240

ONE_TEST = "def test_nothing() -> None:\n    assert len('film') == 4\n"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")


def measure_proof(stage: Stage, *, rounds: int, **_: int) -> Iterator[Outcome]:
    """Say what `kling test` takes on one film, and what our plugin adds to the start of a run that has none."""
    yield _measure_film(stage, rounds * FILM_TEST_ROUNDS)
    yield _measure_plugin(stage, rounds * PLUGIN_ROUNDS)


def measure_suite(stage: Stage, **_: int) -> Iterator[Outcome]:
    """Run `make test` once, style and types included, with nothing else beside it."""
    measured = run(Command(("make", "test"), {}), folder=HERE.parent, output=stage.folder / "suite.txt")
    told = (stage.folder / "suite.txt").read_text(encoding="utf-8").splitlines()
    last = next((line for line in reversed(told) if " passed" in line), "")
    yield Outcome(
        f"the whole suite, {os.cpu_count()} processors",
        f"< {MOST_SUITE_SECONDS} s",
        f"{measured.seconds:.0f} s, {measured.cpu_seconds:.0f} s of work ({last})",
        measured.seconds < MOST_SUITE_SECONDS,
    )


def _measure_film(stage: Stage, rounds: int) -> Outcome:
    folder = stage.folder / "tested"
    begun = stage.kling("init", str(folder), cache=stage.empty_cache())
    run(begun, folder=stage.folder, output=stage.folder / "begun.txt")
    saved_grammar = stage.empty_cache()
    other = stage.folder / "other"
    other.mkdir()
    (other / "film.kling").write_text("SHOT a 5s wide\nRain.\n\nEXPECT clips = 1\n", encoding="utf-8")
    _tested(stage, other, saved_grammar)
    # As for every film but the first: the grammar's tables are there, and nothing of this film is.
    runs, empty = alternate(
        rounds,
        lambda: _tested(stage, folder, stage.copied_cache(saved_grammar)),
        lambda: _tested(stage, folder, stage.empty_cache()),
    )
    taken = seconds(runs)
    return Outcome(
        "kling test, one film, cold",
        f"< {MOST_FILM_SECONDS} s",
        f"{taken:.2f} s; {seconds(empty):.2f} s where not even the grammar was saved",
        taken < MOST_FILM_SECONDS,
    )


def _tested(stage: Stage, folder: Path, cache: Path) -> Run:
    return run(stage.kling("test", "film.kling", cache=cache), folder=folder, output=stage.folder / "tested.txt")


def _measure_plugin(stage: Stage, rounds: int) -> Outcome:
    folder = stage.folder / "no-film"
    folder.mkdir()
    (folder / "test_nothing.py").write_text(ONE_TEST, encoding="utf-8")
    one_run = partial(run, folder=folder, output=stage.folder / "pytest.txt")
    with_plugin, without = Command(PYTEST, {}), Command((*PYTEST, "-p", "no:kling"), {})
    ours, theirs = alternate(rounds, partial(one_run, with_plugin), partial(one_run, without))
    more = statistics.median(1000 * (one.seconds - other.seconds) for one, other in zip(ours, theirs, strict=True))
    return Outcome(
        "our plugin in a pytest run that has no film",
        f"≤ {MOST_PLUGIN_MILLISECONDS} ms more",
        f"{more:+.0f} ms ({seconds(theirs) * 1000:.0f} → {seconds(ours) * 1000:.0f} ms)",
        more <= MOST_PLUGIN_MILLISECONDS,
    )
