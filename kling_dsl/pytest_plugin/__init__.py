"""Runs films as tests: pytest loads this module at every start, so it imports nothing but pytest until a film is found."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("kling", "films as tests")
    group.addoption(
        "--update-golden",
        action="store_true",
        help="write what films and pages are compared with anew, instead of comparing",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Hand each kind of file that the plugin knows to the module that collects it."""
    return None
