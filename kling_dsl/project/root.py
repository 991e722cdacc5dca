"""Where a project begins on the disk, and what stands at its root: settings and model sheets."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from kling_dsl import diagnostics as diagnose
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.project.disk import DiskWorld, Signature
from kling_dsl.project.settings import SLUG, Settings, find_unknown_lints, read_settings
from kling_dsl.source import Span
from kling_dsl.world import Unreadable

SETTINGS_FILE = "kling.toml"
SHEETS_FOLDER = "models"
_MARKS = (SETTINGS_FILE, ".git")
_MAX_SETTINGS_CHARACTERS = 256 * 1024
"""The longest settings file: the standard library takes 0.4 s to read a megabyte."""


class Project(msgspec.Struct, frozen=True):
    """A project: its root with symbolic links resolved, its settings, and what is wrong with the files at its root."""

    root: Path
    settings: Settings = Settings()
    diagnostics: tuple[Diagnostic, ...] = ()
    settings_text: str = ""
    sheet_texts: tuple[tuple[str, str], ...] = ()
    inputs: tuple[Signature, ...] = ()

    def relative(self, path: Path) -> str | None:
        """Return `path` from the root, with `/`, or None when it lies outside.

        Symbolic links among its folders are resolved, one that stands at the path itself is not.
        """
        try:
            return _resolve_folder(path).relative_to(self.root).as_posix()
        except ValueError:
            return None

    def sheets(self) -> dict[str, str]:
        """Return the texts of the project's own model sheets, `models/*.toml`, by path from the root."""
        return dict(self.sheet_texts)

    def world(self) -> DiskWorld:
        """Return a fresh view of the disk; its inputs begin with the settings, the sheets and their folder."""
        return DiskWorld(self.root, inputs=self.inputs)

    def find_unknown_lints(self, known: tuple[str, ...]) -> tuple[Diagnostic, ...]:
        """Return a diagnostic for each lint in the settings that is none of `known`."""
        return find_unknown_lints(self.settings, known, text=self.settings_text, file=SETTINGS_FILE)


def find_root(start: Path) -> Path:
    """Return the nearest folder above a film (or a folder, itself included) with `kling.toml` or `.git` in it.

    Without one it is the film's own folder. `.git` may be a file, as in a linked working tree.
    """
    place = _resolve_folder(start)
    folder = Path(os.path.realpath(place)) if place.is_dir() else place.parent
    for candidate in (folder, *folder.parents):
        if any(os.path.lexists(candidate / mark) for mark in _MARKS):
            return candidate
    return folder


def find_project(start: Path) -> Project:
    """Return the project that a film or folder belongs to; mistakes in its files are diagnostics of it."""
    root = find_root(start)
    world = DiskWorld(root)
    before = (world.signature(SHEETS_FOLDER), world.signature(SETTINGS_FILE))
    settings, text, found = _load_settings(root, world)
    texts: list[tuple[str, str]] = []
    for path in _list_sheets(root):
        sheet = world.read_text(path)
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            path, sheet = ascii(path)[1:-1], Unreadable("unreadable", "has a name that is not UTF-8")
        if isinstance(sheet, Unreadable):
            found.append(_report_unreadable(path, sheet, slug="bad-model-sheet"))
        else:
            texts.append((path, sheet))
    seen = {signature.path: signature for signature in (*before, *world.inputs)}
    return Project(root, settings, tuple(found), text, tuple(texts), tuple(seen.values()))


def _load_settings(root: Path, world: DiskWorld) -> tuple[Settings, str, list[Diagnostic]]:
    if not os.path.lexists(root / SETTINGS_FILE):
        return Settings(), "", []
    text = world.read_text(SETTINGS_FILE)
    if isinstance(text, Unreadable):
        return Settings(), "", [_report_unreadable(SETTINGS_FILE, text, slug=SLUG)]
    if len(text) > _MAX_SETTINGS_CHARACTERS:
        problem = f"{SETTINGS_FILE} has {len(text)} characters, more than the {_MAX_SETTINGS_CHARACTERS} it may have"
        return Settings(), "", [diagnose.error(SLUG, problem, Span(SETTINGS_FILE, 1, 1, 1, 1))]
    settings, found = read_settings(text, SETTINGS_FILE)
    return settings, text, list(found)


def _list_sheets(root: Path) -> list[str]:
    try:
        names = sorted(os.listdir(root / SHEETS_FOLDER))
    except OSError:
        return []
    return [f"{SHEETS_FOLDER}/{name}" for name in names if name.endswith(".toml") and not name.startswith(".")]


def _report_unreadable(path: str, problem: Unreadable, *, slug: str) -> Diagnostic:
    return diagnose.error(slug, f"{path} {problem.message}", Span(path, 1, 1, 1, 1))


def _resolve_folder(path: Path) -> Path:
    """Return the absolute path with every symbolic link but one at its very end resolved."""
    if path.name in ("", ".."):
        return Path(os.path.realpath(path))
    return Path(os.path.realpath(path.parent)) / path.name
