"""What the tests of a whole render share: small films, a sandbox, quick runs of `kling`, and what is left of them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
from commands import picture

from kling_dsl.ledger import Event, Row, read_ledger
from kling_dsl.lock import Lock, read_lock
from kling_dsl.sandbox import Bill, Fault, Running, Settings, running
from kling_dsl.sheets import Profiles
from kling_dsl.store import Store

FILM = "film.kling"

HEAD = """Title: A Film
Model: o3-4k
Aspect: 16:9

STYLE Ink
  image: ink.png

INT. ROOM - NIGHT
"""

DOOR = """
SHOT door 3s wide
A door opens. In the look of @Ink.
"""

REPLY = """
SHOT reply 3s close-up
  start: end of door
A hand on the latch.
"""

SEA = """
SHOT sea 3s wide
The sea at night, and a light far out.
"""

ROAD = """
SHOT road 3s wide
An empty road in the rain.
"""

CHAINED = HEAD + DOOR + REPLY
"""Two clips: one with a picture, and one that begins where the first ends."""

FOUR = CHAINED + SEA + ROAD
ONE = HEAD + SEA


class Ran(msgspec.Struct, frozen=True):
    """What came of a run: its exit code, or minus the number of the signal that ended it."""

    code: int
    stdout: str
    stderr: str
    crossed: tuple[str, ...]


class Driver:
    """A process from which runs of `kling` are forked, so that none of them has to import anything."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *jobs: Mapping[str, Any]) -> tuple[Ran, ...]:
        """Run these at once, and return what came of each when all have ended."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(jobs) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver has ended"
        return msgspec.json.decode(line, type=tuple[Ran, ...])


@contextlib.contextmanager
def driving(environment: Mapping[str, str]) -> Iterator[Driver]:
    """Start a driver, whose runs find fal where the environment says."""
    process = subprocess.Popen(
        (sys.executable, Path(__file__).with_name("render_driver.py")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**surroundings(), **environment},
        encoding="utf-8",
    )
    try:
        with process:
            yield Driver(process)
    finally:
        process.wait()


def surroundings() -> dict[str, str]:
    """Return this process's variables without those that change what is shown or where fal is."""
    unwanted = ("CI", "NO_COLOR", "FORCE_COLOR", "FAL_KEY", "KLING_SANDBOX", "PYTHONWARNINGS")
    return {**{name: value for name, value in os.environ.items() if name not in unwanted}, "KLING_TODAY": "2026-11-22"}


REAL_MONEY = {"KLING_SANDBOX": ""}
"""An environment in which nothing says that fal is a sandbox."""


@contextlib.contextmanager
def staged(folder: Path, **settings: Any) -> Iterator[Theatre]:
    """Serve a sandbox with instant, ready-made clips and start a driver whose runs go there."""
    folder.mkdir(exist_ok=True)
    wanted = Settings(**{"job_seconds": 0.0, "media": "plain", **settings})
    with (
        running(wanted, folder=folder, profiles=Profiles.of({})) as sandbox,
        driving(sandbox.environment()) as driver,
        httpx.Client(base_url=sandbox.url, verify=trust(sandbox), trust_env=False) as http,
    ):
        yield Theatre(sandbox, driver, http)


def trust(sandbox: Running) -> ssl.SSLContext:
    """Return TLS that trusts a sandbox and nothing else."""
    return ssl.create_default_context(cafile=sandbox.certificate)


class Theatre:
    """A sandbox and a driver, for one test after the other."""

    def __init__(self, sandbox: Running, driver: Driver, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.driver = driver
        self.http = http

    def begin(self, folder: Path, film: str = CHAINED, *faults: Fault, settings: str = "") -> Film:
        """Reset the sandbox, and write a film into a folder that is made for it."""
        self.reset()
        self.sandbox.set_faults(*faults)
        (folder / ".git").mkdir(parents=True)
        (folder / "ink.png").write_bytes(picture())
        (folder / "kling.toml").write_text(settings)
        made = Film(folder, self)
        made.write(film)
        return made

    def reset(self) -> None:
        """Let the sandbox begin anew."""
        self.http.post("/sandbox/reset").raise_for_status()

    def bill(self) -> Bill:
        """Return what the sandbox has counted since its beginning."""
        return self.sandbox.bill()


class Film:
    """A film in a folder of its own, and what is left of its renders: on the sandbox's stage, or on the real one."""

    def __init__(self, folder: Path, theatre: Theatre, *, is_real: bool = False) -> None:
        self.folder = folder
        self.theatre = theatre
        self.home = folder / ".kling" if is_real else folder / ".kling" / "sandbox"
        self.lock_path = (folder if is_real else self.home) / f"{FILM}.lock"
        self.out = (folder / "out" if is_real else folder / "out" / "sandbox") / "film"

    def on_real_stage(self) -> Film:
        """Return the same film, of which the records of real money are looked at."""
        return Film(self.folder, self.theatre, is_real=True)

    def write(self, text: str) -> None:
        """Write the film."""
        (self.folder / FILM).write_text(text)

    def job(self, *words: str, **settings: Any) -> dict[str, Any]:
        """Return a run for the driver, to render the film unless other words are given.

        Settings are `fatal`, the boundary at which it is killed; `environment`, variables of its own, None for one to
        be without; `patches`, other values for names as `module:name`; `hosts`, the ports to which names of hosts lead;
        `room`, the bytes of a download that fit on the disk; `days`, by how much the clock is wrong; and `typed`, what
        somebody types at a terminal that stands for stdin and stderr.
        """
        return {"folder": str(self.folder), "words": words or ("render", FILM), **settings}

    def run(self, *words: str, **settings: Any) -> Ran:
        """Run `kling`; there is never a traceback."""
        (ran,) = self.theatre.driver.run(self.job(*words, **settings))
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    def render(self, *words: str, code: int = 0, **settings: Any) -> Ran:
        """Render the film and expect an exit code."""
        ran = self.run("render", FILM, *words, **settings)
        assert ran.code == code, (ran.code, ran.stdout, ran.stderr)
        return ran

    def rows(self) -> tuple[Row, ...]:
        """Return every row of the ledger."""
        with read_ledger(self.home / "ledger.db") as ledger:
            return ledger.rows()

    def events(self) -> tuple[Event, ...]:
        """Return the history of every row."""
        with read_ledger(self.home / "ledger.db") as ledger:
            return tuple(event for row in ledger.rows() for event in ledger.events(row.key))

    def row(self, clip: str) -> Row:
        """Return the one row of a clip."""
        (found,) = [row for row in self.rows() if row.order.clip == clip]
        return found

    def lock(self) -> Lock:
        """Return the lock."""
        return read_lock(self.lock_path)

    @property
    def store(self) -> Store:
        """The store."""
        return Store(self.home / "store")

    def assert_whole(self, *clips: str) -> None:
        """Assert that these clips were bought once each, and that bill, ledger, store and lock agree on them."""
        bill = self.theatre.bill()
        assert bill.problems == ()
        bought = {job.request_id: job for job in bill.submissions}
        rows = self.rows()
        assert Counter(row.order.clip for row in rows) == dict.fromkeys(clips, 1)
        assert {row.state for row in rows} == {"stored"}
        assert sorted(row.request_id for row in rows) == sorted(bought)
        lock = self.lock()
        assert lock.problems == ()
        assert sorted(take.request_id for take in lock.takes) == sorted(bought)
        by_request = {take.request_id: take for take in lock.takes}
        for row in rows:
            assert by_request[row.request_id].sha256 == row.sha256
            assert self.store.check(row.sha256) == ""
            assert json.loads(self.store.provenance(row.sha256))["request_id"] == row.request_id
            shown = self.out / f"{row.order.clip}.mp4"
            assert hashlib.sha256(shown.read_bytes()).hexdigest() == row.sha256
        assert sorted(self.store.digests()) == sorted(row.sha256 for row in rows)
        assert not list(self.home.glob("store/incoming/*"))
        assert not list(self.home.glob("store/quarantine/*"))
