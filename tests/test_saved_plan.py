"""A saved plan buys exactly what it says, or says what has moved and buys nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import picture
from rendered import Rendered

FILM = """\
Title: Pier
Model: mine
Budget: $20

PROP Lamp
  image: refs/lamp.png

SHOT door 5s
@Lamp swings.

SHOT sea 5s
  start: end of door
Grey waves.

SHOT end 3s
Fog.
"""
SHEET = Path(__file__).resolve().parent.parent / "specs" / "models" / "o3-4k.toml"
NOTHING_BOUGHT = "refused: the plan no longer holds, and nothing was bought; make it anew\n"


@pytest.fixture
def film(tmp_path: Path) -> Rendered:
    project = Rendered(tmp_path / "project", FILM)
    project.write("models/mine.toml", own_sheet())
    project.write("refs/lamp.png", picture())
    project.run("plan", "film.kling", "--out", "plan.json")
    return project


def test_a_plan_is_readable_and_holds_nothing_of_this_machine(film: Rendered) -> None:
    text = (film.root / "plan.json").read_text(encoding="utf-8")
    plan = json.loads(text)
    assert str(film.root) not in text
    assert plan["total"]["to_buy_usd"] == "5.46"
    assert [clip["to_buy"] for clip in plan["saved"]["clips"]] == [[1], [1], [1]]
    assert plan["saved"]["clips"][0]["media"].keys() == {"refs/lamp.png"}
    assert "saved" not in film.json("plan", "film.kling", "--format", "json")


def test_the_ending_of_the_file_says_the_format(film: Rendered) -> None:
    film.run("plan", "film.kling", "--out", "plan.md")
    film.run("plan", "film.kling", "--out", "plan.html")
    film.run("plan", "film.kling", "--out", "plan.txt")
    film.run("plan", "film.kling", "--out", "other.json", "--format", "text")
    starts = {
        name: (film.root / name).read_text(encoding="utf-8")[:9]
        for name in ("plan.md", "plan.html", "plan.txt", "other.json")
    }
    assert starts == {
        "plan.md": "### Pier\n",
        "plan.html": "<!doctype",
        "plan.txt": "Pier  (fi",
        "other.json": "Pier  (fi",
    }


def render(film: Rendered, *words: str, code: int) -> str:
    """Render a saved plan where no queue can be reached; return what is told."""
    lost = {"FAL_KEY": "nobody:nothing", "FAL_QUEUE_RUN_HOST": "127.0.0.1:none"}
    return film.run("render", *words, code=code, **lost).output


def new_words(film: Rendered) -> None:
    film.write("film.kling", FILM.replace("Fog.", "Thick fog."))


def new_picture(film: Rendered) -> None:
    film.write("refs/lamp.png", picture(700, 400))


def own_sheet(old: str = "", new: str = "") -> str:
    """Return a model sheet of the project's own, with one thing in it changed."""
    text = SHEET.read_text(encoding="utf-8").replace('name = "o3-4k"', 'name = "mine"')
    assert old in text
    return text.replace(old, new) if old else text


def new_sheet(film: Rendered) -> None:
    film.write("models/mine.toml", own_sheet("max_characters = 2500", "max_characters = 2400"))


def new_price(film: Rendered) -> None:
    film.write("models/mine.toml", own_sheet("usd_per_second = 0.42", "usd_per_second = 0.43"))


def new_take(film: Rendered) -> None:
    film.bring("end")


def new_row(film: Rendered) -> None:
    film.bring("end", to="uncertain")


def more_takes(film: Rendered) -> None:
    film.write("film.kling", FILM.replace("SHOT end 3s\n", "SHOT end 3s\n  takes: 2\n"))


def another_shot(film: Rendered) -> None:
    film.write("film.kling", FILM + "\nSHOT more 3s\nNight.\n")


def one_shot_less(film: Rendered) -> None:
    film.write("film.kling", FILM.partition("SHOT end")[0])


def new_budget(film: Rendered) -> None:
    film.write("film.kling", FILM.replace("$20", "$30"))


MOVES: dict[str, tuple[Callable[[Rendered], None], str]] = {
    "film": (new_words, "film: end, its request"),
    "media": (new_picture, "media: refs/lamp.png, which door shows"),
    "sheet": (new_sheet, "sheet: mine"),
    "price": (new_price, "price: door from $2.10 to $2.15 a take"),
    "lock": (new_take, "lock or ledger: end was new, 1 to buy and is kept"),
    "ledger": (new_row, "lock or ledger: end was new, 1 to buy and is uncertain"),
    "takes": (more_takes, "film: end, its takes"),
    "more": (another_shot, "film: more is new"),
    "less": (one_shot_less, "film: end is gone"),
    "budget": (new_budget, "film: its Budget"),
}


@pytest.mark.parametrize(("move", "told"), MOVES.values(), ids=MOVES)
def test_whatever_has_moved_is_told_and_nothing_is_bought(
    film: Rendered, move: Callable[[Rendered], None], told: str
) -> None:
    move(film)
    output = render(film, "plan.json", "--yes", code=3)
    assert f"moved since the plan was made: {told}\n" in output
    assert output.endswith(NOTHING_BOUGHT)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("Fog.", "Fog.\n# thick"),
        lambda text: text.replace("@Lamp swings.", "@Lamp\nswings."),
        lambda text: text.replace("Title: Pier", "Title: Quay"),
    ],
    ids=["comment", "wrapping", "title"],
)
def test_what_changes_no_request_moves_nothing(film: Rendered, edit: Callable[[str], str]) -> None:
    film.write("film.kling", edit(FILM))
    # The plan holds, so that the render begins, and finds no queue.
    assert "moved" not in render(film, "plan.json", "--yes", code=4)


def test_the_options_of_the_film_are_those_of_the_plan(film: Rendered) -> None:
    film.write("film.kling", FILM.replace("Fog.", "Fog over {{ city }}.").replace("Model: mine", "Param city: Oslo"))
    film.run("plan", "film.kling", "--set", "city=Lyon", "--model", "o3-standard", "--out", "plan.json")
    assert "moved" not in render(film, "plan.json", "--yes", code=4)
    assert json.loads((film.root / "plan.json").read_text(encoding="utf-8"))["saved"]["options"] == {
        "model": "o3-standard",
        "values": ["city=Lyon"],
        "data": [],
    }
    assert "give it alone" in render(film, "plan.json", "--model", "o3-4k", code=2)


def test_a_plan_is_rendered_from_any_folder(film: Rendered) -> None:
    (film.root / "plans").mkdir()
    (film.root / "plan.json").rename(film.root / "plans" / "plan.json")
    lost = {"FAL_KEY": "nobody:nothing", "FAL_QUEUE_RUN_HOST": "127.0.0.1:none"}
    assert "moved" not in film.run("render", "plan.json", "--yes", code=4, folder="plans", **lost).output


def damaged(film: Rendered, change: Callable[[dict[str, Any]], object]) -> None:
    place = film.root / "plan.json"
    plan = json.loads(place.read_text(encoding="utf-8"))
    change(plan)
    place.write_text(json.dumps(plan), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda plan: plan.pop("saved"), r"is no saved plan \(.*\): make one with `kling plan FILM --out plan.json`"),
        (lambda plan: plan["saved"].update(format=2), "is a plan of form 2, and this version reads 1"),
        (lambda plan: plan.update(file="gone.kling"), "is a plan of gone.kling, which is not there"),
        (lambda plan: plan.update(file="/etc/hostname"), "which is not there"),
        (lambda plan: plan["saved"]["clips"][0].update(price_usd="a lot"), "price: door from nothing that can be read"),
        (lambda plan: plan["saved"]["clips"][0].update(to_buy=[1, 2]), "door was new, 2 to buy and is new, 1 to buy"),
        (lambda plan: plan["saved"]["clips"].pop(), "film: end is new"),
    ],
)
def test_a_plan_that_was_changed_by_hand_buys_nothing(
    film: Rendered, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    damaged(film, change)
    output = film.outcome("render", "plan.json", "--yes", FAL_KEY="nobody:nothing", FAL_QUEUE_RUN_HOST="127.0.0.1:none")
    assert output.exit_code in (2, 3)
    assert re.search(told, output.output)


def test_a_file_that_is_no_json_is_no_plan(film: Rendered) -> None:
    film.write("plan.json", b"\xff\x00{")
    assert "is no saved plan" in film.run("render", "plan.json", "--yes", code=2).output
