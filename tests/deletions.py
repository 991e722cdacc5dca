"""Deletes one rule, check, limit or line of the program after the other, and shows which test notices each.

    make deletions                                     every deletion, and the table into tests/deletions.md
    .venv/bin/python tests/deletions.py --kind rule    one kind, and the table to look at
    .venv/bin/python tests/deletions.py --at prose.py:118 --at cast.py

The checkout is never touched: each process works on a copy of its own in the folder for temporary files. A copy is put
back as it was after each deletion, and thrown away at the end. For each kind a few test files are tried first; what
they do not notice and nobody has explained, the whole suite is asked about. The exit code is 1 when a deletion is noticed by nothing and no
reason stands in `EXPLAINED`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import multiprocessing
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec
from deletable import KINDS, Deletion, Kind, find_deletions
from deletions_explained import EXPLAINED

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "deletions.md"

_SHEETS = (
    "test_models_command",
    "test_profiles",
    "test_language",
    "test_diagnostic_pages",
    "test_costs",
    "test_emitter",
)
_CHECKS = (
    *("test_language", "test_expectations", "test_sheet_limits", "test_quotes", "test_rule_kinds", "test_check_words"),
    *("test_diagnostic_pages", "test_media_checks", "test_language_limits"),
)
_LEDGER = ("test_ledger", "test_ledger_files", "test_plan_limits", "test_ledger_properties", "test_ledger_processes")
_BINDING = (
    "test_language",
    "test_language_fingerprints",
    "test_language_limits",
    "test_diagnostic_pages",
    "test_emitter",
)

CHOSEN: dict[Kind, tuple[str, ...]] = {
    "rule": _SHEETS,
    "limit": _SHEETS,
    "price": _SHEETS,
    "check": _CHECKS,
    "finding": _CHECKS,
    "ledger": _LEDGER,
    "constraint": _LEDGER,
    "step": _LEDGER,
    "binding": _BINDING,
}
"""The test files that are tried first, in this order, for each kind of deletion."""

TEST_SECONDS = 20
"""A test that takes longer has noticed: what was deleted was the end of a loop."""
RUN_SECONDS = 300
SUITE_SECONDS = 1800
MEMORY_BYTES = 4 * 2**30
"""What a run may take, so that a loop without its end fails and does not fill the machine."""

_OPTIONS = (
    *("-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=no", "--timeout", str(TEST_SECONDS)),
    # The plugins are imported before the first run, which pytest would warn of.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


_BROKE_OFF = "pytest itself broke off"


class Outcome(msgspec.Struct, frozen=True):
    """What became of one deletion: the first test that failed, or an empty text, and how long it took."""

    noticed_by: str
    seconds: float


class Recorder:
    """A pytest plugin that remembers what failed, a file that could not be imported included."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid} (cannot be imported)")


class Copy:
    """A copy of the checkout in which one thing is deleted at a time, and the tests that are run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self._scratch = folder
        self._known: tuple[str, ...] | None = None
        for name in _git("ls-files", "-co", "--exclude-standard", "-z").split("\0"):
            if name and (ROOT / name).is_file():
                place = self.folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, place, follow_symlinks=False)

    def prove_clean(self, files: Sequence[str]) -> None:
        """Run test files in the untouched copy: what fails there would be taken for noticing."""
        failed = self._run((*_OPTIONS, *files), seconds=RUN_SECONDS, cache="write")
        if failed:
            raise SystemExit(f"{failed[0]} fails without any deletion: mend it first")

    def judge(self, deletion: Deletion, *, ask_all: str) -> Outcome:
        """Delete, run the tests, put everything back; `ask_all` is "suite" or "chosen"."""
        began = time.monotonic()
        first, *others = chosen_files(deletion.kind)
        with self._deleted(deletion):
            # The first by itself, because it notices most, and collecting the others takes longer than running it.
            failed = self._run((*_OPTIONS, first), seconds=RUN_SECONDS)
            failed = failed or self._run((*_OPTIONS, *others), seconds=RUN_SECONDS)
        if not failed and ask_all == "suite" and not explanation(deletion):
            known = [option for test in self._known_failures() for option in ("--deselect", test)]
            with self._deleted(deletion):
                failed = self._run((*_OPTIONS, "--timeout", "120", *known, "tests"), seconds=SUITE_SECONDS)
        if failed and failed[0].startswith(_BROKE_OFF):
            # A program that cannot be imported may end pytest itself; so may an environment that was changed meanwhile.
            self.prove_clean((first,))
        return Outcome(failed[0] if failed else "", round(time.monotonic() - began, 1))

    @contextlib.contextmanager
    def _deleted(self, deletion: Deletion) -> Iterator[None]:
        path = self.folder / deletion.path
        content, status = path.read_bytes(), path.stat()
        path.write_bytes(deletion.apply(content))
        try:
            yield
        finally:
            path.write_bytes(content)
            # With its old time, so that what Python keeps of the untouched file counts again.
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _known_failures(self) -> tuple[str, ...]:
        """Return what fails in the whole suite without any deletion: some tests want a real checkout."""
        if self._known is None:
            options = tuple(option for option in _OPTIONS if option != "-x")
            self._known = tuple(self._run((*options, "--timeout", "120", "tests"), seconds=SUITE_SECONDS))
        return self._known

    def _run(self, options: Sequence[str], *, seconds: float, cache: str = "read") -> list[str]:
        """Return what fails, in order; a run that does not end counts as failed."""
        report = self._scratch / "report.json"
        report.unlink(missing_ok=True)
        process = os.fork()
        if process == 0:
            _become_pytest(self.folder, (*options, f"--basetemp={self._scratch / 'tmp'}"), report, cache=cache)
        deadline = time.monotonic() + seconds
        try:
            while os.waitpid(process, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    _end(process)
                    return [f"the run took more than {seconds:.0f} s"]
                time.sleep(0.01)
        except BaseException:
            _end(process)
            raise
        try:
            code, failed = json.loads(report.read_bytes())
        except FileNotFoundError:
            code, failed = -1, []
        return list(failed) or ([f"{_BROKE_OFF} ({code})"] if code else [])


def chosen_files(kind: Kind) -> tuple[str, ...]:
    """Return the test files that are tried first for a kind."""
    return tuple(f"tests/{name}.py" for name in CHOSEN[kind])


def _become_pytest(folder: Path, options: Sequence[str], report: Path, *, cache: str) -> None:
    """Turn a forked process into a run of the copy's tests, and end it."""
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        log = os.open(report.with_name("output.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        os.chdir(folder)
        os.environ["PYTHONPATH"] = str(folder)
        if cache == "read":
            # What is kept of a file with a deletion in it must not be found by the next run.
            sys.dont_write_bytecode = True
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.path[:] = [str(folder), *(path for path in sys.path if Path(path or ".").resolve() not in _OURS)]
        import pytest

        recorder = Recorder()
        code = int(pytest.main([*options], plugins=[recorder]))
        report.write_text(json.dumps((code, recorder.failed)))
    finally:
        sys.stdout.flush()
        os._exit(code)


_OURS = (ROOT, ROOT / "tests")


def _end(process: int) -> None:
    """End a run and everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _git(*words: str) -> str:
    return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout


def _warm_up() -> None:
    """Import what every run imports before it comes to the program, once for all runs."""
    import pytest  # noqa: F401

    for plugin in entry_points(group="pytest11"):
        if plugin.dist is not None and plugin.dist.name != "kling-dsl":
            with contextlib.suppress(ImportError):
                plugin.load()
    for name in ("lark", "jinja2", "jsonschema_rs", "click", "hypothesis", "rich"):
        __import__(name)


def run_all(deletions: Sequence[Deletion], *, processes: int, ask_all: str) -> dict[Deletion, Outcome]:
    """Judge deletions in several processes, telling how it goes; Ctrl-C leaves nothing behind."""
    _warm_up()
    fork = multiprocessing.get_context("fork")
    answers: Any = fork.SimpleQueue()
    following = fork.Value("i", 0)
    outcomes: dict[Deletion, Outcome] = {}
    files = sorted({file for deletion in deletions for file in chosen_files(deletion.kind)})
    with tempfile.TemporaryDirectory(prefix="deletions-") as folder:
        workers = [
            fork.Process(target=_work, args=(Path(folder, str(n)), deletions, files, following, answers, ask_all))
            for n in range(processes)
        ]
        try:
            for worker in workers:
                worker.start()
            while len(outcomes) < len(deletions):
                answer = answers.get()
                if isinstance(answer, str):
                    raise SystemExit(answer)
                number, outcome = answer
                deletion = deletions[number]
                outcomes[deletion] = outcome
                told = outcome.noticed_by or "NOTICED BY NOTHING"
                print(
                    f"{len(outcomes):4}/{len(deletions)} {outcome.seconds:5.1f} s  {deletion.kind:10} {deletion.place}  {told}",
                    file=sys.stderr,
                    flush=True,
                )
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()
    return outcomes


def _work(
    folder: Path, deletions: Sequence[Deletion], files: Sequence[str], following: Any, answers: Any, ask_all: str
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        folder.mkdir()
        copy = Copy(folder)
        copy.prove_clean(files)
        while True:
            with following.get_lock():
                number = following.value
                following.value += 1
            if number >= len(deletions):
                return
            answers.put((number, copy.judge(deletions[number], ask_all=ask_all)))
    except SystemExit as problem:
        if problem.code != 1:
            answers.put(str(problem.code))


def explanation(deletion: Deletion) -> str:
    """Return why nothing notices a deletion, where that was looked into, or an empty text."""
    name = deletion.path.rpartition("/")[2]
    return next(
        (
            why
            for why, places in EXPLAINED.items()
            if any(deletion.text.startswith(text) for text in places.get(name, ()))
        ),
        "",
    )


def table(outcomes: dict[Deletion, Outcome], *, command: str) -> str:
    """Return the page: the figures by kind, what nothing notices and why, and every deletion."""
    lines = [
        "# Proof by deletion",
        "",
        "Each line below was deleted from the program on its own, and the tests were run. Made by:",
        "",
        "```sh",
        command,
        "```",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, Python {platform.python_version()}, {len(outcomes)} deletions.",
        "",
        "| What is deleted | Deletions | Noticed | Explained | Open |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, what in KINDS.items():
        of_kind = {one: outcome for one, outcome in outcomes.items() if one.kind == kind}
        if of_kind:
            noticed = sum(bool(outcome.noticed_by) for outcome in of_kind.values())
            explained = sum(not outcome.noticed_by and bool(explanation(one)) for one, outcome in of_kind.items())
            left = len(of_kind) - noticed - explained
            lines.append(f"| {what} | {len(of_kind)} | {noticed} | {explained} | {left} |")
    quiet = [one for one, outcome in outcomes.items() if not outcome.noticed_by]
    if quiet:
        lines += ["", "## Noticed by no test", "", "| Where | Deleted | Why |", "| --- | --- | --- |"]
        lines += [f"| {one.place} | {_shown(one.text)} | {explanation(one) or '**open**'} |" for one in quiet]
    for kind, what in KINDS.items():
        rows = [(one, outcome) for one, outcome in outcomes.items() if one.kind == kind and outcome.noticed_by]
        if rows:
            lines += [
                "",
                f"## {kind}: {what}",
                "",
                "| Where | Deleted | Noticed first by | s |",
                "| --- | --- | --- | ---: |",
            ]
            lines += [
                f"| {one.place} | {_shown(one.text)} | {_named(outcome.noticed_by)} | {outcome.seconds:.1f} |"
                for one, outcome in rows
            ]
    return "\n".join(lines) + "\n"


def _shown(text: str) -> str:
    text = text if len(text) <= 90 else f"{text[:89]}…"
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def _named(test: str) -> str:
    text = test.removeprefix("tests/")
    return (text if len(text) <= 100 else f"{text[:99]}…").replace("|", "\\|")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=[*KINDS], help="only this kind; may be repeated")
    parser.add_argument("--at", action="append", metavar="PLACE", help="only where `file:line` contains this")
    parser.add_argument("--processes", type=int, default=1, help="how many run at a time")
    parser.add_argument(
        "--chosen", action="store_true", help="do not ask the whole suite about what the chosen tests miss"
    )
    parser.add_argument("--list", action="store_true", help="show what would be deleted, and run nothing")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there")
    return parser.parse_args()


def main() -> int:
    """Run the script."""
    wanted = _arguments()
    deletions = [
        deletion
        for deletion in find_deletions(ROOT)
        if (not wanted.kind or deletion.kind in wanted.kind)
        and (not wanted.at or any(place in deletion.place for place in wanted.at))
    ]
    if wanted.list or not deletions:
        for deletion in deletions:
            print(f"{deletion.kind:10} {deletion.place}  {deletion.text[:120]}")
        return 0 if deletions else 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the checkout is as it was"))
    outcomes = run_all(deletions, processes=wanted.processes, ask_all="chosen" if wanted.chosen else "suite")
    outcomes = {deletion: outcomes[deletion] for deletion in deletions}
    page = table(outcomes, command=" ".join((".venv/bin/python tests/deletions.py", *sys.argv[1:])))
    if wanted.write:
        wanted.write.write_text(page, encoding="utf-8")
    else:
        print(page, end="")
    return int(any(not outcome.noticed_by and not explanation(one) for one, outcome in outcomes.items()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the checkout is as it was")
