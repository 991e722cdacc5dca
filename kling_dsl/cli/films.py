"""What every verb over films shares: its options, finding the project, compiling, printing what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

if TYPE_CHECKING:
    from kling_dsl.compiler import Compilation
    from kling_dsl.diagnostics import Diagnostic
    from kling_dsl.project import DiskWorld, Project
    from kling_dsl.sheets import Profiles


class Opened(msgspec.Struct, frozen=True):
    """A compiled film with the project it belongs to."""

    project: Project
    world: DiskWorld
    compilation: Compilation


def open_film(film: Path, *, model: str | None, values: Sequence[str], data: Sequence[str]) -> Opened:
    """Compile a film for a verb; wrong options are usage errors, and so is a test file, which is about a film."""
    from kling_dsl.vocabulary import TEST_ENDING

    if film.name.endswith(TEST_ENDING):
        from kling_dsl.reports.escaping import visible

        shown = visible(str(film))
        raise click.UsageError(f"{shown} is a test file: name the film that it is about, or run `kling test {shown}`")
    return open_script(film, model=model, values=values, data=data)


def open_script(film: Path, *, model: str | None, values: Sequence[str], data: Sequence[str]) -> Opened:
    """Compile a film, or the film of a test file with its EXPECT lines; wrong options are usage errors."""
    from kling_dsl.compiler import Options, compile_film
    from kling_dsl.project import find_project
    from kling_dsl.sheets import Profiles

    project = find_project(film)
    path = project.relative(film)
    if path is None:
        from kling_dsl.reports.escaping import visible

        root = visible(str(project.root))
        raise click.UsageError(f"{visible(str(film))} lies outside its project, whose root is {root}")
    profiles = Profiles.of(project.sheets())
    if model is not None and profiles.get(model) is None:
        raise click.BadParameter(no_such_model(model, profiles), param_hint="--model")
    options = Options(
        model=model,
        default_model=project.settings.models.default,
        values=pairs_of(values, "--set"),
        data={name: data_path(project, file) for name, file in pairs_of(data, "--data").items()},
        lints=project.settings.lints,
        words_per_second=project.settings.speech.words_per_second,
    )
    world = project.world()
    compilation = compile_film(path, world, options, profiles=profiles)
    own = (*project.diagnostics, *profiles.diagnostics, *_unknown_lints(project))
    if own:
        failed = compilation.failed or any(diagnostic.severity == "error" for diagnostic in own)
        compilation = msgspec.structs.replace(compilation, diagnostics=(*own, *compilation.diagnostics), failed=failed)
    return Opened(project, world, compilation)


def no_such_model(model: str, profiles: Profiles) -> str:
    """Return why a model is not there, with the nearest one."""
    from kling_dsl.reports.escaping import visible
    from kling_dsl.spelling import nearest

    if (path := profiles.path_of(model)) is not None:
        return f"the sheet of '{model}' is refused: run `kling models {model}`, and mend {path}"
    near = nearest(model, profiles.names())
    hint = f"did you mean {near}?" if near else f"the models are {', '.join(profiles.names())}"
    return f"there is no model '{visible(model)}'; {hint}"


def refuse_failed(opened: Opened) -> None:
    """Print what is wrong with a film to stderr; a film with errors ends the command with exit code 1."""
    from kling_dsl.reports.diagnostics_text import render_summary

    compilation = opened.compilation
    if compilation.failed:
        click.echo(render_diagnostics(compilation.diagnostics, opened.project.root, sys.stderr), err=True, nl=False)
        click.echo(render_summary(compilation.diagnostics) + "; nothing was compiled", err=True)
        raise click.exceptions.Exit(1)
    if compilation.diagnostics:
        click.echo(f"{render_summary(compilation.diagnostics)}: see `kling check`", err=True)


def render_diagnostics(diagnostics: Sequence[Diagnostic], root: Path, stream: TextIO) -> str:
    """Return diagnostics as text for a stream; the lines they speak of are read from the files under `root`."""
    from kling_dsl.cli.terminal import palette_for, width_of
    from kling_dsl.project import DiskWorld
    from kling_dsl.reports.diagnostics_text import render_text

    world = DiskWorld(root)

    def find_text(file: str) -> str | None:
        content = world.read_text(_from_root(file, root))
        return content if isinstance(content, str) else None

    shown = [shown_from_here(diagnostic, root) for diagnostic in diagnostics]
    return render_text(shown, source=find_text, width=width_of(stream), palette=palette_for(stream))


def shown_from_here(diagnostic: Diagnostic, root: Path) -> Diagnostic:
    """Return a diagnostic with its paths as the person at the terminal would type them."""
    if os.path.relpath(root) == ".":
        return diagnostic

    def here(span: Any) -> Any:
        return msgspec.structs.replace(span, file=os.path.relpath(os.path.join(root, span.file)))

    fix = diagnostic.fix
    if fix is not None:
        edits = tuple(msgspec.structs.replace(edit, span=here(edit.span)) for edit in fix.edits)
        fix = msgspec.structs.replace(fix, edits=edits)
    return msgspec.structs.replace(
        diagnostic,
        fix=fix,
        span=here(diagnostic.span),
        also=tuple(here(span) for span in diagnostic.also),
        notes=tuple(
            msgspec.structs.replace(note, span=here(note.span)) if note.span else note for note in diagnostic.notes
        ),
    )


def _from_root(shown: str, root: Path) -> str:
    return os.path.relpath(shown, root)


def _unknown_lints(project: Project) -> tuple[Diagnostic, ...]:
    if not project.settings.lints:
        return ()
    from kling_dsl.reports.pages import slugs

    return project.find_unknown_lints(slugs())


def pairs_of(given: Sequence[str], option: str) -> Mapping[str, str]:
    """Return the NAME=VALUE of an option by name; anything else is wrong usage."""
    pairs: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier() or not _is_utf8(value):
            from kling_dsl.reports.escaping import visible

            raise click.BadParameter(f"'{visible(text[:80])}' is no NAME=VALUE in UTF-8", param_hint=option)
        pairs[name] = value
    return pairs


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def data_path(project: Project, file: str) -> str:
    """Return the path of a table from the project's root; one outside is wrong usage."""
    path = project.relative(Path(file))
    if path is None:
        from kling_dsl.reports.escaping import visible

        raise click.BadParameter(
            f"'{visible(file)}' lies outside the project, whose root is {visible(str(project.root))}",
            param_hint="--data",
        )
    return path
