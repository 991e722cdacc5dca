"""Branches that merge, processes that write at once and processes that are killed leave a lock that has every take."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import filelock
import pytest
from killed import kill_at_each_step
from measuring import limited

from kling_dsl import lock as locks
from kling_dsl.lock import LockError, Pick, Take, add_records, read_lock

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def take(clip: str, number: int = 1, *, who: str = "") -> Take:
    return Take(
        at=f"2026-11-22T17:03:{len(who):02}Z",
        clip=clip,
        cost_usd=Decimal("2.10"),
        fingerprint=hashlib.sha256(clip.encode()).hexdigest(),
        model="o3-4k",
        request_id=f"{clip}-{number}-{who}",
        seconds=5,
        sha256=hashlib.sha256(f"{clip} {number} {who}".encode()).hexdigest(),
        take=number,
    )


class Repository:
    """A git repository with a film's lock that merges by union."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / "films" / "a.kling.lock"
        self.git("init", "--quiet", "--initial-branch=main")
        (root / ".gitattributes").write_text("*.kling.lock merge=union text eol=lf\n", encoding="utf-8")
        (root / ".gitignore").write_text(".kling/\n", encoding="utf-8")
        self.commit()

    def git(self, *words: str, code: int = 0) -> str:
        settings = ("user.name=A", "user.email=a@example.com", "commit.gpgsign=false", "core.hooksPath=/dev/null")
        options = [word for setting in settings for word in ("-c", setting)]
        surroundings = {"PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        done = subprocess.run(
            ("git", *options, *words),
            cwd=self.root,
            env=surroundings,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Render")

    def add(self, *records: Take | Pick) -> None:
        add_records(self.lock, records, guard=self.root / ".kling" / "guards" / "a")


@needs_git
def test_branches_that_render_different_shots_merge_by_themselves(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    common = [take(f"common-{number}") for number in range(5)]
    repository.add(*common)
    repository.commit()
    everything = set(common)
    for branch in ("left", "right"):
        repository.git("switch", "--quiet", "--create", branch, "main")
        added = [take(f"{branch}-{number}") for number in range(20)]
        repository.add(*added, Pick(at=added[0].at, fingerprint=added[0].fingerprint, sha256=added[0].sha256))
        repository.commit()
        everything |= set(added)
    repository.git("merge", "--quiet", "--no-edit", "left")
    lock = read_lock(repository.lock)
    assert set(lock.takes) == everything
    assert len(lock.picks) == 2
    assert lock.problems == ()
    # The merge may have broken the order of lines; the next record brings it back.
    repository.add(take("last"))
    lines = repository.lock.read_bytes().splitlines()
    (tmp_path / "fresh").mkdir()
    add_records(tmp_path / "fresh" / "lock", (*read_lock(repository.lock).takes, *lock.picks), guard=tmp_path / "g")
    assert (tmp_path / "fresh" / "lock").read_bytes().splitlines() == lines


@needs_git
@pytest.mark.parametrize("into", ["left", "right"])
def test_branches_that_render_the_same_shot_keep_both_takes(tmp_path: Path, into: str) -> None:
    repository = Repository(tmp_path)
    repository.add(take("door"))
    repository.commit()
    later = {"left": "l", "right": "right"}
    for branch, who in later.items():
        repository.git("switch", "--quiet", "--create", branch, "main")
        repository.add(take("door", 2, who=who), take("lamp", who="same"))
        repository.commit()
    repository.git("switch", "--quiet", into)
    repository.git("merge", "--quiet", "--no-edit", "left" if into == "right" else "right")
    lock = read_lock(repository.lock)
    door, lamp = take("door").fingerprint, take("lamp").fingerprint
    assert [(each.take, each.request_id) for each in lock.of(door)] == [
        (1, "door-1-"),
        (2, "door-2-l"),
        (3, "door-2-right"),
    ]
    assert lock.of(lamp) == (take("lamp", who="same"),)
    assert [problem.message.partition(" (")[0] for problem in lock.problems] == ["is a second take 2 of door"]


@needs_git
def test_a_conflict_that_git_leaves_costs_no_take(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    (tmp_path / ".gitattributes").write_text("", encoding="utf-8")
    repository.commit()
    for branch in ("left", "right"):
        repository.git("switch", "--quiet", "--create", branch, "main")
        repository.add(take(branch))
        repository.commit()
    repository.git("merge", "--quiet", "left", code=1)
    lock = read_lock(repository.lock)
    assert {each.clip for each in lock.takes} == {"left", "right"}
    assert [problem.message for problem in lock.problems] == [
        "is a mark that a merge left; delete it, both sides count"
    ] * 3
    marks = [line for line in repository.lock.read_bytes().splitlines() if not line.startswith(b"{")]
    repository.add(take("more"))
    assert repository.lock.read_bytes().splitlines()[-3:] == marks
    assert {each.clip for each in read_lock(repository.lock).takes} == {"left", "right", "more"}


WRITER = """
import hashlib, sys
from decimal import Decimal
from pathlib import Path
from kling_dsl.lock import Take, add_records
path, guard, who, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
sys.stdin.readline()
for number in range(1, count + 1):
    add_records(path, [Take(at="2026-11-22T17:03:01Z", clip=who, cost_usd=Decimal("2.10"),
        fingerprint=hashlib.sha256(who.encode()).hexdigest(), model="o3-4k", request_id=f"{who}-{number}", seconds=5,
        sha256=hashlib.sha256(f"{who} {number}".encode()).hexdigest(), take=number)], guard=guard)
"""


def test_processes_that_write_at_once_lose_no_record(tmp_path: Path) -> None:
    path, guard, count = tmp_path / "a.kling.lock", tmp_path / "guard", 25
    started = [
        subprocess.Popen(
            (sys.executable, "-c", WRITER, str(path), str(guard), who, str(count)), stdin=subprocess.PIPE, bufsize=0
        )
        for who in ("one", "two", "three")
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [0, 0, 0]
    lock = read_lock(path)
    assert len(lock.takes) == 3 * count
    assert lock.problems == ()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.kling.lock", "guard"]


def test_threads_that_write_at_once_lose_no_record(tmp_path: Path) -> None:
    path, guard = tmp_path / "a.kling.lock", tmp_path / "guard"
    threads = [
        threading.Thread(target=add_records, args=(path, [take(f"t{number}")]), kwargs={"guard": guard})
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_lock(path).takes) == 12


SETUP = """
from decimal import Decimal
from kling_dsl.lock import Take, add_records, read_lock

def take(number):
    digest = f"{number:064x}"
    return Take(at="2026-11-22T17:03:01Z", clip="door", cost_usd=Decimal("2.10"), fingerprint=digest, model="o3-4k",
        request_id=f"r{number}", seconds=5, sha256=digest, take=1)

def add(here, *numbers):
    add_records(here / "films" / "a.kling.lock", map(take, numbers), guard=here / ".kling" / "guards" / "a")

def numbers(here):
    lock = read_lock(here / "films" / "a.kling.lock")
    assert lock.problems == ()
    return [int(each.sha256, 16) for each in lock.takes]
"""


@pytest.mark.parametrize("before", [(), (1, 2, 3)], ids=["new", "there"])
def test_a_kill_while_writing_leaves_the_old_lock_or_the_new_one(tmp_path: Path, before: tuple[int, ...]) -> None:
    found = kill_at_each_step(
        SETUP,
        prepare=f"add(here, *{before})",
        work="add(here, 7, 8)",
        look="""
        left = numbers(here)
        beside = sorted(each.name for each in (here / "films").iterdir()) if (here / "films").exists() else []
        add(here, 8, 9)
        found = left, numbers(here), beside
        """,
        folder=tmp_path,
    )
    assert len(found) > 8
    assert {tuple(left) for left, _, _ in found} == {before, (*before, 7, 8)}
    # What a killed process had in hand is not waited for, and nothing of it lies beside the film.
    assert {tuple(after) for _, after, _ in found} == {(*before, 8, 9), (*before, 7, 8, 9)}
    assert {name for _, _, beside in found for name in beside} == {"a.kling.lock"}


def test_a_process_that_does_not_let_go_is_told_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "GUARD_SECONDS", 0.05)
    path, guard = tmp_path / "a.kling.lock", tmp_path / "guard"
    with (
        filelock.FileLock(guard, thread_local=False),
        pytest.raises(LockError, match=r"a\.kling\.lock cannot be written: another process"),
    ):
        add_records(path, [take("door")], guard=guard)
    assert not path.exists()


def test_a_lock_on_another_file_system_than_its_guard_is_written_beside_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def cross(source: Path, target: Path) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, target)

    monkeypatch.setattr(os, "replace", cross)
    path, guard = tmp_path / "films" / "a.kling.lock", tmp_path / ".kling" / "guard"
    add_records(path, [take("door")], guard=guard)
    assert read_lock(path).takes == (take("door"),)
    assert [each.name for each in path.parent.iterdir()] == ["a.kling.lock"]
    assert [each.name for each in guard.parent.iterdir()] == ["guard"]


def test_a_full_disk_leaves_the_old_lock(tmp_path: Path) -> None:
    path, guard = tmp_path / "a.kling.lock", tmp_path / "guard"
    add_records(path, [take("door")], guard=guard)
    before = path.read_bytes()

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100,) * 2)

    done = subprocess.run(
        (sys.executable, "-c", WRITER, str(path), str(guard), "one", "3"),
        env=limited(),
        input="go\n",
        capture_output=True,
        encoding="utf-8",
        check=False,
        preexec_fn=small_files,
    )
    assert done.returncode == 1
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.kling.lock", "guard"]
