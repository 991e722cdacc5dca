"""The stage of a verb that asks the provider: real money or a sandbox, and consent before money is spent."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

if TYPE_CHECKING:
    from kling_dsl.cli.films import Opened
    from kling_dsl.render.stage import Stage

Command = TypeVar("Command", bound=Callable[..., Any])

SANDBOX_VARIABLE = "KLING_SANDBOX"
"""Set by `kling sandbox` in a shell: the environment leads to a sandbox, and nothing costs money."""

SANDBOX_SCALE = 0.2
"""The size of a clip of the sandbox against a real one: 768 pixels wide for 4K."""

INCOMPLETE = 4
REFUSED = 3


class Dollars(click.ParamType[Decimal]):
    """An amount of dollars such as `$5` or `12.50`."""

    name = "dollars"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the amount; anything else is wrong usage."""
        if isinstance(value, Decimal):
            return value
        if not re.fullmatch(r"\$?[0-9]{1,9}(\.[0-9]{1,6})?", str(value)):
            self.fail(f"'{value}' is no amount of dollars such as $5 or 12.50", param, ctx)
        return Decimal(str(value).removeprefix("$"))


def buying_options(command: Command) -> Command:
    """Add the options of every verb that buys: how much at most, without asking, and how it is told."""
    for option in (
        click.option(
            "--format",
            "form",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="Tell what happens in lines for people, or in JSON, an event a line.",
        ),
        click.option("--yes", is_flag=True, help="Spend real money without asking."),
        click.option("--max-cost", metavar="USD", type=Dollars(), help="Spend at most this much in this run."),
    ):
        command = option(command)
    return command


@contextlib.contextmanager
def entered_stage(opened: Opened, sandbox: bool) -> Iterator[Stage]:
    """Give the stage to render on; that of the sandbox brings a sandbox with it, unless the environment leads to one."""
    from kling_dsl.render.stage import Stage

    if not (sandbox or os.environ.get(SANDBOX_VARIABLE)):
        yield Stage.real(opened.project)
        return
    stage = Stage.sandbox(opened.project)
    if os.environ.get(SANDBOX_VARIABLE):
        yield stage
        return
    with _own_sandbox(opened) as environment, _set(environment):
        yield msgspec.structs.replace(stage, is_new=True)


@contextlib.contextmanager
def _own_sandbox(opened: Opened) -> Iterator[Mapping[str, str]]:
    from kling_dsl.sandbox.settings import Settings, missing_packages

    if missing := missing_packages():
        raise click.UsageError(
            f"the sandbox needs {', '.join(missing)}: install them with `pip install 'kling-dsl[serve,media]'`"
        )
    from kling_dsl.sandbox import running

    with tempfile.TemporaryDirectory(prefix="kling-sandbox-") as folder:
        settings = Settings(scale=SANDBOX_SCALE)
        with running(settings, folder=Path(folder), profiles=opened.compilation.profiles) as sandbox:
            yield sandbox.environment()


@contextlib.contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for as long as the block lasts; fal-client reads its hosts from them."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def needs_media_extra() -> None:
    """Refuse to render without PyAV: a clip that cannot be measured cannot be accepted."""
    from kling_dsl.project import media_extra_present

    if not media_extra_present():
        raise click.UsageError(
            "rendering measures every clip, for which it needs PyAV: install it with `pip install 'kling-dsl[media]'`"
        )


def ask_consent(question: str, *, spends: bool, agreed: bool) -> None:
    """Ask once on a terminal before money is spent; off a terminal only `--yes` will do. A no ends with exit code 3."""
    if not spends or agreed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("this spends real money, and nobody is here to be asked: add --yes, or use --sandbox")
    if not click.confirm(question, err=True):
        click.echo("nothing was bought", err=True)
        raise click.exceptions.Exit(REFUSED)
