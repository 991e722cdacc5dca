"""Remembers what a check found, for as long as every file that it looked at is what it was.

A record names each input: texts by their digest, media by size, times and inode, what was looked for and not found by
its absence, and what makes the project's root by its presence. It is read without importing any part of the compiler.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    film: str,
    options: Sequence[str],
    finding: Finding,
    *,
    texts: Mapping[str, str],
    others: Iterable[str],
    is_current: Callable[[], bool],
) -> None:
    """Keep what a check found: `texts` are those that it read, `others` what else it looked at, by path from the root.

    `is_current` says whether everything is still what the check saw. It is asked after all of it was signed, so that
    a change in between is never taken for what was checked.
    """
    root = finding.root
    lines = [_signed(text.encode("utf-8"), root, path) for path, text in texts.items()]
    lines += [_sign_other(root, path) for path in dict.fromkeys(others) if path not in texts]
    lines += _sign_marks(root, film)
    head = [root, "failed" if finding.failed else "passed", finding.told, *lines]
    if any("\n" in line for line in head) or not is_current():
        return
    saved.store(
        _KIND, _key(film, options), "\n".join(head).encode("utf-8", "surrogateescape") + b"\n\n" + finding.diagnostics
    )


def _key(film: str, options: Sequence[str]) -> str:
    extra = "media" if find_spec("av") else ""
    return saved.key_of(__version__, _own_age(), sys.version, extra, _place_of(film), *options)


@functools.cache
def _own_age() -> str:
    """Return what changes when the program's own files do, for those who work on them.

    It is what they were at the first question: what this process found is never kept as the answer of files that were
    changed while it ran.
    """
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


def _place_of(film: str) -> str:
    """Return where a film stands, the links among its folders resolved: a folder's link may be turned elsewhere."""
    folder, name = os.path.split(os.path.abspath(film))
    return os.path.join(os.path.realpath(folder), name)


def _is_same(root: str, line: str) -> bool:
    kind, _, rest = line.partition(" ")
    if kind in ("absent", "present"):
        return os.path.lexists(rest) == (kind == "present")
    path = rest.rpartition("\t")[2]
    return (_sign_text if kind == "text" else _sign_other)(root, path) == line


def _sign_text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), "rb", opener=_open_at_once) as file:
            return _signed(file.read().removeprefix(b"\xef\xbb\xbf"), root, path)
    except OSError:
        return _sign_other(root, path)


def _signed(content: bytes, root: str, path: str) -> str:
    return f"text {hashlib.sha256(content).hexdigest()}\t{os.path.realpath(os.path.join(root, path))}\t{path}"


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


def _sign_marks(root: str, film: str) -> list[str]:
    """Return what makes the project's root the root, and what would move it if it came into being."""
    absent: list[str] = []
    folder = os.path.dirname(_place_of(film))
    while folder != root and len(folder) > len(root):
        absent += (os.path.join(folder, mark) for mark in _MARKS)
        folder = os.path.dirname(folder)
    present = [path for mark in _MARKS if os.path.lexists(path := os.path.join(root, mark))]
    folder = root
    while not present:
        absent += (os.path.join(folder, mark) for mark in _MARKS)
        if folder == os.path.dirname(folder):
            break
        folder = os.path.dirname(folder)
    return [*(f"absent {path}" for path in absent), *(f"present {path}" for path in present)]
