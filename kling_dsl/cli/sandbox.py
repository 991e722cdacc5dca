"""`kling sandbox`: serve a stand-in for fal on this machine, for any client in any language."""

from __future__ import annotations

import gc
import shlex
import signal
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.sandbox import FAULTS, Fault, Settings, missing_packages, read_fault, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kling_dsl.sandbox import Running
    from kling_dsl.sheets import Profiles


def _read_faults(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[Fault, ...]:
    """Return the faults; one that is not known or not written right is wrong usage."""
    try:
        return tuple([read_fault(value) for value in values])
    except ValueError as problem:
        from kling_dsl.reports.escaping import visible

        raise click.BadParameter(visible(str(problem))) from None


class _Command(click.Command):
    """A command whose help ends with the table of faults."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every kind of fault with what it does."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Faults"):
            formatter.write_dl([(name, kind.words) for name, kind in FAULTS.items()])


@click.command("sandbox", cls=_Command)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where to listen; 0 takes a free one (default).")
@click.option(
    "--job-seconds", type=click.FloatRange(0, 86400), default=3.0, show_default=True, help="How long a job runs."
)
@click.option(
    "--scale",
    type=click.FloatRange(0.01, 1.0),
    default=0.1,
    show_default=True,
    help="Size of a clip against the model's own.",
)
@click.option("--runners", type=click.IntRange(1, 100_000), default=40, show_default=True, help="Jobs at a time.")
@click.option(
    "--fault",
    "faults",
    callback=_read_faults,
    multiple=True,
    metavar="KIND[=COUNT|:PROBABILITY][@SECONDS]",
    help="Inject a fault: that many times, or each time by chance, or always. Can be given often; the kinds stand below.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="What chance comes to.")
@click.option(
    "--media",
    type=click.Choice(["drawn", "plain"]),
    default="drawn",
    show_default=True,
    help="Draw each clip, or give ready-made ones.",
)
@click.option(
    "--history-delay",
    type=click.FloatRange(0, 86400),
    default=0.0,
    metavar="S",
    help="Seconds until a job shows up in the request history.",
)
@click.option("--for-shell", is_flag=True, help="Print the lines to set and nothing else.")
def sandbox_command(
    port: int,
    job_seconds: float,
    scale: float,
    runners: int,
    faults: tuple[Fault, ...],
    seed: int,
    media: str,
    history_delay: float,
    for_shell: bool,
) -> None:
    """Serve fal's queue, uploads and media on this machine until Ctrl-C: real answers, placeholder clips, no cost.

    Standard output gets the lines to set, for a POSIX shell; with them, unmodified clients of fal come here and
    reach nothing else. Requests are judged by the model sheets, those of the project's models/ folder included.

    \b
    Example:
      kling sandbox > sandbox.env &
      . ./sandbox.env
      python buy.py
    """
    # The command line runs without the collector, as a short run may; a server does not.
    gc.enable()
    if missing_packages():
        words = f"the sandbox needs {', '.join(missing_packages())}: pip install 'kling-dsl[serve,media]'"
        raise click.UsageError(words)
    settings = Settings(
        job_seconds=job_seconds,
        scale=scale,
        runners=runners,
        seed=seed,
        faults=faults,
        media="plain" if media == "plain" else "drawn",
        history_delay_seconds=history_delay,
    )
    profiles = _profiles()
    with ExitStack() as stack:
        ended = stack.enter_context(_until_interrupted())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kling-sandbox-")))
        tell = _ignore if for_shell else _tell
        try:
            sandbox = stack.enter_context(running(settings, folder=folder, profiles=profiles, port=port, tell=tell))
        except OSError as problem:
            raise click.ClickException(f"port {port} is not free: {problem.strerror}") from None
        if not for_shell:
            _explain(sandbox)
        for name, value in sandbox.environment().items():
            click.echo(f"export {name}={shlex.quote(value)}")
        ended.wait()
    if not for_shell:
        bill = sandbox.bill()
        click.echo(f"ended: {len(bill.submissions)} submissions, bill ${bill.total_usd}", err=True)


def _profiles() -> Profiles:
    """Return the shipped sheets and those of the project around this folder; a refused one is said."""
    from kling_dsl.project import find_project
    from kling_dsl.sheets import Profiles

    profiles = Profiles.of(find_project(Path.cwd()).sheets())
    for diagnostic in profiles.diagnostics:
        click.echo(f"left out: {diagnostic.message}", err=True)
    return profiles


@contextmanager
def _until_interrupted() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; nothing is ended in the middle of an answer."""
    ended = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield ended
        return
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explain(sandbox: Running) -> None:
    lines = (
        f"The sandbox listens at {sandbox.url} until Ctrl-C. Nothing it is sent leaves this machine or costs anything.",
        "Set the variables on standard output, and fal's Python client, curl with them, and kling come here.",
        "fal's JavaScript client needs one line in the script besides (NODE_EXTRA_CA_CERTS makes node trust it):",
        f"  {sandbox.javascript()}",
        f"The bill: {sandbox.url}/sandbox/bill",
    )
    click.echo("\n".join(lines), err=True)


def _tell(line: str) -> None:
    from kling_dsl.reports.escaping import visible

    click.echo(visible(line), err=True)


def _ignore(_line: str) -> None:
    """Say nothing of submissions: the lines to set were all that was asked for."""
