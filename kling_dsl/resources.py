"""The data that ships with the program: the grammar and the specs, from the wheel or from the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE if (_PACKAGE / "specs").is_dir() else _PACKAGE.parent


def grammar_path() -> Path:
    """Return the path of the Lark grammar of the language."""
    return _ROOT / "grammar" / "kling.lark"


def specs_path(*parts: str) -> Path:
    """Return the path of a file or folder under `specs/`."""
    return _ROOT.joinpath("specs", *parts)
