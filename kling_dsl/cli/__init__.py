"""The command line: `kling` and its verbs."""

from __future__ import annotations

import gc
import io
import os
import sys


def main() -> None:
    """Run the command line."""
    # A run is short, and nearly all it makes lives to its end: looking for garbage costs a third of the time of a
    # large compilation and finds none.
    gc.disable()
    import click

    from kling_dsl.cli.verbs import kling

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that cannot show a letter shows its number instead; what is data is written as bytes.
            stream.reconfigure(errors="backslashreplace")
    try:
        # Without its standalone mode, click hands back the exit code that a verb ended with.
        code = kling(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except BrokenPipeError:
        # The reader has what it wanted; closing a broken stdout again would only complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as problem:
        click.echo(
            f"kling: {problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}", err=True
        )
        sys.exit(1)
