"""What the tests of bad input share: the real command line in a process of its own, and what must hold of every run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, NamedTuple

from forking import run_kling
from measuring import limited, unmeasured

KLING = str(Path(sys.executable).with_name("kling"))
SECONDS = 20
"""The longest that any command on any input of this size may take."""

SHOT = "SHOT door 5s wide\nRain on a storm door.\n"
"""A film without mistakes."""

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
"""What a terminal or a reader would obey; line feeds and tabs are layout."""


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """Everything that was printed."""
        return self.out + self.err

    @property
    def slugs(self) -> list[str]:
        """The slugs of the diagnostics that were printed as text, in order."""
        return re.findall(r"^(?:error|warning|note)\[([a-z-]+)\]", self.told, re.MULTILINE)


def kling(
    *words: str | bytes | Path,
    cwd: Path,
    surroundings: Mapping[str, str] | None = None,
    limits: Mapping[int, int] = MappingProxyType({}),
    before: Callable[[], None] | None = None,
    out: IO[bytes] | int = subprocess.PIPE,
    seconds: float = SECONDS,
) -> Ran:
    """Run the command line in a folder; whatever it was given, it ends in time, with a code of ours and in words.

    `surroundings` are added to the environment, an empty one taken from it; `limits` are the system's, by their numbers in
    the module `resource`; `before` runs in the new process first, which then is one that starts from nothing, as it is
    when its output goes elsewhere.
    """
    # What a process may not have, coverage needs.
    given = limited() if before else unmeasured() if limits else os.environ
    environment = {**given, "PYTHONUTF8": "1", "PYTHONWARNINGS": "error", **(surroundings or {})}
    environment = {name: value for name, value in environment.items() if value}
    if before is None and out == subprocess.PIPE:
        done = run_kling(words, cwd=cwd, environment=environment, seconds=seconds, limits=limits)
    else:
        done = subprocess.run(
            (KLING, *words),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            preexec_fn=before,
            timeout=seconds,
            check=False,
        )
    ran = Ran(done.returncode, (done.stdout or b"").decode("utf-8"), done.stderr.decode("utf-8"))
    assert ran.code in (0, 1, 2, 3, 5), f"{ran.code}: {ran.told[-2000:]}"
    assert "Traceback" not in ran.told, ran.told[-2000:]
    assert "Exception ignored" not in ran.told, ran.told[-2000:]
    unseen = UNSEEN.search(ran.told)
    assert unseen is None, repr(ran.told[max(0, unseen.start() - 80) : unseen.end() + 80])
    return ran


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder that becomes a project's root, and return it."""
    for name, content in {"kling.toml": "", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every regular file below a folder, hidden ones too, to tell that nothing was written or left behind."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
