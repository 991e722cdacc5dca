"""Makes a clip count that was set aside, on a person's word: into the store, the ledger and with its record."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from kling_dsl.cli.desk import Desk
    from kling_dsl.ledger import Row
    from kling_dsl.lock import Take

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""The largest record that is read; one has some kilobytes."""


class CannotKeep(Exception):
    """What was set aside cannot be made a take; the message says why, and nothing was changed."""


def keep_set_aside(desk: Desk, row: Row, *, at: datetime) -> Take:
    """Move a clip from quarantine into the store, and make its row `stored`; return the take for the lock.

    Cut off at any place, it can be run again. Raises `CannotKeep`, LedgerError and OSError.
    """
    from kling_dsl.ledger import open_ledger
    from kling_dsl.ledger.leases import Lease
    from kling_dsl.standing import take_of

    with Lease(desk.stage.runs) as lease, open_ledger(desk.stage.ledger, run=lease.run) as ledger:
        now = ledger.row(row.key)
        if now is not None and now.state == "failed":
            sha256 = _put_into_store(desk, now, at)
            ledger.stored(row.key, sha256=sha256, at=at)
            now = ledger.row(row.key)
        if now is None or now.state != "stored":
            raise CannotKeep(f"take {row.key.take} of {row.order.clip} has changed meanwhile; look at it again")
        return take_of(now)


def _put_into_store(desk: Desk, row: Row, at: datetime) -> str:
    place = _find(desk, row)
    if place is None:
        # A run of this very command may have ended between the store and the ledger.
        sha256 = desk.store.find_request(row.request_id)
        if sha256:
            return sha256
        raise CannotKeep(f"{row.quarantine} is not there any more")
    if place.suffix != ".mp4":
        raise CannotKeep(f"{row.quarantine} is no MP4 file at all: what came was no clip")
    return desk.store.keep(place, lambda sha256: _record(place, row, sha256=sha256, at=at))


def _find(desk: Desk, row: Row) -> Path | None:
    """Return where the clip lies; only a regular file in this store's quarantine is one, whatever the ledger says."""
    folder = desk.store.folder / "quarantine"
    place = folder / Path(row.quarantine).name
    if desk.stage.root / row.quarantine != place:
        raise CannotKeep(f"the ledger says that its clip is at {row.quarantine}, which is no place of this store")
    if place.is_symlink() or folder.is_symlink() or not place.is_file():
        return None
    return place


def _record(place: Path, row: Row, *, sha256: str, at: datetime) -> bytes:
    """Return the record of the clip: the one that lies beside it, with its digest and a note of what happened."""
    from kling_dsl.standing import in_utc

    note = f"set aside ({row.reason}), and kept by hand on {in_utc(at)}"
    record = _read(place.with_suffix(".json"))
    if record is None:
        from kling_dsl.render.provenance import Commit, Origin, provenance

        return provenance(row, Origin(None, Commit()), sha256=sha256, footage=None, notes=(note,))
    notes = record.get("notes")
    record |= {"sha256": sha256, "notes": [*(notes if isinstance(notes, list) else []), note]}
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_RECORD_BYTES:
            return None
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
