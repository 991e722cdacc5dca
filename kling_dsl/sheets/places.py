"""Where the keys of a sheet stand in its text, so that a mistake can point at them."""

from __future__ import annotations

import re

from kling_dsl.sheets.mistakes import Path

# Blanks belong to what stands between the brackets and are taken off afterwards: a pattern that may give them to either
# side takes minutes on a line of some thousand.
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+")


def key_places(text: str) -> dict[Path, tuple[int, int, int]]:
    """Map the path of each key and table header to its line, first column and end column, as far as lines show it."""
    places: dict[Path, tuple[int, int, int]] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.split("\n"), 1):
        header = _HEADER.match(line)
        if header:
            table = tuple(part.strip("\"'") for part in _PART.findall(header[2]))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            elif table[:1] in counts:
                table = (table[0], counts[table[:1]], *table[1:])
            written = header[2].strip()
            start = header.start(2) + header[2].index(written)
            places.setdefault(table, (number, start + 1, start + len(written) + 1))
            continue
        key = _KEY.match(line)
        if key:
            path = (*table, *(part.strip("\"'") for part in _PART.findall(key[1])))
            places.setdefault(path, (number, key.start(1) + 1, key.end(1) + 1))
    return places
