"""Locks in git: real merges and rebases of what two people rendered, each on a machine of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rendered import AT, Rendered, digest_of
from review_stage import lacking

from kling_dsl.lock import Pick, Take, read_lock
from kling_dsl.resources import specs_path
from kling_dsl.standing import in_utc

pytestmark = pytest.mark.skipif(bool(lacking("git")), reason="needs git")

LOCK = "film.kling.lock"
MARKS = ("<<<<<<<", "=======", ">>>>>>>")


class Person(Rendered):
    """Somebody with a clone, a ledger and a store of their own."""

    def __init__(self, root: Path, *, clone_of: Person | None = None, attributes: bool = True) -> None:
        if clone_of is None:
            super().__init__(root)
            self.git("init", "--quiet", "--initial-branch=main")
            for name in ("gitignore", *(["gitattributes"] if attributes else [])):
                self.write(f".{name}", specs_path("starter", name).read_bytes())
            self.commit("Write the film")
            return
        self.root, self.film, self.sandbox = root, "film.kling", False
        root.mkdir()
        self.git("clone", "--quiet", str(clone_of.root), ".")

    def git(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "maintenance.auto=false", *words),
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root.parent), "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def render(self, clip: str, take: int = 1, *, by: str, hours: int = 0) -> None:
        """Buy a take, as far as lock, ledger and store go, and commit the lock."""
        self.bring(clip, take, content=f"{by} {clip} {take}", request_id=f"{by}-{clip}-{take}", at=moment(hours))
        self.commit(f"Render {clip}")

    def take_in(self, other: Person, how: str = "merge", code: int = 0) -> str:
        """Merge what another has, or put one's own work on top of it."""
        self.git("fetch", "--quiet", str(other.root), "main")
        words = ("merge", "--no-edit", "FETCH_HEAD") if how == "merge" else ("rebase", "FETCH_HEAD")
        return self.git(*words, code=code)

    def bring_store(self, other: Person) -> None:
        """Copy the clips that another has."""
        shutil.copytree(other.root / ".kling" / "store", self.root / ".kling" / "store", dirs_exist_ok=True)

    def states(self) -> dict[str, str]:
        return {one["id"]: one["state"] for one in self.json("plan", "film.kling", "--format", "json")["clips"]}

    def to_buy(self) -> str:
        told: str = self.json("plan", "film.kling", "--format", "json")["total"]["to_buy_usd"]
        return told

    def findings(self, code: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("verify", "--format", "json", code=code)["findings"]
        return found

    def takes(self, clip: str) -> list[tuple[int, str]]:
        """Return the numbers and digests of the takes of what a clip asks for now."""
        lock = read_lock(self.root / LOCK)
        return [(take.take, take.sha256) for take in lock.of(self.standing(clip).fingerprint)]

    def write_records(self, *records: Take | Pick) -> None:
        """Append records as they would stand after a union of two locks."""
        lines = [msgspec.json.encode(record) + b"\n" for record in records]
        path = self.root / LOCK
        path.write_bytes(path.read_bytes() + b"".join(lines))


def moment(hours: int) -> Any:
    return AT + timedelta(hours=hours)


@pytest.fixture(params=["merge", "rebase"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def two(folder: Path, *, attributes: bool = True) -> tuple[Person, Person]:
    ada = Person(folder / "ada", attributes=attributes)
    return ada, Person(folder / "bob", clone_of=ada)


def words(text: str) -> str:
    """Return a text without its line ends, to look for a sentence in."""
    return " ".join(text.split())


class TestDifferentShots:
    def test_they_come_together_by_themselves(self, tmp_path: Path, how: str) -> None:
        ada, bob = two(tmp_path)
        ada.render("wake", by="ada")
        bob.render("stove", by="bob")
        bob.render("stove", 2, by="bob", hours=1)
        ada.take_in(bob, how)
        assert ada.git("status", "--porcelain") == ""
        assert read_lock(ada.root / LOCK).problems == ()
        assert [len(ada.takes(clip)) for clip in ("wake", "stove")] == [1, 2]
        # What bob paid for is not here, and is not bought again.
        assert ada.states() == {"wake": "kept", "stove": "missing", "walk": "new"}
        told = ada.run("render", "film.kling", "--locked", code=3)
        assert digest_of("bob stove 1")[:12] in told.output
        ada.bring_store(bob)
        assert ada.states() == {"wake": "kept", "stove": "kept", "walk": "new"}
        assert ada.findings(0) == []

    def test_many_branches_lose_no_take_and_leave_no_mark(self, tmp_path: Path) -> None:
        ada = Person(tmp_path / "ada")
        ada.write("film.kling", "Title: Many\n" + "".join(f"\nSHOT s{n} 3s\nNumber {n}.\n" for n in range(12)))
        ada.commit("Write many shots")
        people = [Person(tmp_path / f"p{number}", clone_of=ada) for number in range(4)]
        for number, person in enumerate(people):
            for shot in range(number, 12, 4):
                person.bring(f"s{shot}", content=f"{shot}", request_id=f"r{shot}")
            person.commit("Render")
            ada.take_in(person)
        lock = read_lock(ada.root / LOCK)
        assert (len(lock.takes), lock.problems) == (12, ())
        assert set(ada.states().values()) == {"missing"}
        assert ada.to_buy() == "0.00"


class TestTheSameShot:
    def test_both_takes_are_kept_and_told(self, tmp_path: Path, how: str) -> None:
        ada, bob = two(tmp_path)
        ada.render("wake", by="ada")
        bob.render("wake", by="bob", hours=1)
        ada.take_in(bob, how)
        assert ada.git("status", "--porcelain") == ""
        assert ada.takes("wake") == [(1, digest_of("ada wake 1")), (2, digest_of("bob wake 1"))]
        for command in (("plan", "film.kling"), ("status", "film.kling"), ("takes", "wake")):
            told = ada.run(*command).stderr
            assert "warning: this line is a second take 1 of wake (" in told
            assert told.endswith("; it counts as take 2\n")
        # Take 1 has always been ada's, so what goes on from its last frame is the same as before.
        assert ada.states()["wake"] == "kept"
        assert ada.states()["walk"] == "new"
        ada.bring_store(bob)
        [finding] = ada.findings(0)
        assert finding["severity"] == "note"
        assert finding["todo"] == (
            "nothing: both were paid for and both count; take 1 is used; `kling pick wake N` chooses another"
        )

    def test_it_is_the_same_lock_whoever_merges(self, tmp_path: Path) -> None:
        ada, bob = two(tmp_path)
        ada.render("wake", by="ada", hours=1)
        bob.render("wake", by="bob")
        eve = Person(tmp_path / "eve", clone_of=bob)
        ada.take_in(bob)
        eve.take_in(Person(tmp_path / "old", clone_of=ada))
        assert ada.takes("wake") == [(1, digest_of("bob wake 1")), (2, digest_of("ada wake 1"))]
        assert eve.takes("wake") == ada.takes("wake")

    def test_the_newer_pick_counts(self, tmp_path: Path, how: str) -> None:
        ada, bob = two(tmp_path)
        ada.render("wake", by="ada")
        bob.render("wake", by="bob", hours=1)
        ada.pick("wake", "ada wake 1", at=moment(3))
        bob.pick("wake", "bob wake 1", at=moment(4))
        ada.commit("Pick mine")
        bob.commit("Pick mine")
        ada.take_in(bob, how)
        assert ada.run("plan", "film.kling").stderr.count("warning") == 1
        chosen = read_lock(ada.root / LOCK).chosen(ada.standing("wake").fingerprint)
        assert chosen is not None
        assert (chosen.take, chosen.sha256) == (2, digest_of("bob wake 1"))
        ada.bring_store(bob)
        assert "take 2 is used" in ada.findings(0)[0]["todo"]
        # A person may still decide otherwise, by the number that is shown.
        ada.run("pick", "wake", "1")
        chosen = read_lock(ada.root / LOCK).chosen(ada.standing("wake").fingerprint)
        assert chosen is not None
        assert chosen.sha256 == digest_of("ada wake 1")

    def test_the_same_clip_in_two_locks_is_one_take(self, tmp_path: Path, how: str) -> None:
        """The one asked the provider for what the other's run had ordered: one request, one clip, told twice."""
        ada, bob = two(tmp_path)
        for person, hours in ((ada, 0), (bob, 5)):
            person.bring("wake", content="one", request_id="one", at=moment(hours))
            person.commit("Render wake")
        ada.take_in(bob, how)
        assert (ada.root / LOCK).read_text().count("\n") == 2
        assert ada.takes("wake") == [(1, digest_of("one"))]
        assert ada.run("plan", "film.kling").stderr == ""

    def test_a_clip_that_goes_on_from_the_later_take_is_brought_back_by_a_pick(self, tmp_path: Path) -> None:
        ada, bob = two(tmp_path)
        bob.render("wake", by="bob")
        ada.render("wake", by="ada", hours=1)
        ada.render("walk", by="ada", hours=2)
        assert ada.states()["walk"] == "kept"
        ada.take_in(bob)
        ada.bring_store(bob)
        # The earlier take is take 1, and it is used now; what went on from the other one is not lost.
        assert ada.states()["walk"] == "changed"
        ada.run("pick", "wake", "2")
        assert ada.states()["walk"] == "kept"
        assert ada.findings(0) != []

    def test_a_new_take_after_the_merge_gets_a_number_of_its_own(self, tmp_path: Path) -> None:
        ada, bob = two(tmp_path)
        ada.render("stove", by="ada")
        bob.render("stove", by="bob", hours=1)
        ada.take_in(bob)
        ada.bring_store(bob)
        # Two takes are what the film asks for, wherever they were bought.
        assert ada.states()["stove"] == "kept"
        ada.bring("stove", 3, content="third", request_id="third", at=moment(9))
        assert [number for number, _ in ada.takes("stove")] == [1, 2, 3]
        assert [finding["severity"] for finding in ada.findings(0)] == ["note"]


class TestWithoutAttributes:
    """A repository without the line for locks in `.gitattributes`: git stops, with its marks in the lock."""

    @staticmethod
    def conflict(folder: Path, how: str = "merge", *configuration: str) -> Person:
        ada, bob = two(folder, attributes=False)
        for words_ in configuration:
            ada.git("config", *words_.split())
        ada.render("wake", by="ada")
        bob.render("wake", by="bob", hours=1)
        bob.bring("stove", content="bob stove 1", request_id="bob-stove-1", at=moment(2))
        bob.commit("Render stove")
        ada.take_in(bob, how, code=1)
        assert all(mark in (ada.root / LOCK).read_text() for mark in MARKS)
        ada.bring_store(bob)
        return ada

    @pytest.mark.parametrize("style", ["merge", "diff3"])
    def test_every_command_says_what_to_do_and_no_take_is_lost(self, tmp_path: Path, how: str, style: str) -> None:
        ada = self.conflict(tmp_path, how, f"merge.conflictStyle {style}")
        assert [len(ada.takes(clip)) for clip in ("wake", "stove")] == [2, 1]
        before = (ada.root / LOCK).read_bytes()
        for command in (("plan", "film.kling"), ("status", "film.kling"), ("takes", "wake")):
            told = ada.run(*command).stderr
            assert told.count("is a mark that a merge left; delete it, both sides count") == (
                4 if style == "diff3" else 3
            )
        assert ada.states()["wake"] == "kept"
        assert (ada.root / LOCK).read_bytes() == before

    def test_verify_tells_each_mark_and_the_line_that_spares_them(self, tmp_path: Path) -> None:
        ada = self.conflict(tmp_path)
        marks = [one for one in ada.findings(1) if "mark" in one["what"]]
        assert [one["severity"] for one in marks] == ["error"] * 3
        assert all(one["where"].startswith(f"{LOCK}:") for one in marks)
        assert all("keep every other line" in one["todo"] and "merge=union" in one["todo"] for one in marks)
        told = words(ada.run("verify", code=1).stdout)
        assert "with `*.kling.lock merge=union` in .gitattributes git merges locks by itself" in told

    def test_after_the_marks_are_deleted_all_is_sound(self, tmp_path: Path) -> None:
        ada = self.conflict(tmp_path)
        path = ada.root / LOCK
        path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith(MARKS)))
        ada.commit("Merge")
        assert [one["severity"] for one in ada.findings(0)] == ["note"]
        assert ada.states() == {"wake": "kept", "stove": "new", "walk": "new"}

    def test_a_choice_made_between_the_marks_keeps_every_take(self, tmp_path: Path) -> None:
        ada = self.conflict(tmp_path)
        before = {line for line in (ada.root / LOCK).read_text().splitlines() if line.startswith("{")}
        ada.run("pick", "wake", "2")
        after = (ada.root / LOCK).read_text()
        assert before < set(after.splitlines())
        assert all(mark in after for mark in MARKS)

    def test_taking_one_side_is_told_where_the_other_was_paid_for(self, tmp_path: Path) -> None:
        ada = self.conflict(tmp_path)
        ada.git("checkout", "--theirs", LOCK)
        ada.commit("Merge, with their lock")
        [finding] = [one for one in ada.findings(1) if one["severity"] == "error"]
        assert finding["what"] == "take 1 of wake is paid for, and the lock does not have it"
        assert finding["todo"] == "`kling render film.kling` writes it there"
        # Their take stands for the shot, so nothing is bought; the ledger still knows of the other one.
        assert ada.states()["wake"] == "kept"
        assert len(ada.json("takes", "wake", "--format", "json")["takes"]) == 2


class TestContradictions:
    """What a union of two locks may leave, and what `verify` says of it."""

    @pytest.fixture
    def ada(self, tmp_path: Path) -> Person:
        ada = Person(tmp_path / "ada")
        ada.render("wake", by="ada")
        return ada

    @staticmethod
    def only(person: Person, code: int = 1) -> dict[str, Any]:
        [finding] = person.findings(code)
        return finding

    def test_two_lines_that_say_otherwise_what_a_take_is(self, ada: Person) -> None:
        take = read_lock(ada.root / LOCK).takes[0]
        ada.write_records(
            msgspec.structs.replace(take, cost_usd=Decimal("0.01"), seconds=9, at=in_utc(moment(1)), model="o3-pro")
        )
        finding = self.only(ada)
        assert finding["where"] == f"{LOCK}:2"
        assert finding["what"] == (
            "this line says otherwise than an earlier record what take 1 of wake is: "
            "model o3-pro and not o3-4k, seconds 9 and not 4, cost $0.01 and not $1.68"
        )
        assert finding["todo"] == (
            "delete the line that is wrong: the provider's record of request ada-wake-1 says which; "
            "until then the earlier record counts"
        )
        assert "$1.68" in ada.run("takes", "wake").stdout

    def test_one_take_under_two_numbers(self, ada: Person) -> None:
        take = read_lock(ada.root / LOCK).takes[0]
        ada.write_records(msgspec.structs.replace(take, take=2, at=in_utc(moment(1)), request_id=take.request_id))
        assert self.only(ada)["what"].endswith("what take 1 of wake is: take 2 and not 1")
        assert ada.takes("wake") == [(1, take.sha256)]

    def test_a_pick_whose_take_got_lost(self, ada: Person) -> None:
        fingerprint = ada.standing("wake").fingerprint
        ada.write_records(Pick(in_utc(moment(2)), fingerprint, "f" * 64))
        finding = self.only(ada)
        assert finding["what"] == "this line picks a clip ffffffffffff that no take has"
        assert finding["todo"] == (
            "bring the line of that take back from the branch that has it, or delete this one if the clip is gone; "
            "until then take 1 of wake is used"
        )
        ada.write_records(Pick(in_utc(moment(2)), "a" * 64, "f" * 64))
        assert [one["todo"].endswith("if the clip is gone") for one in ada.findings(1)] == [False, True]

    def test_a_take_that_a_revert_took_out(self, ada: Person) -> None:
        ada.git("revert", "--no-edit", "HEAD")
        assert not (ada.root / LOCK).exists()
        finding = self.only(ada)
        assert finding["what"] == "take 1 of wake is paid for, and the lock does not have it"
        # The ledger keeps what was paid from being paid again.
        assert ada.states()["wake"] == "kept"

    def test_what_a_newer_version_wrote(self, ada: Person) -> None:
        path = ada.root / LOCK
        path.write_text(path.read_text() + '{"kind":"splice","fingerprint":"%s"}\n' % ("a" * 64))
        finding = self.only(ada)
        assert finding["what"].endswith("a newer kling may have written it")
        assert finding["todo"] == "use the version of kling that wrote it; if nobody has one, take the lock from git"

    def test_a_line_that_cannot_be_read(self, ada: Person) -> None:
        path = ada.root / LOCK
        path.write_text(path.read_text() + path.read_text()[:80] + "\n")
        finding = self.only(ada)
        assert (finding["what"], finding["todo"]) == (
            "this line is no JSON",
            "mend the line, or take the lock from git",
        )

    def test_every_finding_says_what_to_do_in_plain_words(self, ada: Person) -> None:
        fingerprint = ada.standing("wake").fingerprint
        take = read_lock(ada.root / LOCK).takes[0]
        ada.write_records(
            Pick(in_utc(moment(2)), fingerprint, "f" * 64), msgspec.structs.replace(take, cost_usd=Decimal(7))
        )
        told = ada.run("verify", code=1).stdout
        assert told.count("error: film.kling.lock:") == 2
        assert all(len(line) <= 100 for line in told.splitlines())
        assert told.endswith("1 film and 1 clip checked, 2 things are wrong\n")


def test_the_attributes_that_init_writes_are_what_these_merges_rely_on() -> None:
    assert "*.kling.lock text eol=lf merge=union\n" in specs_path("starter", "gitattributes").read_text()
