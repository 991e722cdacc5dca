"""Runs `kling` in forks of one process that has imported it already: a real process for each run, without its start.

Run as a program it is that process: it reads a run in a line of JSON, answers with the number of the process, and then
with how it ended. Nothing of the compiler has run before the fork, so that no run finds anything that another left.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

STARTED_BY = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "COVERAGE_")
"""How the names of variables begin that a process reads while it starts, so that a fork would not notice them."""

MODULES = (
    *("click", "jinja2.sandbox", "lark", "msgspec", "tomllib", "kling_dsl.cache", "kling_dsl.compiler"),
    *(
        "kling_dsl.cli.check",
        "kling_dsl.cli.compile",
        "kling_dsl.cli.desk",
        "kling_dsl.cli.films",
        "kling_dsl.cli.models",
    ),
    *("kling_dsl.cli.plan", "kling_dsl.cli.streams", "kling_dsl.cli.terminal", "kling_dsl.cli.verbs"),
    *("kling_dsl.exporters", "kling_dsl.project", "kling_dsl.reports.diagnostics_json", "kling_dsl.sheets"),
    *("kling_dsl.reports.diagnostics_text", "kling_dsl.reports.models", "kling_dsl.reports.plan_pages"),
)
"""What nearly every run needs; a run imports what else it needs."""


class Forks:
    """The process that forks, as its parent sees it."""

    def __init__(self, started_with: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-P", __file__), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(started_with)
        )
        self._turn = threading.Lock()
        atexit.register(self._end)

    def run(
        self,
        words: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        seconds: float,
        limits: Mapping[int, int],
        errors: int = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `kling`; one that does not end in time is killed, and raises what `subprocess.run` raises."""
        # The process that forks is started without a path to the tests.
        from measuring import SLOWER

        with self._turn, tempfile.TemporaryDirectory(prefix="kling-fork-") as folder:
            out = Path(folder, "out")
            err = out if errors == subprocess.STDOUT else Path(folder, "err")
            job = {
                "words": words,
                "cwd": str(cwd),
                "environment": dict(environment),
                "limits": list(limits.items()),
                "out": str(out),
                "err": str(err),
            }
            self._say(json.dumps(job).encode("ascii") + b"\n")
            child = int(self._hear())
            is_late = threading.Event()

            def stop() -> None:
                is_late.set()
                os.kill(child, signal.SIGKILL)

            timer = threading.Timer(seconds * SLOWER, stop)
            timer.start()
            code = int(self._hear())
            timer.cancel()
            if is_late.is_set():
                raise subprocess.TimeoutExpired(list(words), seconds, out.read_bytes(), err.read_bytes())
            told = None if err == out else err.read_bytes()
            return subprocess.CompletedProcess(list(words), code, out.read_bytes(), told)

    def _say(self, line: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _hear(self) -> bytes:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return line

    def _end(self) -> None:
        self._process.communicate()


@functools.cache
def forks(started_with: tuple[tuple[str, str], ...]) -> Forks:
    """Return the process that was started with these variables; there is one for all tests of a worker."""
    return Forks(dict(started_with))


def run_kling(
    words: Sequence[str | bytes | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    seconds: float,
    limits: Mapping[int, int] = MappingProxyType({}),
    errors: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    """Run `kling` in a folder, with these variables and no others, from a fork of a process that was started so.

    `limits` are those of the system for the one run, by the numbers that the module `resource` gives them; `errors` may be
    `subprocess.STDOUT`, to have what goes to the error stream among what goes to the other.
    """
    start = {name: value for name, value in environment.items() if name.startswith(STARTED_BY) or name == "PATH"}
    told = [os.fsdecode(word) for word in words]
    return forks(tuple(sorted(start.items()))).run(
        told, cwd=cwd, environment=environment, seconds=seconds, limits=limits, errors=errors
    )


def _become(job: Mapping[str, Any]) -> NoReturn:
    """Be `kling` from its first line on, and end as it does."""
    for number, name in ((0, os.devnull), (1, job["out"]), (2, job["err"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    if job["limits"]:
        import resource

        # A full disk cuts a compiled module short, and every later process that imports it would fail.
        sys.dont_write_bytecode = True
        for limit, most in job["limits"]:
            resource.setrlimit(limit, (most, most))
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["cwd"])
    sys.argv = [str(Path(sys.executable).with_name("kling")), *job["words"]]
    from kling_dsl.cli import main

    try:
        main()
    except SystemExit as ending:
        code = ending.code
        assert code is None or isinstance(code, int)
        # What Python takes apart at its end is shared with the process that forks, and would be copied for that.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)
    raise AssertionError("`kling` ends by itself")


def _serve() -> None:
    import gc

    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with os.fdopen(os.dup(0), "rb") as lines:
        for line in lines:
            child = os.fork()
            if not child:
                lines.close()
                _become(json.loads(line))
            os.write(1, b"%d\n" % child)
            _, status = os.waitpid(child, 0)
            os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _serve()
