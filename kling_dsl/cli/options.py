"""The options that every verb over films shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class _FilmPath(click.Path):
    """The path of a film: diagnostics, requests and programs name it, and all of these are UTF-8."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; one that is no file or cannot be written down is wrong usage."""
        path = super().convert(value, param, ctx)
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            self.fail(f"File '{click.format_filename(path)}' has a name that is not UTF-8; rename it.", param, ctx)
        return path


FILM = _FilmPath(path_type=Path, exists=True, dir_okay=False, readable=False)


def film_options(command: Command) -> Command:
    """Add the options that say which film is meant: its model and the values of its templates."""
    for option in (
        click.option(
            "--data",
            "data",
            multiple=True,
            metavar="NAME=FILE",
            help="Read template rows from a csv, json, jsonl or toml file.",
        ),
        click.option(
            "--set",
            "values",
            multiple=True,
            metavar="NAME=VALUE",
            help="Give a template value, over the film's Param line.",
        ),
        click.option("--model", metavar="NAME", help="Use this model for every shot (see `kling models`)."),
    ):
        command = option(command)
    return command
