"""Runs `kling` many times over: each run is a fork of one process that has imported everything already.

It reads a line of JSON for each group of runs that are to go on at once, and answers with a line when all have ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from render_boundaries import Boundaries

SAMPLE = """\
INT. ROOM - NIGHT

SHOT door 3s wide
A door opens.

SHOT reply 3s close-up
  start: end of door
A hand on the latch.
"""


def import_everything() -> None:
    """Import what a render imports, so that no run has to."""
    for name in (
        *("aiohttp", "anyio._backends._asyncio", "av", "certifi", "encodings.idna", "fal_client", "filelock", "h11"),
        *("httpcore", "httpx", "lark", "PIL.PngImagePlugin", "sqlite3", "stamina", "tomllib"),
        *("kling_dsl.cli.asking", "kling_dsl.cli.desk", "kling_dsl.cli.pick", "kling_dsl.cli.plan"),
        *("kling_dsl.cli.reconcile", "kling_dsl.cli.render", "kling_dsl.cli.retake", "kling_dsl.cli.streams"),
        *("kling_dsl.cli.verbs", "kling_dsl.cli.watching", "kling_dsl.ledger.leases", "kling_dsl.ledger.sqlite"),
        *("kling_dsl.render.engine", "kling_dsl.render.network", "kling_dsl.render.recovery"),
        *("kling_dsl.reports.diagnostics_text", "kling_dsl.reports.plan_text", "kling_dsl.reports.render_json"),
        *("kling_dsl.cli.terminal", "kling_dsl.reports.render_lines", "kling_dsl.reports.ways", "kling_dsl.sheets"),
        "av.subtitles.stream",
    ):
        importlib.import_module(name)
    # Pillow imports the rest when the first picture is opened.
    from PIL import Image

    Image.preinit()
    compile_a_film()


def compile_a_film() -> None:
    """Read the grammar, the sheets and whatever else is the same for every film, and is kept in memory."""
    from kling_dsl.cli.films import open_film

    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "film.kling")
        film.write_text(SAMPLE)
        Path(folder, "kling.toml").touch()
        open_film(film, model=None, values=(), data=())


def make_quick() -> None:
    """Wait for as little as a test may: pauses that are there for the provider's sake are of no use here."""
    import fal_client.client
    import stamina

    from kling_dsl import store
    from kling_dsl.cli import buying
    from kling_dsl.render import keeping, takes
    from kling_dsl.render.jobs import Pace

    real = stamina.retry_context

    def retry_context(**settings: Any) -> Any:
        return real(**{**settings, "wait_initial": 0.02, "wait_max": 0.05, "wait_jitter": 0.01})

    stamina.retry_context = retry_context  # type: ignore[assignment]
    fal_client.client._get_retry_delay = lambda *words: 0.02
    buying._pace = lambda desk: Pace(0.03, 1.2, 0.1, outage_seconds=1.0)
    keeping.GATHER_SECONDS = 0.02
    takes.WATCH_SECONDS = 0.03
    store.MAX_NUMBERED = 9


def patch(values: dict[str, Any]) -> None:
    """Set names of modules, given as `module:name`, to other values."""
    for name, value in values.items():
        module, _, attribute = name.partition(":")
        setattr(importlib.import_module(module), attribute, value)


def fill_disk(room: int) -> None:
    """Let the system refuse every byte of a download behind the first `room`, as a full disk does."""
    import resource
    import signal

    takes: Any = importlib.import_module("kling_dsl.render.takes")
    real = takes.fetch
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    async def fetch(*words: Any, **settings: Any) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            await real(*words, **settings)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    takes.fetch = fetch


def set_clock(days: float) -> None:
    """Let the clock be wrong by so many days."""
    from datetime import datetime, timedelta

    from kling_dsl.render.clock import Clock

    now, start = Clock.now, Clock.start_of_day

    def later(real: Any) -> Any:
        def tell(clock: Clock) -> datetime:
            moment: datetime = real(clock) + timedelta(days=days)
            return moment

        return tell

    Clock.now, Clock.start_of_day = later(now), later(start)  # type: ignore[method-assign]


def lead(hosts: dict[str, int]) -> None:
    """Lead hosts by their names to ports of this machine."""
    import socket

    from httpcore._backends.anyio import AnyIOBackend

    real, connect = socket.getaddrinfo, AnyIOBackend.connect_tcp

    def look_up(host: Any, port: Any, *words: Any, **settings: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in hosts:
            return real("127.0.0.1", hosts[name], *words, **settings)
        return real(host, port, *words, **settings)

    async def connect_there(backend: Any, host: str, port: int, **settings: Any) -> Any:
        there = ("127.0.0.1", hosts[host]) if host in hosts else (host, port)
        return await connect(backend, *there, **settings)

    socket.getaddrinfo = look_up
    AnyIOBackend.connect_tcp = connect_there  # type: ignore[method-assign,assignment]


def run(job: dict[str, Any], crossed: str) -> int:
    """Be one `kling` in a process of its own, and return its exit code."""
    from kling_dsl import cli

    os.chdir(job["folder"])
    for name, value in job.get("environment", {}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    make_quick()
    patch(job.get("patches", {}))
    lead(job.get("hosts", {}))
    if "room" in job:
        fill_disk(job["room"])
    if "days" in job:
        set_clock(job["days"])
    boundaries = Boundaries(job.get("fatal", ""))
    boundaries.install()
    sys.argv = ["kling", *job["words"]]
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        Path(crossed).write_text(json.dumps(boundaries.crossed))
    return 0


def sit_down(typed: str, place: str) -> int:
    """Put somebody before a terminal who types this and reads what comes, and return the program's end of it."""
    import pty

    theirs, ours = pty.openpty()
    os.write(theirs, typed.encode())

    def read() -> None:
        with open(place, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while piece := os.read(theirs, 1 << 16):
                file.write(piece)
        os.close(theirs)

    reader = threading.Thread(target=read, name=place)
    reader.start()
    return ours


def start(job: dict[str, Any], folder: str) -> int:
    """Fork a run and return its number."""
    person = sit_down(job["typed"], f"{folder}/stderr") if "typed" in job else None
    child = os.fork()
    if child:
        if person is not None:
            # Whoever reads there is told of the end when nobody else can write any more.
            os.close(person)
        return child
    code = 99
    try:
        for number, name in ((0, os.devnull), (1, f"{folder}/stdout"), (2, f"{folder}/stderr")):
            file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
            os.dup2(file if person is None or number == 1 else person, number)
            os.close(file)
        code = run(job, f"{folder}/crossed")
    except Exception:  # noqa: BLE001 - told to whoever reads what the run wrote, as Python itself would
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def finish(child: int, folder: str) -> dict[str, Any]:
    """Wait for a run to end, and return what came of it."""
    _, status = os.waitpid(child, 0)
    for reader in threading.enumerate():
        if reader.name == f"{folder}/stderr":
            reader.join()
    places = {name: Path(folder, name) for name in ("stdout", "stderr", "crossed")}
    told = {name: place.read_text() if place.exists() else "" for name, place in places.items()}
    return {**told, "code": os.waitstatus_to_exitcode(status), "crossed": json.loads(told["crossed"] or "[]")}


def main() -> None:
    """Answer until there are no more lines."""
    import_everything()
    # What is here already is garbage for no run, and a page that no collection touches is not copied for each of them.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        with tempfile.TemporaryDirectory(prefix="kling-runs-") as folder:
            jobs = json.loads(line)
            places = [f"{folder}/{number}" for number in range(len(jobs))]
            for place in places:
                os.mkdir(place)
            started = [(start(job, place), place) for job, place in zip(jobs, places, strict=True)]
            answers = [finish(child, place) for child, place in started]
        # For the parent alone: a fork writes elsewhere.
        sys.__stdout__.write(json.dumps(answers) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
