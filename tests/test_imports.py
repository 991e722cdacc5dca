"""What a command imports: a newcomer's `kling check` pays for nothing that it does not use."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from measuring import unmeasured

from kling_dsl.cli.verbs import COMMANDS

SPY = """
import json, sys
from kling_dsl.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

EACH_HELP = """
import json, os, sys
from kling_dsl.cli import main
for command in sys.argv[1:]:
    if os.fork():
        _, status = os.wait()
        assert status == 0, command
        continue
    sys.argv[1:] = [command, "--help"]
    try:
        main()
    finally:
        print(json.dumps([command, sorted(sys.modules)]), file=sys.stderr)
"""
"""Asks each command for its help in a process of its own, which has imported nothing but the way in to all of them."""

HEAVY = frozenset(
    (
        *("PIL", "aiohttp", "asyncio", "av", "difflib", "email", "fal_client", "http", "httpx", "importlib.metadata"),
        *("jinja2", "multiprocessing", "numpy", "platformdirs", "rich", "socket", "sqlite3", "ssl", "stamina"),
        *("subprocess", "tomllib", "unittest", "urllib.request", "xml"),
    )
)

FILM = """\
Title: Pier
Model: o3-4k

EXT. PIER - DUSK

SHOT wait 4s wide
A lantern swings at the end of the pier.
"""


def loaded(folder: Path, *words: str, code: int = 0) -> frozenset[str]:
    """Return the modules that are loaded when `kling` with these words has ended."""
    return frozenset(json.loads(spied(folder, SPY, *words, code=code)[-1]))


def spied(folder: Path, program: str, *words: str, code: int = 0) -> list[str]:
    """Run a program with these words, and return what it says on the error stream."""
    # The cache folder is named, and so nothing asks the platform for one.
    environment = {**unmeasured(), "KLING_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        (sys.executable, "-c", program, *words),
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project_in(tmp_path / "project")


def project_in(folder: Path) -> Path:
    (folder / ".git").mkdir(parents=True)
    (folder / "film.kling").write_text(FILM, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a check and a plan of a film leave in an empty cache."""
    folder = project_in(tmp_path_factory.mktemp("first") / "project")
    loaded(folder, "check", "film.kling")
    loaded(folder, "plan", "film.kling", "--format", "json")
    return folder / "cache"


@pytest.fixture
def warm(folder: Path, saved: Path) -> Path:
    """A folder whose grammar and sheets are kept in their saved form, as they are from the second film on."""
    shutil.copytree(saved, folder / "cache")
    (folder / "film.kling").write_text(FILM.replace("wide", "low angle"), encoding="utf-8")
    return folder


def test_the_first_check_reads_the_sheets_and_nothing_else_of_weight(folder: Path) -> None:
    assert loaded(folder, "check", "film.kling") & HEAVY == {"tomllib"}


def test_a_clean_check_imports_nothing_heavy(warm: Path) -> None:
    modules = loaded(warm, "check", "film.kling")
    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("kling_dsl.templates")} == set()
    assert {name for name in modules if name.startswith(("kling_dsl.exporters", "kling_dsl.reports.plan"))} == set()


def test_a_mistake_needs_the_speller_and_nothing_more(warm: Path) -> None:
    (warm / "film.kling").write_text(FILM.replace("A lantern", "@Lantern"), encoding="utf-8")
    assert loaded(warm, "check", "film.kling", code=1) & HEAVY <= {"difflib"}


def test_a_settings_file_is_read_with_tomllib_alone(warm: Path) -> None:
    (warm / "kling.toml").write_text('[lints]\nunused-reference = "off"\n', encoding="utf-8")
    assert loaded(warm, "check", "film.kling") & HEAVY == {"tomllib"}


def test_a_template_brings_jinja2(warm: Path) -> None:
    (warm / "film.kling").write_text(FILM.replace("A lantern", "{{ 'A' }} lantern"), encoding="utf-8")
    assert "jinja2" in loaded(warm, "check", "film.kling")


def test_compile_imports_nothing_heavy(warm: Path) -> None:
    assert loaded(warm, "compile", "film.kling") & HEAVY == set()


def test_plan_needs_no_drawing_and_no_network(warm: Path) -> None:
    modules = loaded(warm, "plan", "film.kling")
    assert "rich" not in modules
    assert modules & {"fal_client", "httpx", "http.client", "ssl", "urllib.request"} == set()


def test_a_plan_as_data_needs_no_drawing(warm: Path) -> None:
    assert loaded(warm, "plan", "film.kling", "--format", "json") & HEAVY == set()


def test_help_imports_no_command(folder: Path) -> None:
    modules = loaded(folder, "--help")
    assert {name for name in modules if name.startswith("kling_dsl")} == {
        "kling_dsl",
        "kling_dsl.cli",
        "kling_dsl.cli.streams",
        "kling_dsl.cli.verbs",
    }
    assert "msgspec" not in modules


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, frozenset[str]]:
    """The modules that are loaded when the help of each command was shown."""
    lines = spied(project_in(tmp_path_factory.mktemp("helped") / "project"), EACH_HELP, *COMMANDS)
    return {command: frozenset(modules) for command, modules in map(json.loads, lines)}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_no_compiler(helped: dict[str, frozenset[str]], command: str) -> None:
    modules = helped[command]
    assert "kling_dsl.cli" in modules
    assert modules & {"lark", "jinja2", "rich", "kling_dsl.compiler", "kling_dsl.parser"} == set()
