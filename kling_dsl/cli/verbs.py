"""The group of verbs, each imported only when it is called."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "init": "write a project that compiles",
    "check": "report every mistake in films",
    "test": "run the EXPECT lines of films",
    "compile": "print the exact requests of a film",
    "plan": "print what a film would buy and what it costs",
    "diff": "print what an edit costs, from git",
    "why": "tell why a clip would be bought",
    "render": "buy what is missing of a film; --sandbox costs nothing",
    "status": "tell what is rendered, under way and uncertain",
    "takes": "list the takes of a clip",
    "retake": "buy one more take of a clip",
    "pick": "choose which take of a clip is used",
    "accept": "keep a paid clip although its request changed",
    "reconcile": "find out what became of uncertain takes",
    "spend": "tell what was spent, by day, film or model",
    "verify": "hold store, lock and ledger against each other",
    "sandbox": "serve a stand-in for fal on this machine",
    "models": "list models, or show one: limits, rules, prices",
    "explain": "print what a diagnostic means",
}
"""The verbs, with a line of help each, so that `kling --help` imports none of them."""


class Verbs(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb's command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kling_dsl.cli.{cmd_name}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, and name the nearest one when there is none."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from kling_dsl.reports.escaping import visible
            from kling_dsl.spelling import nearest

            near = nearest(args[0], COMMANDS)
            hint = f"; did you mean {near}?" if near else f"; the commands are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command '{visible(args[0])}'{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, invoke_without_command=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kling-dsl", prog_name="kling")
def kling() -> None:
    """Screenplays that compile: see every mistake, every request and every dollar before anything is sent.

    \b
    Example:
      kling init my-film
      cd my-film
      kling plan film.kling
    """
