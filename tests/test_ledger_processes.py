"""Several processes on one ledger, processes that are killed, and how others know that they are gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_samples import AT, PRICE, TAKEN, key_of, order_of, reserve

from kling_dsl.ledger import State, UnwritableLedger, open_ledger, read_ledger
from kling_dsl.ledger.leases import Lease, is_alive

WORKER = Path(__file__).with_name("ledger_worker.py")
RUN = "20261122T170342-aaaaaaaa"
AFTER: dict[State, State] = {"intent": "submitted", "submitted": "completed", "completed": "stored", "stored": "intent"}

Worker = subprocess.Popen[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".kling" / "ledger.db"


@contextlib.contextmanager
def start(*words: object) -> Iterator[Worker]:
    """Start a worker, and end it with the block if it has not ended by itself."""
    command = (sys.executable, str(WORKER), *map(str, words))
    with subprocess.Popen(command, encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def line_of(worker: Worker) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def finish(worker: Worker, *, code: int = 0) -> list[str]:
    """Give a worker its word to go on, and return what it says until its end."""
    words, _ = worker.communicate("go\n", timeout=60)
    assert worker.returncode == code
    return words.splitlines()


def race(*commands: tuple[object, ...]) -> list[list[str]]:
    """Start workers, let all of them go at one moment, and return what each says."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(start(*command)) for command in commands]
        assert [line_of(worker) for worker in workers] == ["ready"] * len(workers)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return [finish(worker) for worker in workers]


def test_a_limit_holds_against_several_processes_that_make_the_ledger_at_once(path: Path) -> None:
    said = race(*(("buy", path, f"run-{n}", f"{n}-", 20, PRICE * 30) for n in range(4)))
    assert Counter(word for words in said for word in words) == {"Reserved": 30, "Refused": 50}
    with read_ledger(path) as reader:
        assert reader.spending().total_usd == PRICE * 30
        assert len(reader.rows()) == 30
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


def test_a_take_is_reserved_by_one_process_alone(path: Path) -> None:
    said = race(*(("buy", path, f"run-{n}", "same-", 25, "1000") for n in range(4)))
    for words in zip(*said, strict=True):
        assert Counter(words) == {"Reserved": 1, "Taken": 3}
    with read_ledger(path) as reader:
        assert [len(reader.events(row.key)) for row in reader.rows()] == [1] * 25


def test_a_dead_runs_row_is_taken_over_by_one_process_alone(path: Path) -> None:
    with open_ledger(path, run=RUN) as ledger:
        for number in range(25):
            reserve(ledger, f"clip-{number}")
    said = race(*(("seize", path, f"run-{n}", 25, RUN) for n in range(3)))
    for words in zip(*said, strict=True):
        assert Counter(words) == {"True": 1, "False": 2}
    with read_ledger(path) as reader:
        owners = [row.owner for row in reader.rows()]
    assert owners == [f"run-{words.index('True')}" for words in zip(*said, strict=True)]


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("BEGIN", "intent"),
        ("UPDATE takes", "intent"),
        ("INSERT INTO events", "intent"),
        ("COMMIT", "intent"),
        ("after it", "submitted"),
    ],
)
def test_a_kill_leaves_the_state_before_or_after(path: Path, statement: str, state: State) -> None:
    with start("fall", path, RUN, statement) as worker:
        finish(worker, code=-signal.SIGKILL)
    for _ in range(2):
        with read_ledger(path) as reader:
            row = reader.row(key_of("door"))
            assert row is not None
            assert row.state == state
            assert [row.request_id, row.submitted_at] == (
                [TAKEN["request_id"], AT] if state == "submitted" else ["", None]
            )
            assert [event.to_state for event in reader.events(row.key)] == ["intent", "submitted"][
                : 1 + (state != "intent")
            ]
            assert reader.spending().reserved_usd == PRICE
        # Once as the crash left it, and once after somebody wrote.
        open_ledger(path, run="next").close()


def test_a_kill_while_the_ledger_is_made_leaves_none(path: Path) -> None:
    with start("fall_while_making", path, RUN) as worker:
        finish(worker, code=-signal.SIGKILL)
    assert not path.exists()
    with open_ledger(path, run=RUN) as ledger:
        reserve(ledger, "door")
    with read_ledger(path) as reader:
        assert len(reader.rows()) == 1


def test_kills_at_any_moment_lose_no_step_that_was_done(path: Path) -> None:
    for number in range(5):
        with start("hurry", path, f"run-{number}") as worker:
            last = ["", ""]
            for _ in range(7 * number + 3):
                last = line_of(worker).split()
            worker.kill()
            rest = worker.stdout.read().splitlines() if worker.stdout else []
            # A last line may be cut off by the end.
            whole = [line.split() for line in rest if len(line.split()) == 2 and line.split()[1] in AFTER]
            fingerprint, state = (whole or [last])[-1]
        with open_ledger(path, run="next") as ledger:
            row = ledger.row(key_of(fingerprint))
            assert row is not None
            assert row.state in (state, AFTER[state])  # type: ignore[index]
            for each in ledger.rows():
                assert ledger.events(each.key)[-1].to_state == each.state
            assert ledger.spending().total_usd == PRICE * len(ledger.rows())


def test_a_reader_of_this_process_does_not_open_the_ledger_to_others(path: Path) -> None:
    # When a process closes a file, the system lets go of all its locks on it. Another process would then believe that
    # nobody else has the ledger open, and take away the file in which this one writes.
    with open_ledger(path, run=RUN) as ledger:
        reserve(ledger, "first")
        read_ledger(path).close()
        open_ledger(path, run="another").close()
        with start("visit", path, "visitor") as worker:
            assert finish(worker) == ["open"]
        assert path.with_name("ledger.db-wal").exists()
        reserve(ledger, "second")
        with start("visit", path, "visitor") as worker:
            assert finish(worker) == ["open"]
    with read_ledger(path) as reader:
        assert len(reader.rows()) == 2


def test_a_full_disk_keeps_the_state_and_says_what_to_do(path: Path) -> None:
    with start("fill_disk", path, RUN) as worker:
        said = finish(worker)
    assert said[0].startswith(f"UnwritableLedger {path} cannot be used: ")
    assert "Make room on the disk" in said[0]
    assert said[1] == "intent"
    assert said[2].startswith(f"UnwritableLedger {path.with_name('other.db')} cannot be used: ")
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]
    with read_ledger(path) as reader:
        assert [row.state for row in reader.rows()] == ["submitted"]


def test_a_folder_that_may_only_be_read_can_be_read() -> None:
    # Below a folder that everybody may enter: the tests' own is closed to others.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "project" / "ledger.db"
        with open_ledger(path, run=RUN) as ledger:
            reserve(ledger, "door")
        try:
            with start("meet_permissions", path, RUN) as worker:
                said = finish(worker)
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o555
        finally:
            path.parent.chmod(0o755)
        assert said[0].startswith(f"UnwritableLedger {path} cannot be used: ")
        assert said[1].startswith(f"UnwritableLedger {path.with_name('other.db')} cannot be used: ")
        assert said[2:] == ["1"]
        assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


def test_a_lease_is_seen_from_this_process_and_from_another(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    with Lease(folder) as lease:
        assert is_alive(folder, lease.run)
        assert [each.name for each in folder.iterdir()] == [f"{lease.run}.lock"]
        with start("hold", folder, "alone") as worker:
            other = line_of(worker).split()[0]
            assert other != lease.run
            assert is_alive(folder, other)
            finish(worker)
        assert not is_alive(folder, other)
        assert is_alive(folder, lease.run)
    assert not is_alive(folder, lease.run)
    assert list(folder.iterdir()) == []


def test_a_name_tells_when_the_run_began(tmp_path: Path) -> None:
    leases = [Lease(tmp_path) for _ in range(3)]
    assert len({lease.run for lease in leases}) == 3
    for lease in leases:
        day, _, rest = lease.run.partition("T")
        time, _, mark = rest.partition("-")
        assert (len(day), len(time), len(mark)) == (8, 6, 8)
        assert int(mark, 16) >= 0
        assert not is_alive(tmp_path, lease.run)


@pytest.mark.parametrize("child", ["alone", "forked", "program"])
def test_a_killed_run_is_dead_at_once_whatever_it_began(tmp_path: Path, child: str) -> None:
    with start("hold", tmp_path, child) as worker:
        run, number = line_of(worker).split()
        try:
            assert is_alive(tmp_path, run)
            worker.kill()
            worker.wait()
            assert not is_alive(tmp_path, run)
            assert (tmp_path / f"{run}.lock").exists()
            if child != "alone":
                os.kill(int(number), 0)
        finally:
            if child != "alone":
                os.kill(int(number), signal.SIGKILL)


def test_a_child_that_leaves_the_block_does_not_end_the_run(tmp_path: Path) -> None:
    with start("hold", tmp_path, "leaving") as worker:
        run = line_of(worker).split()[0]
        assert is_alive(tmp_path, run)
        finish(worker)
        assert not is_alive(tmp_path, run)


def test_those_who_ask_do_not_take_each_other_for_the_run(tmp_path: Path) -> None:
    with start("hold", tmp_path, "alone") as worker:
        run = line_of(worker).split()[0]
        worker.kill()
        worker.wait()
    with open(tmp_path / f"{run}.lock", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert not is_alive(tmp_path, run)


def test_asking_makes_nothing(tmp_path: Path) -> None:
    assert not is_alive(tmp_path / "runs", RUN)
    (tmp_path / "file").write_bytes(b"")
    assert not is_alive(tmp_path / "file", RUN)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_lease_that_cannot_be_held_or_read_is_an_error_and_not_a_guess(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnwritableLedger, match="file"), Lease(tmp_path / "file"):
        pass
    (tmp_path / f"{RUN}.lock").symlink_to(tmp_path / f"{RUN}.lock")
    with pytest.raises(UnwritableLedger, match=RUN):
        is_alive(tmp_path, RUN)


def test_money_of_a_killed_run_stays_reserved(path: Path) -> None:
    with start("fall", path, RUN, "after it") as worker:
        finish(worker, code=-signal.SIGKILL)
    with open_ledger(path, run="next") as ledger:
        refused = ledger.reserve(order_of("window"), (), at=AT)
        assert type(refused).__name__ == "Reserved"
        assert ledger.spending().reserved_usd == Decimal("4.20")
        assert ledger.take_over(key_of("door"), from_run=RUN, at=AT)
        ledger.completed(key_of("door"), result=b"{}", billed_units=None, at=AT)
