"""What a person sees and is asked at a terminal: a question before money moves, and a table while it does."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import AT
from render_films import CHAINED, FILM, ONE, REAL_MONEY, Film, Ran, Theatre
from rendered import Rendered

from kling_dsl.ledger import Key, Order, open_ledger
from kling_dsl.sandbox import Fault

REAL = {**REAL_MONEY, "FAL_KEY": "an-id-of-a-key:a-secret-of-a-key"}
WIDE = {"COLUMNS": "100", "LINES": "30", "TERM": "xterm"}


def shown(ran: Ran) -> str:
    """Return what a terminal was told, without its colours and movements, in one line."""
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ran.stderr).split())


def at_terminal(film: Film, *words: str, typed: str = "", **settings: Any) -> Ran:
    environment = {**WIDE, **settings.pop("environment", {})}
    return film.run("render", FILM, *words, typed=typed, environment=environment, **settings)


def test_anything_but_a_yes_buys_nothing(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED).on_real_stage()
    ran = at_terminal(film, typed="\n", environment=REAL)
    assert ran.code == 3, ran
    assert "Buy 2 takes for $2.52? [y/N]:" in shown(ran)
    assert shown(ran).endswith("nothing was bought")
    assert (theatre.bill().paid_posts_received, film.rows()) == (0, ())


def test_a_yes_is_asked_for_once_and_goes_on(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE).on_real_stage()
    ran = at_terminal(film, typed="y\n", environment=REAL)
    # That a sandbox stands there is noticed only when it was asked.
    assert ran.code == 4, ran
    assert "Buy 1 take for $1.26? [y/N]:" in shown(ran)
    assert "a sandbox answers where fal is expected" in " ".join(ran.stdout.split())


def test_a_table_shows_every_take_and_the_limit_that_is_nearest(theatre: Theatre, tmp_path: Path) -> None:
    limits = '[limits]\nper_day_usd = "$90"\nper_run_usd = "$50"\ntotal_usd = "$70"\n'
    film = theatre.begin(tmp_path / "p", CHAINED.replace("Aspect:", "Budget: $60\nAspect:"), settings=limits)
    ran = at_terminal(film)
    assert ran.code == 0, ran
    words = shown(ran)
    assert "2 of 2 stored" in words
    assert "sandbox" in words
    assert "$50" in words
    film.assert_whole("door", "reply")


def test_what_was_spent_decides_which_limit_is_nearest(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE, settings='[limits]\nper_run_usd = "$50"\ntotal_usd = "$70"\n')
    film.render()
    with open_ledger(film.home / "ledger.db", run="20261122T170000-deaddead") as ledger:
        key = Key("f" * 64, 1)
        order = Order(key, "other.kling", "x", "other.kling", 1, "o3", "a/b", b"{}", b"{}", 5, Decimal(40))
        ledger.reserve(order, (), at=AT)
        ledger.submitted(key, request_id="r", response_url="r", status_url="s", cancel_url="c", at=AT)
        ledger.failed(key, billed="maybe", reason="it broke", at=AT)
    film.write(ONE.replace("far out", "close by"))
    ran = at_terminal(film)
    assert ran.code == 0, ran
    assert "$70" in shown(ran)
    assert "$50" not in shown(ran)


def test_a_table_tells_what_failed(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE, Fault("content-refusal"))
    ran = at_terminal(film)
    assert ran.code == 4, ran
    assert "1 failed" in shown(ran)


@pytest.mark.parametrize(("answer", "code", "state"), [("n\n", 130, "uncertain"), ("y\n", 0, "released")])
def test_a_release_is_asked_for_at_a_terminal(
    theatre: Theatre, tmp_path: Path, answer: str, code: int, state: str
) -> None:
    project = Rendered(tmp_path / "p")
    project.bring("wake", to="uncertain")
    film = Film(project.root, theatre, is_real=True)
    words = ("reconcile", "--release", "wake")
    ran = film.run(*words, typed=answer, environment={**WIDE, **REAL_MONEY})
    assert ran.code == code, ran
    assert "the connection was lost" in shown(ran)
    assert "Were these certainly not bought? [y/N]:" in shown(ran)
    assert film.row("wake").state == state


def test_nobody_is_asked_where_nobody_answers(theatre: Theatre, tmp_path: Path) -> None:
    project = Rendered(tmp_path / "p")
    project.bring("wake", to="uncertain")
    film = Film(project.root, theatre, is_real=True)
    ran = film.run("reconcile", "--release", "wake", environment=REAL_MONEY)
    assert ran.code == 2, ran
    assert "may be paid for twice: add --yes" in shown(ran)
    assert film.row("wake").state == "uncertain"
    unknown = film.run("reconcile", "--release", "wake", "--release", "wok\x1b[2J", "--yes", environment=REAL_MONEY)
    assert unknown.code == 2, unknown
    assert r"no take of wok\x1b[2J is uncertain" in unknown.stderr
    assert film.row("wake").state == "uncertain"
