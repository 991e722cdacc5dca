"""`kling verify`: hold the store, the locks and the ledger against each other."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.desk import (
    MAX_FOLDERS,
    format_option,
    read_rows,
    relative_film,
    sandbox_option,
    shown_path,
    stage_of,
    told_problems,
    typed_path,
)
from kling_dsl.cli.terminal import palette_for, width_of
from kling_dsl.reports.palette import PLAIN

if TYPE_CHECKING:
    from kling_dsl.ledger import Row
    from kling_dsl.lock import Lock
    from kling_dsl.project import Project
    from kling_dsl.render.stage import Stage
    from kling_dsl.reports.verification import FilmRecords, Finding, Verified

_FILM = click.Path(path_type=Path, dir_okay=False)
"""A film that may be gone while its lock is there."""

_SUFFIX = ".kling.lock"
_EACH = 10
"""How many clips are read between two words of progress."""


@click.command("verify")
@click.argument("film", metavar="[FILE]", type=_FILM, required=False)
@sandbox_option
@format_option
def verify_command(film: Path | None, sandbox: bool, form: str) -> None:
    """Read every clip through, and hold the store, the locks and the ledger against each other.

    Each clip must be here with its digest, with a record that tells of its request; each take that was paid for must
    be in the lock. Without FILE every film that has a lock is checked, and the store as a whole: clips that nothing
    knows of, and what runs that broke off have left. Nothing is changed. The exit code is 1 when something is wrong.

    \b
    Example:
      kling verify
      kling verify film.kling
    """
    from kling_dsl.lock import read_lock
    from kling_dsl.project import find_project
    from kling_dsl.reports.verification import render_verification, verification_json

    project = find_project(film or Path.cwd())
    stage = stage_of(project, sandbox=sandbox)
    rows = read_rows(stage)
    paths = _all_films(project, stage, rows)
    wanted = paths if film is None else [_one_film(project, stage, rows, film)]
    with told_problems():
        films = [_records_of(path, project, stage, rows) for path in wanted]
        locks = [one.lock for one in films] if film is None else [read_lock(stage.lock(path)) for path in paths]
    verified = _verify(films, locks, rows, stage, whole=film is None)
    text = verification_json(verified) if form == "json" else render_verification(verified, width=width_of(sys.stdout))
    click.echo(text, nl=False)
    if not verified.sound:
        raise click.exceptions.Exit(1)


def _verify(
    films: Sequence[FilmRecords], locks: Sequence[Lock], rows: tuple[Row, ...], stage: Stage, *, whole: bool
) -> Verified:
    from kling_dsl.reports.verification import Clips, Verified, check_film, check_store, locked_by
    from kling_dsl.store import Store

    store = Store(stage.store)
    findings: list[Finding] = []
    digests = {take.sha256 for film in films for take in film.lock.takes} | set(store.digests() if whole else ())
    with _progress(len(digests)) as seen:
        clips = Clips(store, stage.root, seen=seen)
        locked = locked_by(locks)
        for film in films:
            findings += check_film(film, clips, locked)
        if whole:
            findings += check_store(films, rows, clips)
            findings += _check_runs(stage, rows)
    return Verified(tuple(film.file for film in films), clips.count, tuple(findings), not stage.spends)


@contextlib.contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    """Give what tells on a terminal how many clips were read, and nothing elsewhere."""
    if palette_for(sys.stderr) is PLAIN:
        yield lambda _: None
        return

    def tell(number: int) -> None:
        if number % _EACH == 0:
            click.echo(f"\rreading clips: {number:,} of {count:,}", err=True, nl=False)

    try:
        yield tell
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)


def _all_films(project: Project, stage: Stage, rows: Sequence[Row]) -> list[str]:
    """Return every film that has a lock, or of which the ledger knows a take that was paid for, by path."""
    found = {path.removesuffix(".lock") for path in _find_locks(project, stage)}
    found |= {row.order.film for row in rows if row.state == "stored" or row.quarantine}
    return sorted(found)


def _find_locks(project: Project, stage: Stage) -> Iterator[str]:
    top = project.root if stage.spends else stage.home
    out = os.path.normpath(project.root / project.settings.paths.out)
    for count, (folder, folders, files) in enumerate(os.walk(top)):
        if count >= MAX_FOLDERS:
            return
        folders[:] = sorted(name for name in folders if not name.startswith(".") and os.path.join(folder, name) != out)
        for name in files:
            if name.endswith(_SUFFIX) and not name.startswith(".") and _is_utf8(name):
                yield Path(folder, name).relative_to(top).as_posix()


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _one_film(project: Project, stage: Stage, rows: Sequence[Row], film: Path) -> str:
    from kling_dsl.reports.escaping import visible

    path = relative_film(project, film)
    if path.endswith(_SUFFIX):
        path = path.removesuffix(".lock")
    known = os.path.lexists(stage.lock(path)) or any(row.order.film == path for row in rows)
    if not known and not os.path.lexists(film):
        raise click.UsageError(f"there is no film {visible(path)}, and no lock and no ledger knows one of this name")
    return path


def _records_of(path: str, project: Project, stage: Stage, rows: Sequence[Row]) -> FilmRecords:
    from kling_dsl.lock import read_lock
    from kling_dsl.reports.verification import FilmRecords

    place = stage.lock(path)
    lock = read_lock(place)
    return FilmRecords(
        file=path,
        shown=typed_path(project.root / path),
        lock_shown=shown_path(place),
        there=(project.root / path).is_file(),
        lock=lock,
        rows=tuple(row for row in rows if row.order.film == path),
        lock_lines=tuple(place.read_bytes().split(b"\n")) if lock.problems else (),
    )


def _check_runs(stage: Stage, rows: Sequence[Row]) -> Iterator[Finding]:
    """Yield what runs have left that are gone: their files, and takes that nobody is at."""
    from kling_dsl.ledger.leases import is_alive
    from kling_dsl.reports.verification import Finding, half_written
    from kling_dsl.standing import UNDER_WAY

    for path in sorted(stage.runs.glob("*.lock")):
        with told_problems():
            alive = is_alive(stage.runs, path.stem)
        if alive:
            continue
        owned = [row for row in rows if row.owner == path.stem and row.state in UNDER_WAY]
        takes = f"; {len(owned)} of its takes are under way" if owned else ""
        todo = "`kling status` says how to go on with them" if owned else "delete it"
        yield Finding(f"a run that broke off left this{takes}", shown_path(path), todo, "note")
    for path in sorted((*stage.home.glob("ledger.db.*.new*"), *stage.home.glob("guards/.*"))):
        yield half_written(shown_path(path))
