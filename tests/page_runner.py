"""Runs an example of a diagnostic's page as a project on the disk, with pictures and videos where it names any."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import posixpath
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from media_samples import make_picture, make_video

from kling_dsl import checks
from kling_dsl.calls import shape_of
from kling_dsl.compiler import Compilation, Options, Session
from kling_dsl.compiler.media import MediaBook
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.harness import Ask, Bench
from kling_dsl.project import find_project
from kling_dsl.reports import pages
from kling_dsl.reports.pages import Example, Expected
from kling_dsl.sheets import Profiles
from kling_dsl.world import World

ARGUMENTS = "arguments.json"
_MEDIA = re.compile(r"[\w./-]*refs/[\w/.-]+\.(?:png|jpg|gif|webp|mp4|webm)")


def run(example: Example, folder: Path) -> tuple[list[Diagnostic], dict[str, str]]:
    """Return what an example reports in an empty folder, in the order of a check, and its texts by path."""
    texts = {name: text for name, text in example.files.items() if name != ARGUMENTS}
    _write(folder, texts)
    with _without(example.options.get("without", "")):
        return _compile(example, folder, texts)


def _compile(example: Example, folder: Path, texts: dict[str, str]) -> tuple[list[Diagnostic], dict[str, str]]:
    project = find_project(folder / example.main)
    profiles = Profiles.of(project.sheets())
    found = [*project.diagnostics, *project.find_unknown_lints(pages.slugs()), *profiles.diagnostics]
    options = Options(
        model=example.options.get("model"),
        values=example.parameters,
        data=example.data,
        lints=project.settings.lints,
        words_per_second=project.settings.speech.words_per_second,
    )
    session = Session(profiles)
    compilation = session.compile(example.main, project.world(), options)
    if ARGUMENTS in example.files:
        return _check_arguments(compilation, json.loads(example.files[ARGUMENTS]), project.world(), profiles), texts
    return [*found, *compilation.diagnostics, *_failures(example, folder)], texts


def _failures(example: Example, folder: Path) -> list[Diagnostic]:
    """Return what `kling test` adds to a check of the same film: the EXPECT lines that do not hold."""
    bench = Bench.at(folder / example.main, Ask(example.options.get("model"), example.parameters, example.data))
    outcome = bench.judge_all(bench.compile(example.main))
    return [d for verdict in outcome.verdicts if verdict.outcome == "failed" for d in verdict.diagnostics]


@contextlib.contextmanager
def _without(extra: str) -> Iterator[None]:
    """Make the package behind an extra impossible to import for a while: that is what a missing extra looks like."""
    hidden = {"": (), "media": ("av",)}[extra]
    kept = {name: sys.modules.get(name) for name in hidden}
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, module in kept.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def as_expected(diagnostics: list[Diagnostic]) -> list[Expected]:
    """Return diagnostics as a page lists them, sorted."""
    listed = [Expected(d.span.file, d.span.line, d.span.column, d.slug) for d in diagnostics]
    return sorted(listed, key=lambda one: (one.file, one.line, one.column, one.slug))


def _write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        for match in _MEDIA.finditer(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[0]))
            if path.startswith("../") or posixpath.basename(path).startswith("missing"):
                continue
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(media_content(path))


def media_content(path: str) -> bytes:
    """Return the content of a picture or video that a page names; names of the list below have a fault."""
    name = posixpath.basename(path)
    make = _FAULTY.get(name)
    if make is not None:
        return make()
    kind = path.rpartition(".")[2].replace("jpg", "jpeg")
    if kind in ("mp4", "webm"):
        return _video(f"good.{kind}", 720, 720, 24, 3)
    return _picture(kind, 640, 360, zlib.crc32(path.encode()))


def _picture(kind: str, width: int, height: int, seed: int = 1) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    colour = (seed & 255, seed >> 8 & 255, seed >> 16 & 255)
    Image.new("RGB", (width, height), colour).save(content, kind.upper())
    return content.getvalue()


@functools.cache
def _video(name: str, width: int, height: int, rate: int, seconds: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return make_video(Path(folder) / name, width=width, height=height, rate=rate, seconds=seconds).read_bytes()


_FAULTY: dict[str, Callable[[], bytes]] = {
    "tiny.png": lambda: _picture("png", 200, 200),
    "strip.png": lambda: _picture("png", 1200, 300),
    "wide.png": lambda: _picture("png", 800, 320),
    "square.png": lambda: _picture("png", 400, 400),
    "heavy.png": lambda: _picture("png", 640, 360) + bytes(11 * 1024 * 1024),
    "cut.png": lambda: make_picture("png", 640, 360)[:40],
    "renamed.png": lambda: b"These are only words.\n",
    "twin.png": lambda: _picture("png", 640, 360, 7),
    "copy-of-twin.png": lambda: _picture("png", 640, 360, 7),
    "short.mp4": lambda: _video("short.mp4", 720, 720, 24, 2),
    "small.mp4": lambda: _video("small.mp4", 320, 240, 24, 3),
    "slow.mp4": lambda: _video("slow.mp4", 720, 720, 12, 3),
}
"""The files that are faulty on purpose; a name that begins with `missing` is never made."""


def _check_arguments(compilation: Compilation, arguments: object, world: World, profiles: Profiles) -> list[Diagnostic]:
    """Ask the rules of the film's model about arguments that no film leads to."""
    assert isinstance(arguments, dict)
    item = compilation.items[0]
    profile = profiles.get(item.built.request.model)
    assert profile is not None
    book = MediaBook(world)
    found = checks.RuleBook(profile, book).check(item.built.request, arguments, shape_of(arguments))
    return [diagnostic.moved(compilation.file, item.line) for diagnostic in found]
