"""`kling check`: report every mistake in films, and mend those with one right answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl import cache
from kling_dsl.cli.options import FILM, film_options

if TYPE_CHECKING:
    from kling_dsl.diagnostics import Diagnostic


@click.command("check")
@click.argument("films", metavar="FILE…", nargs=-1, required=True, type=FILM)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How to print what is found.",
)
@click.option("--strict", is_flag=True, help="Warnings fail the check too.")
@click.option("--fix", is_flag=True, help="Mend what has one right answer, then check again.")
@film_options
def check_command(
    films: tuple[Path, ...],
    form: str,
    strict: bool,
    fix: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Report every mistake in films, without sending or writing anything.

    The exit code is 1 when there is an error (with --strict, also for a warning), and 0 otherwise.

    \b
    Example:
      kling check film.kling
      kling check --format github films/*.kling
    """
    if fix:
        from kling_dsl.cli.fixing import fix_films

        fix_films(films, model=model, values=values, data=data)
    found = [_check(film, model, values, data) for film in films]
    if form == "text":
        for film, finding in zip(films, found, strict=True):
            _print_text(film, finding)
    else:
        _print(found, form)
    if any(finding.failed for finding in found) or (
        strict and any(d.severity == "warning" for f in found for d in _read(f))
    ):
        raise click.exceptions.Exit(1)


def _check(film: Path, model: str | None, values: tuple[str, ...], data: tuple[str, ...]) -> cache.Finding:
    """Return what is wrong with a film: from the last time if nothing that it depends on has changed since."""
    options = (
        f"model {model}",
        *(f"set {value}" for value in values),
        *(f"data {os.getcwd()} {file}" for file in data),
    )
    known = cache.recall(str(film), options)
    if known is not None:
        return known
    import msgspec

    from kling_dsl.cli.films import open_script
    from kling_dsl.money import dollars

    opened = open_script(film, model=model, values=values, data=data)
    compilation = opened.compilation
    if compilation.test:
        count = len(compilation.stated)
        told = f"{count} EXPECT line{'' if count == 1 else 's'} about {compilation.file}"
    else:
        count = len(compilation.items)
        told = f"{count} clip{'' if count == 1 else 's'}, {compilation.seconds} s, {dollars(compilation.total_usd)}"
    finding = cache.Finding(
        str(opened.project.root),
        compilation.failed,
        told,
        msgspec.json.encode(compilation.diagnostics) if compilation.diagnostics else b"",
    )
    world, again = opened.world, opened.project.world()
    texts = {path: text for path in compilation.files if isinstance(text := world.read_text(path), str)}
    cache.remember(
        str(film),
        options,
        finding,
        texts=texts,
        others=(signature.path for signature in world.inputs),
        is_current=lambda: all(again.signature(signature.path) == signature for signature in world.inputs),
    )
    return finding


def _read(finding: cache.Finding) -> list[Diagnostic]:
    if not finding.diagnostics:
        return []
    import msgspec

    from kling_dsl.diagnostics import Diagnostic

    return msgspec.json.decode(finding.diagnostics, type=list[Diagnostic])


def _print(found: list[cache.Finding], form: str) -> None:
    from kling_dsl.cli.films import shown_from_here

    # What a test file and its film have in common is one mistake.
    all_found = [shown_from_here(d, Path(finding.root)) for finding in found for d in _read(finding)]
    diagnostics = list(dict.fromkeys(all_found))
    if form == "json":
        from kling_dsl.reports.diagnostics_json import render_json

        click.echo(render_json(diagnostics), nl=False)
    elif form == "sarif":
        from kling_dsl import __version__
        from kling_dsl.reports.diagnostics_sarif import render_sarif
        from kling_dsl.reports.pages import page

        help_text = {d.slug: told.text for d in diagnostics if (told := page(d.slug)) is not None}
        click.echo(render_sarif(diagnostics, version=__version__, help_text=help_text.get), nl=False)
    else:
        from kling_dsl.reports.diagnostics_github import render_github

        click.echo(render_github(diagnostics), nl=False)


def _print_text(film: Path, finding: cache.Finding) -> None:
    diagnostics = _read(finding)
    summary = "no mistakes"
    if diagnostics:
        from kling_dsl.cli.films import render_diagnostics
        from kling_dsl.reports.diagnostics_text import render_summary

        click.echo(render_diagnostics(diagnostics, Path(finding.root), sys.stdout), nl=False)
        summary = render_summary(diagnostics)
    told = summary if finding.failed else f"{finding.told}; {summary}"
    name = str(film)
    if not name.isascii() or not name.isprintable():
        from kling_dsl.reports.escaping import visible

        name = visible(name)
    click.echo(f"{name}: {told}")
