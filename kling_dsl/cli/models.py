"""`kling models`: list the models that a film can name, show one whole sheet, or export JSON Schemas."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from kling_dsl.cli.terminal import palette_for
from kling_dsl.reports.escaping import visible
from kling_dsl.sheets import Profiles
from kling_dsl.spelling import nearest

_PIPED_WIDTH = 160
"""Columns when nobody looks at a terminal: wide enough that one model stays on one line for grep and awk."""


@click.command(epilog="Example: kling models o3-4k")
@click.argument("name", required=False)
@click.option("--schema", "wanted", flag_value="schema", help="Print JSON Schema: of NAME's request, or of the sheets.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)
@click.pass_context
def models_command(context: click.Context, name: str | None, wanted: str | None, form: str) -> None:
    """List the models that a film can name, with prices, or show one of them whole.

    NAME is what stands after "Model:" on a title page. Sheets of the project, models/*.toml, are listed with a star.
    With --schema the output is JSON Schema: of the request of NAME, or without NAME of the sheet format.
    """
    from kling_dsl.project import find_project

    project = find_project(Path.cwd())
    texts = project.sheets()
    registry = Profiles.of(texts)
    if wanted and name is None:
        click.echo(_sheet_schema())
        return
    if name is not None and name not in registry.names():
        near = nearest(name[:80], registry.names())
        hint = f"did you mean {near}?" if near else "'kling models' lists them"
        click.echo(f"kling models: no model is called '{visible(name[:80])}'; {hint}", err=True)
        context.exit(2)
    text = _listing(registry, form) if name is None else _detail(registry, name, wanted or form)
    if text:
        click.echo(text, nl=not text.endswith("\n"))
    own = registry.diagnostics if name is None else registry.diagnostics_of(name)
    found = (*(each for each in project.diagnostics if each.slug == "bad-model-sheet" and name is None), *own)
    if found:
        from kling_dsl.reports.diagnostics_text import render_text

        click.echo(
            render_text(found, source=texts.get, width=_width(), palette=palette_for(sys.stderr)), err=True, nl=False
        )
        context.exit(1)


def _listing(registry: Profiles, form: str) -> str:
    from kling_dsl.reports.models import models_json, render_models, row_of

    found = [(name, registry.get(name)) for name in registry.names()]
    rows = [row_of(profile, registry.path_of(name)) for name, profile in found if profile is not None]
    return models_json(rows) if form == "json" else render_models(rows, width=_width(), palette=palette_for(sys.stdout))


def _detail(registry: Profiles, name: str, form: str) -> str:
    """Return one model as text, JSON or JSON Schema; nothing when its sheet is refused."""
    from kling_dsl.reports.models import model_json, render_model, schema_json

    profile = registry.get(name)
    if profile is None:
        return ""
    if form == "schema":
        from kling_dsl.sheets.schema import json_schema

        return schema_json(json_schema(profile))
    path = registry.path_of(name)
    if form == "json":
        return model_json(profile, path)
    return render_model(profile, path, width=min(_width(), 120), palette=palette_for(sys.stdout))


def _sheet_schema() -> str:
    from kling_dsl.reports.models import schema_json
    from kling_dsl.sheets.schema import sheet_json_schema

    return schema_json(sheet_json_schema())


def _width() -> int:
    return shutil.get_terminal_size((_PIPED_WIDTH, 24)).columns
