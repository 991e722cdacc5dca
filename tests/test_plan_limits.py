"""A plan tells every limit alike, refuses what a render would refuse, and names the cheapest ways under a budget."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendered import Rendered

from kling_dsl.compiler import Quote
from kling_dsl.reports.plan import Clip, Plan, Room
from kling_dsl.reports.ways import find_ways

FILM = """\
Title: Pier
Model: o3-4k
Budget: $9

SHOT wake 4s
He wakes.

SHOT stove 5s
  takes: 3
He lights the stove.

SHOT walk 6s
He walks.
"""


def project(folder: Path, film: str = FILM, settings: str = "") -> Rendered:
    made = Rendered(folder / "project", film)
    made.write("kling.toml", settings)
    return made


def lines(done: str, label: str) -> list[str]:
    return [line.removeprefix(label).strip() for line in done.splitlines() if line.startswith(f"{label} ")]


def test_the_ways_under_a_budget_are_told_with_their_totals(tmp_path: Path) -> None:
    done = project(tmp_path).run("plan", "film.kling", code=3)
    assert lines(done.stdout, "budget") == ["$9.00, $1.50 over"]
    assert lines(done.stdout, "fits") == [
        "without wake: $8.82",
        "2 of 3 takes of stove: $8.40",
        "all of it on o3-pro: $2.80",
        "all of it on o3-standard: $2.10",
    ]
    assert done.stderr.endswith("refused: $1.50 over the budget of $9.00\n")


def test_each_limit_is_told_and_refuses(tmp_path: Path) -> None:
    settings = '[limits]\nper_run_usd = "$5"\nper_day_usd = "$10"\ntotal_usd = "$50"\n'
    film = project(tmp_path, FILM.replace("$9", "$30"), settings)
    done = film.run("plan", "film.kling", code=3)
    assert lines(done.stdout, "limit") == [
        "$5.00 for a run, $5.50 over",
        "$10.00 for a day, $0.50 over",
        "$50.00 in total, $39.50 left",
    ]
    assert done.stderr.splitlines()[-2:] == [
        "refused: $5.50 over the limit of $5.00 for a run",
        "refused: $0.50 over the limit of $10.00 for a day",
    ]


def test_the_narrower_of_the_run_limits_counts(tmp_path: Path) -> None:
    film = project(tmp_path, FILM.replace("$9", "$30"), '[limits]\nper_run_usd = "$5"\n')
    assert lines(film.run("plan", "film.kling", "--max-cost", "$2", code=3).stdout, "limit") == [
        "$2.00 for a run, $8.50 over"
    ]
    assert lines(film.run("plan", "film.kling", "--max-cost", "$7", code=3).stdout, "limit") == [
        "$5.00 for a run, $5.50 over"
    ]


def test_what_the_ledger_holds_counts(tmp_path: Path) -> None:
    film = project(tmp_path, FILM.replace("$9", "$11"), '[limits]\ntotal_usd = "$10"\n')
    film.bring("wake")
    film.bring("walk", to="uncertain")
    done = film.run("plan", "film.kling", code=3)
    assert lines(done.stdout, "to buy") == ["$6.30"]
    assert lines(done.stdout, "limit") == ["$10.00 in total, $0.50 over"]
    assert lines(done.stdout, "budget") == ["$11.00, $0.50 left"]


def test_takes_of_earlier_words_count_towards_the_budget(tmp_path: Path) -> None:
    film = project(tmp_path, FILM.replace("$9", "$12"))
    film.bring("wake")
    film.write("film.kling", FILM.replace("$9", "$12").replace("He wakes.", "He wakes up."))
    done = film.run("plan", "film.kling", code=3)
    assert lines(done.stdout, "budget") == ["$12.00, $0.18 over; $1.68 went into this film already"]
    report = film.json("plan", "film.kling", "--format", "json", code=3)
    assert report["budget"] == {"usd": "12.00", "spent_usd": "1.68", "over_usd": "0.18"}


def test_a_render_refuses_what_its_plan_refuses(tmp_path: Path) -> None:
    film = project(tmp_path)
    done = film.run("render", "film.kling", "--yes", code=3, FAL_KEY="nobody:nothing")
    assert "fits        without wake: $8.82" in done.stdout
    assert done.stderr.endswith("nothing was bought; render less with --only, or raise the limit\n")


AMOUNTS = st.integers(1, 2_000).map(lambda cents: Decimal(cents) / 100)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    clips: list[Clip] = []
    for number in range(draw(st.integers(1, 6))):
        price, takes = draw(AMOUNTS), draw(st.integers(1, 4))
        kept = draw(st.integers(0, takes))
        clips.append(
            Clip(
                id=f"c{number}", scene="", model="o3-4k", state="new", why="", seconds=5, takes=takes,
                cost_usd=price * takes, retake_usd=price, to_buy_usd=price * (takes - kept), kept_usd=price * kept,
                fingerprint="", file="film.kling", line=1,
            )
        )  # fmt: skip
    drafts = tuple(Quote(f"d{at}", draw(st.none() | AMOUNTS), 0) for at in range(draw(st.integers(0, 2))))
    spent = sum((clip.kept_usd for clip in clips), Decimal(0)) + draw(st.sampled_from([Decimal(0), Decimal(3)]))
    return Plan("Film", "film.kling", tuple(clips), draw(AMOUNTS), drafts, (), (), spent)


@given(plans())
def test_every_way_fits_and_none_is_named_when_all_fits(plan: Plan) -> None:
    assert plan.budget_usd is not None
    ways = find_ways(plan)
    assert all(way.film_usd <= plan.budget_usd for way in ways)
    assert [way.film_usd for way in ways] == sorted((way.film_usd for way in ways), reverse=True)
    if not plan.over_budget_usd:
        assert ways == ()
    # Leaving out everything that is not paid for is always tried.
    if plan.over_budget_usd and plan.needed_usd - plan.to_buy_usd <= plan.budget_usd and plan.to_buy_usd:
        assert any(way.words.startswith("without ") for way in ways)


@pytest.mark.parametrize(
    ("counted", "wanted", "over"), [("0", "5", "0"), ("1", "5", "1"), ("9", "5", "9"), ("0", "0", "0")]
)
def test_a_room_says_by_how_much_it_is_passed(counted: str, wanted: str, over: str) -> None:
    room = Room("for a run", Decimal(5), Decimal(counted))
    assert room.over_usd(Decimal(wanted)) == Decimal(over)
