"""What the tests of revisions share: a real repository with a film, an own home, fixed authors and dates."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from commands import SETTINGS, picture, refuse_float

from kling_dsl.cli.verbs import kling
from kling_dsl.lock import Acceptance, Pick, Take, add_records

NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

CAST = """\
CHARACTER Mira
  front: refs/mira.png
  angles: refs/mira-left.png

PROP Lamp
  image: refs/lamp.png
"""

FILM = """\
Title: The Lantern
Model: o3-4k

import cast.kling

INT. LIGHTHOUSE - NIGHT

SHOT door 5s wide
@Mira opens the heavy door and looks up into the dark.

SHOT stair 4s
@Mira climbs the stair with @Lamp in her hand.

EXT. CLIFF - DAWN

SHOT cliff 6s wide
Gulls rise from the cliff as @Mira walks along the edge.

SHOT sea 3s
The sea lies still under the first light.
"""


class Repository:
    """A git repository with a project in a folder of it; `kling diff` runs there."""

    def __init__(self, top: Path, *, folder: str = "") -> None:
        self.top = top
        self.root = top / folder
        self.home = top.parent / "home"
        self.home.mkdir(exist_ok=True)
        self.root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    @property
    def surroundings(self) -> dict[str, str]:
        """The variables that keep the person's own git out."""
        moment = "2026-11-22T12:00:00Z"
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _PERSON.items()}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            **who,
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": moment,
            "GIT_COMMITTER_DATE": moment,
        }

    def git(self, *words: str, folder: Path | None = None, code: int = 0) -> str:
        """Run git and return what it prints."""
        done = subprocess.run(
            ("git", "-c", "protocol.file.allow=always", "-c", "maintenance.auto=false", *words),
            cwd=folder or self.top,
            env=self.surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file of the project."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return place

    def write_film(self, film: str = FILM, *, path: str = "film.kling") -> None:
        """Write a film with the cast and the pictures of the example."""
        self.write(path, film)
        self.write("cast.kling", CAST)
        for at, name in enumerate(("mira", "mira-left", "lamp")):
            self.write(f"refs/{name}.png", picture(640 + at, 360))

    def edit(self, old: str, new: str, *, path: str = "film.kling") -> None:
        """Replace a part of a text, which must be there once."""
        place = self.root / path
        text = place.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        place.write_text(text.replace(old, new), encoding="utf-8")

    def commit(self, message: str = "Edit") -> str:
        """Commit all that is there, and return the id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def buy(self, *names: str, film: str = "film.kling", number: int = 1, clip: str = "") -> None:
        """Write takes into the lock of a film as a render would, for the request that `diff` states for each clip."""
        found = self.json("HEAD", film) if names else None
        assert found is not None
        clips = {change["id"]: change for entry in found["films"] for change in entry["clips"]}
        records = [_take(clips[name]["new"], name, number, clip) for name in names]
        add_records(self.root / f"{film}.lock", records, guard=self.home / "guard")

    def pick(self, name: str, sha256: str, *, film: str = "film.kling", at: str = "2026-11-22T13:00:00Z") -> None:
        """Write the choice of a take into the lock of a film."""
        clips = {change["id"]: change for entry in self.json("HEAD", film)["films"] for change in entry["clips"]}
        record = Pick(at, clips[name]["new"]["fingerprint"], sha256)
        add_records(self.root / f"{film}.lock", [record], guard=self.home / "guard")

    def accept(self, name: str, sha256: str, *, film: str = "film.kling") -> None:
        """Write into the lock of a film that somebody keeps a take for what the clip asks for now."""
        clips = {change["id"]: change for entry in self.json("HEAD", film)["films"] for change in entry["clips"]}
        found = clips[name]["new"]["fingerprint"]
        record = Acceptance("2026-11-22T13:00:00Z", "good enough", "A Writer", name, found, sha256)
        add_records(self.root / f"{film}.lock", [record], guard=self.home / "guard")

    def diff(self, *words: str, code: int = 0, folder: Path | None = None, **settings: str) -> Result:
        """Run `kling diff` in the project, and expect an exit code."""
        done = run_diff(*words, folder=folder or self.root, settings={**self.surroundings, **settings})
        assert done.exit_code == code, (done.exit_code, done.output)
        return done

    def json(self, *words: str, code: int = 0, folder: Path | None = None) -> Any:
        """Run `kling diff` and return what it prints as JSON; a number with a point in it is refused."""
        done = self.diff(*words, "--format", "json", code=code, folder=folder) if "--" not in words else None
        if done is None:
            done = self.diff("--format", "json", *words, code=code, folder=folder)
        return json.loads(done.stdout, parse_float=refuse_float)

    def kinds(self, *words: str) -> dict[str, str]:
        """Return what became of each clip, by its id; unchanged ones are left out."""
        films = self.json(*words)["films"]
        return {c["id"]: c["kind"] for film in films for c in film["clips"] if c["kind"] != "unchanged"}


_PERSON = {"NAME": "A Writer", "EMAIL": "writer@example.com"}


def run_diff(*words: str, folder: Path, settings: Mapping[str, str]) -> Result:
    """Run `kling diff` in a folder; it must end by itself."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        given = {**SETTINGS, "COLUMNS": "80", **settings}
        done = CliRunner(env=given).invoke(kling, ("diff", *words), prog_name="kling")
    finally:
        os.chdir(before)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def sha256_of(name: str) -> str:
    """Return the digest of a made-up clip."""
    return hashlib.sha256(name.encode()).hexdigest()


def _take(clip: Mapping[str, Any], name: str, number: int, content: str) -> Take:
    from decimal import Decimal

    return Take(
        at="2026-11-22T12:00:00Z",
        clip=name,
        cost_usd=Decimal(clip["cost_usd"]) / clip["takes"],
        fingerprint=clip["fingerprint"],
        model=clip["model"],
        request_id=f"request-{name}-{number}",
        seconds=clip["seconds"],
        sha256=sha256_of(content or f"{name} {number}"),
        take=number,
    )
