"""`kling explain`: print the page of a diagnostic, or list every diagnostic that has one."""

from __future__ import annotations

import sys

import click
import msgspec

from kling_dsl.cli.terminal import palette_for, width_of
from kling_dsl.reports import pages
from kling_dsl.reports.escaping import visible
from kling_dsl.spelling import nearest

_WIDEST = 100
"""Columns beyond which prose is hard to read."""


@click.command("explain")
@click.argument("slug", required=False)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)
def explain_command(slug: str | None, form: str) -> None:
    """Print what a diagnostic means, why it exists, and a wrong and a right example.

    SLUG is the word in brackets after "error" or "warning". Without it, every slug is listed with its title.

    \b
    Example:
      kling explain unknown-reference
    """
    if slug is None:
        click.echo(_listing(form))
        return
    page = pages.page(slug)
    if page is None:
        raise click.UsageError(_unknown(slug))
    if form == "json":
        click.echo(_json(page))
        return
    width = min(width_of(sys.stdout), _WIDEST)
    click.echo(pages.render_page(page, palette=palette_for(sys.stdout), width=width), nl=False)


class _Listed(msgspec.Struct, frozen=True):
    slug: str
    severity: str
    title: str


def _listing(form: str) -> str:
    found = [page for page in map(pages.page, pages.slugs()) if page is not None]
    if form == "json":
        return _json([_Listed(page.slug, page.severity, page.title) for page in found])
    width = max((len(page.slug) for page in found), default=0)
    return "\n".join(f"{page.slug:<{width}}  {page.title}" for page in found)


def _unknown(slug: str) -> str:
    known = pages.slugs()
    close = nearest(slug, known)
    word = slug.casefold()
    alike = [name for name in known if name != close and word and (word in name or name in word)]
    names = [*([close] if close else []), *alike][:5]
    hint = f"did you mean {' or '.join(names)}?" if names else "'kling explain' lists all slugs"
    return f"no diagnostic is called '{visible(slug[:80])}'; {hint}"


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
