"""`kling spend` as it is run: sums by day, film and model, what was billed, and what the limits leave."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rendered import AT, FILM, Rendered, clock_in, contents

from kling_dsl.ledger import read_ledger


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with clock_in("UTC"):
        yield


@pytest.fixture
def project(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path / "project")


def everything(project: Rendered) -> None:
    """Bring takes to every state there is."""
    project.bring("wake", billed_units=Decimal(4))
    project.bring("stove", at=AT + timedelta(days=1), billed_units=Decimal("5.5"))
    project.bring("stove", 2, at=AT + timedelta(days=1), to="set aside", reason="2 s long", billed_units=Decimal(2))
    project.bring("stove", 3, to="failed")
    project.bring("stove", 4, to="uncertain")
    project.bring("stove", 5, to="submitted")
    project.bring("stove", 6, to="declined")
    project.bring("stove", 7, to="released")


class TestText:
    def test_every_state_has_its_column(self, project: Rendered) -> None:
        everything(project)
        assert (
            project.run("spend").stdout
            == """\
day         takes   paid  may be billed  under way  uncertain  total
2026-11-22      4  $1.68          $2.10      $2.10      $2.10   $7.98
2026-11-23      2  $2.10          $2.10                         $4.20
total           6  $3.78          $4.20      $2.10      $2.10  $12.18

billed  11.5 units for 3 takes of 14 s on o3-4k, estimated at $5.88, $0.5113 a unit
"""
        )

    def test_the_total_is_what_limits_count(self, project: Rendered) -> None:
        everything(project)
        with read_ledger(project.desk().stage.ledger) as ledger:
            spending = ledger.spending()
        total = project.json("spend", "--format", "json")["total"]
        assert Decimal(total["paid_usd"]) + Decimal(total["maybe_billed_usd"]) == spending.spent_usd
        assert Decimal(total["under_way_usd"]) + Decimal(total["uncertain_usd"]) == spending.reserved_usd
        assert Decimal(total["total_usd"]) == spending.total_usd

    def test_days_are_those_of_the_clock_on_the_wall(self, project: Rendered) -> None:
        project.bring("wake", at=datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
        assert project.json("spend", "--format", "json")["sums"][0]["day"] == "2026-11-22"
        with clock_in("Asia/Tokyo"):
            assert project.json("spend", "--format", "json")["sums"][0]["day"] == "2026-11-23"

    def test_nothing_was_spent(self, project: Rendered) -> None:
        before = contents(project.root)
        assert project.run("spend").stdout == "nothing was spent\n"
        assert project.run("spend", "film.kling").stdout.startswith("nothing was spent on film.kling\n")
        assert contents(project.root) == before
        assert not (project.root / ".kling").exists()

    def test_a_hostile_name_of_a_film_is_shown_and_not_obeyed(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", path="\x1b[31mred.kling")
        project.bring("wake")
        text = project.run("spend", "--by", "film").stdout
        assert "\x1b" not in text
        assert "\\x1b[31mred.kling" in text


class TestGroups:
    def test_by_film_and_by_model(self, project: Rendered) -> None:
        project.bring("wake")
        project.write("film.kling", FILM.replace("Budget", "Model: o3-pro\nBudget"))
        project.bring("wake", content="on another model")
        project.write("film.kling", FILM)
        films = project.json("spend", "--by", "film", "--format", "json")
        models = project.json("spend", "--by", "model", "--format", "json")
        assert [(one["film"], one["takes"]) for one in films["sums"]] == [("film.kling", 2)]
        assert [one["model"] for one in models["sums"]] == ["o3-4k", "o3-pro"]
        assert models["sums"][0]["paid_usd"] == "1.68"

    def test_one_film_alone(self, project: Rendered) -> None:
        project.bring("wake")
        other = Rendered.__new__(Rendered)
        other.root, other.film, other.sandbox = project.root, "films/b.kling", False
        other.write("films/b.kling", "Title: B\n\nSHOT door 3s\nA door.\n")
        other.bring("door")
        assert project.json("spend", "--format", "json")["total"]["total_usd"] == "2.94"
        found = project.json("spend", "films/b.kling", "--format", "json")
        assert (found["film"], found["total"]["total_usd"]) == ("films/b.kling", "1.26")

    def test_a_film_that_is_gone_was_paid_for_all_the_same(self, project: Rendered) -> None:
        project.bring("wake")
        (project.root / "film.kling").unlink()
        assert project.json("spend", "film.kling", "--format", "json")["total"]["paid_usd"] == "1.68"
        assert "there is no film gone.kling" in project.run("spend", "gone.kling", code=2).stderr

    def test_the_sandbox_has_a_bill_of_its_own(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", sandbox=True)
        project.bring("wake")
        assert project.run("spend").stdout == "nothing was spent\n"
        assert project.run("spend", "--sandbox").stdout.startswith("in the sandbox, where nothing costs money:\n")


class TestLimits:
    def test_each_limit_is_told_with_what_is_left(self, project: Rendered) -> None:
        project.write("kling.toml", '[limits]\nper_run_usd = "$5"\nper_day_usd = "$3"\ntotal_usd = "10"\n')
        # A row that is dated in the future counts for today, and no midnight can come between.
        soon = datetime.now(UTC) + timedelta(hours=1)
        project.bring("wake", at=AT - timedelta(days=300))
        project.bring("stove", at=soon)
        project.bring("stove", 2, at=soon, to="uncertain")
        limits = project.run("spend", "film.kling").stdout.splitlines()[-4:]
        assert limits == [
            "limit   $5.00  the project's limit for a run  $5.00 left",
            "limit  $40.00  the film's Budget              $34.12 left",
            "limit   $3.00  the project's limit for a day  $1.20 over",
            "limit  $10.00  the project's limit in total   $4.12 left",
        ]
        found = project.json("spend", "--format", "json")["limits"]
        assert [(limit["used_usd"], limit["left_usd"]) for limit in found] == [
            ("0.00", "5.00"),
            ("4.20", "-1.20"),
            ("5.88", "4.12"),
        ]

    def test_limits_are_told_before_anything_is_spent(self, project: Rendered) -> None:
        project.write("kling.toml", '[limits]\ntotal_usd = "10"\n')
        text = project.run("spend").stdout
        assert text == "nothing was spent\n\nlimit  $10.00  the project's limit in total  $10.00 left\n"

    def test_a_limit_that_is_written_wrong_is_none_and_is_told(self, project: Rendered) -> None:
        project.write("kling.toml", "[limits]\ntotal_usd = 9.5\n")
        done = project.run("spend", code=1)
        assert done.stdout == "nothing was spent\n"
        assert "error[bad-settings]" in done.stderr
        assert "kling.toml:2" in done.stderr

    def test_a_film_with_errors_is_summed_up_without_its_budget(self, project: Rendered) -> None:
        project.bring("wake")
        project.write("film.kling", FILM.replace("He wakes.", "@Nobody wakes."))
        done = project.run("spend", "film.kling")
        assert "its Budget is not shown" in done.stderr
        assert "limit" not in done.stdout
        assert "$1.68" in done.stdout


class TestBadRecords:
    def test_a_damaged_ledger_ends_with_a_message(self, project: Rendered) -> None:
        project.write(".kling/ledger.db", b"no ledger")
        assert "ledger.db is damaged" in project.run("spend", code=1).stderr

    def test_units_of_nothing_have_no_price(self, project: Rendered) -> None:
        project.bring("wake", billed_units=Decimal(0))
        assert project.json("spend", "--format", "json")["billed"][0]["unit_usd"] is None
        assert "billed  0 units for 1 take of 4 s on o3-4k, estimated at $1.68\n" in project.run("spend").stdout


def test_help_has_an_example(project: Rendered) -> None:
    assert "Example:\n    kling spend\n" in project.run("spend", "--help").stdout
