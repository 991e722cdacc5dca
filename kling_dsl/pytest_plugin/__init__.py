"""Runs films and pages as tests: pytest loads this module at every start, so it imports nothing but pytest until one is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kling_dsl.compiler import Compilation
    from kling_dsl.pytest_plugin.fixtures import Folder, SandboxStage

FILM_ENDING = ".kling"
PAGE_ENDING = ".md"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("kling", "films as tests")
    group.addoption(
        "--update-golden",
        action="store_true",
        help="write what films and pages are compared with anew, instead of comparing",
    )
    parser.addini(
        "kling_pages", "Markdown files, or folders of them, whose fenced blocks are films to test", type="paths"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Hand each kind of file that the plugin knows to the module that collects it."""
    if file_path.name.endswith(FILM_ENDING):
        from kling_dsl.pytest_plugin.films import ScriptFile

        return ScriptFile.from_parent(parent, path=file_path)
    if file_path.suffix == PAGE_ENDING and _is_page(file_path, parent.config):
        from kling_dsl.pytest_plugin.pages import PageFile

        return PageFile.from_parent(parent, path=file_path)
    return None


@pytest.fixture
def kling_project(tmp_path: Path) -> Callable[..., Folder]:
    """Return a function that makes a project in a temporary folder: `kling_project({"film.kling": text})`.

    What it returns has a `root`, `write(path, content)`, and `compile(path)`. A `bytes` content is written as it is.
    """
    from kling_dsl.pytest_plugin.fixtures import make_folder

    return make_folder(tmp_path)


@pytest.fixture
def kling_compile(tmp_path: Path) -> Callable[..., Compilation]:
    """Return a function that compiles a film, given as its text or as the path of its file.

    `model=`, `values=` and `data=` are those of `kling compile`; `data` maps names to files. What it returns has
    `calls`, `total_usd`, `seconds`, `diagnostics` and `failed`.
    """
    from kling_dsl.pytest_plugin.fixtures import make_compile

    return make_compile(tmp_path)


@pytest.fixture
def kling_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxStage]:
    """Serve a sandbox for one test: fal's protocol on this machine, with placeholder clips, at no cost.

    What it yields has `environment()`, the variables with which a client of fal comes here, `render(film)`, which runs
    `kling render --sandbox` against it, and `bill()`. It needs the extras `serve` and `media`.
    """
    from kling_dsl.pytest_plugin.fixtures import serve_sandbox

    yield from serve_sandbox(tmp_path_factory.mktemp("kling-sandbox"))


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what the films of a run share, which the first one that is collected makes."""
    config.stash[BENCHES] = {}


BENCHES: pytest.StashKey[dict[Path, Any]] = pytest.StashKey()
"""The benches of the projects whose films were collected, by root."""


def _is_page(path: Path, config: pytest.Config) -> bool:
    return any(path.is_relative_to(place) for place in config.getini("kling_pages"))
