"""Runs the commands that pages show: `kling` in this process, and git, which films live in."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from kling_dsl.sheets import builtin_names, load_builtin

COLUMNS = "100"
_CLIENT = "fal_client"
_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A Writer",
    "GIT_AUTHOR_EMAIL": "writer@example.org",
    "GIT_COMMITTER_NAME": "A Writer",
    "GIT_COMMITTER_EMAIL": "writer@example.org",
}
"""Whose commits those of a page are, whoever runs it."""


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
        noon = f"{_newest_price()}T12:00:00Z"
        done = subprocess.run(  # noqa: S603 -- pages are the project's own, and run only git and kling
            words,
            cwd=folder,
            env={**os.environ, **_GIT, "GIT_AUTHOR_DATE": noon, "GIT_COMMITTER_DATE": noon},
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

    with contextlib.chdir(folder), _own_client():
        done = CliRunner(env=_settings()).invoke(kling, words, prog_name="kling")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@contextlib.contextmanager
def _own_client() -> Iterator[None]:
    """Import fal's client anew for as long as the block lasts: it reads its hosts once, and each sandbox has others."""
    before = _loaded(_CLIENT)
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in _loaded(_CLIENT):
            del sys.modules[name]
        sys.modules.update(before)


def _loaded(package: str) -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == package}


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
