"""Runs mutated inputs through a target until the time is over or a promise is broken, and makes small what broke it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import signal
import time
import traceback
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fuzz.corpus import seeds_of, shuffled, write_case
from fuzz.mutations import mutate
from fuzz.targets import Target

Tell = Callable[[str], None]

MOST_KEPT = 2000
"""Inputs that gave something new and are changed further; later ones take the places of earlier ones."""

MUTATIONS_EACH = 4
"""How many mutations follow each input that a campaign begins with, so that a short one has tried both."""

SHRINK_SECONDS = 20.0
PROGRESS_SECONDS = 10.0


class TooSlow(BaseException):
    """An input takes longer than its target allows; no `except Exception` of the program may swallow it."""


class Failure(NamedTuple):
    """A broken promise: the kind of the exception with the place where it was raised, and its words."""

    where: str
    words: str


class Find(NamedTuple):
    """An input that breaks a promise, as small as it was made, and where it was written."""

    failure: Failure
    data: bytes
    path: Path


class Ended(NamedTuple):
    """A campaign that is over: how many inputs it tried and kept, and what it found."""

    tried: int
    kept: int
    find: Find | None


def attempt(target: Target, data: bytes) -> tuple[Failure | None, Hashable]:
    """Run one input, and return the promise that it breaks, or what its answer was like."""
    try:
        with _within(target.seconds):
            return None, target.run(data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as problem:  # noqa: BLE001 - whatever it is, it is what is looked for
        return _failure_of(problem), None


def run_campaign(
    target: Target, *, seed: int, seconds: float | None, most: int | None, folder: Path, tell: Tell
) -> Ended:
    """Try inputs until `seconds` of wall time or `most` inputs are over, or one breaks a promise; None is without end."""
    dice = random.Random(f"{seed}/{target.name}")
    pool = shuffled(seeds_of(target.name), seed)
    begun = told = time.monotonic()
    seen: set[Hashable] = set()
    tried = 0
    for data in _inputs(target, pool, dice):
        now = time.monotonic()
        if (most is not None and tried >= most) or (seconds is not None and now - begun >= seconds):
            break
        tried += 1
        failure, answer = attempt(target, data)
        if failure is not None:
            tell(f"{target.name}: input {tried} breaks a promise: {failure.words}")
            return Ended(tried, len(pool), report(target, data, failure, folder, tell))
        if answer not in seen:
            seen.add(answer)
            if len(pool) < MOST_KEPT:
                pool.append(data)
            else:
                pool[dice.randrange(len(pool))] = data
        if now - told >= PROGRESS_SECONDS:
            told = now
            tell(f"{target.name}: {tried} inputs in {now - begun:.0f} s, {len(seen)} kinds of answers")
    return Ended(tried, len(pool), None)


def shrink(target: Target, data: bytes, failure: Failure, *, seconds: float = SHRINK_SECONDS) -> bytes:
    """Return a smaller input that breaks the same promise at the same place, as small as was found in time."""
    end = time.monotonic() + seconds
    size = max(1, len(data) // 2)
    while size and time.monotonic() < end:
        at = 0
        while at < len(data) and time.monotonic() < end:
            smaller = data[:at] + data[at + size :]
            found, _ = attempt(target, smaller)
            if found is not None and found.where == failure.where:
                data = smaller
            else:
                at += size
        size //= 2
    return data


def replay_command(path: Path, target: str) -> str:
    """Return the command that runs one input again."""
    return f"make fuzz TARGET={target} REPLAY={path}"


def report(target: Target, data: bytes, failure: Failure, folder: Path, tell: Tell) -> Find:
    """Make a failing input small, write it, and say how it is run again and kept."""
    small = shrink(target, data, failure)
    name = hashlib.sha256(small).hexdigest()[:12]
    path = write_case(folder / target.name, name, small)
    tell(f"{failure.where}\n{failure.words}")
    tell(f"{len(data)} bytes made {len(small)}: {path}")
    tell(f"again: {replay_command(path, target.name)}")
    tell(
        f"when it is mended, name it and keep it: mv {path} tests/fuzz/found/{target.name}/WHAT-WAS-WRONG{path.suffix}"
    )
    return Find(failure, small, path)


def _inputs(target: Target, pool: list[bytes], dice: random.Random) -> Iterator[bytes]:
    """Yield what the pool began with as it is, mutations in between, then mutations without end; the pool grows meanwhile."""
    seeds = iter(tuple(pool))
    while True:
        seed = next(seeds, None)
        if seed is not None:
            yield seed
        for _ in range(MUTATIONS_EACH):
            yield mutate(dice.choice(pool), dice, words=target.words, others=pool)


def _failure_of(problem: BaseException) -> Failure:
    frames = traceback.extract_tb(problem.__traceback__)
    kind = type(problem).__name__
    # A slow input is interrupted wherever it happens to be, so only its kind tells it from another.
    ours = [frame for frame in frames if "kling_dsl" in frame.filename or "fuzz" in frame.filename]
    place = f" in {Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else ""
    where = kind if isinstance(problem, TooSlow) else f"{kind}{place}"
    return Failure(where, f"{kind}{place}: {str(problem)[:500]}")


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` after so much processor time, which a busy machine does not shorten."""

    def stop(_number: int, _frame: Any) -> None:
        raise TooSlow(f"took more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
