"""Collects pages: Markdown whose fenced blocks are films and what is said of them, each example a test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kling_dsl.harness.examples import Difference, run_example
from kling_dsl.harness.pages import Example, PageError, read_examples
from kling_dsl.harness.stand_ins import MissingExtra
from kling_dsl.pytest_plugin.shell import UnknownCommand, run_command
from kling_dsl.reports.markdown import split_markdown


class PageFailure(Exception):
    """What is not as a page says, in the words that its reader gets."""


class PageFile(pytest.File):
    """A page; with `--update-golden` it is written anew when its last example has run."""

    differences: list[Difference]

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the examples of the page, called by their headings."""
        self.differences = []
        if self.config.getoption("--update-golden") and hasattr(self.config, "workerinput"):
            raise self.CollectError("--update-golden writes a page whole: run it in one process, with -n 0")
        try:
            examples = read_examples(self.path.read_text(encoding="utf-8"))
        except PageError as problem:
            raise self.CollectError(f"{self.path}:{problem.line}: {problem.reason}") from None
        counts: dict[str, int] = {}
        for example in examples:
            count = counts[example.heading] = counts.get(example.heading, 0) + 1
            name = example.heading if count == 1 else f"{example.heading} ({count})"
            item: pytest.Item = PageItem.from_parent(self, name=name, example=example)
            yield item

    def teardown(self) -> None:
        """Write the page with what its blocks should have said."""
        if self.differences:
            text = self.path.read_text(encoding="utf-8")
            self.path.write_text(rewrite_page(text, self.differences), encoding="utf-8")
            self.differences = []


class PageItem(pytest.Item):
    """An example of a page."""

    def __init__(self, *, example: Example, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.example = example

    def runtest(self) -> None:
        """Run the example in a folder of its own."""
        with tempfile.TemporaryDirectory(prefix="kling-page-") as folder:
            try:
                differences = run_example(self.example, Path(folder), shell=run_command)
            except (UnknownCommand, MissingExtra) as problem:
                raise PageFailure(f"{self._where(self.example.line)}: {problem}") from None
        if not differences:
            return
        lasting = [one for one in differences if one.reason]
        if self.config.getoption("--update-golden") and not lasting:
            assert isinstance(self.parent, PageFile)
            self.parent.differences += differences
            return
        raise PageFailure("\n\n".join(self._tell(one) for one in differences))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what differs, without the way that Python went to find it."""
        if isinstance(excinfo.value, PageFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the example stands."""
        return self.path, self.example.line - 1, f"{self.example.heading}, line {self.example.line}"

    def _where(self, line: int) -> str:
        path = self.path
        if path.is_relative_to(self.config.rootpath):
            path = path.relative_to(self.config.rootpath)
        return f"{path}:{line}: {self.example.heading}"

    def _tell(self, one: Difference) -> str:
        where = self._where(one.block.line - 1)
        if one.reason:
            return f"{where}: {one.reason}"
        if one.missing:
            told = "".join(f"\n  + {line}" for line in one.found.splitlines())
            return f"{where}: the film reports what no {one.missing} block below it lists{told}"
        lines = "".join(f"\n  {line}" for line in _compared(one.shown, one.found))
        return f"{where}: what the block `{one.block.info}` shows (-) is not what is (+){lines}"


def rewrite_page(text: str, differences: Iterable[Difference]) -> str:
    """Return a page with the blocks that differ put right, and those that it lacks put in; all else stays as it is."""
    by_line = {(one.block.line, bool(one.missing)): one for one in differences}
    out: list[str] = []
    lines = text.split("\n")
    at = 0
    for piece in split_markdown(text):
        if isinstance(piece, str):
            out.append(piece)
            at += 1
            continue
        height = piece.text.count("\n") + 2
        opening, closing = lines[at], lines[at + height - 1]
        other = by_line.get((piece.line, False))
        body = piece.text if other is None else other.found
        out += [opening, *body.removesuffix("\n").split("\n")] if body else [opening]
        out.append(closing)
        lacking = by_line.get((piece.line, True))
        if lacking is not None:
            out += ["", f"```{lacking.missing}", *lacking.found.removesuffix("\n").split("\n"), "```"]
        at += height
    return "\n".join(out)


def _compared(shown: str, found: str) -> list[str]:
    import difflib

    lines = difflib.unified_diff(shown.splitlines(), found.splitlines(), lineterm="", n=2)
    return [line for line in lines if not line.startswith(("---", "+++"))]
