"""`kling init`: write a project that compiles, or nothing at all."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path

import click

from kling_dsl import __version__
from kling_dsl.reports.escaping import visible
from kling_dsl.resources import specs_path

_DOTTED = ("gitignore", "gitattributes")
"""Files that ship without the dot in front, so that they do not act on the folder they ship in."""

_CI = "ci"
"""The folder of the starter that is no part of the project: what reviews films on a server."""

_WORKFLOWS = {"github": Path(".github", "workflows", "kling.yml"), "gitlab": Path(".gitlab-ci.yml")}
"""Where a server looks for its workflow, from the top of the repository."""

_FILMS = ("*.kling", "*/*.kling", "*/*/*.kling")
"""Where the films of a project are that has no kling.toml."""


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option(
    "--ci",
    "server",
    type=click.Choice(list(_WORKFLOWS)),
    help="Write the workflow that checks films and tells the cost of a change; in a project that exists, only that.",
)
def init_command(directory: Path, server: str | None) -> None:
    """Write a small project into DIR (here, by default) that compiles as it stands.

    It holds a film of three clips, its cast, placeholder pictures, kling.toml, .gitignore and .gitattributes. No
    file is ever overwritten: when one of them is there already, nothing is written and the exit code is 2.

    \b
    Example:
      kling init my-film
      cd my-film
      kling plan film.kling
      kling init --ci github
    """
    try:
        starter = server is None or not _is_project(directory)
        files = {directory / path: content for path, content in _read_starter().items()} if starter else {}
        if server is not None:
            files[_top(directory) / _WORKFLOWS[server]] = _read_workflow(server)
        clashes = _find_clashes(directory, files)
        if not clashes:
            _write_all(files)
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise click.ClickException(f"the project could not be written, and nothing of it was kept: {reason}") from None
    if clashes:
        listed = "\n".join(f"  {_show(path)}" for path in clashes)
        todo = "Name a new folder." if starter else "Move it away, or take over by hand what it lacks."
        raise click.UsageError(f"nothing was written, because these exist already:\n{listed}\n{todo}")
    for path in files:
        click.echo(f"wrote {_show(path)}")
    if starter:
        _tell_next(directory)
    if server:
        click.echo(f"\nIt installs kling-dsl {__version__} from the package index: KLING_PACKAGE in it names another.")


def _tell_next(directory: Path) -> None:
    click.echo("\nNext:")
    if directory != Path("."):
        click.echo(f"  cd {shlex.quote(_show(directory))}")
    click.echo("  kling check film.kling\n  kling plan film.kling")


def _is_project(directory: Path) -> bool:
    """Say whether films are kept in a folder already."""
    return os.path.lexists(directory / "kling.toml") or any(any(directory.glob(pattern)) for pattern in _FILMS)


def _top(directory: Path) -> Path:
    """Return the top of the repository that a folder is in, as one would name it from here, or else the folder."""
    place = Path(os.path.realpath(directory))
    top = next((folder for folder in (place, *place.parents) if os.path.lexists(folder / ".git")), place)
    return directory if top == place else Path(os.path.relpath(top))


def _read_workflow(server: str) -> bytes:
    text = specs_path("starter", _CI, f"{server}.yml").read_text(encoding="utf-8")
    return text.replace("@VERSION@", __version__).encode("utf-8")


def _read_starter() -> dict[Path, bytes]:
    """Return the files of the starter project by path, in order."""
    base = specs_path("starter")
    paths = sorted(path for path in base.rglob("*") if path.is_file() and not path.name.startswith("."))
    inside = [path.relative_to(base) for path in paths]
    return {_destination(path): (base / path).read_bytes() for path in inside if path.parts[0] != _CI}


def _destination(path: Path) -> Path:
    return path.with_name(f".{path.name}") if path.name in _DOTTED else path


def _find_clashes(directory: Path, files: dict[Path, bytes]) -> list[Path]:
    """Return what stands in the way: files of these names, and links or files where a folder has to be."""
    if os.path.lexists(directory) and not directory.is_dir():
        return [directory]
    clashes: dict[Path, None] = {}
    for path in files:
        base = directory if path.is_relative_to(directory) else _top(directory)
        for folder in reversed(path.relative_to(base).parents[:-1]):
            # A link in place of a folder would carry the files out of the project.
            if (base / folder).is_symlink() or (base / folder).is_file():
                clashes[base / folder] = None
        if os.path.lexists(path):
            clashes[path] = None
    return list(clashes)


def _write_all(files: dict[Path, bytes]) -> None:
    """Write every file, or take back each file and folder that was made when one fails or the user interrupts."""
    with contextlib.ExitStack() as undo:
        for target, content in files.items():
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
