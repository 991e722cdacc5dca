"""What the tests of the commands share: a real project folder in which `kling` is run."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from media_samples import make_picture, make_video

from kling_dsl.cli.verbs import kling

TODAY = "2026-11-22"
SETTINGS = {"KLING_TODAY": TODAY, "COLUMNS": "100", "NO_COLOR": "1", "CI": None}


@functools.cache
def picture(width: int = 640, height: int = 360, kind: str = "png") -> bytes:
    """Return the bytes of a real picture; another size is another content."""
    return make_picture(kind, width, height)


@functools.cache
def video(seconds: int = 4, *, width: int = 720, height: int = 720, rate: int = 24, suffix: str = ".mp4") -> bytes:
    """Return the bytes of a real video."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"video{suffix}"
        return make_video(path, width=width, height=height, rate=rate, seconds=seconds).read_bytes()


class Project:
    """A folder with a `.git` in it; `kling` runs there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / ".git").mkdir(parents=True)

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file as it stands, line ends and all, with the folders above it."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return place

    def run(self, *words: str, code: int = 0, folder: str = ".", **settings: str) -> Result:
        """Run `kling` with these words in a folder of the project, and expect an exit code."""
        done = self.outcome(*words, folder=folder, **settings)
        assert done.exit_code == code, (done.exit_code, done.output)
        return done

    def outcome(self, *words: str, folder: str = ".", **settings: str) -> Result:
        """Run `kling` with these words in a folder of the project; it must end by itself."""
        before = Path.cwd()
        os.chdir(self.root / folder)
        try:
            done = CliRunner(env={**SETTINGS, **settings}).invoke(kling, words, prog_name="kling")
        finally:
            os.chdir(before)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        """Run `kling` and return what it prints as JSON; a number with a point in it is refused."""
        return json.loads(self.run(*words, code=code).stdout, parse_float=refuse_float)

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Start `kling` in a process of its own, in the project's folder."""
        environment = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
        return subprocess.Popen(
            (sys.executable, "-m", "kling_dsl", *words),
            cwd=self.root,
            env={**environment, "KLING_TODAY": TODAY, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


def refuse_float(text: str) -> object:
    """Refuse a JSON number with a point: money is written as a string."""
    raise AssertionError(f"{text} is a binary fraction for whoever reads this")
