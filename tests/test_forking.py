"""What the tests run in forks is `kling`: the same words on both streams, the same code, and nothing left for the next."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from bad_input import KLING, SHOT
from forking import run_kling

FILMS = {"whole.kling": SHOT, "broken.kling": SHOT.replace("5s", "5"), "no film": SHOT}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kling.toml").write_text("")
    for name, text in FILMS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("check", "whole.kling"),
        ("check", "broken.kling"),
        ("check", b"\xff.kling"),
        ("compile", "whole.kling"),
        ("--version",),
        ("nonsense",),
    ],
)
def test_a_fork_says_and_does_what_a_process_from_nothing_does(project: Path, words: tuple[str | bytes, ...]) -> None:
    environment = {**os.environ, "KLING_CACHE_DIR": str(project / "cache")}
    forked = run_kling(words, cwd=project, environment=environment, seconds=60)
    started = subprocess.run(
        (KLING, *words), cwd=project, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)
    assert forked.stdout or forked.stderr


def test_a_fork_has_the_variables_of_its_run_and_no_others(project: Path) -> None:
    bare = {"PATH": os.environ["PATH"], "HOME": str(project / "home")}
    for name in ("one", "other"):
        environment = {**bare, "KLING_CACHE_DIR": str(project / name)}
        assert run_kling(("check", "whole.kling"), cwd=project, environment=environment, seconds=60).returncode == 0
        assert list((project / name).iterdir())
    assert run_kling(("check", "whole.kling"), cwd=project, environment=bare, seconds=60).returncode == 0
    assert list((project / "home").rglob("*.*")), "what no variable names lies below the home folder"


def test_a_run_that_does_not_end_is_killed_and_the_next_one_goes_on(project: Path) -> None:
    (project / "endless.kling").write_text(
        "{% for a in range(10000) %}{% for b in range(10000) %}{{ a }}{% endfor %}{% endfor %}"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        run_kling(("check", "endless.kling"), cwd=project, environment=os.environ, seconds=0.05)
    assert run_kling(("check", "whole.kling"), cwd=project, environment=os.environ, seconds=60).returncode == 0
