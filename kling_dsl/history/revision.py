"""The project on one side of a comparison: its settings, sheets, films and locks, on the disk or at a commit."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kling_dsl.compiler import Compilation, Options, Session, quote_drafts
from kling_dsl.diagnostics import Diagnostic, error, has_errors
from kling_dsl.history.git import Repository
from kling_dsl.history.pairing import Version
from kling_dsl.history.world import GitWorld, WorkingWorld
from kling_dsl.lock import MAX_LOCK_BYTES, Lock, parse_lock, read_lock
from kling_dsl.lowering import unknown_model
from kling_dsl.project import Project
from kling_dsl.project.root import SETTINGS_FILE, SHEETS_FOLDER
from kling_dsl.project.settings import SLUG, Settings, read_settings
from kling_dsl.sheets import Profiles
from kling_dsl.source import Span
from kling_dsl.vocabulary import TEST_ENDING
from kling_dsl.world import Unreadable

WORKING_TREE = "the working tree"

MAX_SETTINGS_BYTES = 256 * 1024
"""The longest `kling.toml` that is read at a revision, as on the disk."""

MAX_FILMS = 5_000
"""The most films that are compared at once."""

_DECLARED = re.compile(r"^(?:SHOT|CLIP)[ \t]", re.MULTILINE)
_TEMPLATE_MARKS = ("{{", "{%")


class Request(msgspec.Struct, frozen=True):
    """How films are to be compiled on both sides; `data` has paths from the project's root."""

    model: str | None = None
    values: Mapping[str, str] = {}
    data: Mapping[str, str] = {}
    lints: tuple[str, ...] = ()
    """Every lint that there is, to tell settings that silence none."""


class View(msgspec.Struct, frozen=True, eq=False):
    """A side of a comparison: `name` is how a person calls it, `commit` its id, empty for the disk."""

    name: str
    commit: str
    project: Project
    world: GitWorld | WorkingWorld

    def has(self, path: str) -> bool:
        """Say whether there is a file at a path from the project's root."""
        if isinstance(self.world, GitWorld):
            return self.world.has(path)
        return os.path.isfile(self.project.root / path)

    def films(self) -> tuple[str, ...]:
        """Return the paths of the films that a commit has, in order: what may declare shots, outside the output folder."""
        assert isinstance(self.world, GitWorld), "on the disk, films are found by walking through it"
        out = f"{self.project.settings.paths.out}/"
        paths = [
            path
            for path in self.world.paths
            if path.endswith(".kling") and not path.endswith(TEST_ENDING) and not path.startswith(out)
        ]
        return tuple(path for path in paths[:MAX_FILMS] if _may_declare_shots(self.world.read_text(path)))

    def lock(self, film: str) -> Lock:
        """Return the lock of a film; one that is missing is empty. Raises LockError and OSError."""
        path = f"{film}.lock"
        if not isinstance(self.world, GitWorld):
            return read_lock(self.project.root / path)
        content = self.world.read_bytes(path, limit=MAX_LOCK_BYTES, noun="lock")
        return Lock() if isinstance(content, Unreadable) else parse_lock(content, where=f"{self.name}:{path}")


class Compiler:
    """Compiles the films of several views; what they have in common is done once."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._sessions: dict[tuple[tuple[str, str], ...], Session] = {}

    def profiles(self, view: View) -> Profiles:
        """Return the model sheets of a view."""
        return self._session(view).profiles

    def version(self, view: View, path: str) -> Version:
        """Return a film of a view, compiled, with its lock and its price on draft models."""
        compilation = self._compile(view, path)
        drafts = () if compilation.failed else quote_drafts(compilation, view.world)
        return Version(compilation, view.lock(path), drafts)

    def _compile(self, view: View, path: str) -> Compilation:
        request, settings = self._request, view.project.settings
        session = self._session(view)
        own = [*view.project.diagnostics, *session.profiles.diagnostics]
        if settings.lints:
            own += view.project.find_unknown_lints(request.lints)
        model = request.model
        if model is not None and session.profiles.get(model) is None:
            own.append(unknown_model(model, Span(path, 1, 1, 1, 2), session.profiles))
            model = None
        options = Options(
            model=model,
            default_model=settings.models.default,
            values=request.values,
            data=request.data,
            lints=settings.lints,
            words_per_second=settings.speech.words_per_second,
        )
        compilation = session.compile(path, view.world, options)
        if not own:
            return compilation
        failed = compilation.failed or has_errors(own)
        return msgspec.structs.replace(compilation, diagnostics=(*own, *compilation.diagnostics), failed=failed)

    def _session(self, view: View) -> Session:
        texts = view.project.sheet_texts
        if texts not in self._sessions:
            self._sessions[texts] = Session(Profiles.of(view.project.sheets()))
        return self._sessions[texts]


def view_commit(repository: Repository, name: str, commit: str, *, root: Path, beside: WorkingWorld) -> View:
    """Return a project as a commit has it; `root` is where it is on the disk today."""
    tree = repository.tree(commit, repository.prefix_of(root))
    world = GitWorld(repository, tree, beside=beside)
    return View(name, commit, _read_project(world, root), world)


def _read_project(world: GitWorld, root: Path) -> Project:
    """Return settings and sheets at a commit, as `find_project` does on the disk."""
    settings, text, found = _read_settings(world)
    texts: list[tuple[str, str]] = []
    for path in world.paths:
        folder, _, name = path.rpartition("/")
        if folder == SHEETS_FOLDER and name.endswith(".toml"):
            sheet = world.read_text(path)
            if isinstance(sheet, Unreadable):
                found = (*found, error("bad-model-sheet", f"{path} {sheet.message}", Span(path, 1, 1, 1, 1)))
            else:
                texts.append((path, sheet))
    return Project(root, settings, found, text, tuple(texts))


def _read_settings(world: GitWorld) -> tuple[Settings, str, tuple[Diagnostic, ...]]:
    content = world.read_bytes(SETTINGS_FILE, limit=MAX_SETTINGS_BYTES, noun="settings file")
    text = content if isinstance(content, Unreadable) else world.read_text(SETTINGS_FILE)
    if isinstance(text, Unreadable):
        if text.reason == "missing":
            return Settings(), "", ()
        return Settings(), "", (error(SLUG, f"{SETTINGS_FILE} {text.message}", Span(SETTINGS_FILE, 1, 1, 1, 1)),)
    settings, found = read_settings(text, SETTINGS_FILE)
    return settings, text, found


def _may_declare_shots(text: str | Unreadable) -> bool:
    if isinstance(text, Unreadable):
        # What this clone left out may well be a film, and is no film that was not there.
        return text.reason == "unreadable"
    return bool(_DECLARED.search(text)) or any(mark in text for mark in _TEMPLATE_MARKS)
