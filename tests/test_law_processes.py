"""Law of processes: a film compiles to the same in any process, hash seed, locale, time zone and working directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from commands import picture, video
from film_strategies import CAST, Film, Layout, films
from hypothesis import Phase, given, settings
from laws import examples
from test_language import CASES
from text_changes import changed

TESTS = Path(__file__).parent
SURROUNDINGS: dict[str, dict[str, str]] = {
    "plain": {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
    "turkish": {"PYTHONHASHSEED": "1", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"},
    "german": {"PYTHONHASHSEED": "random", "LC_ALL": "de_DE.UTF-8", "TZ": "America/St_Johns"},
}
"""Variables of each process; a machine that lacks a locale falls back to C, and the hash seeds still differ.

All of them name files in UTF-8: where a system cannot say a file's name, that is told and not that the file is missing.
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn films, whole and damaged, and of the cases of the language; with their media."""
    root = tmp_path_factory.mktemp("project")
    drawn: list[Film] = []

    @settings(examples(8), phases=(Phase.generate,), database=None)
    @given(films())
    def draw(film: Film) -> None:
        drawn.append(film)

    draw()
    for at, film in enumerate(drawn):
        for path, text in Layout(at).write(film).items():
            _write(root / f"drawn{at}" / path, text.encode("utf-8"))
            _write(root / f"damaged{at}" / path, changed(text, at).encode("utf-8", "replace"))
    for at, case in enumerate(CASES[::14]):
        for path, text in case.files.items():
            _write(root / f"case{at}" / path, text.encode("utf-8"))
    media = sorted({path for entry in CAST for paths in entry.media.values() for path in paths})
    for number, path in enumerate(media):
        content = video() if path.endswith(".mp4") else picture(640 + number)
        for at in range(len(drawn)):
            _write(root / f"drawn{at}" / path, content)
    return root


def test_a_film_compiles_to_the_same_in_any_process(project: Path, tmp_path: Path) -> None:
    films = sorted(str(path.relative_to(project).as_posix()) for path in project.rglob("film.kling"))
    folders = [project, Path("/"), tmp_path]
    answers: dict[str, list[bytes]] = {}
    started = []
    for (name, variables), folder in zip(SURROUNDINGS.items(), folders, strict=True):
        order = films[::-1] if name == "turkish" else films
        root = os.path.relpath(project, folder) if name == "german" else str(project)
        environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), **variables}
        environment["KLING_CACHE_DIR"] = str(tmp_path / name) if name == "turkish" else os.environ["KLING_CACHE_DIR"]
        words = (sys.executable, str(TESTS / "compile_worker.py"), root, *order)
        started.append((name, subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE)))
    for name, process in started:
        answers[name] = process.communicate(timeout=100)[0].splitlines()
        assert process.returncode == 0
    assert len(answers["plain"]) == len(films)
    assert any(b'"calls":[{' in line for line in answers["plain"])
    for name in SURROUNDINGS:
        for answer, plain in zip(answers[name], answers["plain"], strict=True):
            assert msgspec.json.decode(answer) == msgspec.json.decode(plain), name
            assert answer == plain, name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
