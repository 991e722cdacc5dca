"""`kling compile`: print the exact requests of a film, or a program that sends them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.films import open_film, refuse_failed
from kling_dsl.cli.options import FILM, film_options

if TYPE_CHECKING:
    from kling_dsl.calls import Call


@click.command("compile")
@click.argument("film", metavar="FILE", type=FILM)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "curl", "python", "javascript"]),
    default="json",
    show_default=True,
    help="The requests as data, or a program that buys them.",
)
@click.option("--expanded", is_flag=True, help="Print the screenplay after its templates instead.")
@click.option("--only", metavar="ID", multiple=True, help="Only this shot or clip; may be given again.")
@film_options
def compile_command(
    film: Path,
    form: str,
    expanded: bool,
    only: tuple[str, ...],
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Print the exact requests of a film; nothing is sent.

    The programs of --format curl, python and javascript do spend money when you run them.

    \b
    Example:
      kling compile film.kling
      kling compile film.kling --only door --format python > buy.py
    """
    opened = open_film(film, model=model, values=values, data=data)
    compilation = opened.compilation
    if expanded:
        click.echo(compilation.expanded.encode("utf-8"), nl=False)
    refuse_failed(opened)
    if expanded:
        return
    clips = {
        shot.id: item.built.request.id
        for item in compilation.items
        if item.built.request.multi
        for shot in item.built.request.shots
    }
    calls = _choose(compilation.calls, only, clips=clips)
    if form == "json":
        from kling_dsl.reports.requests import render_requests

        click.echo(render_requests(calls, film=compilation.title, file=compilation.file))
        return
    from kling_dsl import exporters

    program = {
        "curl": exporters.curl_program,
        "python": exporters.python_program,
        "javascript": exporters.javascript_program,
    }[form]
    click.echo(program(calls, film=compilation.title).encode("utf-8"), nl=False)


def _choose(calls: tuple[Call, ...], only: tuple[str, ...], *, clips: Mapping[str, str]) -> tuple[Call, ...]:
    """Return the calls with these ids, or all; `clips` names the clip that a shot is bought with."""
    ids = {call.id: None for call in calls}
    for name in only:
        if name not in ids:
            from kling_dsl.reports.escaping import visible
            from kling_dsl.spelling import nearest

            near = nearest(name, ids)
            problem = f"no shot or clip is called '{visible(name)}'" + (f"; did you mean {near}?" if near else "")
            if name in clips:
                problem = (
                    f"'{name}' is a shot inside the clip {clips[name]}, and is bought with it: --only {clips[name]}"
                )
            raise click.BadParameter(problem, param_hint="--only")
    return tuple(call for call in calls if call.id in only) if only else calls
