"""Files that survive a crash: written whole or not at all, and on the disk before anyone relies on them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

_NO_FOLDER_SYNC = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOSYS))
"""What file systems and systems answer that cannot bring a folder to the disk by itself; all else is a failing disk."""


def write_whole(path: Path, content: bytes, *, by_way_of: Path | None = None, mode: int = 0o600) -> None:
    """Replace a file in one step; whoever looks sees the old content or the new one, also after a crash.

    `by_way_of` is the folder in which the new content is written first, so that a crash litters nothing beside
    `path`; where that is another file system, the folder of `path` serves. A file that is there keeps its mode, a new
    one gets `mode` as the umask allows. Raises OSError, and leaves no temporary file behind then.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode & 0o777
    name = f".{path.name[:100]}.{secrets.token_hex(4)}"
    try:
        _write_by_way_of(path, content, temporary=(by_way_of or path.parent) / name, mode=mode)
    except OSError as problem:
        if by_way_of is None or problem.errno != errno.EXDEV:
            raise
        _write_by_way_of(path, content, temporary=path.parent / name, mode=mode)


def write_new(path: Path, content: bytes) -> None:
    """Write a file where none is; raises FileExistsError for any that is there, and OSError without leaving a part."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC, 0o600)
    try:
        try:
            _write_all(number, content)
        finally:
            os.close(number)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    number = os.open(path, os.O_RDONLY | _NO_FOLLOW | _CLOSE_ON_EXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, as far as the system can say."""
    try:
        number = os.open(folder, os.O_RDONLY | _CLOSE_ON_EXEC)
    except OSError as problem:
        if problem.errno in _NO_FOLDER_SYNC:
            return
        raise
    try:
        os.fsync(number)
    except OSError as problem:
        if problem.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(number)


def _write_by_way_of(path: Path, content: bytes, *, temporary: Path, mode: int) -> None:
    number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC, mode)
    try:
        try:
            _write_all(number, content)
        finally:
            os.close(number)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_all(number: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(number, left) :]
    os.fsync(number)


_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
