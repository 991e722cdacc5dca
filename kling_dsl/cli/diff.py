"""`kling diff`: print what an edit costs, between two revisions or between one and the working tree."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from kling_dsl.cli.options import film_options
from kling_dsl.cli.stages import REFUSED, Dollars

if TYPE_CHECKING:
    from kling_dsl.history.git import Repository
    from kling_dsl.history.pairing import Version
    from kling_dsl.history.revision import Compiler, Request, View
    from kling_dsl.history.values import Difference, FilmDifference
    from kling_dsl.project import Project

DIFFERENT = 5
MAX_TOLD_FILMS = 20
"""The most films whose mistakes are printed."""


class Range(msgspec.Struct, frozen=True):
    """The two revisions of a command line; `new` is None for the working tree, `from_base` for `A...B`."""

    old: str
    new: str | None
    from_base: bool = False


class _Command(click.Command):
    """A command that keeps what stands after `--` apart: those words are films, whatever they look like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before `--`, and keep the rest."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_AFTER] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)


_AFTER = "kling_dsl.films"


@click.command("diff", cls=_Command)
@click.argument("words", metavar="[REV[..REV]] [--] [FILE]...", nargs=-1)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How to print the difference.",
)
@click.option(
    "--max-increase", type=Dollars(), metavar="USD", help="Exit with 3 when the films cost more than this above before."
)
@click.option("--exit-code", is_flag=True, help="Exit with 5 when what changed is to be bought.")
@film_options
@click.pass_context
def diff_command(
    ctx: click.Context,
    words: tuple[str, ...],
    form: str,
    max_increase: Decimal | None,
    exit_code: bool,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """Print what an edit costs: the films of two revisions of git, clip by clip; nothing is checked out and nothing sent.

    Without a revision the working tree is compared with HEAD, with one it is compared with that; A..B compares B with
    A, and A...B with where they went apart. Without a film, all are compared. The exit code is 1 when a film has
    errors on a side.

    \b
    Example:
      kling diff
      kling diff main film.kling
      kling diff origin/main...HEAD --max-increase '$5'
    """
    from kling_dsl.history.git import GitProblem, Repository
    from kling_dsl.reports.escaping import visible

    after: tuple[str, ...] = ctx.meta.get(_AFTER, ())
    chosen, films = _sort_words(words, after)
    project, paths = _project_of(films)
    request = request_of(project, model=model, values=values, data=data)
    try:
        with Repository(project.root) as repository:
            views = _views(repository, project, chosen)
            difference, problems = _compare(views, paths, request)
    except GitProblem as problem:
        if problem.usage == "wrong" or (films and problem.usage == "elsewhere"):
            raise click.UsageError(visible(str(problem))) from None
        raise click.ClickException(visible(str(problem))) from None
    click.echo("".join(problems), err=True, nl=False)
    text = _render(difference, form)
    click.echo(text if form == "text" else text.encode("utf-8"), nl=False)
    _end(difference, max_increase, exit_code=exit_code)


def _end(difference: Difference, max_increase: Decimal | None, *, exit_code: bool) -> None:
    from kling_dsl.money import dollars

    if difference.failed:
        raise click.exceptions.Exit(1)
    more = difference.difference_usd
    if max_increase is not None and more is not None and more > max_increase:
        click.echo(
            f"refused: {dollars(more)} more than before, which is over the {dollars(max_increase)} allowed", err=True
        )
        raise click.exceptions.Exit(REFUSED)
    if exit_code and difference.billable_usd:
        raise click.exceptions.Exit(DIFFERENT)


def _sort_words(words: Sequence[str], after: Sequence[str]) -> tuple[Range, tuple[str, ...]]:
    """Tell films from revisions: what ends like a film is one, and what stands after `--` is, whatever it ends with."""
    from kling_dsl.reports.escaping import visible
    from kling_dsl.vocabulary import TEST_ENDING

    films: list[str] = []
    revisions: list[str] = []
    for word in words:
        is_revision = word.startswith("refs/") or ".." in word.replace("../", "")
        is_film = word.endswith(".kling") and (not is_revision or os.path.lexists(word))
        (films if is_film else revisions).append(word)
    if len(revisions) > 1:
        shown = visible(revisions[1][:80])
        raise click.UsageError(
            f"'{shown}' is a second revision: compare two as A..B; a film that does not end in .kling comes after --"
        )
    named = (*films, *after)
    # A pattern of films finds their test files as well, and nobody buys these.
    bought = tuple(film for film in named if not film.endswith(TEST_ENDING))
    if named and not bought:
        raise click.UsageError(f"'{visible(named[0][:80])}' is a test file: name the film that it is about")
    return _range(revisions[0] if revisions else "HEAD"), bought


def _range(word: str) -> Range:
    for sign in ("...", ".."):
        old, found, new = word.partition(sign)
        if found:
            return Range(old or "HEAD", new or "HEAD", from_base=sign == "...")
    return Range(word, None)


def _project_of(films: Sequence[str]) -> tuple[Project, tuple[str, ...]]:
    """Return the project of the films, or of the folder one stands in, and the films' paths from its root."""
    from kling_dsl.cli.desk import relative_film
    from kling_dsl.project import find_project
    from kling_dsl.reports.escaping import visible

    if not films:
        return find_project(Path.cwd()), ()
    if any(not film or "\0" in film for film in films):
        raise click.UsageError("an empty name is no film")
    project = find_project(Path(films[0]) if os.path.isdir(os.path.dirname(films[0]) or ".") else Path.cwd())
    for film in films:
        if os.path.isdir(film):
            raise click.UsageError(f"'{visible(film)}' is a folder; name films, or none for all of them")
    return project, tuple(dict.fromkeys(relative_film(project, Path(film)) for film in films))


def request_of(project: Project, *, model: str | None, values: Sequence[str], data: Sequence[str]) -> Request:
    """Return how films are compiled on every side, by the options of a command line."""
    from kling_dsl.cli.films import data_path, pairs_of
    from kling_dsl.history.revision import Request
    from kling_dsl.reports.pages import slugs

    return Request(
        model=model,
        values=pairs_of(values, "--set"),
        data={name: data_path(project, file) for name, file in pairs_of(data, "--data").items()},
        lints=tuple(slugs()),
    )


def _views(repository: Repository, project: Project, chosen: Range) -> tuple[View, View]:
    """Return both sides; what they share of media is digested once."""
    from kling_dsl.history.revision import WORKING_TREE, View, view_commit
    from kling_dsl.history.world import WorkingWorld

    old = repository.commit_of(chosen.old)
    new = repository.commit_of(chosen.new) if chosen.new is not None else ""
    name = chosen.old
    if chosen.from_base:
        old, name = repository.merge_base(old, new), f"where {chosen.new} left {chosen.old}"
    working = WorkingWorld(project.world(), like=old, now_ns=time.time_ns())
    before = view_commit(repository, name, old, root=project.root, beside=working)
    if chosen.new is None:
        return before, View(WORKING_TREE, "", project, working)
    return before, view_commit(repository, chosen.new, new, root=project.root, beside=working)


def _compare(views: tuple[View, View], paths: tuple[str, ...], request: Request) -> tuple[Difference, tuple[str, ...]]:
    """Return the difference, and the mistakes of films that do not compile as text."""
    from kling_dsl.cli.desk import told_problems, warn_of_lock
    from kling_dsl.history.compare import compare_films
    from kling_dsl.history.revision import Compiler
    from kling_dsl.history.values import Difference

    compiler = Compiler(request)
    _refuse_unknown_model(compiler, views, request.model)
    old_paths, new_paths = map(frozenset, both := _paths(views, paths))
    old: list[Version] = []
    new: list[Version] = []
    with told_problems():
        # Both sides of a film follow each other, since a compiler remembers the film that it had last.
        for path in dict.fromkeys((*both[1], *both[0])):
            for view, side, found in ((views[0], old_paths, old), (views[1], new_paths, new)):
                if path in side:
                    found.append(compiler.version(view, path))
    for version in () if views[1].commit else new:
        warn_of_lock(version.lock.problems, views[1].project.root / f"{version.file}.lock")
    films = compare_films(old, new)
    films = tuple(film for film in films if (_is_wanted(film, paths) if paths else not _is_part(film, views)))
    names = {path for film in films for side in (film.old, film.new) if side is not None for path in (side.file,)}
    problems = (*_problems(views[0], old, names), *_problems(views[1], new, names))
    commits = (views[0].commit, views[1].commit)
    return Difference(views[0].name, views[1].name, *commits, films), problems


def _paths(views: tuple[View, View], paths: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the films to compile on both sides.

    A film that only one side has may have been renamed, so that those that only the other side has come along.
    """
    from kling_dsl.reports.escaping import visible

    old, new = views
    if not paths:
        return _films(old), _films(new)
    for path in paths:
        if not old.has(path) and not new.has(path):
            raise click.UsageError(f"there is no film '{visible(path)}' in {visible(old.name)} or {visible(new.name)}")
    before = [path for path in paths if old.has(path)]
    after = [path for path in paths if new.has(path)]
    if len(before) < len(paths):
        before += [path for path in _films(old) if path not in before and not new.has(path)]
    if len(after) < len(paths):
        after += [path for path in _films(new) if path not in after and not old.has(path)]
    return tuple(before), tuple(after)


def _films(view: View) -> tuple[str, ...]:
    from kling_dsl.cli.desk import find_films

    return view.films() if view.commit else tuple(path for path, _ in find_films(view.project))


def _is_wanted(film: FilmDifference, paths: Sequence[str]) -> bool:
    return any(side is not None and side.file in paths for side in (film.old, film.new))


def _is_part(film: FilmDifference, views: tuple[View, View]) -> bool:
    """Say whether a film is a template that others include: it is what it was, and makes no film of its own."""
    sides = (film.old, film.new)
    texts = [
        view.world.read_text(side.file) if side is not None and side.failed else ""
        for view, side in zip(views, sides, strict=True)
    ]
    return bool(texts[0]) and texts[0] == texts[1] and any(mark in str(texts[0]) for mark in ("{{", "{%"))


def _refuse_unknown_model(compiler: Compiler, views: Iterable[View], model: str | None) -> None:
    from kling_dsl.cli.films import no_such_model

    if model is None:
        return
    known = [compiler.profiles(view) for view in views]
    if all(profiles.get(model) is None for profiles in known):
        raise click.BadParameter(no_such_model(model, known[-1]), param_hint="--model")


def _problems(view: View, versions: Iterable[Version], wanted: Iterable[str]) -> Iterator[str]:
    """Yield the mistakes of the films that do not compile, each place with its revision in front."""
    from kling_dsl.cli.films import render_diagnostics
    from kling_dsl.cli.terminal import palette_for, width_of
    from kling_dsl.reports.diagnostics_text import render_summary, render_text
    from kling_dsl.reports.escaping import visible

    failed = [version.compilation for version in versions if version.compilation.failed and version.file in wanted]
    for compilation in failed[:MAX_TOLD_FILMS]:
        if not view.commit:
            yield render_diagnostics(compilation.diagnostics, view.project.root, sys.stderr)
        else:
            front = f"{view.name}:"

            def find_text(file: str, front: str = front) -> str | None:
                content = view.world.read_text(file.removeprefix(front))
                return content if isinstance(content, str) else None

            shown = [_prefixed(diagnostic, front) for diagnostic in compilation.diagnostics]
            yield render_text(shown, source=find_text, width=width_of(sys.stderr), palette=palette_for(sys.stderr))
        yield f"{visible(compilation.file)} in {visible(view.name)}: {render_summary(compilation.diagnostics)}\n\n"
    if len(failed) > MAX_TOLD_FILMS:
        yield f"and {len(failed) - MAX_TOLD_FILMS} more films with errors in {visible(view.name)}\n"


def _prefixed(value: Any, front: str) -> Any:
    """Return a diagnostic, or a part of one, with a prefix before the file of each of its spans."""
    from kling_dsl.source import Span

    if isinstance(value, Span):
        return msgspec.structs.replace(value, file=f"{front}{value.file}")
    if isinstance(value, tuple):
        return tuple(_prefixed(inner, front) for inner in value)
    if isinstance(value, msgspec.Struct):
        return type(value)(**{name: _prefixed(getattr(value, name), front) for name in value.__struct_fields__})
    return value


def _render(difference: Difference, form: str) -> str:
    if form == "json":
        from kling_dsl.reports.diff import render_diff_json

        return render_diff_json(difference)
    if form == "markdown":
        from kling_dsl.reports.diff_pages import render_diff_markdown

        return render_diff_markdown(difference)
    from kling_dsl.cli.terminal import palette_for, width_of
    from kling_dsl.reports.diff_text import render_diff_text

    return render_diff_text(difference, width=width_of(sys.stdout), palette=palette_for(sys.stdout))
