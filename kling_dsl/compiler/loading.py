"""Reads a film and what it imports, expands templates, parses."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kling_dsl import nodes, parser
from kling_dsl.compiler.result import Options, top_of
from kling_dsl.diagnostics import Diagnostic, Edit, Fix, Note, error
from kling_dsl.source import Span
from kling_dsl.world import Unreadable, World

MAX_IMPORT_DEPTH = 50
"""Deeper than any cast file needs; bounds what a link that leads back into its own folder can ask for."""

_MARKS = ("{{", "{%", "{#")
_NOTE = re.compile(r"^[ \t]*\[\[(?:(?!\]\])[\s\S])*\]\][ \t]*$", re.MULTILINE)
_GIVEN = re.compile(r"(Param|Data)[ \t]+([^\W\d]\w*)[ \t]*:[ \t]*(.*?)[ \t]*\Z")


class Loaded(msgspec.Struct, frozen=True, eq=False):
    """A parsed file; `source_map` leads from its expanded text back to the writer's, None when there was no template."""

    screenplay: nodes.Screenplay
    text: str
    source_map: Any = None


class Loader:
    """Loads the files of one film."""

    def __init__(self, world: World, options: Options, known: parser.Blocks) -> None:
        self.world = world
        self.options = options
        self.known = known
        self.loaded: dict[str, Loaded] = {}
        self.files: list[str] = []
        self.diagnostics: list[Diagnostic] = []
        """What is wrong with imports, at places of the expanded texts."""
        self.placed: list[Diagnostic] = []
        """What is wrong with templates and their data, at the writer's places already."""
        self._values: dict[str, object] = {}
        self._given = False

    def load_film(self, path: str) -> Loaded | None:
        """Load a film and, below it, its imports; None when the film itself cannot be read."""
        content = self._read(path)
        return None if content is None else self._load(path, content, ())

    def load_test(self, path: str) -> Loaded | None:
        """Load a test file, whose values stand over those of its film; None when it cannot be read."""
        content = self._read(path)
        if content is None:
            return None
        text = _with_plain_ends(content)
        self._read_values(path, text)
        loaded = self._parse(path, text)
        self.tests = (loaded,)
        return loaded

    tests: tuple[Loaded, ...] = ()
    """The test file that was loaded, if any."""

    @property
    def imports(self) -> tuple[Loaded, ...]:
        """What was loaded besides the film, in the order in which it was found."""
        return tuple(self.loaded.values())[1:]

    @property
    def sources(self) -> dict[str, Loaded]:
        """Everything that was loaded, by its path."""
        return {**self.loaded, **{test.screenplay.file: test for test in self.tests}}

    def look(self, path: str) -> str | Unreadable:
        """Return the text of a file that counts among those of the film, or why there is none."""
        self.files.append(path)
        return self.world.read_text(path)

    def _read(self, path: str) -> str | None:
        content = self.world.read_text(path)
        self.files.append(path)
        if isinstance(content, Unreadable):
            self.diagnostics.append(
                error(
                    "unreadable-file", f"{path}: {content.message}", top_of(path), hint="a film is a text file in UTF-8"
                )
            )
            return None
        return content

    def _parse(self, path: str, text: str) -> Loaded:
        source_map = None
        if any(mark in text for mark in _MARKS):
            text, source_map = self._expand(path, text)
        return Loaded(parser.parse(text, file=path, known=self.known), text, source_map)

    def _load(self, path: str, content: str, chain: tuple[str, ...]) -> Loaded:
        loaded = self._parse(path, _with_plain_ends(content))
        self.loaded[path] = loaded
        for placed in loaded.screenplay.blocks:
            if isinstance(placed.block.node, nodes.Import):
                self._import(path, placed.line, placed.block.node, (*chain, path))
        return loaded

    def _import(self, path: str, line: int, node: nodes.Import, chain: tuple[str, ...]) -> None:
        span = node.path.span.moved(path, line)
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), node.path.value))
        shown = (Note(" imports ".join((*chain, target))),)
        if target.startswith(("/", "../")) or target == ".." or "\\" in target:
            self._say(
                "outside-root",
                f'"{node.path.value}" leads out of the project',
                span,
                shown,
                "copy the file into the project",
            )
            return
        if target in chain:
            self._say("import-cycle", f"{target} imports itself", span, shown, "move what both need into a third file")
            return
        if len(chain) > MAX_IMPORT_DEPTH:
            self._say(
                "import-cycle",
                f"imports go more than {MAX_IMPORT_DEPTH} files deep",
                span,
                shown[:0],
                "import the cast directly",
            )
            return
        if target in self.loaded:
            return
        content = self.world.read_text(target)
        self.files.append(target)
        if isinstance(content, Unreadable):
            slug = (
                "outside-root"
                if content.reason == "outside"
                else "missing-import"
                if content.reason == "missing"
                else "unreadable-file"
            )
            self._say(
                slug, f"{target}: {content.message}", span, shown, "the path is relative to the file that imports it"
            )
            return
        self._load(target, content, chain)

    def _say(self, slug: str, message: str, span: Span, notes: tuple[Note, ...], hint: str) -> None:
        self.diagnostics.append(error(slug, message, span, notes=notes, hint=hint))

    def _expand(self, path: str, text: str) -> tuple[str, Any]:
        from kling_dsl import templates

        self._read_values(path, text)
        expansion = templates.expand(text, file=path, values=self._values, read=self._read_template)
        self.placed += expansion.diagnostics
        return expansion.text, expansion.source_map

    def _read_template(self, path: str) -> str | None:
        content = self.world.read_text(path)
        self.files.append(path)
        return None if isinstance(content, Unreadable) else content.replace("\r\n", "\n").replace("\r", "\n")

    def _read_values(self, path: str, text: str) -> None:
        """Take the values that templates may use from the title page, and those given from outside over them."""
        for number, line in _title_lines(text):
            if match := _GIVEN.match(line):
                kind, name, value = match.groups()
                if kind == "Param":
                    self._values.setdefault(name, value)
                elif name not in self._values and name not in self.options.data:
                    span = Span(path, number, match.start(3) + 1, number, match.end(3) + 1)
                    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
                    self._values[name] = self._read_data(target, span)
        if not self._given:
            self._given = True
            for name, target in self.options.data.items():
                self._values[name] = self._read_data(target, top_of(path))
            self._values.update(self.options.values)

    def _read_data(self, target: str, span: Span) -> object:
        from kling_dsl import templates

        if target.startswith(("/", "../")) or target == "..":
            self.placed.append(
                error("outside-root", f"{target} leads out of the project", span, hint="copy the file into the project")
            )
            return []
        content = self.world.read_text(target)
        self.files.append(target)
        if isinstance(content, Unreadable):
            slug = "outside-root" if content.reason == "outside" else "bad-data"
            hint = "the path is relative to the file that names it"
            self.placed.append(error(slug, f"{target}: {content.message}", span, hint=hint))
            return []
        value, found = templates.parse_data(content, path=target)
        self.placed += found
        return [] if value is None else value


def _with_plain_ends(content: str) -> str:
    return content.replace("\r\n", "\n").replace("\r", "\n") if "\r" in content else content


def _title_lines(text: str) -> list[tuple[int, str]]:
    """Return the numbered lines of a title page as they stand before templates are expanded."""
    lines: list[tuple[int, str]] = []
    # A note on lines of its own is as good as a comment, before the title page and in it.
    text = _NOTE.sub(lambda note: "\n".join("#" * (note[0].count("\n") + 1)), text)
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare and lines:
            break
        if bare and not bare.startswith("#"):
            if ":" not in bare and "{" not in bare:
                break
            lines.append((number, line.rstrip()))
    return lines


def to_writer(diagnostic: Diagnostic, loaded: Mapping[str, Loaded]) -> Diagnostic:
    """Lead a diagnostic about expanded text back to the template that the writer knows."""
    entry = loaded.get(diagnostic.span.file)
    if entry is None or entry.source_map is None:
        if not any(note.span is not None and note.span.file != diagnostic.span.file for note in diagnostic.notes):
            return diagnostic
        elsewhere = tuple(Note(n.message, _locate(n.span, loaded) if n.span else None) for n in diagnostic.notes)
        return msgspec.structs.replace(diagnostic, notes=elsewhere)
    span, notes = entry.source_map.locate(diagnostic.span)
    also = tuple(located for other in diagnostic.also if (located := _locate(other, loaded)).line == span.line)
    own = tuple(Note(note.message, _locate(note.span, loaded) if note.span else None) for note in diagnostic.notes)
    fix = diagnostic.fix
    if fix is not None:
        # What a loop or a value wrote cannot be mended at one place; what the writer typed can.
        edits = tuple((edit, entry.source_map.locate(edit.span)) for edit in fix.edits)
        plain = not any(found for _, (_, found) in edits)
        fix = Fix(fix.title, tuple(Edit(place, edit.text) for edit, (place, _) in edits)) if plain else None
    return msgspec.structs.replace(diagnostic, span=span, also=also, notes=(*own, *notes), fix=fix)


def _locate(span: Span, loaded: Mapping[str, Loaded]) -> Span:
    entry = loaded.get(span.file)
    if entry is None or entry.source_map is None:
        return span
    located: Span = entry.source_map.locate(span)[0]
    return located


__all__ = ["MAX_IMPORT_DEPTH", "Loaded", "Loader", "to_writer"]
