"""What was paid for stays: whole, by its digest, never replaced and never dropped."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from kling_dsl import store as module
from kling_dsl.store import Linked, Store, link_out

CLIP = b"\x00\x00\x00\x18ftypisom" + bytes(range(256)) * 40
OTHER = CLIP + b"another take"
DIGEST = hashlib.sha256(CLIP).hexdigest()
FINGERPRINT = "f" * 64


def record(request: str = "r1") -> bytes:
    return json.dumps({"clip": "door", "request_id": request}).encode()


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".kling" / "store")


def fetch(store: Store, content: bytes = CLIP, take: int = 1) -> Path:
    part = store.part(FINGERPRINT, take)
    part.write_bytes(content)
    return part


def keep(store: Store, content: bytes = CLIP, request: str = "r1") -> str:
    return store.keep(fetch(store, content), record(request))


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_store_that_is_not_there_holds_nothing_and_is_not_made_by_looking(store: Store) -> None:
    assert not store.has(DIGEST)
    assert store.check(DIGEST) == "missing"
    assert list(store.digests()) == []
    assert store.provenance(DIGEST) == b""
    assert store.find_request("r1") == ""
    assert store.path(DIGEST) == store.folder / DIGEST[:2] / f"{DIGEST}.mp4"
    assert not store.folder.exists()


def test_a_download_becomes_a_clip_under_its_digest(store: Store) -> None:
    part = fetch(store)
    assert part == store.folder / "incoming" / f"{FINGERPRINT}-1.part"
    told: list[str] = []

    def describe(sha256: str) -> bytes:
        told.append(sha256)
        return record()

    assert store.keep(part, describe) == DIGEST
    assert told == [DIGEST]
    assert store.path(DIGEST).read_bytes() == CLIP
    assert store.has(DIGEST)
    assert store.check(DIGEST) == ""
    assert store.provenance(DIGEST) == record()
    assert store.find_request("r1") == DIGEST
    assert tree(store.folder) == [f"{DIGEST[:2]}/{DIGEST}.json", f"{DIGEST[:2]}/{DIGEST}.mp4"]


def test_what_is_kept_is_for_this_user_alone_and_no_clip_can_be_written_to(store: Store) -> None:
    keep(store)
    for folder in (store.folder, store.folder / "incoming", store.path(DIGEST).parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert store.path(DIGEST).stat().st_mode & 0o222 == 0


def test_keeping_again_changes_nothing_and_drops_the_part(store: Store) -> None:
    keep(store)
    before = store.path(DIGEST).stat()
    assert keep(store) == DIGEST
    after = store.path(DIGEST).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert tree(store.folder) == [f"{DIGEST[:2]}/{DIGEST}.json", f"{DIGEST[:2]}/{DIGEST}.mp4"]


def test_two_requests_that_gave_the_same_bytes_are_both_on_record(store: Store) -> None:
    keep(store)
    keep(store, request="r2")
    keep(store, request="r2")
    assert store.find_request("r1") == store.find_request("r2") == DIGEST
    assert store.provenance(DIGEST) == record()
    names = [f"{DIGEST}.2.json", f"{DIGEST}.json", f"{DIGEST}.mp4"]
    assert tree(store.folder) == [f"{DIGEST[:2]}/{name}" for name in names]


def test_a_record_alone_is_no_clip(store: Store) -> None:
    keep(store)
    store.path(DIGEST).unlink()
    assert store.find_request("r1") == ""
    assert list(store.digests()) == []
    assert keep(store) == DIGEST
    assert store.find_request("r1") == DIGEST


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b'{"request_id": 3}', b"\xff", b"[" * 5000])
def test_a_record_that_makes_no_sense_names_no_request(store: Store, content: bytes) -> None:
    store.keep(fetch(store), content)
    other = keep(store, OTHER, "r9")
    assert store.find_request("r9") == other
    assert store.find_request("r1") == ""
    assert store.find_request("") == ""
    assert store.provenance(DIGEST) == content


def test_digests_come_in_order_and_pass_over_what_is_no_clip(store: Store) -> None:
    contents = [CLIP + bytes([number]) for number in range(5)]
    expected = sorted(keep(store, content) for content in contents)
    for name in (f"ab/{DIGEST}.mp4", "ab/readme.mp4", "ab/notes.txt", f"quarantine/{DIGEST}.mp4"):
        (store.folder / name).parent.mkdir(exist_ok=True)
        (store.folder / name).write_bytes(CLIP)
    store.path(expected[0]).chmod(0o644)
    store.path(expected[0]).write_bytes(b"")
    assert list(store.digests()) == expected[1:]


def make_missing(place: Path) -> None:
    place.unlink()


def make_altered(place: Path) -> None:
    place.chmod(0o644)
    place.write_bytes(CLIP[:-1] + b"?")


def make_truncated(place: Path) -> None:
    os.truncate(place, len(CLIP) // 2)


def make_empty(place: Path) -> None:
    os.truncate(place, 0)


def make_folder(place: Path) -> None:
    place.unlink()
    (place / "inside").mkdir(parents=True)


def make_link(place: Path) -> None:
    aside = place.with_name("aside")
    place.rename(aside)
    place.symlink_to(aside)


def make_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


DAMAGES = {
    make_missing: (False, "missing"),
    make_altered: (True, "altered: its content has the digest"),
    make_truncated: (True, "altered: its content has the digest"),
    make_empty: (False, "altered: it is empty"),
    make_folder: (False, "altered: no regular file stands in its place"),
    make_link: (False, "altered: a symbolic link stands in its place"),
    make_pipe: (False, "altered: no regular file stands in its place"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_clip_is_noticed_and_keeping_it_again_mends_it(store: Store, damage: object) -> None:
    keep(store)
    assert callable(damage)
    damage(store.path(DIGEST))
    there, words = DAMAGES[damage]
    assert store.has(DIGEST) is there
    assert store.check(DIGEST).startswith(words)
    assert keep(store) == DIGEST
    assert store.check(DIGEST) == ""
    # What stood there is no clip of this digest, and is somebody's all the same.
    aside = [path.name for path in (store.folder / "quarantine").glob("*altered-1.*")] if words != "missing" else []
    assert len(aside) == (0 if words == "missing" else 2)


@pytest.mark.parametrize("name", ["", "short", "F" * 64, "../" * 20, f"{DIGEST}\n", f"{DIGEST}/..", "é" * 64])
def test_what_is_no_digest_never_becomes_a_path(store: Store, name: str) -> None:
    for ask in (store.path, store.has, store.check, store.provenance, lambda text: store.part(text, 1)):
        with pytest.raises(ValueError, match="is no SHA-256 digest"):
            ask(name)


def test_an_empty_or_missing_part_and_one_that_is_no_file_are_not_kept(store: Store) -> None:
    with pytest.raises(ValueError, match="is empty"):
        keep(store, b"")
    part = store.part(FINGERPRINT, 1)
    part.unlink()
    with pytest.raises(FileNotFoundError):
        store.keep(part, record())
    part.mkdir()
    with pytest.raises(OSError, match=r"regular file|directory"):
        store.keep(part, record())
    part.rmdir()
    part.symlink_to(__file__)
    with pytest.raises(OSError, match="symbolic link"):
        store.keep(part, record())
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(OSError, match="is no regular file"):
        store.keep(part, record())
    assert list(store.digests()) == []


def test_quarantine_keeps_everything_and_says_why(store: Store) -> None:
    first = store.quarantine(fetch(store), "3.0 s long, not 5 s", record())
    second = store.quarantine(fetch(store, OTHER), "no video\x1b", record("r2"))
    third = store.quarantine(fetch(store, b"<html>"), "no video", record("r3"))
    assert [path.name for path in (first, second, third)] == [
        f"{FINGERPRINT}-1-1.mp4",
        f"{FINGERPRINT}-1-2.mp4",
        f"{FINGERPRINT}-1-3.bin",
    ]
    assert [path.read_bytes() for path in (first, second, third)] == [CLIP, OTHER, b"<html>"]
    assert first.with_suffix(".txt").read_text(encoding="utf-8") == "3.0 s long, not 5 s\n"
    assert second.with_suffix(".json").read_bytes() == record("r2")
    assert tree(store.folder / "incoming") == []
    assert list(store.digests()) == []


def test_quarantine_never_replaces_what_a_person_put_there(store: Store) -> None:
    folder = store.folder / "quarantine"
    folder.mkdir(parents=True)
    mine = [folder / f"{FINGERPRINT}-1-1.mp4", folder / f"{FINGERPRINT}-1-2.txt", folder / f"{FINGERPRINT}-1-3.mp4"]
    for path in mine[:2]:
        path.write_bytes(b"mine")
    mine[2].symlink_to("nowhere")
    place = store.quarantine(fetch(store), "too short", record())
    assert place.name == f"{FINGERPRINT}-1-4.mp4"
    assert [path.read_bytes() for path in mine[:2]] == [b"mine", b"mine"]
    assert os.readlink(mine[2]) == "nowhere"
    assert tree(folder) == sorted(
        [*(path.name for path in mine), *(place.stem + end for end in (".json", ".mp4", ".txt"))]
    )


def test_what_cannot_be_put_aside_stays_where_it_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    part = fetch(store)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(PermissionError):
            store.quarantine(part, "too short", b"")
    assert (part.read_bytes(), tree(store.folder / "quarantine")) == (CLIP, [])
    monkeypatch.setattr(module, "MAX_NUMBERED", 3)
    for _ in range(2):
        store.quarantine(fetch(store), "too short", record())
    before = tree(store.folder / "quarantine")
    with pytest.raises(FileExistsError, match="too many files of one name in quarantine"):
        store.quarantine(fetch(store), "too short", record())
    assert (part.read_bytes(), tree(store.folder / "quarantine")) == (CLIP, before)


def test_records_of_very_many_requests_with_one_clip_are_not_all_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERED", 3)
    assert {keep(store, request=f"r{number}") for number in range(4)} == {DIGEST}
    assert [store.find_request(f"r{number}") for number in range(4)] == [DIGEST, DIGEST, "", ""]
    assert store.check(DIGEST) == ""


class Outside:
    """The folder where clips are shown, and a store with two takes in it."""

    def __init__(self, root: Path, store: Store) -> None:
        self.folder = root / "out" / "lantern"
        self.store = store
        self.first, self.second = (store.path(keep(store, content)) for content in (CLIP, OTHER))

    def show(self, clip: Path, name: str = "door") -> Linked:
        return link_out(self.folder, {name: clip})[name]

    def names(self) -> list[str]:
        return sorted(os.listdir(self.folder))


@pytest.fixture
def out(tmp_path: Path, store: Store) -> Outside:
    return Outside(tmp_path, store)


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture(params=["hard link", "symbolic link", "copy"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a file system that knows links of both kinds, only symbolic ones, or none."""
    if request.param != "hard link":
        monkeypatch.setattr(os, "link", refuse)
    if request.param == "copy":
        monkeypatch.setattr(os, "symlink", refuse)
    return str(request.param)


def test_clips_get_readable_names(out: Outside, kind: str) -> None:
    done = link_out(out.folder, {"door": out.first, "lamp-2": out.second})
    assert done == {
        "door": Linked(out.folder / "door.mp4", kind),  # type: ignore[arg-type]
        "lamp-2": Linked(out.folder / "lamp-2.mp4", kind),  # type: ignore[arg-type]
    }
    assert (out.folder / "door.mp4").read_bytes() == CLIP
    assert (out.folder / "lamp-2.mp4").read_bytes() == OTHER
    assert out.names() == ["door.mp4", "lamp-2.mp4"]
    assert (out.folder / "door.mp4").is_symlink() is (kind == "symbolic link")


def test_a_name_follows_the_chosen_take(out: Outside, kind: str) -> None:
    out.show(out.first)
    assert out.show(out.second) == Linked(out.folder / "door.mp4", kind)  # type: ignore[arg-type]
    assert (out.folder / "door.mp4").read_bytes() == OTHER
    assert out.names() == ["door.mp4"]
    assert out.store.check(DIGEST) == ""


@pytest.mark.usefixtures("kind")
def test_a_link_that_is_right_already_is_left_alone(out: Outside) -> None:
    out.show(out.first)
    before = (out.folder / "door.mp4").lstat()
    assert out.show(out.first) == Linked(out.folder / "door.mp4", "there already")
    after = (out.folder / "door.mp4").lstat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert out.names() == ["door.mp4"]


def test_a_strangers_file_is_never_replaced(out: Outside, kind: str) -> None:
    out.folder.mkdir(parents=True)
    mine = out.folder / "door.mp4"
    mine.write_bytes(b"my own cut of the door")
    beside = out.folder / "door.kling.mp4"
    assert out.show(out.first) == Linked(beside, kind, mine)  # type: ignore[arg-type]
    assert out.show(out.second) == Linked(beside, kind, mine)  # type: ignore[arg-type]
    assert mine.read_bytes() == b"my own cut of the door"
    assert beside.read_bytes() == OTHER
    assert out.names() == ["door.kling.mp4", "door.mp4"]


@pytest.mark.parametrize("what", ["same size", "folder", "link elsewhere", "dangling link", "pipe", "edited copy"])
def test_what_is_not_ours_is_told_from_what_is(out: Outside, what: str, tmp_path: Path) -> None:
    out.folder.mkdir(parents=True)
    mine = out.folder / "door.mp4"
    elsewhere = tmp_path / f"{DIGEST}.mp4"
    elsewhere.write_bytes(b"mine")
    if what == "same size":
        mine.write_bytes(bytes(len(CLIP)))
    elif what == "folder":
        mine.mkdir()
    elif what == "link elsewhere":
        mine.symlink_to(elsewhere)
    elif what == "dangling link":
        mine.symlink_to(tmp_path / "nowhere")
    elif what == "pipe":
        os.mkfifo(mine)
    else:
        mine.write_bytes(CLIP[:-1] + b"!")
    before = mine.lstat()
    done = out.show(out.first)
    assert done == Linked(out.folder / "door.kling.mp4", "hard link", mine)
    assert (mine.lstat().st_ino, mine.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert elsewhere.read_bytes() == b"mine"


def test_several_files_of_others_are_all_passed_over(out: Outside) -> None:
    out.folder.mkdir(parents=True)
    for name in ("door.mp4", "door.kling.mp4", "door.kling-2.mp4"):
        (out.folder / name).write_bytes(b"mine")
    assert out.show(out.first).path.name == "door.kling-3.mp4"


def test_more_files_of_others_than_are_passed_over_are_told(out: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERED", 2)
    out.folder.mkdir(parents=True)
    for name in ("door.mp4", "door.kling.mp4"):
        (out.folder / name).write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="too many files of one name"):
        out.show(out.first)
    assert out.names() == ["door.kling.mp4", "door.mp4"]


def test_a_name_that_cannot_be_given_leaves_nothing_behind(out: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    out.show(out.first)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        out.show(out.second)
    assert out.names() == ["door.mp4"]
    assert (out.folder / "door.mp4").read_bytes() == CLIP


def test_a_link_of_ours_is_ours_when_its_clip_is_gone(out: Outside) -> None:
    out.folder.mkdir(parents=True)
    mine = out.folder / "door.mp4"
    mine.symlink_to(os.path.relpath(out.first, out.folder))
    out.first.unlink()
    assert out.show(out.second) == Linked(mine, "hard link")
    assert mine.read_bytes() == OTHER


def test_a_clip_that_is_not_there_gets_no_name(out: Outside) -> None:
    out.show(out.first)
    out.second.unlink()
    with pytest.raises(FileNotFoundError):
        out.show(out.second)
    assert (out.folder / "door.mp4").read_bytes() == CLIP
    assert out.names() == ["door.mp4"]


def test_symbolic_links_hold_when_the_project_moves(
    out: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse)
    project = tmp_path / "project"
    moving = Outside(project, Store(project / ".kling" / "store"))
    moving.show(moving.first)
    project.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "out" / "lantern" / "door.mp4").read_bytes() == CLIP


@pytest.mark.parametrize(
    "film", ["-rf", "a b'c\"d", "new\nline", "\x1b[2J", "…", "película", "$(id)", "x" * 255, "con"]
)
def test_films_with_hostile_names_are_shown_like_others(tmp_path: Path, store: Store, film: str) -> None:
    clip = store.path(keep(store))
    if len(film.encode()) > 255:
        film = film[:80]
    done = link_out(tmp_path / "out" / film, {"door": clip})["door"]
    assert done.path.read_bytes() == CLIP
    assert os.listdir(tmp_path / "out") == [film]


@pytest.mark.parametrize("name", ["", ".", "..", "../door", "a/b", "/etc/passwd", "a\0b"])
def test_a_name_that_would_lead_elsewhere_is_refused(out: Outside, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a file"):
        link_out(out.folder, {"lamp": out.first, name: out.first})
    assert not out.folder.exists()


def test_a_folder_that_is_a_link_is_refused(out: Outside, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    out.folder.parent.mkdir()
    out.folder.symlink_to(tmp_path / "home")
    with pytest.raises(NotADirectoryError, match="symbolic link"):
        out.show(out.first)
    assert os.listdir(tmp_path / "home") == []


def test_a_program_that_writes_to_a_shown_clip_does_not_reach_the_store(out: Outside) -> None:
    out.show(out.first)
    mode = (out.folder / "door.mp4").stat().st_mode
    assert mode & 0o222 == 0
