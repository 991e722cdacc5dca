"""Runs an example of a diagnostic's page as a project on the disk, with pictures and videos where it names any."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from kling_dsl import checks
from kling_dsl.calls import shape_of
from kling_dsl.compiler import Compilation
from kling_dsl.compiler.media import MediaBook
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.harness import Ask
from kling_dsl.harness.examples import run_film, write_file
from kling_dsl.project import find_project
from kling_dsl.reports.pages import Example, Expected
from kling_dsl.world import World

ARGUMENTS = "arguments.json"


def run(example: Example, folder: Path) -> tuple[list[Diagnostic], dict[str, str]]:
    """Return what an example reports in an empty folder, in the order of a check, and its texts by path."""
    texts = {name: text for name, text in example.files.items() if name != ARGUMENTS}
    for name, text in texts.items():
        write_file(folder, name, text)
    with _without(example.options.get("without", "")):
        return _compile(example, folder, texts)


def _compile(example: Example, folder: Path, texts: dict[str, str]) -> tuple[list[Diagnostic], dict[str, str]]:
    ask = Ask(example.options.get("model"), example.parameters, example.data)
    compilation, found = run_film(folder, example.main, ask)
    if ARGUMENTS in example.files:
        world = find_project(folder / example.main).world()
        return _check_arguments(compilation, json.loads(example.files[ARGUMENTS]), world), texts
    return list(found), texts


@contextlib.contextmanager
def _without(extra: str) -> Iterator[None]:
    """Make the package behind an extra impossible to import for a while: that is what a missing extra looks like."""
    hidden = {"": (), "media": ("av",)}[extra]
    kept = {name: sys.modules.get(name) for name in hidden}
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, module in kept.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def as_expected(diagnostics: list[Diagnostic]) -> list[Expected]:
    """Return diagnostics as a page lists them, sorted."""
    listed = [Expected(d.span.file, d.span.line, d.span.column, d.slug) for d in diagnostics]
    return sorted(listed, key=lambda one: (one.file, one.line, one.column, one.slug))


def _check_arguments(compilation: Compilation, arguments: object, world: World) -> list[Diagnostic]:
    """Ask the rules of the film's model about arguments that no film leads to."""
    assert isinstance(arguments, dict)
    item = compilation.items[0]
    profile = compilation.profiles.get(item.built.request.model)
    assert profile is not None
    book = MediaBook(world)
    found = checks.RuleBook(profile, book).check(item.built.request, arguments, shape_of(arguments))
    return [diagnostic.moved(compilation.file, item.line) for diagnostic in found]
