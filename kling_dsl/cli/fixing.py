"""Writes the fixes of diagnostics into the files of a project."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from kling_dsl.cli.films import open_script
from kling_dsl.diagnostics import Edit, Fix
from kling_dsl.reports.escaping import visible

MAX_ROUNDS = 5
"""A fix may uncover another mistake that has one; more rounds than this would mean that two undo each other."""

_LINE_END = re.compile("(\r\n|\r|\n)")


def fix_films(films: Sequence[Path], *, model: str | None, values: Sequence[str], data: Sequence[str]) -> None:
    """Apply every fix to the files of the films, and say on stderr what was written."""
    for film in films:
        written: dict[Path, int] = {}
        for _ in range(MAX_ROUNDS):
            opened = open_script(film, model=model, values=values, data=data)
            fixes = [diagnostic.fix for diagnostic in opened.compilation.diagnostics if diagnostic.fix is not None]
            applied = 0
            for file, edits in _by_file(fixes).items():
                path = Path(os.path.realpath(opened.project.root / file))
                if opened.project.relative(path) is None:
                    continue
                text, count = apply_edits(path.read_bytes().decode("utf-8"), edits)
                if count:
                    _rewrite(path, text)
                    written[path] = written.get(path, 0) + count
                    applied += count
            if not applied:
                break
        for path, count in written.items():
            place = visible(os.path.relpath(path))
            click.echo(f"{place}: {count} fix{'' if count == 1 else 'es'} written", err=True)


def apply_edits(text: str, edits: Sequence[Edit]) -> tuple[str, int]:
    """Return a text with edits applied, and how many: of two that overlap only one is, and line ends stay the same."""
    pieces = _LINE_END.split(text)
    lines, ends = pieces[::2], [*pieces[1::2], ""]
    mark = "\ufeff" if lines[0].startswith("\ufeff") else ""
    lines[0] = lines[0].removeprefix("\ufeff")
    taken = (10**9, 0)
    count = 0
    for edit in sorted(edits, key=lambda edit: (edit.span.line, edit.span.column), reverse=True):
        span = edit.span
        if span.line != span.end_line or (span.line, span.end_column) > taken or span.line > len(lines):
            continue
        line = lines[span.line - 1]
        lines[span.line - 1] = line[: span.column - 1] + edit.text + line[span.end_column - 1 :]
        taken = (span.line, span.column)
        count += 1
    return mark + "".join(line + end for line, end in zip(lines, ends, strict=True)), count


def _by_file(fixes: Sequence[Fix]) -> dict[str, list[Edit]]:
    edits: dict[str, dict[Edit, None]] = {}
    for fix in fixes:
        for edit in fix.edits:
            edits.setdefault(edit.span.file, {})[edit] = None
    return {file: list(found) for file, found in edits.items()}


def _rewrite(path: Path, text: str) -> None:
    """Replace a file in one step, so that a full disk leaves the old one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
