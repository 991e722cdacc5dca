"""Regular expressions for what is rare in a film, compiled when the first film needs them."""

from __future__ import annotations

import re


class Rare:
    """A pattern that costs nothing at start; call it to get it compiled."""

    __slots__ = ("_compiled", "_flags", "_text")

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text = text
        self._flags = flags
        self._compiled: re.Pattern[str] | None = None

    def __call__(self) -> re.Pattern[str]:
        """Return the compiled pattern."""
        if self._compiled is None:
            self._compiled = re.compile(self._text, self._flags)
        return self._compiled
