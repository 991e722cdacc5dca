"""Remembers what a check found, for as long as every file that it looked at is what it was.

A record names each input: texts by their digest, media by size, times and inode, and what was looked for and not
found by its absence. It is read without importing any part of the compiler.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

from kling_dsl import __version__, saved

_KIND = "check"
_MARKS = ("kling.toml", ".git")


class Finding(NamedTuple):
    """What a check found: `told` sums the film up, `diagnostics` are JSON, empty where there are none."""

    root: str
    failed: bool
    told: str
    diagnostics: bytes


def recall(film: str, options: Sequence[str]) -> Finding | None:
    """Return what the last check of a film with these options found, or None when anything has changed since."""
    record = saved.load(_KIND, _key(film, options))
    if record is None:
        return None
    head, _, diagnostics = record.partition(b"\n\n")
    try:
        root, failed, told, *inputs = head.decode("utf-8").split("\n")
    except ValueError:
        return None
    if all(_is_same(root, line) for line in inputs):
        return Finding(root, failed == "failed", told, diagnostics)
    return None


def remember(
    film: str, options: Sequence[str], finding: Finding, *, texts: Iterable[str], others: Iterable[str]
) -> None:
    """Keep what a check found; `texts` and `others` are the paths from the root that it looked at."""
    root = finding.root
    names = dict.fromkeys(texts)
    lines = [_sign_text(root, path) for path in names]
    lines += [_sign_other(root, path) for path in dict.fromkeys(others) if path not in names]
    lines += [f"absent {path}" for path in _marks_below(root, film)]
    head = [root, "failed" if finding.failed else "passed", finding.told, *lines]
    if any("\n" in line for line in head):
        return
    saved.store(
        _KIND, _key(film, options), "\n".join(head).encode("utf-8", "surrogateescape") + b"\n\n" + finding.diagnostics
    )


def _key(film: str, options: Sequence[str]) -> str:
    extra = "media" if find_spec("av") else ""
    return saved.key_of(__version__, _own_age(), sys.version, extra, os.path.abspath(film), *options)


def _own_age() -> str:
    """Return what changes when the program's own files do, for those who work on them."""
    newest = 0
    here = os.path.dirname(__file__)
    root = here if os.path.isdir(os.path.join(here, "specs")) else os.path.dirname(here)
    folders = [here, os.path.join(root, "grammar"), os.path.join(root, "specs", "models")]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.name.endswith((".py", ".lark", ".toml")):
                newest = max(newest, entry.stat().st_mtime_ns)
            elif entry.is_dir() and entry.name != "__pycache__" and entry.name not in ("grammar", "specs"):
                folders.append(entry.path)
    return str(newest)


def _is_same(root: str, line: str) -> bool:
    kind, _, rest = line.partition(" ")
    path = rest.rpartition("\t")[2]
    if kind == "text":
        return _sign_text(root, path) == line
    if kind == "absent":
        return not os.path.lexists(path)
    return _sign_other(root, path) == line


def _sign_text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), "rb", opener=_open_at_once) as file:
            return (
                f"text {hashlib.sha256(file.read()).hexdigest()}\t{os.path.realpath(os.path.join(root, path))}\t{path}"
            )
    except OSError:
        return _sign_other(root, path)


def _sign_other(root: str, path: str) -> str:
    place = os.path.join(root, path)
    try:
        status = os.stat(place)
    except (OSError, ValueError):
        return f"other none\t{path}"
    sign = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_mode}"
    return f"other {sign}\t{os.path.realpath(place)}\t{path}"


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, so that a pipe put in a film's place holds nobody up."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _marks_below(root: str, film: str) -> list[str]:
    """Return the files that would move the project's root if they came into being."""
    marks: list[str] = []
    folder = os.path.dirname(os.path.realpath(os.path.dirname(os.path.abspath(film))) + os.sep)
    while folder != root and len(folder) > len(root):
        marks += (os.path.join(folder, mark) for mark in _MARKS)
        folder = os.path.dirname(folder)
    folder = root
    while not any(os.path.lexists(os.path.join(folder, mark)) for mark in _MARKS):
        marks += (os.path.join(folder, mark) for mark in _MARKS)
        if folder == os.path.dirname(folder):
            break
        folder = os.path.dirname(folder)
    return marks
