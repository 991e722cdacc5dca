"""`kling init`: write a project that compiles, or nothing at all."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path

import click

from kling_dsl.reports.escaping import visible
from kling_dsl.resources import specs_path

_DOTTED = ("gitignore", "gitattributes")
"""Files that ship without the dot in front, so that they do not act on the folder they ship in."""


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init_command(directory: Path) -> None:
    """Write a small project into DIR (here, by default) that compiles as it stands.

    It holds a film of three clips, its cast, placeholder pictures, kling.toml, .gitignore and .gitattributes. No
    file is ever overwritten: when one of them is there already, nothing is written and the exit code is 2.

    \b
    Example:
      kling init my-film
      cd my-film
      kling plan film.kling
    """
    files = _read_starter()
    try:
        clashes = _find_clashes(directory, files)
        if not clashes:
            _write_all(directory, files)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise click.ClickException(f"the project could not be written, and nothing of it was kept: {reason}") from None
    if clashes:
        listed = "\n".join(f"  {_show(path)}" for path in clashes)
        raise click.UsageError(f"nothing was written, because these exist already:\n{listed}\nName a new folder.")
    for path in files:
        click.echo(f"wrote {_show(directory / path)}")
    click.echo("\nNext:")
    if directory != Path("."):
        click.echo(f"  cd {shlex.quote(_show(directory))}")
    click.echo("  kling check film.kling\n  kling plan film.kling")


def _read_starter() -> dict[Path, bytes]:
    """Return the files of the starter project by path, in order."""
    base = specs_path("starter")
    paths = sorted(path for path in base.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {_destination(path.relative_to(base)): path.read_bytes() for path in paths}


def _destination(path: Path) -> Path:
    return path.with_name(f".{path.name}") if path.name in _DOTTED else path


def _find_clashes(directory: Path, files: dict[Path, bytes]) -> list[Path]:
    """Return what stands in the way: files of these names, and links or files where a folder has to be."""
    if os.path.lexists(directory) and not directory.is_dir():
        return [directory]
    clashes: dict[Path, None] = {}
    for path in files:
        for folder in reversed(path.parents[:-1]):
            # A link in place of a folder would carry the files out of the project.
            if (directory / folder).is_symlink() or (directory / folder).is_file():
                clashes[directory / folder] = None
        if os.path.lexists(directory / path):
            clashes[directory / path] = None
    return list(clashes)


def _write_all(directory: Path, files: dict[Path, bytes]) -> None:
    """Write every file, or take back each file and folder that was made when one fails or the user interrupts."""
    with contextlib.ExitStack() as undo:
        for path, content in files.items():
            target = directory / path
            _make_folders(target.parent, undo)
            # "x" refuses a file that has appeared since the look for clashes.
            with target.open("xb") as file:
                undo.callback(_forget, target)
                file.write(content)
        undo.pop_all()


def _make_folders(folder: Path, undo: contextlib.ExitStack) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir()
        undo.callback(_forget, place)


def _show(path: Path) -> str:
    return visible(click.format_filename(path))


def _forget(path: Path) -> None:
    """Remove a file, or a folder that is empty; what cannot be removed must not hide why we got here."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
