"""Measures rendering against a bare loop over aiohttp, in a sandbox whose clips are ready-made and which runs by itself."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import shlex
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from measurements import Outcome, words_of
from processes import UNSET, BenchmarkError, Command, Run, alternate, cpu_seconds, peak, ratio, run, seconds
from stage import HERE, PEERS, Stage

JOBS = 500
MANY_JOBS = 1000
JOB_SECONDS = 5
CLIP_SECONDS = 5
NOTHING_CLIPS = 1000
NOTHING_ROUNDS = 3
STEPS = 400
SMALL_MEGABYTES = 4
LARGE_MEGABYTES = 200

LARGEST_SHARE_OF_BARE_LOOP = 1.25
MOST_CPU_MILLISECONDS = 10
MOST_GROWTH_OF_TWICE_THE_JOBS = 2.2
MOST_MEGABYTES = 250
MOST_STEP_MILLISECONDS = 1.0
MOST_SHARE_OF_PLAN = 3.0
MOST_MEGABYTES_MORE = 10


class Steps(msgspec.Struct, frozen=True):
    """What `transitions.py` prints: milliseconds of a ledger's steps, each a transaction of its own."""

    median: float
    most: float


class Sandbox:
    """A sandbox in a process of its own, whose work is nobody's who is measured."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables
        self._url = variables["KLING_SANDBOX"]
        context = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def bill(self) -> dict[str, Any]:
        """Return what was bought since the last reset."""
        with self._opener.open(f"{self._url}/sandbox/bill") as answer:
            return dict(json.load(answer))

    def reset(self) -> None:
        """Forget every job."""
        with self._opener.open(urllib.request.Request(f"{self._url}/sandbox/reset", data=b"", method="POST")):
            pass


class Set:
    """The sandbox and the folders of one call: every run gets a project that was never rendered."""

    def __init__(self, stage: Stage, sandbox: Sandbox) -> None:
        self.stage = stage
        self.sandbox = sandbox
        self._cache = stage.empty_cache()
        self._numbers = itertools.count(1)

    def ours(self, jobs: int) -> Run:
        """Render a film of so many clips, all of them at once."""
        folder = self.project(jobs)
        return self._bought(self.kling("render", "film.kling", "--concurrency", str(jobs)), folder, jobs, name="ours")

    def theirs(self, jobs: int) -> Run:
        """Have the same requests rendered by the bare loop."""
        folder = self.project(jobs)
        program = str(PEERS / "aiohttp_render.py")
        words = (str(self.stage.peers_python), program, str(self.requests(jobs)), "out", str(jobs))
        return self._bought(Command(words, self.sandbox.variables), folder, jobs, name="theirs")

    def kling(self, *words: str) -> Command:
        """Return a call of our command that comes to the sandbox, with its caches warm."""
        command = self.stage.kling(*words, cache=self._cache)
        return msgspec.structs.replace(command, variables={**command.variables, **self.sandbox.variables})

    def project(self, jobs: int) -> Path:
        """Return a new folder with the film of so many clips."""
        folder = self.stage.folder / f"render-{next(self._numbers)}"
        folder.mkdir()
        (folder / "kling.toml").touch()
        (folder / "film.kling").write_text("".join(_film(jobs)), encoding="utf-8")
        return folder

    def run(self, command: Command, folder: Path, *, name: str) -> Run:
        """Run a command in a project."""
        return run(command, folder=folder, output=self.stage.folder / f"{name}.json")

    @functools.cache  # noqa: B019 - one set lives as long as one call
    def requests(self, jobs: int) -> Path:
        """Return the file with the requests of the film, compiled once."""
        place = self.stage.folder / f"requests-{jobs}.json"
        run(self.kling("compile", "film.kling", "--format", "json"), folder=self.project(jobs), output=place)
        return place

    def _bought(self, command: Command, folder: Path, jobs: int, *, name: str) -> Run:
        """Run a program that buys, and raise BenchmarkError unless it bought and fetched the whole film once."""
        self.sandbox.reset()
        measured = self.run(command, folder, name=name)
        bill = self.sandbox.bill()
        bought = sorted(_identity(submission) for submission in bill["submissions"])
        if bought != self._wanted(jobs):
            raise BenchmarkError(f"{name} did not buy what the film asks for: {len(bought)} submissions of {jobs}")
        unpaid = sum(not submission["billed"] for submission in bill["submissions"])
        if unpaid or bill["downloads"] != jobs or bill["problems"]:
            told = f"{unpaid} not billed, {bill['downloads']} downloads, {len(bill['problems'])} problems"
            raise BenchmarkError(f"{name} did not bring every clip home: {told}")
        shutil.rmtree(folder)
        return measured

    @functools.cache  # noqa: B019 - one set lives as long as one call
    def _wanted(self, jobs: int) -> list[str]:
        return sorted(_identity(request) for request in json.loads(self.requests(jobs).read_bytes())["requests"])


def measure_render(stage: Stage, *, rounds: int, **_: int) -> Iterator[Outcome]:
    """Measure what a render costs: against a bare loop, in CPU and memory, and when there is nothing to buy."""
    with _sandbox(stage) as sandbox:
        scenery = Set(stage, sandbox)
        yield from _measure_jobs(scenery, rounds)
        yield from _measure_nothing(scenery, rounds * NOTHING_ROUNDS)
    yield _measure_steps(stage)
    yield _measure_downloads(stage, rounds)


def _measure_jobs(scenery: Set, rounds: int) -> Iterator[Outcome]:
    ours, theirs = alternate(rounds, partial(scenery.ours, JOBS), partial(scenery.theirs, JOBS))
    found = ratio(ours, theirs)
    yield Outcome(
        f"{JOBS} jobs of {JOB_SECONDS} s at once, against a bare aiohttp loop",
        f"≤ {LARGEST_SHARE_OF_BARE_LOOP}x its time",
        f"{words_of(found)} ({seconds(ours):.2f} against {seconds(theirs):.2f} s)",
        found.median <= LARGEST_SHARE_OF_BARE_LOOP,
    )
    plans = [scenery.run(scenery.kling("plan", "film.kling"), scenery.project(JOBS), name="plan") for _ in ours]
    startup = cpu_seconds(plans)
    each = cpu_seconds(ours) * 1000 / JOBS
    yield Outcome(
        "CPU for each of them",
        f"≤ {MOST_CPU_MILLISECONDS} ms",
        f"{each:.1f} ms with all that comes before, as a plan costs {startup:.1f} s in all; "
        f"the bare loop {cpu_seconds(theirs) * 1000 / JOBS:.1f} ms",
        each <= MOST_CPU_MILLISECONDS,
    )
    many, few = alternate(rounds, partial(scenery.ours, MANY_JOBS), partial(scenery.ours, JOBS))
    growth = ratio(many, few)
    yield Outcome(
        f"{JOBS} → {MANY_JOBS:,} jobs at once",
        f"≤ {MOST_GROWTH_OF_TWICE_THE_JOBS}x the time",
        f"{words_of(growth)} ({seconds(few):.2f} → {seconds(many):.2f} s)",
        growth.median <= MOST_GROWTH_OF_TWICE_THE_JOBS,
    )
    megabytes = peak((*ours, *many))
    yield Outcome(
        f"peak memory, {MANY_JOBS:,} jobs at once",
        f"< {MOST_MEGABYTES} MB",
        f"{megabytes:.0f} MB",
        megabytes < MOST_MEGABYTES,
    )


def _measure_nothing(scenery: Set, rounds: int) -> Iterator[Outcome]:
    folder = scenery.project(NOTHING_CLIPS)
    scenery.run(scenery.kling("render", "film.kling", "--concurrency", str(JOBS)), folder, name="bought")
    plan, render = scenery.kling("plan", "film.kling"), scenery.kling("render", "film.kling")
    ours, theirs = alternate(
        rounds,
        partial(scenery.run, render, folder, name="nothing"),
        partial(scenery.run, plan, folder, name="planned"),
    )
    found = ratio(ours, theirs)
    yield Outcome(
        f"kling render, nothing to buy of {NOTHING_CLIPS:,} clips",
        f"≤ {MOST_SHARE_OF_PLAN:g}x kling plan",
        f"{words_of(found)} ({seconds(ours) * 1000:.0f} against {seconds(theirs) * 1000:.0f} ms)",
        found.median <= MOST_SHARE_OF_PLAN,
    )


def _measure_steps(stage: Stage) -> Outcome:
    folder = stage.folder / "ledger"
    found = msgspec.json.decode(stage.call("transitions.py", str(folder), "--takes", str(STEPS)), type=Steps)
    return Outcome(
        "a step of a take in the ledger",
        f"< {MOST_STEP_MILLISECONDS:g} ms",
        f"{found.median:.2f} ms, the median of {4 * STEPS:,} commits; the slowest {found.most:.1f} ms",
        found.median < MOST_STEP_MILLISECONDS,
    )


def _measure_downloads(stage: Stage, rounds: int) -> Outcome:
    program = str(HERE / "downloading.py")
    command = partial(Command, variables={})
    folder = stage.folder / "downloads"
    folder.mkdir()

    def fetch(megabytes: int) -> Run:
        words = (sys.executable, program, "fetch", variables["ADDRESS"], str(megabytes), "clip.part")
        return run(command(words, variables=variables), folder=folder, output=stage.folder / "fetched.json")

    with _serving((sys.executable, program, "serve", str(folder)), folder, until="ADDRESS") as variables:
        large, small = alternate(rounds, partial(fetch, LARGE_MEGABYTES), partial(fetch, SMALL_MEGABYTES))
    more = statistics.median(one.peak_megabytes - other.peak_megabytes for one, other in zip(large, small, strict=True))
    return Outcome(
        f"peak memory of a download, {SMALL_MEGABYTES} → {LARGE_MEGABYTES} MB",
        f"≤ {MOST_MEGABYTES_MORE} MB more",
        f"{more:+.1f} MB ({peak(small):.0f} → {peak(large):.0f} MB)",
        more <= MOST_MEGABYTES_MORE,
    )


@contextlib.contextmanager
def _sandbox(stage: Stage) -> Iterator[Sandbox]:
    folder = stage.folder / "sandbox"
    folder.mkdir()
    settings = ("--media", "plain", "--runners", str(MANY_JOBS), "--job-seconds", str(JOB_SECONDS), "--for-shell")
    command = stage.kling("sandbox", *settings, cache=stage.empty_cache())
    with _serving(command.words, folder, until="KLING_SANDBOX") as variables:
        yield Sandbox(variables)


@contextlib.contextmanager
def _serving(words: tuple[str, ...], folder: Path, *, until: str) -> Iterator[dict[str, str]]:
    """Run a server, and yield the variables that it says to set, the last of which is `until`."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    server = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        variables: dict[str, str] = {}
        for line in server.stdout:
            name, _, value = line.strip().removeprefix("export ").partition("=")
            variables[name] = "".join(shlex.split(value))
            if name == until:
                break
        else:
            raise BenchmarkError(f"{' '.join(words)} ended before it served")
        yield variables
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate()


def _film(jobs: int) -> Iterator[str]:
    """Yield a film of shots without pictures, every one of them different."""
    yield "Title: The Long Queue\nModel: o3-4k\n\n"
    for number in range(1, jobs + 1):
        if number % 20 == 1:
            yield f"INT. CORRIDOR {number // 20 + 1} - NIGHT\n\n"
        yield f"SHOT s{number} {CLIP_SECONDS}s wide, static\nDoor number {number} opens, and a lamp is lit.\n\n"


def _identity(request: dict[str, Any]) -> str:
    """Return what makes two purchases one and the same."""
    return json.dumps([request["endpoint"], request["arguments"], str(Decimal(request["cost_usd"]))], sort_keys=True)
