"""The terminal styles of a text report: none, or real ones."""

from __future__ import annotations

import msgspec


class Palette(msgspec.Struct, frozen=True):
    """ANSI sequences that begin a style, by the part of a report that wears it; empty strings change nothing."""

    error: str = ""
    warning: str = ""
    note: str = ""
    hint: str = ""
    strong: str = ""
    place: str = ""
    reset: str = ""

    def paint(self, text: str, style: str) -> str:
        """Return `text` between `style` and the reset, or as it is without a style."""
        return f"{style}{text}{self.reset}" if style and text else text

    def of_severity(self, severity: str) -> str:
        """Return the style of `error`, `warning` or `note`."""
        return {"error": self.error, "warning": self.warning}.get(severity, self.note)


PLAIN = Palette()
COLOURED = Palette(
    error="\x1b[1;31m",
    warning="\x1b[1;33m",
    note="\x1b[1;36m",
    hint="\x1b[1;32m",
    strong="\x1b[1m",
    place="\x1b[34m",
    reset="\x1b[0m",
)
