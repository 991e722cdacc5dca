"""`kling test`: run the EXPECT lines of films and of their test files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kling_dsl.cli.options import film_options

if TYPE_CHECKING:
    from kling_dsl.harness import Bench, Outcome


class _ScriptPath(click.Path):
    """The path of a film, a test file or a folder of them; a name that is not UTF-8 could not be written down."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; one that is not there or cannot be written down is wrong usage."""
        path = super().convert(value, param, ctx)
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            self.fail(f"'{click.format_filename(path)}' has a name that is not UTF-8; rename it.", param, ctx)
        return path


@click.command("test")
@click.argument(
    "scripts", metavar="[FILE|FOLDER]…", nargs=-1, type=_ScriptPath(path_type=Path, exists=True, readable=False)
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print what holds and what does not.",
)
@click.option("--update-golden", is_flag=True, help="Write the requests that films are compared with anew.")
@film_options
def test_command(
    scripts: tuple[Path, ...],
    form: str,
    update_golden: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Run the EXPECT lines of films; nothing is sent, and nothing is written unless --update-golden asks for it.

    A film is tested by its own EXPECT lines and by those of the files beside it whose names end in .test.kling. A
    folder means all films below it, and no argument the folder you are in. The exit code is 1 when an EXPECT does not
    hold or cannot fail, when a film has errors, and when there is no EXPECT at all.

    \b
    Example:
      kling test
      kling test lantern.kling
      kling test lantern.kling --update-golden
    """
    from kling_dsl.reports.escaping import visible

    outcomes: list[tuple[Bench, Outcome]] = []
    for bench, script, named in _find(scripts or (Path(),), model, values, data):
        outcome = bench.compile(script)
        if update_golden:
            path = bench.update_golden(outcome)
            if path is not None:
                click.echo(f"{visible(os.path.relpath(path))}: written", err=True)
        if not (outcome.is_empty if named else bench.is_left_out(outcome)):
            outcomes.append((bench, bench.judge_all(outcome)))
    _print(outcomes, form)
    if not all(outcome.passed for _, outcome in outcomes) or not any(outcome.verdicts for _, outcome in outcomes):
        raise click.exceptions.Exit(1)


def _find(
    places: Sequence[Path], model: str | None, values: tuple[str, ...], data: tuple[str, ...]
) -> list[tuple[Bench, str, bool]]:
    """Return the scripts to run, each once, with the bench of its project, and whether it was named itself.

    What is no film is wrong usage.
    """
    from kling_dsl.harness import find_scripts
    from kling_dsl.harness.films import ENDING
    from kling_dsl.project import find_root
    from kling_dsl.reports.escaping import visible
    from kling_dsl.vocabulary import TEST_ENDING

    benches: dict[Path, Bench] = {}
    found: dict[tuple[Path, str], bool] = {}
    for place in places:
        if place.is_dir():
            files = list(find_scripts(place))
            if not files:
                raise click.UsageError(f"there is no film in {visible(os.path.abspath(place))}")
        else:
            files = [place]
        for file in files:
            if not file.name.endswith(ENDING):
                raise click.BadParameter(f"'{visible(str(file))}' is no film: its name does not end in {ENDING}")
            root = find_root(file)
            if root not in benches:
                benches[root] = _bench(file, model, values, data)
            bench = benches[root]
            script = bench.project.relative(file)
            if script is None:
                shown = visible(str(file))
                raise click.UsageError(f"{shown} lies outside its project, whose root is {visible(str(root))}")
            named = not place.is_dir()
            found[root, script] = named or found.get((root, script), False)
            if named and not script.endswith(TEST_ENDING):
                found.update({(root, test): True for test in bench.tests_of(script)})
    return [(benches[root], script, named) for (root, script), named in found.items()]


def _bench(place: Path, model: str | None, values: tuple[str, ...], data: tuple[str, ...]) -> Bench:
    from kling_dsl.cli.films import data_path, no_such_model, pairs_of
    from kling_dsl.harness import Ask, Bench
    from kling_dsl.project import find_project

    project = find_project(place)
    files = {name: data_path(project, file) for name, file in pairs_of(data, "--data").items()}
    bench = Bench(project, Ask(model, pairs_of(values, "--set"), files))
    if model is not None and bench.profiles.get(model) is None:
        raise click.BadParameter(no_such_model(model, bench.profiles), param_hint="--model")
    return bench


def _print(outcomes: Sequence[tuple[Bench, Outcome]], form: str) -> None:
    from kling_dsl.cli.films import render_diagnostics, shown_from_here

    if form == "json":
        from kling_dsl.harness.telling import render_outcomes

        shown = [(o, lambda d, root=bench.project.root: shown_from_here(d, root)) for bench, o in outcomes]
        click.echo(render_outcomes(shown), nl=False)
        return
    from kling_dsl.harness.telling import sum_up, told
    from kling_dsl.reports.escaping import visible

    for bench, outcome in outcomes:
        diagnostics = (
            [d for d in outcome.diagnostics if d.severity == "error"]
            if outcome.broken
            else [d for verdict in outcome.verdicts for d in verdict.diagnostics]
        )
        if diagnostics:
            click.echo(render_diagnostics(diagnostics, bench.project.root, sys.stdout))
        name = os.path.relpath(bench.project.root / outcome.script)
        click.echo(f"{visible(name)}: {told(outcome)}")
    click.echo(f"\n{sum_up([outcome for _, outcome in outcomes])}")
