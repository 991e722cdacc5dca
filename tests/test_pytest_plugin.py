"""The pytest plugin in a user's folder: films and EXPECT lines as items, fixtures, and what it costs at start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest

FILM = """\
Title: Pier
Model: o3-4k

import cast.kling

SHOT wait 4s wide
@Ana waits at the end of the pier.

EXPECT total <= $4
EXPECT total <= $1
EXPECT shot wait uses @Ana
"""
CAST = "CHARACTER Ana\nA woman in a wool coat.\n"
USERS_TESTS = """\
def test_a_text(kling_compile):
    film = kling_compile("SHOT sea 5s\\nGrey waves.\\n", model="o3-pro")
    assert [call.id for call in film.calls] == ["sea"]
    assert str(film.total_usd) == "0.560"


def test_a_file(kling_compile, request):
    film = kling_compile(request.config.rootpath / "film.kling")
    assert (film.failed, film.seconds) == (False, 4)


def test_a_project(kling_project):
    project = kling_project({"film.kling": "Param word: x\\n\\nSHOT sea 5s\\n{{ word }}\\n"})
    project.write("refs/a.txt", b"bytes")
    [call] = project.compile("film.kling", values={"word": "Foam."}).calls
    assert call.arguments["prompt"] == "Foam."
    assert kling_project().root != project.root


def test_a_mistake_is_no_exception(kling_compile):
    film = kling_compile("SHOT sea 5s\\n@Nobody.\\n")
    assert film.failed
    assert [diagnostic.slug for diagnostic in film.diagnostics] == ["unknown-reference"]


def test_a_sandbox(kling_sandbox, kling_project):
    film = kling_project({"film.kling": "SHOT sea 5s\\nGrey waves.\\n"}).root / "film.kling"
    assert kling_sandbox.environment()["FAL_QUEUE_RUN_HOST"] in kling_sandbox.url
    for _ in range(2):
        done = kling_sandbox.render(film)
        assert done.returncode == 0, done.stderr
    assert [(one.clip, one.seconds) for one in kling_sandbox.bill().submissions] == [("sea", 5)]
"""


PLAIN = ("-p", "no:cacheprovider", "-p", "kling_dsl.pytest_plugin")
"""Plugins are named, so that those of our own environment, which take a second to load, are not loaded each time."""


def run(folder: Path, *words: str, code: int) -> str:
    """Run pytest in a process of its own, as a user does, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        (sys.executable, "-m", "pytest", *PLAIN, *words),
        cwd=folder,
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's project with one film and its cast."""
    return write(tmp_path, {"kling.toml": "", "film.kling": FILM, "cast.kling": CAST})


def test_the_plugin_is_found_by_pytest() -> None:
    found = {entry.name: entry.value for entry in entry_points(group="pytest11")}
    assert found["kling"] == "kling_dsl.pytest_plugin"


def test_films_expect_lines_and_fixtures_in_two_processes_and_in_junit(folder: Path) -> None:
    write(
        folder,
        {
            "broken.kling": "SHOT sea 5s\n@Nobody swims.\n\nEXPECT total <= $3\n",
            "film.test.kling": "EXPECT clips = 1\nEXPECT clips = 1\n",
            "part.kling": "SHOT part 4s\n{{ a }}\n",
            "whole.kling": '{% set a = "Rain." %}{% include "part.kling" %}\n',
            "test_mine.py": USERS_TESTS,
        },
    )
    printed = run(folder, "-p", "xdist.plugin", "-n", "2", "--junitxml", "junit.xml", code=1)
    cases = list(ElementTree.parse(folder / "junit.xml").iter("testcase"))
    failures = {
        f"{case.get('classname')}::{case.get('name')}": failure.get("message") or ""
        for case in cases
        for failure in case.findall("failure")
    }
    names = sorted(f"{case.get('classname')}::{case.get('name')}" for case in cases)
    assert [name for name in names if not name.startswith("test_mine")] == [
        "broken.kling::compiles",
        "film.kling::compiles",
        "film.kling::shot wait uses @Ana",
        "film.kling::total <= $1",
        "film.kling::total <= $4",
        "film.test.kling::clips = 1",
        "film.test.kling::clips = 1 (2)",
        "film.test.kling::compiles",
        "whole.kling::compiles",
    ]
    assert len([name for name in names if name.startswith("test_mine")]) == 5
    assert set(failures) == {"broken.kling::compiles", "film.kling::total <= $1"}, printed
    assert failures["film.kling::total <= $1"].startswith(
        "error[expect-failed]: the total is $1.68, and at most $1.00 is expected\n  --> film.kling:10:8\n10 | EXPECT"
    )
    assert failures["broken.kling::compiles"].startswith("error[unknown-reference]: no definition declares @Nobody")
    assert "error[expect-failed]: the total is $1.68, and at most $1.00 is expected\n  --> film.kling:10:8\n" in printed
    assert "film.kling: total <= $1 ___" in printed
    assert "Traceback" not in printed
    assert "kling_dsl/" not in printed


def test_items_are_chosen_by_their_words_and_golden_requests_are_written_when_asked(folder: Path) -> None:
    write(folder, {"golden.kling": "SHOT sea 5s\nGrey waves.\n\nEXPECT requests match golden\n"})
    words = ("film.kling::total <= $4", "golden.kling", "--update-golden", "-v")
    printed = run(folder, *words, code=0)
    for name in ("film.kling::total <= $4", "golden.kling::compiles", "golden.kling::requests match golden"):
        assert f"{name} PASSED" in printed
    assert "total <= $1" not in printed
    kept = json.loads((folder / "golden.golden.json").read_text(encoding="utf-8"))
    assert [request["id"] for request in kept["requests"]] == ["sea"]
    write(folder, {"golden.kling": "SHOT sea 6s\nGrey waves.\n\nEXPECT requests match golden\n"})
    printed = run(folder, "golden.kling", code=1)
    assert 'note: sea: duration was "5", and is "6"' in printed


SPY = """
import json, sys
import pytest
class Spy:
    def pytest_sessionfinish(self):
        names = [name for name in sys.modules if name.partition(".")[0] in ("kling_dsl", "msgspec", "lark", "click")]
        print("\\nLOADED " + json.dumps(sorted(names)))
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "kling_dsl.pytest_plugin", "--capture=no"], plugins=[Spy()]))
"""


def test_a_run_without_a_film_loads_nothing_but_the_door(tmp_path: Path) -> None:
    write(tmp_path, {"test_mine.py": "def test_it():\n    pass\n"})
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        (sys.executable, "-c", SPY),
        cwd=tmp_path,
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    assert json.loads(line.removeprefix("LOADED ")) == ["kling_dsl", "kling_dsl.pytest_plugin"]
