"""What the tests of the language share: a world in memory, one way to compile a text, and text cases with carets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kling_dsl.compiler import Compilation, Options, compile_film
from kling_dsl.diagnostics import Diagnostic, Edit, Fix
from kling_dsl.sheets import Profiles
from kling_dsl.world import Media, Unreadable

FILM = "film.kling"
PROFILES = Profiles.of({})

CAST = """\
CHARACTER Mira
  front: refs/mira/front.png
  angles: refs/mira/left.png

CHARACTER Keeper
  front: refs/keeper/front.png
  angles: refs/keeper/left.png

CHARACTER Nurse
A woman of forty in a blue coat.

PROP Lamp
  image: refs/lamp.png

STYLE Ink
  image: refs/ink.png

STYLE Fog
  image: refs/fog.png
"""
"""What `import cast.kling` gives to a case that brings no cast of its own."""

VIDEO = Media(
    sha256=hashlib.sha256(b"video").hexdigest(),
    bytes=1_000_000,
    kind="mp4",
    width=1280,
    height=720,
    seconds=5.0,
    frames_per_second=24.0,
)


def picture(path: str, *, width: int = 640, height: int = 360, kind: str = "png", size: int = 40_000) -> Media:
    """Return the facts of a picture; every path has a content of its own. `size` is in bytes."""
    return Media(hashlib.sha256(path.encode()).hexdigest(), size, kind, width, height)


class MemoryWorld:
    """A world of texts and media facts in memory.

    A path under `refs/` (in any folder) that ends in `.png` is a picture of 640 x 360 pixels, one that ends in `.mp4`
    a video of five seconds, unless `media` says otherwise.
    """

    def __init__(self, texts: Mapping[str, str], media: Mapping[str, Media | Unreadable] | None = None) -> None:
        self.texts = dict(texts)
        self.given = dict(media or {})

    def read_text(self, path: str) -> str | Unreadable:
        """Return the text at a path."""
        if path in self.texts:
            return self.texts[path].removeprefix("\ufeff")
        return Unreadable("missing", f'"{path}" does not exist')

    def media(self, path: str) -> Media | Unreadable:
        """Return the facts of a media file."""
        if path in self.given:
            return self.given[path]
        if "refs/" in path and path.endswith(".png"):
            return picture(path)
        if "refs/" in path and path.endswith(".mp4"):
            return msgspec.structs.replace(VIDEO, sha256=hashlib.sha256(path.encode()).hexdigest())
        return Unreadable("missing", f'"{path}" does not exist')


def compile_text(
    source: str,
    files: Mapping[str, str] | None = None,
    *,
    options: Options | None = None,
    media: Mapping[str, Media | Unreadable] | None = None,
    profiles: Profiles = PROFILES,
) -> Compilation:
    """Compile a film's text; `files` are further texts by path, `cast.kling` being there unless it is given."""
    world = MemoryWorld({"cast.kling": CAST, **(files or {}), FILM: source}, media)
    return compile_film(FILM, world, options or Options(), profiles=profiles)


def seen(compilation: Compilation) -> tuple[object, ...]:
    """Return all of a compilation that anybody can see."""
    calls = () if compilation.failed else compilation.calls
    return (
        compilation.diagnostics,
        compilation.failed,
        msgspec.json.encode([msgspec.to_builtins(call) for call in calls], enc_hook=str),
        compilation.total_usd,
        compilation.seconds,
        compilation.settings,
        compilation.files,
        [(item.line, item.built.request.id, item.built.fingerprint) for item in compilation.items],
    )


def check(source: str, files: Mapping[str, str] | None = None) -> list[str]:
    """Return what a film's text reports, as `line:column slug` with the file in front where it is not the film."""
    return [place(diagnostic) for diagnostic in compile_text(source, files).diagnostics]


def slugs(source: str, files: Mapping[str, str] | None = None) -> list[str]:
    """Return the slugs that a film's text reports, in reading order."""
    return [diagnostic.slug for diagnostic in compile_text(source, files).diagnostics]


def place(diagnostic: Diagnostic) -> str:
    """Return where a diagnostic points and its slug."""
    span = diagnostic.span
    file = "" if span.file == FILM else f"{span.file}:"
    return f"{file}{span.line}:{span.column} {diagnostic.slug}"


def prompts(compilation: Compilation) -> dict[str, str]:
    """Return the prompt of every shot by its id."""
    return {shot.id: shot.prompt for item in compilation.items for shot in item.built.request.shots}


def fingerprints(source: str, files: Mapping[str, str] | None = None) -> list[str]:
    """Return the fingerprints of a film without errors, in the film's order."""
    compilation = compile_text(source, files)
    assert not compilation.failed, [(place(d), d.message) for d in compilation.diagnostics]
    return [call.fingerprint for call in compilation.calls]


def apply_edits(texts: Mapping[str, str], edits: tuple[Edit, ...]) -> dict[str, str]:
    """Return the texts with edits applied, the last in a file first so that no place moves before its turn."""
    changed = dict(texts)
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        text = changed[edit.span.file].replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        span = edit.span
        start = sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1
        end = sum(len(line) + 1 for line in lines[: span.end_line - 1]) + span.end_column - 1
        changed[span.file] = text[:start] + edit.text + text[end:]
    return changed


def apply_fix(texts: Mapping[str, str], fix: Fix) -> dict[str, str]:
    """Return the texts as `kling check --fix` leaves them for one fix."""
    return apply_edits(texts, fix.edits)


class Mark(msgspec.Struct, frozen=True, order=True):
    """A diagnostic that a case expects: the place of its carets and how many there are in the first line."""

    file: str
    line: int
    column: int
    width: int
    slug: str


class Case(msgspec.Struct, frozen=True):
    """A text case: the files (without their caret lines), the expected diagnostics, prompts and arguments."""

    name: str
    where: str
    files: dict[str, str]
    marks: tuple[Mark, ...]
    prompts: dict[str, str]
    sends: dict[str, str]
    endpoints: dict[str, str]
    takes: dict[str, str]
    options: dict[str, str]

    @property
    def film(self) -> str:
        """The text of the film."""
        return self.files[FILM]


_CARETS = re.compile(r"(?P<indent> *)(?P<carets>\^+) (?P<slug>[a-z0-9-]+)\Z")


def read_cases(path: Path) -> list[Case]:
    """Read the cases of a file.

    `=== name` begins a case and its film. `--- file cast.kling` begins a further file, `--- prompt id` the expected
    prompt of a shot, `--- sends id` lines of `field: JSON` (null where it is not sent, a number for how many a list
    holds), `--- endpoint id` and `--- takes id` those of a request, `--- options` lines of `key: value`. A line of
    carets and a slug, in any file, expects that diagnostic in the line above it; what no carets expect must not be
    reported.
    """
    cases: list[Case] = []
    parts = re.split(r"(?m)^=== (.+)\n", path.read_text(encoding="utf-8"))
    at = parts[0].count("\n") + 1
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        cases.append(_read_case(name.strip(), body, f"{path.name}:{at}"))
        at += body.count("\n") + 1
    return cases


def _read_case(name: str, body: str, where: str) -> Case:
    sections = re.split(r"(?m)^--- (.+)\n", body)
    files: dict[str, str] = {}
    marks: list[Mark] = []
    expected: dict[str, dict[str, str]] = {kind: {} for kind in ("prompt", "sends", "endpoint", "takes", "options")}
    for title, text in [(f"file {FILM}", sections[0]), *zip(sections[1::2], sections[2::2], strict=True)]:
        kind, _, what = title.strip().partition(" ")
        if kind == "file":
            files[what] = _take_carets(text, what, marks)
        elif kind == "options":
            expected[kind] |= dict(line.split(": ", 1) for line in text.split("\n") if line.strip())
        elif kind in expected:
            expected[kind][what] = text.strip("\n")
        else:
            raise ValueError(f"{where}: no section is called {kind}")
    # The blank line that parts two cases, and the one before a section, belong to no file.
    files = {file: re.sub(r"\n\n\Z", "\n", text) for file, text in files.items()}
    return Case(
        name,
        where,
        files,
        tuple(sorted(marks)),
        prompts=expected["prompt"],
        sends=expected["sends"],
        endpoints=expected["endpoint"],
        takes=expected["takes"],
        options=expected["options"],
    )


def _take_carets(text: str, file: str, marks: list[Mark]) -> str:
    kept: list[str] = []
    for line in text.split("\n"):
        if match := _CARETS.match(line):
            marks.append(Mark(file, max(1, len(kept)), len(match["indent"]) + 1, len(match["carets"]), match["slug"]))
        else:
            kept.append(line)
    return "\n".join(kept)


def mark_of(diagnostic: Diagnostic, files: Mapping[str, str]) -> Mark:
    """Return a diagnostic as a case would mark it."""
    span = diagnostic.span
    if span.end_line == span.line:
        width = span.end_column - span.column
    else:
        lines = files.get(span.file, "").split("\n")
        width = len(lines[span.line - 1]) + 1 - span.column if span.line <= len(lines) else 1
    return Mark(span.file, span.line, span.column, max(1, width), diagnostic.slug)
