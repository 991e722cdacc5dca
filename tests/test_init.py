"""`kling init`: a project that can be used as it stands, or nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from measuring import limited
from review_stage import lacking
from workflow_files import parsed, steps_of

from kling_dsl import __version__
from kling_dsl.cli.init import init_command
from kling_dsl.compiler import Options, compile_film
from kling_dsl.project import find_project
from kling_dsl.resources import specs_path
from kling_dsl.sheets import Profiles
from kling_dsl.world import Media

FILES = (
    ".gitattributes",
    ".gitignore",
    "cast.kling",
    "film.kling",
    "kling.toml",
    "refs/ana/front.png",
    "refs/ana/side.png",
    "refs/suitcase.png",
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(init_command, arguments)


def tree(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()))


def test_a_project_is_written_and_the_next_commands_are_told(tmp_path: Path) -> None:
    result = run(str(tmp_path / "new" / "my film"))
    assert result.exit_code == 0, result.output
    assert tree(tmp_path / "new" / "my film") == FILES
    assert all(f"wrote {tmp_path / 'new' / 'my film' / name}\n" in result.stdout for name in FILES)
    assert f"  cd '{tmp_path / 'new' / 'my film'}'\n  kling check film.kling\n" in result.stdout
    assert result.stderr == ""


def test_here_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").touch()
    monkeypatch.chdir(tmp_path)
    result = run()
    assert result.exit_code == 0
    assert "  cd " not in result.stdout
    assert set(tree(tmp_path)) == {*FILES, "README.md"}


def test_the_project_is_sound(tmp_path: Path) -> None:
    run(str(tmp_path))
    project = find_project(tmp_path / "film.kling")
    assert (project.root, project.diagnostics) == (tmp_path.resolve(), ())
    assert project.settings.limits.per_run_usd == Decimal(10)
    world = project.world()
    for name in FILES:
        if name.endswith(".png"):
            media = world.media(name)
            assert isinstance(media, Media)
            assert (media.kind, media.problem) == ("png", "")
            assert min(media.width, media.height) >= 300
            assert media.bytes < 2048
        else:
            text = world.read_text(name) if not name.startswith(".") else (tmp_path / name).read_text()
            assert isinstance(text, str)
            assert text.endswith("\n")
            assert "\r" not in text


def test_the_film_compiles_without_a_word_and_within_its_budget(tmp_path: Path) -> None:
    run(str(tmp_path))
    project = find_project(tmp_path / "film.kling")
    film = compile_film("film.kling", project.world(), Options(), profiles=Profiles.of(project.sheets()))
    assert film.diagnostics == ()
    assert [call.seconds for call in film.calls] == [4, 5, 7]
    assert all("multi_prompt" in call.arguments for call in film.calls[2:])
    assert Decimal(0) < film.total_usd <= Decimal(10)
    assert {asset.path for call in film.calls for asset in call.assets} == {
        name for name in FILES if name.endswith(".png")
    }


def test_every_picture_is_used_and_every_name_defined(tmp_path: Path) -> None:
    run(str(tmp_path))
    film, cast = (tmp_path / "film.kling").read_text(), (tmp_path / "cast.kling").read_text()
    assert set(re.findall(r"refs/\S+\.png", cast)) == {name for name in FILES if name.endswith(".png")}
    assert set(re.findall(r"@(\w+)", film.replace("an @ ", ""))) == set(
        re.findall(r"^[A-Z]+ (\w+)$", cast, re.MULTILINE)
    )


def test_git_takes_the_ignore_and_attribute_files(tmp_path: Path) -> None:
    run(str(tmp_path))
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=60)
    for name in (".kling/ledger.db", "out/film.mp4"):
        assert (
            subprocess.run(["git", "check-ignore", "--quiet", name], cwd=tmp_path, timeout=60, check=False).returncode
            == 0
        )
    assert (
        subprocess.run(["git", "check-ignore", "film.kling.lock"], cwd=tmp_path, timeout=60, check=False).returncode
        == 1
    )
    told = subprocess.run(
        ["git", "check-attr", "merge", "eol", "--", "film.kling", "film.kling.lock", "refs/suitcase.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.splitlines() == [
        "film.kling: merge: unspecified",
        "film.kling: eol: lf",
        "film.kling.lock: merge: union",
        "film.kling.lock: eol: lf",
        "refs/suitcase.png: merge: unspecified",
        "refs/suitcase.png: eol: unspecified",
    ]


def test_nothing_is_written_when_anything_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "cast.kling").write_text("mine")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    result = run(str(tmp_path))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"exist already:\n  {tmp_path / 'cast.kling'}\n  {tmp_path / '.gitignore'}\n" in result.stderr
    assert tree(tmp_path) == (".gitignore", "cast.kling")
    assert (tmp_path / "cast.kling").read_text() == "mine"


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    run(str(tmp_path))
    (tmp_path / "film.kling").write_text("mine")
    result = run(str(tmp_path))
    assert result.exit_code == 2
    assert (tmp_path / "film.kling").read_text() == "mine"
    assert len(re.findall(r"^  ", result.stderr, re.MULTILINE)) == len(FILES)


def test_no_link_carries_the_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "refs").symlink_to(tmp_path / "elsewhere")
    result = run(str(tmp_path / "project"))
    assert result.exit_code == 2
    assert str(tmp_path / "project" / "refs") in result.stderr
    assert tree(tmp_path / "elsewhere") == ()


@pytest.mark.parametrize("name", ["file", "file/deeper", "dangling"])
def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    result = run(str(tmp_path / name))
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert tree(tmp_path) == ("dangling", "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_name_that_no_folder_can_have_is_told(tmp_path: Path) -> None:
    result = run(str(tmp_path / ("n" * 300)))
    assert result.exit_code == 1
    assert result.stderr.endswith("nothing of it was kept: File name too long\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a system that limits the size of files")
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit of 1,000 bytes to a file stands in for the full disk: the first picture fails half-way."""
    (tmp_path / "kept").mkdir()
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from kling_dsl.cli.init import init_command; init_command([sys.argv[1]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "kept" / "new" / "film")],
        env=limited(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: the project could not be written, and nothing of it was kept: File too large\n"
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def test_an_interrupt_on_the_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def open_or_stop(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "side.png" and arguments == ("xb",):
            assert "front.png" in os.listdir(path.parent)
            raise KeyboardInterrupt
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_or_stop)
    assert run(str(tmp_path / "new")).exit_code == 1
    assert os.listdir(tmp_path) == []


def test_a_name_with_terminal_escapes_is_shown_not_obeyed(tmp_path: Path) -> None:
    result = run(str(tmp_path / "a\x1b[31mb"))
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "\\x1b[31mb" in result.output


WORKFLOWS = {"github": ".github/workflows/kling.yml", "gitlab": ".gitlab-ci.yml"}


@pytest.mark.parametrize(("server", "workflow"), WORKFLOWS.items())
def test_a_new_project_gets_its_workflow_too(tmp_path: Path, server: str, workflow: str) -> None:
    result = run(str(tmp_path / "new"), "--ci", server)
    assert result.exit_code == 0, result.output
    assert set(tree(tmp_path / "new")) == {*FILES, workflow}
    assert f"wrote {tmp_path / 'new' / workflow}\n" in result.stdout
    assert result.stdout.endswith(
        f"It installs kling-dsl {__version__} from the package index: KLING_PACKAGE in it names another.\n"
    )
    text = (tmp_path / "new" / workflow).read_text()
    assert f"KLING_PACKAGE: kling-dsl=={__version__}\n" in text
    assert "@VERSION@" not in text


@pytest.mark.parametrize("sign", ["kling.toml", "film.kling", "films/advert/film.kling"])
@pytest.mark.parametrize(("server", "workflow"), WORKFLOWS.items())
def test_a_project_that_exists_gets_only_the_workflow(tmp_path: Path, server: str, workflow: str, sign: str) -> None:
    (tmp_path / sign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / sign).write_text("mine")
    result = run(str(tmp_path), "--ci", server)
    assert result.exit_code == 0, result.output
    assert tree(tmp_path) == tuple(sorted((workflow, sign)))
    assert result.stdout.startswith(f"wrote {tmp_path / workflow}\n\nIt installs ")
    again = run(str(tmp_path), "--ci", server)
    assert again.exit_code == 2
    assert f"exist already:\n  {tmp_path / workflow}\nMove it away" in again.stderr


def test_a_workflow_lies_where_the_server_looks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    folder = tmp_path / "repository" / "films"
    folder.mkdir()
    (folder / "film.kling").write_text("mine")
    monkeypatch.chdir(folder)
    result = run("--ci", "github")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("wrote ../.github/workflows/kling.yml\n")
    assert set(tree(tmp_path / "repository")) == {".github/workflows/kling.yml", "films/film.kling"}


def test_a_workflow_of_ones_own_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("mine")
    result = run(str(tmp_path), "--ci", "gitlab")
    assert result.exit_code == 2
    assert tree(tmp_path) == (".gitlab-ci.yml",)
    assert (tmp_path / ".gitlab-ci.yml").read_text() == "mine"


def test_no_link_carries_a_workflow_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "kling.toml").touch()
    (tmp_path / "project" / ".github").symlink_to(tmp_path / "elsewhere")
    result = run(str(tmp_path / "project"), "--ci", "github")
    assert result.exit_code == 2
    assert tree(tmp_path / "elsewhere") == ()


def test_a_workflow_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def open_or_fail(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "kling.yml" and arguments == ("xb",):
            raise OSError(28, "No space left on device")
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_or_fail)
    result = run(str(tmp_path / "new"), "--ci", "github")
    assert result.exit_code == 1
    assert os.listdir(tmp_path) == []


def test_a_workflow_asks_for_no_more_than_it_needs(tmp_path: Path) -> None:
    run(str(tmp_path), "--ci", "github")
    text = (tmp_path / WORKFLOWS["github"]).read_text()
    assert "\non:\n  pull_request:\n\npermissions:\n  contents: read\n  pull-requests: write\n\nconcurrency:\n" in text
    assert "pull_request_target" not in text
    assert "secrets" not in text
    steps = steps_of(text)
    assert all("${{" not in step.run for step in steps)
    scripts = [step.run.removeprefix('bash "$KLING_STEPS/').removesuffix('"') for step in steps[1:]]
    assert scripts == ["check.sh", "test.sh", "difference.sh", "comment.sh", "verdict.sh"]
    assert all((specs_path("starter", "ci", "steps") / script).is_file() for script in scripts)


def test_a_parser_reads_the_workflows(tmp_path: Path) -> None:
    run(str(tmp_path), "--ci", "github")
    run(str(tmp_path), "--ci", "gitlab")
    text = (tmp_path / WORKFLOWS["github"]).read_text()
    github = parsed(text)
    assert (github["on"], github["concurrency"]["cancel-in-progress"]) == ({"pull_request": ""}, "true")
    assert github["permissions"] == {"contents": "read", "pull-requests": "write"}
    runs = [step for step in github["jobs"]["films"]["steps"] if "run" in step]
    read = [(step.name, step.environment, step.run) for step in steps_of(text)]
    assert [(step["name"], step.get("env", {}), step["run"]) for step in runs] == read
    assert parsed((tmp_path / WORKFLOWS["gitlab"]).read_text())["kling"]["artifacts"]["when"] == "always"


def test_the_workflow_finds_the_scripts_that_kling_brings(tmp_path: Path) -> None:
    """Run the line that asks for them, with an interpreter that has kling."""
    run(str(tmp_path), "--ci", "github")
    install = steps_of((tmp_path / WORKFLOWS["github"]).read_text())[0].run
    [program] = re.findall(r'python" -I -c "(.*)"\)"$', install, re.MULTILINE)
    told = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert Path(told.stdout.strip()) == specs_path("starter", "ci", "steps")


@pytest.mark.skipif(bool(lacking("bash", "git")), reason="needs bash and git")
def test_the_job_for_gitlab_runs_every_step_and_fails_with_the_first(tmp_path: Path) -> None:
    """Run the job's last line with stand-ins for the scripts."""
    run(str(tmp_path), "--ci", "gitlab")
    [line] = re.findall(r"^    - (failed=0;.*)$", (tmp_path / ".gitlab-ci.yml").read_text(), re.MULTILINE)
    for name in ("check", "test", "difference", "comment", "verdict"):
        (tmp_path / f"{name}.sh").write_text(f"echo {name}\n" + ("exit 3\n" if name == "check" else ""))
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", f'steps="{tmp_path}"\n{line}'],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split()) == (1, ["check", "test", "difference", "comment", "verdict"])


def test_the_help_has_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Example:\n    kling init my-film\n" in result.stdout
