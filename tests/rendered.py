"""A project in which takes were rendered: real lock, ledger and store, made through their own functions."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from commands import Project

from kling_dsl.cli.desk import Desk, open_desk, stage_of
from kling_dsl.cli.films import open_film
from kling_dsl.footage import Footage
from kling_dsl.ledger import Key, Order, Row, State, open_ledger
from kling_dsl.ledger.sqlite import SqliteLedger
from kling_dsl.lock import Pick, Take, add_records
from kling_dsl.render.provenance import Commit, Origin, provenance
from kling_dsl.standing import Standing, in_utc, take_of

AT = datetime(2026, 11, 22, 17, 3, 42, tzinfo=UTC)
DEAD = "20261122T170000-deaddead"
"""A run whose process is gone: nobody holds its lease."""

FOOTAGE = Footage("mp4", 3840, 2160, 5.0, 24.0, has_audio=True, bytes=4_000_000)

FILM = """\
Title: The Pier
Budget: $40

SHOT wake 4s
He wakes.

SHOT stove 5s
  takes: 2
He lights the stove.

SHOT walk 6s
  start: end of wake
He walks.
"""


def clip_bytes(name: str) -> bytes:
    """Return the bytes of a clip: they begin as an MP4 does, which is as far as the store looks."""
    return b"\0\0\0\x18ftypisom" + name.encode() * 20


def digest_of(name: str) -> str:
    return hashlib.sha256(clip_bytes(name)).hexdigest()


class Rendered(Project):
    """A project with a film, and the ways of its takes."""

    def __init__(self, root: Path, film: str = FILM, *, path: str = "film.kling", sandbox: bool = False) -> None:
        super().__init__(root)
        self.film = path
        self.sandbox = sandbox
        self.write(path, film)

    def desk(self, film: str = "") -> Desk:
        opened = open_film(self.root / (film or self.film), model=None, values=(), data=())
        assert not opened.compilation.failed, opened.compilation.diagnostics
        return open_desk(opened, stage_of(opened.project, sandbox=self.sandbox))

    def standing(self, clip: str) -> Standing:
        return next(one for one in self.desk().standings if one.call.id == clip)

    def ledger(self, run: str = DEAD) -> SqliteLedger:
        return open_ledger(self.desk().stage.ledger, run=run)

    def order(self, clip: str, take: int = 1) -> Order:
        standing = self.standing(clip)
        call = standing.call
        assert standing.fingerprint, f"{clip} waits for another clip"
        return Order(
            Key(standing.fingerprint, take),
            self.film,
            clip,
            call.file,
            call.line,
            call.model,
            call.endpoint,
            b'{"prompt":"He wakes."}',
            standing.canonical,
            call.seconds,
            call.price_usd,
        )

    def bring(
        self,
        clip: str,
        take: int = 1,
        *,
        to: State | str = "stored",
        at: datetime = AT,
        content: str = "",
        lock: bool = True,
        reason: str = "the connection was lost",
        run: str = DEAD,
        billed_units: Decimal | None = None,
        request_id: str = "",
    ) -> Row:
        """Bring a take to a state: one of the ledger, or `set aside` for a clip in quarantine."""
        with self.ledger(run) as ledger:
            order = self.order(clip, take)
            key = order.key
            ledger.reserve(order, (), at=at)
            if to == "uncertain":
                ledger.uncertain(key, reason=reason, at=at)
            elif to == "released":
                ledger.uncertain(key, reason=reason, at=at)
                ledger.released(key, reason="not in the history", at=at)
            elif to == "declined":
                ledger.failed(key, billed="no", reason=reason, at=at)
            elif to != "intent":
                self._submitted(ledger, key, to, at=at, reason=reason, units=billed_units, request=request_id)
                if to in ("stored", "set aside"):
                    self._fetched(ledger, key, to, at=at, content=content, reason=reason)
            row = ledger.row(key)
            assert row is not None
        if row.state == "stored" and lock:
            self.record(take_of(row))
        return row

    def record(self, *records: Take | Pick) -> None:
        desk = self.desk()
        add_records(desk.lock_path, records, guard=desk.stage.guard(desk.film))

    def pick(self, clip: str, content: str, at: datetime = AT) -> None:
        self.record(Pick(in_utc(at), self.standing(clip).fingerprint, digest_of(content)))

    def clip_path(self, content: str) -> Path:
        return self.desk().store.path(digest_of(content))

    def lock_text(self) -> str:
        path = self.desk().lock_path
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _submitted(
        self, ledger: SqliteLedger, key: Key, to: str, *, at: datetime, reason: str, units: Decimal | None, request: str
    ) -> None:
        name = request or f"request-{key.fingerprint[:6]}-{key.take}"
        urls = {f"{kind}_url": f"https://queue.fal.run/{name}/{kind}" for kind in ("response", "status", "cancel")}
        ledger.submitted(key, request_id=name, **urls, at=at + timedelta(seconds=2))
        if to == "failed":
            ledger.failed(key, billed="maybe", reason=reason, at=at + timedelta(seconds=60))
        elif to != "submitted":
            result = b'{"video":{"url":"https://v3.fal.media/files/clip.mp4"}}'
            ledger.completed(key, result=result, billed_units=units, at=at + timedelta(seconds=60))

    def _fetched(self, ledger: SqliteLedger, key: Key, to: str, *, at: datetime, content: str, reason: str) -> None:
        store, row = self.desk().store, ledger.row(key)
        assert row is not None
        part = store.part(key.fingerprint, key.take)
        part.write_bytes(clip_bytes(content or f"{row.order.clip} {key.take}"))
        origin = Origin(None, Commit("c0ffee", dirty=False))
        later = at + timedelta(seconds=90)
        if to == "set aside":
            place = store.quarantine(part, reason, provenance(row, origin, sha256="", footage=None, notes=(reason,)))
            inside = place.relative_to(self.desk().stage.root).as_posix()
            ledger.failed(key, billed="maybe", reason=reason, quarantine=inside, at=later)
            return
        sha256 = store.keep(part, lambda digest: provenance(row, origin, sha256=digest, footage=FOOTAGE, notes=()))
        ledger.stored(key, sha256=sha256, at=later)


@contextlib.contextmanager
def clock_in(zone: str) -> Iterator[None]:
    """Set the clock on the wall to a zone for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        try:
            yield
        finally:
            patch.undo()
            time.tzset()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder with its content, to see later that nothing was written."""
    return {
        os.path.relpath(path, folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
