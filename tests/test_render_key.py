"""The key is nowhere but in requests to fal's own hosts, and nothing of a sandbox is ever taken for real."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from render_boundaries import SENT
from render_films import CHAINED, DOOR, FILM, HEAD, ONE, REAL_MONEY, ROAD, SEA, Film, Ran, Theatre, surroundings

from kling_dsl.ledger import open_ledger
from kling_dsl.render.account import Account
from kling_dsl.sandbox import Fault

ID, SECRET = "3e9b7c51-unique-id-of-a-key", "b2f0d84ce7-unique-secret-of-a-key"
KEY = f"{ID}:{SECRET}"

UNNOTICED = {
    "kling_dsl.render.account:SANDBOX_HEADER": "x-that-nobody-sends",
    "kling_dsl.render.uploads:OWN_PATH": "/where-nothing-is/",
}
"""What makes a sandbox stand in for fal without being recognized."""

REAL_STAGE = f"""
import render_driver

render_driver.patch({UNNOTICED!r})
render_driver.make_quick()
"""

FAULTS = {
    "nothing goes wrong": (),
    "the key is refused": (Fault("unauthorized"),),
    "the balance is exhausted": (Fault("exhausted"),),
    "the answer is lost": (Fault("accept-and-drop", count=1), Fault("history-503")),
    "a gateway fails": (Fault("http-502", count=1), Fault("status-503", count=1), Fault("media-drop-midway", count=1)),
    "the content is refused": (Fault("content-refusal"),),
    "an upload fails": (Fault("upload-503"),),
    "the clip is no video": (Fault("media-not-video"),),
}


class Surroundings:
    """A home, a cache and a folder for temporary files, all of which a run may write to."""

    def __init__(self, folder: Path, theatre: Theatre) -> None:
        self.folder = folder
        for name in ("home", "cache", "temporary", "site"):
            (folder / name).mkdir(parents=True)
        (folder / "site" / "sitecustomize.py").write_text(REAL_STAGE)
        self._environment = {
            **surroundings(),
            **theatre.sandbox.environment(),
            **REAL_MONEY,
            "FAL_KEY": KEY,
            "HOME": str(folder / "home"),
            "KLING_CACHE_DIR": str(folder / "cache"),
            "TMPDIR": str(folder / "temporary"),
        }

    def fork(self, film: Film, *words: str) -> Ran:
        """Run `kling` with real money, as far as it knows."""
        # Where files for a moment go is found out once for a process, and was for the one that is forked.
        return film.run(*words, environment=self._environment, patches={**UNNOTICED, "tempfile:tempdir": None})

    def start(self, film: Film, *words: str) -> Ran:
        """Do the same in a process that starts from nothing."""
        python_path = os.pathsep.join((str(self.folder / "site"), str(Path(__file__).parent)))
        done = subprocess.run(
            (sys.executable, "-m", "kling_dsl", *words),
            cwd=film.folder,
            env={**self._environment, "PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr, ())


@pytest.fixture(scope="module")
def around(theatre: Theatre, tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    return Surroundings(tmp_path_factory.mktemp("around"), theatre)


def traces_of_key(content: bytes) -> list[str]:
    """Return in which forms a key stands in bytes."""
    forms: dict[str, bytes] = {}
    for name, text in (("the key", KEY), ("the secret", SECRET)):
        forms[name] = text.encode()
        forms[f"{name} backwards"] = text[::-1].encode()
        forms[f"{name} in hexadecimal"] = text.encode().hex().encode()
        # Base64 of a longer text has one of three forms, by where in it this begins; its ends depend on what is around.
        for offset in range(3):
            forms[f"{name} in base64, {offset} behind"] = base64.b64encode(b" " * offset + text.encode())[4:-4]
    return [name for name, form in forms.items() if form in content]


def test_a_key_would_be_found() -> None:
    assert traces_of_key(f"x {SECRET}".encode()) == ["the secret"]
    assert "the key" in traces_of_key(KEY.encode())
    for text in (KEY, f"Key {KEY}", f"user:{KEY}"):
        assert any("base64" in name for name in traces_of_key(base64.b64encode(text.encode())))


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("name", FAULTS)
def test_the_key_is_nowhere(name: str, form: str, theatre: Theatre, around: Surroundings, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", CHAINED, *FAULTS[name]).on_real_stage()
    run = around.fork if FAULTS[name] else around.start
    ran = run(film, "render", FILM, "--yes", "--format", form)
    assert ran.code == (4 if FAULTS[name] else 0), ran
    told = [ran]
    if name in ("the key is refused", "the answer is lost"):
        told += [around.fork(film, *words) for words in (("reconcile",), ("status", FILM), ("takes", "door"))]
    said = "".join(ran.stdout + ran.stderr for ran in told)
    assert "Traceback" not in said
    assert traces_of_key(said.encode()) == []

    bill = theatre.bill()
    assert bill.uploads > 0 or name == "an upload fails"
    assert (bill.key_on_media_host, bill.refused_hosts) == (0, ())
    # Which clip it is, is told to a sandbox alone.
    assert {job.clip for job in bill.submissions} <= {""}
    if not FAULTS[name]:
        film.assert_whole("door", "reply")

    everything = [place for folder in (tmp_path, around.folder) for place in folder.rglob("*")]
    files = [place for place in everything if place.is_file() and not place.is_symlink()]
    assert "ledger.db" in {place.name for place in files}
    for place in files:
        assert traces_of_key(place.read_bytes()) == [], place
        assert traces_of_key(str(place).encode()) == []


def test_a_real_render_takes_nothing_from_a_sandbox(theatre: Theatre, tmp_path: Path) -> None:
    for number, text in enumerate((ONE, HEAD + DOOR)):
        film = theatre.begin(tmp_path / f"p{number}", text).on_real_stage()
        ran = film.render("--yes", code=4, environment={**REAL_MONEY, "FAL_KEY": KEY})
        assert "a sandbox answers where fal is expected" in " ".join((ran.stdout + ran.stderr).split())
        assert not film.lock_path.exists()
        assert list(film.store.digests()) == []
        assert not film.out.exists()
        assert {(row.state, row.billed) for row in film.rows()} <= {("failed", "no")}
        assert b"/files/sandbox/" not in (film.home / "ledger.db").read_bytes()


def test_a_real_take_is_not_lost_to_a_sandbox(theatre: Theatre, tmp_path: Path) -> None:
    real = {**REAL_MONEY, "FAL_KEY": KEY}
    for number, (point, state) in enumerate((("ledger submitted is done#1", "submitted"), (f"{SENT}#1", "uncertain"))):
        film = theatre.begin(tmp_path / f"q{number}", ONE).on_real_stage()
        killed = film.run("render", FILM, "--yes", fatal=point, patches=UNNOTICED, environment=real)
        assert killed.code == -9, killed
        # Now the environment leads to a sandbox, which answers that there is no such job, or has one just like it.
        film.render("--yes", code=4, environment=real)
        assert film.row("sea").state == state
        film.render("--yes", patches=UNNOTICED, environment=real)
        film.assert_whole("sea")


def test_a_render_in_the_sandbox_leaves_what_is_real_alone(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", HEAD + SEA + ROAD)
    real = film.on_real_stage()
    real.lock_path.write_text("")
    with open_ledger(real.home / "ledger.db", run="20261122T170000-deaddead"):
        pass
    before = {place: place.read_bytes() for place in (real.lock_path, real.home / "ledger.db")}
    film.render()
    film.run("retake", "sea")
    film.run("pick", "sea", "2")
    assert {place: place.read_bytes() for place in before} == before
    assert sorted(place.name for place in real.home.iterdir()) == ["ledger.db", "sandbox"]
    assert sorted(place.name for place in (film.folder / "out").iterdir()) == ["sandbox"]
    assert list(real.store.digests()) == []
    assert [take.take for take in film.lock().takes if take.clip == "sea"] == [1, 2]


def test_real_money_needs_a_word(theatre: Theatre, tmp_path: Path) -> None:
    film = theatre.begin(tmp_path / "p", ONE).on_real_stage()
    ran = film.run("render", FILM, environment={**REAL_MONEY, "FAL_KEY": KEY})
    assert (ran.code, theatre.bill().paid_posts_received) == (2, 0)
    assert "add --yes" in ran.stderr
    assert not film.home.exists()


def test_an_account_is_never_shown_with_its_key() -> None:
    account = Account(f"Key {KEY}", "queue.fal.run", KEY)
    for told in (repr(account), str(account), f"{account!r}"):
        assert told == "Account(queue_host='queue.fal.run')"
