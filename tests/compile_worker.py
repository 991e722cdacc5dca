"""Compiles every film of a folder in a process of its own, and prints all that anybody can see of each.

Called as `compile_worker.py ROOT FILM…`, with the films in the order in which one session compiles them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl.compiler import Compilation, Options, Session
from kling_dsl.project import DiskWorld
from kling_dsl.sheets import Profiles


def told(compilation: Compilation) -> dict[str, Any]:
    """Return all of a compilation that anybody can see, the order of its keys included."""
    calls = () if compilation.failed else compilation.calls
    return {
        "diagnostics": msgspec.to_builtins(compilation.diagnostics),
        "calls": [msgspec.to_builtins(call) for call in calls],
        "total": str(compilation.total_usd),
        "seconds": compilation.seconds,
        "files": list(compilation.files),
        "expanded": compilation.expanded,
        "settings": repr(compilation.settings),
    }


def main() -> None:
    """Print a line of JSON for each film, sorted by its path."""
    root, *films = sys.argv[1:]
    session = Session(Profiles.of({}))
    found = {film: told(session.compile(film, DiskWorld(Path(root)), Options())) for film in films}
    for film in sorted(found):
        sys.stdout.buffer.write(msgspec.json.encode([film, found[film]]) + b"\n")


if __name__ == "__main__":
    main()
