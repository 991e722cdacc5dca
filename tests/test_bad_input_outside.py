"""An outside that fails: full and closed outputs, folders that cannot be written, a cache that lies, Ctrl-C, little memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_input import KLING, SHOT, files_in, kling, write

MANY = "".join(f"SHOT s{n} 5s\nSea number {n}.\n\n" for n in range(1500))
NO_ROOM_FOR_FILES = {resource.RLIMIT_FSIZE: 8 * 1024}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "project", {"film.kling": SHOT, "many.kling": MANY, "bad.kling": f"{SHOT}@Nobody\n"})


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder whose file system has no room left but for a few kilobytes."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder), capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(("umount", folder), check=True)


def test_a_plan_that_does_not_fit_leaves_the_old_one(project: Path) -> None:
    out = write(project / "out", {"plan.html": "old"}) / "plan.html"
    before = files_in(project)
    ran = kling("plan", "many.kling", "--format", "html", "--out", out, cwd=project, limits=NO_ROOM_FOR_FILES)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("kling: ")
    assert files_in(project) == before


def test_a_full_disk(project: Path, full_disk: Path) -> None:
    write(full_disk, {"plan.html": "old", "film.kling": f"{SHOT}@Mirra\n\nCHARACTER Mira\nA woman.\n"})
    (full_disk / "filler").write_bytes(b"")
    with contextlib.suppress(OSError), (full_disk / "filler").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    before = files_in(full_disk)
    ran = kling("plan", "many.kling", "--format", "html", "--out", full_disk / "plan.html", cwd=project)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    ran = kling("check", "--fix", "film.kling", cwd=full_disk)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    with (full_disk / "requests.json").open("wb") as out:
        ran = kling("compile", "many.kling", cwd=project, out=out)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    (full_disk / "requests.json").unlink()
    cache = {"KLING_CACHE_DIR": str(full_disk / "cache")}
    assert kling("check", "film.kling", cwd=project, surroundings=cache).code == 0
    assert kling("init", full_disk / "new", cwd=project).code == 1
    assert {name: content for name, content in files_in(full_disk).items() if not name.startswith("cache")} == before


@pytest.mark.parametrize("place", ["missing/plan.html", "film.kling/plan.html", "\x1b[31m/plan.html", "x" * 300])
def test_a_place_that_cannot_be_written(project: Path, place: str) -> None:
    before = files_in(project)
    ran = kling("plan", "film.kling", "--format", "html", "--out", place, cwd=project)
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert files_in(project) == before


def test_a_project_that_is_read_only(project: Path) -> None:
    with _as_nobody(project) as nobody:
        assert kling("check", "film.kling", cwd=project, before=nobody).code == 0
        assert kling("check", "--fix", "bad.kling", cwd=project, before=nobody).code == 1
        assert kling("compile", "film.kling", cwd=project, before=nobody).code == 0
        ran = kling("plan", "film.kling", "--out", "plan.txt", cwd=project, before=nobody)
        assert (ran.code, len(ran.err.splitlines())) == (1, 1)


@contextlib.contextmanager
def _as_nobody(folder: Path) -> Iterator[Callable[[], None] | None]:
    """Make a folder read-only; root, who may write anyway, gives that up in the new process."""
    folder.chmod(0o555)
    try:
        yield _drop_powers if os.geteuid() == 0 else None
    finally:
        folder.chmod(0o755)


def _drop_powers() -> None:
    import ctypes

    # Keep the user, who can reach the interpreter and the folders above, and drop root's right to write anywhere.
    libc = ctypes.CDLL(None, use_errno=True)
    secbit_noroot, pr_set_securebits = 1, 28
    if libc.prctl(pr_set_securebits, secbit_noroot, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


CACHES: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: path.write_text("not a folder"),
    "nothing that can be made": lambda path: path.symlink_to("/proc/nothing/here"),
    "a device": lambda path: path.symlink_to("/dev/full"),
    "not writable": lambda path: path.mkdir(mode=0o500),
}


@pytest.mark.parametrize("kind", CACHES)
def test_a_cache_folder_that_cannot_be_used(project: Path, tmp_path: Path, kind: str) -> None:
    CACHES[kind](tmp_path / "cache")
    for _ in range(2):
        ran = kling("check", "film.kling", cwd=project, surroundings={"KLING_CACHE_DIR": str(tmp_path / "cache")})
        assert (ran.code, ran.err) == (0, "")


def test_a_cache_whose_every_file_is_damaged(project: Path, tmp_path: Path) -> None:
    cache = {"KLING_CACHE_DIR": str(tmp_path / "cache")}
    right = kling("check", "bad.kling", cwd=project, surroundings=cache).out
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert {path.parent.name for path in kept} == {"check", "grammar", "sheets"}
    damages: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(os.urandom(3000)),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1] if path.exists() else b""),
        lambda path: _sign(path, os.urandom(3000)),
        lambda path: _sign(path, b""),
        lambda path: _sign(path, b"\n\n"),
        _put_folder,
        _put_pipe,
        _put_device,
    ]
    for damage in damages:
        for path in kept:
            damage(path)
        assert kling("check", "bad.kling", cwd=project, surroundings=cache).out == right


def _put_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _put_pipe(path: Path) -> None:
    path.rmdir()
    os.mkfifo(path)


def _put_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _sign(path: Path, payload: bytes) -> None:
    """Write a payload as the cache would, its digest before it."""
    path.write_bytes(hashlib.sha256(payload).digest() + payload)


class _Trap:
    """What runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.mark}'",)


def test_nothing_in_a_cache_is_ever_run(project: Path, tmp_path: Path) -> None:
    cache = {"KLING_CACHE_DIR": str(tmp_path / "cache")}
    kling("check", "film.kling", cwd=project, surroundings=cache)
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            _sign(path, pickle.dumps(_Trap(tmp_path / "owned")))
    assert kling("check", "bad.kling", cwd=project, surroundings=cache).code == 1
    assert not (tmp_path / "owned").exists()


def test_a_cache_that_others_can_write_is_not_believed(project: Path, tmp_path: Path) -> None:
    cache = {"KLING_CACHE_DIR": str(tmp_path / "cache")}
    right = kling("check", "film.kling", cwd=project, surroundings=cache).out
    (record,) = (tmp_path / "cache" / "check").iterdir()
    _sign(record, record.read_bytes()[32:].replace(b"$2.10", b"$0.01"))
    record.chmod(0o600)
    assert "$0.01" in kling("check", "film.kling", cwd=project, surroundings=cache).out, "the test forges what is read"
    record.chmod(0o622)
    assert kling("check", "film.kling", cwd=project, surroundings=cache).out == right


def test_a_cache_of_somebody_else_is_not_believed(project: Path, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, who can give a file to somebody else")
    cache = {"KLING_CACHE_DIR": str(tmp_path / "cache")}
    right = kling("check", "film.kling", cwd=project, surroundings=cache).out
    (record,) = (tmp_path / "cache" / "check").iterdir()
    _sign(record, record.read_bytes()[32:].replace(b"$2.10", b"$0.01"))
    os.chown(record, 65534, 65534)
    assert kling("check", "film.kling", cwd=project, surroundings=cache).out == right


@pytest.mark.parametrize(
    "home",
    [
        {"HOME": ""},
        {"HOME": "."},
        {"HOME": "/nowhere"},
        {"HOME": "/dev/null"},
        {"XDG_CACHE_HOME": "cache", "HOME": "~"},
    ],
)
def test_without_a_home_nothing_is_kept_in_the_project(project: Path, home: dict[str, str]) -> None:
    before = files_in(project)
    if home["HOME"] == "":
        # Without HOME the user's own folder is asked of the system, and tests leave that alone.
        home = {**home, "XDG_CACHE_HOME": "/dev/null"}
    ran = kling("check", "film.kling", cwd=project, surroundings={"KLING_CACHE_DIR": "", **home})
    assert (ran.code, ran.err) == (0, "")
    assert files_in(project) == before


VERBS = [("check", "bad.kling"), ("compile", "many.kling"), ("plan", "film.kling"), ("models", "o3-4k")]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_reader_that_goes_away(project: Path, words: tuple[str, ...]) -> None:
    expected = kling(*words, cwd=project).code
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        ran = kling(*words, cwd=project, out=pipe)
    assert ran.code == expected
    assert "pipe" not in ran.err.lower()


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_outputs_that_are_full_or_closed(project: Path, words: tuple[str, ...]) -> None:
    expected = kling(*words, cwd=project).code
    with open("/dev/full", "wb") as full:
        ran = kling(*words, cwd=project, out=full)
        assert (ran.code, ran.err) == (1, "kling: No space left on device\n")
        complaints = subprocess.run((KLING, *words), cwd=project, stdout=subprocess.PIPE, stderr=full, check=False)
        assert complaints.returncode == expected
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        line = f'exec "$@" {closed}'
        done = subprocess.run(
            ("sh", "-c", line, "sh", KLING, *words), cwd=project, capture_output=True, check=False, timeout=20
        )
        assert done.returncode == expected
        assert b"Traceback" not in done.stdout + done.stderr


def test_wrong_usage_with_nobody_to_tell(project: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run((KLING, "check", "none.kling"), cwd=project, stderr=full, check=False)
    assert done.returncode == 2


def test_a_slow_reader_of_a_pipe_that_does_not_wait(project: Path) -> None:
    whole = kling("compile", "many.kling", cwd=project).out
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    done = subprocess.Popen((KLING, "compile", "many.kling"), cwd=project, stdout=writing)
    os.close(writing)
    time.sleep(1)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().decode() == whole
    assert done.wait(20) == 0


def wait_until_it_runs(process: int) -> None:
    """Wait until Python has started and imports for `kling`: what comes before is no part of the program.

    Where the system does not show what a process has in its memory, half a second has to do.
    """
    maps = Path(f"/proc/{process}/maps")
    end = time.monotonic() + (20 if maps.exists() else 0.5)
    while time.monotonic() < end and not (maps.exists() and "msgspec" in maps.read_text()):
        time.sleep(0.005)


@pytest.mark.parametrize("seconds", [0.1, 0.4])
def test_an_interrupt_ends_with_130_and_one_line(project: Path, seconds: float) -> None:
    write(project, {"long.kling": MANY * 15})
    done = subprocess.Popen(
        (KLING, "check", "--fix", "long.kling"), cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_until_it_runs(done.pid)
    time.sleep(seconds)
    done.send_signal(signal.SIGINT)
    out, err = done.communicate(timeout=20)
    assert done.returncode == 130
    assert err.strip() == b"kling: interrupted"
    assert out == b""


@pytest.mark.parametrize("megabytes", [120, 150])
def test_too_little_memory_is_said(project: Path, megabytes: int) -> None:
    # Nothing is wrong with it: the first does not suffice to read it, the second not to take it apart.
    write(project, {"large.kling": SHOT + f"# {'Comments count for nothing. ' * 30}\n" * 75_000})

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    ran = kling("check", "large.kling", cwd=project, before=limit)
    assert (ran.code, ran.out, ran.err) == (1, "", "kling: there is not enough memory for this\n")
