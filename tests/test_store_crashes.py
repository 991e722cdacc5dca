"""Whatever ends a process or fills a disk, what was paid for is there, whole."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from killed import kill_at_each_step
from measuring import limited

from kling_dsl.store import Store

CLIP = b"\x00\x00\x00\x18ftypisom" + bytes(range(256)) * 40
DIGEST = hashlib.sha256(CLIP).hexdigest()

SETUP = """
import hashlib, os
from kling_dsl.store import Store, link_out

CLIP = b"\\x00\\x00\\x00\\x18ftypisom" + bytes(range(256)) * 40
OTHER = CLIP + b"another take"
DIGEST = hashlib.sha256(CLIP).hexdigest()
RECORD = b'{"request_id": "r1"}'

def fetch(here, content=CLIP):
    part = Store(here).part("f" * 64, 1)
    part.write_bytes(content)
    return part

def content(path):
    if not os.path.lexists(path):
        return "none"
    return {CLIP: "clip", OTHER: "other", RECORD: "record"}.get(path.read_bytes(), "broken")
"""


def test_a_kill_while_keeping_leaves_the_part_or_the_clip(tmp_path: Path) -> None:
    found = kill_at_each_step(
        SETUP,
        prepare="fetch(here)",
        work="Store(here).keep(Store(here).part('f' * 64, 1), lambda digest: RECORD)",
        look="""
        store = Store(here)
        part = store.part("f" * 64, 1)
        before = [content(part), content(store.path(DIGEST)), store.find_request("r1")]
        if before[0] != "none":
            store.keep(part, RECORD)
        found = before, [content(part), store.check(DIGEST), content(store.path(DIGEST).with_suffix(".json"))]
        """,
        folder=tmp_path,
    )
    assert len(found) > 10
    # Never neither of the two, never a broken one, and a clip that is in place can be found by its request.
    assert {tuple(before) for before, _ in found} == {("clip", "none", ""), ("none", "clip", DIGEST)}
    assert {tuple(after) for _, after in found} == {("none", "", "record")}


def test_a_kill_while_mending_a_clip_loses_nothing(tmp_path: Path) -> None:
    found = kill_at_each_step(
        SETUP,
        prepare="""
        store = Store(here)
        store.keep(fetch(here), RECORD)
        store.path(DIGEST).chmod(0o644)
        store.path(DIGEST).write_bytes(OTHER)
        fetch(here)
        """,
        work="Store(here).keep(Store(here).part('f' * 64, 1), RECORD)",
        look="""
        store = Store(here)
        part = store.part("f" * 64, 1)
        place = store.path(DIGEST)
        aside = [content(path) for path in (here / "quarantine").glob("*.mp4")]
        before = [content(part), content(place), *aside]
        if before[0] != "none":
            store.keep(part, RECORD)
        found = before, store.check(DIGEST)
        """,
        folder=tmp_path,
    )
    states = {tuple(sorted(before)) for before, _ in found}
    assert states == {("clip", "other"), ("clip", "none", "other")}
    assert {after for _, after in found} == {""}


def test_a_kill_while_setting_aside_leaves_the_part_or_the_file_in_quarantine(tmp_path: Path) -> None:
    found = kill_at_each_step(
        SETUP,
        prepare="fetch(here)",
        work="Store(here).quarantine(Store(here).part('f' * 64, 1), 'too short', RECORD)",
        look="""
        store = Store(here)
        part = store.part("f" * 64, 1)
        before = [content(part), *(content(path) for path in (here / "quarantine").glob("*.mp4"))]
        if before[0] != "none":
            store.quarantine(part, "too short", RECORD)
        place, = (here / "quarantine").glob("*.mp4")
        after = content(place), place.with_suffix(".txt").read_text(), content(place.with_suffix(".json"))
        found = before, after
        """,
        folder=tmp_path,
    )
    assert {tuple(before) for before, _ in found} == {("clip",), ("none", "clip")}
    assert {tuple(after) for _, after in found} == {("clip", "too short\n", "record")}


@pytest.mark.parametrize("kind", ["hard link", "symbolic link", "copy"])
def test_a_kill_while_a_clip_is_shown_leaves_the_old_one_or_the_new_one(tmp_path: Path, kind: str) -> None:
    missing = {"hard link": "", "symbolic link": "link", "copy": "link symlink"}[kind]
    found = kill_at_each_step(
        SETUP
        + textwrap.dedent(f"""
        def refuse(*arguments, **settings):
            raise PermissionError(1, "Operation not permitted")

        for name in {missing.split()}:
            setattr(os, name, refuse)
        """),
        prepare="""
        store = Store(here / "store")
        store.keep(fetch(store.folder, OTHER), RECORD)
        store.keep(fetch(store.folder), RECORD)
        link_out(here / "out", {"door": store.path(hashlib.sha256(OTHER).hexdigest())})
        """,
        work="link_out(here / 'out', {'door': Store(here / 'store').path(DIGEST)})",
        look="""
        store = Store(here / "store")
        before = content(here / "out" / "door.mp4")
        done = link_out(here / "out", {"door": store.path(DIGEST)})["door"]
        found = before, content(here / "out" / "door.mp4"), done.how, store.check(DIGEST)
        """,
        folder=tmp_path,
    )
    assert {before for before, *_ in found} == {"other", "clip"}
    assert {after for _, after, *_ in found} == {"clip"}
    assert {how for *_, how, _ in found} == {kind, "there already"}
    assert {check for *_, check in found} == {""}


def run(statements: str, *, before: Callable[[], None] | None = None) -> Any:
    """Run statements in a process of their own, after `before`, and return what they leave in `found`."""
    program = f"{SETUP}\nimport json\n{textwrap.dedent(statements)}\nprint(json.dumps(found))\n"
    done = subprocess.run(
        (sys.executable, "-c", program),
        env=None if before is None else limited(),
        capture_output=True,
        encoding="utf-8",
        check=False,
        preexec_fn=before,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def small_files() -> None:
    """Let no file grow beyond a kilobyte; writing more is an error and not the end of the process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


def drop_powers() -> None:
    """Give up root's right to write anywhere, and keep the user, who can reach the interpreter."""
    libc = ctypes.CDLL(None, use_errno=True)
    secbit_noroot, pr_set_securebits = 1, 28
    if libc.prctl(pr_set_securebits, secbit_noroot, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def tree(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}


def attempt(action: str, **paths: Path) -> str:
    """Return statements that try an action, in which names stand for paths, and find what became of it."""
    lines = ["from pathlib import Path", *(f"{name} = Path({str(path)!r})" for name, path in paths.items())]
    lines += ["try:", f"    {action}", "    found = 'done'"]
    lines += ["except OSError as problem:", "    found = type(problem).__name__, problem.errno"]
    return "\n".join(lines)


def prepared(folder: Path) -> Path:
    part = Store(folder).part("f" * 64, 1)
    part.write_bytes(CLIP)
    return part


@pytest.mark.parametrize(
    "action",
    [
        "Store(HERE).keep(PART, b'{}' * 1000)",
        "Store(HERE).quarantine(PART, 'reason ' * 1000, RECORD)",
        "Store(HERE).quarantine(PART, 'reason', b'{}' * 1000)",
    ],
)
def test_a_record_that_does_not_fit_leaves_the_part_and_nothing_else(tmp_path: Path, action: str) -> None:
    part = prepared(tmp_path)
    assert run(attempt(action, HERE=tmp_path, PART=part), before=small_files) == ["OSError", errno.EFBIG]
    assert tree(tmp_path) == {f"incoming/{part.name}": CLIP}
    assert Store(tmp_path).keep(part, b"{}") == DIGEST


def test_a_copy_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.keep(prepared(store.folder), b"{}")
    store.part("e" * 64, 1).write_bytes(b"small")
    small = store.keep(store.part("e" * 64, 1), b"{}")
    out = tmp_path / "out"
    out.mkdir()
    (out / "door.mp4").write_bytes(b"small")
    refuse = """
    def refuse(*arguments, **settings):
        raise PermissionError(1, "Operation not permitted")

    os.link = os.symlink = refuse
    """
    text = attempt("link_out(OUT, {'door': CLIP_PATH})", OUT=out, CLIP_PATH=store.path(DIGEST))
    assert run(textwrap.dedent(refuse) + text, before=small_files) == ["OSError", errno.EFBIG]
    assert tree(out) == {"door.mp4": b"small"}
    assert store.check(small) == store.check(DIGEST) == ""


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file system of its own, which a clip fills so far that nothing else fits."""
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


def test_a_full_disk_leaves_the_part_until_there_is_room(full_disk: Path) -> None:
    part = prepared(full_disk)
    for name in ("incoming", DIGEST[:2], "quarantine"):
        (full_disk / name).mkdir(exist_ok=True)
    filler = full_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    before = tree(full_disk)
    with pytest.raises(OSError, match="No space left"):
        Store(full_disk).keep(part, b"{}" * 4096)
    with pytest.raises(OSError, match="No space left"):
        Store(full_disk).quarantine(part, "reason", b"{}")
    assert tree(full_disk) == before
    filler.unlink()
    assert Store(full_disk).keep(part, b"{}") == DIGEST


def test_a_read_only_folder_is_an_error_that_loses_nothing(tmp_path: Path) -> None:
    part = prepared(tmp_path)
    Store(tmp_path).part("e" * 64, 1)
    before = tree(tmp_path)
    tmp_path.chmod(0o555)
    try:
        limits = drop_powers if os.geteuid() == 0 else None
        for action in (
            "Store(HERE).keep(PART, RECORD)",
            "Store(HERE).quarantine(PART, 'reason', RECORD)",
            "link_out(HERE / 'out', {'door': PART})",
        ):
            found = run(attempt(action, HERE=tmp_path, PART=part), before=limits)
            assert found == ["PermissionError", errno.EACCES]
    finally:
        tmp_path.chmod(0o755)
    assert tree(tmp_path) == before


def test_several_processes_that_keep_one_clip_end_with_it(tmp_path: Path) -> None:
    parts = [Store(tmp_path).part(letter * 64, 1) for letter in "abcd"]
    for part in parts:
        part.write_bytes(CLIP)
    program = (
        "import sys\nfrom pathlib import Path\nfrom kling_dsl.store import Store\nsys.stdin.readline()\n"
        "print(Store(Path(sys.argv[1])).keep(Path(sys.argv[2]), b'{}'))"
    )
    started = [
        subprocess.Popen(
            (sys.executable, "-c", program, str(tmp_path), str(part)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for part in parts
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0].strip() for process in started] == [DIGEST] * 4
    assert Store(tmp_path).check(DIGEST) == ""
    assert sorted(tree(tmp_path)) == [f"{DIGEST[:2]}/{DIGEST}.json", f"{DIGEST[:2]}/{DIGEST}.mp4"]
