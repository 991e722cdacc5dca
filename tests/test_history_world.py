"""The files of a commit as the compiler gets them: the refusals of the disk, pointers of Git LFS, and facts that are kept."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from commands import picture, video
from git_projects import NEEDS_GIT, Repository

from kling_dsl.history import git
from kling_dsl.history import world as worlds
from kling_dsl.history.world import GitWorld, Known, WorkingWorld, read_pointer
from kling_dsl.project import DiskWorld
from kling_dsl.project.media import describe_media
from kling_dsl.world import Media, Unreadable

pytestmark = NEEDS_GIT

LONG_AGO = 1_700_000_000
LIKE = "0" * 40


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = Repository(tmp_path / "repo")
    for name, value in found.surroundings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KLING_CACHE_DIR", str(tmp_path / "cache"))
    return found


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the files that were digested since."""
    found: list[int] = []

    def noted(file: BinaryIO, *, limit: int) -> Media | None:
        media = describe_media(file, limit=limit)
        found.append(media.bytes if media else -1)
        return media

    monkeypatch.setattr(worlds, "describe_media", noted)
    return found


@pytest.fixture
def opened(repository: Repository) -> Iterator[git.Repository]:
    with git.Repository(repository.root) as found:
        yield found


def working(repository: Repository, *, now_ns: int | None = None) -> WorkingWorld:
    return WorkingWorld(DiskWorld(repository.root), like=LIKE, now_ns=time.time_ns() if now_ns is None else now_ns)


def at_head(repository: Repository, opened: git.Repository) -> GitWorld:
    tree = opened.tree(opened.commit_of("HEAD"), opened.prefix_of(repository.root))
    return GitWorld(opened, tree, beside=working(repository))


def pointer(digest: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n".encode()


def reason(answer: object) -> str:
    assert isinstance(answer, Unreadable), answer
    return answer.reason


def test_a_commit_answers_like_the_disk(repository: Repository) -> None:
    outside = repository.top.parent / "outside.kling"
    outside.write_text("x", encoding="utf-8")
    repository.write("films/a.kling", "\ufefftext\r\nmore\n")
    repository.write("films/latin.kling", "caf\xe9".encode("latin-1"))
    repository.write("refs/a.png", picture())
    repository.write("refs/a.mp4", video())
    repository.write("refs/cut.png", picture()[:200])
    repository.write("refs/none.png", b"")
    repository.write(".env", "SECRET")
    for link, target in {
        "films/link.kling": "a.kling",
        "films/up.kling": "../films/./link.kling",
        "films/out.kling": "../../outside.kling",
        "films/far.kling": str(outside),
        "films/round.kling": "round.kling",
        "films/gone.kling": "nothing.kling",
        "films/env.kling": "../.env",
        "short": "refs",
        "films/git.kling": "../.git/config",
    }.items():
        (repository.root / link).symlink_to(target)
    repository.commit()
    disk = DiskWorld(repository.root)
    with git.Repository(repository.root) as opened:
        commit = at_head(repository, opened)
        for path in (
            *("films/a.kling", "films/link.kling", "films/up.kling", "films/../films/a.kling", "films/latin.kling"),
            *("films/out.kling", "films/far.kling", "films/round.kling", "films/gone.kling", "films/env.kling"),
            *("films/git.kling", ".env", "films", "", ".", "../outside.kling", str(outside), "films/a.kling/b", "a\0b"),
            *("nothing", "short", "x" * 300, "\udcff.kling"),
        ):
            one, other = disk.read_text(path), commit.read_text(path)
            if isinstance(one, str):
                assert other == one, path
            elif path not in ("x" * 300, "films/a.kling/b", "\udcff.kling"):
                assert reason(other) == one.reason, (path, one, other)
            else:
                assert isinstance(other, Unreadable), path
        for path in ("refs/a.png", "refs/a.mp4", "refs/cut.png", "refs/none.png", "short/a.png", "refs", "gone.png"):
            assert commit.media(path) == disk.media(path), path


def test_a_submodule_is_not_looked_into(repository: Repository, tmp_path: Path, opened: git.Repository) -> None:
    inner = Repository(tmp_path / "inner")
    inner.write("a.png", picture())
    inner.commit()
    repository.git("submodule", "--quiet", "add", str(inner.top), "parts")
    repository.commit()
    world = at_head(repository, opened)
    assert reason(world.media("parts/a.png")) == reason(world.read_text("parts")) == "unreadable"
    assert world.paths == ()


def test_what_is_too_large_is_never_read(
    repository: Repository, opened: git.Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("a.kling", "x" * 1000)
    repository.write("a.png", picture())
    repository.commit()
    (repository.root / "a.png").unlink()
    monkeypatch.setattr(worlds, "MAX_TEXT_BYTES", 999)
    monkeypatch.setattr(worlds, "MAX_MEDIA_BYTES", 99)
    monkeypatch.setattr(git.Repository, "read", lambda *_: pytest.fail("it was read"))
    world = at_head(repository, opened)
    assert reason(world.read_text("a.kling")) == reason(world.media("a.png")) == "too-large"


def test_a_pointer_of_lfs_is_what_it_points_to(repository: Repository, opened: git.Repository) -> None:
    content = picture()
    digest = hashlib.sha256(content).hexdigest()
    repository.write("a.png", pointer(digest, len(content)))
    repository.write("b.jpg", pointer("b" * 64, 12_345))
    repository.write("broken.png", pointer("b" * 63, 1))
    repository.commit()
    assert working(repository).media("b.jpg") == Media("b" * 64, 12_345, "jpeg")
    repository.write("a.png", content)
    (repository.root / "b.jpg").unlink()
    world = at_head(repository, opened)
    # The file is fetched here, so that all is known of it; the other one is not.
    assert world.media("a.png") == DiskWorld(repository.root).media("a.png")
    assert world.media("b.jpg") == Media("b" * 64, 12_345, "jpeg")
    broken = world.media("broken.png")
    assert isinstance(broken, Media)
    assert (broken.kind, broken.bytes) == ("", len(pointer("b" * 63, 1)))


@pytest.mark.parametrize(
    "content",
    [
        pointer("a" * 64, 1).replace(b"/v1", b"/v2"),
        pointer("A" * 64, 1),
        pointer("a" * 64, 1) + b"more",
        pointer("a" * 64, 1).replace(b"size 1\n", b""),
        pointer("a" * 64, 1).replace(b"sha256", b"sha512"),
        pointer("a" * 64, 1) + b"x-note " + b"x" * 1100 + b"\n",
        b"",
    ],
)
def test_what_only_looks_like_a_pointer_is_none(content: bytes) -> None:
    assert read_pointer(content, "a.png") is None


def test_a_pointer_may_have_extensions() -> None:
    content = pointer("a" * 64, 7).replace(b"\noid", b"\next-0-foo sha256:" + b"b" * 64 + b"\noid")
    assert read_pointer(content, "refs/A.PNG") == Media("a" * 64, 7, "png")


def test_facts_of_the_disk_are_kept_by_size_time_and_inode(repository: Repository, described: list[int]) -> None:
    place = repository.write("a.png", picture())
    os.utime(place, (LONG_AGO, LONG_AGO))
    first = working(repository).media("a.png")
    assert working(repository).media("a.png") == first == DiskWorld(repository.root).media("a.png")
    assert len(described) == 1
    # Another content of the same length and time is another file.
    other = repository.write("b.png", picture()[:-1] + b"x")
    os.utime(other, (LONG_AGO, LONG_AGO))
    os.replace(other, place)
    changed = working(repository).media("a.png")
    assert isinstance(changed, Media)
    assert changed != first
    os.utime(place, (LONG_AGO, LONG_AGO + 1))
    assert working(repository).media("a.png") == changed
    assert len(described) == 3


def test_facts_of_a_young_file_are_not_kept(repository: Repository, described: list[int]) -> None:
    place = repository.write("a.png", picture())
    now_ns = place.stat().st_mtime_ns
    for moment in (now_ns - 10**9, now_ns, now_ns + worlds.RACY_NANOSECONDS - 1):
        working(repository, now_ns=moment).media("a.png")
    assert len(described) == 3
    for _ in range(2):
        working(repository, now_ns=now_ns + worlds.RACY_NANOSECONDS).media("a.png")
    assert len(described) == 4


def test_both_sides_digest_a_file_once(
    repository: Repository, opened: git.Repository, described: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("a.png", picture())
    repository.commit()
    reads: list[str] = []
    monkeypatch.setattr(git.Repository, "read", lambda _, blob: reads.append(blob))
    world = at_head(repository, opened)
    assert world.media("a.png") == DiskWorld(repository.root).media("a.png")
    assert (len(described), reads) == (1, [])


def test_facts_of_a_blob_are_kept_for_ever(
    repository: Repository, opened: git.Repository, described: list[int]
) -> None:
    repository.write("a.png", picture())
    repository.commit()
    (repository.root / "a.png").unlink()
    first = at_head(repository, opened).media("a.png")
    assert at_head(repository, opened).media("a.png") == first
    assert isinstance(first, Media)
    assert first.kind == "png"
    assert len(described) == 1


def test_damaged_facts_are_made_again(repository: Repository, tmp_path: Path, described: list[int]) -> None:
    os.utime(repository.write("a.png", picture()), (LONG_AGO, LONG_AGO))
    first = working(repository).media("a.png")
    (kept,) = (path for path in (tmp_path / "cache" / "files").iterdir())
    kept.write_bytes(kept.read_bytes()[:-3])
    assert working(repository).media("a.png") == first
    kept.write_bytes(hashlib.sha256(b"[]").digest() + b"[]")
    assert working(repository).media("a.png") == first
    assert len(described) == 3


def test_a_file_that_changes_while_it_is_read_has_no_facts(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = repository.write("a.png", picture())
    read = DiskWorld.read_media

    def slow(self: DiskWorld, path: str) -> bytes | Unreadable:
        content = read(self, path)
        place.write_bytes(picture() + b"more")
        return content

    monkeypatch.setattr(DiskWorld, "read_media", slow)
    answer = working(repository).media("a.png")
    assert answer == Unreadable("unreadable", "changed while it was being read")


def test_a_large_file_is_read_piece_by_piece(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write("a.png", picture())
    monkeypatch.setattr(worlds, "_MAX_WHOLE_BYTES", 100)
    monkeypatch.setattr(DiskWorld, "read_media", lambda *_: pytest.fail("it was read whole"))
    known = working(repository).known("a.png")
    assert isinstance(known, Known)
    assert (known.media, known.blob) == (DiskWorld(repository.root).media("a.png"), "")
