"""`kling pick` as it is run: the choice, what it makes stale, the readable names, and takes that were set aside."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from killed import kill_at_each_step
from rendered import AT, Rendered, clip_bytes, contents, digest_of

from kling_dsl.ledger import Row, read_ledger
from kling_dsl.lock import Pick, read_lock
from kling_dsl.standing import in_utc, take_of

CHAIN = """\
Title: The Chain

SHOT wake 4s
He wakes.

SHOT walk 6s
  start: end of wake
He walks.

SHOT run 5s
  start: end of walk
He runs.
"""


@pytest.fixture
def project(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path / "project", CHAIN)


def row_of(project: Rendered, row: Row) -> Row:
    with read_ledger(project.desk().stage.ledger) as ledger:
        found = ledger.row(row.key)
    assert found is not None
    return found


def chosen(project: Rendered, clip: str) -> int | None:
    clips = project.json("status", project.film, "--format", "json")["clips"]
    number = next(one["chosen"] for one in clips if one["id"] == clip)
    return None if number is None else int(number)


class TestChoice:
    def test_what_continues_the_clip_becomes_stale_and_is_priced(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        project.bring("walk")
        project.bring("run")
        lines = project.run("pick", "wake", "2").stdout.splitlines()
        assert lines == [
            f"take 2 of wake is chosen now ({digest_of('wake 2')[:12]})",
            "`kling pick wake 1` undoes it",
            "walk becomes stale: $2.52 to render it again",
            "run becomes stale: $2.10 to render it again",
        ]
        assert chosen(project, "wake") == 2
        again = project.run("pick", "wake", "1").stdout.splitlines()
        assert again[2:] == [
            "walk changes to takes that are there already; nothing is to buy",
            "run changes to takes that are there already; nothing is to buy",
        ]
        assert chosen(project, "wake") == 1

    def test_picks_in_one_second_count_in_the_order_of_their_making(self, project: Rendered) -> None:
        for number in (1, 2, 3):
            project.bring("wake", number)
        for number in (3, 1, 2, 3, 2, 1):
            project.run("pick", "wake", str(number))
            assert chosen(project, "wake") == number

    def test_a_pick_counts_over_one_from_a_clock_that_was_ahead(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        project.pick("wake", "wake 1", at=datetime.now(UTC) + timedelta(days=400))
        project.run("pick", "wake", "2")
        assert chosen(project, "wake") == 2

    def test_a_pick_after_which_nothing_comes_is_told(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        last = Pick("9999-99-99T99:99:99Z", project.standing("wake").fingerprint, digest_of("wake 1"))
        project.record(last)
        before = project.lock_text()
        done = project.run("pick", "wake", "2", code=1)
        assert "film.kling.lock has a line of 9999-99-99T99:99:99Z, after which nothing comes" in done.stderr
        assert project.lock_text() == before

    def test_what_is_chosen_already_changes_nothing(self, project: Rendered) -> None:
        project.bring("wake")
        before = contents(project.root)
        assert project.run("pick", "wake", "1").stdout == "take 1 of wake is chosen already; nothing was changed\n"
        assert contents(project.root) == before

    def test_a_choice_that_may_still_move_can_be_made_firm(self, project: Rendered) -> None:
        project.bring("wake", 1, to="uncertain")
        project.bring("wake", 2)
        assert chosen(project, "wake") == 2
        assert "walk waits no longer: $2.52 to render it" in project.run("pick", "wake", "2").stdout
        assert "nothing was changed" in project.run("pick", "wake", "2").stdout

    def test_a_take_that_only_the_ledger_has_comes_into_the_lock(self, project: Rendered) -> None:
        project.bring("wake")
        row = project.bring("wake", 2, lock=False)
        project.run("pick", "wake", "2")
        lock = read_lock(project.desk().lock_path)
        assert lock.picked(row.key.fingerprint) == take_of(row)
        assert lock.problems == ()

    def test_the_chosen_take_comes_into_a_lock_that_lacks_it(self, project: Rendered) -> None:
        row = project.bring("wake", lock=False)
        assert project.run("pick", "wake", "1").stdout.startswith("take 1 of wake is chosen now")
        assert read_lock(project.desk().lock_path).takes == (take_of(row),)
        assert "nothing was changed" in project.run("pick", "wake", "1").stdout

    def test_a_take_whose_file_is_elsewhere_can_be_chosen(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        project.clip_path("wake 2").unlink()
        done = project.run("pick", "wake", "2")
        assert "its file is not here: `kling render film.kling` fetches it" in done.stderr
        assert chosen(project, "wake") == 2

    def test_the_sandbox_is_chosen_in_by_itself(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", CHAIN, sandbox=True)
        project.bring("wake")
        project.bring("wake", 2)
        project.run("pick", "wake", "2", "--sandbox")
        assert (project.root / ".kling/sandbox/film.kling.lock").exists()
        assert not (project.root / "film.kling.lock").exists()
        assert (project.root / "out/sandbox/film/wake.mp4").read_bytes() == clip_bytes("wake 2")

    def test_a_hostile_name_of_a_film_is_shown_and_not_obeyed(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", CHAIN, path="\x1b[31mred \u202e.kling")
        project.bring("wake")
        project.bring("wake", 2)
        project.clip_path("wake 2").unlink()
        path = project.desk().lock_path
        path.write_text(path.read_text() + "junk\n")
        refused = project.run("pick", "wake", "2", code=1)
        path.write_text(path.read_text().replace("junk\n", ""))
        told = project.run("pick", "wake", "2")
        assert "\x1b" not in refused.output + told.output
        assert "kling render '\\x1b[31mred \\u202e.kling'" in told.stderr


class TestNames:
    def test_the_readable_name_leads_to_the_chosen_take(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        project.run("pick", "wake", "2")
        assert (project.root / "out/film/wake.mp4").read_bytes() == clip_bytes("wake 2")
        project.run("pick", "wake", "1")
        assert (project.root / "out/film/wake.mp4").read_bytes() == clip_bytes("wake 1")

    def test_a_file_of_the_writer_stays(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        mine = project.write("out/film/wake.mp4", b"my own cut")
        done = project.run("pick", "wake", "2")
        assert mine.read_bytes() == b"my own cut"
        assert "wake.kling.mp4" in done.stderr

    def test_an_output_folder_that_is_none_does_not_undo_the_choice(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        project.write("out", b"a file")
        done = project.run("pick", "wake", "2", code=1)
        assert "the choice is written, but out could not be brought up to date" in done.stderr
        assert chosen(project, "wake") == 2


class TestRefused:
    def test_a_number_that_no_take_has(self, project: Rendered) -> None:
        assert "wake has no take 1: none was rendered" in project.run("pick", "wake", "1", code=2).stderr
        project.bring("wake")
        assert "wake has no take 7; its take is 1" in project.run("pick", "wake", "7", code=2).stderr
        project.bring("wake", 2)
        assert "wake has no take 7; its takes are 1, 2" in project.run("pick", "wake", "7", code=2).stderr

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ("submitted", "take 1 of wake is under way; see `kling takes wake`"),
            ("uncertain", "take 1 of wake is uncertain: the connection was lost"),
            ("failed", "take 1 of wake failed: the connection was lost"),
            ("released", "take 1 of wake was never bought: not in the history"),
        ],
    )
    def test_a_take_that_gave_no_clip(self, project: Rendered, state: str, words: str) -> None:
        project.bring("wake", to=state)
        before = contents(project.root)
        assert words in project.run("pick", "wake", "1", "--keep", code=3).stderr
        assert contents(project.root) == before

    def test_a_clip_that_waits_for_another(self, project: Rendered) -> None:
        done = project.run("pick", "walk", "1", code=3)
        assert "refused: walk needs the last frame of wake, which is not rendered yet" in done.stderr

    def test_a_lock_with_lines_that_cannot_be_read(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        path = project.desk().lock_path
        path.write_text(path.read_text() + "{\n")
        before = contents(project.root)
        done = project.run("pick", "wake", "2", code=1)
        assert "line 3 of film.kling.lock cannot be read, and what was paid for may stand there" in done.stderr
        assert contents(project.root) == before

    @pytest.mark.parametrize("kind", ["mark", "unknown pick", "second take"])
    def test_contradictions_of_a_merge_hinder_nobody(self, project: Rendered, kind: str) -> None:
        project.bring("wake")
        row = project.bring("wake", 2)
        path = project.desk().lock_path
        if kind == "mark":
            path.write_text("<<<<<<< ours\n" + path.read_text())
        elif kind == "unknown pick":
            project.record(Pick(in_utc(AT), row.key.fingerprint, "f" * 64))
        else:
            project.record(msgspec.structs.replace(take_of(row), sha256="e" * 64, request_id="other"))
        done = project.run("pick", "wake", "2")
        assert "warning: this line " in done.stderr
        assert chosen(project, "wake") == 2

    def test_a_project_that_cannot_be_written(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("wake", 2)
        before = project.lock_text()
        guards = project.desk().stage.guard("film.kling").parent
        for path in guards.iterdir():
            path.unlink()
        guards.rmdir()
        guards.write_text("a file where a folder must be")
        with project.start("pick", "wake", "2") as process:
            _, told = process.communicate(timeout=60)
        assert process.returncode == 1
        assert told.startswith("kling: ")
        assert "Traceback" not in told
        assert project.lock_text() == before


class TestKeep:
    def test_without_a_word_it_is_refused_with_the_reason(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside", reason="it is 2 s long, \x1b[31mnot 4")
        before = contents(project.root)
        done = project.run("pick", "wake", "1", code=3)
        assert done.stderr == (
            "refused: take 1 of wake was set aside: it is 2 s long, \\x1b[31mnot 4\n"
            f"look at {row.quarantine}; if it is good, `kling pick wake 1 --keep` makes it count\n"
        )
        assert contents(project.root) == before

    def test_it_becomes_a_take_like_any_other(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside", reason="it is 2 s long")
        project.run("pick", "wake", "1", "--keep")
        sha256 = digest_of("wake 1")
        now = row_of(project, row)
        assert (now.state, now.sha256, now.quarantine, now.billed) == ("stored", sha256, "", None)
        assert project.clip_path("wake 1").read_bytes() == clip_bytes("wake 1")
        assert not (project.root / row.quarantine).exists()
        record = json.loads(project.desk().store.provenance(sha256))
        assert (record["sha256"], record["request_id"], record["clip"]) == (sha256, row.request_id, "wake")
        assert record["notes"][0] == "it is 2 s long"
        assert record["notes"][1].startswith("set aside (it is 2 s long), and kept by hand on 2")
        assert read_lock(project.desk().lock_path).picked(row.key.fingerprint) == take_of(now)
        assert (project.root / "out/film/wake.mp4").read_bytes() == clip_bytes("wake 1")
        assert list((project.root / ".kling/runs").iterdir()) == []
        assert "nothing was changed" in project.run("pick", "wake", "1").stdout

    def test_a_lost_record_is_made_anew_from_the_ledger(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside", reason="it is 2 s long")
        (project.root / row.quarantine).with_suffix(".json").write_text("{")
        project.run("pick", "wake", "1", "--keep")
        record = json.loads(project.desk().store.provenance(digest_of("wake 1")))
        assert (record["fingerprint"], record["take"], record["request_id"]) == (*_names(row), row.request_id)

    def test_a_record_that_leads_elsewhere_is_not_taken_over(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside", reason="it is 2 s long")
        record = (project.root / row.quarantine).with_suffix(".json")
        record.unlink()
        (project.root / "secret.json").write_text('{"token": "none of ours"}')
        record.symlink_to(project.root / "secret.json")
        project.run("pick", "wake", "1", "--keep")
        digest = project.desk().lock.takes[0].sha256
        kept = json.loads(project.desk().store.provenance(digest))
        assert (kept["sha256"], "token" in kept) == (digest, False)
        assert kept["notes"][0].startswith("set aside (it is 2 s long), and kept by hand on 2")

    def test_what_was_cut_off_between_store_and_ledger_goes_on(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside", reason="it is 2 s long")
        place = project.root / row.quarantine
        project.desk().store.keep(place, place.with_suffix(".json").read_bytes())
        project.run("pick", "wake", "1", "--keep")
        assert (row_of(project, row).state, chosen(project, "wake")) == ("stored", 1)

    def test_what_was_cut_off_between_ledger_and_lock_goes_on(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside", reason="it is 2 s long")
        place = project.root / row.quarantine
        sha256 = project.desk().store.keep(place, place.with_suffix(".json").read_bytes())
        with project.ledger() as ledger:
            ledger.stored(row.key, sha256=sha256, at=AT)
        project.bring("wake", 2)
        project.run("pick", "wake", "2")
        project.run("pick", "wake", "1", "--keep")
        assert chosen(project, "wake") == 1

    def test_a_clip_that_is_gone_is_refused(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside")
        (project.root / row.quarantine).unlink()
        assert "is not there any more" in project.run("pick", "wake", "1", "--keep", code=3).stderr
        assert row_of(project, row).state == "failed"

    def test_what_is_no_clip_at_all_is_refused(self, project: Rendered) -> None:
        row = project.bring("wake", to="set aside")
        with project.ledger() as ledger:
            place = (project.root / row.quarantine).rename(project.root / row.quarantine.replace(".mp4", ".bin"))
            connection = ledger._connection
            connection.execute("UPDATE takes SET quarantine = ?", (row.quarantine.replace(".mp4", ".bin"),))
        assert "is no MP4 file at all" in project.run("pick", "wake", "1", "--keep", code=3).stderr
        assert place.is_file()

    @pytest.mark.parametrize("path", ["secret.mp4", ".kling/store/quarantine/../../../secret.mp4", "/etc/hostname"])
    def test_a_place_outside_of_the_quarantine_is_refused(self, project: Rendered, path: str) -> None:
        project.write("secret.mp4", clip_bytes("secret"))
        project.bring("wake", to="set aside")
        with project.ledger() as ledger:
            ledger._connection.execute("UPDATE takes SET quarantine = ?", (path,))
        assert "which is no place of this store" in project.run("pick", "wake", "1", "--keep", code=3).stderr
        assert (project.root / "secret.mp4").is_file()

    def test_a_link_in_the_quarantine_is_not_followed(self, project: Rendered) -> None:
        secret = project.write("secret.mp4", clip_bytes("secret"))
        row = project.bring("wake", to="set aside")
        (project.root / row.quarantine).unlink()
        os.symlink(secret, project.root / row.quarantine)
        assert "is not there any more" in project.run("pick", "wake", "1", "--keep", code=3).stderr
        assert secret.is_file()


def test_a_clip_that_is_kept_is_lost_by_no_kill(tmp_path: Path) -> None:
    """Wherever the command is killed, the clip is there whole, and the same command makes it count."""
    found = kill_at_each_step(
        setup=f"""
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import filelock, msgspec, shutil
        import kling_dsl.ledger.sqlite, kling_dsl.render.provenance
        from kling_dsl.cli import pick
        from kling_dsl.lock import read_lock
        from kling_dsl.store import Store
        from rendered import Rendered, clip_bytes
        from test_pick_command import CHAIN
        template = Rendered(Path(sys.argv[1]) / "template", CHAIN)
        row = template.bring("wake", to="set aside")
        read, standing = template.desk(), template.standing("wake")
        def project(here):
            made = Rendered.__new__(Rendered)
            made.root, made.film, made.sandbox = here, "film.kling", False
            return made
        # Whatever the command imports is there before the first fork.
        warm = Path(sys.argv[1]) / "warm"
        shutil.copytree(template.root, warm)
        project(warm).run("pick", "wake", "1", "--keep")
        """,
        prepare="shutil.copytree(template.root, here, dirs_exist_ok=True)",
        work="""
        stage = msgspec.structs.replace(read.stage, root=here, home=here / ".kling", out=here / "out")
        desk = msgspec.structs.replace(read, stage=stage, store=Store(stage.store))
        pick._write(desk, standing, pick._keep(desk, standing, row, agreed=True))
        """,
        look="""
        whole = [path for path in (here / ".kling").rglob("*.mp4") if path.read_bytes() == clip_bytes("wake 1")]
        again = project(here).outcome("pick", "wake", "1", "--keep").exit_code
        lock = read_lock(here / "film.kling.lock")
        found = [len(whole), again, len(lock.takes), lock.picked(lock.takes[0].fingerprint) == lock.takes[0]]
        """,
        folder=tmp_path,
    )
    assert len(found) > 20
    assert {json.dumps(one) for one in found} == {json.dumps([1, 0, 1, True])}


def test_help_has_an_example(project: Rendered) -> None:
    assert "Example:\n    kling pick door 2\n" in project.run("pick", "--help").stdout


def _names(row: Row) -> tuple[str, int]:
    return row.key.fingerprint, row.key.take
