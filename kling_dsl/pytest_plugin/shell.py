"""Runs the commands that pages show: `kling` in this process, and git, which films live in."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from pathlib import Path

from kling_dsl.sheets import builtin_names, load_builtin

COLUMNS = "100"
_IDENTITY = {
    key: value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (
        (f"GIT_{role}_NAME", "A Writer"),
        (f"GIT_{role}_EMAIL", "writer@example.org"),
    )
}
_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **_IDENTITY}


class UnknownCommand(Exception):
    """A command that no page can show."""


def run_command(line: str, folder: Path) -> tuple[int, str]:
    """Run a command line in a folder; return its exit code and what it printed, both streams in the order of time.

    Nothing that is run can buy: there is no key, and the provider's host leads nowhere. Raises UnknownCommand.
    """
    words = shlex.split(line)
    if words[:1] == ["kling"]:
        return _run_kling(words[1:], folder)
    if words[:1] == ["git"]:
        done = subprocess.run(  # noqa: S603 -- pages are the project's own, and run only git and kling
            words,
            cwd=folder,
            env={**os.environ, **_GIT},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout
    raise UnknownCommand(f"a console shows kling, git or cd, not `{line}`")


def _run_kling(words: list[str], folder: Path) -> tuple[int, str]:
    from click.testing import CliRunner

    from kling_dsl.cli.verbs import kling

    with contextlib.chdir(folder):
        done = CliRunner(env=_settings()).invoke(kling, words, prog_name="kling")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def _settings() -> dict[str, str | None]:
    """Return the environment in which a page tells the same on every machine and on every day."""
    own = ("CI", "FORCE_COLOR", "FAL_KEY_ID", "FAL_KEY_SECRET", "KLING_SANDBOX", "LINES")
    return {
        **dict.fromkeys(own, None),
        "KLING_TODAY": _newest_price(),
        "COLUMNS": COLUMNS,
        "NO_COLOR": "1",
        "FAL_KEY": "nobody:nothing",
        "FAL_QUEUE_RUN_HOST": "127.0.0.1:none",
    }


def _newest_price() -> str:
    """Return the day on which the newest price of the shipped sheets was read: on that day no price is old."""
    sheets = [load_builtin(name) for name in builtin_names()]
    return max(str(sheet.sources[price.source].date) for sheet in sheets for price in sheet.prices)
