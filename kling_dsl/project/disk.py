"""The disk as the compiler sees it: regular files under one root, bounded in size, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

import msgspec

from kling_dsl.project.media import describe_media
from kling_dsl.world import Media, Unreadable

MAX_TEXT_BYTES = 64 * 1024 * 1024
"""The largest text that is read. A film of 100,000 shots takes some 30 MB; anything beyond twice that is a mistake,
and must be refused before it fills the memory."""

MAX_MEDIA_BYTES = 512 * 1024 * 1024
"""The largest media file that is digested. It leaves room above what any endpoint takes as an upload, and keeps a
sparse or endless file from holding up a check: reading this much takes a second or two."""

_READ_STEP = 1024 * 1024
_NO_STATUS = -1


class Signature(msgspec.Struct, frozen=True, order=True):
    """What a path looked like when it was asked for, to tell later whether it still does.

    `size` is in bytes. A path that is refused without a look at a file (outside the root, say, or not permitted)
    has `exists` true and `size` -1; a path where nothing is has `exists` false.
    """

    path: str
    exists: bool
    size: int
    mtime_ns: int
    inode: int


class DiskWorld:
    """The files under `root`, by path from it with `/`; answers are kept for the life of the object.

    Only regular files are opened. A path that leads out of the root, through `..`, an absolute path or a symbolic
    link to a file or folder, gives `Unreadable("outside", …)`; so does a hidden file or folder, since a film from a
    stranger has no business in `.git` or `.env`. Nothing here raises for what a path or a file holds,
    and messages say what is wrong in words that follow the path.
    """

    def __init__(self, root: Path, *, inputs: tuple[Signature, ...] = ()) -> None:
        """Look at the disk under `root`; `inputs` are signatures taken earlier, which count among this view's."""
        self._root = os.path.realpath(root)
        self._folders: dict[str, str] = {}
        self._texts: dict[str, str | Unreadable] = {}
        self._media: dict[str, Media | Unreadable] = {}
        self._signatures = {signature.path: signature for signature in inputs}

    @property
    def root(self) -> Path:
        """The folder that every path starts from, symbolic links resolved."""
        return Path(self._root)

    @property
    def inputs(self) -> tuple[Signature, ...]:
        """The signatures of every path asked for until now, in order of path, as they were before the reading."""
        return tuple(sorted(self._signatures.values()))

    def read_text(self, path: str) -> str | Unreadable:
        """Return the text of a UTF-8 file, newlines as they stand, without a byte order mark."""
        if path not in self._texts:
            self._texts[path] = self._read_text(path)
        return self._texts[path]

    def media(self, path: str) -> Media | Unreadable:
        """Return the facts of a media file: its digest from all of its bytes, the rest from its headers."""
        if path not in self._media:
            self._media[path] = self._measure(path)
        return self._media[path]

    def read_media(self, path: str) -> bytes | Unreadable:
        """Return the content of a media file as it is now; nothing outside of the root is ever read."""
        opened = self._open(path)
        if isinstance(opened, Unreadable):
            return opened
        with opened as file:
            try:
                content = _read_at_most(file, MAX_MEDIA_BYTES + 1)
            except OSError as problem:
                return _unreadable(problem)
        return content if len(content) <= MAX_MEDIA_BYTES else _too_large("media file", MAX_MEDIA_BYTES)

    def signature(self, path: str) -> Signature:
        """Return what `path` looks like now, whatever was answered before."""
        return self._look(path)[0]

    def _look(self, path: str) -> tuple[Signature, str | Unreadable]:
        """Return the signature of a path, and where its regular file really is or why there is none to read."""
        real = self._locate(path)
        refused = Signature(path, True, _NO_STATUS, 0, 0)
        if isinstance(real, Unreadable):
            return refused, real
        try:
            status = os.stat(real)
        except (FileNotFoundError, NotADirectoryError) as problem:
            return Signature(path, False, 0, 0, 0), _unreadable(problem)
        except (OSError, ValueError) as problem:
            return refused, _unreadable(problem)
        if not os.access(real, os.R_OK):
            return refused, _unreadable(PermissionError())
        # Asked before opening, because opening alone can already do something to a device.
        return _sign(path, status), _refuse_irregular(status) or real

    def _read_text(self, path: str) -> str | Unreadable:
        opened = self._open(path)
        if isinstance(opened, Unreadable):
            return opened
        with opened as file:
            try:
                if os.fstat(file.fileno()).st_size > MAX_TEXT_BYTES:
                    return _too_large("text", MAX_TEXT_BYTES)
                content = _read_at_most(file, MAX_TEXT_BYTES + 1)
            except OSError as problem:
                return _unreadable(problem)
        if len(content) > MAX_TEXT_BYTES:
            return _too_large("text", MAX_TEXT_BYTES)
        return _decode(content)

    def _measure(self, path: str) -> Media | Unreadable:
        opened = self._open(path)
        if isinstance(opened, Unreadable):
            return opened
        with opened as file:
            try:
                before = os.fstat(file.fileno())
                if before.st_size > MAX_MEDIA_BYTES:
                    return _too_large("media file", MAX_MEDIA_BYTES)
                media = describe_media(file, limit=MAX_MEDIA_BYTES)
                after = os.fstat(file.fileno())
            except OSError as problem:
                return _unreadable(problem)
        if media is None:
            return _too_large("media file", MAX_MEDIA_BYTES)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or media.bytes != after.st_size:
            # The digest stands for what will be uploaded, so a half-written file must not get one.
            return Unreadable("unreadable", "changed while it was being read")
        return media

    def _open(self, path: str) -> BinaryIO | Unreadable:
        """Open a regular file under the root; its signature is noted in every case."""
        self._signatures[path], real = self._look(path)
        if isinstance(real, Unreadable):
            return real
        try:
            descriptor = os.open(real, _OPEN_FLAGS)
        except (OSError, ValueError) as problem:
            return _unreadable(problem)
        try:
            status = os.fstat(descriptor)
            refusal = _refuse_irregular(status)
            if refusal:
                os.close(descriptor)
                return refusal
            self._signatures[path] = _sign(path, status)
            return os.fdopen(descriptor, "rb")
        except OSError as problem:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            return _unreadable(problem)

    def _locate(self, path: str) -> str | Unreadable:
        """Return the real path behind `path`, or the reason why it must not be looked at."""
        if "\0" in path:
            return Unreadable("unreadable", "holds a NUL character, which no path can")
        normal = os.path.normpath(path)
        if os.path.isabs(path) or normal == ".." or normal.startswith(".." + os.sep):
            return _outside()
        try:
            folder, name = os.path.split(os.path.join(self._root, path))
            if folder not in self._folders:
                self._folders[folder] = os.path.realpath(folder)
            real = os.path.join(self._folders[folder], name)
            if name in ("", ".", "..") or os.path.islink(real):
                real = os.path.realpath(real)
        except (OSError, ValueError) as problem:
            return _unreadable(problem)
        if real == self._root:
            return real
        if not real.startswith(self._root.rstrip(os.sep) + os.sep):
            return _outside()
        if any(part.startswith(".") for part in real[len(self._root) :].split(os.sep)):
            return Unreadable("outside", "is hidden (a name with a dot in front), so that no film may use it")
        return real


_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
    # Not every system has every flag. Non-blocking, because a named pipe may stand there since the check;
    # no following, because every link was resolved by then.
    _OPEN_FLAGS |= getattr(os, _flag, 0)


def _sign(path: str, status: os.stat_result) -> Signature:
    return Signature(path, True, status.st_size, status.st_mtime_ns, status.st_ino)


def _refuse_irregular(status: os.stat_result) -> Unreadable | None:
    if stat.S_ISREG(status.st_mode):
        return None
    if stat.S_ISDIR(status.st_mode):
        return Unreadable("directory", "is a folder")
    return Unreadable("unreadable", f"is {_IRREGULAR.get(stat.S_IFMT(status.st_mode), 'no regular file')}")


_IRREGULAR = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _outside() -> Unreadable:
    return Unreadable("outside", "leads out of the project folder")


def _too_large(noun: str, limit: int) -> Unreadable:
    return Unreadable("too-large", f"is larger than the {limit // (1024 * 1024)} MiB that a {noun} may have")


def _unreadable(problem: OSError | ValueError) -> Unreadable:
    """Put a failure of the operating system into a reason and words."""
    if isinstance(problem, (FileNotFoundError, NotADirectoryError)):
        return Unreadable("missing", "does not exist")
    if isinstance(problem, IsADirectoryError):
        return Unreadable("directory", "is a folder")
    if isinstance(problem, PermissionError):
        return Unreadable("unreadable", "may not be read: permission denied")
    if isinstance(problem, OSError) and problem.errno == errno.ELOOP:
        return Unreadable("unreadable", "is a symbolic link that leads back to itself")
    if isinstance(problem, OSError) and problem.errno == errno.ENAMETOOLONG:
        return Unreadable("unreadable", "is too long a path for this system")
    reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else "no path of this system"
    return Unreadable("unreadable", f"cannot be read: {reason}")


def _read_at_most(file: BinaryIO, limit: int) -> bytes:
    """Read to the end or to `limit` bytes; a file may have grown since its size was asked."""
    parts: list[bytes] = []
    left = limit
    while left:
        part = file.read(min(left, _READ_STEP))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _decode(content: bytes) -> str | Unreadable:
    """Decode UTF-8 without its byte order mark, or say where it stops being UTF-8."""
    mark = b"\xef\xbb\xbf"
    start = len(mark) if content.startswith(mark) else 0
    try:
        return content[start:].decode("utf-8") if start else content.decode("utf-8")
    except UnicodeDecodeError as problem:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return Unreadable("not-utf-8", "is UTF-16, not UTF-8: byte 0, line 1")
        offset = problem.start + start
        line = content.count(b"\n", 0, offset) + 1
        return Unreadable("not-utf-8", f"is not UTF-8: byte {offset}, line {line}, is 0x{content[offset]:02X}")
