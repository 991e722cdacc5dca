"""Derived data kept in the user's cache folder: written whole or not at all, and never believed when damaged."""

from __future__ import annotations

import hashlib
import os
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
        return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kling-dsl")
    return _elsewhere()


def _elsewhere() -> str:
    import platformdirs

    return platformdirs.user_cache_dir("kling-dsl")


def load(kind: str, key: str) -> bytes | None:
    """Return what `store` kept under this kind and key, or None when there is nothing or it was damaged."""
    try:
        with open(_path(kind, key), "rb") as file:
            content = file.read()
    except (OSError, ValueError):
        return None
    payload = content[_DIGEST_SIZE:]
    return payload if hashlib.sha256(payload).digest() == content[:_DIGEST_SIZE] else None


def store(kind: str, key: str, payload: bytes) -> None:
    """Keep a payload under a kind and key; a full disk or a read-only folder loses nothing but time."""
    path = _path(kind, key)
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(temporary, "wb") as file:
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


def _path(kind: str, key: str) -> str:
    return os.path.join(cache_folder(), kind, key)
