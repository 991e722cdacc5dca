"""`kling check`: report every mistake in films, and mend those with one right answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.films import FILM, Opened, film_options

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
    films: tuple[Path, ...], form: str, strict: bool, fix: bool, model: str | None, values: tuple[str, ...], data: tuple[str, ...]
) -> None:
    """Report every mistake in films, without sending or writing anything.

    The exit code is 1 when there is an error (with --strict, also for a warning), and 0 otherwise.

    \b
    Example:
      kling check film.kling
      kling check --format github films/*.kling
    """
    from kling_dsl.cli.films import open_film

    if fix:
        from kling_dsl.cli.fixing import fix_films

        fix_films(films, model=model, values=values, data=data)
    opened = [open_film(film, model=model, values=values, data=data) for film in films]
    found = [diagnostic for each in opened for diagnostic in each.compilation.diagnostics]
    _print(opened, films, found, form)
    if any(each.compilation.failed for each in opened) or (strict and any(d.severity == "warning" for d in found)):
        raise click.exceptions.Exit(1)


def _print(opened: list[Opened], films: tuple[Path, ...], found: list[Diagnostic], form: str) -> None:
    if form == "text":
        for film, each in zip(films, opened, strict=True):
            _print_text(film, each)
    elif form == "json":
        from kling_dsl.reports.diagnostics_json import render_json

        click.echo(render_json(found))
    elif form == "sarif":
        from kling_dsl import __version__
        from kling_dsl.reports.diagnostics_sarif import render_sarif
        from kling_dsl.reports.pages import page

        click.echo(render_sarif(found, version=__version__, help_text=lambda slug: p.text if (p := page(slug)) else None))
    else:
        from kling_dsl.reports.diagnostics_github import render_github

        click.echo(render_github(found), nl=False)


def _print_text(film: Path, opened: Opened) -> None:
    from kling_dsl.cli.films import render_diagnostics
    from kling_dsl.reports.diagnostics_text import render_summary
    from kling_dsl.reports.escaping import visible

    compilation = opened.compilation
    if compilation.diagnostics:
        click.echo(render_diagnostics(opened, sys.stdout), nl=False)
    shown = visible(str(film))
    if compilation.failed:
        click.echo(f"{shown}: {render_summary(compilation.diagnostics)}")
        return
    from kling_dsl.money import dollars

    clips = len(compilation.items)
    told = f"{clips} clip{'' if clips == 1 else 's'}, {compilation.seconds} s, {dollars(compilation.total_usd)}"
    summary = render_summary(compilation.diagnostics) if compilation.diagnostics else "no mistakes"
    click.echo(f"{shown}: {told}; {summary}")
