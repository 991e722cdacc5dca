"""The ledger's file: made whole, recognized before it is touched, and never written over, whatever is in its place."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_samples import AT, TAKEN, key_of, order_of, reserve, store, submit, total

from kling_dsl.ledger import (
    BusyLedger,
    DamagedLedger,
    LedgerError,
    NewerLedger,
    Reserved,
    UnwritableLedger,
    connection,
    open_ledger,
    read_ledger,
    schema,
)
from kling_dsl.ledger.reading import LedgerReader

RUN = "20261122T170342-aaaaaaaa"
PAGE_BYTES = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".kling" / "ledger.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """A ledger with twenty clips in the store, closed."""
    with open_ledger(path, run=RUN) as ledger:
        for number in range(20):
            store(ledger, f"clip-{number}")
        ledger.keep_upload("c" * 64, "https://media.example/1.png", at=AT, expires_at=AT)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


@contextlib.contextmanager
def untouched(folder: Path) -> Iterator[None]:
    before = contents(folder)
    yield
    assert contents(folder) == before


def refuse(path: Path, kind: type[LedgerError], words: str) -> None:
    """Expect that a ledger can be opened neither to write nor to read, and that nothing happens to it."""
    for attempt in (lambda: open_ledger(path, run=RUN), lambda: read_ledger(path)):
        with untouched(path.parent), pytest.raises(kind, match=words) as refused:
            attempt()
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_new_ledger_survives_its_closing(path: Path) -> None:
    with open_ledger(path, run=RUN) as ledger:
        store(ledger, "door")
        settings = {
            name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "fullfsync", "foreign_keys", "application_id", "user_version")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "foreign_keys": 1,
        "application_id": schema.APPLICATION_ID,
        "user_version": len(schema.MIGRATIONS),
    }
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]
    with open_ledger(path, run="another") as ledger:
        row = ledger.row(key_of("door"))
        assert row is not None
        assert (row.state, row.run) == ("stored", RUN)


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "50% off?#1 'quoted' 灯" / "ledger.db"
    with open_ledger(path, run=RUN) as ledger:
        reserve(ledger, "door")
    with read_ledger(path) as reader:
        assert len(reader.rows()) == 1
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


def test_reading_where_nothing_is_makes_nothing(path: Path) -> None:
    with read_ledger(path) as reader:
        assert reader.rows() == ()
        assert reader.row(key_of("door")) is None
        assert reader.spending().total_usd == 0
        assert not path.parent.exists()
        with open_ledger(path, run=RUN) as ledger:
            reserve(ledger, "door")
            # A ledger that came since is seen.
            assert len(reader.rows()) == 1


def test_reading_a_closed_ledger_writes_nothing(filled: Path) -> None:
    before = filled.stat()
    with untouched(filled.parent), read_ledger(filled) as reader:
        assert len(reader.rows(states=("stored",))) == 20
        assert len(reader.events(key_of("clip-7"))) == 4
    assert filled.stat().st_mtime_ns == before.st_mtime_ns


def test_a_reader_sees_what_is_written_while_it_reads(filled: Path) -> None:
    with read_ledger(filled) as reader, open_ledger(filled, run=RUN) as ledger:
        assert len(reader.rows()) == 20
        reserve(ledger, "new")
        assert len(reader.rows()) == 21
        ledger.submitted(key_of("new"), **TAKEN, at=AT)
        row = reader.row(key_of("new"))
        assert row is not None
        assert row.state == "submitted"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._connection.execute("DELETE FROM uploads")


def test_a_reader_sees_what_came_and_went_between_two_questions(filled: Path) -> None:
    with read_ledger(filled) as reader:
        assert len(reader.rows()) == 20
        with open_ledger(filled, run=RUN) as ledger:
            reserve(ledger, "new")
        assert len(reader.rows()) == 21


def test_a_reader_that_stumbles_over_a_writer_asks_again(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, reopen = filled.read_bytes(), LedgerReader._open

    def open_when_done(reader: LedgerReader, path: Path) -> sqlite3.Connection:
        path.write_bytes(whole)
        return reopen(reader, path)

    with read_ledger(filled) as reader:
        filled.write_bytes(whole[:PAGE_BYTES] + random.Random(4).randbytes(len(whole) - PAGE_BYTES))
        monkeypatch.setattr(LedgerReader, "_open", open_when_done)
        assert len(reader.rows()) == 20


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_file_that_is_half_written_by_another_process_is_not_damaged(filled: Path, way: str) -> None:
    """A process that ends writes its pages one after the other: the first tells of some that are not there yet."""
    whole = filled.read_bytes()
    changes = filled.with_name(f"{filled.name}-wal")
    filled.write_bytes(whole[: 3 * PAGE_BYTES])
    changes.write_bytes(b"on their way")
    with pytest.raises(DamagedLedger), read_ledger(filled) as reader:
        reader.rows()

    def end() -> None:
        with filled.open("r+b") as file:
            file.write(whole)
        changes.unlink()

    timer = threading.Timer(0.05, end)
    timer.start()
    with read_ledger(filled) if way == "read" else open_ledger(filled, run=RUN) as ledger:
        assert len(ledger.rows()) == 20
    timer.join()


def test_a_reader_finds_what_a_crash_left_beside_the_file(filled: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    with open_ledger(filled, run=RUN) as ledger:
        reserve(ledger, "new")
        # What lies on the disk at this moment is what a crash leaves.
        shutil.copytree(filled.parent, left)
        with read_ledger(left / "ledger.db") as reader:
            assert reader.row(key_of("new")) is not None
    with open_ledger(left / "ledger.db", run=RUN) as ledger:
        assert ledger.row(key_of("new")) is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"SQLite format 3\x00", "it is cut off"),
        (b"Dear diary, " * 1000, "not a database"),
        (random.Random(1).randbytes(3 * PAGE_BYTES), "not a database"),
    ],
    ids=["empty", "header", "text", "noise"],
)
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes, words: str) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    refuse(path, DamagedLedger, words)


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE takes (number INTEGER)")
    refuse(path, DamagedLedger, "not a ledger of kling")


def test_a_ledger_that_was_cut_off_is_left_alone(filled: Path) -> None:
    whole = filled.read_bytes()
    assert len(whole) % PAGE_BYTES == 0
    for length in (50, PAGE_BYTES, len(whole) // 2, len(whole) - PAGE_BYTES, len(whole) - 1):
        filled.write_bytes(whole[:length])
        with untouched(filled.parent), pytest.raises(DamagedLedger, match="nothing is bought without it"):
            open_ledger(filled, run=RUN)


@pytest.mark.parametrize("damage", ["noise", "zeros", "another page"])
def test_a_ledger_with_a_damaged_page_is_left_alone(filled: Path, damage: str) -> None:
    whole = filled.read_bytes()
    noise = random.Random(2)
    pages = range(PAGE_BYTES, len(whole), PAGE_BYTES)
    assert len(pages) > 10
    for place in pages:
        other = whole[PAGE_BYTES : 2 * PAGE_BYTES] if place > PAGE_BYTES else whole[-PAGE_BYTES:]
        page = {"noise": noise.randbytes(PAGE_BYTES), "zeros": bytes(PAGE_BYTES), "another page": other}[damage]
        filled.write_bytes(whole[:place] + page + whole[place + PAGE_BYTES :])
        with untouched(filled.parent), pytest.raises(DamagedLedger, match="was left as it is"):
            open_ledger(filled, run=RUN)
    filled.write_bytes(whole)
    open_ledger(filled, run=RUN).close()


def test_a_damaged_index_cannot_hide_a_take_that_was_paid_for(filled: Path) -> None:
    with contextlib.closing(sqlite3.connect(filled)) as hand:
        found = hand.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_takes_1'").fetchone()
    start = (found[0] - 1) * PAGE_BYTES
    whole = filled.read_bytes()
    page = whole[start : start + PAGE_BYTES]
    assert page.count(b"clip-19") == 1
    filled.write_bytes(whole[:start] + page.replace(b"clip-19", b"clip-1:") + whole[start + PAGE_BYTES :])
    with read_ledger(filled) as reader:
        # Whoever asks for the take would buy it again.
        assert reader.row(key_of("clip-19")) is None
    with untouched(filled.parent), pytest.raises(DamagedLedger, match="missing from index"):
        open_ledger(filled, run=RUN)


def test_damage_that_reading_meets_is_said(filled: Path) -> None:
    whole = filled.read_bytes()
    filled.write_bytes(whole[:PAGE_BYTES] + random.Random(3).randbytes(len(whole) - PAGE_BYTES))
    with (
        untouched(filled.parent),
        pytest.raises(DamagedLedger, match="was left as it is"),
        read_ledger(filled) as reader,
    ):
        reader.rows()


def test_sums_that_are_not_the_sums_are_damage(filled: Path) -> None:
    with contextlib.closing(sqlite3.connect(filled)) as hand:
        hand.execute("UPDATE sums SET spent_nanos = spent_nanos - 1 WHERE scope = 'film'")
        hand.commit()
    with pytest.raises(DamagedLedger, match="not the sums of its takes"):
        open_ledger(filled, run=RUN)


def test_changes_whose_ledger_is_gone_are_damage(filled: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    with open_ledger(filled, run=RUN) as ledger:
        reserve(ledger, "new")
        shutil.copytree(filled.parent, left)
    (left / "ledger.db").unlink()
    (left / "ledger.db-shm").unlink()
    refuse(left / "ledger.db", DamagedLedger, "ledger.db-wal, which belongs to it, is still there")


@pytest.mark.parametrize("way", ["removed", "replaced"])
def test_a_ledger_that_vanishes_under_a_run_buys_nothing_more(filled: Path, way: str) -> None:
    with open_ledger(filled, run=RUN) as ledger:
        if way == "removed":
            filled.unlink()
        else:
            shutil.copy(filled, filled.with_name("copy.db"))
            filled.with_name("copy.db").replace(filled)
        with pytest.raises(DamagedLedger, match="removed or replaced while it was in use"):
            ledger.reserve(order_of("new"), (), at=AT)


def test_a_link_to_nowhere_is_no_new_ledger(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.with_name("elsewhere.db"))
    refuse(path, UnwritableLedger, "No such file")
    assert not path.with_name("elsewhere.db").exists()


def test_a_newer_ledger_is_left_alone(filled: Path) -> None:
    with contextlib.closing(sqlite3.connect(filled)) as newer:
        newer.execute("PRAGMA user_version = 99")
    refuse(filled, NewerLedger, "its form is 99, this version knows 1")


def test_a_ledger_that_became_newer_beside_its_file_is_left_alone(filled: Path) -> None:
    with contextlib.closing(sqlite3.connect(filled)) as newer:
        newer.execute("PRAGMA user_version = 99")
        assert filled.with_name("ledger.db-wal").stat().st_size
        for attempt in (lambda: open_ledger(filled, run=RUN), lambda: read_ledger(filled)):
            with pytest.raises(NewerLedger, match="99"):
                attempt()


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    refuse(path, UnwritableLedger, "a folder or a device")


def test_a_file_in_place_of_its_folder_is_refused(path: Path) -> None:
    path.parent.write_bytes(b"")
    with pytest.raises(UnwritableLedger, match=r"File exists|Not a directory"):
        open_ledger(path, run=RUN)
    assert path.parent.read_bytes() == b""


def test_a_ledger_that_is_held_too_long_says_so(filled: Path) -> None:
    with open_ledger(filled, run=RUN, patience_seconds=0.01) as ledger:
        with contextlib.closing(sqlite3.connect(filled, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(BusyLedger, match="in use by another process"):
                ledger.reserve(order_of("new"), (), at=AT)
            assert ledger.row(key_of("new")) is None
            other.execute("ROLLBACK")
        assert isinstance(ledger.reserve(order_of("new"), (), at=AT), Reserved)


def test_a_disk_that_fills_up_leaves_every_take_as_it_was(filled: Path) -> None:
    with open_ledger(filled, run=RUN) as ledger:
        key = submit(ledger, "new")
        before = ledger.row(key)
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UnwritableLedger, match="full"):
            ledger.completed(key, result=bytes(10 * PAGE_BYTES), billed_units=None, at=AT)
        assert ledger.row(key) == before
        assert len(ledger.events(key)) == 2
        ledger._connection.execute("PRAGMA max_page_count = 1000000")
        ledger.completed(key, result=bytes(10 * PAGE_BYTES), billed_units=None, at=AT)
        assert ledger.spending().total_usd == 21 * order_of("new").price_usd


def test_two_who_make_a_ledger_at_once_have_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def link_late(draft: Path, place: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        with open_ledger(path, run="quicker") as ledger:
            reserve(ledger, "door")
        link(draft, place)

    monkeypatch.setattr(os, "link", link_late)
    with open_ledger(path, run=RUN) as ledger:
        assert [row.run for row in ledger.rows()] == ["quicker"]
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


@pytest.mark.parametrize("quicker", [False, True])
def test_a_disk_without_links_will_do(path: Path, monkeypatch: pytest.MonkeyPatch, quicker: bool) -> None:
    def refuse_link(draft: Path, place: Path) -> None:
        if quicker:
            place.write_bytes(b"whole or not, it is another's")
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse_link)
    if quicker:
        with pytest.raises(DamagedLedger, match="it is cut off"):
            open_ledger(path, run=RUN)
        assert path.read_bytes() == b"whole or not, it is another's"
    else:
        with open_ledger(path, run=RUN) as ledger:
            reserve(ledger, "door")
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


ADD_NOTES = ("ALTER TABLE takes ADD COLUMN note TEXT NOT NULL DEFAULT 'none'", "CREATE TABLE notes (text TEXT)")


def test_an_older_ledger_is_led_to_the_new_form_and_a_copy_stays(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with read_ledger(filled) as reader:
        before = reader.rows()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ADD_NOTES, ("DROP TABLE notes",)))
    with untouched(filled.parent), read_ledger(filled) as reader:
        # Whoever only reads does not wait for somebody to write.
        assert reader.rows() == before
        assert reader._ask("SELECT DISTINCT note FROM takes", ()) == [("none",)]
    with open_ledger(filled, run=RUN) as ledger:
        assert ledger.rows() == before
        assert ledger._ask("SELECT DISTINCT note FROM takes", ()) == [("none",)]
        assert ledger._ask("PRAGMA user_version", ()) == [(3,)]
    assert sorted(each.name for each in filled.parent.iterdir()) == ["ledger.db", "ledger.db.v1.bak"]
    open_ledger(filled, run=RUN).close()
    assert len(list(filled.parent.iterdir())) == 2
    monkeypatch.undo()
    refuse(filled, NewerLedger, "its form is 3, this version knows 1")
    with open_ledger(filled.with_name("ledger.db.v1.bak"), run=RUN) as copy:
        assert copy.rows() == before


def test_a_migration_that_another_process_went_first_is_not_gone_again(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ADD_NOTES))
    ask = connection._version
    asked = []

    def ask_and_wait(opened: sqlite3.Connection, path: Path) -> int:
        version = ask(opened, path)
        asked.append(version)
        if len(asked) == 1:
            open_ledger(path, run="quicker").close()
        return version

    monkeypatch.setattr(connection, "_version", ask_and_wait)
    with open_ledger(filled, run=RUN) as ledger:
        assert len(ledger.rows()) == 20
    assert asked[0] == 1
    assert asked[-1] == 2
    assert sorted(each.name for each in filled.parent.iterdir()) == ["ledger.db", "ledger.db.v1.bak"]


def test_a_migration_that_fails_leaves_the_older_form(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*first, (*ADD_NOTES, "INSERT INTO nowhere VALUES (1)")))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        open_ledger(filled, run=RUN)
    monkeypatch.setattr(schema, "MIGRATIONS", first)
    with open_ledger(filled, run=RUN) as ledger:
        assert len(ledger.rows()) == 20
        reserve(ledger, "since")
    monkeypatch.setattr(schema, "MIGRATIONS", (*first, ADD_NOTES))
    with open_ledger(filled, run=RUN) as ledger:
        assert len(ledger.rows()) == 21
    # The copy from before the first attempt is still what it was.
    monkeypatch.setattr(schema, "MIGRATIONS", first)
    for name, count in (("ledger.db.v1.bak", 20), ("ledger.db.v1.2.bak", 21)):
        with open_ledger(filled.with_name(name), run=RUN) as copy:
            assert len(copy.rows()) == count


def test_a_migration_without_room_for_the_copy_does_not_begin(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ADD_NOTES))

    def sync(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    with untouched(filled.parent), pytest.raises(UnwritableLedger, match="No space left"):
        open_ledger(filled, run=RUN)


def test_the_limit_holds_over_a_closing(path: Path) -> None:
    for name, kind in (("one", "Reserved"), ("two", "Reserved"), ("three", "Refused")):
        with open_ledger(path, run=RUN) as ledger:
            assert type(ledger.reserve(order_of(name), (total("4.20"),), at=AT)).__name__ == kind
