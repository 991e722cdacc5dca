"""Runs a piece of work in processes that are killed before each of their steps on the disk, one step further each time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from measuring import unmeasured

STEPS = (
    "open",
    "write",
    "fsync",
    "replace",
    "rename",
    "link",
    "symlink",
    "unlink",
    "chmod",
    "mkdir",
    "close",
    "truncate",
)
"""What of the module `os` changes something on the disk, or brings it there."""

MOST_STEPS = 200


def kill_at_each_step(setup: str, *, prepare: str, work: str, look: str, folder: Path) -> list[Any]:
    """Return what `look` found after each kill, and in the end after the work that ran through.

    All are statements of Python. `setup` runs once; `prepare`, `work` and `look` each run in a fork of it, with a
    folder `here` that is another one for each kill; only `work` is killed. `look` leaves what it finds in `found`,
    which JSON must be able to say.
    """
    program = "\n".join(
        (
            "import builtins, io, json, os, signal, sys, traceback",
            "from pathlib import Path",
            textwrap.dedent(setup),
            f"STEPS, MOST = {STEPS!r}, {MOST_STEPS}",
            _CONTROL,
            "def prepare(here):",
            textwrap.indent(textwrap.dedent(prepare), "    "),
            "def work(here):",
            textwrap.indent(textwrap.dedent(work), "    "),
            "def look(here):",
            textwrap.indent(textwrap.dedent(look), "    "),
            "    return found",
            "main(Path(sys.argv[1]))",
        )
    )
    done = subprocess.run(
        (sys.executable, "-c", program, str(folder)),
        env=unmeasured(),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(result["signal"] == signal.SIGKILL for result in results[:-1])
    assert results[-1]["signal"] == 0
    return [result["found"] for result in results]


_CONTROL = '''
def arm(step):
    """Let this process be killed before its step of this number."""
    taken = 0

    def before(real):
        def call(*arguments, **settings):
            nonlocal taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **settings)
        return call

    def opening(real):
        opened = before(real)

        def call(*arguments, **settings):
            file = opened(*arguments, **settings)
            # What is open for writing may be empty now, and its content comes by ways that cannot be counted.
            before(lambda: None)() if file.writable() else None
            return file
        return call

    for name in STEPS:
        setattr(os, name, before(getattr(os, name)))
    io.open = builtins.open = opening(io.open)


def forked(action):
    """Run an action in a process of its own; return the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            action()
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit("the work or the look failed")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def main(folder):
    for step in range(1, MOST):
        here = folder / str(step)
        here.mkdir()
        forked(lambda: prepare(here))

        def act():
            arm(step)
            work(here)

        ended = forked(act)
        sys.stdout.flush()

        def tell():
            print(json.dumps({"signal": ended, "found": look(here)}))

        forked(tell)
        if not ended:
            return
    sys.exit("the work never came to its end")
'''
