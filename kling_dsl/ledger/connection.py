"""The way to the ledger's file: it is made whole, recognized before it is touched, checked, and led to today's form."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from kling_dsl.ledger import schema
from kling_dsl.ledger.errors import BusyLedger, DamagedLedger, NewerLedger, UnwritableLedger

UNCHANGING = "mode=ro&immutable=1"
"""How a file is opened that nobody writes: it is read as it is, and nothing is made beside it."""

SHARED = "mode=ro"
"""How a file is opened to read while others may write."""

_PAUSES_SECONDS = (0.01, 0.03, 0.1, 0.3)
"""How long to wait before looking once more at a file that others are writing: bringing their changes in is quick."""

_HEADER_BYTES = 100
_PRIMARY_CODE = 0xFF
"""The part of an SQLite error code that names the kind of error; the rest says where it came from."""

_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL))
_UNWRITABLE = frozenset(
    (
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR),
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_AUTH),
    )
)


_Seen = TypeVar("_Seen")


class Look(NamedTuple):
    """What a file looks like from outside."""

    inode: int
    bytes: int
    mtime_ns: int


Signature = tuple[Look | None, ...]
"""A ledger and the files beside it; None is one that is not there."""


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the file as a LedgerError; a mistake in our own SQL stays what it is."""
    try:
        yield
    except sqlite3.Error as problem:
        raise _translate(path, problem) from problem
    except OSError as problem:
        raise UnwritableLedger(path, problem.strerror or str(problem)) from problem


def _translate(path: Path, problem: sqlite3.Error) -> Exception:
    # An error that SQLite did not report has no code.
    code = getattr(problem, "sqlite_errorcode", -1) & _PRIMARY_CODE
    if code in _DAMAGED:
        return DamagedLedger(path, str(problem))
    if code in _BUSY:
        return BusyLedger(path, str(problem))
    if code in _UNWRITABLE:
        return UnwritableLedger(path, str(problem))
    return problem


def companions(path: Path) -> tuple[Path, Path]:
    """Return the files beside a ledger in which changes may stand that are not yet in it."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")


def sign(path: Path) -> Signature:
    """Return what a ledger and the files beside it look like, to tell later whether anything was written."""
    return tuple(map(_look_at, (path, *companions(path))))


def _look_at(path: Path) -> Look | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Look(status.st_ino, status.st_size, status.st_mtime_ns)


def look_until_settled(path: Path, look: Callable[[], _Seen]) -> _Seen:
    """Return what is seen in a ledger's file by a look that takes no locks; damage is believed when it stays.

    A process that ends brings its changes into the file page by page, and a file that is half written looks damaged.
    """
    for seconds in _PAUSES_SECONDS:
        before = sign(path)
        try:
            with translated(path):
                return look()
        except DamagedLedger:
            if before == sign(path):
                if not changes_beside(path):
                    raise
                time.sleep(seconds)
    with translated(path):
        return look()


def connect_to_write(path: Path, *, patience_seconds: float) -> sqlite3.Connection:
    """Open a ledger to write, made first where none is, checked through and in today's form."""
    with translated(path):
        if not exists(path):
            _make(path)
        look_until_settled(path, lambda: recognize(path))
        connection = _connect(path, "mode=rw", patience_seconds=patience_seconds)
        try:
            # A commit is on the disk when it returns, also where the disk would rather keep it in its own memory.
            for setting in ("foreign_keys = ON", "synchronous = FULL", "fullfsync = ON", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {setting}")
            _refuse_damage(connection, path)
            _migrate(connection, path, keep_copy=_keep_copy)
            _refuse_wrong_sums(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def connect_to_read(path: Path, *, query: str, patience_seconds: float) -> sqlite3.Connection:
    """Open a ledger that is there to read only; `query` is how SQLite is to treat its file.

    One of an older form is copied into memory and led to today's form there.
    """
    with translated(path):
        recognize(path)
        connection = _connect(path, query, patience_seconds=patience_seconds)
        try:
            connection.execute("PRAGMA temp_store = MEMORY")
            if _version(connection, path) == len(schema.MIGRATIONS):
                return connection
        except BaseException:
            connection.close()
            raise
        with contextlib.closing(connection):
            return _copy_into_memory(connection, path)


def connect_to_nothing() -> sqlite3.Connection:
    """Return an empty ledger in memory."""
    connection = _connect_to_memory()
    for statement in _whole_schema():
        connection.execute(statement)
    return connection


def exists(path: Path) -> bool:
    """Tell whether there is a ledger; changes whose ledger is gone are damage, and so is a link to nowhere."""
    if os.path.lexists(path):
        return True
    beside = changes_beside(path)
    if beside:
        raise DamagedLedger(path, f"it is gone, while {beside.name}, which belongs to it, is still there")
    return False


def changes_beside(path: Path) -> Path | None:
    """Return the file beside a ledger that holds changes of it, if one does."""
    return next((beside for beside in companions(path) if beside.exists() and beside.stat().st_size), None)


def recognize(path: Path) -> None:
    """Refuse a file that is no ledger, or a newer one, by its first page and without a change to it.

    Only SQLite opens the file, here and everywhere: when a process closes a file that it opened by itself, the system
    takes the locks from it that SQLite holds on that file for another connection.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnwritableLedger(path, "there is a folder or a device where the ledger should be")
    if status.st_size < _HEADER_BYTES:
        raise DamagedLedger(path, "it is cut off" if status.st_size else "it is empty")
    with contextlib.closing(_connect(path, UNCHANGING, patience_seconds=0)) as connection:
        application, version, page_bytes = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("application_id", "user_version", "page_size")
        )
    if application != schema.APPLICATION_ID:
        raise DamagedLedger(path, "it is a database, but not a ledger of kling")
    _refuse_newer(path, version)
    # SQLite reads a page that is cut off as if it ended in zeros. Only while changes are brought in may one be.
    if status.st_size % page_bytes and not changes_beside(path):
        raise DamagedLedger(path, "it is cut off")


def _refuse_newer(path: Path, version: int) -> None:
    known = len(schema.MIGRATIONS)
    if version > known:
        raise NewerLedger(path, version=version, known=known)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the form of an open ledger: what the file's first bytes say may be older than what stands beside it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    _refuse_newer(path, version)
    if version < 1:
        raise DamagedLedger(path, "it does not say which form it has")
    return version


def _connect(path: Path, query: str, *, patience_seconds: float) -> sqlite3.Connection:
    # As an address, because only that can say that nothing is to be made where nothing is.
    address = f"{path.absolute().as_uri()}?{query}"
    return sqlite3.connect(address, uri=True, timeout=patience_seconds, isolation_level=None, check_same_thread=False)


def _refuse_damage(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole ledger once: a damaged index could hide a take that was paid for."""
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise DamagedLedger(path, "; ".join(" ".join(line.split()) for line in found))


def _refuse_wrong_sums(connection: sqlite3.Connection, path: Path) -> None:
    """Add up every take once: limits are held against sums that are kept, and those must be right."""
    connection.execute("BEGIN")
    kept = set(connection.execute(schema.SUMS))
    counted = set(connection.execute(schema.SUMS_ADDED_UP))
    connection.execute("COMMIT")
    if kept != counted:
        raise DamagedLedger(path, "its sums are not the sums of its takes")


def _whole_schema() -> Iterator[str]:
    yield f"PRAGMA application_id = {schema.APPLICATION_ID}"
    for statements in schema.MIGRATIONS:
        yield from statements
    yield f"PRAGMA user_version = {len(schema.MIGRATIONS)}"


def _make(path: Path) -> None:
    """Make an empty ledger under another name and link it into place, so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.new")
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _whole_schema():
                connection.execute(statement)
            connection.execute("COMMIT")
        _put(draft, path)
    finally:
        for leftover in (draft, *companions(draft), draft.with_name(f"{draft.name}-shm")):
            leftover.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _put(draft: Path, path: Path) -> None:
    """Give a draft its name, unless another process was quicker: nothing is ever put over a ledger."""
    with contextlib.suppress(FileExistsError):
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:
            # Some disks have no links. A copy that breaks off is no ledger, and is refused as one.
            with open(path, "xb") as file:
                file.write(draft.read_bytes())
                file.flush()
                os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _connect_to_memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _copy_into_memory(older: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    copy = _connect_to_memory()
    try:
        older.backup(copy)
        _migrate(copy, path, keep_copy=None)
    except BaseException:
        copy.close()
        raise
    return copy


def _migrate(connection: sqlite3.Connection, path: Path, *, keep_copy: Callable[[Path, int], None] | None) -> None:
    """Lead a ledger to today's form step by step; `keep_copy` is called once, before the first."""
    while _version(connection, path) < len(schema.MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Asked again, now that no other process can be at it.
            version = _version(connection, path)
            if version < len(schema.MIGRATIONS):
                if keep_copy:
                    keep_copy(path, version)
                    keep_copy = None
                for statement in schema.MIGRATIONS[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _keep_copy(path: Path, version: int) -> None:
    """Keep a whole copy of a ledger as `<name>.v<version>.bak`; a copy that is there already is not written over."""
    draft = path.with_name(f"{path.name}.v{version}.{os.getpid()}.new")
    try:
        with (
            contextlib.closing(_connect(path, SHARED, patience_seconds=0)) as source,
            contextlib.closing(sqlite3.connect(draft)) as copy,
        ):
            source.backup(copy)
        number = 1
        place = path.with_name(f"{path.name}.v{version}.bak")
        while place.exists():
            number += 1
            place = path.with_name(f"{path.name}.v{version}.{number}.bak")
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)
