"""The hook that pre-commit may run: its definition, and its program called as pre-commit calls it."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

from commands import Project
from workflow_files import ROOT, parsed

from kling_dsl.cli.verbs import COMMANDS

HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")


def fields(text: str) -> dict[str, str]:
    """Return the keys of the one hook."""
    [hook] = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    return dict(re.findall(r"^(?:  )?(\w+): (.*)$", hook, re.MULTILINE))


def run_hook(project: Project, names: list[str], code: int) -> str:
    """Call the hook's entry with the staged files that its pattern finds, as they are named from the top."""
    hook = fields(HOOKS)
    entry = shlex.split(hook["entry"])
    assert entry[0] == "kling"
    found = [name for name in names if re.search(hook["files"], name)]
    return project.run(*entry[1:], *found, code=code).stdout


def test_the_hook_is_defined_as_pre_commit_wants_it() -> None:
    hook = fields(HOOKS)
    assert list(hook) == ["id", "name", "description", "entry", "language", "files", "pass_filenames"]
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("kling-check", "python", "true")
    assert parsed(HOOKS) == [hook]


def test_the_hook_runs_a_program_that_the_package_installs_and_a_command_that_there_is() -> None:
    program, command = shlex.split(fields(HOOKS)["entry"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert program in project["project"]["scripts"]
    assert command in COMMANDS
    # The formatter's hook comes with the formatter.
    assert ("fmt" in COMMANDS) == ("entry: kling fmt" in HOOKS)


def test_only_films_are_handed_over() -> None:
    pattern = re.compile(fields(HOOKS)["files"])
    assert [name for name in ("film.kling", "a b/c.kling", "-x.kling") if not pattern.search(name)] == []
    assert [name for name in ("film.kling.lock", "kling.toml", "film.klingon", "kling") if pattern.search(name)] == []


def test_sound_films_pass_and_so_does_a_cast_without_shots(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.run("init")
    project.write("films/a b.kling", "Title: B\n\nSHOT wake 4s\nHe wakes.\n")
    told = run_hook(project, ["film.kling", "film.kling.lock", "films/a b.kling", "cast.kling"], 0)
    assert [line.partition(":")[0] for line in told.splitlines()] == ["film.kling", "films/a b.kling", "cast.kling"]


def test_a_mistake_stops_the_commit_and_is_told_with_its_place(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.write("film.kling", "Title: A\n\nSHOT wake 4.5s\nHe wakes.\n")
    project.write("good.kling", "Title: B\n\nSHOT wake 4s\nHe wakes.\n")
    told = run_hook(project, ["film.kling", "good.kling"], 1)
    assert "error[fractional-length]" in told
    assert "--> film.kling:3:11" in told
    assert "good.kling: 1 clip" in told


def test_nothing_is_written_into_the_project(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.write("film.kling", "Title: A\n\nSHOT wake 4s\nHe wakes.\n")
    run_hook(project, ["film.kling"], 0)
    assert sorted(path.name for path in Path(project.root).iterdir()) == [".git", "film.kling"]
