"""Holds lock, ledger and store against each other, take by take, and tells what does not agree and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl.emitter import canonical_json
from kling_dsl.ledger import Row
from kling_dsl.lock import Lock, Take
from kling_dsl.money import dollars
from kling_dsl.reports.escaping import sound, visible
from kling_dsl.reports.lock_lines import Severity, explain_line
from kling_dsl.reports.tables import fold, in_json
from kling_dsl.store import Store

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""The largest record of a clip that is read; one has some kilobytes."""

_INDENT = "  "
_RENUMBERED = "is a second take "
"""How a lock's problem begins that gave a take another number than its record has."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that does not agree: what, where, and what to do; a `note` is nothing that was paid for in danger."""

    what: str
    where: str
    todo: str
    severity: Severity = "error"


class FilmRecords(msgspec.Struct, frozen=True):
    """The lock of one film and the ledger's rows of it; `shown` is the film and `lock_shown` its lock as one types them."""

    file: str
    shown: str
    lock_shown: str
    there: bool
    lock: Lock
    rows: tuple[Row, ...]
    lock_lines: tuple[bytes, ...] = ()
    """The lines of the lock as they stand, when some of them are amiss."""


class Verified(msgspec.Struct, frozen=True):
    """What a verification came to."""

    films: tuple[str, ...]
    clips: int
    findings: tuple[Finding, ...]
    sandbox: bool

    @property
    def sound(self) -> bool:
        """Say whether nothing is wrong; notes may be there."""
        return not any(finding.severity == "error" for finding in self.findings)


class Record(msgspec.Struct, frozen=True):
    """What the record beside a clip says of where it comes from."""

    sha256: str = ""
    fingerprint: str = ""
    take: int = 0
    film: str = ""
    clip: str = ""
    request_id: str = ""
    endpoint: str = ""
    arguments_by_digest: dict[str, Any] | None = None

    @property
    def digest_of_request(self) -> str:
        """The fingerprint that the record's own request has."""
        return hashlib.sha256(canonical_json(self.endpoint, self.arguments_by_digest or {})).hexdigest()


class Clips:
    """The clips of a store, each read through once; `root` is the folder that places are told from."""

    def __init__(self, store: Store, root: Path, *, seen: Callable[[int], None]) -> None:
        self.store = store
        self._root = root
        self._seen = seen
        self._checked: dict[str, str] = {}

    @property
    def count(self) -> int:
        """How many clips were read."""
        return len(self._checked)

    def check(self, sha256: str) -> str:
        """Return what is wrong with a clip; empty for a sound one."""
        if sha256 not in self._checked:
            try:
                self._checked[sha256] = self.store.check(sha256)
            except OSError as problem:
                self._checked[sha256] = f"unreadable: {problem.strerror or problem}"
            self._seen(len(self._checked))
        return self._checked[sha256]

    def place(self, path: Path) -> str:
        """Return a path of the store from the root."""
        return sound(path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path))

    def records(self, sha256: str) -> Iterator[tuple[Path, Record | None]]:
        """Yield the records beside a clip, which has several when several requests gave it; None for a broken one."""
        for path in sorted(self.store.path(sha256).parent.glob(f"{sha256}*.json")):
            yield path, _read_record(path)


def locked_by(locks: Iterable[Lock]) -> frozenset[tuple[str, str]]:
    """Return the fingerprint and digest of every take that one of these locks has."""
    return frozenset((take.fingerprint, take.sha256) for lock in locks for take in lock.takes)


def check_film(film: FilmRecords, clips: Clips, locked: frozenset[tuple[str, str]]) -> Iterator[Finding]:
    """Yield what is wrong with a film's lock, its clips, their records, and the ledger's rows of it.

    `locked` are the takes of every lock of the project: the rows of a film that was renamed are in the new one's.
    """
    renumbered = False
    for problem in film.lock.problems:
        renumbered = renumbered or problem.message.startswith(_RENUMBERED)
        line = film.lock_lines[problem.line - 1] if problem.line <= len(film.lock_lines) else b""
        told = explain_line(problem, film.lock, line)
        yield Finding(told.what, f"{film.lock_shown}:{problem.line}", told.todo, told.severity)
    for take in film.lock.takes:
        yield from _check_take(take, film, clips, numbers_hold=not renumbered)
    for row in film.rows:
        yield from _check_row(row, film, clips, locked)


def check_store(films: Sequence[FilmRecords], rows: Iterable[Row], clips: Clips) -> Iterator[Finding]:
    """Yield clips that no lock and no row knows, and what runs that broke off left in the store."""
    known = {take.sha256 for film in films for take in film.lock.takes} | {row.sha256 for row in rows}
    for sha256 in clips.store.digests():
        if sha256 in known:
            continue
        where = clips.place(clips.store.path(sha256))
        if wrong := clips.check(sha256):
            yield Finding(f"a clip is {wrong}", where, "move it away")
        else:
            yield Finding(
                f"no lock and no ledger knows this clip; {_origin(clips, sha256)}",
                where,
                "take the lock that has it from git, or move it away if nobody wants it: a render would buy it again",
            )
    keys = {f"{row.key.fingerprint}-{row.key.take}": row for row in rows}
    yield from _check_leftovers(clips, keys)


def render_verification(verified: Verified, *, width: int) -> str:
    """Return the findings as text, the errors first, and what it came to."""
    lines: list[str] = []
    for finding in sorted(verified.findings, key=lambda one: one.severity != "error"):
        lines.append(f"{finding.severity}: {visible(finding.where)}")
        for words in (finding.what, finding.todo):
            lines += [_INDENT + line for line in fold(visible(words), max(40, width - 2))]
    errors = sum(finding.severity == "error" for finding in verified.findings)
    came_to = "all sound" if not errors else f"{errors:,} {'thing is' if errors == 1 else 'things are'} wrong"
    looked = f"{_counted(len(verified.films), 'film')} and {_counted(verified.clips, 'clip')}"
    where = " of the sandbox" if verified.sandbox else ""
    return "\n".join((*lines, f"{looked}{where} checked, {came_to}")) + "\n"


def verification_json(verified: Verified) -> str:
    """Return the findings as JSON."""
    return in_json(
        {
            "sound": verified.sound,
            "sandbox": verified.sandbox,
            "films": verified.films,
            "clips": verified.clips,
            "findings": verified.findings,
        }
    )


def _check_take(take: Take, film: FilmRecords, clips: Clips, *, numbers_hold: bool) -> Iterator[Finding]:
    name = f"take {take.take} of {take.clip}"
    where = clips.place(clips.store.path(take.sha256))
    wrong = clips.check(take.sha256)
    if wrong:
        move = "" if wrong == "missing" else "move what stands there away; "
        yield Finding(f"{name} is {wrong}", where, f"{move}{_again(film)}")
        return
    records = list(clips.records(take.sha256))
    own = [
        (path, record)
        for path, record in records
        if record is not None and (record.fingerprint, record.request_id) == (take.fingerprint, take.request_id)
    ]
    if not own:
        yield _without_record(name, where, records, clips)
        return
    for path, record in own:
        wrong = _what_is_wrong(record, take, numbers_hold=numbers_hold)
        if wrong:
            yield Finding(f"the record of {name} {wrong}", clips.place(path), "put the record back from a copy")


def _without_record(name: str, where: str, records: Sequence[tuple[Path, Record | None]], clips: Clips) -> Finding:
    todo = "put its record back from a copy; the clip itself is whole"
    broken = [path for path, record in records if record is None]
    if broken:
        return Finding(f"the record of {name} cannot be read", clips.place(broken[0]), todo)
    told = [record for _, record in records if record is not None]
    if told:
        other = f"take {told[0].take} of {told[0].clip}, request {told[0].request_id}"
        return Finding(f"the record beside {name} tells of another request: {other}", where, todo)
    return Finding(f"{name} has no record beside it", where, todo)


def _what_is_wrong(record: Record, take: Take, *, numbers_hold: bool) -> str:
    """Return what a record says otherwise than the lock, in words that follow its name."""
    if record.sha256 != take.sha256:
        return f"is of another clip, {record.sha256[:12] or 'which it does not name'}"
    if record.digest_of_request != take.fingerprint:
        return f"holds a request whose fingerprint is {record.digest_of_request[:12]}, not {take.fingerprint[:12]}"
    if numbers_hold and record.take != take.take:
        return f"says that it is take {record.take}"
    return ""


def _check_row(row: Row, film: FilmRecords, clips: Clips, locked: frozenset[tuple[str, str]]) -> Iterator[Finding]:
    order = row.order
    name = f"take {row.key.take} of {order.clip}"
    if hashlib.sha256(order.canonical).hexdigest() != row.key.fingerprint:
        what = f"the ledger's request for {name} is not the one that its fingerprint names"
        yield Finding(what, f"ledger, {row.key.fingerprint[:12]}", "put the ledger back from a copy")
    if row.state == "stored" and (row.key.fingerprint, row.sha256) not in locked:
        todo = (
            f"`kling render {film.shown}` writes it there" if film.there else "the film is gone; put it back from git"
        )
        yield Finding(f"{name} is paid for, and the lock does not have it", film.lock_shown, todo)
        if wrong := clips.check(row.sha256):
            yield Finding(f"{name} is {wrong}", clips.place(clips.store.path(row.sha256)), _again(film))
    place = clips.store.folder / "quarantine" / Path(row.quarantine).name
    if row.state == "failed" and row.quarantine and not place.is_file():
        todo = f"put it back from a copy if you want to look at it: {dollars(order.price_usd)} may be billed for it"
        yield Finding(f"the clip that was set aside as {name} is missing", row.quarantine, todo)


def _check_leftovers(clips: Clips, keys: dict[str, Row]) -> Iterator[Finding]:
    for name in _names(clips, "incoming"):
        row = keys.get(name.removesuffix(".part"))
        where = clips.place(clips.store.folder / "incoming" / name)
        if row is None:
            yield Finding("a download that no ledger knows of", where, "delete it, if you do not know it", "note")
        elif row.state in ("submitted", "completed"):
            todo = "nothing, while a render is at it; else the next render fetches the clip again"
            yield Finding(f"a download of take {row.key.take} of {row.order.clip} under way", where, todo, "note")
        else:
            what = f"a download of take {row.key.take} of {row.order.clip} that broke off; the take is {row.state}"
            yield Finding(what, where, "delete it", "note")
    for path in sorted(clips.store.folder.glob("*/.*")):
        yield half_written(clips.place(path))


def half_written(where: str) -> Finding:
    """Return what is to be said of a temporary file."""
    return Finding("a file that a run is writing, or left half-written", where, "delete it when no run is left", "note")


def _names(clips: Clips, folder: str) -> list[str]:
    try:
        return sorted(path.name for path in (clips.store.folder / folder).iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _origin(clips: Clips, sha256: str) -> str:
    for _, record in clips.records(sha256):
        if record is not None:
            return f"its record says: take {record.take} of {record.clip} in {record.film}, request {record.request_id}"
    return "it has no record that can be read"


def _again(film: FilmRecords) -> str:
    if not film.there:
        return "the film is gone, too; put both back from a copy if you want them"
    return f"`kling render {film.shown}` fetches it again, as long as the provider has it; or put it back from a copy"


def _read_record(path: Path) -> Record | None:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_RECORD_BYTES:
            return None
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
