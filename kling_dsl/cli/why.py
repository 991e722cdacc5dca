"""`kling why`: say why a clip would be bought: what changed in its request, from what to what, and since when."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.desk import Names, clip_options, find_named

if TYPE_CHECKING:
    from kling_dsl.cli.desk import Desk
    from kling_dsl.compiler import Compilation
    from kling_dsl.history.git import Commit, Repository
    from kling_dsl.history.lineage import Lineage
    from kling_dsl.standing import Standing

MAX_COMMITS = 200
"""The most commits that are looked back through."""


@click.command("why")
@click.argument("identifier", metavar="ID")
@clip_options
def why_command(
    identifier: str,
    film: Path | None,
    sandbox: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Say why a clip would be bought, or why it would not.

    What its request asks for is compared with what was paid for, field by field, and git is asked since which commit
    it is so. Nothing is checked out, sent or changed.

    \b
    Example:
      kling why door
    """
    from kling_dsl.cli.terminal import palette_for, width_of
    from kling_dsl.reports.why import render_why

    names = Names(identifier, film, model, values, data)
    desk, standing = find_named(names, sandbox=sandbox)
    lineage = "" if standing.state == "kept" else _trace(desk, standing, names)
    text = render_why(standing, lineage, width=width_of(sys.stdout), palette=palette_for(sys.stdout))
    click.echo(text, nl=False)


def _trace(desk: Desk, standing: Standing, names: Names) -> Lineage | str:
    """Return where today's request comes from, or why git cannot say."""
    from kling_dsl.history.git import GitProblem, Repository
    from kling_dsl.history.lineage import trace

    root, call = desk.opened.project.root, standing.call
    paid = {take.fingerprint for take in desk.lock.takes if take.clip == call.id}
    try:
        with Repository(root) as repository:
            commits = repository.commits(most=MAX_COMMITS, below=repository.prefix_of(root))
            if not commits:
                return "nothing is committed yet that it could be compared with"
            compile_at = _compiler(repository, desk, names, like=commits[0].id)
            return trace(call.id, call, commits, compile_at, paid=paid)
    except GitProblem as problem:
        return f"git cannot say since when: {problem}"


def _compiler(repository: Repository, desk: Desk, names: Names, *, like: str) -> Callable[[Commit], Compilation | None]:
    """Return a way to compile the film at a commit; what the commits have in common is done once."""
    from kling_dsl.cli.diff import request_of
    from kling_dsl.history.revision import Compiler, view_commit
    from kling_dsl.history.world import WorkingWorld

    project = desk.opened.project
    working = WorkingWorld(project.world(), like=like, now_ns=time.time_ns())
    compiler = Compiler(request_of(project, model=names.model, values=names.values, data=names.data))

    def compile_at(commit: Commit) -> Compilation | None:
        view = view_commit(repository, commit.id, commit.id, root=project.root, beside=working)
        if not view.has(desk.film):
            return None
        compilation = compiler.version(view, desk.film).compilation
        return None if compilation.failed else compilation

    return compile_at
