"""Standard streams that end a run in order, whatever has become of the other side: gone, full, closed or busy."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


def take_over_streams() -> None:
    """Replace stdout and stderr; a console that cannot show a letter shows its number, what is data is written as bytes.

    A reader of stdout that has gone away wanted no more, so the verb goes on and ends with its own exit code. Any
    other failure of stdout is raised, once. What stderr cannot take is lost.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # A closed stream leaves its number to the next file that is opened, which could then be written into.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _stream(sys.stdout, 1, _Output)
    sys.stderr = _stream(sys.stderr, 2, _Complaints)


def _stream(old: TextIO | None, number: int, kind: type[io.FileIO]) -> TextIO:
    if old is not None and (not isinstance(old, io.TextIOWrapper) or old.fileno() != number):
        return old
    raw = kind(number, "w", closefd=False)
    encoding = old.encoding if old is not None else "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=raw.isatty()
    )


class _Output(io.FileIO):
    """A file that takes all that it is given, and after it has failed takes it to nowhere."""

    def write(self, data: Buffer, /) -> int:
        """Write bytes, and wait where the other side is slow; raises OSError when it is not just gone."""
        try:
            return _write_all(super().write, self.fileno(), memoryview(data))
        except BrokenPipeError:
            _lead_to_nowhere(self.fileno())
        except OSError:
            # What is buffered still would fail again, and with a traceback, when the interpreter ends.
            _lead_to_nowhere(self.fileno())
            raise
        return memoryview(data).nbytes


class _Complaints(io.FileIO):
    """A file that never fails, since there is nobody left to tell."""

    def write(self, data: Buffer, /) -> int:
        """Write bytes, and lose those that cannot be written."""
        with contextlib.suppress(OSError):
            return _write_all(super().write, self.fileno(), memoryview(data))
        _lead_to_nowhere(self.fileno())
        return memoryview(data).nbytes


def _write_all(write: Callable[[memoryview], int | None], number: int, data: memoryview) -> int:
    done = 0
    while done < data.nbytes:
        written = write(data[done:])
        if written is None:
            # Another program has made this pipe non-blocking, and it is full.
            import select

            select.select((), (number,), ())
        done += written or 0
    return done


def _lead_to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
