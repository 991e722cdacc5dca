"""The command line: `kling` and its verbs."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Be the program `kling`: run the command line, and end the process as soon as there is an exit code.

    Python would first take everything apart that a film is made of, which takes a sixth of the time of a check and serves
    nobody. Where another thread is left, or an output cannot be written, the process ends as Python ends any.
    """
    try:
        main()
    except SystemExit as end:
        threads = sys.modules.get("threading")
        if not isinstance(end.code, int) or (threads is not None and threads.active_count() > 1):
            raise
        import atexit

        atexit._run_exitfuncs()  # noqa: SLF001 - what was left to the end is done at this one
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            raise end from None
        os._exit(end.code)
    raise AssertionError("the command line ends with an exit code")


def main() -> None:
    """Run the command line, and raise SystemExit with its exit code."""
    # A run is short, and nearly all it makes lives to its end: looking for garbage costs a third of the time of a
    # large compilation and finds none.
    gc.disable()
    try:
        from kling_dsl.cli.streams import take_over_streams

        take_over_streams()
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    except MemoryError:
        sys.exit(_failed("there is not enough memory for this"))
    except OSError as problem:
        from kling_dsl.reports.escaping import visible

        place = visible(f": {os.fsdecode(problem.filename)}") if isinstance(problem.filename, (str, bytes)) else ""
        sys.exit(_failed(f"{problem.strerror or problem}{place}"))


def _run() -> int:
    import click

    from kling_dsl.cli.verbs import kling

    try:
        # Without its standalone mode, click hands back the exit code that a verb ended with.
        code = kling(standalone_mode=False)
    except click.Abort:
        return _interrupted()
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    return code if isinstance(code, int) else 0


def _failed(reason: str) -> int:
    sys.stderr.write(f"kling: {reason}\n")
    return 1


def _interrupted() -> int:
    import signal

    # Whoever presses twice is answered once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.write("kling: interrupted\n")
    return 130
