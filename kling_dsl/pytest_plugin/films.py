"""Collects films and test files: one item that a script compiles, and one for each of its EXPECT lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from kling_dsl.checks import Stated
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.harness import Bench, Outcome
from kling_dsl.project import find_root
from kling_dsl.pytest_plugin import BENCHES
from kling_dsl.reports.diagnostics_text import render_text
from kling_dsl.reports.escaping import visible

MAX_WORDS = 200
"""Characters of an EXPECT that name its item."""


class Failed(Exception):
    """A script that has errors, or an EXPECT that does not hold; the message is what the writer is shown."""


class ScriptFile(pytest.File):
    """A film or a test file. What holds definitions only, or is a part of another film that needs it, has no items."""

    def collect(self) -> Iterable[pytest.Item]:
        """Compile the script, and return its items."""
        root = find_root(self.path)
        benches = self.config.stash[BENCHES]
        bench: Bench = benches.setdefault(root, None) or Bench.at(self.path)
        benches[root] = bench
        script = bench.project.relative(self.path)
        if script is None:
            raise self.CollectError(
                f"{visible(str(self.path))} lies outside its project, whose root is {visible(str(root))}"
            )
        outcome = bench.compile(script)
        if bench.is_left_out(outcome):
            return []
        items: list[pytest.Item] = [CompileItem.from_parent(self, name="compiles", bench=bench, outcome=outcome)]
        if not outcome.broken:
            seen: dict[str, int] = {}
            for stated in outcome.compilation.stated:
                words = _name(stated)
                number = seen[words] = seen.get(words, 0) + 1
                name = words if number == 1 else f"{words} ({number})"
                items.append(ExpectItem.from_parent(self, name=name, bench=bench, outcome=outcome, stated=stated))
        return items


class _ScriptItem(pytest.Item):
    """An item of a script; what is wrong is shown as `kling check` shows it, without a traceback of Python."""

    def __init__(self, *, bench: Bench, outcome: Outcome, **rest: Any) -> None:
        super().__init__(**rest)
        self.bench = bench
        self.outcome = outcome

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what the writer is shown."""
        if isinstance(excinfo.value, Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def fail(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Raise what is wrong, rendered with the lines of the files."""
        world = self.bench.world

        def find_text(file: str) -> str | None:
            content = world.read_text(file)
            return content if isinstance(content, str) else None

        raise Failed(render_text(diagnostics, source=find_text).rstrip("\n"))

    def place(self) -> int:
        """Return the line that the item stands for, from 0."""
        return 0

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return the file, the line and the words that a failure is headed with."""
        return self.path, self.place(), f"{self.path.name}: {self.name}"


class CompileItem(_ScriptItem):
    """A script compiles: its errors are the failure."""

    def runtest(self) -> None:
        """Fail with the errors, if there are any."""
        errors = [diagnostic for diagnostic in self.outcome.diagnostics if diagnostic.severity == "error"]
        if errors:
            self.fail(errors)


class ExpectItem(_ScriptItem):
    """An EXPECT holds."""

    def __init__(self, *, stated: Stated, **rest: Any) -> None:
        super().__init__(**rest)
        self.stated = stated

    def runtest(self) -> None:
        """Judge the EXPECT; with --update-golden, write the requests that it is compared with first."""
        if self.config.getoption("update_golden"):
            self.bench.update_golden(self.outcome)
        verdict = self.bench.judge(self.stated, self.outcome)
        if verdict.outcome != "passed":
            self.fail(verdict.diagnostics)

    def place(self) -> int:
        """Return the line of the EXPECT, from 0."""
        place = self.outcome.compilation.place_of(self.stated)
        # A line that a template took from another file has no place in this one.
        return place.line - 1 if place.file == self.outcome.script else 0


def _name(stated: Stated) -> str:
    """Return the words of an EXPECT as the name of an item: pytest takes :: and [ for parts of an id."""
    words = visible(stated.node.text).replace("::", ":")
    return words if len(words) <= MAX_WORDS else words[:MAX_WORDS] + "…"
