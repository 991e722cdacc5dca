"""Shows how much of each room the tests run, from the report that `coverage json` writes; `make coverage` calls it.

The table is printed and put into `tests/coverage.md`. The exit code is 1 when fewer branches were taken than the floor.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import NamedTuple

import msgspec
from figures import put_figures

PAGE = Path(__file__).with_name("coverage.md")
FLOOR = 0.95
"""The least share of branches that the tests take, counted without the lines."""


class Counts(msgspec.Struct, frozen=True):
    """What coverage counted in one file."""

    num_statements: int
    covered_lines: int
    num_branches: int
    covered_branches: int


class Measured(msgspec.Struct, frozen=True):
    """One file of the report."""

    summary: Counts


class Report(msgspec.Struct, frozen=True):
    """The report, as far as it is read here: files by their paths."""

    files: dict[str, Measured]


class Room(NamedTuple):
    """A room of the package, or all of them: lines and branches there are, and those that were run."""

    name: str
    lines: int
    lines_run: int
    branches: int
    branches_run: int

    def row(self) -> str:
        """Return the room as a row of a table in Markdown."""
        both = share(self.lines_run + self.branches_run, self.lines + self.branches)
        lines, branches = share(self.lines_run, self.lines), share(self.branches_run, self.branches)
        return f"| {self.name} | {self.lines} | {lines} | {self.branches} | {branches} | {both} |"


def share(part: int, whole: int) -> str:
    """Return a share in per cent, cut and not rounded, so that no figure is better than what was measured."""
    return f"{part * 1000 // whole / 10:.1f} %" if whole else "-"


def rooms(report: Report) -> list[Room]:
    """Return the rooms by name, and all of them together at the end."""
    found: dict[str, list[Counts]] = {}
    for path, measured in sorted(report.files.items()):
        within = PurePath(path).parts[PurePath(path).parts.index("kling_dsl") + 1 :]
        found.setdefault(f"`{within[0].removesuffix('.py')}`", []).append(measured.summary)
    found = dict(sorted(found.items()))
    together = [counts for some in found.values() for counts in some]
    return [_room(name, counts) for name, counts in (*found.items(), ("all", together))]


def _room(name: str, counts: Iterable[Counts]) -> Room:
    columns = [(one.num_statements, one.covered_lines, one.num_branches, one.covered_branches) for one in counts]
    return Room(name, *(sum(column) for column in zip(*columns, strict=True)))


def table(content: bytes) -> str:
    """Return the table of a report in JSON."""
    lines = ["| Room | Lines | run | Branches | run | Together |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    return "\n".join([*lines, *(room.row() for room in rooms(msgspec.json.decode(content, type=Report)))])


def main() -> int:
    """Show the report that the command line names."""
    content = Path(sys.argv[1]).read_bytes()
    figures = table(content)
    print(figures)
    day = datetime.now(UTC).date().isoformat()
    put_figures(PAGE, f"coverage {version('coverage')}, Python {platform.python_version()}, {day}.\n\n{figures}")
    everything = rooms(msgspec.json.decode(content, type=Report))[-1]
    # Lines and branches together are judged by coverage itself.
    if everything.branches_run < everything.branches * FLOOR:
        print(f"fewer than {FLOOR:.0%} of all branches were taken", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
