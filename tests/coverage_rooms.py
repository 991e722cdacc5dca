"""Prints how much of each room the tests run, from the report that `coverage json` writes; `make coverage` calls it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import NamedTuple

import msgspec


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


if __name__ == "__main__":
    print(table(Path(sys.argv[1]).read_bytes()))
