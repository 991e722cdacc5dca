"""The options that every verb over films shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

FILM = click.Path(path_type=Path, exists=True, dir_okay=False, readable=False)


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
