"""Finds films and their test files, compiles them, and judges their EXPECT lines."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from kling_dsl.checks import Stated
from kling_dsl.compiler import Compilation, Options, Session
from kling_dsl.diagnostics import Diagnostic, has_errors
from kling_dsl.harness.golden import compare_golden, golden_path, write_golden
from kling_dsl.harness.judging import Verdict, judge
from kling_dsl.nodes import Golden
from kling_dsl.project import DiskWorld, Project, find_project
from kling_dsl.sheets import Profiles
from kling_dsl.vocabulary import TEST_ENDING

ENDING = ".kling"
MAX_FOLDERS_DEEP = 50
"""Deeper than any project is; bounds what a walk through a strange disk can take."""

_LEFT_OUT = frozenset(("__pycache__", "node_modules", "out", "venv"))
"""Folders that hold what was made or installed, and no films of the project."""

_TAKEN_IN = re.compile(
    r"""^import[ \t]+(\S+)|\{%-?\s*(?:include|import|extends|from)\s+["']([^"'\n]+)["']""", re.MULTILINE
)
_FILM = re.compile(r"^Film[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE)


class Ask(msgspec.Struct, frozen=True):
    """What is asked besides the films: as the options of `kling check`, `data` by path from the project's root."""

    model: str | None = None
    values: Mapping[str, str] = {}
    data: Mapping[str, str] = {}


class Outcome(msgspec.Struct, frozen=True):
    """What became of a film or a test file: its mistakes if it has errors, its verdicts if it has none.

    `script` is its path from the project's root. `compilation` is that of the film.
    """

    script: str
    compilation: Compilation
    diagnostics: tuple[Diagnostic, ...]
    verdicts: tuple[Verdict, ...] = ()

    @property
    def broken(self) -> bool:
        """Say whether the script has errors, so that nothing of it was judged."""
        return has_errors(self.diagnostics)

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to test: no EXPECT, no shot and no mistake, as in a file of definitions."""
        return not (self.broken or self.compilation.stated or self.compilation.items)

    @property
    def passed(self) -> bool:
        """Say whether the script compiles and every EXPECT of it holds."""
        return not self.broken and all(verdict.outcome == "passed" for verdict in self.verdicts)


class Bench:
    """The films of one project, compiled with the same options; what they share is read once."""

    def __init__(self, project: Project, ask: Ask = Ask()) -> None:  # noqa: B008 -- a frozen value
        self.project = project
        self.profiles = Profiles.of(project.sheets())
        self.world: DiskWorld = project.world()
        self.options = Options(
            model=ask.model,
            default_model=project.settings.models.default,
            values=ask.values,
            data=ask.data,
            # An EXPECT that cannot fail is no test, whatever the project thinks of the warning.
            lints={slug: level for slug, level in project.settings.lints.items() if slug != "expect-always"},
            words_per_second=project.settings.speech.words_per_second,
        )
        self._session = Session(self.profiles)

    @classmethod
    def at(cls, place: Path, ask: Ask = Ask()) -> Bench:  # noqa: B008 -- a frozen value
        """Return the bench of the project that a film or folder belongs to."""
        return cls(find_project(place), ask)

    def compile(self, script: str) -> Outcome:
        """Compile a film or a test file by its path from the root; nothing of it is judged yet."""
        compilation = self._session.compile(script, self.world, self.options)
        own = (*self.project.diagnostics, *self.profiles.diagnostics)
        return Outcome(script, compilation, (*own, *compilation.diagnostics))

    def judge(self, stated: Stated, outcome: Outcome) -> Verdict:
        """Judge one EXPECT of a script that compiles."""
        compilation = outcome.compilation
        return judge(
            stated,
            compilation,
            draft=lambda model: self._draft(outcome.script, model),
            compare=lambda one: compare_golden(one, outcome.script, compilation.calls, world=self.world),
        )

    def judge_all(self, outcome: Outcome) -> Outcome:
        """Judge every EXPECT of a script, if it compiles."""
        if outcome.broken:
            return outcome
        verdicts = tuple(self.judge(stated, outcome) for stated in outcome.compilation.stated)
        return msgspec.structs.replace(outcome, verdicts=verdicts)

    def update_golden(self, outcome: Outcome) -> Path | None:
        """Write the golden requests of a script that expects some; return their file, None where nothing expects any.

        Raises OSError when they cannot be written.
        """
        if outcome.broken or not any(isinstance(s.node.statement, Golden) for s in outcome.compilation.stated):
            return None
        calls, title = outcome.compilation.calls, outcome.compilation.title
        path = write_golden(self.project.root, outcome.script, calls, title=title)
        self.world = self.project.world()
        return path

    @cached_property
    def parts(self) -> frozenset[str]:
        """The films of the project that another one imports or includes: what is wrong with them is said of that one."""
        found: set[str] = set()
        for path in find_scripts(self.project.root):
            script = self.project.relative(path)
            text = self.world.read_text(script) if script is not None else None
            if script is not None and isinstance(text, str):
                names = (match[1] or match[2] for match in _TAKEN_IN.finditer(text))
                found.update(posixpath.normpath(posixpath.join(posixpath.dirname(script), name)) for name in names)
        return frozenset(found)

    def is_left_out(self, outcome: Outcome) -> bool:
        """Say whether a script that nobody named is no film of its own: definitions alone, or a part of another film."""
        return outcome.is_empty or (outcome.broken and outcome.script in self.parts)

    def tests_of(self, film: str) -> tuple[str, ...]:
        """Return the test files that lie beside a film and are about it, sorted."""
        folder = posixpath.dirname(film)
        try:
            names = sorted(os.listdir(self.project.root / folder))
        except OSError:
            return ()
        tests = (posixpath.join(folder, name) for name in names if name.endswith(TEST_ENDING))
        return tuple(test for test in tests if self._film_of(test) == film)

    def _film_of(self, test: str) -> str:
        text = self.world.read_text(test)
        match = _FILM.search(text.partition("\n\n")[0]) if isinstance(text, str) else None
        if match is None:
            return test.removesuffix(TEST_ENDING) + ENDING
        return posixpath.normpath(posixpath.join(posixpath.dirname(test), match[1]))

    def _draft(self, script: str, model: str) -> Compilation:
        options = msgspec.structs.replace(self.options, model=model)
        return Session(self.profiles).compile(script, self.world, options)


def find_scripts(folder: Path) -> Iterator[Path]:
    """Yield the films and test files below a folder, sorted; hidden folders and what was made there are left out."""
    pending = [(folder, 0)]
    while pending:
        here, depth = pending.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            continue
        inner: list[tuple[Path, int]] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _LEFT_OUT and depth < MAX_FOLDERS_DEEP:
                    inner.append((Path(entry.path), depth + 1))
            elif entry.name.endswith(ENDING):
                yield Path(entry.path)
        pending += reversed(inner)


def count(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return how many EXPECT lines passed, failed and could not fail, and how many scripts have errors."""
    found = {"passed": 0, "failed": 0, "always": 0, "broken": 0}
    for outcome in outcomes:
        found["broken"] += outcome.broken
        for verdict in outcome.verdicts:
            found[verdict.outcome] += 1
    return found


__all__ = ["Ask", "Bench", "Outcome", "count", "find_scripts", "golden_path"]
