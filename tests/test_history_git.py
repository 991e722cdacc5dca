"""Git is asked for objects and for nothing else: hostile repositories, odd places and odd names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_projects import CAST, FILM, NEEDS_GIT, Repository, run_diff

from kling_dsl.history import git
from kling_dsl.history.git import GitProblem, blob_id

pytestmark = NEEDS_GIT

ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell: planted programs are its scripts")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "repo")
    found.write_film()
    found.commit("Write the film")
    return found


@pytest.fixture
def opened(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository with its surroundings set for this process, too."""
    for name, value in repository.surroundings.items():
        monkeypatch.setenv(name, value)
    return repository


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was started since, as words."""
    found: list[tuple[str, ...]] = []
    start: Any = subprocess.Popen.__init__

    def noted(self: object, words: tuple[str, ...], *rest: Any, **more: Any) -> None:
        found.append(tuple(words))
        start(self, words, *rest, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    return found


def plant(repository: Repository, tmp_path: Path) -> tuple[Path, str]:
    """Write a program that leaves a mark when it runs."""
    mark = tmp_path / "it-ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> "{mark}"\nexit 1\n', encoding="utf-8")
    program.chmod(0o755)
    return mark, str(program)


@ON_POSIX
def test_nothing_runs_that_a_repository_configures(repository: Repository, tmp_path: Path) -> None:
    mark, program = plant(repository, tmp_path)
    repository.write(".gitattributes", "*.kling diff=evil filter=evil merge=evil\n*.png diff=evil filter=evil\n")
    repository.commit("Name drivers")
    hooks = repository.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc"):
        (hooks / name).write_text(Path(program).read_text(encoding="utf-8"), encoding="utf-8")
        (hooks / name).chmod(0o755)
    for key in (
        *("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.gitProxy"),
        *("diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.smudge", "filter.evil.clean"),
        *("filter.evil.process", "credential.helper", "gpg.program", "pager.ls-tree", "pager.rev-parse"),
        *("core.alternateRefsCommand", "uploadpack.packObjectsHook", "interactive.diffFilter"),
    ):
        repository.git("config", key, program)
    for verb in ("rev-parse", "ls-tree", "cat-file", "merge-base"):
        repository.git("config", f"alias.{verb}", f"!{program}")
    repository.git("config", "core.hooksPath", str(hooks))
    mark.unlink(missing_ok=True)
    repository.edit("heavy door", "red door")
    report = repository.json("HEAD...HEAD")
    assert report["total"]["difference_usd"] == "0.00"
    assert repository.kinds() == {"door": "changed"}
    assert not mark.exists(), mark.read_text(encoding="utf-8")
    # The planted programs do run where git is used in the ordinary way, so that this test can fail.
    repository.git("-c", "core.pager=cat", "diff", "--ext-diff", code=128)
    assert mark.exists()


@ON_POSIX
@pytest.mark.parametrize("way", ["remote-helper", "ssh", "upload-pack"])
def test_a_partial_clone_fetches_nothing(repository: Repository, tmp_path: Path, way: str) -> None:
    mark, program = plant(repository, tmp_path)
    clone = tmp_path / "clone"
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("clone", "-q", "--filter=blob:none", repository.top.as_uri(), str(clone))
    url = {"remote-helper": f"ext::{program}", "ssh": "ssh://example.invalid/x", "upload-pack": repository.top.as_uri()}
    for key, value in {
        "remote.origin.url": url[way],
        "core.sshCommand": program,
        "remote.origin.uploadpack": program,
        "protocol.ext.allow": "always",
        "protocol.file.allow": "always",
        "protocol.ssh.allow": "always",
    }.items():
        repository.git("config", key, value, folder=clone)
    # The older film is not in the clone: only what was checked out is.
    blob = repository.git("rev-parse", "HEAD:film.kling")
    (clone / ".git" / "objects" / "info").mkdir(exist_ok=True)
    repository.edit("heavy door", "red door")
    newer = repository.commit("Reword")
    assert newer != blob
    done = run_diff(folder=clone, settings=repository.surroundings)
    assert not mark.exists(), mark.read_text(encoding="utf-8")
    assert done.exit_code == 0, done.output


@ON_POSIX
def test_a_blob_that_a_partial_clone_left_out_is_told(repository: Repository, tmp_path: Path) -> None:
    mark, program = plant(repository, tmp_path)
    repository.edit("heavy door", "red door")
    repository.commit("Reword")
    clone = tmp_path / "clone"
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("clone", "-q", "--filter=blob:none", repository.top.as_uri(), str(clone))
    repository.git("config", "remote.origin.uploadpack", program, folder=clone)
    done = run_diff("HEAD~1", folder=clone, settings=repository.surroundings)
    assert done.exit_code == 1
    assert "HEAD~1:film.kling" in done.stderr
    assert "is not in this clone" in done.stderr
    assert "costs $7.56" in " ".join(done.stdout.split())
    assert not mark.exists(), mark.read_text(encoding="utf-8")


@ON_POSIX
def test_a_program_of_the_project_called_git_does_not_run(repository: Repository, tmp_path: Path) -> None:
    mark, program = plant(repository, tmp_path)
    repository.write("git", Path(program).read_text(encoding="utf-8")).chmod(0o755)
    path = os.pathsep.join(("", ".", os.environ["PATH"]))
    assert repository.diff(PATH=path).exit_code == 0
    assert not mark.exists()


@pytest.mark.parametrize("revision", ["--help", "-x", "--output=owned", "--upload-pack=x"])
def test_a_revision_that_looks_like_an_option_is_refused(opened: Repository, revision: str) -> None:
    with git.Repository(opened.root) as found, pytest.raises(GitProblem, match="is no revision") as caught:
        found.commit_of(revision)
    assert caught.value.usage == "wrong"
    assert not (opened.root / "owned").exists()
    assert "is no revision" in opened.diff(f"HEAD..{revision}", code=2).stderr


@pytest.mark.parametrize("revision", ["gone", "HEAD~99", "HEAD:refs", "^HEAD", "a b\nc", "x" * 2000, "\u202eHEAD"])
def test_an_unknown_revision_is_wrong_usage(opened: Repository, revision: str) -> None:
    done = opened.diff(revision, code=2)
    assert len(done.stderr) < 1400
    assert "revision" in done.stderr
    assert "\u202e" not in done.stderr


def test_places_that_are_no_repository(tmp_path: Path, repository: Repository) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    settings = {**repository.surroundings, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    done = run_diff(folder=folder, settings=settings)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "is in no git repository" in done.stderr
    (folder / "film.kling").write_text(FILM, encoding="utf-8")
    done = run_diff(str(folder / "film.kling"), folder=repository.root, settings=settings)
    assert done.exit_code == 2
    assert "is in no git repository" in done.stderr


def test_an_unborn_head(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    repository.write_film()
    assert "no commit yet" in repository.diff(code=1).stderr


def test_inside_the_git_folder_the_project_is_meant(repository: Repository) -> None:
    repository.edit("heavy door", "red door")
    assert "$2.10 to buy" in repository.diff(folder=repository.root / ".git").stdout


def test_a_bare_repository(repository: Repository, tmp_path: Path) -> None:
    repository.git("clone", "-q", "--bare", str(repository.top), str(tmp_path / "bare.git"))
    done = run_diff(folder=tmp_path / "bare.git", settings=repository.surroundings)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "git folder without a working tree" in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, who can give files away")
def test_an_owner_that_git_does_not_trust(repository: Repository) -> None:
    for place in (repository.root, repository.root / ".git"):
        os.chown(place, 12345, 12345)
    done = repository.diff(code=1)
    assert "does not trust" in done.stderr
    assert "safe.directory" in done.stderr


def test_a_linked_worktree_and_a_folder_below(repository: Repository, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "-q", str(linked), "-b", "work")
    text = (linked / "film.kling").read_text(encoding="utf-8")
    (linked / "film.kling").write_text(text.replace("heavy door", "red door"), encoding="utf-8")
    assert repository.json("HEAD", folder=linked)["total"]["billable_usd"] == "2.10"
    assert repository.json("HEAD")["total"]["billable_usd"] == "0.00"
    assert repository.json("HEAD", folder=repository.root / "refs")["films"][0]["file"] == "film.kling"


def test_a_project_in_a_folder_of_the_repository(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo", folder="films/one [a] *?")
    repository.write("kling.toml", "")
    repository.write_film()
    (repository.top / "films" / "other.kling").write_text(FILM, encoding="utf-8")
    repository.commit()
    repository.edit("heavy door", "red door")
    (film,) = repository.json()["films"]
    assert film["file"] == "film.kling"
    assert film["billable_usd"] == "2.10"


def test_the_film_of_a_submodule_is_compared_in_its_own_repository(repository: Repository, tmp_path: Path) -> None:
    outer = Repository(tmp_path / "outer")
    outer.git("submodule", "--quiet", "add", str(repository.top), "film")
    outer.commit("Take the film in")
    place = outer.root / "film" / "film.kling"
    place.write_text(place.read_text(encoding="utf-8").replace("heavy door", "red door"), encoding="utf-8")
    assert outer.json("HEAD", "film/film.kling")["total"]["billable_usd"] == "2.10"


def test_a_shallow_clone_says_how_to_deepen_it(repository: Repository, tmp_path: Path) -> None:
    repository.edit("heavy door", "red door")
    repository.commit("Reword")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", repository.top.as_uri(), str(clone))
    assert run_diff(folder=clone, settings=repository.surroundings).exit_code == 0
    done = run_diff("HEAD~1", folder=clone, settings=repository.surroundings)
    assert done.exit_code == 2
    assert "git fetch --unshallow" in done.stderr


def test_revisions_without_a_common_commit(repository: Repository) -> None:
    repository.git("checkout", "-q", "--orphan", "island")
    repository.commit("Begin anew")
    done = repository.diff("main...island", code=1)
    assert "no common commit" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, where a file may have such a name")
@pytest.mark.parametrize(
    "name", ["with space.kling", 'it\'s "q".kling', "-dash.kling", "new\nline.kling", "ü\u202e.kling"]
)
def test_odd_names_of_films(tmp_path: Path, name: str) -> None:
    repository = Repository(tmp_path / "repo")
    repository.write_film(path=name)
    repository.commit()
    repository.edit("heavy door", "red door", path=name)
    report = repository.json("--", name)
    assert report["films"][0]["file"] == name
    assert report["total"]["billable_usd"] == "2.10"
    assert [film["file"] for film in repository.json()["films"]] == [name]
    shown = repository.diff().stdout
    assert "\u202e" not in shown
    assert "new\nline" not in shown


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, where a file may have such a name")
def test_names_that_are_not_utf8_never_match(repository: Repository) -> None:
    for name in (b"\xff.kling", b"refs/\xff.png", b"f\xfclm/film.kling"):
        place = os.fsencode(repository.root) + b"/" + name
        os.makedirs(os.path.dirname(place), exist_ok=True)
        Path(os.fsdecode(place)).write_text(FILM, encoding="utf-8")
    repository.commit("Add odd names")
    assert [film["file"] for film in repository.json("HEAD..HEAD")["films"]] == ["film.kling"]
    done = repository.diff("--", os.fsdecode(b"\xff.kling"), code=2)
    assert "not UTF-8" in done.stderr


@pytest.mark.parametrize(
    "name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"]
)
def test_variables_that_lead_elsewhere_are_not_followed(repository: Repository, name: str, tmp_path: Path) -> None:
    repository.edit("heavy door", "red door")
    settings = {**repository.surroundings, name: str(tmp_path / "nowhere")}
    done = run_diff("--exit-code", folder=repository.root, settings=settings)
    assert done.exit_code == 5
    assert "$2.10 to buy" in done.stdout


def test_a_replaced_object_is_read_as_it_was(repository: Repository) -> None:
    other = repository.git("hash-object", "-w", "cast.kling")
    repository.git("replace", repository.git("rev-parse", "HEAD:film.kling"), other)
    assert repository.kinds() == {}


def test_the_number_of_processes_does_not_depend_on_the_files(
    repository: Repository, calls: list[tuple[str, ...]]
) -> None:
    repository.git("rev-parse", "HEAD")
    calls.clear()
    repository.diff("HEAD..HEAD")
    few = len(calls)
    for number in range(12):
        repository.write_film(path=f"films/{number}.kling")
        repository.write(f"films/{number}.kling", FILM.replace("cast.kling", "../cast.kling"))
    repository.commit("Add films")
    calls.clear()
    assert len(repository.json("HEAD..HEAD")["films"]) == 13
    assert len(calls) == few <= 7
    verbs = [next(word for word in words if word in _VERBS) for words in calls]
    assert verbs.count("cat-file") <= 2
    assert verbs.count("ls-tree") == 2


_VERBS = {"rev-parse", "ls-tree", "cat-file", "merge-base"}


def test_git_that_is_missing_or_silent(opened: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "git is not installed" in opened.diff(code=1, PATH=str(tmp_path)).stderr

    def silent(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        raise subprocess.TimeoutExpired("git", 1)

    monkeypatch.setattr(subprocess, "run", silent)
    with pytest.raises(GitProblem, match="did not answer"):
        git.Repository(opened.root)


@pytest.mark.parametrize(
    "harm",
    [
        lambda git_folder: [path.unlink() for path in sorted((git_folder / "objects").rglob("*")) if path.is_file()],
        lambda git_folder: (git_folder / "config").write_text("[core\n", encoding="utf-8"),
        lambda git_folder: (git_folder / "HEAD").write_text("rubbish\n", encoding="utf-8"),
    ],
    ids=["no-objects", "config", "head"],
)
def test_a_damaged_repository_is_one_message(repository: Repository, harm: Callable[[Path], object]) -> None:
    harm(repository.root / ".git")
    done = repository.diff(code=1)
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_ids_are_those_of_git(opened: Repository) -> None:
    expected = opened.git("rev-parse", "HEAD:cast.kling")
    assert blob_id(CAST.encode(), like=expected) == expected
    assert len(blob_id(b"", like="0" * 64)) == 64


def test_a_size_is_known_before_a_blob_is_read(opened: Repository) -> None:
    with git.Repository(opened.root) as found:
        tree = found.tree(found.commit_of("HEAD"), found.prefix_of(opened.root))
        entry = tree[b"cast.kling"]
        assert entry.kind == "file"
        assert found.size(entry.id) == len(CAST)
        assert found.read(entry.id) == CAST.encode()
        assert found.size("0" * 40) is None
        assert found.read("0" * 40) is None


def test_what_is_larger_than_git_is_asked_for_is_told(opened: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    with git.Repository(opened.root) as found:
        commit = found.commit_of("HEAD")
        entry = found.tree(commit, b"")[b"cast.kling"]
        with monkeypatch.context() as patch:
            patch.setattr(git, "MAX_BLOB_BYTES", 10)
            with pytest.raises(GitProblem, match=f"a file of {len(CAST)} bytes is too large to be read from git"):
                found.read(entry.id)
        monkeypatch.setattr(git, "MAX_TREE_BYTES", 10)
        with pytest.raises(GitProblem, match=f"{commit[:12]} has more files than can be listed"):
            found.tree(commit, b"")


def test_what_git_does_not_have_is_told(opened: Repository, tmp_path: Path) -> None:
    with git.Repository(opened.root) as found:
        with pytest.raises(GitProblem, match="git cannot list the files of 0000"):
            found.tree("0" * 40, b"")
        # A folder is no file, and a question after one is answered with what it is.
        folder = opened.git("rev-parse", "HEAD:refs")
        with pytest.raises(GitProblem, match=f"git cannot read {folder[:12]}"):
            found.size(folder)
        with pytest.raises(GitProblem, match="lies outside the working tree of its repository"):
            found.prefix_of(tmp_path / "elsewhere")
