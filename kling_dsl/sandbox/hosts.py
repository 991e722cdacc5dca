"""The hosts of fal that a sandbox stands in for, and what is asked of each."""

from __future__ import annotations

from typing import Literal

Room = Literal["queue", "run", "rest", "api", "media", "all"]

HOSTS: dict[str, Room] = {
    "queue.fal.run": "queue",
    "queue.falrun.com": "queue",
    "fal.run": "run",
    "rest.fal.ai": "rest",
    "api.fal.ai": "api",
    "v3.fal.media": "media",
    "v3b.fal.media": "media",
    "fal.media": "media",
}
"""What each host is for; the proxy leads to these and to no other."""

LOOPBACK = ("127.0.0.1", "localhost")
"""The names of this machine, on which everything is answered."""

CLIP_HOST = "v3b.fal.media"
UPLOAD_HOST = "v3.fal.media"
OWN_PATH = "/files/sandbox/"
"""Where every file of a sandbox lies, so that its addresses are never taken for ones of the real service."""


def room_of(authority: str, port: int) -> Room | None:
    """Return what the host of a request is for; None for a host that is not ours."""
    name, _, number = authority.partition(":")
    if name in LOOPBACK:
        return "all" if number == str(port) else None
    return HOSTS.get(name) if number in ("", "443") else None


def base_for(authority: str, host: str) -> str:
    """Return where a caller of `authority` finds what `host` gives: there, or on loopback when it came that way."""
    name = authority.partition(":")[0]
    return f"https://{authority}" if name in LOOPBACK else f"https://{host}"


def own_path(address: str, port: int) -> str | None:
    """Return the path of an address that names a file of this sandbox, or None for any other address."""
    scheme, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    path = f"{slash}{path}".partition("?")[0].partition("#")[0]
    if scheme != "https" or not path.startswith(OWN_PATH):
        return None
    return path if room_of(authority.lower(), port) in ("media", "all") else None
