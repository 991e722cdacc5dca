"""Runs whole processes and takes their time and their peak memory."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

KIBIBYTES_PER_MEGABYTE = 1000 * 1000 / 1024
UNSET = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "PYTHONHOME", "KLING_CACHE_DIR")


class BenchmarkError(Exception):
    """A comparison cannot be made, or would be void."""


class Command(msgspec.Struct, frozen=True):
    """A program to measure: its words, and the environment variables it needs over the common ones."""

    words: tuple[str, ...]
    variables: dict[str, str] = {}
    accepted: tuple[int, ...] = (0,)


class Run(msgspec.Struct, frozen=True):
    """One process: wall clock from its start to its end, the most memory it held at once, and its work in user and kernel."""

    seconds: float
    peak_megabytes: float
    cpu_seconds: float = 0.0


class Ratio(msgspec.Struct, frozen=True):
    """The ratios of neighbouring runs: their median, smallest and largest."""

    median: float
    least: float
    most: float


def run(command: Command, *, folder: Path, output: Path) -> Run:
    """Run the command once with its standard output in a file; raise BenchmarkError when it fails."""
    variables = {name: value for name, value in os.environ.items() if name not in UNSET} | command.variables
    errors = output.with_suffix(".err")
    with output.open("wb") as out, errors.open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            command.words, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in command.accepted:
        said = errors.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise BenchmarkError(f"{' '.join(command.words)} ended with {process.returncode}\n{said}")
    return Run(seconds, _megabytes(usage.ru_maxrss), usage.ru_utime + usage.ru_stime)


def alternate(rounds: int, *turns: Callable[[], Run]) -> tuple[tuple[Run, ...], ...]:
    """Take the turns in order, `rounds` times over, and return the runs of each turn."""
    rows = [[turn() for turn in turns] for _ in range(rounds)]
    return tuple(zip(*rows, strict=True))


def ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> Ratio:
    """Return how many times as long `ours` took as `theirs`, pair by pair."""
    values = [one.seconds / other.seconds for one, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(values), min(values), max(values))


def seconds(runs: Sequence[Run]) -> float:
    """Return the median time of the runs."""
    return statistics.median(one.seconds for one in runs)


def cpu_seconds(runs: Sequence[Run]) -> float:
    """Return the median work of the runs."""
    return statistics.median(one.cpu_seconds for one in runs)


def peak(runs: Sequence[Run]) -> float:
    """Return the largest peak of the runs in megabytes; raise BenchmarkError when this process itself is as large.

    A child is started with the peak of its parent on its account, so that the measuring process has to stay small.
    """
    own = _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    most = max(one.peak_megabytes for one in runs)
    if most <= own:
        raise BenchmarkError(f"a peak of {most:.0f} MB cannot be told from the {own:.0f} MB of the measuring process")
    return most


def _megabytes(peak_from_system: int) -> float:
    # Linux counts in kibibytes, macOS in bytes.
    return peak_from_system / 1e6 if sys.platform == "darwin" else peak_from_system / KIBIBYTES_PER_MEGABYTE
