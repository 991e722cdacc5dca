"""A process of its own that works on a ledger or holds a lease: run as a program, with what to do as words."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path

from ledger_samples import AT, CLIP, TAKEN, key_of, order_of, reserve, total

from kling_dsl.ledger import LedgerError, open_ledger, read_ledger
from kling_dsl.ledger.leases import Lease


def say(*words: object) -> None:
    print(*words, flush=True)


def buy(path: Path, run: str, prefix: str, count: str, limit: str) -> None:
    """Reserve takes one after another, all at once with others who are told to begin."""
    say("ready")
    sys.stdin.readline()
    with open_ledger(path, run=run) as ledger:
        for number in range(int(count)):
            say(type(ledger.reserve(order_of(f"{prefix}{number}"), (total(limit),), at=AT)).__name__)


def seize(path: Path, run: str, count: str, dead: str) -> None:
    """Take the rows of a dead run over, against others who do the same."""
    with open_ledger(path, run=run) as ledger:
        say("ready")
        sys.stdin.readline()
        for number in range(int(count)):
            say(ledger.take_over(key_of(f"clip-{number}"), from_run=dead, at=AT))


def fall(path: Path, run: str, statement: str) -> None:
    """Die by SIGKILL at a statement of the step from `intent` to `submitted`, or after it."""
    with open_ledger(path, run=run) as ledger:
        key = reserve(ledger, "door")

        def watch(text: str) -> None:
            if text.strip().startswith(statement):
                os.kill(os.getpid(), signal.SIGKILL)

        ledger._connection.set_trace_callback(watch)
        ledger.submitted(key, **TAKEN, at=AT)
        os.kill(os.getpid(), signal.SIGKILL)


def fall_while_making(path: Path, run: str) -> None:
    """Die by SIGKILL when a new ledger is ready and has no name yet."""
    os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    open_ledger(path, run=run)


def hurry(path: Path, run: str) -> None:
    """Buy and store clips without end, and say each step that is done."""
    with open_ledger(path, run=run) as ledger:
        number = 0
        while True:
            number += 1
            key = reserve(ledger, f"{run}-{number}")
            say(key.fingerprint, "intent")
            ledger.submitted(key, **TAKEN, at=AT)
            say(key.fingerprint, "submitted")
            ledger.completed(key, result=b"{}", billed_units=None, at=AT)
            say(key.fingerprint, "completed")
            ledger.stored(key, sha256=CLIP, at=AT)
            say(key.fingerprint, "stored")


def visit(path: Path, run: str) -> None:
    """Open a ledger and close it again."""
    with open_ledger(path, run=run):
        say("open")


def fill_disk(path: Path, run: str) -> None:
    """Meet the end of the room that the system gives to a file."""
    with open_ledger(path, run=run) as ledger:
        key = reserve(ledger, "door")
        size = path.with_name("ledger.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            ledger.submitted(key, **TAKEN, at=AT)
        except LedgerError as problem:
            say(type(problem).__name__, problem)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        row = ledger.row(key)
        say(row and row.state)
        ledger.submitted(key, **TAKEN, at=AT)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        try:
            open_ledger(path.with_name("other.db"), run=run)
        except LedgerError as problem:
            say(type(problem).__name__, problem)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def meet_permissions(path: Path, run: str) -> None:
    """Try a ledger in a folder that may be read and not written, as somebody who is not the system's keeper."""
    # All that is needed is loaded while the interpreter's own files may still be read.
    open_ledger(path, run=run).close()
    read_ledger(path).close()
    path.parent.chmod(0o555)
    path.chmod(0o444)
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    for place in (path, path.with_name("other.db")):
        try:
            open_ledger(place, run=run)
        except LedgerError as problem:
            say(type(problem).__name__, problem)
    with read_ledger(path) as reader:
        say(len(reader.rows()))


def hold(folder: Path, child: str) -> None:
    """Hold a lease, with a child that outlives this process or without one."""
    with Lease(folder) as lease:
        warnings.simplefilter("ignore")
        if child == "forked":
            reading, writing = os.pipe()
            number = os.fork()
            if number == 0:
                os.write(writing, b".")
                signal.pause()
            # Until the child runs, it has not let go of the lock yet.
            os.read(reading, 1)
        elif child == "leaving":
            number = os.fork()
            if number == 0:
                return
            os.waitpid(number, 0)
        elif child == "program":
            number = subprocess.Popen((sys.executable, "-c", "import signal; signal.pause()"), close_fds=False).pid
        else:
            number = 0
        say(lease.run, number)
        sys.stdin.readline()


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
