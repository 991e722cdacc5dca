"""What is wrong in a model sheet, and where: a path of keys and the reason, in words for the person who writes it."""

from __future__ import annotations

import msgspec

Path = tuple[str | int, ...]

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


class Mistake(msgspec.Struct, frozen=True):
    """A mistake at a path such as `("rules", 3, "of")`; `reason` completes a sentence that begins with the key."""

    path: Path
    reason: str
    hint: str = ""


def dotted(path: Path) -> str:
    """Write a path as a sheet's author would: `rules[3].of`, quotes around a key that needs them in TOML."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            words += ("." if words else "") + (part if part and _BARE.issuperset(part) else f'"{part}"')
    return words
