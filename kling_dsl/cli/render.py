"""`kling render`: buy what is missing of a film, after showing what it costs."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.buying import Order, buy, link_chosen
from kling_dsl.cli.films import Opened, open_film, refuse_failed
from kling_dsl.cli.options import FILM, film_options
from kling_dsl.cli.stages import REFUSED, buying_options, entered_stage
from kling_dsl.project.settings import MAX_CONCURRENCY

if TYPE_CHECKING:
    from kling_dsl.cli.desk import Desk
    from kling_dsl.reports.saved_plan import SavedPlan

MAX_MOVES = 20
"""The most things that are told one by one when a saved plan no longer holds."""


@click.command("render")
@click.argument("film", metavar="FILE|PLAN", type=FILM)
@click.option("--sandbox", is_flag=True, help="Render on this machine with stand-in clips; nothing costs money.")
@click.option("--only", metavar="ID", multiple=True, help="Render only this clip; may be given several times.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, MAX_CONCURRENCY),
    help="The most takes at the provider at once (kling.toml: 10).",
)
@click.option("--locked", is_flag=True, help="Buy nothing: exit with 3 unless every clip is here.")
@buying_options
@film_options
def render_command(
    film: Path,
    sandbox: bool,
    only: tuple[str, ...],
    max_cost: Decimal | None,
    concurrency: int | None,
    locked: bool,
    yes: bool,
    form: str,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Buy what is missing of a film and bring every clip home.

    A PLAN is what `kling plan FILE --out plan.json` saved: exactly that is bought, or nothing when anything has moved.

    The plan is shown, and on a terminal you are asked once before money is spent. What is paid for is never bought
    again: after Ctrl-C, a crash or a broken connection, run the same command and it goes on. The exit code is 3 when
    a limit refuses, and 4 when a clip failed, is uncertain or is still at the provider.

    \b
    Example:
      kling render film.kling --sandbox
      kling render film.kling --max-cost $10
      kling render plan.json
    """
    saved: SavedPlan | None = None
    if film.suffix.lower() == ".json":
        if model or values or data or only:
            raise click.UsageError("a saved plan says which film, clips and options are meant: give it alone")
        saved, opened, only = _open_saved(film)
    else:
        opened = open_film(film, model=model, values=values, data=data)
    refuse_failed(opened)
    if saved is None:
        _check_ids(only, opened)
    chosen = frozenset(only) or None
    with entered_stage(opened, sandbox) as stage:
        from kling_dsl.cli.desk import open_desk, refuse_broken_lock

        desk = open_desk(opened, stage)
        refuse_broken_lock(desk)
        if saved is not None:
            _refuse_moved(saved, desk)
        if locked:
            _render_locked(desk, chosen)
            return
        order = Order(form, only=chosen, max_cost_usd=max_cost, concurrency=concurrency, agreed=yes)
        code = buy(desk, order)
    raise click.exceptions.Exit(code)


def _open_saved(path: Path) -> tuple[SavedPlan, Opened, tuple[str, ...]]:
    """Read a saved plan and compile its film with its options; return the clips of which it buys takes as well."""
    from kling_dsl.project import find_project
    from kling_dsl.reports.escaping import visible
    from kling_dsl.reports.saved_plan import MAX_PLAN_BYTES, NotAPlan, read_saved_plan

    try:
        with path.open("rb") as file:
            saved = read_saved_plan(file.read(MAX_PLAN_BYTES + 1))
    except NotAPlan as problem:
        raise click.UsageError(visible(f"{path} {problem}")) from None
    options = saved.saved.options
    # The film's path counts from its project's root; a plan may lie anywhere in that project, or be given from there.
    roots = dict.fromkeys((find_project(path).root, find_project(Path.cwd()).root))
    for root in roots:
        film = root / saved.file
        if film.is_file() and film.resolve().is_relative_to(root):
            break
    else:
        raise click.UsageError(visible(f"{path} is a plan of {saved.file}, which is not there"))
    data = [pair.partition("=") for pair in _texts(options.get("data"))]
    opened = open_film(
        film,
        model=options.get("model") if isinstance(options.get("model"), str) else None,
        values=_texts(options.get("values")),
        data=[f"{name}={root / file}" for name, _, file in data],
    )
    return saved, opened, tuple(clip.id for clip in saved.saved.clips if clip.to_buy)


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _refuse_moved(saved: SavedPlan, desk: Desk) -> None:
    """End with exit code 3 when the film, its records, its sheets or its media are not as they were planned with."""
    from kling_dsl.reports.escaping import visible
    from kling_dsl.reports.saved_plan import moved

    moves = moved(saved, desk.opened.compilation, desk.standings)
    for move in moves[:MAX_MOVES]:
        click.echo(visible(f"moved since the plan was made: {move}"), err=True)
    if len(moves) > MAX_MOVES:
        click.echo(f"and {len(moves) - MAX_MOVES} more", err=True)
    if moves:
        click.echo("refused: the plan no longer holds, and nothing was bought; make it anew", err=True)
        raise click.exceptions.Exit(REFUSED)


def _check_ids(only: tuple[str, ...], opened: Opened) -> None:
    """Refuse an id that no clip of the film has."""
    from kling_dsl.reports.escaping import visible
    from kling_dsl.spelling import nearest

    names = [call.id for call in opened.compilation.calls]
    for name in only:
        if name not in names:
            near = nearest(name, names)
            hint = f"; did you mean {near}?" if near else ""
            raise click.BadParameter(f"the film has no clip '{visible(name)}'{hint}", param_hint="--only")


def _render_locked(desk: Desk, only: frozenset[str] | None) -> None:
    """Refuse to go on unless every take that the film asks for is here; what is here gets its readable name."""
    absent = [
        standing
        for standing in desk.standings
        if (only is None or standing.call.id in only) and standing.state not in ("kept", "accepted")
    ]
    for standing in absent:
        call = standing.call
        click.echo(f"{call.id}: {standing.state}, {standing.why} ({call.file}:{call.line})", err=True)
    if absent:
        noun = "clip is" if len(absent) == 1 else "clips are"
        click.echo(f"refused: {len(absent)} {noun} not here, and --locked buys nothing", err=True)
        raise click.exceptions.Exit(REFUSED)
    for name, path in link_chosen(desk, None).items():
        click.echo(f"{name}: {path}")
