"""Derived data kept in the user's cache folder: written whole or not at all, and never believed when damaged."""

from __future__ import annotations

import hashlib
import os
import stat
import sys

_DIGEST_SIZE = 32
_PLATFORM: str = sys.platform


def cache_folder() -> str:
    """Return the folder of everything that can be made again: `KLING_CACHE_DIR`, or the user's own cache folder."""
    chosen = os.environ.get("KLING_CACHE_DIR")
    if chosen:
        return chosen
    if _PLATFORM == "linux":
        # What platformdirs answers here, without the 30 ms that importing it costs each run.
        base = os.environ.get("XDG_CACHE_HOME", "")
        return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "kling-dsl")
    return _elsewhere()


def _elsewhere() -> str:
    import platformdirs

    return platformdirs.user_cache_dir("kling-dsl")


def load(kind: str, key: str) -> bytes | None:
    """Return what `store` kept under this kind and key, or None when there is nothing or it was damaged."""
    path = _path(kind, key)
    if path is None:
        return None
    try:
        with open(path, "rb", opener=_open_own) as file:
            content = file.read()
    except (OSError, ValueError):
        return None
    payload = content[_DIGEST_SIZE:]
    return payload if hashlib.sha256(payload).digest() == content[:_DIGEST_SIZE] else None


def store(kind: str, key: str, payload: bytes) -> None:
    """Keep a payload under a kind and key; a full disk or a read-only folder loses nothing but time."""
    path = _path(kind, key)
    if path is None:
        return
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(temporary, "wb", opener=_open_new) as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            return


def key_of(*parts: str | bytes) -> str:
    """Return a key that differs whenever any of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def _path(kind: str, key: str) -> str | None:
    """Return where a payload is kept; None without a home, where the folder would be one of whatever project is open."""
    folder = cache_folder()
    return os.path.join(folder, kind, key) if os.environ.get("KLING_CACHE_DIR") or os.path.isabs(folder) else None


def _open_own(path: str, flags: int) -> int:
    """Open a file that only this user can have written; raises OSError for any other, and does not wait for a pipe."""
    number = os.open(path, flags | _NO_WAIT)
    status = os.fstat(number)
    if stat.S_ISREG(status.st_mode) and (_USER is None or (status.st_uid == _USER and not status.st_mode & 0o022)):
        return number
    os.close(number)
    raise PermissionError(path)


def _open_new(path: str, flags: int) -> int:
    """Make a file that no other user can write, whatever the umask is; a link or a file that is there is refused."""
    return os.open(path, flags | os.O_EXCL, 0o600)


_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_USER = os.geteuid() if hasattr(os, "geteuid") else None
