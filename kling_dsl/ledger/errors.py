"""Why the ledger refused: messages for people, which name the file and say what to do."""

from __future__ import annotations

from pathlib import Path


class LedgerError(Exception):
    """The ledger could not do what was asked; its message is for people."""


class Conflict(LedgerError):
    """A step that the row's state or owner does not allow: another run was quicker, or the program is wrong."""


class NewerLedger(LedgerError):
    """The ledger was written by a newer version of the program."""

    def __init__(self, path: Path, *, version: int, known: int) -> None:
        super().__init__(
            f"{path} was written by a newer version of kling (its form is {version}, this version knows {known}). "
            "Nothing in it was changed. Install the newer version to go on."
        )


class DamagedLedger(LedgerError):
    """What stands in the ledger's place cannot be believed."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path} is damaged: {what}. It was left as it is, and nothing is bought without it. Put it back from a "
            f"copy, together with {path.name}-wal if there is one, or move both away to begin a new ledger, which "
            "will not know what was paid for."
        )


class UnwritableLedger(LedgerError):
    """The ledger, or its folder, cannot be used as it must be: read-only, full, or no place for a file."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path} cannot be used: {what}. Nothing is bought without it. Make room on the disk, or make the folder "
            "and the files in it writable, and run the command again."
        )


class BusyLedger(LedgerError):
    """Another process held the ledger for longer than this one waits."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path} is in use by another process, and did not become free: {what}. Nothing was changed. "
            "End the other process, or wait for it, and run the command again."
        )
