"""The sheets that a film can name: those that ship with the program and those of its project, each read when asked."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

from kling_dsl import profiles, resources, saved
from kling_dsl.diagnostics import Diagnostic, error
from kling_dsl.profiles import Profile
from kling_dsl.sheets import copies
from kling_dsl.sheets.loading import SLUG, load_sheet
from kling_dsl.source import Span

_KIND = "sheets"


@functools.cache
def builtin_names() -> tuple[str, ...]:
    """Return the names of the sheets that ship with the program, sorted."""
    return tuple(sorted(path.stem for path in resources.specs_path("models").glob("*.toml")))


@functools.cache
def load_builtin(name: str) -> Profile:
    """Return a sheet that ships with the program, from its saved copy where that fits; KeyError if there is none."""
    if name not in builtin_names():
        raise KeyError(name)
    text = resources.specs_path("models", f"{name}.toml").read_text(encoding="utf-8")
    profile, diagnostics = _load(text, f"specs/models/{name}.toml")
    if profile is None:
        raise ValueError(diagnostics[0].message)
    return profile


class Profiles:
    """The models of one project: the builtin sheets and the project's own, none of them read before it is asked for."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        self._texts = {Path(path).stem: (path, text) for path, text in sorted(extra.items())}
        self._found: dict[str, tuple[Profile | None, tuple[Diagnostic, ...]]] = {}

    @classmethod
    def of(cls, extra: Mapping[str, str]) -> Profiles:
        """Make the registry of a project; `extra` maps the path of each of its sheets to that file's text."""
        return cls(extra)

    def names(self) -> tuple[str, ...]:
        """Return the names of all models, those of refused sheets too, sorted."""
        return tuple(sorted({*builtin_names(), *self._texts}))

    def get(self, name: str) -> Profile | None:
        """Return the model of a name; None when there is none or its sheet is refused."""
        if name in builtin_names():
            return load_builtin(name)
        return self._own(name)[0] if name in self._texts else None

    def path_of(self, name: str) -> str | None:
        """Return the project's file that gives a model, None for a builtin one."""
        return None if name in builtin_names() or name not in self._texts else self._texts[name][0]

    def diagnostics_of(self, name: str) -> tuple[Diagnostic, ...]:
        """Return what is wrong with the project's sheet of a name: nothing for a builtin one that no sheet repeats."""
        return self._own(name)[1] if name in self._texts else ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything that is wrong with the project's own sheets."""
        return tuple(diagnostic for name in self._texts for diagnostic in self._own(name)[1])

    def _own(self, name: str) -> tuple[Profile | None, tuple[Diagnostic, ...]]:
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def _read(self, name: str) -> tuple[Profile | None, tuple[Diagnostic, ...]]:
        path, text = self._texts[name]
        if name in builtin_names():
            return None, (_refusal(path, f"has the name of the builtin model {name}; give it another"),)
        profile, diagnostics = _load(text, path)
        if profile is not None and profile.name != name:
            reason = f'name is "{profile.name}", but the file is called {name}.toml; the two must agree'
            return None, (_refusal(path, reason),)
        return profile, diagnostics


def _load(text: str, file: str) -> tuple[Profile | None, tuple[Diagnostic, ...]]:
    """Read a sheet from the saved copy of its text, or from the text; only a sheet without mistakes is saved."""
    key = saved.key_of(text, _format_digest())
    kept = saved.load(_KIND, key)
    copy = None if kept is None else copies.unpack(kept)
    if copy is not None:
        return copy, ()
    profile, diagnostics = load_sheet(text, file=file)
    if profile is not None:
        saved.store(_KIND, key, copies.pack(profile))
    return profile, diagnostics


def _refusal(path: str, reason: str) -> Diagnostic:
    return error(SLUG, f"model sheet {path}: {reason}", Span(path, 1, 1, 1, 1))


@functools.cache
def _format_digest() -> bytes:
    """Return a digest of the code that defines and checks the sheet format, so that no copy outlives a change of it."""
    modules = [profiles.__file__, *sorted(str(path) for path in Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(Path(module).read_bytes() for module in modules)).digest()
