"""What every verb over the records of a film shares: its lock, its ledger and its store, and which film a clip is of."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from kling_dsl.cli.films import Opened, open_film, refuse_failed
from kling_dsl.cli.options import FILM, film_options

if TYPE_CHECKING:
    from kling_dsl.ledger import Row
    from kling_dsl.lock import Lock, Problem
    from kling_dsl.project import Project
    from kling_dsl.render.stage import Stage
    from kling_dsl.standing import Records, Standing
    from kling_dsl.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_FILMS = 5_000
"""The most films of a project that are looked through for a clip."""

MAX_FOLDERS = 20_000
"""The most folders of a project that are looked into for films."""

MAX_WARNINGS = 10
"""The most problems of a lock that are told one by one; `kling verify` tells them all."""

_DECLARED = re.compile(r"^(?:SHOT|CLIP)[ \t]+([a-z][a-z0-9-]*)(?=\s)", re.MULTILINE)
_TEMPLATE_MARKS = ("{{", "{%")

_HARMLESS = ("is a second take ", "says otherwise ", "picks a clip ", "accepts a clip ", "is a mark that a merge left")
"""How the problems of a lock begin that hide no paid take: every record is read all the same."""


class Desk(msgspec.Struct, frozen=True, eq=False):
    """A compiled film with its records; `rows` are those of the whole ledger, since a film may have been renamed."""

    opened: Opened
    stage: Stage
    lock: Lock
    rows: tuple[Row, ...]
    store: Store
    standings: tuple[Standing, ...]

    @property
    def film(self) -> str:
        """The film's path from the project's root."""
        return self.opened.compilation.file

    @property
    def lock_path(self) -> Path:
        """Where the film's lock is."""
        return self.stage.lock(self.film)

    @property
    def records(self) -> Records:
        """What the standings were judged by."""
        return _records(self.lock, self.rows, self.store)


class Names(msgspec.Struct, frozen=True):
    """How a clip is named on the command line: its id, the film if it was given, and the options of the film."""

    identifier: str
    film: Path | None = None
    model: str | None = None
    values: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


def clip_options(command: Command) -> Command:
    """Add the options that say in which film a clip is looked for, and by whose records."""
    command = film_options(command)
    command = sandbox_option(command)
    return click.option(
        "--film", metavar="FILE", type=FILM, help="The film of the clip; found by its id if not given."
    )(command)


def sandbox_option(command: Command) -> Command:
    """Add the option that reads the records of the sandbox."""
    return click.option("--sandbox", is_flag=True, help="Look at what was rendered in the sandbox.")(command)


def format_option(command: Command) -> Command:
    """Add the option that chooses between text and JSON."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How to print it.",
    )(command)


def stage_of(project: Project, *, sandbox: bool) -> Stage:
    """Return whose records are meant: the sandbox's when it is asked for, or when the shell is set to one."""
    from kling_dsl.cli.stages import SANDBOX_VARIABLE
    from kling_dsl.render.stage import Stage

    return Stage.sandbox(project) if sandbox or os.environ.get(SANDBOX_VARIABLE) else Stage.real(project)


def open_desk(opened: Opened, stage: Stage) -> Desk:
    """Read the records of a film that compiled; nothing is made or written.

    Problems of its lock are told on stderr. A lock or a ledger that cannot be read ends the command with exit code 1.
    """
    desk = _read_desk(opened, stage)
    warn_of_lock(desk.lock.problems, desk.lock_path)
    return desk


def reread(desk: Desk) -> Desk:
    """Return a desk as its records are now, without telling the problems of its lock again."""
    return _read_desk(desk.opened, desk.stage)


def refuse_broken_lock(desk: Desk) -> None:
    """End a command that spends or writes with exit code 1 when lines of the lock cannot be read.

    What such a line says may have been paid for. Contradictions between lines that were read hide nothing.
    """
    lost = [problem for problem in desk.lock.problems if not problem.message.startswith(_HARMLESS)]
    if lost:
        from kling_dsl.reports.escaping import visible

        place = visible(shown_path(desk.lock_path))
        raise click.ClickException(
            f"{_lines(lost)} of {place} cannot be read, and what was paid for may stand there: mend the lock, or take "
            "it from git, and run this again"
        )


def find_named(names: Names, *, sandbox: bool) -> tuple[Desk, Standing]:
    """Return the desk of the film that a clip is of, and how the clip stands.

    Without a film it is looked for in every film of the project. An id that no film has, or that several have, is
    wrong usage; a film with errors that may have it ends the command with exit code 1.
    """
    opened = _open(names, names.film) if names.film is not None else _find_film(names)
    refuse_failed(opened)
    if names.identifier not in _ids(opened):
        raise click.UsageError(_no_such_clip(names.identifier, _ids(opened), film=opened.compilation.file))
    desk = open_desk(opened, stage_of(opened.project, sandbox=sandbox))
    return desk, next(standing for standing in desk.standings if standing.call.id == names.identifier)


def find_films(project: Project) -> Iterator[tuple[str, str]]:
    """Yield the path from the root and the text of every film of a project that declares shots, in order of path.

    Hidden folders and the output folder are left out, links to folders are not followed, and no more than
    `MAX_FILMS` films in `MAX_FOLDERS` folders are looked at.
    """
    from kling_dsl.vocabulary import TEST_ENDING

    world = project.world()
    out = os.path.normpath(project.root / project.settings.paths.out)
    films = 0
    for count, (folder, folders, files) in enumerate(os.walk(project.root)):
        if count >= MAX_FOLDERS:
            return
        folders[:] = sorted(name for name in folders if not name.startswith(".") and os.path.join(folder, name) != out)
        for name in sorted(files):
            if not name.endswith(".kling") or name.endswith(TEST_ENDING) or name.startswith("."):
                continue
            films += 1
            if films > MAX_FILMS:
                return
            path = Path(folder, name).relative_to(project.root).as_posix()
            text = world.read_text(path)
            if isinstance(text, str) and (_DECLARED.search(text) or _is_template(text)):
                yield path, text


@contextlib.contextmanager
def told_problems() -> Iterator[None]:
    """End the command with exit code 1 and a message when a lock or a ledger cannot be used."""
    from kling_dsl.ledger.errors import LedgerError
    from kling_dsl.lock import LockError
    from kling_dsl.reports.escaping import visible

    try:
        yield
    except (LedgerError, LockError) as problem:
        raise click.ClickException(visible(str(problem))) from None


def read_rows(stage: Stage) -> tuple[Row, ...]:
    """Return every row of a stage's ledger; without one there are none, and SQLite is not even loaded."""
    if not ledger_exists(stage):
        return ()
    from kling_dsl.ledger import read_ledger

    with told_problems(), read_ledger(stage.ledger) as ledger:
        return ledger.rows()


def ledger_exists(stage: Stage) -> bool:
    """Say whether there is a ledger, or something of one that is gone."""
    path = stage.ledger
    return any(os.path.lexists(f"{path}{ending}") for ending in ("", "-wal", "-journal"))


def warn_of_lock(problems: Sequence[Problem], path: Path) -> None:
    """Tell the problems of a lock on stderr, each with its file and line."""
    from kling_dsl.reports.escaping import visible

    place = visible(shown_path(path))
    for problem in problems[:MAX_WARNINGS]:
        click.echo(f"{place}:{problem.line}: warning: this line {visible(problem.message)}", err=True)
    if len(problems) > MAX_WARNINGS:
        click.echo(f"{place}: {len(problems) - MAX_WARNINGS} more such lines: see `kling verify`", err=True)


def moment_after(desk: Desk, earlier: Sequence[str]) -> str:
    """Return this moment as a lock writes it, or one after these: the newest counts, and clocks differ or go back."""
    now = datetime.now(UTC)
    newest = max(earlier, key=lambda at: at[:-1], default="")
    if newest and newest[:-1] >= _written(now)[:-1]:
        try:
            now = datetime.fromisoformat(newest) + timedelta(microseconds=1)
        except (ValueError, OverflowError):
            from kling_dsl.reports.escaping import visible

            place = visible(shown_path(desk.lock_path))
            raise click.ClickException(
                f"{place} has a line of {newest}, after which nothing comes: delete that line"
            ) from None
    return _written(now)


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def shown_path(path: Path) -> str:
    """Return a path as seen from where the person is; what UTF-8 cannot carry of it is replaced."""
    from kling_dsl.reports.escaping import sound

    try:
        return sound(os.path.relpath(path))
    except (OSError, ValueError):
        return sound(str(path))


def typed_path(path: Path) -> str:
    """Return a path as one would type it into a shell, quoted where it needs to be, and safe to show."""
    from kling_dsl.reports.escaping import visible

    return visible(shlex.quote(shown_path(path)))


def relative_film(project: Project, film: Path) -> str:
    """Return the path of a film, which may be gone, from the project's root; one that cannot be is wrong usage."""
    from kling_dsl.reports.escaping import visible

    path = project.relative(film)
    if path is None:
        raise click.UsageError(f"{visible(str(film))} lies outside its project")
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise click.UsageError(f"{visible(str(film))} has a name that is not UTF-8; rename it") from None
    return path


def _read_desk(opened: Opened, stage: Stage) -> Desk:
    from kling_dsl.lock import read_lock
    from kling_dsl.standing import Standings
    from kling_dsl.store import Store

    with told_problems():
        lock = read_lock(stage.lock(opened.compilation.file))
    rows = read_rows(stage)
    store = Store(stage.store)
    standings = Standings(opened.compilation).all(_records(lock, rows, store))
    return Desk(opened, stage, lock, rows, store, standings)


def _records(lock: Lock, rows: Sequence[Row], store: Store) -> Records:
    from kling_dsl.standing import Records, by_fingerprint

    return Records(lock, by_fingerprint(rows), store.has)


def _find_film(names: Names) -> Opened:
    from kling_dsl.project import find_project

    project = find_project(Path.cwd())
    known: dict[str, None] = {}
    found: list[Opened] = []
    failed: list[Opened] = []
    for path, text in find_films(project):
        declared = _DECLARED.findall(text)
        known.update(dict.fromkeys(declared))
        if names.identifier not in declared and not _is_template(text):
            continue
        opened = _open(names, project.root / path)
        if opened.compilation.failed:
            # A template of another film may want values that were not given; that is no reason to stop.
            failed += [opened] if names.identifier in declared else []
            continue
        known.update(dict.fromkeys(_ids(opened)))
        found += [opened] if names.identifier in _ids(opened) else []
    if len(found) > 1:
        raise click.UsageError(_several(names.identifier, found))
    if not found and not failed:
        raise click.UsageError(_no_such_clip(names.identifier, list(known)))
    return found[0] if found else failed[0]


def _open(names: Names, film: Path) -> Opened:
    return open_film(film, model=names.model, values=names.values, data=names.data)


def _ids(opened: Opened) -> list[str]:
    return [call.id for call in opened.compilation.calls]


def _is_template(text: str) -> bool:
    return any(mark in text for mark in _TEMPLATE_MARKS)


def _several(identifier: str, found: Sequence[Opened]) -> str:
    from kling_dsl.reports.escaping import visible

    films = [typed_path(opened.project.root / opened.compilation.file) for opened in found]
    shown = " or ".join(f"--film {film}" for film in films[:5])
    more = f", or {len(films) - 5} more" if len(films) > 5 else ""
    return f"{len(found)} films have a clip '{visible(identifier)}'; say which with {shown}{more}"


def _no_such_clip(identifier: str, known: Sequence[str], *, film: str = "") -> str:
    from kling_dsl.reports.escaping import visible
    from kling_dsl.spelling import nearest

    near = nearest(identifier[:80], known)
    hint = f"; did you mean {near}?" if near else ""
    clip = f"clip '{visible(identifier[:80])}'"
    return (f"{visible(film)} has no {clip}" if film else f"no film of this project has a {clip}") + hint


def _lines(problems: Sequence[Problem]) -> str:
    numbers = [str(problem.line) for problem in problems]
    if len(numbers) == 1:
        return f"line {numbers[0]}"
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"lines {', '.join(numbers[:5])}{more}"
