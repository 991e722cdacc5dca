"""The sign of life of a run: a lock that the system takes from a process when it ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from kling_dsl.ledger.errors import BusyLedger, UnwritableLedger

_PATIENCE_SECONDS = 10.0
"""Far longer than anybody looks at a lease: a new one has no other claimant."""


class Lease:
    """A run's name and its sign of life: others see the run as alive from entering the block until its end.

    The name sorts by the time at which the run began. Close the ledger before the lease ends, since another run may
    take over what this one left from then on.
    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        self.run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._path = _place(folder, self.run)
        # A process that is forked from this one, or begun by it, does not keep the run alive: the lock is let go of
        # in a forked child, and is not handed on to programs.
        self._lock = FileLock(self._path, thread_local=False, fallback_to_soft=False)

    def __enter__(self) -> Self:
        from filelock import Timeout

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=_PATIENCE_SECONDS)
        except Timeout as problem:
            raise BusyLedger(self._path, "another run has this name") from problem
        except OSError as problem:
            raise UnwritableLedger(self._path, problem.strerror or str(problem)) from problem
        return self

    def __exit__(self, *problem: object) -> None:
        if self._lock.is_locked:
            # Before the lock is let go, so that no file of a run that has ended can be found unlocked.
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._lock.release()


def is_alive(folder: Path, run: str) -> bool:
    """Tell whether the process of a run still lives; False as soon as it is gone, however it died.

    Nothing is written. A sign of life that cannot be read raises UnwritableLedger: to take a living run for a dead one
    would be worse.
    """
    import fcntl

    path = _place(folder, run)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as problem:
        raise UnwritableLedger(path, problem.strerror or str(problem)) from problem
    try:
        # Shared, so that two who ask at once do not take each other for the run.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as problem:
        raise UnwritableLedger(path, problem.strerror or str(problem)) from problem
    finally:
        os.close(descriptor)
    return False


def _place(folder: Path, run: str) -> Path:
    return folder / f"{run}.lock"
