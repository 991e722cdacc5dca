"""`kling verify` as it is run: everything that may disagree between store, lock and ledger, and what is sound."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rendered import AT, FILM, Rendered, clip_bytes, contents, digest_of

from kling_dsl.ledger.leases import Lease
from kling_dsl.lock import Pick
from kling_dsl.standing import in_utc, take_of


@pytest.fixture
def project(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path / "project")


def findings(project: Rendered, *words: str, code: int = 1) -> list[tuple[str, str, str]]:
    """Return the severity, the place and the words of every finding."""
    found = project.json("verify", *words, "--format", "json", code=code)
    assert found["sound"] is (code == 0)
    assert all(one["todo"] for one in found["findings"])
    return [(one["severity"], one["where"], one["what"]) for one in found["findings"]]


def in_store(content: str, suffix: str = ".mp4") -> str:
    digest = digest_of(content)
    return f".kling/store/{digest[:2]}/{digest}{suffix}"


def change_record(project: Rendered, content: str, **changes: Any) -> None:
    path = project.root / in_store(content, ".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


class TestSound:
    def test_everything_agrees(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("stove")
        project.bring("stove", 2, to="failed")
        project.bring("stove", 3, to="set aside")
        project.bring("walk")
        before = contents(project.root)
        assert project.run("verify").stdout == "1 film and 3 clips checked, all sound\n"
        assert project.run("verify", "film.kling").stdout == "1 film and 3 clips checked, all sound\n"
        assert project.run("verify", "film.kling.lock").stdout == "1 film and 3 clips checked, all sound\n"
        assert contents(project.root) == before

    def test_nothing_was_rendered(self, project: Rendered) -> None:
        before = contents(project.root)
        assert project.run("verify").stdout == "0 films and 0 clips checked, all sound\n"
        assert contents(project.root) == before
        assert not (project.root / ".kling").exists()

    def test_one_clip_that_two_requests_gave_has_two_records(self, project: Rendered) -> None:
        project.bring("stove", content="the same")
        project.bring("stove", 2, content="the same")
        assert len(list((project.root / in_store("the same")).parent.glob("*.json"))) == 2
        assert findings(project, code=0) == []

    def test_a_clone_without_the_ledger_is_sound(self, project: Rendered) -> None:
        project.bring("wake")
        project.desk().stage.ledger.unlink()
        assert findings(project, code=0) == []

    def test_a_film_that_was_renamed_with_its_lock_is_sound(self, project: Rendered) -> None:
        project.bring("wake")
        for ending in ("", ".lock"):
            (project.root / f"film.kling{ending}").rename(project.root / f"pier.kling{ending}")
        assert findings(project, code=0) == []
        assert findings(project, "film.kling", code=0) == []

    def test_a_take_that_was_kept_by_hand_is_sound(self, project: Rendered) -> None:
        project.bring("wake", to="set aside")
        project.run("pick", "wake", "1", "--keep")
        assert findings(project, code=0) == []

    def test_the_sandbox_is_verified_by_itself(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", sandbox=True)
        project.bring("wake")
        assert project.run("verify").stdout == "0 films and 0 clips checked, all sound\n"
        assert project.run("verify", "--sandbox").stdout == "1 film and 1 clip of the sandbox checked, all sound\n"
        project.clip_path("wake 1").unlink()
        assert findings(project, code=0) == []
        assert [what for _, _, what in findings(project, "--sandbox")] == ["take 1 of wake is missing"]

    def test_a_hostile_name_of_a_film_is_shown_and_not_obeyed(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", path="\x1b[31mred \u202e.kling")
        project.bring("wake", lock=False)
        done = project.run("verify", code=1)
        assert "\x1b" not in done.output
        assert "error: \\x1b[31mred \\u202e.kling.lock" in done.stdout
        assert project.json("verify", "--format", "json", code=1)["films"] == ["\x1b[31mred \u202e.kling"]


class TestClips:
    def test_a_clip_that_is_missing(self, project: Rendered) -> None:
        project.bring("wake")
        project.clip_path("wake 1").unlink()
        assert project.run("verify", code=1).stdout == (
            f"error: {in_store('wake 1')}\n"
            "  take 1 of wake is missing\n"
            "  `kling render film.kling` fetches it again, as long as the provider has it; or put it back from a\n"
            "  copy\n"
            "1 film and 1 clip checked, 1 thing is wrong\n"
        )

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (clip_bytes("another"), f"altered: its content has the digest {digest_of('another')[:12]}"),
            (b"", "altered: it is empty"),
            (None, "altered: a symbolic link stands in its place"),
        ],
    )
    def test_a_clip_that_was_altered(self, project: Rendered, content: bytes | None, words: str) -> None:
        project.bring("wake")
        path = project.clip_path("wake 1")
        path.unlink()
        if content is None:
            os.symlink(project.write("other.mp4", clip_bytes("wake 1")), path)
        else:
            path.write_bytes(content)
        assert findings(project) == [("error", in_store("wake 1"), f"take 1 of wake is {words}")]

    def test_a_take_that_the_lock_lost(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("stove", lock=False)
        assert findings(project) == [
            ("error", "film.kling.lock", "take 1 of stove is paid for, and the lock does not have it")
        ]
        text = project.run("verify", "film.kling", code=1).stdout
        assert "`kling render film.kling` writes it there" in text

    def test_a_take_whose_film_is_gone(self, project: Rendered) -> None:
        project.bring("wake", lock=False)
        (project.root / "film.kling").unlink()
        assert "the film is gone; put it back from git" in project.run("verify", code=1).stdout

    def test_a_clip_that_nothing_knows(self, project: Rendered) -> None:
        row = project.bring("wake")
        project.desk().lock_path.unlink()
        project.desk().stage.ledger.unlink()
        told = f"its record says: take 1 of wake in film.kling, request {row.request_id}"
        assert findings(project) == [
            ("error", in_store("wake 1"), f"no lock and no ledger knows this clip; {told}"),
        ]
        change_record(project, "wake 1", film="\x1b[31mred")
        assert "\x1b" not in project.run("verify", code=1).stdout
        (project.root / in_store("wake 1", ".json")).unlink()
        assert findings(project)[0][2].endswith("it has no record that can be read")

    def test_a_clip_that_nothing_knows_and_that_was_altered(self, project: Rendered) -> None:
        other = project.root / in_store("lost")
        other.parent.mkdir(parents=True)
        other.write_bytes(clip_bytes("something else"))
        assert findings(project)[0][2].startswith("a clip is altered: its content has the digest ")

    def test_a_clip_that_was_set_aside_and_is_gone(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside")
        (project.root / row.quarantine).unlink()
        assert findings(project) == [
            ("error", row.quarantine, "the clip that was set aside as take 1 of wake is missing")
        ]
        assert "$1.68 may be billed for it" in project.run("verify", code=1).stdout


class TestRecords:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"sha256": "f" * 64}, "the record of take 1 of wake is of another clip, ffffffffffff"),
            ({"sha256": ""}, "the record of take 1 of wake is of another clip, which it does not name"),
            ({"take": 2}, "the record of take 1 of wake says that it is take 2"),
            ({"request_id": "other"}, "the record beside take 1 of wake tells of another request: "),
            ({"fingerprint": "f" * 64}, "the record beside take 1 of wake tells of another request: "),
            ({"endpoint": "a/b"}, "the record of take 1 of wake holds a request whose fingerprint is "),
            ({"arguments_by_digest": None}, "the record of take 1 of wake holds a request whose fingerprint is "),
            ({"take": "one"}, "the record of take 1 of wake cannot be read"),
        ],
    )
    def test_a_record_that_says_otherwise(self, project: Rendered, changes: dict[str, Any], words: str) -> None:
        project.bring("wake")
        change_record(project, "wake 1", **changes)
        ((severity, _, what),) = findings(project)
        assert (severity, what[: len(words)]) == ("error", words)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
    def test_a_record_that_is_none(self, project: Rendered, content: bytes) -> None:
        project.bring("wake")
        (project.root / in_store("wake 1", ".json")).write_bytes(content)
        assert findings(project) == [
            ("error", in_store("wake 1", ".json"), "the record of take 1 of wake cannot be read")
        ]

    def test_a_record_that_is_gone(self, project: Rendered) -> None:
        project.bring("wake")
        (project.root / in_store("wake 1", ".json")).unlink()
        assert findings(project) == [("error", in_store("wake 1"), "take 1 of wake has no record beside it")]

    def test_a_row_whose_request_is_another(self, project: Rendered) -> None:
        row = project.bring("wake")
        with project.ledger() as ledger:
            ledger._connection.execute("UPDATE takes SET canonical = x'7b7d'")
        what = "the ledger's request for take 1 of wake is not the one that its fingerprint names"
        assert findings(project) == [("error", f"ledger, {row.key.fingerprint[:12]}", what)]


class TestLock:
    def test_lines_that_cannot_be_read_are_told_with_their_numbers(self, project: Rendered) -> None:
        project.bring("wake")
        path = project.desk().lock_path
        path.write_text(path.read_text() + '{"kind":"splice"}\n\x1bjunk\n')
        assert findings(project) == [
            (
                "error",
                "film.kling.lock:2",
                'this line is of a kind "splice" that this version does not know; a newer kling may have written it',
            ),
            ("error", "film.kling.lock:3", "this line is no JSON"),
        ]

    def test_a_pick_of_nothing(self, project: Rendered) -> None:
        row = project.bring("wake")
        project.record(Pick(in_utc(AT), row.key.fingerprint, "f" * 64))
        assert [what for _, _, what in findings(project)] == ["this line picks a clip ffffffffffff that no take has"]

    def test_two_branches_that_bought_the_same_take_are_sound_after_the_merge(self, project: Rendered) -> None:
        row = project.bring("wake")
        other = Rendered(project.root.parent / "other")
        theirs = other.bring("wake", content="theirs", at=AT + timedelta(hours=1), request_id="theirs")
        for name in (in_store("theirs"), in_store("theirs", ".json")):
            project.write(name, (other.root / name).read_bytes())
        project.record(take_of(theirs))
        assert [one.take for one in project.standing("wake").takes] == [1, 2]
        ((severity, _, what),) = findings(project, code=0)
        words = f"this line is a second take 1 of wake ({row.key.fingerprint[:12]}); it counts as take 2"
        assert (severity, what) == ("note", words)

    def test_a_lock_that_is_no_file(self, project: Rendered) -> None:
        project.bring("wake", lock=False)
        (project.root / "film.kling.lock").mkdir()
        assert "is no regular file" in project.run("verify", code=1).stderr

    def test_locks_in_hidden_folders_and_the_output_are_nobodys(self, project: Rendered) -> None:
        for path in (".hidden/a.kling.lock", "out/a.kling.lock", ".a.kling.lock", "node.lock"):
            project.write(path, "junk\n")
        assert findings(project, code=0) == []


class TestLeftovers:
    def test_what_runs_have_left_is_noted(self, project: Rendered) -> None:
        submitted = project.bring("wake", to="submitted")
        stored = project.bring("stove")
        store = project.desk().store
        store.part(submitted.key.fingerprint, 1).write_bytes(b"half")
        store.part(stored.key.fingerprint, 1).write_bytes(b"half")
        store.part("e" * 64, 1).write_bytes(b"half")
        project.write(f"{in_store('stove 1')[:16]}.{'f' * 16}.0123", b"half")
        project.write(f".kling/runs/{submitted.owner}.lock", b"")
        project.write(".kling/runs/20260101T000000-00000000.lock", b"")
        project.write(".kling/ledger.db.1-2.new", b"half")
        project.write(".kling/guards/.film.kling.lock.0123", b"half")
        found = findings(project, code=0)
        assert {severity for severity, _, _ in found} == {"note"}
        assert sorted(what for _, _, what in found) == sorted(
            (
                "a download of take 1 of stove that broke off; the take is stored",
                "a download of take 1 of wake under way",
                "a download that no ledger knows of",
                "a run that broke off left this",
                "a run that broke off left this; 1 of its takes are under way",
                *["a file that a run is writing, or left half-written"] * 3,
            )
        )
        assert findings(project, "film.kling", code=0) == []

    def test_a_run_that_lives_has_left_nothing(self, project: Rendered) -> None:
        with Lease(project.desk().stage.runs):
            assert findings(project, code=0) == []


class TestUsage:
    def test_a_film_that_nobody_knows(self, project: Rendered) -> None:
        done = project.run("verify", "nowhere.kling", code=2)
        assert "there is no film nowhere.kling, and no lock and no ledger knows one of this name" in done.stderr

    def test_a_film_outside(self, project: Rendered) -> None:
        project.write("kling.toml", "")
        done = project.run("verify", "../elsewhere/film.kling", code=2)
        assert "there is no film" in done.stderr

    def test_a_damaged_ledger(self, project: Rendered) -> None:
        project.write(".kling/ledger.db", b"no ledger")
        assert "ledger.db is damaged" in project.run("verify", code=1).stderr

    def test_one_film_leaves_the_others_alone(self, project: Rendered) -> None:
        project.bring("wake")
        project.write("b.kling", FILM)
        project.write("b.kling.lock", "junk\n")
        assert findings(project, "film.kling", code=0) == []
        assert [where for _, where, _ in findings(project)] == ["b.kling.lock:1"]

    def test_help_has_an_example(self, project: Rendered) -> None:
        assert "Example:\n    kling verify\n" in project.run("verify", "--help").stdout


def test_progress_is_shown_on_a_terminal_only(project: Rendered) -> None:
    for number in range(1, 13):
        project.bring("wake", number)
    assert project.run("verify").stderr == ""
    ours, theirs = pty.openpty()
    try:
        words = (sys.executable, "-m", "kling_dsl", "verify")
        environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
        done = subprocess.run(
            words,
            cwd=project.root,
            env={**environment, "TERM": "xterm"},
            stderr=theirs,
            stdout=subprocess.PIPE,
            check=True,
        )
        told = os.read(ours, 10_000)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == b"1 film and 12 clips checked, all sound\n"
    assert told == b"\rreading clips: 10 of 12\r\x1b[K"


class TestTheFilmIsGone:
    def test_a_clip_that_is_lost_with_its_film_is_told(self, project: Rendered) -> None:
        project.bring("wake", lock=False)
        (project.root / in_store("wake 1")).unlink(missing_ok=True)
        for clip in list((project.root / ".kling" / "store").glob("*/*.mp4")):
            clip.unlink()
        (project.root / "film.kling").unlink()
        found = project.json("verify", "--format", "json", code=1)["findings"]
        told = {one["what"]: one["todo"] for one in found}
        assert told["take 1 of wake is paid for, and the lock does not have it"] == (
            "the film is gone; put it back from git"
        )
        assert told["take 1 of wake is missing"] == "the film is gone, too; put both back from a copy if you want them"

    @pytest.mark.parametrize("harm", ["a link", "too large", "no JSON"])
    def test_a_clip_without_a_record_that_can_be_read_is_told(
        self, project: Rendered, harm: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kling_dsl.reports import verification

        row = project.bring("wake")
        record = project.clip_path("").parent.parent / row.sha256[:2] / f"{row.sha256}.json"
        if harm == "a link":
            record.rename(project.root / "record.json")
            record.symlink_to(project.root / "record.json")
        elif harm == "too large":
            monkeypatch.setattr(verification, "MAX_RECORD_BYTES", 10)
        else:
            record.write_text("{")
        (_, _, told), *_ = findings(project)
        assert told == "the record of take 1 of wake cannot be read"
        (project.root / "film.kling.lock").unlink()
        for part in (project.root / ".kling").glob("ledger.db*"):
            part.unlink()
        found = project.json("verify", "--format", "json", code=1)["findings"]
        assert "it has no record that can be read" in json.dumps(found)
