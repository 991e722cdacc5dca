"""`kling status` as it is run: every state of a clip, what is under way and whose it is, and the sums."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rendered import AT, FILM, Rendered, clock_in, contents

from kling_dsl.ledger.leases import Lease

HOLD = """\
import sys
from pathlib import Path
from kling_dsl.ledger.leases import Lease
with Lease(Path(sys.argv[1])) as lease:
    print(lease.run, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with clock_in("UTC"):
        yield


@pytest.fixture
def project(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path / "project")


class TestFilm:
    def test_the_table_has_every_clip_and_the_sums(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("stove")
        row = project.bring("stove", 2, to="submitted")
        assert (
            project.run("status", "film.kling").stdout
            == f"""\
The Pier  (film.kling)

clip   state    takes   kept  reserved  to buy  why
wake   kept       1/1  $1.68
stove  pending    1/2  $2.10     $2.10          take 2 was ordered and is at the provider
walk   new        0/1                    $2.52  not rendered yet

  stove take 2: at the provider since 2026-11-22 17:03, request {row.request_id}, $2.10
    no process is at it: `kling render film.kling` goes on with it

kept      $3.78
reserved  $2.10
to buy    $2.52
"""
        )

    def test_every_state_of_a_clip_is_told(self, project: Rendered) -> None:
        def state(clip: str) -> str:
            clips = project.json("status", "film.kling", "--format", "json")["clips"]
            return next(str(one["state"]) for one in clips if one["id"] == clip)

        assert (state("wake"), state("walk")) == ("new", "waiting")
        project.bring("wake", to="uncertain")
        assert (state("wake"), state("walk")) == ("uncertain", "waiting")
        project.bring("stove", to="failed")
        assert state("stove") == "failed"
        project.bring("stove", 2)
        project.clip_path("stove 2").unlink()
        assert state("stove") == "missing"
        project.write("film.kling", FILM.replace("lights the stove", "lights the lamp"))
        assert state("stove") == "changed"

    def test_json_has_what_is_under_way(self, project: Rendered) -> None:
        row = project.bring("stove", to="submitted")
        found = project.json("status", "film.kling", "--format", "json")
        stove = found["clips"][1]
        assert (stove["takes"], stove["reserved_usd"], stove["to_buy_usd"]) == (
            {"here": 0, "wanted": 2},
            "2.10",
            "2.10",
        )
        assert found["open"] == [
            {
                "clip": "stove",
                "take": 1,
                "fingerprint": row.key.fingerprint,
                "state": "submitted",
                "billed": "",
                "since": "2026-11-22T17:03:44Z",
                "request_id": row.request_id,
                "cost_usd": "2.10",
                "reason": "",
                "quarantine": "",
                "alive": False,
                "next": "no process is at it: `kling render film.kling` goes on with it",
                "source": {"file": "film.kling", "line": 7},
            }
        ]
        assert found["total"] == {"kept_usd": "0.00", "reserved_usd": "2.10", "to_buy_usd": "6.30"}

    def test_a_film_of_another_model_has_nothing_yet(self, project: Rendered) -> None:
        project.bring("wake")
        found = project.json("status", "film.kling", "--model", "o3-pro", "--format", "json")
        assert [clip["state"] for clip in found["clips"]] == ["changed", "new", "waiting"]

    def test_one_purchase_that_two_clips_share_is_reserved_once(self, project: Rendered) -> None:
        project.write("film.kling", "Title: Twice\n\nSHOT one 4s\nRain.\n\nSHOT two 4s\nRain.\n")
        project.bring("one", to="submitted")
        found = project.json("status", "film.kling", "--format", "json")
        assert [clip["reserved_usd"] for clip in found["clips"]] == ["1.68", "1.68"]
        assert (found["total"]["reserved_usd"], len(found["open"])) == ("1.68", 1)

    def test_what_an_edit_left_at_the_provider_is_told(self, project: Rendered) -> None:
        project.bring("wake", to="completed")
        project.write("film.kling", FILM.replace("He wakes.", "She wakes."))
        text = project.run("status", "film.kling").stdout
        assert "wake take 1: finished, and to be fetched since 2026-11-22 17:04" in text
        assert "reserved  $1.68" in text

    def test_a_film_with_errors_ends_with_them(self, project: Rendered) -> None:
        project.write("film.kling", FILM.replace("He wakes.", "@Nobody wakes."))
        assert "error[unknown-reference]" in project.run("status", "film.kling", code=1).stderr


class TestOwner:
    def test_a_process_that_is_at_it_is_told(self, project: Rendered) -> None:
        with Lease(project.desk().stage.runs) as lease:
            project.bring("wake", to="submitted", run=lease.run)
            assert "    a process is at it\n" in project.run("status").stdout
        assert "no process is at it: `kling render film.kling` goes on with it" in project.run("status").stdout

    def test_a_process_that_was_killed_is_gone(self, project: Rendered) -> None:
        runs = project.desk().stage.runs
        with subprocess.Popen(
            (sys.executable, "-c", HOLD, str(runs)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        ) as process:
            assert process.stdout is not None
            run = process.stdout.readline().strip()
            project.bring("wake", to="intent", run=run)
            assert project.json("status", "--format", "json")["films"][0]["open"][0]["alive"] is True
            process.send_signal(signal.SIGKILL)
            process.wait()
        text = " ".join(project.run("status").stdout.split())
        assert "`kling render film.kling` finds out whether it was bought" in text
        assert (runs / f"{run}.lock").exists()


class TestProject:
    def test_what_is_not_at_rest_is_told_by_film(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("stove", to="uncertain")
        project.bring("stove", 2, to="set aside", reason="2 s long")
        other = Rendered.__new__(Rendered)
        other.root, other.film, other.sandbox = project.root, "b side.kling", False
        other.write("b side.kling", "Title: B\n\nSHOT door 3s\nA door.\n")
        row = other.bring("door", to="failed", reason="\x1b[31mno")
        assert (
            project.run("status").stdout
            == f"""\
'b side.kling'
  door take 1: failed, and may be billed since 2026-11-22 17:04, request {row.request_id}, $1.26
    \\x1b[31mno
    `kling retake door` buys another one

film.kling
  stove take 1: uncertain since 2026-11-22 17:03, $2.10
    the connection was lost
    `kling reconcile` looks it up at the provider
  stove take 2: failed, and may be billed since 2026-11-22 17:05, request request-{project.standing("stove").fingerprint[:6]}-2, $2.10
    2 s long
    its clip was set aside: `kling takes stove` says where it is

reserved  $2.10
"""
        )
        found = project.json("status", "--format", "json")
        assert [(film["file"], len(film["open"])) for film in found["films"]] == [
            ("b side.kling", 1),
            ("film.kling", 2),
        ]
        assert found["total"] == {"reserved_usd": "2.10"}

    def test_what_came_to_rest_is_left_out(self, project: Rendered) -> None:
        project.bring("wake")
        project.bring("stove", to="declined")
        project.bring("stove", 2, to="released")
        assert project.run("status").stdout == "nothing is under way or uncertain\n"
        assert project.json("status", "--format", "json")["films"] == []

    def test_a_project_that_rendered_nothing_has_nothing_and_stays_so(self, project: Rendered) -> None:
        before = contents(project.root)
        assert project.run("status").stdout == "nothing is under way or uncertain\n"
        assert contents(project.root) == before
        assert not (project.root / ".kling").exists()

    def test_options_of_a_film_want_a_film(self, project: Rendered) -> None:
        assert "name it" in project.run("status", "--model", "o3-pro", code=2).stderr

    def test_the_sandbox_is_asked_by_name(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", sandbox=True)
        project.bring("wake", to="uncertain")
        assert project.run("status").stdout == "nothing is under way or uncertain\n"
        assert "wake take 1: uncertain" in project.run("status", "--sandbox").stdout
        assert "(film.kling, in the sandbox)" in project.run("status", "film.kling", "--sandbox").stdout

    def test_a_ledger_that_is_gone_beside_its_changes_is_damage(self, project: Rendered) -> None:
        project.write(".kling/ledger.db-wal", b"changes")
        assert "it is gone, while ledger.db-wal" in project.run("status", code=1).stderr

    def test_nothing_is_written_while_another_process_writes(self, project: Rendered) -> None:
        with project.ledger() as ledger:
            order = project.order("wake")
            ledger.reserve(order, (), at=AT)
            before = sorted(os.listdir(project.root / ".kling"))
            assert "wake take 1: being sent" in project.run("status").stdout
            assert sorted(os.listdir(project.root / ".kling")) == before


def test_help_has_an_example(project: Rendered) -> None:
    assert "Example:\n    kling status film.kling\n" in project.run("status", "--help").stdout
