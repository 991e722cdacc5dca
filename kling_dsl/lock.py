"""The lock of a film: the takes of its requests, which were picked and which accepted, one line each, kept in git."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from kling_dsl.durable import write_whole
from kling_dsl.money import decimal_string

MAX_LOCK_BYTES = 256 * 1024 * 1024
"""The largest lock that is read: a film of 100,000 shots with several takes of each stays well below it."""

MAX_LINE_BYTES = 16 * 1024
"""The longest line that is read; a record has some 400 bytes."""

MAX_USD = Decimal(10**9)
SMALLEST_USD_EXPONENT = -9
"""Money in a lock lies below a milliard dollars and is no finer than a milliardth, as in the ledger."""

GUARD_SECONDS = 30.0
"""How long to wait for another process that writes the same lock, which takes it some milliseconds."""

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
Moment = Annotated[str, Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z\Z")]


class LockError(Exception):
    """A lock that cannot be read or written as a whole; the message names the file and says what to do."""


class Take(msgspec.Struct, frozen=True, tag_field="kind", tag="take"):
    """One paid clip of a request, in UTC; `take` is its number among the takes of the same fingerprint, from 1."""

    at: Moment
    clip: Name
    cost_usd: Decimal
    fingerprint: Digest
    model: Name
    request_id: Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{0,200}\Z")]
    seconds: Annotated[int, Meta(ge=1, le=86_400)]
    sha256: Digest
    take: Annotated[int, Meta(ge=1, le=1_000_000)]

    def __post_init__(self) -> None:
        # A few bytes of exponent make an amount that fills the memory once it is written out.
        cost = self.cost_usd
        exponent = cost.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < SMALLEST_USD_EXPONENT or not 0 <= cost < MAX_USD:
            raise ValueError('has no valid "cost_usd"')


class Pick(msgspec.Struct, frozen=True, tag_field="kind", tag="pick"):
    """The choice of a take, by the digest of its clip, since numbers may change in a merge; the newest one counts."""

    at: Moment
    fingerprint: Digest
    sha256: Digest


class Acceptance(msgspec.Struct, frozen=True, tag_field="kind", tag="accept"):
    """Somebody's decision that a paid clip stands for a request it was not made for; without a clip it is taken back."""

    at: Moment
    because: Annotated[str, Meta(max_length=500)]
    by: Annotated[str, Meta(max_length=200)]
    clip: Name
    fingerprint: Digest
    sha256: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]


Entry = Take | Pick | Acceptance
"""What a line of a lock may be."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """What is wrong with one line of a lock, counted from 1; the message follows the words "line 3"."""

    line: int
    message: str


class Lock(msgspec.Struct, frozen=True, dict=True):
    """What a lock says: takes by fingerprint and number, picks and acceptances by moment, and what is wrong with it.

    The numbers are in effect: where two branches gave one number to two clips, the later one has got the next.
    """

    takes: tuple[Take, ...] = ()
    picks: tuple[Pick, ...] = ()
    problems: tuple[Problem, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()

    def of(self, fingerprint: str) -> tuple[Take, ...]:
        """Return the takes of a request in order of their number."""
        return self._by_fingerprint.get(fingerprint, ())

    def picked(self, fingerprint: str) -> Take | None:
        """Return the take that the newest pick names, or None when no pick names one that is there."""
        takes = self._by_fingerprint.get(fingerprint, ())
        for pick in reversed(self._picks_by_fingerprint.get(fingerprint, ())):
            for take in takes:
                if take.sha256 == pick.sha256:
                    return take
        return None

    def chosen(self, fingerprint: str) -> Take | None:
        """Return the take that stands for a request: the picked one, else the first; None without any."""
        takes = self.of(fingerprint)
        return self.picked(fingerprint) or (takes[0] if takes else None)

    def acceptance(self, fingerprint: str) -> tuple[Acceptance, Take] | None:
        """Return the newest decision about a request and the take of another one that it keeps, or None."""
        accepted = self._acceptances_by_fingerprint.get(fingerprint)
        if not accepted or not accepted[-1].sha256:
            return None
        take = next((take for take in self.takes if take.sha256 == accepted[-1].sha256), None)
        return None if take is None else (accepted[-1], take)

    @cached_property
    def _acceptances_by_fingerprint(self) -> Mapping[str, tuple[Acceptance, ...]]:
        return _group(self.acceptances)

    @cached_property
    def _by_fingerprint(self) -> Mapping[str, tuple[Take, ...]]:
        return _group(self.takes)

    @cached_property
    def _picks_by_fingerprint(self) -> Mapping[str, tuple[Pick, ...]]:
        return _group(self.picks)


def read_lock(path: Path) -> Lock:
    """Return what a lock says; a file that is missing is an empty lock.

    Takes and picks do not depend on the order of the lines or on how often one is repeated. Lines that cannot be
    understood are problems, never exceptions. Raises `LockError` for what is no text file, and OSError.
    """
    return parse_lock(_read(path), where=str(path))


def parse_lock(content: bytes, *, where: str) -> Lock:
    """Return what the content of a lock says, as `read_lock` does; raises `LockError` for what is no UTF-8 text at `where`."""
    _refuse_utf16(content, where)
    return _build(_lines_of(content))


def add_records(path: Path, records: Iterable[Entry], *, guard: Path) -> None:
    """Add records to a lock; those that it has already change nothing, not a byte.

    `guard` is a file that processes hold while they write this lock; its folder is made. Lines that could not be
    understood are kept word for word. Raises ValueError for a record that could not be read again, `LockError` for a
    path that is no text file or for another process that does not end its writing, and OSError.
    """
    fresh = {_encode(record): record for record in records}
    if not fresh:
        return
    guard.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(guard, path):
        lines = _lines_of(_read(path))
        known = {_identity(line.record) for line in lines if line.record is not None}
        added = [
            _Line(0, text, record, _sort_key(record))
            for text, record in fresh.items()
            if _identity(record) not in known
        ]
        if added:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, _arrange((*lines, *added)), by_way_of=guard.parent, mode=0o666)


class _Line(msgspec.Struct, frozen=True):
    """One line: its number and its bytes, and what was understood of it or why nothing was.

    The sort key is empty for what has no place among the records.
    """

    number: int
    text: bytes
    record: Entry | None
    sort_key: tuple[str, str, int, str] | None
    problem: str = ""


_DECODER: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
Record = TypeVar("Record", Take, Pick, Acceptance)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MERGE_MARKS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
_NOUNS = {"take": "a take", "pick": "a pick", "accept": "an acceptance"}
_FIELD = re.compile(r"`\$\.(\w+)`|(?P<lacking>required field) `(\w+)`")
_SHOWABLE_KIND = re.compile(r"[a-z][a-z0-9-]{0,29}\Z")


def _read(path: Path) -> bytes:
    """Return the content of a lock; only a regular file is opened, and nothing that a link leads to."""
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    try:
        number = os.open(path, flags)
    except FileNotFoundError:
        return b""
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.EMLINK):
            raise LockError(f"{path} is a symbolic link; a lock must be a file of its own") from None
        if problem.errno == errno.ENXIO:
            raise LockError(f"{path} is no regular file; move it away and take the lock from git") from None
        raise
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise LockError(f"{path} is no regular file; move it away and take the lock from git")
        if status.st_size > MAX_LOCK_BYTES:
            raise LockError(f"{path} is larger than the {MAX_LOCK_BYTES // 2**20} MiB that a lock may have")
        with os.fdopen(number, "rb", closefd=False) as file:
            content = file.read()
    finally:
        os.close(number)
    _refuse_utf16(content, str(path))
    return content


def _refuse_utf16(content: bytes, where: str) -> None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise LockError(f"{where} is UTF-16, not UTF-8; save it as UTF-8, or take it from git again")


def _lines_of(content: bytes) -> list[_Line]:
    texts = content.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    return [_understand(number, text.removesuffix(b"\r")) for number, text in enumerate(texts, 1) if text.strip()]


def _understand(number: int, text: bytes) -> _Line:
    if len(text) > MAX_LINE_BYTES:
        return _Line(number, text, None, None, f"is longer than the {MAX_LINE_BYTES} bytes that a record may have")
    if text.startswith(_MERGE_MARKS):
        return _Line(number, text, None, None, "is a mark that a merge left; delete it, both sides count")
    try:
        record = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as problem:
        return _explain(number, text, str(problem))
    return _Line(number, text, record, _sort_key(record))


def _explain(number: int, text: bytes, problem: str) -> _Line:
    """Say why a line is no record of this version; nothing of a stranger's line is repeated unless it is harmless."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return _Line(number, text, None, None, "is no JSON")
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return _Line(number, text, None, None, 'is no record: it has no "kind"')
    kind, fingerprint = value["kind"], value.get("fingerprint")
    sort_key = (fingerprint, kind, 0, "") if isinstance(fingerprint, str) else None
    if kind not in _NOUNS:
        shown = f' "{kind}"' if _SHOWABLE_KIND.match(kind) else ""
        reason = f"is of a kind{shown} that this version does not know; a newer kling may have written it"
        return _Line(number, text, None, sort_key, reason)
    field = _FIELD.search(problem)
    if field is None:
        reason = 'has no valid "cost_usd"' if kind == "take" else "has a wrong form"
    else:
        name = field[1] or field[3]
        reason = f'lacks "{name}"' if field["lacking"] else f'has no valid "{name}"'
    return _Line(number, text, None, sort_key, f"is {_NOUNS[kind]} that {reason}")


def _build(lines: list[_Line]) -> Lock:
    problems = [Problem(line.number, line.problem) for line in lines if line.problem]
    places: dict[Entry, int] = {}
    for line in lines:
        if line.record is not None:
            places.setdefault(line.record, line.number)
    takes = _numbered(_folded(places, problems), places, problems)
    picks = sorted(
        (record for record in places if isinstance(record, Pick)),
        key=lambda pick: (pick.fingerprint, _moment(pick), pick.sha256),
    )
    there = {(take.fingerprint, take.sha256) for take in takes}
    for pick in picks:
        if (pick.fingerprint, pick.sha256) not in there:
            problems.append(Problem(places[pick], f"picks a clip {pick.sha256[:12]} that no take has"))
    acceptances = sorted(
        (record for record in places if isinstance(record, Acceptance)),
        key=lambda one: (one.fingerprint, _moment(one), one.sha256, one.clip, one.by, one.because),
    )
    clips = {take.sha256 for take in takes}
    for accepted in acceptances:
        if accepted.sha256 and accepted.sha256 not in clips:
            problems.append(Problem(places[accepted], f"accepts a clip {accepted.sha256[:12]} that no take has"))
    return Lock(tuple(takes), tuple(picks), tuple(sorted(problems)), tuple(acceptances))


def _folded(places: Mapping[Entry, int], problems: list[Problem]) -> list[Take]:
    """Return one record for each paid request and clip: the earliest, where lines say it in several ways.

    A clip that was fetched again or renamed is told twice with another moment or name, and no contradiction.
    """
    found: dict[object, Take] = {}
    takes = (record for record in places if isinstance(record, Take))
    for take in sorted(takes, key=lambda take: (_moment(take), _order(take))):
        first = found.setdefault(_identity(take), take)
        if _facts(first) != _facts(take):
            message = f"says otherwise than an earlier record what take {first.take} of {first.clip} is"
            problems.append(Problem(places[take], message))
    return sorted(found.values(), key=_order)


def _numbered(takes: list[Take], places: Mapping[Entry, int], problems: list[Problem]) -> list[Take]:
    """Give each take of a fingerprint a number of its own; the earliest keeps the one that several have."""
    numbered: list[Take] = []
    for fingerprint, group in _group(takes).items():
        used: set[int] = set()
        late: list[Take] = []
        number = 0
        for take in group:
            (late if take.take in used else numbered).append(take)
            used.add(take.take)
        for take in late:
            number = max(number, take.take) + 1  # they come in order, so nothing below the last one is free
            while number in used:
                number += 1
            used.add(number)
            numbered.append(msgspec.structs.replace(take, take=number))
            message = f"is a second take {take.take} of {take.clip} ({fingerprint[:12]}); it counts as take {number}"
            problems.append(Problem(places[take], message))
    return sorted(numbered, key=lambda take: (take.fingerprint, take.take))


def _group(records: Iterable[Record]) -> dict[str, tuple[Record, ...]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.fingerprint, []).append(record)
    return {fingerprint: tuple(group) for fingerprint, group in found.items()}


def _order(take: Take) -> tuple[object, ...]:
    return (take.take, _moment(take), take.sha256, take.request_id, take.clip, _facts(take))


def _facts(take: Take) -> tuple[int, str, int, Decimal]:
    return (take.take, take.model, take.seconds, take.cost_usd)


def _identity(record: Entry) -> object:
    """Return what makes two records one: a take is one paid request and its clip, a pick is all that it says."""
    return (record.fingerprint, record.sha256, record.request_id) if isinstance(record, Take) else record


def _moment(record: Entry) -> str:
    # Without the Z a moment with a fraction of a second comes after the same second without.
    return record.at[:-1]


def _sort_key(record: Entry) -> tuple[str, str, int, str]:
    if isinstance(record, Take):
        return (record.fingerprint, "take", record.take, _moment(record))
    return (record.fingerprint, "pick" if isinstance(record, Pick) else "accept", 0, _moment(record))


def _encode(record: Entry) -> bytes:
    """Return the line of a record, after making sure that it can be read again."""
    if isinstance(record, Take):
        record = msgspec.structs.replace(record, cost_usd=Decimal(decimal_string(record.cost_usd)))
    text = msgspec.json.encode(record)
    line = _understand(0, text)
    if line.record is None:
        raise ValueError(f"this record {line.problem}")
    return text


def _arrange(lines: Iterable[_Line]) -> bytes:
    """Return the content of a lock: records sorted and once each, then what has no place, in the order it had."""
    records = sorted({(line.sort_key, line.text) for line in lines if line.sort_key is not None})
    strange = [line.text for line in lines if line.sort_key is None]
    return b"\n".join((*(text for _, text in records), *strange, b""))


@contextlib.contextmanager
def _held(guard: Path, path: Path) -> Iterator[None]:
    import filelock

    try:
        with filelock.FileLock(guard, timeout=GUARD_SECONDS, poll_interval=0.01):
            yield
    except filelock.Timeout:
        reason = f"another process has held it for more than {GUARD_SECONDS:.0f} seconds"
        raise LockError(f"{path} cannot be written: {reason}; end that process and run this again") from None
