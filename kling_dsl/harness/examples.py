"""Runs an example of a page as a project on the disk: writes its files, compiles its films, types its commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from kling_dsl.compiler import Compilation
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.harness import comparing
from kling_dsl.harness.console import Shell, type_block
from kling_dsl.harness.films import Ask, Bench
from kling_dsl.harness.pages import Example, File, Saying, Scene
from kling_dsl.harness.stand_ins import make_media, named_media
from kling_dsl.reports.markdown import Block
from kling_dsl.reports.pages import slugs

DIAGNOSTICS = "diagnostics"
HOME = "/films"
"""What an example's folder is called where commands print it: it has another name on each run."""


class Difference(msgspec.Struct, frozen=True):
    """A block that does not say what is: `found` is the text that it should have.

    `missing` is the kind of a block that the page lacks after this one; then nothing is `shown`.
    """

    block: Block
    shown: str
    found: str
    missing: str = ""
    reason: str = ""
    """Why there is nothing to compare, such as a shot that the film does not have."""


def run_example(example: Example, folder: Path, *, shell: Shell) -> tuple[Difference, ...]:
    """Return where an example does not say what is. `folder` is empty, and the commands are run in it."""
    found: list[Difference] = []
    here = folder

    def run(line: str, place: Path) -> tuple[int, str]:
        code, printed = shell(line, place)
        return code, printed.replace(str(folder), HOME)

    for scene in example.scenes:
        for file in scene.files:
            write_file(folder, file.name, file.block.text)
        if example.main and (scene.sayings or scene.console is None):
            found += _compare(example, scene, folder)
        if scene.console is not None:
            shown, here = type_block(scene.console.text, here, run)
            if shown != scene.console.text:
                found.append(Difference(scene.console, scene.console.text, shown))
    return tuple(found)


def write_file(folder: Path, name: str, text: str) -> None:
    """Write a file of an example, and the pictures and videos that it names."""
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    for path in named_media(name, text):
        if not (folder / path).exists():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(make_media(path))


def run_film(folder: Path, main: str, ask: Ask) -> tuple[Compilation, tuple[Diagnostic, ...]]:
    """Compile the film `main` of a folder, and judge its EXPECT lines; return all that is reported with it."""
    bench = Bench.at(folder / main, ask)
    outcome = bench.judge_all(bench.compile(main))
    failed = (d for verdict in outcome.verdicts if verdict.outcome == "failed" for d in verdict.diagnostics)
    return outcome.compilation, (*bench.project.find_unknown_lints(slugs()), *outcome.diagnostics, *failed)


def _compare(example: Example, scene: Scene, folder: Path) -> Iterator[Difference]:
    compilation, found = run_film(folder, example.main, _ask(example))
    for saying in scene.sayings:
        shown = saying.block.text
        said = _say(saying, compilation, found)
        if said is None:
            yield Difference(saying.block, shown, "", reason=f"there is no request of {saying.of} to compare with")
        elif said != shown:
            yield Difference(saying.block, shown, said)
    if scene.files and all(saying.kind != DIAGNOSTICS for saying in scene.sayings) and found:
        listed = comparing.list_diagnostics("", found, main=example.main)
        yield Difference(scene.files[-1].block, "", listed, missing=DIAGNOSTICS)
    for file in scene.files:
        if file.same:
            yield from _hold_to_the_same(example, file, folder)


def _say(saying: Saying, compilation: Compilation, found: tuple[Diagnostic, ...]) -> str | None:
    shown = saying.block.text
    if saying.kind == DIAGNOSTICS:
        return comparing.list_diagnostics(shown, found, main=compilation.file)
    if saying.kind == "expanded":
        return compilation.expanded
    if saying.kind == "prompt":
        prompt = comparing.prompt_of(compilation, saying.of)
        return None if prompt is None else comparing.fold_prompt(shown, prompt)
    request = comparing.request_of(compilation, saying.of)
    if request is None:
        return None
    return comparing.project_json(shown, request["arguments"] if saying.kind == "arguments" else request)


def _hold_to_the_same(example: Example, file: File, folder: Path) -> Iterator[Difference]:
    """Compare the requests of two films, whatever their clips are called and in which order they stand."""
    films = [run_film(folder, name, _ask(example))[0] for name in (file.same, file.name)]
    prints = [sorted(film.fingerprints.values()) for film in films]
    if any(film.failed for film in films) or prints[0] != prints[1]:
        yield Difference(file.block, "", "", reason=f"its requests are not those of {file.same}")


def _ask(example: Example) -> Ask:
    return Ask(example.model, example.parameters, example.data)
